"""The command ``pcfh render`` as its users meet it."""

import sys
from pathlib import Path

import pytest

from pcfh.cli import main, render

sys.path.insert(0, str(Path(__file__).parent))  # processes import what they run by its name
from standin import studio

SMALL = ("--identities", "4", "--nir", "2", "--vis", "2", "--folds", "1", "--workers", "1", "--size", "16")


@pytest.fixture
def run(capsys, monkeypatch):
    """Runs ``pcfh render`` with the stand-in; gives exit code, standard output and standard error."""
    monkeypatch.setattr(render, "open_studio", lambda face_model, cache, size: studio())

    def call(*arguments) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(["render", *map(str, arguments)])
        return (int(caught.value.code or 0), *capsys.readouterr())

    return call


def test_the_summary_ends_with_checksum_and_folder(run, tmp_path):
    code, out, _ = run(tmp_path, "--face-model", tmp_path, *SMALL)
    assert code == 0
    assert out.splitlines()[0] == "4 people, 16 captures, folds of View 2: 1"
    assert out.splitlines()[1].startswith("Checksum: ")
    assert out.splitlines()[2] == f"Written to {tmp_path / 'NIR-VIS-2.0'}"


def test_options_change_a_named_recipe(run, tmp_path):
    few = ("--recipe", "sample", "--identities", "2", "--folds", "0", "--workers", "1")
    _, out, _ = run(tmp_path, "--face-model", tmp_path, *few)
    assert out.startswith("2 people, 10 captures, folds of View 2: 0")


def test_verify_repeats_the_checksum_of_an_untouched_database(run, tmp_path):
    _, rendered, _ = run(tmp_path, "--face-model", tmp_path, *SMALL)
    code, out, _ = run(tmp_path, "--verify")
    assert code == 0
    assert rendered.splitlines()[1] in out


def test_verify_names_what_changed_and_fails(run, tmp_path):
    run(tmp_path, "--face-model", tmp_path, *SMALL)
    (tmp_path / "NIR-VIS-2.0" / "people.csv").write_text("other")
    assert run(tmp_path, "--verify")[:2] == (1, "people.csv: has other bytes\n")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ((), "give --face-model: the folder FaceXModel of a clone of ICT-FaceKit"),
        (
            ("--face-model", "x"),
            "say what to render: --recipe of sf, sf-mini, sample, recogniser, wild, shifts, sf-buaa, "
            "sf-oulu, or --identities",
        ),
        (("--face-model", "x", "--recipe", "SF"), "expected a recipe of sf"),
        (("--face-model", "x", "--identities", "3"), "too few for 10 folds"),
        (("--verify",), "has no SHA256SUMS"),
    ],
)
def test_mistakes_exit_with_2_and_say_what_to_do(run, tmp_path, options, text):
    code, _, error = run(tmp_path, *options)
    assert code == 2
    assert text in error


def test_an_absent_face_model_says_where_to_get_it(capsys, tmp_path):
    with pytest.raises(SystemExit):
        main(["render", str(tmp_path / "out"), "--face-model", str(tmp_path / "none"), *SMALL])
    assert "clone https://github.com/ICT-VGL/ICT-FaceKit" in capsys.readouterr().err
