"""CASIA NIR-VIS 2.0 as its authors hand it out.

    NIR-VIS-2.0/s1..s4/NIR/<id>/<n>.bmp, .../VIS/<id>/<n>.jpg
    NIR-VIS-2.0/protocols/{nir_train,vis_train,vis_gallery,nir_probe}_{1..10,dev}.txt

Protocols "1" to "10" are the folds of View 2 (results are reported on these), "dev" is View 1 (for tuning).
The lists have Windows line ends and backslashes, and other extensions than the disk. A person is the id
alone: 15 people occur in several sessions, under one id.
"""

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float

from pcfh.databases.lists import DiskIndex, Line, Make, numbered_lists, read_list, require_sound, union
from pcfh.databases.records import Database, Modality, Protocol, Record
from pcfh.errors import UserError
from pcfh.images import IMAGE_SUFFIXES
from pcfh.landmarks.given import landmark_key, read_landmarks

LANDMARKS_FILE = "landmarks68.csv"
_FOLDER = "nir-vis-2.0"
_LIST_NAME = re.compile(r"(nir_train|vis_train|vis_gallery|nir_probe)_0*(dev|[1-9]\d*)\.txt", re.IGNORECASE)
_MODALITY = re.compile(r"(?:NIR|VIS)$", re.IGNORECASE)
_ROLES: tuple[tuple[str, Modality], ...] = (
    ("nir_train", "NIR"),
    ("vis_train", "VIS"),
    ("vis_gallery", "VIS"),
    ("nir_probe", "NIR"),
)


def read_casia(root: Path) -> Database:
    """Reads the database with all its protocols.

    Where a file ``landmarks68.csv`` lies at the root, the records get their landmarks from it.

    Args:
        root: the folder with ``protocols`` in it, or the one above it.

    Raises:
        UserError: this is not the layout above, a list has none of its files on disk, or a person is in
            training and test of one protocol.
    """
    home, folder = _find_home(root)
    lists = _find_lists(folder)
    sidecar = home / LANDMARKS_FILE
    landmarks = read_landmarks(sidecar) if sidecar.is_file() else {}
    index, notes = DiskIndex(home), list[str]()
    protocols = {name: _read_protocol(name, lists[name], index, landmarks, notes) for name in lists}
    records = union(protocols.values())
    without = sum(record.landmarks is None for record in records)
    if landmarks and without:
        notes.append(f"{LANDMARKS_FILE}: has no landmarks for {without} of {len(records)} captures")
    return Database(root=home, records=records, protocols=protocols, notes=tuple(notes))


def read_captures_only(root: Path) -> Database:
    """Reads captures in this layout that come without lists; protocol "all" has everyone in training.

    Args:
        root: the folder with the sessions in it, or the one above it.

    Raises:
        UserError: there is no such capture.
    """
    below = sorted(path for path in root.iterdir() if path.name.lower() == _FOLDER)
    for home in (root, *below):
        paths = sorted(path for path in home.glob("s*/*/*/*") if path.suffix.lower() in IMAGE_SUFFIXES)
        records = tuple(_capture(path.relative_to(home)) for path in paths if _MODALITY.match(path.parts[-3]))
        if records:
            everyone = Protocol(name="all", train=records)
            return Database(root=home, records=records, protocols={"all": everyone})
    raise UserError(f"{root}: expected captures such as s1/NIR/00001/001.jpg; found none")


def _capture(path: Path) -> Record:
    """The record of <session>/<modality>/<id>/<file>."""
    session, modality, subject = path.parts[-4:-1]
    return Record(
        subject=subject,
        modality="NIR" if modality.upper().startswith("NIR") else "VIS",
        path=path.as_posix(),
        session=session,
    )


def _find_home(root: Path) -> tuple[Path, Path]:
    """The folder that paths are relative to, and its folder of lists."""
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; give the one that NIR-VIS-2.0 was unpacked to")
    below = sorted(path for path in root.iterdir() if path.name.lower() == _FOLDER)
    for home in (root, *below):
        folder = next((path for path in home.iterdir() if path.name.lower() == "protocols"), None)
        if folder is not None:
            return home, folder
    raise UserError(f"{root}: expected folders s1 to s4 and protocols (or NIR-VIS-2.0 with them); found none")


def _find_lists(folder: Path) -> dict[str, dict[str, Path]]:
    """The four lists of each protocol by role; the folds in the order of their numbers, then View 1."""
    roles = [role for role, _ in _ROLES]
    lists = numbered_lists(folder.iterdir(), _LIST_NAME, "{role}_{name}.txt", roles)
    if not lists:
        raise UserError(f"{folder}: expected lists such as nir_train_1.txt; found none")
    return lists


def _read_protocol(
    name: str,
    lists: Mapping[str, Path],
    index: DiskIndex,
    landmarks: Mapping[str, Float[np.ndarray, "68 2"]],
    notes: list[str],
) -> Protocol:
    """Reads the four lists of one protocol and appends what was odd to the notes."""
    parts: dict[str, tuple[Record, ...]] = {}
    for role, modality in _ROLES:
        make = _maker(modality, landmarks)
        parts[role], remarks = read_list(lists[role], index, make)
        notes += remarks
    train = (*parts["nir_train"], *parts["vis_train"])
    protocol = Protocol(name=name, train=train, gallery=parts["vis_gallery"], probe=parts["nir_probe"])
    require_sound(protocol)
    return protocol


def _maker(modality: Modality, landmarks: Mapping[str, Float[np.ndarray, "68 2"]]) -> Make:
    """What makes the record of a line of a list of one modality."""

    def make(line: Line, where: str) -> Record:
        parts = PurePosixPath(where).parts
        if len(parts) < 3 or parts[-3].upper().partition("_")[0] != modality:
            raise UserError(f"{line.place}: expected <session>/{modality}/<id>/<file>, got {line.path}")
        session = parts[-4] if len(parts) >= 4 else ""
        points = landmarks.get(landmark_key(where))
        return Record(
            subject=parts[-2],
            modality=modality,
            path=where,
            session=session,
            landmarks=None if points is None else tuple((float(x), float(y)) for x, y in points),
        )

    return make
