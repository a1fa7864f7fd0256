"""How each row is trained."""

from dataclasses import replace
from pathlib import Path

import pytest

from pcfh.errors import UserError
from pcfh.methods.find import preset
from pcfh.recipes.experiment import (
    TrainingBudget,
    chosen_rows,
    images_seen,
    needs_recognizer,
    row_config,
    row_of,
    runs_of,
)
from pcfh.recipes.paper_numbers import TABLES


def config_of(row, budget, seed=0):
    return row_config(row_of(row), budget, seed)


TRAINED = [key for key in TABLES["table1"].keys if key != "light-cnn"]


@pytest.mark.parametrize("row", TRAINED)
@pytest.mark.parametrize("name", ["cpu", "paper-144", "paper-256", "tiny"])
def test_every_row_has_the_images_of_the_preset(row, name):
    config = config_of(row, TrainingBudget(preset=name), 3)
    whole = preset(name)
    assert (images_seen(config), config.training.size) == (images_seen(whole), whole.training.size)
    assert config.training.seed == 3


def test_pcfh_is_its_preset():
    assert config_of("pcfh", TrainingBudget(preset="paper-256"), 0) == preset("paper-256")


@pytest.mark.parametrize(("row", "awm", "mic"), [("pcfh-no-awm", False, True), ("pcfh-no-mic", True, False)])
def test_an_ablation_lacks_one_module(row, awm, mic):
    objective = config_of(row, TrainingBudget(preset="cpu"), 0).objective
    assert (objective.awm, objective.mic) == (awm, mic)


@pytest.mark.parametrize(("name", "expected"), [("cpu", "cyclegan-cpu"), ("paper-256", "cyclegan")])
def test_a_baseline_keeps_the_recipe_that_suits_the_size(name, expected):
    config = config_of("cyclegan", TrainingBudget(preset=name), 0)
    assert (config.training.method, config.baseline) == ("cyclegan", preset(expected).baseline)


def test_images_that_do_not_fill_the_last_batch_of_a_baseline_are_filled_up():
    budget = TrainingBudget(preset="tiny", steps=3)  # 12 images; a narrow baseline takes 8 at once
    assert config_of("pix2pix", budget, 0).training.steps == 2


@pytest.mark.parametrize("row", TRAINED)
def test_a_budget_in_images_holds_for_every_row_whatever_its_batch(row):
    training = config_of(
        row, TrainingBudget(preset="cpu", images=1001, settings=("training.batch=24",))
    ).training
    assert 1001 <= training.steps * training.batch < 1001 + training.batch


@pytest.mark.parametrize("row", TRAINED)
def test_on_a_gpu_batches_are_larger_and_the_images_as_many(row):
    budget = TrainingBudget(preset="paper-144", images=100_000, settings=("training.size=128",))
    here, there = (config_of(row, replace(budget, gigabytes=gb)).training for gb in (None, 80.0))
    assert there.batch > here.batch
    assert 100_000 <= there.steps * there.batch < 100_000 + there.batch
    own = replace(budget, gigabytes=80.0, settings=("training.size=128", "training.batch=24"))
    assert row.startswith("pcfh") is (config_of(row, own).training.batch == 24)


@pytest.mark.parametrize("row", TRAINED)
def test_all_rows_keep_as_many_generators_for_a_curve(row):
    training = config_of(row, TrainingBudget(preset="cpu", images=1000, curve=4)).training
    assert training.keep_every == 250


def test_the_identity_loss_is_of_pcfhs_rows_alone():
    budget = TrainingBudget(preset="cpu", settings=("objective.lambda_id=0.001",))
    needed = {row: needs_recognizer(config_of(row, budget, 0)) for row in TRAINED}
    assert needed == {row: row.startswith("pcfh") for row in TRAINED}


def test_size_and_precision_are_shared_by_all_rows():
    budget = TrainingBudget(preset="cpu", settings=("training.size=64", "training.precision=fp32"))
    for row in TRAINED:
        training = config_of(row, budget, 0).training
        assert (training.size, training.precision) == (64, "fp32")


