import dataclasses

import numpy as np
import pytest
import torch

from pcfh.config import checked, flat, identity_of, known_settings, read_toml, to_plain, to_toml
from pcfh.errors import UserError
from pcfh.methods.find import configured, overridden, preset, presets, validate
from pcfh.methods.pcfh import LAMBDA_MIC, Objective
from pcfh.methods.pcfh.losses import reconstruction_loss
from pcfh.methods.pcfh.pcfh_trainer import loss_weights, pixel_weight
from pcfh.methods.train import MethodLearner
from pcfh.recognisers.training.train_lightcnn import RecognizerConfig, RecognizerRecipe
from pcfh.runtime import Runtime
from pcfh.training.loop import begin, linear_decay

CPU = preset("cpu")


@pytest.mark.parametrize("name", presets())
def test_every_preset_is_valid_and_builds_networks_of_its_size(name):
    config = preset(name)
    validate(config)
    with torch.device("meta"):
        task = MethodLearner(config, Runtime(rank=0, processes=1, device=torch.device("meta")))
        state = begin(task)
    assert task.result.size == state.average.size == config.training.size


@pytest.mark.parametrize("method", ["pix2pix", "cyclegan"])
def test_the_presets_of_the_baselines_have_the_published_recipe(method):
    config = preset(method)
    t, b = config.training, config.baseline
    assert (t.method, t.size, t.batch, t.learning_rate, t.critic_rate) == (method, 256, 1, 2e-4, 2e-4)
    assert (t.beta_1, t.beta_2, t.constant, t.ema, b.width) == (0.5, 0.999, 0.5, 0.0, 64)
    own = {"pix2pix": {"lambda_l1": 100.0}, "cyclegan": {"blocks": 9, "lambda_cycle": 10.0, "pool": 50}}
    assert own[method].items() <= to_plain(b).items()


@pytest.mark.parametrize(
    ("name", "like"),
    [("pix2pix", "paper-256"), ("cyclegan", "paper-256"), ("pix2pix-cpu", "cpu"), ("cyclegan-cpu", "cpu")],
)
def test_a_baseline_sees_as_many_images_as_pcfh(name, like):
    ours, theirs = (preset(each).training for each in (like, name))
    assert theirs.steps * theirs.batch == ours.steps * ours.batch
    assert theirs.size == ours.size


@pytest.mark.parametrize("name", ["paper-256", "paper-144"])
def test_the_papers_presets_have_the_papers_weights(name):
    w = loss_weights(preset(name), torch.device("cpu"))
    assert (w.lambda_rec, w.lambda_id, w.lambda_y, w.lambda_awm) == (2.5e-5, 0.002, 0.1, 2.5e-5)
    assert (w.lambda_mic, *w.alpha) == (LAMBDA_MIC, 3.0, 0.003, 1e-6)


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("training.steps=7", 7),
        ("training.learning_rate=1e-3", 0.001),
        ("training.learning_rate=1", 1.0),
        ("training.precision=fp32", "fp32"),
        ("training.precision=BF16", "bf16"),
        ("training.flip=false", False),
        ("objective.mic=False", False),
        ("objective.awm=TRUE", True),
        (" networks.critic_width = 5 ", 5),
        # zero, where it means something
        ("objective.lambda_id=0", 0.0),
        ("training.seed=0", 0),
        ("networks.generator_blocks=0", 0),
        ("training.ema=0", 0.0),
    ],
)
def test_an_override_has_the_type_of_its_field(assignment, value):
    group, _, name = assignment.partition("=")[0].strip().partition(".")
    got = getattr(getattr(overridden(CPU, [assignment]), group), name)
    assert (got, type(got)) == (value, type(value))


def test_another_method_brings_its_own_groups_and_the_training_stays():
    config = overridden(CPU, ["training.method=CycleGAN", "baseline.pool=0"])
    assert known_settings(config) == known_settings(preset("cyclegan"))
    assert (config.training.method, config.baseline.pool) == ("cyclegan", 0)
    assert config.training == dataclasses.replace(CPU.training, method="cyclegan")


def test_an_override_leaves_all_other_fields_as_they_were():
    changed = overridden(CPU, ["training.steps=7", "objective.penalty=3"])
    assert overridden(changed, [f"training.steps={CPU.training.steps}", "objective.penalty=10"]) == CPU


