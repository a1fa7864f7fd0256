"""The application, and what several commands share.

A file of this folder that holds a function of its own name is a command; ``models_fetch`` is ``pcfh models
fetch``, and likewise with ``gallery``. Commands are imported when they are called, so that help, the version
and light commands do not wait for PyTorch.
"""

import ast
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

from cyclopts import App, Parameter, Token
from tqdm import tqdm

from pcfh import __version__
from pcfh.errors import UserError

app = App(
    name="pcfh",
    version=__version__,
    help="Near-infrared faces to visible-light faces of the same person, pose and expression.",
    suppress_keyboard_interrupt=False,  # ``main`` says what it means
)

models = App(name="models", help="Files of networks: the landmark detector's, means of generators.")
app.command(models)

gallery = App(name="gallery", help="Enrolled faces: enrol, search, compare at a threshold, remove.")
app.command(gallery)

_GROUPS = {"models": models, "gallery": gallery}

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tab and line feed
_LOG_SECONDS = 30.0  # between two lines of progress where nobody looks at a terminal


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
Settings = Annotated[tuple[str, ...], Parameter(name="--set", consume_multiple=True, negative="")]
Names = Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")]


def named_files(texts: Sequence[str], what: str, name_of: Callable[[str], str]) -> dict[str, str]:
    """Files by name, each given as NAME=FILE, or as FILE.

    Args:
        texts: of the command line.
        what: the option, and what two of one name are.
        name_of: the name of a file that is given without one.

    Raises:
        UserError: two share a name.
    """
    named: dict[str, str] = {}
    for text in texts:
        name, found, place = text.partition("=")
        name, place = (name, place) if found else (name_of(text), text)
        if name in named:
            raise UserError(f"{what} are named {name!r}; give each as NAME=FILE")
        named[name] = place
    return named


def progress_bar(unit: str, total: int | None, *, shown: bool = True, delay: float = 0.0) -> "tqdm[None]":
    """A bar on the error stream that counts some unit of work, with the time left; in a log, few lines.

    With a delay in seconds, a mistake that shows at once is not printed beside an empty bar.
    """
    seconds = 0.1 if sys.stderr.isatty() else _LOG_SECONDS
    return tqdm(
        total=total,
        unit=f" {unit}",
        dynamic_ncols=True,
        disable=not shown,
        delay=delay,
        mininterval=seconds,
        maxinterval=max(seconds, 10.0),
    )


def resumed(bar: "tqdm[None]") -> Callable[[int, int], None]:
    """Brings a bar to what is done of all. What is first told was done before: its speed is not measured."""
    told: list[int] = []

    def show(done: int, total: int) -> None:
        bar.total = total
        if not told:
            bar.initial = bar.last_print_n = bar.n = done
        told[:] = [done]
        bar.update(done - bar.n)

    return show


def show_stage(bar: "tqdm[None]", stage: str, done: int, total: int) -> None:
    """Brings a bar to where a stage of work is; each stage begins anew."""
    if bar.desc != f"{stage}: ":
        bar.set_description(stage, refresh=False)
        bar.reset(total=total)
    bar.update(done - bar.n)


def say(text: object, *, file: Any = None) -> None:
    """Prints text that may hold names and messages from outside: what controls a terminal is spelt out."""
    print(_CONTROLS.sub(lambda found: repr(found[0])[1:-1], str(text)), file=file)


def heed_interrupts() -> None:
    """Lets ``kill -INT`` through where a shell has switched it off, as it does for ``command &``."""
    alone = threading.current_thread() is threading.main_thread()
    if alone and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def stop_signals(begun: Sequence[object] = (True,)) -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM instead of dying of them; a second one kills as usual.

    Args:
        begun: while it is empty there is nothing to be lost, and a signal ends the program at once.
    """
    received: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        received.append(number)
        signal.signal(number, before[number])
        if not begun:
            raise SystemExit(128 + number)

    before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {
        number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def help_of(command: Path) -> str | None:
    """The docstring of a file's function of its own name, read from the source; None where there is none."""
    for node in ast.parse(command.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name == command.stem:
            return ast.get_docstring(node) or ""
    return None


def register() -> None:
    """Makes the commands of this folder known without importing them."""
    for path in sorted(Path(__file__).parent.glob("*.py")):
        text = help_of(path)
        if text is not None:
            group, _, rest = path.stem.partition("_")
            parent, word = (_GROUPS[group], rest) if rest and group in _GROUPS else (app, path.stem)
            parent.command(f"pcfh.cli.{path.stem}:{path.stem}", name=word.replace("_", "-"), help=text)


register()
