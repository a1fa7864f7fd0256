"""The command that trains a recogniser."""

import sys
from dataclasses import asdict, fields, make_dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from pcfh.cli.app import stop_signals
from pcfh.cli.train import Resume, StepBar, refuse_resume
from pcfh.config import changed, read_toml
from pcfh.devices import usable_device
from pcfh.recognisers.training.train_lightcnn import (
    RECOGNIZER,
    RecognizerConfig,
    RecognizerJob,
    RecognizerRecipe,
)
from pcfh.recognisers.training.train_lightcnn import train_recognizer as run_training
from pcfh.runtime import keep_freed_memory
from pcfh.training.loop import Callbacks


def _optional(kind: type[RecognizerRecipe]) -> Any:
    """A dataclass of a recipe's settings, None where not given; its help shows the recipe's defaults."""
    options = [(field.name, _option(field.type, field.default), None) for field in fields(kind)]
    names = {"__doc__": kind.__doc__, "__module__": __name__}
    return make_dataclass("RecipeOptions", options, frozen=True, kw_only=True, namespace=names)


def _option(kind: Any, default: object) -> Any:
    """The type of an option that may be left out, and what help says of it."""
    return Annotated[kind | None, Parameter(show_default=lambda _: str(default))]


RecipeOptions = _optional(RecognizerRecipe)
_NONE_GIVEN = RecipeOptions()


def train_recognizer(  # noqa: PLR0913 - one argument per option of the command
    data: Path,
    run: Path,
    *,
    protocol: str = "1",
    config: Path | None = None,
    options: Annotated[RecipeOptions, Parameter(name="*", show_default=False)] = _NONE_GIVEN,
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
        config: configuration file in TOML, e.g. the config.toml of another run; options go before it.
        options: how to train.
        init: weights of the same architecture to start from (fine-tune), published ones or our own.
        extend: train past the planned end of the run that is in the folder, to the --steps given now.
        resume: not needed.
        device: auto, cpu, cuda or cuda:1.
    """
    refuse_resume(resume)
    # Before anything slow, so that no signal is lost while data are loaded.
    begun: list[bool] = []
    with stop_signals(begun) as stopped:
        given = {f"recipe.{name}": value for name, value in asdict(options).items() if value is not None}
        recipe = changed(RecognizerConfig(), {**(read_toml(config) if config else {}), **given}).recipe
        job = RecognizerJob(
            prepared=data, protocol=protocol, run=run, recipe=recipe, start=init, extend=extend
        )
        chosen = usable_device(device)
        keep_freed_memory()
        with StepBar(recipe.steps, begun) as bar:
            callbacks = Callbacks(on_step=bar.show_losses, should_stop=lambda: bool(stopped))
            state = run_training(job, chosen, callbacks)
    if state.step < recipe.steps:
        print(f"Stopped at step {state.step}; the same command resumes it.", file=sys.stderr)
        return 128 + stopped[0]
    print(f"Done: {run / RECOGNIZER}")
    return 0