def test_the_last_of_two_overrides_of_one_field_counts():
    assert overridden(CPU, ["training.seed=1", "training.seed=2"]).training.seed == 2


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("training.stepz", r"did you mean training\.steps\?"),
        ("steps", r"did you mean training\.steps\?"),
        ("Training.batch", r"did you mean training\.batch\?"),
        ("objective.lamda_id", r"did you mean objective\.lambda_id\?"),
        ("baseline.pool", "known: training.method, "),
        ("", "known: training.method, "),
    ],
)
def test_an_unknown_setting_names_the_nearest_or_all(key, said):
    with pytest.raises(UserError, match=f"unknown setting '{key}'; {said}"):
        overridden(CPU, [f"{key}=1"])


def test_a_setting_without_a_value_says_so():
    with pytest.raises(UserError, match=r"'training\.steps' has no value; expected training\.steps=VALUE"):
        overridden(CPU, ["training.steps"])


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("training.steps=many", "a positive whole number"),
        ("training.steps=1.5", "a positive whole number"),
        ("training.steps=", "a positive whole number"),
        ("training.steps=0", "a positive whole number"),
        ("training.batch=-8", "a positive whole number"),
        ("training.ema=high", "0 <= value < 1"),
        ("training.ema=1", "0 <= value < 1"),
        ("training.learning_rate=nan", "a positive number"),
        ("training.learning_rate=0", "a positive number"),
        ("objective.penalty=inf", "a number that is not negative"),
        ("objective.lambda_rec=-1e-5", "a number that is not negative"),
        ("training.seed=-1", "a whole number that is not negative"),
        ("training.flip=maybe", "true or false"),
        ("training.precision=fp16", "auto or fp32 or bf16"),
        ("training.method=stargan", "no such method; known: pcfh, adfl, csh, cyclegan, pix2pix"),
        ("training.method=pix2pics", r"no such method; did you mean pix2pix\?"),
        ("training.method=nowhere:Mine", "no module 'nowhere' in the working folder or on Python's path"),
        ("training.method=json:JSONDecoder", "expected a subclass of pcfh.methods.base.Method"),
        ("training.method=json:Nothing", "has no attribute 'Nothing'"),
    ],
)
def test_a_value_that_cannot_be_is_refused(assignment, expected):
    with pytest.raises(UserError, match=f"{assignment.partition('=')[2]}.*{expected}"):
        overridden(CPU, [assignment])


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("training.group=1", "at least 2"),
        ("training.batch=12", r"expected a multiple of processes x training\.group = 1 x 8"),
    ],
)
def test_values_that_cannot_work_together_are_refused_by_name(assignment, message):
    with pytest.raises(UserError, match=assignment.partition("=")[0] + ".*" + message):
        validate(overridden(CPU, [assignment]))


def test_values_given_in_python_are_checked_as_texts_are():
    wrong = dataclasses.replace(CPU, training=dataclasses.replace(CPU.training, ema=1.0))
    with pytest.raises(UserError, match=r"training\.ema=1\.0: expected 0 <= value < 1"):
        checked(wrong)


def test_the_batch_must_fit_the_number_of_processes():
    config = overridden(CPU, ["training.batch=16"])
    validate(config, processes=2)
    with pytest.raises(UserError, match="multiple of the processes, 3"):
        validate(config, processes=3)
    with pytest.raises(UserError, match="4 x 8"):
        validate(config, processes=4)
    validate(overridden(preset("pix2pix-cpu"), ["training.batch=6"]), processes=3)  # it has no groups


def test_the_learning_rates_are_constant_and_then_fall_linearly_to_zero():
    factors = [linear_decay(step, 10, 0.6) for step in range(11)]
    np.testing.assert_allclose(factors, [1.0] * 7 + [0.75, 0.5, 0.25, 0.0], atol=1e-12)
    assert [linear_decay(step, 4, 0.0) for step in range(4)] == [1.0, 0.75, 0.5, 0.25]


