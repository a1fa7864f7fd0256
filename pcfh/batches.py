"""Work on the pictures of files and folders, however many: found, read, computed and written as a stream.

    find pictures -> pass over what is done -> groups -> readers (find and align faces) -> writer -> ledger

A *reader* makes faces of pictures, a *writer* makes results of faces. Where the writer computes on a GPU it
works in this process and the readers beside it in others; else each process has both. A picture that cannot
be used becomes a row of the ledger with its reason, and the rest goes on.
"""

import os
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Float, UInt8

from pcfh.errors import UserError
from pcfh.images import IMAGE_SUFFIXES
from pcfh.ledger import Ledger, Row, State, open_ledger
from pcfh.parallel import Workers, cores, map_unordered, usable_workers
from pcfh.shards import Shard, is_mine
from pcfh.sources import LeftOut, Picture, check_sources, find_pictures, is_file, stamp_of

_FEW = 12  # pictures that this process is done with before others have begun
_LISTED = 100  # failures that a summary names; all are in the table


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A picture to work on.

    Attributes:
        source: its file.
        name: under which its landmarks are looked up.
        key: path of its result below ``out``.
        target: the file that it becomes.
        stamp: of the source, when it was found.
        stale: whether what lies at the target is of an earlier source or of other settings.
    """

    source: str
    name: str
    key: str
    target: str
    stamp: tuple[int, int] = (0, 0)
    stale: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadFace:
    """What a reader made of a picture.

    Attributes:
        task: the picture.
        crop: its face as the writer takes it; None where there is none.
        landmarks: in pixels of the crop.
        faces: how many were found; None where nobody looked.
        distance: from the training range.
        unlike: words for what lies outside of it.
        note: what had to be assumed to read the picture, or "".
        error: why there is no crop, or "".
        retry: whether the picture is not at fault.
    """

    task: Task
    crop: UInt8[np.ndarray, "s s 3"] | None = None
    landmarks: Float[np.ndarray, "68 2"] | None = None
    faces: int | None = None
    distance: float | None = None
    unlike: str = ""
    note: str = ""
    error: str = ""
    retry: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """What a writer made of a face; ``retry`` where the picture is not at fault."""

    face: ReadFace
    error: str = ""
    retry: bool = False
    vector: bytes | None = None


Item = TypeVar("Item")
Reader = Callable[[Sequence[Task]], list[ReadFace]]
Writer = Callable[[Sequence[ReadFace]], list[Written]]


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is done with pictures.

    Attributes:
        name: for messages, e.g. "translation".
        settings: text that changes with all that results depend on, beside the picture.
        start_reader: makes a reader, once in each process; can be pickled.
        start_writer: makes a writer, likewise.
        here: whether the writer works in this process, beside the readers.
        ending: of the results' files; None where they are no files.
        batch: pictures of one group.
    """

    name: str
    settings: str
    start_reader: Callable[[], Reader]
    start_writer: Callable[[], Writer]
    here: bool = False
    ending: str | None = None
    batch: int = 8


@dataclass(frozen=True, kw_only=True)
class Way:
    """How the work goes.

    Attributes:
        workers: processes, or a cluster's address; 0 takes one per core, where there are pictures enough.
        shard: part of the pictures that is worked on.
        overwrite: whether what is done is done again.
    """

    workers: Workers = 0
    shard: Shard | None = None
    overwrite: bool = False


class Progress:
    """What is told of work that goes on; this one tells nobody."""

    def total(self, pictures: int) -> None:
        """How many pictures there are, once all are counted; may be called by another thread."""

    def passed(self, pictures: int) -> None:
        """Some more were done before."""

    def done(self, pictures: int) -> None:
        """Some more are through, failed ones too."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What came of the work.

    Attributes:
        done: pictures that have a result, also from before.
        before: of these, those that had it before.
        failed: pictures and folders without one.
        ignored: files that are no pictures.
        failures: source and reason of the first failed ones.
        table: the CSV table of all.
    """

    done: int
    before: int
    failed: int
    ignored: int
    failures: tuple[tuple[str, str], ...]
    table: Path