def test_a_learning_rate_is_pcfhs_own():
    budget = TrainingBudget(preset="cpu", settings=("training.learning_rate=0.1",))
    assert config_of("pcfh", budget, 0).training.learning_rate == 0.1
    assert config_of("pix2pix", budget, 0).training.learning_rate == 2e-4


def test_settings_of_the_baselines_are_theirs_alone():
    budget = TrainingBudget(preset="cpu", settings=("baseline.lambda_l1=7",))
    assert config_of("pix2pix", budget, 0).baseline.lambda_l1 == 7.0
    assert config_of("pcfh", budget, 0) == preset("cpu")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("training.steps=5", "give --steps or --images"),
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
        (config_of("pcfh", TrainingBudget(preset="cpu", settings=(setting,)), 0))


def test_rows_with_any_identity_term_need_a_recogniser():
    with_people = TrainingBudget(preset="cpu", settings=("objective.lambda_people=0.1",))
    assert needs_recognizer(config_of("pcfh", with_people, 0))
    assert not needs_recognizer(config_of("pcfh", TrainingBudget(preset="cpu"), 0))
    assert not needs_recognizer(config_of("cyclegan", with_people, 0))


def test_rows_are_named_with_commas_or_one_by_one():
    rows = chosen_rows(TABLES["table1"], ("pcfh,light-cnn", "cyclegan"))
    assert [row.key for row in rows] == ["cyclegan", "light-cnn", "pcfh"]


def test_without_names_the_usual_rows_are_taken():
    usual = TABLES["table4"].usual
    assert {row.key for row in chosen_rows(TABLES["table4"], ())} == set(usual)
    assert {"light-cnn", "tuned", "after-idr-128", "after-adfl", "pcfh"} < set(usual)


def test_rivals_are_no_usual_rows_of_an_onnx_model_which_they_cannot_tune(experiment, tmp_path):
    rows = experiment(tmp_path, "table2").chosen_rows
    assert [row.key for row in rows] == ["light-cnn", "pcfh", "adfl", "csh"]
    network = experiment(tmp_path, "table2", recognizer=tmp_path / "r.safetensors").chosen_rows
    assert sum(row.rival is not None for row in network) > 8


def test_a_row_on_generated_images_takes_the_generator_of_its_row():
    assert (row_of("after-adfl").generator, row_of("after-adfl").score) == ("adfl", "generated")
    assert (row_of("tuned").generator, row_of("tuned").score) == (None, "original")
    assert len(runs_of(row_of("after-kdsr"), (0, 1), ("1", "2"))) == 2  # without chance: one seed
    assert len(runs_of(row_of("after-adfl"), (0, 1), ("1", "2"))) == 4


def test_a_method_that_the_table_lacks_is_a_row_after_the_others():
    assert [row.key for row in chosen_rows(TABLES["table2"], ("pix2pix", "pcfh"))] == ["pcfh", "pix2pix"]


def test_a_rival_without_code_cannot_be_measured():
    with pytest.raises(
        UserError, match=r"no row 'vgg' to measure in Table 2; expected some of after-trivet, light-cnn"
    ):
        chosen_rows(TABLES["table2"], ("vgg",))


def test_people_held_out_of_one_row_are_held_out_of_all():
    budget = TrainingBudget(preset="cpu", settings=("training.validation=0.1",))
    configs = [config_of(row, budget) for row in TRAINED]
    assert {config.training.validation for config in configs} == {0.1}
    assert all(map(needs_recognizer, configs))


def test_a_method_from_outside_has_the_same_budget_and_its_own_settings(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "examples")
    budget = TrainingBudget(preset="cpu", settings=("mine.width=16", "training.learning_rate=0.1"))
    (row,) = chosen_rows(TABLES["table1"], ("my_method:MyMethod",))
    config = row_config(row, budget, 2)
    assert (images_seen(config), config.training.size) == (images_seen(preset("cpu")), 128)
    assert (config.mine.width, config.training.learning_rate, config.training.seed) == (16, 2e-4, 2)
