"""Checkpoints and generators on disk: what is kept, and what of foreign hands is refused."""

import os
from pathlib import Path

import pytest
import torch
from runs import CPU
from safetensors import safe_open
from safetensors.torch import save_file

from pcfh import __version__
from pcfh.config import overridden, tiny, to_dict
from pcfh.errors import UserError
from pcfh.methods.cyclegan import ResidualGenerator
from pcfh.methods.files import load_generator, save_generator
from pcfh.methods.pcfh.generator import Generator
from pcfh.methods.pix2pix import UNetGenerator
from pcfh.methods.translators import KINDS, Translator, kind_of
from pcfh.training.checkpoint import State, load_checkpoint, save_checkpoint
from pcfh.training.loop import new_state

IDENTITY = {"config": {"training": {"steps": 3, "seed": 0}}, "data": {"protocol": "1"}, "recognizer": None}


def state_of(seed: int, *settings: str) -> State:
    return new_state(overridden(tiny(), [f"training.seed={seed}", *settings]), CPU)


def moved(seed: int) -> State:
    """A state after two updates with random gradients, so that nothing of it is as it began."""
    state = state_of(seed)
    for _ in range(2):
        for parameter in state.model.parameters():
            parameter.grad = torch.randn_like(parameter)
        state.optimizer.step()
        state.step += 1
    with torch.no_grad():
        for parameter in state.average.parameters():
            parameter.add_(torch.randn_like(parameter))
    return state


def saved(path: Path) -> tuple[State, Path]:
    state = moved(1)
    save_checkpoint(path / "checkpoint.pt", state, IDENTITY)
    return state, path / "checkpoint.pt"


@pytest.fixture
def checkpoint(tmp_path):
    return saved(tmp_path)[1]


def test_weights_average_and_step_come_back_bit_for_bit(tmp_path):
    state, path = saved(tmp_path)
    other = state_of(2)
    load_checkpoint(path, other, IDENTITY)
    assert other.step == 2
    for a, b in ((state.model, other.model), (state.average, other.average)):
        assert all(torch.equal(x, b.state_dict()[key]) for key, x in a.state_dict().items())


def test_the_optimizers_moments_and_counts_come_back_bit_for_bit(tmp_path):
    state, path = saved(tmp_path)
    other = state_of(2)
    load_checkpoint(path, other, IDENTITY)
    a, b = (s.optimizer.state_dict()["state"] for s in (state, other))
    assert a.keys() == b.keys()
    assert {"step", "exp_avg", "exp_avg_sq"} == a[0].keys()
    assert all(torch.equal(value, b[i][name]) for i in a for name, value in a[i].items())


def test_the_random_numbers_go_on_where_they_were(checkpoint):
    moved(1)
    expected = torch.rand(5)
    other = state_of(2)
    load_checkpoint(checkpoint, other, IDENTITY)
    assert torch.equal(torch.rand(5), expected)


def test_the_next_update_is_the_same_after_loading(tmp_path):
    state, path = saved(tmp_path)
    other = state_of(2)
    load_checkpoint(path, other, IDENTITY)
    for s in (state, other):
        for parameter in s.model.parameters():
            parameter.grad = torch.ones_like(parameter)
        s.optimizer.step()
    assert all(
        torch.equal(x, y) for x, y in zip(state.model.parameters(), other.model.parameters(), strict=True)
    )


def test_saving_over_a_checkpoint_leaves_one_file(checkpoint):
    save_checkpoint(checkpoint, moved(2), IDENTITY)
    assert [path.name for path in checkpoint.parent.iterdir()] == ["checkpoint.pt"]


def test_a_cut_off_checkpoint_is_refused_with_a_remedy(checkpoint):
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1000])
    with pytest.raises(UserError, match=r"checkpoint\.pt: not a readable checkpoint.*new run folder"):
        load_checkpoint(checkpoint, state_of(2), IDENTITY)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04", bytes(1000)])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, content):
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(UserError, match="not a readable checkpoint"):
        load_checkpoint(tmp_path / "checkpoint.pt", state_of(2), IDENTITY)


@pytest.mark.parametrize("content", [{"format": 1}, {"state_dict": {}}, [1], {"format": 99}])
def test_a_foreign_file_of_torch_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "checkpoint.pt")
    with pytest.raises(UserError, match="not a checkpoint of this version"):
        load_checkpoint(tmp_path / "checkpoint.pt", state_of(2), IDENTITY)


class Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def bomb(tmp_path):
    torch.save({"format": 1, "model": Bomb(tmp_path / "exploded")}, tmp_path / "checkpoint.pt")
    return tmp_path / "checkpoint.pt"


def test_the_bomb_of_these_tests_works(bomb):
    torch.load(bomb, weights_only=False)
    assert (bomb.parent / "exploded").exists()


def test_code_in_a_checkpoint_is_not_run(bomb):
    with pytest.raises(UserError, match="not a readable checkpoint"):
        load_checkpoint(bomb, state_of(2), IDENTITY)
    assert not (bomb.parent / "exploded").exists()


def test_nobody_is_told_to_switch_the_protection_off(bomb):
    with pytest.raises(UserError, match=r"^[^\n]*$") as caught:
        load_checkpoint(bomb, state_of(2), IDENTITY)
    assert "weights_only" not in str(caught.value)


def test_another_run_is_refused_and_every_difference_named(checkpoint):
    wanted = {"config": {"training": {"steps": 4, "seed": 0}}, "data": {"protocol": "2"}, "recognizer": "ab"}
    with pytest.raises(UserError, match="belongs to another run") as caught:
        load_checkpoint(checkpoint, state_of(2), wanted)
    assert str(caught.value).split("\n")[1:-1] == [
        "  config.training.steps: the run has 3, now 4",
        "  data.protocol: the run has '1', now '2'",
        "  recognizer: the run has None, now 'ab'",
    ]


def test_a_setting_that_only_one_of_two_versions_knows_is_a_difference(checkpoint):
    wanted = {**IDENTITY, "config": {"training": {"steps": 3, "seed": 0, "new": 1.5}}}
    with pytest.raises(UserError, match=r"config\.training\.new: the run has None, now 1\.5"):
        load_checkpoint(checkpoint, state_of(2), wanted)


def test_a_run_of_a_version_that_did_not_know_a_setting_goes_on_with_its_default(tmp_path):
    config = to_dict(tiny())
    del config["objective"]["lambda_people"]
    save_checkpoint(tmp_path / "old.pt", moved(1), {**IDENTITY, "config": config})
    state = state_of(2)
    load_checkpoint(tmp_path / "old.pt", state, {**IDENTITY, "config": to_dict(tiny())})
    assert state.step == 2
    other = to_dict(overridden(tiny(), ["objective.lambda_people=2"]))
    with pytest.raises(UserError, match=r"objective\.lambda_people: the run has 0\.0, now 2\.0"):
        load_checkpoint(tmp_path / "old.pt", state, {**IDENTITY, "config": other})


def test_a_refused_checkpoint_leaves_the_state_as_it_was(checkpoint):
    state = state_of(2)
    before = {key: value.clone() for key, value in state.model.state_dict().items()}
    with pytest.raises(UserError, match="belongs to another run"):
        load_checkpoint(checkpoint, state, {})
    assert state.step == 0
    assert all(torch.equal(value, state.model.state_dict()[key]) for key, value in before.items())


def test_networks_of_another_shape_are_refused(checkpoint):
    with pytest.raises(UserError, match=f"written by pcfh {__version__}, whose networks were others"):
        load_checkpoint(checkpoint, state_of(2, "networks.critic_width=4"), IDENTITY)


ABOUT = {"step": 7, "protocol": "1"}


@pytest.fixture
def generator():
    torch.manual_seed(0)
    return Generator(size=64, width=4, blocks=1, local_blocks=1)


@pytest.fixture
def generator_file(generator, tmp_path):
    save_generator(tmp_path / "generator.safetensors", generator, ABOUT)
    return tmp_path / "generator.safetensors"


def test_a_generator_comes_back_bit_for_bit(generator, generator_file):
    loaded, _ = load_generator(generator_file)
    assert loaded.arguments == generator.arguments
    assert loaded.state_dict().keys() == generator.state_dict().keys()
    assert all(torch.equal(x, loaded.state_dict()[key]) for key, x in generator.state_dict().items())


def test_a_loaded_generator_is_for_use_not_for_training(generator_file):
    loaded, _ = load_generator(generator_file)
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_a_generator_says_where_it_comes_from(generator_file):
    assert load_generator(generator_file)[1] == {**ABOUT, "version": __version__}