def no_end(_: Ledger) -> None:
    """What follows where nothing does."""


def run_work(
    work: Work,
    sources: Sequence[Path],
    out: Path,
    way: Way,
    *,
    progress: Progress | None = None,
    finish: Callable[[Ledger], None] = no_end,
) -> Summary:
    """Does what is left to do of some work, and says what came of it all.

    Args:
        work: what to do.
        sources: files and folders.
        out: folder of the results and the ledger.
        way: how.
        progress: is told how far it is.
        finish: called with the ledger when all pictures are through.

    Raises:
        UserError: sources or ``out`` cannot be used, no picture was found, or the work is going on elsewhere.
    """
    check_sources(sources, out)
    if next(filter(_counts, find_pictures(sources, out, work.ending)), None) is None:
        known = " ".join(IMAGE_SUFFIXES)
        raise UserError(f"no pictures in {', '.join(map(str, sources))}; known endings: {known}")
    workers = usable_workers(way.workers) if way.workers else 0
    tally = _Tally(progress or Progress())
    with open_ledger(out, way.shard, work=work.name) as ledger:
        todo = _tasks(work, find_pictures(sources, out, work.ending), out, way, ledger=ledger, tally=tally)
        with (
            _counted(find_pictures(sources, out, work.ending), way.shard, tally.progress),
            closing(_groups(work, todo, workers)) as groups,
        ):
            for group in groups:
                _forget_stale(group)
                ledger.record(_row(work, written) for written in group)
                tally.add(group)
        ledger.flush()
        finish(ledger)
        return tally.summary(ledger.table)


def stretches(items: Iterable[Item], length: int) -> Iterator[list[Item]]:
    """Consecutive items, ``length`` at a time."""
    rest = iter(items)
    while some := list(islice(rest, length)):
        yield some


def process(read: Reader, write: Writer, tasks: Sequence[Task]) -> list[Written]:
    """What becomes of some pictures, without the faces themselves."""
    return _conclude(write, read(tasks))


def _conclude(write: Writer, faces: Sequence[ReadFace]) -> list[Written]:
    """What becomes of faces that were read."""
    usable = [face for face in faces if face.crop is not None]
    failed = [Written(face=face, error=face.error, retry=face.retry) for face in faces if face.crop is None]
    written = [*(write(usable) if usable else ()), *failed]
    return [replace(one, face=replace(one.face, crop=None, landmarks=None)) for one in written]


