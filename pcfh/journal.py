"""The journal of a preparation: one JSON line per capture that is done, to go on from after an interruption.

The first line says which preparation this is. Lines are only ever appended; a last line without its end is
what a killed process left, and is cut off.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from io import BufferedRandom
from pathlib import Path
from typing import Any

from pcfh.errors import UserError
from pcfh.files import lock
from pcfh.preparation.capture import Outcome


class Journal:
    """An open journal.

    Attributes:
        done: what it held when it was opened, by the picture's path.
    """

    def __init__(self, file: BufferedRandom, done: Mapping[str, Outcome]) -> None:
        self._file = file
        self.done = done

    def append(self, outcome: Outcome) -> None:
        """Adds what became of one capture."""
        _write_line(self._file, asdict(outcome))


@contextmanager
def open_journal(path: Path, header: Mapping[str, Any]) -> Iterator[Journal]:
    """Opens a journal, or begins it; one that holds no capture is begun again.

    Args:
        path: of the file; its folder exists.
        header: of this preparation, as JSON has it.

    Raises:
        UserError: it is another preparation's, it is damaged, or another process is writing it.
    """
    path.touch()
    with path.open("rb+") as file:
        lock(file, f"{path.parent}: is being prepared by another process; wait for it or end it")
        whole, _, _ = file.read().rpartition(b"\n")
        lines = whole.splitlines()
        if len(lines) > 1:
            _require_same(path, _parsed(path, 1, lines[0]), header)
            file.seek(len(whole) + 1)
            file.truncate()
        else:
            file.seek(0)
            file.truncate()
            _write_line(file, header)
        outcomes = (_outcome(path, number, line) for number, line in enumerate(lines[1:], start=2))
        yield Journal(file, {outcome.path: outcome for outcome in outcomes})


def _write_line(file: BufferedRandom, content: Mapping[str, Any]) -> None:
    """Writes one line at once."""
    file.write(json.dumps(content).encode() + b"\n")
    file.flush()


def _parsed(path: Path, number: int, line: bytes) -> Any:
    """The content of a line."""
    try:
        return json.loads(line)
    except ValueError as error:
        raise UserError(f"{path}, line {number}: is damaged ({error}); delete {path.parent}") from error


def _require_same(path: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Refuses the journal of another preparation."""
    if found == expected:
        return
    raise UserError(
        f"{path.parent}: holds another preparation ({changes(found, expected)}); repeat its options, or "
        "choose a new folder"
    )


def changes(found: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    """What differs between two headers, for a message; empty where nothing that is expected does."""
    keys = [key for key in expected if found.get(key) != expected[key]]
    return ", ".join(f"{key} was {found.get(key)!r} and is {expected[key]!r}" for key in keys)


def _outcome(path: Path, number: int, line: bytes) -> Outcome:
    """The outcome that a line holds."""
    content = _parsed(path, number, line)
    points = content["landmarks"]
    return Outcome(
        path=content["path"],
        stamp=(content["stamp"][0], content["stamp"][1]),
        landmarks=None if points is None else tuple((x, y) for x, y in points),
        reason=content["reason"],
        note=content["note"],
    )
