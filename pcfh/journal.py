"""How work is resumed where it was stopped: one JSON line for each thing that is done.

    {"format": "pcfh-journal", "version": 1, ...}      what tells this work from any other: its identity
    {"path": "s1/NIR/00001/001.jpg", ...}              an entry, once what it tells of is written whole
    ...

Lines are only ever appended; a last line without its end is what a killed process left, and is cut off.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from pcfh.errors import UserError
from pcfh.files import lock

Entry = TypeVar("Entry")


@dataclass(frozen=True, kw_only=True)
class Journal(Generic[Entry]):
    """An open journal.

    Attributes:
        entries: what it held when it was opened, in order.
        file: to append to.
    """

    entries: tuple[Entry, ...]
    file: BufferedRandom

    def append(self, entry: Entry) -> None:
        """Adds a dataclass."""
        _write_line(self.file, msgspec.to_builtins(entry))


@contextmanager
def open_journal(
    path: Path, identity: Mapping[str, Any], kind: type[Entry], *, work: str
) -> Iterator[Journal[Entry]]:
    """Opens a journal, or begins it; one without entries is begun again. Others are kept out meanwhile.

    Args:
        path: of the file; its folder is made if need be.
        identity: what must be the same to resume; plain data.
        kind: dataclass of the entries.
        work: what is done there, e.g. "preparation", for messages.

    Raises:
        UserError: it is of another identity, it is damaged, or another process is writing it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with path.open("rb+") as file:
        lock(file, f"{path.parent}: another process is at work on this {work}; wait for it or end it")
        whole, _, _ = file.read().rpartition(b"\n")
        lines = whole.splitlines()
        if len(lines) > 1:
            require_same(path.parent, _parsed(path, 1, lines[0], dict), identity, work=work)
            file.seek(len(whole) + 1)
            file.truncate()
        else:
            file.seek(0)
            file.truncate()
            _write_line(file, identity)
        entries = (_parsed(path, number, line, kind) for number, line in enumerate(lines[1:], start=2))
        yield Journal(entries=tuple(entries), file=file)


def require_same(path: Path, found: Mapping[str, Any], expected: Mapping[str, Any], *, work: str) -> None:
    """Refuses to resume work of another identity.

    Args:
        path: of the work, for the message.
        found: the identity that is kept there.
        expected: that of the work at hand; plain data.
        work: what it is, e.g. "training".

    Raises:
        UserError: what differs.
    """
    plain = json.loads(json.dumps(expected))  # tuples as lists, as a file holds them
    if differences := changes(found, plain):
        raise UserError(
            f"{path}: holds another {work} ({'; '.join(differences)}); repeat its options, or choose a new "
            "folder"
        )


def changes(found: Mapping[str, Any], expected: Mapping[str, Any], prefix: str = "") -> list[str]:
    """What differs between two identities, a text for each value; groups within groups are joined by dots."""
    texts = []
    for key in (*expected, *(key for key in found if key not in expected)):
        before, now = found.get(key), expected.get(key)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            texts += changes(before, now, f"{prefix}{key}.")
        elif before != now:
            texts.append(f"{prefix}{key} was {before!r} and is {now!r}")
    return texts


def _write_line(file: BufferedRandom, content: Mapping[str, Any]) -> None:
    """Writes one line at once."""
    file.write(json.dumps(content).encode() + b"\n")
    file.flush()


def _parsed(path: Path, number: int, line: bytes, kind: type[Entry]) -> Entry:
    """The content of a line; the standard library reads it, for names of files that are no UTF-8."""
    try:
        return msgspec.convert(json.loads(line), kind)
    except ValueError as error:  # msgspec's is one, too
        raise UserError(f"{path}, line {number}: is damaged ({error}); delete {path.parent}") from error
