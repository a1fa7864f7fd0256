"""LAMP-HQ as its authors hand it out.

    LAMP_HQ/Protocols/train/train_vis1.txt, train_nir1.txt    (or Protocol, or all lists in one folder)
    LAMP_HQ/Protocols/test/gallery_vis1.txt, probe_nir1.txt

Protocols "1" to "10" are the folds. A line is ``<path> <label>``; some copies begin each list with a header.
The person is the label, which therefore has to mean the same person in all lists.
"""

import re
from pathlib import Path

from pcfh.databases.lists import (
    DiskIndex,
    Line,
    Make,
    modalities_named,
    numbered_lists,
    read_list,
    require_sound,
    union,
)
from pcfh.databases.records import Database, Modality, Protocol, Record
from pcfh.errors import UserError

_LIST_NAME = re.compile(r"(train_vis|train_nir|gallery_vis|probe_nir)_?0*([1-9]\d*)\.txt", re.IGNORECASE)
_ROLES: tuple[tuple[str, Modality], ...] = (
    ("train_nir", "NIR"),
    ("train_vis", "VIS"),
    ("gallery_vis", "VIS"),
    ("probe_nir", "NIR"),
)


def read_lamphq(root: Path) -> Database:
    """Reads the database with all its folds.

    Args:
        root: the folder with the lists' folder in it, or the one above it.

    Raises:
        UserError: this is not the layout above, a list has none of its files on disk, a label means two
            people, or a person is in training and test of one fold.
    """
    home, folder = _find_home(root)
    index, notes = DiskIndex(home), list[str]()
    lists = numbered_lists(
        folder.rglob("*.txt"), _LIST_NAME, "{role}{name}.txt", [role for role, _ in _ROLES]
    )
    if not lists:
        raise UserError(f"{folder}: expected lists such as train/train_nir1.txt; found none")
    protocols = {}
    for name, by_role in lists.items():
        parts: dict[str, tuple[Record, ...]] = {}
        for role, modality in _ROLES:
            parts[role], remarks = read_list(by_role[role], index, _maker(modality))
            notes += remarks
        protocols[name] = _protocol(name, parts)
    records = union(protocols.values())
    return Database(root=home, records=records, protocols=protocols, notes=tuple(notes))


def _protocol(name: str, parts: dict[str, tuple[Record, ...]]) -> Protocol:
    """One fold of its four lists."""
    train = (*parts["train_nir"], *parts["train_vis"])
    protocol = Protocol(name=name, train=train, gallery=parts["gallery_vis"], probe=parts["probe_nir"])
    require_sound(protocol)
    return protocol


def _find_home(root: Path) -> tuple[Path, Path]:
    """The folder that paths are relative to, and its folder of lists."""
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; give the one that LAMP-HQ was unpacked to")
    for home in (root, *sorted(path for path in root.iterdir() if path.is_dir())):
        for folder in sorted(home.iterdir()):
            if folder.name.lower() in ("protocol", "protocols") and folder.is_dir():
                return home, folder
    raise UserError(f"{root}: expected a folder Protocols with train_nir1.txt and so on in it; found none")


def _maker(modality: Modality) -> Make:
    """What makes the record of a line of a list of one modality."""

    def make(line: Line, where: str) -> Record:
        if not line.columns:
            raise UserError(f"{line.place}: expected <path> <label>, got no label for {line.path}")
        if modalities_named(where) - {modality}:
            raise UserError(f"{line.place}: expected a {modality} capture, got {line.path}")
        return Record(subject=line.columns[0], modality=modality, path=where)

    return make
