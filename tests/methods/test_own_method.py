"""The template of a method, used from outside the package as its users do."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from runs import ENVIRONMENT, SETTINGS

from pcfh.landmarks.given import write_landmarks

EXAMPLES = Path(__file__).parents[2] / "examples"
NAME = "my_method:MyMethod"


def pcfh(*arguments, **variables) -> subprocess.CompletedProcess[str]:
    path = f"{EXAMPLES}:{ENVIRONMENT.get('PYTHONPATH', '')}"
    return subprocess.run(
        [sys.executable, "-m", "pcfh", *map(str, arguments)],
        env={**ENVIRONMENT, "PYTHONPATH": path, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_method_from_outside_trains_and_translates_once_its_user_names_it(drawn_prepared, tmp_path):
    settings = (f"training.method={NAME}", "mine.width=4", "training.steps=2")
    trained = pcfh(
        *("train", drawn_prepared, tmp_path / "run", "--preset", "tiny", "--device", "cpu", "--set"),
        *(*SETTINGS, *settings),
    )
    assert trained.returncode == 0, trained.stderr
    crop = next(drawn_prepared.glob("crops/64/NIR/*/*.png"))
    translate = (
        *("translate", crop, "--model", tmp_path / "run" / "generator.safetensors", "--out"),
        *(tmp_path / "vis", "--aligned", "--landmarks", points_of(crop, tmp_path)),
    )
    refused = pcfh(*translate)
    assert refused.returncode == 2
    assert f"PCFH_METHODS={NAME} in the environment" in refused.stderr and "Traceback" not in refused.stderr
    translated = pcfh(*translate, PCFH_METHODS=NAME)
    assert (translated.returncode, translated.stdout[:6]) == (0, "1 of 1"), translated.stderr


def points_of(picture: Path, folder: Path) -> Path:
    """A table of landmarks anywhere in a picture."""
    write_landmarks(folder / "points.csv", {picture.name: np.linspace(10, 50, 136).reshape(68, 2)})
    return folder / "points.csv"


def test_the_template_is_about_forty_lines():
    code = (EXAMPLES / "my_method.py").read_text().split('"""', 2)[2]
    assert len([line for line in code.splitlines() if line.strip()]) <= 60
