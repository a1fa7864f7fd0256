"""Checkpoints on disk: what is kept, and what of foreign hands is refused."""

import os
from pathlib import Path

import pytest
import torch
from runs import CPU

from pcfh import __version__
from pcfh.errors import UserError
from pcfh.methods.find import overridden, preset
from pcfh.methods.train import MethodLearner
from pcfh.training.checkpoint import State, load_checkpoint, save_checkpoint
from pcfh.training.loop import begin

IDENTITY = {"config": {"training": {"seed": 0}}, "data": {"protocol": "1"}, "recognizer": None, "steps": 3}


def state_of(seed: int, *settings: str) -> State:
    return begin(MethodLearner(overridden(preset("tiny"), [f"training.seed={seed}", *settings]), CPU))


def moved(seed: int) -> State:
    """A state after two updates with random gradients, so that nothing of it is as it began."""
    state = state_of(seed)
    for _ in range(2):
        for parameter in state.networks.parameters():
            parameter.grad = torch.randn_like(parameter)
        state.optimizer.step()
        state.step += 1
    with torch.no_grad():
        for parameter in state.average.parameters():
            parameter.add_(torch.randn_like(parameter))
    state.best = (0.5, 0.25)
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
    assert (other.step, other.best) == (2, (0.5, 0.25))
    for a, b in ((state.networks, other.networks), (state.average, other.average)):
        assert all(torch.equal(x, b.state_dict()[key]) for key, x in a.state_dict().items())


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
        for parameter in s.networks.parameters():
            parameter.grad = torch.ones_like(parameter)
        s.optimizer.step()
    assert all(
        torch.equal(x, y)
        for x, y in zip(state.networks.parameters(), other.networks.parameters(), strict=True)
    )


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
    torch.save({"format": 1, "networks": Bomb(tmp_path / "exploded")}, tmp_path / "checkpoint.pt")
    return tmp_path / "checkpoint.pt"


def test_the_bomb_of_these_tests_works(bomb):
    torch.load(bomb, weights_only=False)
    assert (bomb.parent / "exploded").exists()


def test_code_in_a_checkpoint_is_not_run(bomb):
    with pytest.raises(UserError, match=r"not a readable checkpoint[^\n]*$") as caught:
        load_checkpoint(bomb, state_of(2), IDENTITY)
    assert "weights_only" not in str(caught.value)  # nobody is told to switch the protection off
    assert not (bomb.parent / "exploded").exists()


def test_another_run_is_refused_and_every_difference_named(checkpoint):
    wanted = {"config": {"training": {"seed": 1}}, "data": {"protocol": "2"}, "recognizer": "ab", "steps": 3}
    with pytest.raises(UserError, match="holds another training") as caught:
        load_checkpoint(checkpoint, state_of(2), wanted)
    assert "config.training.seed was 0 and is 1" in str(caught.value)
    assert "data.protocol was '1' and is '2'" in str(caught.value)
    assert "recognizer was None and is 'ab'" in str(caught.value)


def test_another_end_is_refused_unless_it_is_later_and_asked_for(checkpoint):
    for steps, extend in ((2, True), (4, False)):
        with pytest.raises(UserError, match=r"planned to end at step 3, and is now to end at \d; .*--extend"):
            load_checkpoint(checkpoint, state_of(2), {**IDENTITY, "steps": steps}, extend=extend)
    state = state_of(2)
    load_checkpoint(checkpoint, state, {**IDENTITY, "steps": 4}, extend=True)
    assert state.step == 2


def test_a_refused_checkpoint_leaves_the_state_as_it_was(checkpoint):
    state = state_of(2)
    before = {key: value.clone() for key, value in state.networks.state_dict().items()}
    with pytest.raises(UserError, match="holds another training"):
        load_checkpoint(checkpoint, state, {"steps": 3})
    assert state.step == 0
    assert all(torch.equal(value, state.networks.state_dict()[key]) for key, value in before.items())


def test_networks_of_another_shape_are_refused(checkpoint):
    with pytest.raises(UserError, match=f"written by pcfh {__version__}, whose networks were others"):
        load_checkpoint(checkpoint, state_of(2, "networks.critic_width=4"), IDENTITY)


def broken(**values):
    def change(content):
        content.update(values)

    return change


def not_finite(content):
    next(iter(content["average"].values())).fill_(float("nan"))


def wild_rate(content):
    content["optimizer"]["param_groups"][0]["full_rate"] = "fast"


@pytest.mark.parametrize(
    "change",
    [
        *(
            broken(step=-5),
            broken(step=float("nan")),
            broken(step="2"),
            broken(step=99),
            broken(best=["good"]),
        ),
        *(
            broken(rng=[1, 2]),
            broken(identity="[]"),
            broken(identity=5),
            broken(optimizer={}),
            broken(networks=3),
        ),
        *(not_finite, wild_rate),
    ],
)
def test_made_up_content_is_refused(checkpoint, change):
    content = torch.load(checkpoint, weights_only=True)
    change(content)
    torch.save(content, checkpoint)
    with pytest.raises(UserError, match=r"checkpoint\.pt: .*start in a new\s+run folder"):
        load_checkpoint(checkpoint, state_of(2), IDENTITY)


def test_equal_content_gives_equal_bytes(tmp_path):
    _, path = saved(tmp_path)
    other = state_of(2)
    load_checkpoint(path, other, IDENTITY)
    torch.set_rng_state(torch.load(path, weights_only=True)["rng"])
    save_checkpoint(tmp_path / "again.pt", other, IDENTITY)
    assert (tmp_path / "again.pt").read_bytes() == path.read_bytes()
