"""The application that every command joins, and what several commands share."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated

from cyclopts import App, Parameter
from tqdm import tqdm

from pcfh import __version__

app = App(
    name="pcfh",
    version=__version__,
    help="Near-infrared faces to visible-light faces of the same person, pose and expression.",
    suppress_keyboard_interrupt=False,  # ``main`` says what it means
)

Several = Annotated[tuple[int, ...], Parameter(consume_multiple=True, negative="")]
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
