"""A prepared database on disk: aligned crops, their landmarks, and what is needed to trace them back.

    <out>/manifest.json            records, protocols, what was dropped; written last: it vouches for the rest
    <out>/crops/<size>/<NIR|VIS>/<subject>/<session>_<stem>.png    NIR crops have one channel, VIS crops three
    <out>/landmarks_<size>.csv     68 points per crop, in pixels of the crop
    <out>/report.txt               what was dropped and why

The manifest holds landmarks in pixels of the source picture; those of any crop follow from them, since the
alignment does. Crops are named by their path below ``crops/<size>``, the same at every size.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from pcfh.databases.records import Database, Points, Protocol, Record
from pcfh.errors import UserError
from pcfh.files import write_atomically
from pcfh.geometry.align import crop_of, similarity, transform_points

MANIFEST = "manifest.json"
_FORMAT, _VERSION = "pcfh-prepared", 1
_LISTS = ("train", "gallery", "probe")


@dataclass(frozen=True, kw_only=True)
class Drop:
    """A capture that was left out.

    Attributes:
        path: of the picture, relative to the source database's root.
        reason: why, with the remedy if there is one.
    """

    path: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What was prepared.

    Attributes:
        layout: name of the source database's layout.
        backend: where the landmarks come from.
        sizes: sides of the crops.
        source: the captures that were kept, with landmarks in pixels of the source, and their protocols.
        crops: path of each record's crop below ``crops/<size>``, by the record's own path.
        dropped: the captures that were left out.
    """

    layout: str
    backend: str
    sizes: tuple[int, ...]
    source: Database
    crops: Mapping[str, str]
    dropped: tuple[Drop, ...]

    @cached_property
    def sources(self) -> Mapping[str, Record]:
        """The captures that were prepared, by the paths of their crops."""
        return {self.crops[record.path]: record for record in self.source.records}


def crops_folder(out: Path, size: int) -> Path:
    """Where the crops of one size lie."""
    return out / "crops" / str(size)


def landmarks_file(out: Path, size: int) -> Path:
    """Where the landmarks of one size's crops lie."""
    return out / f"landmarks_{size}.csv"


def crop_landmarks(landmarks: Points, size: int) -> Float[np.ndarray, "68 2"]:
    """Landmarks in pixels of the aligned crop, from those in pixels of the source."""
    points = np.array(landmarks)
    return transform_points(similarity(points, crop_of(size)), points)


def open_prepared(root: Path, size: int) -> Database:
    """Opens the crops of one size as a database of their own.

    Args:
        root: the folder that was prepared.
        size: side of the crops.

    Returns:
        A database rooted at the crops' folder; its records' landmarks are in pixels of the crops.

    Raises:
        UserError: nothing was prepared there, not in this size, by another version, or crops are gone.
    """
    manifest = read_manifest(root)
    if size not in manifest.sizes:
        sizes = ", ".join(map(str, manifest.sizes))
        raise UserError(
            f"{root}: has no crops of {size} pixels, only of {sizes}; prepare again with that size"
        )
    folder = crops_folder(root, size)
    _require_crops(folder, tuple(manifest.crops.values()))
    records = {record.path: _crop_record(record, manifest.crops, size) for record in manifest.source.records}
    protocols = {
        name: Protocol(name=name, **{part: _translated(getattr(old, part), records) for part in _LISTS})
        for name, old in manifest.source.protocols.items()
    }
    return Database(root=folder, records=tuple(records.values()), protocols=protocols)


def _require_crops(folder: Path, crops: Sequence[str]) -> None:
    """Refuses a folder in which crops are absent."""
    absent = [crop for crop in crops if not (folder / crop).is_file()]
    if absent:
        raise UserError(
            f"{folder}: {len(absent)} of {len(crops)} crops are gone, e.g. {absent[0]}; "
            "run pcfh prepare again with the same options, it makes those only"
        )


def _crop_record(record: Record, crops: Mapping[str, str], size: int) -> Record:
    """The record of a crop, from that of its source."""
    assert record.landmarks is not None
    points = tuple((float(x), float(y)) for x, y in crop_landmarks(record.landmarks, size))
    return replace(record, path=crops[record.path], landmarks=points)


def _translated(old: Sequence[Record], new: Mapping[str, Record]) -> tuple[Record, ...]:
    """The records of the crops in place of those of their sources."""
    return tuple(new[record.path] for record in old)


def write_manifest(out: Path, manifest: Manifest) -> None:
    """Writes the manifest; from then on the folder counts as prepared."""
    source = manifest.source
    position = {record.path: index for index, record in enumerate(source.records)}
    content = {
        "format": _FORMAT,
        "version": _VERSION,
        "layout": manifest.layout,
        "source": str(source.root),
        "backend": manifest.backend,
        "sizes": list(manifest.sizes),
        "records": [_record_as_json(record, manifest.crops[record.path]) for record in source.records],
        "protocols": {
            name: {part: [position[record.path] for record in getattr(protocol, part)] for part in _LISTS}
            for name, protocol in source.protocols.items()
        },
        "dropped": [{"path": drop.path, "reason": drop.reason} for drop in manifest.dropped],
    }
    write_atomically(out / MANIFEST, json.dumps(content).encode())


def read_manifest(root: Path) -> Manifest:
    """Reads the manifest of a prepared folder.

    Raises:
        UserError: there is none, it is damaged, or of another version.
    """
    path = root / MANIFEST
    if not path.is_file():
        raise UserError(
            f"{root}: holds no prepared database (no {MANIFEST}); run pcfh prepare first, to the end"
        )
    try:
        content = json.loads(path.read_bytes())
        form, version = content["format"], content["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: is damaged ({error!r}); run pcfh prepare again") from error
    if (form, version) != (_FORMAT, _VERSION):
        raise UserError(
            f"{path}: expected {_FORMAT} version {_VERSION}, got {form} version {version}; "
            "prepare the database again with this version of pcfh"
        )
    try:
        return _manifest_from_json(content)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise UserError(f"{path}: is damaged ({error!r}); run pcfh prepare again") from error


def _record_as_json(record: Record, crop: str) -> dict[str, Any]:
    """One record as the manifest holds it."""
    return {
        "subject": record.subject,
        "modality": record.modality,
        "session": record.session,
        "source": record.path,
        "crop": crop,
        "landmarks": record.landmarks,
    }


def _record_from_json(content: Mapping[str, Any]) -> Record:
    """The reverse of ``_record_as_json``, without the crop."""
    return Record(
        subject=content["subject"],
        modality=content["modality"],
        session=content["session"],
        path=content["source"],
        landmarks=tuple((float(x), float(y)) for x, y in content["landmarks"]),
    )


def _manifest_from_json(content: Mapping[str, Any]) -> Manifest:
    """The reverse of what ``write_manifest`` writes."""
    records = tuple(_record_from_json(entry) for entry in content["records"])
    protocols = {
        name: Protocol(name=name, **{part: tuple(records[i] for i in parts[part]) for part in _LISTS})
        for name, parts in content["protocols"].items()
    }
    return Manifest(
        layout=content["layout"],
        backend=content["backend"],
        sizes=tuple(content["sizes"]),
        source=Database(root=Path(content["source"]), records=records, protocols=protocols),
        crops={entry["source"]: entry["crop"] for entry in content["records"]},
        dropped=tuple(Drop(path=drop["path"], reason=drop["reason"]) for drop in content["dropped"]),
    )
