"""The command that trains a recogniser."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pcfh.cli.app import stop_signals
from pcfh.cli.train import Resume, StepBar, refuse_resume
from pcfh.devices import usable_device
from pcfh.recognisers.training.train_lightcnn import RECOGNIZER, RecognizerJob, RecognizerRecipe
from pcfh.recognisers.training.train_lightcnn import train_recognizer as run_training
from pcfh.runtime import keep_freed_memory
from pcfh.training.loop import Callbacks

_DEFAULT = RecognizerRecipe()


def train_recognizer(
    data: Path,
    run: Path,
    *,
    protocol: str = "1",
    recipe: Annotated[RecognizerRecipe, Parameter(name="*")] = _DEFAULT,
    init: Path | None = None,
    extend: Annotated[bool, Parameter(negative="")] = False,
    resume: Resume = False,
    device: str = "auto",
) -> int:
    """Train a Light CNN on the faces of a prepared database, for use as a recogniser.

    The same command resumes a run that was stopped. Some of the people are kept out of training, and the
    recogniser is tried on them every 500 steps.

    Args:
        data: folder made by pcfh prepare; crops of 144 pixels are best.
        run: folder of this run: checkpoint, recognizer.safetensors, metrics.csv, TensorBoard.
        protocol: whose training people to take, e.g. 1 for the first fold; all takes everyone, also those
            whom a test would need.
        recipe: how to train.
        init: weights of the same architecture to start from (fine-tune), published ones or our own.
        extend: train past the planned end of the run that is in the folder, to the --steps given now.
        resume: not needed.
        device: auto, cpu, cuda or cuda:1.
    """
    refuse_resume(resume)
    job = RecognizerJob(prepared=data, protocol=protocol, run=run, recipe=recipe, start=init, extend=extend)
    chosen = usable_device(device)
    keep_freed_memory()
    with stop_signals() as stopped, StepBar(recipe.steps) as bar:
        callbacks = Callbacks(on_step=bar.show_losses, should_stop=lambda: bool(stopped))
        state = run_training(job, chosen, callbacks)
    if state.step < recipe.steps:
        print(f"Stopped at step {state.step}; the same command resumes it.", file=sys.stderr)
        return 128 + stopped[0]
    print(f"Done: {run / RECOGNIZER}")
    return 0
