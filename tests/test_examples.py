"""The examples, run as a user runs them: in processes of their own."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from blocks import hallucinator
from PIL import Image

from pcfh.methods.files import save_generator

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

EXAMPLE = Path(__file__).parents[1] / "examples" / "onnx_translate.py"
# Makes every import of these fail, then runs the example as a program.
ALONE = (
    "import runpy, sys\n"
    "for name in ('torch', 'pcfh', 'onnx', 'safetensors'): sys.modules[name] = None\n"
    "sys.argv = sys.argv[1:]\n"
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)


@pytest.fixture(scope="module")
def translated(tmp_path_factory):
    """The picture that the example makes, the one that the package makes, and what pcfh export said."""
    folder = tmp_path_factory.mktemp("example")
    ours = hallucinator()
    save_generator(folder / "generator.safetensors", ours._generator, {})
    command = ["-m", "pcfh", "export", "generator.onnx", "--model", "generator.safetensors"]
    exported = subprocess.run(
        [sys.executable, *command], cwd=folder, capture_output=True, text=True, check=True
    )
    draws = np.random.default_rng(0)
    crop = np.repeat(draws.integers(0, 256, (64, 64, 1), np.uint8), 3, 2)
    landmarks = draws.uniform(0, 64, (68, 2))
    Image.fromarray(crop).save(folder / "crop.png")
    np.savetxt(folder / "landmarks.txt", landmarks)
    files = ["generator.onnx", "crop.png", "landmarks.txt", "vis.png"]
    subprocess.run([sys.executable, "-c", ALONE, EXAMPLE, *files], cwd=folder, check=True)
    return folder / "vis.png", ours.translate_batch(crop[None], landmarks[None])[0], exported


@pytest.mark.slow
def test_the_example_gives_the_hallucinators_picture_without_torch(translated):
    path, expected, _ = translated
    found = np.asarray(Image.open(path)).astype(int)
    assert np.abs(found - expected).max() <= 1  # a value may lie between two bytes


@pytest.mark.slow
def test_the_examples_picture_says_that_it_is_synthetic(translated):
    path, _, _ = translated
    with Image.open(path) as picture:
        assert picture.text["Synthetic"] == "true"
        assert "trainedAlgorithmicMedia" in picture.text["XML:com.adobe.xmp"]


@pytest.mark.slow
def test_pcfh_export_says_what_it_compared_and_nothing_else(translated):
    _, _, exported = translated
    assert exported.stderr == ""
    assert exported.stdout.startswith("Written: generator.onnx (generator, 64 pixels)\nLargest difference")


def test_the_example_is_about_thirty_lines():
    code = EXAMPLE.read_text().split('"""', 2)[2]
    assert len([line for line in code.splitlines() if line.strip()]) <= 30
