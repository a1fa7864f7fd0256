"""What became of each of many items: kept while the work goes on, whatever ends it.

    OUT/manifest.csv          for people: source, result, faces, distance, unlike, note, error
    OUT/.pcfh-work.sqlite     for the program: the same, and what tells whether an item must be done again

The database is the truth; it takes a row only when the row's result is written whole. The table grows beside
it by the same rows and is written anew, in the order of the sources, whenever the two may differ: when work
ends, or begins after a kill. Shards have files of their own until the whole takes them in. One process writes
a ledger at a time; SQLite holds few of its rows in memory, however many there are.
"""

import csv
import os
import re
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from pcfh.errors import UserError
from pcfh.files import atomic_path, lock, remove_leftovers
from pcfh.shards import Shard

MANIFEST = "manifest"
_STATE = ".pcfh-work"
_VERSION = 1
COLUMNS = ("source", "result", "faces", "distance", "unlike", "note", "error")
_SECONDS = 1.0  # between two times that rows go to the disk
_MADE = """CREATE TABLE IF NOT EXISTS rows (
    key BLOB PRIMARY KEY, source BLOB, origin BLOB, size INTEGER, changed INTEGER, settings TEXT, state TEXT,
    faces INTEGER, distance REAL, unlike TEXT, note TEXT, error TEXT, vector BLOB) WITHOUT ROWID"""
_MARK = "CREATE TABLE IF NOT EXISTS told (bytes INTEGER)"
_ALL = "key, source, origin, size, changed, settings, state, faces, distance, unlike, note, error, vector"

_ASK = "SELECT state, error, origin, size, changed, settings FROM {}.rows WHERE key = ?"