def test_a_loaded_generator_outlives_its_file(generator, generator_file):
    loaded, _ = load_generator(generator_file)
    with generator_file.open("r+b") as file:
        file.write(bytes(generator_file.stat().st_size))
    assert all(torch.equal(x, loaded.state_dict()[key]) for key, x in generator.state_dict().items())


def test_an_absent_generator_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.safetensors: no such file; expected the generator"):
        load_generator(tmp_path / "none.safetensors")


@pytest.mark.parametrize("keep", [0, 4, 200, -1])
def test_a_cut_off_generator_is_refused(generator_file, keep):
    generator_file.write_bytes(generator_file.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"generator\.safetensors: not a readable safetensors file"):
        load_generator(generator_file)


def test_weights_of_something_else_are_refused(tmp_path):
    save_file({"conv.weight": torch.zeros(3)}, tmp_path / "recognizer.safetensors")
    with pytest.raises(UserError, match=r"expected a generator .*, got no format mark; use the generator"):
        load_generator(tmp_path / "recognizer.safetensors")


def rewritten(path: Path, weights: dict[str, torch.Tensor] | None = None, **metadata: str) -> None:
    with safe_open(path, framework="pt") as file:
        old = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
        marks = {**file.metadata(), **metadata}
    save_file(old if weights is None else weights, path, marks)


@pytest.mark.parametrize(
    "arguments",
    [
        '{"size": 64, "width": 8, "blocks": 1, "local_blocks": 1}',
        '{"size": 64, "width": 100000, "blocks": 1, "local_blocks": 1}',
        '{"size": 77, "width": 4, "blocks": 1, "local_blocks": 1}',
        '{"size": 64}',
        "[]",
        "{",
    ],
)
def test_a_description_that_the_weights_do_not_fit_is_refused(generator_file, arguments):
    rewritten(generator_file, arguments=arguments)
    with pytest.raises(UserError, match="its weights do not fit its own description"):
        load_generator(generator_file)


SMALL = {
    "pcfh": Generator(size=64, width=4, blocks=1, local_blocks=1),
    "pix2pix": UNetGenerator(size=64, width=4),
    "cyclegan": ResidualGenerator(size=64, width=4, blocks=1),
}


def test_every_kind_of_translator_is_tried():
    assert SMALL.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", SMALL)
def test_a_file_names_its_kind_and_comes_back_as_that(kind, tmp_path):
    network: Translator = SMALL[kind]
    save_generator(tmp_path / "g.safetensors", network, ABOUT)
    with safe_open(tmp_path / "g.safetensors", framework="pt") as file:
        assert file.metadata()["kind"] == kind == kind_of(network)
    loaded, _ = load_generator(tmp_path / "g.safetensors")
    assert (type(loaded), loaded.arguments) == (type(network), network.arguments)
    assert all(torch.equal(x, loaded.state_dict()[key]) for key, x in network.state_dict().items())


def test_a_file_of_an_earlier_version_names_no_kind_and_is_pcfhs(generator, generator_file):
    with safe_open(generator_file, framework="pt") as file:
        marks = {key: value for key, value in file.metadata().items() if key != "kind"}
    save_file(generator.state_dict(), generator_file, marks)
    loaded, _ = load_generator(generator_file)
    assert all(torch.equal(x, loaded.state_dict()[key]) for key, x in generator.state_dict().items())


def test_an_unknown_kind_is_refused_and_named(generator_file):
    rewritten(generator_file, kind="stargan")
    with pytest.raises(UserError, match=r"kinds pcfh, pix2pix, cyclegan, got 'stargan'; it was written by"):
        load_generator(generator_file)


def test_a_false_kind_is_refused(generator_file):
    rewritten(generator_file, kind="cyclegan")
    with pytest.raises(UserError, match="its weights do not fit its own description"):
        load_generator(generator_file)


def test_others_may_read_a_generator_as_any_file(generator_file, tmp_path):
    (tmp_path / "plain").touch()
    assert generator_file.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_generator_without_some_of_its_weights_is_refused(generator_file):
    rewritten(generator_file, {"whole.first.0.weight": torch.zeros(4, 3, 5, 5)})
    with pytest.raises(UserError, match="its weights do not fit its own description"):
        load_generator(generator_file)


def test_half_precision_weights_are_widened(generator, generator_file):
    rewritten(generator_file, {key: value.half() for key, value in generator.state_dict().items()})
    loaded, _ = load_generator(generator_file)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