@pytest.mark.parametrize("size", [64, 128, 256])
def test_the_same_mean_error_weighs_the_same_at_every_size(size):
    def weighted(side: int) -> float:
        image = torch.full((2, 3, side, side), 0.25)
        error = reconstruction_loss(image, torch.zeros_like(image)).item()
        return pixel_weight(2.5e-5, 144, side) * error

    assert weighted(144) == pytest.approx(2.5e-5 * 0.25 * 3 * 144**2)
    assert weighted(size) == pytest.approx(weighted(144))


@pytest.mark.parametrize("config", [*presets().values(), RecognizerConfig()], ids=[*presets(), "recogniser"])
def test_a_configuration_comes_back_from_its_file(config, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(to_toml(config, "a comment"))
    assert read_toml(path) == flat(to_plain(config))


def test_a_file_changes_the_preset_and_texts_change_both(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("[training]\nsteps = 9\nseed = 4\n[objective]\nawm = false\n")
    config = configured("tiny", file=path, settings=["training.seed=5"])
    assert (config.training.steps, config.training.seed, config.objective.awm) == (9, 5, False)
    assert config.networks == preset("tiny").networks


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("steps = 9\n", r"unknown setting 'steps'; did you mean training\.steps\?"),
        ("[training]\nstepz = 9\n", r"unknown setting 'training\.stepz'; did you mean training\.steps\?"),
        ("[training]\nsteps = -9\n", r"training\.steps=-9: expected a positive whole number"),
        ("[training\n", "not a configuration file in TOML"),
    ],
)
def test_what_a_file_has_wrong_is_named(tmp_path, text, said):
    (tmp_path / "run.toml").write_text(text)
    with pytest.raises(UserError, match=said):
        configured("tiny", file=tmp_path / "run.toml")
    with pytest.raises(UserError, match=r"gone\.toml: no such file"):
        configured("tiny", file=tmp_path / "gone.toml")


def test_what_does_not_change_the_weights_is_no_part_of_a_runs_identity():
    kept = identity_of(CPU)
    free = {"steps", "warp_cache_mb", "validate_every", "log_every", "image_every", "checkpoint_every"}
    free |= {"keep_every", "capture", "resident", "fused_norm", "compiled"}
    assert to_plain(CPU)["training"].keys() - kept["training"].keys() == free
    assert kept["objective"] == to_plain(CPU)["objective"]
    own = {"steps", "validate_every", "log_every", "checkpoint_every"}
    assert {f.name for f in dataclasses.fields(RecognizerRecipe)} - identity_of(
        RecognizerRecipe()
    ).keys() == own


def test_a_configuration_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError, match="steps"):
        CPU.training.steps = 1


def test_every_setting_of_the_objective_that_a_term_has_reaches_it():
    """Each number stands in the terms under its own name, the three alphas together."""
    numbers = {f.name: f.default + 0.5 for f in dataclasses.fields(Objective) if isinstance(f.default, float)}
    config = dataclasses.replace(preset("tiny"), objective=Objective(**numbers, reference_size=64))
    w = loss_weights(config, torch.device("cpu"))
    alpha = ("alpha_fit", "alpha_rank", "alpha_sparse")
    assert w.alpha == tuple(numbers.pop(name) for name in alpha)
    assert {name: getattr(w, name) for name in numbers} == numbers


@pytest.mark.parametrize("name", ["paper-256", "paper-144", "cpu", "best", "cyclegan", "pix2pix-cpu"])
def test_on_a_gpu_a_preset_sees_as_many_images_in_larger_batches(name):
    before, after = configured(name).training, configured(name, gigabytes=80.0).training
    assert after.batch > before.batch and after.batch % after.group == 0
    assert after.steps * after.batch == pytest.approx(before.steps * before.batch, rel=0.02)
    assert after.learning_rate == after.critic_rate == 2e-4
    # The average forgets an image after as many others.
    if before.ema:
        assert (1 - after.ema) / after.batch == pytest.approx((1 - before.ema) / before.batch)


def test_a_small_gpu_gets_small_batches_and_a_batch_that_is_given_stays():
    assert [configured("paper-256", gigabytes=g).training.batch for g in (6.0, 12.0, 24.0, 80.0)] == [
        8,
        16,
        32,
        64,
    ]
    given = configured("paper-256", settings=["training.batch=24"], gigabytes=80.0)
    assert given == configured("paper-256", settings=["training.batch=24"])
