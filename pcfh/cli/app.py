"""The application, and what several commands share.

Commands are registered by name and imported when they are called, so that help, the version and light
commands do not wait for PyTorch.
"""

import ast
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

from cyclopts import App, Parameter, Token
from tqdm import tqdm

from pcfh import __version__

app = App(
    name="pcfh",
    version=__version__,
    help="Near-infrared faces to visible-light faces of the same person, pose and expression.",
    suppress_keyboard_interrupt=False,  # ``main`` says what it means
)

models = App(name="models", help="Files of networks: the landmark detector's, means of generators.")
app.command(models)

# Modules of this package, and the functions in them that are commands.
COMMANDS = {
    "demo": ("demo",),
    "doctor": ("doctor",),
    "evaluate": ("evaluate",),
    "export": ("export",),
    "inspect": ("inspect",),
    "prepare": ("prepare",),
    "render": ("render",),
    "reproduce": ("reproduce",),
    "serve": ("serve",),
    "settings": ("settings",),
    "train": ("train",),
    "train_recognizer": ("train_recognizer",),
    "translate": ("translate",),
}
MODEL_COMMANDS = {"models_fetch": ("fetch",), "models_average": ("average",)}


def _whole_numbers(_: object, tokens: Sequence[Token]) -> tuple[int, ...]:
    """Numbers joined by commas or blanks.

    Raises:
        ValueError: something else was given.
    """
    texts = [text for token in tokens for text in token.value.split(",") if text]
    wrong = [text for text in texts if not text.removeprefix("-").isdecimal()]
    if wrong:
        raise ValueError(
            f"{tokens[0].keyword}: expected whole numbers joined by commas or blanks, got {' '.join(wrong)}"
        )
    return tuple(map(int, texts))


Several = Annotated[tuple[int, ...], Parameter(consume_multiple=True, negative="", converter=_whole_numbers)]
Names = Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")]


def progress_bar(unit: str, total: int, *, shown: bool = True) -> "tqdm[None]":
    """A bar on the error stream that counts some unit of work, with the time left."""
    return tqdm(total=total, unit=f" {unit}", dynamic_ncols=True, disable=not shown)


def show_stage(bar: "tqdm[None]", stage: str, done: int, total: int) -> None:
    """Brings a bar to where a stage of work is; each stage begins anew."""
    if bar.desc != f"{stage}: ":
        bar.set_description(stage, refresh=False)
        bar.reset(total=total)
    bar.update(done - bar.n)


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM instead of dying of them; a second one kills as usual."""
    received: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        received.append(number)
        signal.signal(number, before[number])

    before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {
        number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def docstrings(module: str) -> dict[str, str]:
    """The docstrings of a module's functions, read from its source; importing it would take a second."""
    source = (Path(__file__).parent / f"{module}.py").read_text(encoding="utf-8")
    functions = (node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))
    return {function.name: ast.get_docstring(function) or "" for function in functions}


def register(parent: App, commands: Mapping[str, Sequence[str]]) -> None:
    """Makes functions commands of an application without importing them."""
    for module, names in commands.items():
        texts = docstrings(module)
        for name in names:
            parent.command(f"pcfh.cli.{module}:{name}", help=texts[name])


register(app, COMMANDS)
register(models, MODEL_COMMANDS)