# done: the result is there. failed: the picture's own fault, it would fail again. retry: something else's
# fault, such as a full disk's. left out: is no picture, or cannot be looked into.
State = Literal["done", "failed", "retry", "left out", "ignored"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What became of one item.

    Attributes:
        key: path of the result below the folder, or what else no two items share.
        source: as the user named it.
        stamp: size and time of change of the source, as it was read.
        settings: text that changes with all else that the result depends on.
        state: see above.
        faces: that were found; None where nobody looked.
        distance: from the training range; None where it is not known.
        unlike: words for what lies outside of it.
        note: what had to be assumed, or "".
        error: why there is no result, or "".
        vector: numbers that are kept with the row.
    """

    key: str
    source: str
    stamp: tuple[int, int]
    settings: str
    state: State
    faces: int | None = None
    distance: float | None = None
    unlike: str = ""
    note: str = ""
    error: str = ""
    vector: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is kept of an item that was worked on before."""

    state: State
    same: bool  # whether source and settings are what they were
    error: str


class Ledger:
    """An open ledger; see ``open_ledger``. Several threads may use it."""

    def __init__(self, folder: Path, shard: Shard | None) -> None:
        mark = shard.mark if shard else ""
        self.table = folder / f"{MANIFEST}{mark}.csv"
        self._path = folder / f"{_STATE}{mark}.sqlite"
        self._database = _opened(self._path)
        self._asks = [_ASK.format("main")]
        whole = folder / f"{_STATE}.sqlite"
        if shard and whole.is_file():  # what was done before the work was divided
            with closing(_opened(whole)):
                pass
            self._database.execute("ATTACH ? AS whole", (str(whole),))
            self._asks.append(_ASK.format("whole"))
        self._mutex = threading.RLock()
        self._waiting: list[Row] = []
        self._flushed = time.monotonic()
        self._changed = False
        if self._size() != self._told():
            self._write_table()
        self._file = self.table.open("ab")

    def known(self, key: str, source: str, stamp: tuple[int, int], settings: str) -> Known | None:
        """What is kept of an item, if anything."""
        with self._mutex:
            found = next(
                filter(None, (self._database.execute(ask, (_bytes(key),)).fetchone() for ask in self._asks)),
                None,
            )
        if found is None:
            return None
        state, error, *of = found
        return Known(state=state, error=error, same=of == [_origin(source), *stamp, settings])

    def record(self, rows: Iterable[Row]) -> None:
        """Adds rows, or replaces those of the same keys."""
        with self._mutex:
            self._waiting += rows
            if time.monotonic() - self._flushed > _SECONDS:
                self.flush()

    def flush(self) -> None:
        """Brings all rows to the disk."""
        with self._mutex:
            if self._waiting:
                self._changed = True
                self._file.write(csv_text(map(_line, self._waiting)))
                self._file.flush()
                values = [_values(row) for row in self._waiting]
                marks = ", ".join("?" * len(values[0]))
                self._database.execute("BEGIN")
                self._database.executemany(f"INSERT OR REPLACE INTO rows VALUES ({marks})", values)
                self._tell(self._file.tell())
                self._database.execute("COMMIT")
                self._waiting.clear()
            self._flushed = time.monotonic()

    def vectors(self, settings: str) -> Iterator[tuple[str, str, bytes]]:
        """Key, source and vector of what is done by some settings, by the keys."""
        ask = "SELECT key, source, vector FROM rows WHERE state = 'done' AND settings = ? ORDER BY key"
        found = self._database.execute(ask, (settings,))
        return ((_shown(key), _shown(source), vector) for key, source, vector in found)

    def measure_vectors(self, settings: str) -> tuple[int, int]:
        """How many there are, and the length of the longest of their keys and sources."""
        ask = "SELECT key, source FROM rows WHERE state = 'done' AND settings = ?"
        count = longest = 0
        for row in self._database.execute(ask, (settings,)):
            count, longest = count + 1, max(longest, *map(len, map(_shown, row)))
        return count, longest

    def close(self) -> None:
        """Brings all rows to the disk, and the table in order."""
        with self._mutex:
            self.flush()
            self._file.close()
            if self._changed:
                self._write_table()
            self._database.close()

    def take_in(self, other: Path) -> None:
        """Adds the rows of a shard's state."""
        with closing(_opened(other)):
            pass  # it is one, and not damaged
        self._database.execute("ATTACH ? AS part", (str(other),))
        self._database.execute("BEGIN")
        self._database.execute(f"INSERT OR REPLACE INTO rows SELECT {_ALL} FROM part.rows")
        self._tell(-1)  # the table does not know of them yet
        self._database.execute("COMMIT")
        self._database.execute("DETACH part")
        self._changed = True

    def _write_table(self) -> None:
        """Writes the table anew."""
        rows = self._database.execute(
            "SELECT source, key, state, faces, distance, unlike, note, error FROM rows ORDER BY source, key"
        )
        with atomic_path(self.table) as temporary, temporary.open("wb") as file:
            file.write(csv_text([COLUMNS]))
            while some := rows.fetchmany(1000):
                file.write(csv_text(_cells(*row) for row in some))
        self._database.execute("BEGIN")
        self._tell(self._size())
        self._database.execute("COMMIT")

    def _tell(self, size: int) -> None:
        """Notes how long the table is that tells of all rows."""
        self._database.execute("DELETE FROM told")
        self._database.execute("INSERT INTO told VALUES (?)", (size,))

    def _told(self) -> int:
        found = self._database.execute("SELECT bytes FROM told").fetchone()
        return found[0] if found else -1

    def _size(self) -> int:
        return self.table.stat().st_size if self.table.is_file() else -2


@contextmanager
def open_ledger(folder: Path, shard: Shard | None = None, *, work: str) -> Iterator[Ledger]:
    """Opens the ledger of a folder or of a shard, or begins it; others are kept out meanwhile.

    The whole takes in what shards have left.

    Args:
        folder: is made if need be.
        shard: None is the whole.
        work: what is done there, e.g. "translation", for messages.

    Raises:
        UserError: another process is at work on it, or the state is damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as locks:
        held = [_hold(locks, folder, shard.mark if shard else "", work)]
        parts = [] if shard else sorted(_shards(folder))
        held += [_hold(locks, folder, mark, work) for mark in parts]
        killed = any(file.read() for file in held)
        if killed and not shard:  # a part must not touch what others are writing
            remove_leftovers(folder)
        with closing(Ledger(folder, shard)) as ledger:
            for mark in parts:
                ledger.take_in(folder / f"{_STATE}{mark}.sqlite")
            for mark in parts:
                (folder / f"{MANIFEST}{mark}.csv").unlink(missing_ok=True)
                (folder / f"{_STATE}{mark}.sqlite").unlink()
                (folder / f"{_STATE}{mark}.lock").unlink()
            held[0].write("at work\n")
            held[0].flush()
            yield ledger
        if not (killed and shard):
            held[0].truncate(0)


def _shards(folder: Path) -> Iterator[str]:
    """The marks of shards whose state lies in a folder."""
    for path in folder.glob(f"{_STATE}-*-of-*.sqlite"):
        if found := re.fullmatch(rf"{re.escape(_STATE)}(-[0-9]+-of-[0-9]+)\.sqlite", path.name):
            yield found[1]


def _hold(locks: ExitStack, folder: Path, mark: str, work: str) -> IO[str]:
    """Locks a ledger until ``locks`` ends; the file holds text where its last work did not end well."""
    file = locks.enter_context((folder / f"{_STATE}{mark}.lock").open("a+", encoding="utf-8"))
    part = mark.replace("-of-", "/").removeprefix("-")
    which = f"shard {part} of this {work}" if mark else f"this {work}"
    lock(file, f"{folder}: another process is at work on {which}; wait for it or end it")
    file.seek(0)
    return file


def _opened(path: Path) -> sqlite3.Connection:
    """A state that fits this program."""
    try:
        database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, _VERSION):
            raise UserError(f"{path}: is of another version of pcfh; delete it, and the work is done again")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute(_MADE)
        database.execute(_MARK)
        database.execute(f"PRAGMA user_version = {_VERSION}")
        database.execute(f"SELECT {_ALL} FROM rows LIMIT 1").fetchone()
    except sqlite3.DatabaseError as error:
        raise UserError(f"{path}: is damaged ({error}); delete it, and the work is done again") from error
    return database


def _values(row: Row) -> tuple[Any, ...]:
    """A row as the database keeps it; paths as bytes, since not all are text."""
    return (
        *(_bytes(row.key), _bytes(row.source), _origin(row.source), *row.stamp, row.settings, row.state),
        *(row.faces, row.distance, row.unlike, row.note, row.error, row.vector),
    )


def _shown(path: bytes) -> str:
    """A path as text in UTF-8; one that is none with escapes."""
    return path.decode(errors="backslashreplace")


def _bytes(path: str) -> bytes:
    return os.fsencode(path)


def _origin(source: str) -> bytes:
    """Where a source lies, however it was named."""
    return os.fsencode(os.path.abspath(source))  # noqa: PTH100 - ten times as fast, for millions


def _line(row: Row) -> Sequence[Any]:
    texts = (row.unlike, row.note, row.error)
    return _cells(_bytes(row.source), _bytes(row.key), row.state, row.faces, row.distance, *texts)


def _cells(
    source: bytes, key: bytes, state: str, faces: int | None, distance: float | None, *texts: str
) -> Sequence[Any]:
    """A line of the table."""
    result = os.fsdecode(key) if state == "done" else ""
    far = "" if distance is None else f"{distance:.3f}"
    return os.fsdecode(source), result, "" if faces is None else faces, far, *texts


class _Lines:
    """What the csv module writes to."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def write(self, text: str) -> None:
        self.parts.append(text)


def csv_text(rows: Iterable[Sequence[Any]]) -> bytes:
    """Lines of a CSV file in UTF-8; a name on disk that is none is written with escapes."""
    lines = _Lines()
    csv.writer(lines, lineterminator="\n").writerows(rows)
    return "".join(lines.parts).encode(errors="backslashreplace")
