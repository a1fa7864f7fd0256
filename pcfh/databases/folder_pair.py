"""Any database as two folders of pictures of the same people, one near infrared and one visible."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import get_args

from pcfh.databases.folders import pictures_below
from pcfh.databases.lists import Noted
from pcfh.databases.records import Database, Modality, Protocol, Record, of_modality, subjects
from pcfh.errors import UserError
from pcfh.names import spelled

PROTOCOL = "all"


def read_folder_pair(
    nir: Path, vis: Path, *, test_subjects: Sequence[str] = (), same_people: bool = True
) -> Database:
    """Reads two folders of pictures of the same people.

    The person is the first folder below ``nir`` or ``vis``; for files that lie in these themselves, the part
    of the file's name before the first underscore.

    Args:
        nir: folder of the near-infrared captures.
        vis: folder of the visible-light captures.
        test_subjects: people kept out of training; the first VIS capture of each (by path) is enrolled, their
            NIR captures are the probes.
        same_people: whether everybody is expected in both folders, and noted where not.

    Returns:
        The database, rooted at the folders' common parent, with one protocol "all".

    Raises:
        UserError: a folder is absent, without pictures or inside the other; a person to be tested lacks NIR
            or VIS.
    """
    nir, vis = nir.resolve(), vis.resolve()
    if nir.is_relative_to(vis) or vis.is_relative_to(nir):
        raise UserError(
            f"expected two folders beside each other, got {nir} and {vis}; move one out of the other"
        )
    root = Path(os.path.commonpath([nir, vis]))
    near, near_notes = _captures(nir, "NIR", root)
    visible, visible_notes = _captures(vis, "VIS", root)
    records = (*near, *visible)
    protocol = _split(records, [*map(spelled, test_subjects)])
    notes = (*near_notes, *visible_notes, *(_one_sided(records) if same_people else ()))
    return Database(root=root, records=records, protocols={PROTOCOL: protocol}, notes=notes)


def _captures(folder: Path, modality: Modality, root: Path) -> Noted:
    """The pictures below a folder, ordered by path."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give the one of the {modality} pictures")
    names, notes = pictures_below(folder)
    paths = sorted(map(PurePosixPath, names), key=lambda path: path.parts)
    records = (
        Record(subject=_subject(path), modality=modality, path=(folder / path).relative_to(root).as_posix())
        for path in paths
    )
    return tuple(records), tuple(f"{folder.name}: {note}" for note in notes)


def _subject(path: PurePosixPath) -> str:
    """Whose picture a path relative to its modality's folder is."""
    return spelled(path.parts[0] if len(path.parts) > 1 else path.stem.partition("_")[0])


def _split(records: Sequence[Record], test_subjects: Sequence[str]) -> Protocol:
    """Training on everybody but the people to be tested."""
    tested = [record for record in records if record.subject in set(test_subjects)]
    probe = of_modality(tested, "NIR")
    enrolled: dict[str, Record] = {}
    for record in of_modality(tested, "VIS"):
        enrolled.setdefault(record.subject, record)
    lacking = sorted(set(test_subjects) - (set(subjects(probe)) & set(enrolled)))
    if lacking:
        raise UserError(
            f"expected NIR and VIS pictures of each person to be tested; {', '.join(lacking)} lack one"
        )
    train = tuple(record for record in records if record.subject not in set(test_subjects))
    return Protocol(name=PROTOCOL, train=train, gallery=tuple(enrolled.values()), probe=probe)


def _one_sided(records: Iterable[Record]) -> list[str]:
    """A note each on the people who have pictures of one modality only."""
    held = tuple(records)
    people = {modality: set(subjects(of_modality(held, modality))) for modality in get_args(Modality)}
    return [
        f"{len(lone)} people have {modality} pictures only: {', '.join(sorted(lone))}"
        for modality, lone in (("NIR", people["NIR"] - people["VIS"]), ("VIS", people["VIS"] - people["NIR"]))
        if lone
    ]