class _Tally:
    """Counts what becomes of the pictures of this call."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._new = self._before = self._failed = self._ignored = 0
        self._failures: list[tuple[str, str]] = []

    def add(self, group: Sequence[Written]) -> None:
        """Some pictures are through."""
        for written in group:
            if written.error:
                self.fail(written.face.task.source, written.error)
            else:
                self._new += 1
        self.progress.done(len(group))

    def fail(self, source: str, reason: str) -> None:
        """A picture or folder has no result."""
        self._failed += 1
        if len(self._failures) < _LISTED:
            self._failures.append((source, reason))

    def leave(self, state: State, source: str, reason: str) -> None:
        """A picture is as it was before."""
        if state == "done":
            self._before += 1
        else:
            self.fail(source, reason)
        self.progress.passed(1)

    def ignore(self) -> None:
        """A file is no picture."""
        self._ignored += 1

    def summary(self, table: Path) -> Summary:
        """All of it."""
        return Summary(
            done=self._new + self._before,
            before=self._before,
            failed=self._failed,
            ignored=self._ignored,
            failures=tuple(sorted(self._failures)),
            table=table,
        )


def _tasks(
    work: Work,
    found: Iterable[Picture | LeftOut],
    out: Path,
    way: Way,
    *,
    ledger: Ledger,
    tally: _Tally,
) -> Iterator[Task]:
    """The pictures that are to be worked on; notes what is left out."""
    for item in found:
        if isinstance(item, LeftOut):
            if is_mine(way.shard, item.path):
                _leave_out(item, ledger, tally)
            continue
        if not is_mine(way.shard, item.result):
            continue
        target, stamp = os.path.join(out, item.result), stamp_of(item.path)  # noqa: PTH118 - for millions
        known = ledger.known(item.result, item.path, stamp, work.settings)
        there = work.ending is None or is_file(target)
        if known and known.same and not way.overwrite and known.state in (("done",) * there + ("failed",)):
            tally.leave(known.state, item.path, known.error)
            continue
        yield Task(
            source=item.path,
            name=item.name,
            key=item.result,
            target=target,
            stamp=stamp,
            stale=known is not None and known.state == "done" and work.ending is not None,
        )


def _leave_out(item: LeftOut, ledger: Ledger, tally: _Tally) -> None:
    """Notes what is not worked on."""
    state: State = "left out" if item.failed else "ignored"
    key, error = f"\0{item.path}", f"left out: {item.reason}"
    known = ledger.known(key, item.path, (0, 0), "")
    if known is None or (known.state, known.error) != (state, error):
        ledger.record([Row(key=key, source=item.path, stamp=(0, 0), settings="", state=state, error=error)])
    if item.failed:
        tally.fail(item.path, error)
    else:
        tally.ignore()


def _counts(found: Picture | LeftOut) -> bool:
    """Whether there is something to do, or to miss."""
    return isinstance(found, Picture) or found.failed


@contextmanager
def _counted(found: Iterable[Picture | LeftOut], shard: Shard | None, progress: Progress) -> Iterator[None]:
    """Counts the pictures meanwhile, and tells how many they are."""
    over = threading.Event()

    def count() -> None:
        total = 0
        for item in found:
            if over.is_set():
                return
            total += isinstance(item, Picture) and is_mine(shard, item.result)
        progress.total(total)

    counter = threading.Thread(target=count, daemon=True)
    counter.start()
    try:
        yield
    finally:
        over.set()
        counter.join()


def _groups(work: Work, tasks: Iterator[Task], workers: Workers) -> Generator[list[Written], None, None]:
    """What becomes of pictures, some at a time, in the order in which it is ready."""
    count = workers if isinstance(workers, int) and workers else cores()
    first = list(islice(tasks, max(_FEW + 1, count * work.batch)))
    if workers == 0:
        workers = 1 if len(first) <= _FEW else count
    size = max(1, min(work.batch, -(-len(first) // count)))  # few pictures are shared out evenly
    groups = stretches(chain(first, tasks), size)
    both = partial(_start_both, work.start_reader, work.start_writer)
    if not work.here or workers == 1:
        with closing(map_unordered(both, groups, workers)) as written:
            yield from written
        return
    write = work.start_writer()
    with closing(map_unordered(work.start_reader, groups, workers)) as read:
        for faces in read:
            yield _conclude(write, faces)


def _start_both(
    start_reader: Callable[[], Reader], start_writer: Callable[[], Writer]
) -> Callable[[Sequence[Task]], list[Written]]:
    """In a process that has both."""
    return partial(process, start_reader(), start_writer())


def _forget_stale(group: Sequence[Written]) -> None:
    """Deletes results of what lay there before, where the new picture has none."""
    for written in group:
        if written.error and written.face.task.stale:
            Path(written.face.task.target).unlink(missing_ok=True)


def _row(work: Work, written: Written) -> Row:
    """What the ledger keeps of a picture."""
    face = written.face
    state: State = "done" if not written.error else "retry" if written.retry else "failed"
    return Row(
        key=face.task.key,
        source=face.task.source,
        stamp=face.task.stamp,
        settings=work.settings,
        state=state,
        faces=face.faces,
        distance=face.distance,
        unlike=face.unlike,
        note=face.note,
        error=written.error,
        vector=written.vector,
    )
