"""A prepared database on disk: aligned crops, and what is needed to trace them back.

    <out>/manifest.json     records, protocols, what was dropped; written last: it vouches for the rest
    <out>/crops/<size>/<NIR|VIS>/<subject>/<session>_<stem>.png    NIR crops have one channel, VIS crops three
                            (.webp or .jpg where they came packed, see ``pcfh.preparation.pack``)
    <out>/report.txt        what was dropped and why
    <out>/journal.jsonl     what is done, to resume from after an interruption

The manifest holds landmarks in pixels of the source picture; those of any crop follow from them, since the
alignment does. Crops are named by their path below ``crops/<size>``, the same at every size.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from jaxtyping import Float

from pcfh.databases.records import Database, Modality, Points, Protocol, Record, subjects
from pcfh.errors import UserError
from pcfh.files import sha256_of, write_atomically
from pcfh.geometry.align import crop_of, similarity, transform_points

MANIFEST = "manifest.json"
_FORMAT, _VERSION = "pcfh-prepared", 1
_DIGITS = 16  # of a person's digest: enough for no two to be alike by chance


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
class Origin:
    """The preparation that crops were packed from.

    Attributes:
        manifest: SHA-256 of its manifest.
        people: digest of each person of it, see ``person_digests``.
        coding: how the crops were coded, and what that lost.
    """

    manifest: str
    people: dict[str, str]
    coding: str


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
        origin: where the crops came packed, what they were packed from.
    """

    layout: str
    backend: str
    sizes: tuple[int, ...]
    source: Database
    crops: Mapping[str, str]
    dropped: tuple[Drop, ...]
    origin: Origin | None = None

    @cached_property
    def sources(self) -> Mapping[str, Record]:
        """The captures that were prepared, by the paths of their crops."""
        return {self.crops[record.path]: record for record in self.source.records}

    @cached_property
    def people(self) -> Mapping[str, str]:
        """Digest of each person, the same in a part of the database that was packed."""
        return person_digests(self.source.records) if self.origin is None else self.origin.people


@dataclass(frozen=True)
class _Entry:
    """A record as the file holds it."""

    subject: str
    modality: Modality
    session: str
    source: str
    crop: str
    landmarks: Points


@dataclass(frozen=True, kw_only=True)
class _Content:
    """What the file holds; protocols are places in ``records`` by part."""

    format: str = _FORMAT
    version: int = _VERSION
    layout: str
    source: str
    backend: str
    sizes: tuple[int, ...]
    records: tuple[_Entry, ...]
    protocols: dict[str, dict[str, tuple[int, ...]]]
    dropped: tuple[Drop, ...]
    origin: Origin | None = None


def crops_folder(out: Path, size: int) -> Path:
    """Where the crops of one size lie."""
    return out / "crops" / str(size)


def person_digests(records: Iterable[Record]) -> dict[str, str]:
    """What stands for each person: a digest of the captures, by path and landmarks.

    A generator's file names with them whom it has learnt from, so that it is not tested on one of them. Names
    would not do: every database has its 00001.
    """
    captures: dict[str, list[Any]] = {}
    for record in records:
        captures.setdefault(record.subject, []).append([record.path, record.landmarks])
    return {
        subject: hashlib.sha256(json.dumps(sorted(own)).encode()).hexdigest()[:_DIGITS]
        for subject, own in captures.items()
    }


def learnt_from(root: Path, protocol: str) -> dict[str, Any]:
    """What the file of a model that is trained on a protocol has to say of it.

    Raises:
        UserError: see ``read_manifest``; there is no such protocol.
    """
    manifest = read_manifest(root)
    trained = subjects(manifest.source.protocol(protocol).train)
    return {
        "protocol": protocol,
        "training_data": sha256_of(root / MANIFEST) if manifest.origin is None else manifest.origin.manifest,
        "people": sorted(manifest.people[subject] for subject in trained),
    }


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
    require_crops(folder, tuple(manifest.crops.values()))
    crops = {record.path: _crop_record(record, manifest.crops, size) for record in manifest.source.records}
    return manifest.source.with_records(crops, root=folder)


def require_crops(folder: Path, crops: Sequence[str]) -> None:
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


def write_manifest(out: Path, manifest: Manifest) -> None:
    """Writes the manifest; from then on the folder counts as prepared."""
    source = manifest.source
    place = {record.path: index for index, record in enumerate(source.records)}
    content = _Content(
        layout=manifest.layout,
        source=str(source.root),
        backend=manifest.backend,
        sizes=manifest.sizes,
        records=tuple(
            _Entry(r.subject, r.modality, r.session, r.path, manifest.crops[r.path], r.landmarks or ())
            for r in source.records
        ),
        protocols={
            name: {
                part: tuple(place[record.path] for record in records)
                for part, records in protocol.parts.items()
            }
            for name, protocol in source.protocols.items()
        },
        dropped=manifest.dropped,
        origin=manifest.origin,
    )
    plain: dict[str, Any] = msgspec.to_builtins(content)
    if content.origin is None:  # a manifest has the bytes that it had before crops could be packed
        del plain["origin"]
    # The standard library writes names of files that are no UTF-8, too.
    write_atomically(out / MANIFEST, json.dumps(plain).encode())


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
        if (form, version) == (_FORMAT, _VERSION):
            return _manifest(msgspec.convert(content, _Content))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise UserError(f"{path}: is damaged ({error!r}); run pcfh prepare again") from error
    raise UserError(
        f"{path}: expected {_FORMAT} version {_VERSION}, got {form} version {version}; "
        "prepare the database again with this version of pcfh"
    )


def _manifest(content: _Content) -> Manifest:
    """The reverse of what ``write_manifest`` writes."""
    records = tuple(
        Record(
            subject=e.subject, modality=e.modality, session=e.session, path=e.source, landmarks=e.landmarks
        )
        for e in content.records
    )
    protocols = {
        name: Protocol(name=name, **{part: tuple(records[i] for i in parts[part]) for part in parts})
        for name, parts in content.protocols.items()
    }
    return Manifest(
        layout=content.layout,
        backend=content.backend,
        sizes=content.sizes,
        source=Database(root=Path(content.source), records=records, protocols=protocols),
        crops={entry.source: entry.crop for entry in content.records},
        dropped=content.dropped,
        origin=content.origin,
    )
