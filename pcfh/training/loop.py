"""The one training loop: fetch, compute gradients, update, average, log, validate, save.

It knows neither methods nor recognisers nor databases: what is trained is a ``Task``. A run lives in one
folder, which one process at a time may work in:

    config.toml                 its settings, which ``--config`` takes back
    checkpoint.pt               to resume the run
    <weights>.safetensors       the moving average of what the run is for
    <weights>-<n>.safetensors   the same after n images, where a run keeps some
    best.safetensors            the same where it scored best on the people held out
    metrics.csv tensorboard/ pictures/    what it shows of itself

The same command resumes a run that was stopped, bit for bit. A run that is extended past its planned end goes
on with the learning rate that a run of the new length has at that step.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from pcfh.errors import UserError
from pcfh.files import locked, remove_leftovers, write_atomically
from pcfh.runtime import Runtime
from pcfh.training.checkpoint import STEPS, State, load_checkpoint, save_checkpoint
from pcfh.training.monitor import Monitor
from pcfh.training.readings import Reading, Readings

CHECKPOINT, BEST, SETTINGS = "checkpoint.pt", "best.safetensors", "config.toml"


class TrainingStoppedError(UserError):
    """The objective left the real numbers or its bounds; the weights of the last checkpoint are good."""


class Learner(ABC):
    """The networks of a training, and how they are moved; without data.

    Attributes:
        pace: settings with ``steps``, ``ema``, ``log_every``, ``validate_every`` and ``checkpoint_every``.
        networks: all that learn.
        result: the one of them whose moving average the run is for.
    """

    pace: Any
    networks: nn.Module
    result: nn.Module

    @abstractmethod
    def optimizer(self) -> torch.optim.Optimizer:
        """A new optimizer of all networks; each of its groups has a "full_rate"."""

    @abstractmethod
    def rate_factor(self, step: int) -> float:
        """What the learning rates of a step are multiplied by."""


class Task(Learner):
    """What is trained, and on what; subclass it.

    Attributes:
        weights_file: name of the file that the average is written to.
        image_every: steps between picture grids; 0 where there is nothing to see.
        settings: what stands in the run's configuration file.
        identity: what must be the same when the run is resumed, as plain data.
        bounds: numbers of a step above which the training is lost, by name.
        notes: what the user should know, one line each; complete once prepared.
    """

    weights_file: str
    image_every: int = 0
    settings: str
    identity: Mapping[str, Any]
    bounds: Mapping[str, float] = {}
    notes: Sequence[str] = ()

    def prepare(self) -> None:
        """Does what costs time and is needed before the first step."""

    @abstractmethod
    def fetch(self, step: int) -> Any:
        """What a step sees, on the CPU; called in another thread, one step ahead."""

    @abstractmethod
    def compute_gradients(self, step: int, fetched: Any) -> dict[str, Tensor]:
        """Fills ``grad`` of all networks; gives numbers to be logged, by name."""

    def validate(self, average: nn.Module) -> Mapping[str, float]:
        """Figures on the people held out, by name; none where nobody is.

        The weights where they are largest, the first figure first, are kept as the best.
        """
        return {}

    def pictures(self, average: nn.Module) -> tuple[UInt8[Tensor, "3 h w"], Sequence[str]]:
        """A picture grid and the titles of its rows; asked for only where ``image_every`` is not 0."""
        raise TypeError(f"{type(self).__name__} has no pictures; its image_every has to be 0")

    @abstractmethod
    def save(self, path: Path, average: nn.Module, step: int) -> None:
        """Writes the weights that the run is for."""

    def keep(self, run: Path, average: nn.Module, step: int) -> None:
        """Called after each step: writes them under a name of their own where they are to be kept."""


@dataclass(frozen=True, kw_only=True)
class Callbacks:
    """What the caller does while a run goes on.

    Attributes:
        on_step: called on the first process for each step with its number (from 1) and its values; on a GPU
            after the next step was started, where nothing is due.
        on_note: called on the first process before the first step, with each line of the task's notes.
        should_stop: asked at each step; true saves after it, or on a GPU after the next, and ends the run.
    """

    on_step: Callable[[int, Mapping[str, float]], None] = lambda step, values: None
    on_note: Callable[[str], None] = lambda note: None
    should_stop: Callable[[], bool] = lambda: False


def run_task(
    task: Task, run: Path, runtime: Runtime, callbacks: Callbacks | None = None, *, extend: bool = False
) -> State:
    """Trains to the end, or until asked to stop; resumes the run that is in the folder.

    Args:
        task: what to train.
        run: the run's folder.
        runtime: this process among the others.
        callbacks: see there.
        extend: whether the run may train past the end that was planned when it began.

    Returns:
        The last state; its ``step`` is less than planned where the run was stopped.

    Raises:
        UserError: the folder holds another run, or another process works in it.
        TrainingStoppedError: a value was not finite, or above its bound.
    """
    identity = {**task.identity, STEPS: task.pace.steps}
    with ExitStack() as stack:
        if runtime.is_first:
            busy = f"{run}: another process is training there; wait for it, or name another run folder"
            stack.enter_context(locked(run, busy))
        state = begin(task)
        if (run / CHECKPOINT).exists():
            load_checkpoint(run / CHECKPOINT, state, identity, extend=extend)
        runtime.wait()  # before the first process may replace the checkpoint that the others are reading
        if runtime.is_first:
            remove_leftovers(run)
            write_atomically(run / SETTINGS, task.settings.encode())
        if state.step < task.pace.steps:
            callbacks = callbacks or Callbacks()
            task.prepare()
            for note in task.notes if runtime.is_first else ():
                callbacks.on_note(note)
            monitor = stack.enter_context(_monitor(run, state.step)) if runtime.is_first else None
            _loop(state, task, run, runtime, callbacks, monitor, identity)
    return state


def begin(learner: Learner) -> State:
    """The state before the first step: an optimizer that has not moved, an average that is the network."""
    average = deepcopy(learner.result).eval().requires_grad_(False)
    return State(networks=learner.networks, average=average, optimizer=learner.optimizer())


def _loop(
    state: State,
    task: Task,
    run: Path,
    runtime: Runtime,
    callbacks: Callbacks,
    monitor: Monitor | None,
    identity: Mapping[str, Any],
) -> None:
    pace, stop, readings = task.pace, False, Readings(runtime)
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(task.fetch, state.step)
        while state.step < pace.steps and not stop:
            fetched = coming.result()
            coming = pool.submit(task.fetch, state.step + 1)
            tensors = task.compute_gradients(state.step, fetched)
            readings.put(state.step + 1, tensors, callbacks.should_stop())
            runtime.average_gradients(state.networks.parameters())
            update(state, task)
            read = list(readings.take(everything=_anything_due(state.step, task)))
            stop = any(reading.stop for reading in read)
            read += readings.take(everything=stop)
            for reading in read:
                _require_good(reading, task, run)
            if monitor is None:
                continue
            for reading in read:
                _tell(reading, state, task, run, callbacks, monitor)
            task.keep(run, state.average, state.step)
            if stop or _due(state.step, pace.checkpoint_every, pace):
                # The checkpoint comes last: a run that says it is finished has its weights.
                task.save(run / task.weights_file, state.average, state.step)
                save_checkpoint(run / CHECKPOINT, state, identity)


def update(state: State, learner: Learner) -> None:
    """Moves all weights along their gradients, and the average after them."""
    factor = learner.rate_factor(state.step)
    for group in state.optimizer.param_groups:
        group["lr"] = group["full_rate"] * factor
    state.optimizer.step()
    state.optimizer.zero_grad(set_to_none=True)
    # A young average follows quickly, so that it forgets the first, random weights.
    decay = min(learner.pace.ema, (1 + state.step) / (10 + state.step))
    with torch.no_grad():
        torch._foreach_lerp_(list(state.average.parameters()), list(learner.result.parameters()), 1 - decay)
    state.step += 1


def seed_step(seed: int, step: int, rank: int) -> None:
    """Seeds what a step draws at random, dropout for one, with a number for each step and process."""
    torch.manual_seed(int(np.random.SeedSequence((seed, step, rank)).generate_state(1)[0]))


def linear_decay(step: int, steps: int, constant: float) -> float:
    """One for a share of the steps, then linear to zero at the last."""
    return min(1.0, (steps - step) / (steps * (1 - constant)))


def _due(step: int, every: int, pace: Any) -> bool:
    return step % every == 0 or step == pace.steps


def _anything_due(step: int, task: Task) -> bool:
    """Whether the numbers of a step are needed before the next one is started."""
    pace = task.pace
    every = (pace.log_every, pace.validate_every, pace.checkpoint_every, task.image_every)
    return any(_due(step, steps, pace) for steps in every if steps)


def _require_good(reading: Reading, task: Task, run: Path) -> None:
    """Refuses numbers that are not finite or above their bounds."""
    infinite = [name for name, value in reading.values.items() if not math.isfinite(value)]
    over = [
        f"{name} {reading.values[name]:.4g} (at most {most:g})"
        for name, most in task.bounds.items()
        if reading.values.get(name, 0.0) > most
    ]
    if not infinite and not over:
        return
    checkpoint = run / CHECKPOINT
    kept = f"the weights in {checkpoint} are good" if checkpoint.exists() else "no checkpoint was written yet"
    if infinite:
        raise TrainingStoppedError(
            f"not finite at step {reading.step}: {', '.join(infinite)}; {kept}. Lower the learning rate, or "
            "set the precision to fp32, in a new run folder"
        )
    raise TrainingStoppedError(
        f"out of bounds at step {reading.step}: {', '.join(over)}; {kept}. Lower the learning rate, or make "
        "the batch smaller, in a new run folder"
    )


def _validated(state: State, task: Task, run: Path) -> Mapping[str, float]:
    """Figures on the people held out, where they are due; the best weights so far are kept."""
    if not _due(state.step, task.pace.validate_every, task.pace):
        return {}
    figures = task.validate(state.average)
    if tuple(figures.values()) > state.best:
        state.best = tuple(figures.values())
        task.save(run / BEST, state.average, state.step)
    return figures


def _tell(
    reading: Reading, state: State, task: Task, run: Path, callbacks: Callbacks, monitor: Monitor
) -> None:
    """Tells the caller and the monitor of a step; only of the latest one is more known than its numbers."""
    if reading.step < state.step:
        callbacks.on_step(reading.step, reading.values)
        return
    figures = _validated(state, task, run)
    callbacks.on_step(state.step, {**reading.values, **figures})
    pace = task.pace
    if figures or _due(state.step, pace.log_every, pace):
        rate = state.optimizer.param_groups[0]["lr"]
        monitor.scalars(state.step, {**reading.values, **figures, "learning_rate": rate})
    if task.image_every and _due(state.step, task.image_every, pace):
        monitor.grid(state.step, *task.pictures(state.average))


@contextmanager
def _monitor(run: Path, step: int) -> Iterator[Monitor]:
    monitor = Monitor(run, step)
    try:
        yield monitor
    finally:
        monitor.close()
