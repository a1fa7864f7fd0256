"""What commands share that work on many pictures."""

import sys
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from pcfh.batches import Progress, Summary, Way
from pcfh.cli.app import progress_bar, say
from pcfh.parallel import usable_workers
from pcfh.shards import Shard


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """How the work goes.

    Attributes:
        workers: processes; 0 takes one per processor core, dask://HOST:8786 and ray://HOST:10001 those of a
            cluster.
        shard: part of the pictures to work on, such as 3/100; without it, the same command takes all parts
            in.
        overwrite: do again what is done.
    """

    workers: str = "0"
    shard: str | None = None
    overwrite: Annotated[bool, Parameter(negative="")] = False

    def way(self) -> Way:
        """The same, checked."""
        if self.workers != "0":
            usable_workers(self.workers)
        return Way(
            workers=int(self.workers) if self.workers.isdecimal() else self.workers,
            shard=Shard.of(self.shard) if self.shard else None,
            overwrite=self.overwrite,
        )


class PictureBar(Progress):
    """A bar on the error stream. What was done before moves it, but says nothing of the time left."""

    def __enter__(self) -> "PictureBar":
        """Shows the bar."""
        self._bar = progress_bar("pictures", None)
        return self

    def __exit__(self, *_: object) -> None:
        """Ends it."""
        self._bar.close()

    def total(self, pictures: int) -> None:
        """Lets it show the time left."""
        self._bar.total = pictures

    def passed(self, pictures: int) -> None:
        """Moves it, and the place from which its speed is measured."""
        self._bar.initial += pictures
        self._bar.last_print_n += pictures
        self._bar.n += pictures

    def done(self, pictures: int) -> None:
        """Moves it."""
        self._bar.update(pictures)


def report_batch(summary: Summary, what: str) -> int:
    """Says what came of a batch and gives the exit code."""
    before = f" ({summary.before} of them before)" if summary.before else ""
    print(f"{summary.done} of {summary.done + summary.failed} pictures {what}{before}")
    print(f"The table is {summary.table}")
    for source, reason in summary.failures:
        say(f"{source}: {reason}", file=sys.stderr)
    if summary.failed > len(summary.failures):
        print(f"... and others: {summary.table} has them all", file=sys.stderr)
    if summary.ignored:
        print(f"{summary.ignored} files are no pictures and were left out", file=sys.stderr)
    if summary.failed:
        print(f"{summary.failed} pictures failed", file=sys.stderr)
    return 1 if summary.failed else 0
