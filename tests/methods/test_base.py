"""What the loop asks of a method, and that runs of each can be stopped and go on bit for bit."""

from pathlib import Path

import pytest
import torch
from runs import CPU, SETTINGS, TORCHRUN, assert_same_bits, finish, job, stop_after, weights
from smooth import batch

from pcfh.methods.base import built_in
from pcfh.methods.find import overridden, preset
from pcfh.methods.train import MethodLearner, picture_grid, train
from pcfh.runtime import Runtime
from pcfh.training.loop import CHECKPOINT, Callbacks, TrainingStoppedError, begin, seed_step, update

METHODS = tuple(built_in())
SMALL = {
    "pcfh": (),
    "adfl": ("training.method=adfl", "baseline.width=4", "baseline.blocks=1", "baseline.pool=3"),
    "csh": ("training.method=csh", "hallucination.channels=4"),
    "pix2pix": ("training.method=pix2pix", "baseline.width=4"),
    "cyclegan": ("training.method=cyclegan", "baseline.width=4", "baseline.blocks=1", "baseline.pool=3"),
}


def task_of(method: str, *settings: str) -> MethodLearner:
    return MethodLearner(overridden(preset("tiny"), [*SETTINGS, *SMALL[method], *settings]), CPU)


def test_the_methods_of_the_folder_are_found():
    assert METHODS == ("pcfh", "adfl", "csh", "cyclegan", "pix2pix")


@pytest.mark.parametrize("name", METHODS)
def test_generator_and_critics_are_different_networks_of_the_method(name):
    trainer = task_of(name).trainer
    networks = set(trainer.networks.modules())
    critics = {module for critic in trainer.critics for module in critic.modules()}
    assert critics < networks and trainer.generator in networks - critics
    assert trainer.generator.size == trainer.generator.arguments["size"]


@pytest.mark.parametrize("name", METHODS)
def test_every_parameter_learns_at_the_rate_of_its_kind(name):
    task = task_of(name, "training.learning_rate=0.25", "training.critic_rate=0.75")
    rates = {p: group["lr"] for group in task.optimizer().param_groups for p in group["params"]}
    critics = {p for critic in task.trainer.critics for p in critic.parameters()}
    assert rates == {p: 0.75 if p in critics else 0.25 for p in task.networks.parameters()}


@pytest.mark.parametrize("name", METHODS)
def test_every_parameter_gets_a_gradient_and_none_moves(name):
    trainer = task_of(name).trainer
    before = [p.detach().clone() for p in trainer.networks.parameters()]
    values = trainer.compute_gradients(batch(4))
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.networks.parameters(), strict=True))
    assert all(p.grad is not None for p in trainer.networks.parameters())
    assert not any(value.requires_grad for value in values.values())


@pytest.mark.parametrize("name", METHODS)
def test_without_a_moving_average_the_last_weights_translate(name):
    task = task_of(name, "training.ema=0")
    state = begin(task)
    task.trainer.compute_gradients(batch(4))
    update(state, task)
    kept, last = state.average.state_dict(), task.result.state_dict()
    assert all(torch.equal(kept[key], value) for key, value in last.items())


@pytest.mark.parametrize(
    ("name", "titles"),
    [
        ("pcfh", ("NIR", "VIS", "warped", "attention", "output")),
        ("pix2pix", ("NIR", "VIS", "output")),
        ("cyclegan", ("NIR", "VIS", "back to NIR", "output")),
    ],
)
def test_a_grid_has_a_titled_row_of_each_kind_and_a_column_of_each_pair(name, titles):
    task = task_of(name)
    grid, rows = picture_grid(task.result, task.trainer, batch(3))
    assert rows == titles
    assert grid.shape == (3, 64 * len(titles), 64 * 3)


@pytest.fixture(scope="module", params=["pix2pix", "cyclegan", "csh"])
def settings(request) -> tuple[str, ...]:
    return SMALL[request.param]


def test_stopped_and_resumed_a_baseline_gives_the_same_bits(settings, drawn_prepared, tmp_path):
    """Dropout and the pool of old fakes included: it is full before the stop, and drawn from after it."""
    train(job(drawn_prepared, tmp_path / "whole", *settings), CPU)
    part = job(drawn_prepared, tmp_path / "part", *settings)
    assert train(part, CPU, Callbacks(should_stop=stop_after(3))).step == 3
    train(part, CPU)
    assert_same_bits(tmp_path / "whole", tmp_path / "part")


def test_the_pools_are_kept_in_the_checkpoint(drawn_prepared, tmp_path):
    given = job(drawn_prepared, tmp_path, *SMALL["cyclegan"], "training.steps=1")
    state = train(given, CPU)
    kept = weights(tmp_path)
    assert kept["old_vis.seen"] == kept["old_nir.seen"] == 4
    assert torch.equal(kept["old_vis.images"], state.networks.old_vis.images)
    assert kept["old_vis.images"].flatten(1).std(1).min() > 0


def test_a_baseline_that_leaves_the_real_numbers_is_stopped(settings, drawn_prepared, tmp_path):
    given = job(drawn_prepared, tmp_path, *settings)
    train(given, CPU, Callbacks(should_stop=stop_after(1)))
    content = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    last = next(key for key in reversed(content["networks"]) if key.endswith("bias"))
    content["networks"][last][:] = 3e38
    torch.save(content, tmp_path / CHECKPOINT)
    with pytest.raises(TrainingStoppedError, match=r"not finite at step 2: .*checkpoint\.pt"):
        train(given, CPU)


def test_what_is_drawn_depends_on_seed_step_and_process_alone():
    def drawn(*place: int) -> float:
        seed_step(*place)
        return torch.rand(()).item()

    places = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    assert len({drawn(*place) for place in places}) == 4
    assert [drawn(*place) for place in places] == [drawn(*place) for place in places]


def test_a_process_takes_its_part_of_a_batch():
    batch_of_all = torch.arange(6.0)[:, None]
    parts = [Runtime(rank=r, processes=3, device=torch.device("cpu")).part(batch_of_all) for r in range(3)]
    assert [part.flatten().tolist() for part in parts] == [[0, 1], [2, 3], [4, 5]]


def test_alone_a_process_has_the_whole_batch():
    images = torch.rand(2, 3, 4, 4)
    assert CPU.gather(images) is images
    assert torch.equal(CPU.part(images), images)


@pytest.mark.slow
def test_two_processes_share_one_pool_which_is_that_of_one_process_and_resume_exactly(
    drawn_prepared, tmp_path
):
    more = (*SMALL["cyclegan"], "training.learning_rate=1e-6", "training.critic_rate=1e-6")
    train(job(drawn_prepared, tmp_path / "one", *more), CPU)
    script = str(Path(__file__).parents[1] / "two_processes.py")
    finish([*TORCHRUN, script, str(drawn_prepared), str(tmp_path), *more])
    one, two = weights(tmp_path / "one"), weights(tmp_path / "whole")
    assert one["old_vis.seen"] == two["old_vis.seen"] == 24
    torch.testing.assert_close(two["old_vis.images"], one["old_vis.images"], atol=0.01, rtol=0)
    assert_same_bits(tmp_path / "whole", tmp_path / "part")
