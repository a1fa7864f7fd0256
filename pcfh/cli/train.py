"""The command that trains a generator."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from pcfh.cli.app import Names, Settings, progress_bar, say, stop_signals
from pcfh.errors import UserError
from pcfh.methods.find import DEFAULT_PRESET, configured, presets
from pcfh.methods.job import TrainingJob, check

if TYPE_CHECKING:
    from tqdm import tqdm

    from pcfh.training.loop import Callbacks

# Hidden: who looks for it learns what to do.
Resume = Annotated[bool, Parameter(negative="", show=False)]
Preset = Annotated[str, Parameter(help=f"One of {', '.join(presets())}.")]


def train(  # noqa: PLR0913 - one argument per option of the command
    data: Path,
    run: Path,
    *,
    preset: Preset = DEFAULT_PRESET,
    config: Path | None = None,
    settings: Settings = (),
    protocol: str = "1",
    recognizer: Path | None = None,
    beside: Names = (),
    truth: Path | None = None,
    init: Path | None = None,
    extend: Annotated[bool, Parameter(negative="")] = False,
    resume: Resume = False,
    device: str = "auto",
) -> int:
    """Train on a prepared database. The same command resumes a run that was stopped.

    On several GPUs or machines: torchrun --nproc-per-node N -m pcfh train ...

    Args:
        data: folder made by pcfh prepare.
        run: folder of this run: checkpoint, generator, metrics.csv, pictures, TensorBoard.
        preset: settings to begin with.
        config: configuration file in TOML with settings that differ from the preset, e.g. the config.toml of
            another run.
        settings: overrides such as training.steps=5000; pcfh settings lists them.
        protocol: whose training list to use, e.g. 1 for the first fold.
        recognizer: Light CNN checkpoint for the identity loss and for validation.
        beside: further recognisers that the identity terms ask in equal parts: Light CNN checkpoints, or the
            word dlib for dlib's network, which was trained on photographs.
        truth: the rendered database that was prepared, for the preset rendered: its true VIS images.
        init: generator.safetensors to start from (fine-tune), of the same preset, e.g. one trained on other
            people.
        extend: train past the planned end of the run that is in the folder, to the training.steps given now.
        resume: not needed.
        device: auto, cpu, cuda or cuda:1.
    """
    refuse_resume(resume)
    # Before anything slow, so that no signal is lost while settings, data and PyTorch are loaded.
    # Several processes stop together at a step; one alone has nothing to lose before its first.
    begun = [True] * (int(os.environ.get("WORLD_SIZE", "1")) > 1)
    with stop_signals(begun) as stopped:
        job = TrainingJob(
            prepared=data,
            protocol=protocol,
            run=run,
            config=configured(preset, file=config, settings=settings),
            recognizer=recognizer,
            beside=tuple(map(Path, beside)),
            truth=truth,
            start=init,
            extend=extend,
        )
        check(job, int(os.environ.get("WORLD_SIZE", "1")))
        # PyTorch is imported only now that the settings are known to be good.
        from pcfh.devices import gpu_gigabytes  # noqa: PLC0415
        from pcfh.methods.train import GENERATOR  # noqa: PLC0415
        from pcfh.methods.train import train as run_train  # noqa: PLC0415
        from pcfh.runtime import keep_freed_memory, start_runtime  # noqa: PLC0415

        keep_freed_memory()
        gigabytes = gpu_gigabytes(device)
        if gigabytes is not None:
            fitted = configured(preset, file=config, settings=settings, gigabytes=gigabytes)
            job = replace(job, config=fitted)
        steps = job.config.training.steps
        with start_runtime(device) as runtime, StepBar(steps, begun) as bar:
            state = run_train(job, runtime, _callbacks(bar, stopped))
        if runtime.is_first and state.step < steps:
            print(f"Stopped at step {state.step}; the same command resumes it.", file=sys.stderr)
        elif runtime.is_first:
            print(f"Done: {run / GENERATOR}")
        return 128 + stopped[0] if stopped and state.step < steps else 0


def _callbacks(bar: "StepBar", stopped: Sequence[int]) -> "Callbacks":
    from pcfh.training.loop import Callbacks  # noqa: PLC0415 - PyTorch

    return Callbacks(
        on_step=bar.show_losses, on_note=partial(say, file=sys.stderr), should_stop=lambda: bool(stopped)
    )


def refuse_resume(resume: bool) -> None:
    """Says how a run is resumed, to those who look for an option."""
    if resume:
        raise UserError(
            "there is no --resume: the same command resumes a run that was stopped; --extend trains past "
            "its planned end"
        )


class StepBar:
    """A progress bar that appears with the first step, so that no mistake is printed beside an empty one.

    Args:
        steps: planned.
        begun: is filled with the first step.
    """

    def __init__(self, steps: int, begun: list[bool]) -> None:
        self._steps, self._bar = steps, None  # type: int, tqdm[None] | None
        self._begun = begun

    def __enter__(self) -> "StepBar":
        return self

    def plan(self, steps: int) -> None:
        """Says how many steps there will be, where that was not known."""
        self._steps = steps

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def advance(self, step: int) -> "tqdm[None]":
        """Brings the bar to a step."""
        if self._bar is None:
            self._begun.append(True)
            self._bar = progress_bar("steps", self._steps)
            # Steps of an earlier call took none of this one's time.
            self._bar.initial = self._bar.n = self._bar.last_print_n = step - 1
        self._bar.update(step - self._bar.n)
        return self._bar

    def show_losses(self, step: int, values: Mapping[str, float]) -> None:
        """Shows a step with its losses, and the figures on the people held out where they come."""
        bar = self.advance(step)
        losses = {name[5:]: f"{value:.3f}" for name, value in values.items() if name.startswith("loss/")}
        bar.set_postfix(losses, refresh=False)
        figures = {name[11:]: value for name, value in values.items() if name.startswith("validation/")}
        if figures:
            said = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
            bar.write(f"step {step}: people not trained on: {said}", file=sys.stderr)
