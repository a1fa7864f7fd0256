"""The second stage: rows are trained, each with its cost.

The cost is kept beside the run and adds up over all calls, those that were killed included (but for the last
few seconds before the kill). Times are in seconds; processor time of a run by several processes is the first
one's, times their number.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pcfh.config import to_plain
from pcfh.errors import UserError
from pcfh.files import sha256_of, write_atomically
from pcfh.hallucinate import Hallucinator
from pcfh.methods.base import Config
from pcfh.methods.job import TrainingJob
from pcfh.methods.train import GENERATOR, train
from pcfh.preparation.manifest import MANIFEST
from pcfh.recipes.order import Order, Run, Watch
from pcfh.recipes.rows import needs_recognizer, row_config
from pcfh.recipes.stages import Stage, is_done, mark_done, was_done, working_in
from pcfh.runtime import Runtime
from pcfh.training.loop import CHECKPOINT, Callbacks

_EVERY = 5.0  # seconds between two notes of the cost


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a training took so far.

    Attributes:
        processor_seconds: of all threads.
        wall_seconds: by the clock.
        device: where it computed last.
    """

    processor_seconds: float = 0.0
    wall_seconds: float = 0.0
    device: str = ""


class Meter:
    """Adds the time that passes to a run's cost.

    Args:
        path: of the file that holds the cost.
        device: where the run computes.
        processes: that work on the run.
    """

    def __init__(self, path: Path, device: str, processes: int = 1) -> None:
        self._path, self._device, self._processes = path, device, processes
        self._before = read_cost(path)
        self._start = (time.process_time(), time.monotonic())
        self._noted = self._start[1]

    def tick(self) -> None:
        """Notes the cost if the last note is old."""
        if time.monotonic() - self._noted >= _EVERY:
            self.note()

    def note(self) -> None:
        """Writes the cost."""
        self._noted = time.monotonic()
        processor = (time.process_time() - self._start[0]) * self._processes
        cost = Cost(
            processor_seconds=self._before.processor_seconds + processor,
            wall_seconds=self._before.wall_seconds + self._noted - self._start[1],
            device=self._device,
        )
        write_atomically(self._path, json.dumps(asdict(cost)).encode())


def read_cost(path: Path) -> Cost:
    """Reads a cost; nothing where there is none yet."""
    try:
        return Cost(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return Cost()


def cost_file(run: Run, work: Path) -> Path:
    """Where the cost of a run is kept."""
    return run.folder(work) / "cost.json"


def generator_file(run: Run, work: Path) -> Path:
    """Where the generator of a run lies."""
    return run.folder(work) / "run" / GENERATOR


def training_stage(order: Order, run: Run, prepared: Path) -> Stage:
    """The training of a run as a stage.

    Args:
        order: what the user wants.
        run: which.
        prepared: folder of CASIA.
    """
    config = _config(order, run)
    inputs: Mapping[str, Any] = {
        "config": to_plain(config),
        "manifest": sha256_of(prepared / MANIFEST),
        "protocol": run.fold,
        "recognizer": sha256_of(order.recognizer) if needs_recognizer(run.row, config) else None,
    }
    folder = run.folder(order.work)
    return Stage(record=folder / "trained.json", inputs=inputs, outputs=(generator_file(run, order.work),))


def train_run(order: Order, run: Run, prepared: Path, runtime: Runtime, watch: Watch) -> bool:
    """Trains a run to its end, unless that is done.

    A generator that is not the one that the training left is not trusted: the training begins anew, and the
    same seed gives the same generator again.

    Args:
        order: what the user wants.
        run: which.
        prepared: folder of CASIA.
        runtime: processes and device.
        watch: what to tell.

    Returns:
        Whether it is at its end; false where it was asked to stop.

    Raises:
        UserError: the folder holds a run of other settings, or another process is at work there.
    """
    stage = training_stage(order, run, prepared)
    if is_done(stage):
        return True
    watch.say(f"Training {run}")
    changed = was_done(stage)
    if not runtime.is_first:
        return _trained(order, run, prepared, runtime, watch, anew=changed)
    with working_in(run.folder(order.work)):
        finished = _trained(order, run, prepared, runtime, watch, anew=changed)
        if finished:
            mark_done(stage)
    return finished


def _trained(order: Order, run: Run, prepared: Path, runtime: Runtime, watch: Watch, *, anew: bool) -> bool:
    """Goes on with a training, or begins it anew, and notes its cost."""
    config = _config(order, run)
    job = TrainingJob(
        prepared=prepared,
        protocol=run.fold,
        run=generator_file(run, order.work).parent,
        config=config,
        recognizer=order.recognizer if needs_recognizer(run.row, config) else None,
    )
    steps = config.training.steps
    meter = Meter(cost_file(run, order.work), str(runtime.device), runtime.processes)

    def on_step(step: int, values: Mapping[str, float]) -> None:
        watch.on_progress(str(run), step, steps)
        meter.tick()

    callbacks = Callbacks(on_step=on_step, should_stop=watch.should_stop)
    try:
        finished = not anew and train(job, runtime, callbacks).step >= steps
        runtime.wait()  # for the file, which the first process writes
        if anew or (finished and not _is_whole(job.run / GENERATOR, steps)):
            (job.run / CHECKPOINT).unlink(missing_ok=True)
            runtime.wait()
            finished = train(job, runtime, callbacks).step >= steps
        return finished
    finally:
        if runtime.is_first:
            meter.note()


def _is_whole(generator: Path, steps: int) -> bool:
    """Whether a generator can be opened and is of the last step."""
    try:
        return Hallucinator.from_file(generator, device="cpu").about.get("step") == steps
    except UserError:
        return False


def _config(order: Order, run: Run) -> Config:
    assert run.seed is not None
    return row_config(run.row, order.scale, run.seed)
