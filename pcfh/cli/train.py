"""The command that trains a method."""

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from tqdm import tqdm

from pcfh import config as configuration
from pcfh.cli.app import progress_bar, stop_signals
from pcfh.runtime import keep_freed_memory, start_runtime
from pcfh.training.loop import GENERATOR, Hooks, Job
from pcfh.training.loop import train as run_train


def train(  # noqa: PLR0913 - one argument per option of the command
    data: Path,
    run: Path,
    *,
    preset: str = "paper-256",
    settings: Annotated[tuple[str, ...], Parameter(name="--set", consume_multiple=True, negative="")] = (),
    protocol: str = "1",
    recognizer: Path | None = None,
    truth: Path | None = None,
    init: Path | None = None,
    device: str = "auto",
) -> int:
    """Train on a prepared database; called again with the same settings, it goes on where it stopped.

    On several GPUs or machines: torchrun --nproc-per-node N -m pcfh train ...

    Args:
        data: folder made by pcfh prepare.
        run: folder of this run: checkpoint, generator, pictures, TensorBoard.
        preset: paper-256, paper-144, cpu, best, rendered or tiny; pix2pix, cyclegan, pix2pix-cpu or
            cyclegan-cpu train those methods.
        settings: overrides such as training.steps=5000; pcfh settings lists them.
        protocol: whose training list to use, e.g. 1 for the first fold.
        recognizer: Light CNN checkpoint for the identity loss.
        truth: the rendered database that was prepared, for the preset rendered: its true VIS images.
        init: generator.safetensors to start from, of the same preset, e.g. one trained on other people.
        device: auto, cpu, cuda or cuda:1.
    """
    config = configuration.overridden(configuration.preset(preset), settings)
    job = Job(
        prepared=data,
        protocol=protocol,
        run=run,
        config=config,
        recognizer=recognizer,
        truth=truth,
        start=init,
    )
    keep_freed_memory()
    steps = config.training.steps
    with start_runtime(device) as runtime, stop_signals() as stopped:
        with progress_bar("steps", steps, shown=runtime.is_first) as bar:
            hooks = Hooks(on_step=partial(_show_step, bar), should_stop=lambda: bool(stopped))
            state = run_train(job, runtime, hooks)
        if runtime.is_first and state.step < steps:
            print(f"Stopped at step {state.step}; the same command goes on.", file=sys.stderr)
        elif runtime.is_first:
            print(f"Done: {run / GENERATOR}")
    return 128 + stopped[0] if stopped and state.step < steps else 0


def _show_step(bar: "tqdm[None]", step: int, values: Mapping[str, float]) -> None:
    if not bar.n:  # steps of an earlier call took none of this one's time
        bar.initial = bar.n = bar.last_print_n = step - 1
    bar.update(step - bar.n)
    losses = {name[5:]: f"{value:.3f}" for name, value in values.items() if name.startswith("loss/")}
    bar.set_postfix(losses, refresh=False)
