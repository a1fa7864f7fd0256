import dataclasses
import json

import numpy as np
import pytest
import torch

from pcfh import config as C
from pcfh.errors import UserError
from pcfh.methods.base import term_weights
from pcfh.methods.pcfh.losses import reconstruction_loss
from pcfh.runtime import Runtime
from pcfh.training.loop import new_state


@pytest.mark.parametrize("name", C.PRESETS)
def test_every_preset_is_valid(name):
    C.validate(C.preset(name))


@pytest.mark.parametrize("name", C.PRESETS)
def test_every_preset_builds_networks_of_its_size(name):
    config = C.preset(name)
    with torch.device("meta"):
        state = new_state(config, Runtime(rank=0, processes=1, device=torch.device("meta")))
    assert state.method.translator.size == state.average.size == config.training.size


@pytest.mark.parametrize("method", ["pix2pix", "cyclegan"])
def test_the_presets_of_the_baselines_have_the_published_recipe(method):
    config = C.preset(method)
    t, b = config.training, config.baseline
    assert (t.method, t.size, t.batch, t.learning_rate, t.critic_rate) == (method, 256, 1, 2e-4, 2e-4)
    assert (t.beta_1, t.beta_2, t.constant, t.ema) == (0.5, 0.999, 0.5, 0.0)
    assert (b.width, b.blocks, b.lambda_l1, b.lambda_cycle, b.pool) == (64, 9, 100.0, 10.0, 50)


@pytest.mark.parametrize(
    ("name", "like"),
    [("pix2pix", "paper-256"), ("cyclegan", "paper-256"), ("pix2pix-cpu", "cpu"), ("cyclegan-cpu", "cpu")],
)
def test_a_baseline_sees_as_many_images_as_pcfh(name, like):
    ours, theirs = (C.preset(preset).training for preset in (like, name))
    assert theirs.steps * theirs.batch == ours.steps * ours.batch
    assert theirs.size == ours.size


@pytest.mark.parametrize("name", ["pix2pix", "cyclegan", "pix2pix-cpu", "cyclegan-cpu"])
def test_a_baseline_needs_no_recogniser(name):
    assert C.preset(name).objective.lambda_id == 0


@pytest.mark.parametrize("name", ["paper-256", "paper-144"])
def test_the_papers_presets_have_the_papers_weights(name):
    w = term_weights(C.preset(name), torch.device("cpu"))
    assert (w.lambda_rec, w.lambda_id, w.lambda_y, w.lambda_awm) == (2.5e-5, 0.002, 0.1, 2.5e-5)
    assert (w.lambda_mic, *w.alpha) == (0.1, 3.0, 0.003, 1e-6)


def test_an_unknown_preset_lists_the_known_ones():
    with pytest.raises(
        UserError,
        match=r"no preset 'papr'; known: paper-256, paper-144, cpu, best, rendered, tiny, pix2pix, ",
    ):
        C.preset("papr")


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("training.steps=7", 7),
        ("training.learning_rate=1e-3", 0.001),
        ("training.learning_rate=1", 1.0),
        ("training.precision=fp32", "fp32"),
        ("training.precision=BF16", "bf16"),
        ("training.method=CycleGAN", "cyclegan"),
        ("baseline.lambda_identity=5", 5.0),
        ("baseline.pool=0", 0),
        ("training.flip=false", False),
        ("objective.mic=False", False),
        ("objective.awm=TRUE", True),
        (" networks.critic_width = 5 ", 5),
    ],
)
def test_an_override_has_the_type_of_its_field(assignment, value):
    group, _, name = assignment.partition("=")[0].strip().partition(".")
    got = getattr(getattr(C.overridden(C.cpu(), [assignment]), group), name)
    assert (got, type(got)) == (value, type(value))


def test_an_override_leaves_all_other_fields_as_they_were():
    changed = C.overridden(C.cpu(), ["training.steps=7", "objective.penalty=3"])
    back = [f"training.steps={C.cpu().training.steps}", "objective.penalty=10"]
    assert C.overridden(changed, back) == C.cpu()


def test_the_last_of_two_overrides_of_one_field_counts():
    assert C.overridden(C.cpu(), ["training.seed=1", "training.seed=2"]).training.seed == 2


@pytest.mark.parametrize("key", ["training.stepz", "steps", "training", "", "Training.steps", "a.b.c"])
def test_an_unknown_setting_lists_every_known_one(key):
    with pytest.raises(UserError, match="unknown setting") as caught:
        C.overridden(C.cpu(), [f"{key}=1"])
    fields = [f"{g.name}.{f.name}" for g in dataclasses.fields(C.Config) for f in dataclasses.fields(g.type)]
    assert str(caught.value).split("\n  ")[1:] == fields


