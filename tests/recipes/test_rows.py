"""How each row is trained."""

import pytest

from pcfh.errors import UserError
from pcfh.methods.find import preset, validate
from pcfh.recipes.paper import TABLES
from pcfh.recipes.rows import Scale, images_seen, needs_recognizer, row_config

TRAINED = [key for key in TABLES["table1"].keys if key != "light-cnn"]


@pytest.mark.parametrize("row", TRAINED)
@pytest.mark.parametrize("name", ["cpu", "paper-144", "paper-256", "tiny"])
def test_every_row_has_the_images_of_the_preset(row, name):
    config = row_config(row, Scale(preset=name), 3)
    whole = preset(name)
    assert (images_seen(config), config.training.size) == (images_seen(whole), whole.training.size)
    assert config.training.seed == 3


def test_pcfh_is_its_preset():
    assert row_config("pcfh", Scale(preset="paper-256"), 0) == preset("paper-256")


@pytest.mark.parametrize(("row", "awm", "mic"), [("pcfh-no-awm", False, True), ("pcfh-no-mic", True, False)])
def test_an_ablation_lacks_one_module(row, awm, mic):
    objective = row_config(row, Scale(preset="cpu"), 0).objective
    assert (objective.awm, objective.mic) == (awm, mic)


@pytest.mark.parametrize(("name", "expected"), [("cpu", "cyclegan-cpu"), ("paper-256", "cyclegan")])
def test_a_baseline_keeps_the_recipe_that_suits_the_size(name, expected):
    config = row_config("cyclegan", Scale(preset=name), 0)
    assert (config.training.method, config.baseline) == ("cyclegan", preset(expected).baseline)


def test_images_that_do_not_fill_the_last_batch_of_a_baseline_are_filled_up():
    scale = Scale(preset="tiny", steps=3)  # 12 images; a narrow baseline takes 8 at once
    assert row_config("pix2pix", scale, 0).training.steps == 2


def test_the_identity_loss_is_of_pcfhs_rows_alone():
    scale = Scale(preset="cpu", settings=("objective.lambda_id=0.001",))
    needed = {row: needs_recognizer(row, row_config(row, scale, 0)) for row in TRAINED}
    assert needed == {row: row.startswith("pcfh") for row in TRAINED}


def test_size_and_precision_are_shared_by_all_rows():
    scale = Scale(preset="cpu", settings=("training.size=64", "training.precision=fp32"))
    for row in TRAINED:
        training = row_config(row, scale, 0).training
        assert (training.size, training.precision) == (64, "fp32")


def test_a_learning_rate_is_pcfhs_own():
    scale = Scale(preset="cpu", settings=("training.learning_rate=0.1",))
    assert row_config("pcfh", scale, 0).training.learning_rate == 0.1
    assert row_config("pix2pix", scale, 0).training.learning_rate == 2e-4


def test_settings_of_the_baselines_are_theirs_alone():
    scale = Scale(preset="cpu", settings=("baseline.lambda_l1=7",))
    assert row_config("pix2pix", scale, 0).baseline.lambda_l1 == 7.0
    assert row_config("pcfh", scale, 0) == preset("cpu")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("training.steps=5", "give --steps"),
        ("training.seed=5", "give --seeds"),
        ("training.method=pix2pix", "the rows say it"),
        ("objective.mic=false", "the rows say it"),
        ("objective.lambda_truth=1", "the rows of a table learn without true images"),
        ("objective.lamda=1", "unknown setting 'objective.lamda'"),
        ("training.batch=5", "expected a multiple"),
    ],
)
def test_settings_that_rows_or_options_decide_are_refused(setting, said):
    with pytest.raises(UserError, match=said):
        validate(row_config("pcfh", Scale(preset="cpu", settings=(setting,)), 0))


def test_rows_with_any_identity_term_need_a_recogniser():
    with_people = Scale(preset="cpu", settings=("objective.lambda_people=0.1",))
    assert needs_recognizer("pcfh", row_config("pcfh", with_people, 0))
    assert not needs_recognizer("pcfh", row_config("pcfh", Scale(preset="cpu"), 0))
    assert not needs_recognizer("cyclegan", row_config("cyclegan", with_people, 0))
