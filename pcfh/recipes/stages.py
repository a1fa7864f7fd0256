"""Stages of work that are done once, and known by their content.

A stage that ends writes a record: all that decides what it makes, and the SHA-256 of what it made. It counts
as done as long as both are still so; otherwise it is worked at again.

    <work>/settings.json                                 what the folder belongs to
    <work>/prepared/<casia|buaa|oulu>                    prepared databases, see ``pcfh.preparation.manifest``
    <work>/rows/light-cnn/fold-<k>/                      a row that is not trained
    <work>/rows/<row>/seed-<s>/fold-<k>/                 one training and what became of it:
        run/                                             see ``pcfh.training.loop``
        trained.json  cost.json                          record of the training, and what it cost
        <casia|buaa|oulu>/                               results.json, outcome.npz, evaluated.json
    <work>/cache                                         features and generated faces
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pcfh.errors import UserError
from pcfh.files import locked, sha256_of, write_atomically

SETTINGS = "settings.json"
_FORMAT = {"format": "pcfh-reproduction", "format_version": 1}


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A piece of work.

    Attributes:
        record: file that says it is done.
        inputs: plain data, all that decides what it makes.
        outputs: files that it makes.
    """

    record: Path
    inputs: Mapping[str, Any]
    outputs: tuple[Path, ...]


def is_done(stage: Stage) -> bool:
    """Whether the stage was done with the same inputs, and what it made is unchanged."""
    return _record(stage) == _content(stage)


def was_done(stage: Stage) -> bool:
    """Whether the stage was done with the same inputs, even if what it made is not the same any more."""
    return _record(stage).get("inputs") == _content(stage)["inputs"]


def mark_done(stage: Stage) -> None:
    """Writes the record of a stage whose outputs are there."""
    write_atomically(stage.record, json.dumps(_content(stage), indent=1).encode())


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Keeps other processes out of a folder.

    Raises:
        UserError: another one is at work there.
    """
    busy = f"{folder}: another process is at work there; wait for it, or name other --rows or --seeds"
    with locked(folder, busy):
        yield


def fingerprint(root: Path) -> str:
    """What changes when a file of a database does: names, sizes and times of all.

    Raises:
        UserError: there is no such folder.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; give the one that the database was unpacked to")
    digest = hashlib.sha256(os.fsencode(root.resolve()))
    for place, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(files):
            status = os.stat(os.path.join(place, name))  # noqa: PTH116, PTH118 - tens of thousands of files
            digest.update(f"{place}/{name} {status.st_size} {status.st_mtime_ns}\n".encode(errors="replace"))
    return digest.hexdigest()


def require_settings(work: Path, settings: Mapping[str, Any]) -> None:
    """Refuses a folder that was begun with other settings; writes them into a new one.

    Args:
        work: the folder.
        settings: plain data by name.

    Raises:
        UserError: what differs, or the folder holds something else.
    """
    path = work / SETTINGS
    if not path.is_file():
        if work.is_dir() and any(work.iterdir()):
            raise UserError(f"{work}: is not empty and no reproduction was begun there; give another folder")
        kept: dict[str, Any] = {}
    else:
        kept = _read_settings(path)
    different = [
        f"{name}: the folder has {kept[name]!r}, now {value!r}"
        for name, value in settings.items()
        if name in kept and kept[name] != value
    ]
    if different:
        raise UserError(
            f"{work} was begun with other settings:\n  "
            + "\n  ".join(different)
            + "\ngive another folder, or "
            "the settings of that one to go on with it"
        )
    if {**kept, **settings} != kept:
        write_atomically(path, json.dumps({**_FORMAT, "settings": {**kept, **settings}}, indent=1).encode())


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
        if {key: content[key] for key in _FORMAT} != _FORMAT:
            raise KeyError("format")
        return dict(content["settings"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: expected the settings of a reproduction, got {error!r}; give another folder"
        ) from error


def _record(stage: Stage) -> dict[str, Any]:
    """What was written when the stage was done; empty where nothing was, or it is damaged."""
    try:
        return dict(json.loads(stage.record.read_bytes()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _content(stage: Stage) -> dict[str, Any]:
    """The record of a stage as it would be written now; absent outputs have no digest."""
    digests = {path.name: sha256_of(path) if path.is_file() else None for path in stage.outputs}
    inputs = json.loads(json.dumps(stage.inputs))  # tuples as lists, as a file holds them
    return {"inputs": inputs, "outputs": digests}