def test_a_setting_without_a_value_says_so():
    with pytest.raises(UserError, match=r"'training\.steps' has no value; expected training\.steps=VALUE"):
        C.overridden(C.cpu(), ["training.steps"])


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("training.steps=many", "a whole number"),
        ("training.steps=1.5", "a whole number"),
        ("training.steps=", "a whole number"),
        ("training.ema=high", "a number"),
        ("training.learning_rate=nan", "a finite number"),
        ("objective.penalty=inf", "a finite number"),
        ("training.flip=1", "true or false"),
        ("objective.awm=no", "true or false"),
        ("training.precision=fp16", "auto or fp32 or bf16"),
        ("training.method=stargan", "pcfh or pix2pix or cyclegan"),
    ],
)
def test_a_value_of_another_type_is_refused(assignment, expected):
    with pytest.raises(UserError, match=f"{assignment}: expected {expected}$"):
        C.overridden(C.cpu(), [assignment])


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("training.group=1", "at least 2"),
        ("training.batch=0", "a positive number"),
        ("training.batch=-8", "a positive number"),
        ("training.batch=12", r"expected a multiple of processes x training\.group = 1 x 8"),
        ("training.steps=0", "a positive number"),
        ("training.learning_rate=0", "a positive number"),
        ("training.critic_rate=0", "a positive number"),
        ("training.checkpoint_every=0", "a positive number"),
        ("training.seed=-1", "no negative number"),
        ("training.warp_cache_mb=-1", "no negative number"),
        ("training.ema=1", "0 <= value < 1"),
        ("training.constant=1", "0 <= value < 1"),
        ("training.beta_1=1.5", "0 <= value < 1"),
        ("objective.lambda_rec=-1e-5", "no negative number"),
        ("objective.reference_size=0", "a positive number"),
        ("networks.attention_width=0", "a positive number"),
        ("baseline.width=0", "a positive number"),
        ("baseline.lambda_l1=-1", "no negative number"),
    ],
)
def test_a_value_that_cannot_work_is_refused_by_name(assignment, message):
    with pytest.raises(UserError, match=assignment.partition("=")[0] + ".*" + message):
        C.validate(C.overridden(C.cpu(), [assignment]))


@pytest.mark.parametrize(
    "assignment",
    [
        "objective.lambda_id=0",
        "training.seed=0",
        "networks.generator_blocks=0",
        "training.ema=0",
        "baseline.blocks=0",
        "baseline.lambda_identity=0",
        "baseline.pool=0",
    ],
)
def test_zero_is_allowed_where_it_means_something(assignment):
    C.validate(C.overridden(C.cpu(), [assignment]))


def test_the_batch_must_fit_the_number_of_processes():
    config = C.overridden(C.cpu(), ["training.batch=16"])
    C.validate(config, processes=2)
    with pytest.raises(UserError, match="3 x 8"):
        C.validate(config, processes=3)


def test_the_baselines_have_no_groups_so_any_batch_that_can_be_shared_will_do():
    config = C.overridden(C.preset("pix2pix-cpu"), ["training.batch=6"])
    C.validate(config, processes=3)
    with pytest.raises(UserError, match=r"training\.batch=6: expected a multiple of the processes, 4"):
        C.validate(config, processes=4)


def test_the_learning_rates_are_constant_and_then_fall_linearly_to_zero():
    config = C.overridden(C.cpu(), ["training.steps=10", "training.constant=0.6"])
    factors = [C.rate_factor(config, step) for step in range(11)]
    np.testing.assert_allclose(factors, [1.0] * 7 + [0.75, 0.5, 0.25, 0.0], atol=1e-12)


def test_without_a_constant_part_the_learning_rates_fall_from_the_first_step():
    config = C.overridden(C.cpu(), ["training.steps=4", "training.constant=0"])
    assert [C.rate_factor(config, step) for step in range(4)] == [1.0, 0.75, 0.5, 0.25]


@pytest.mark.parametrize("size", [64, 128, 256])
def test_the_same_mean_error_weighs_the_same_at_every_size(size):
    objective = C.Objective(reference_size=144)

    def weighted(side: int) -> float:
        image = torch.full((2, 3, side, side), 0.25)
        error = reconstruction_loss(image, torch.zeros_like(image)).item()
        return C.pixel_weight(objective.lambda_rec, objective, side) * error

    assert weighted(144) == pytest.approx(2.5e-5 * 0.25 * 3 * 144**2)
    assert weighted(size) == pytest.approx(weighted(144))


@pytest.mark.parametrize("name", C.PRESETS)
def test_a_configuration_comes_back_from_json(name):
    config = C.preset(name)
    assert C.from_dict(json.loads(json.dumps(C.to_dict(config)))) == config


def test_a_configuration_cannot_be_changed():
    config = C.cpu()
    with pytest.raises(dataclasses.FrozenInstanceError, match="steps"):
        config.training.steps = 1


def test_every_setting_of_the_objective_that_a_term_has_reaches_it():
    """Each number stands in the terms under its own name, the three alphas together."""
    numbers = {
        f.name: f.default + 0.5 for f in dataclasses.fields(C.Objective) if isinstance(f.default, float)
    }
    config = dataclasses.replace(C.tiny(), objective=C.Objective(**numbers, reference_size=64))
    w = term_weights(config, torch.device("cpu"))
    alpha = ("alpha_fit", "alpha_rank", "alpha_sparse")
    assert w.alpha == tuple(numbers.pop(name) for name in alpha)
    assert {name: getattr(w, name) for name in numbers} == numbers
