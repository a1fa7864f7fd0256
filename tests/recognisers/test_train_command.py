"""``pcfh train-recognizer`` as its users meet it."""

import pytest

from pcfh.cli import main
from pcfh.cli import train_recognizer as commands
from pcfh.errors import UserError
from pcfh.recognisers.training.train_lightcnn import RecognizerRecipe


@pytest.fixture
def jobs(monkeypatch):
    """Catches the jobs instead of training."""
    caught = []

    def fake(job, device, callbacks):
        caught.append(job)
        raise UserError("not trained")

    monkeypatch.setattr(commands, "run_training", fake)
    return caught


def test_options_become_the_recipe(jobs, tmp_path):
    options = ["--arch", "lightcnn29", "--steps", "7", "--margin", "0.1", "--protocol", "all", "--seed", "3"]
    with pytest.raises(SystemExit):
        main(["train-recognizer", "data", str(tmp_path), *options])
    recipe = jobs[0].recipe
    assert (recipe.arch, recipe.steps, recipe.margin, recipe.seed) == ("lightcnn29", 7, 0.1, 3)
    assert jobs[0].protocol == "all"


def test_options_go_before_the_configuration_file_and_that_before_the_defaults(jobs, tmp_path):
    file = tmp_path / "config.toml"
    file.write_text("[recipe]\nsteps = 7\nbatch = 5\n")
    default = RecognizerRecipe().steps
    with pytest.raises(SystemExit):
        main(["train-recognizer", "data", str(tmp_path), "--config", str(file), "--steps", str(default)])
    assert jobs[0].recipe == RecognizerRecipe(batch=5)


def test_a_folder_where_nothing_is_prepared_exits_with_2(capsys, tmp_path):
    with pytest.raises(SystemExit) as caught:
        main(["train-recognizer", str(tmp_path), str(tmp_path / "run")])
    assert caught.value.code == 2
    assert "run pcfh prepare first" in capsys.readouterr().err


def test_a_run_ends_with_the_path_of_the_weights(capsys, drawn_prepared, tmp_path):
    options = ["--steps", "1", "--batch", "2", "--protocol", "all", "--device", "cpu"]
    with pytest.raises(SystemExit) as caught:
        main(["train-recognizer", str(drawn_prepared), str(tmp_path), *options])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"Done: {tmp_path / 'recognizer.safetensors'}\n"
