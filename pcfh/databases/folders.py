"""Databases without lists: what lies in folders, and draws by lot that anybody can repeat."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath

from pcfh.databases.records import Database, Modality, Protocol, Record, subjects
from pcfh.errors import UserError
from pcfh.images import IMAGE_SUFFIXES

PROTOCOL = "all"


def read_folder_pair(nir: Path, vis: Path, *, test_subjects: Sequence[str] = ()) -> Database:
    """Reads two folders of pictures of the same people.

    The person is the first folder below ``nir`` or ``vis``; for files that lie in these themselves, the part
    of the file's name before the first underscore.

    Args:
        nir: folder of the near-infrared captures.
        vis: folder of the visible-light captures.
        test_subjects: people kept out of training; the first VIS capture of each (by path) is enrolled, their
            NIR captures are the probes.

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
    records = (*_captures(nir, "NIR", root), *_captures(vis, "VIS", root))
    protocol = _split(records, test_subjects)
    notes = tuple(_one_sided(records))
    return Database(root=root, records=records, protocols={PROTOCOL: protocol}, notes=notes)


@dataclass(frozen=True, kw_only=True)
class Named:
    """A picture whose path a layout understands.

    Attributes:
        key: what it shows, the same for two copies of one capture.
        record: made of its path.
    """

    key: str
    record: Record


def named_captures(
    root: Path, name: Callable[[str], Named | None], example: str
) -> tuple[tuple[Record, ...], tuple[str, ...]]:
    """The captures below a folder whose layout says everything about them.

    Args:
        root: folder of the database.
        name: what a path relative to the root means, or None where it is no capture of this layout.
        example: such a path, for messages.

    Returns:
        The records, ordered by path, and a note on the pictures of no meaning.

    Raises:
        UserError: the folder is absent or holds no pictures, none of this layout, or two of one capture.
    """
    paths = pictures_below(root)
    found: dict[str, Record] = {}
    strange: list[str] = []
    for path in paths:
        named = name(path)
        if named is None:
            strange.append(path)
        elif found.setdefault(named.key, named.record) is not named.record:
            raise UserError(
                f"{root}: {found[named.key].path} and {path} are the same capture; "
                "give the folder of one copy of the database"
            )
    if not found:
        raise UserError(f"{root}: expected pictures such as {example}, found e.g. {paths[0]}; wrong layout?")
    if not strange:
        return tuple(found.values()), ()
    note = f"{len(strange)} pictures are not such as {example} and left out, e.g. {strange[0]}"
    return tuple(found.values()), (note,)


def pictures_below(folder: Path) -> list[str]:
    """The pictures below a folder by their names: relative paths with forward slashes, in a stable order.

    Raises:
        UserError: there is no such folder, or it holds no pictures.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give the one that the database was unpacked to")
    found = [
        (Path(place).relative_to(folder) / name).as_posix()
        for place, _, names in os.walk(folder)
        for name in names
        if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")
    ]
    if not found:
        raise UserError(f"{folder}: holds no pictures ({', '.join(IMAGE_SUFFIXES)}); is it the right folder?")
    return sorted(found)


def draw(items: Iterable[str], count: int, lot: str) -> list[str]:
    """Draws some items by lot: the same ones for everybody, whatever machine and library.

    An item's rank is the SHA-256 of ``"<lot> <item>"``; those of the lowest ranks are drawn.

    Args:
        items: to draw from, each once; their order is of no importance.
        count: how many; all where there are fewer.
        lot: names the draw; another name, another result.

    Returns:
        The items drawn, sorted.
    """
    ranked = sorted(items, key=lambda item: sha256(f"{lot} {item}".encode()).digest())
    return sorted(ranked[:count])


def _captures(folder: Path, modality: Modality, root: Path) -> list[Record]:
    """The pictures below a folder, ordered by path."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give the one of the {modality} pictures")
    paths = sorted(map(PurePosixPath, pictures_below(folder)), key=lambda path: path.parts)
    return [
        Record(subject=_subject(path), modality=modality, path=(folder / path).relative_to(root).as_posix())
        for path in paths
    ]


def _subject(path: PurePosixPath) -> str:
    """Whose picture a path relative to its modality's folder is."""
    return path.parts[0] if len(path.parts) > 1 else path.stem.partition("_")[0]


def _split(records: Sequence[Record], test_subjects: Sequence[str]) -> Protocol:
    """Training on everybody but the people to be tested."""
    tested = [record for record in records if record.subject in set(test_subjects)]
    probe = tuple(record for record in tested if record.modality == "NIR")
    enrolled: dict[str, Record] = {}
    for record in tested:
        if record.modality == "VIS":
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
    people: dict[str, set[str]] = {"NIR": set(), "VIS": set()}
    for record in records:
        people[record.modality].add(record.subject)
    sides = {"NIR": people["NIR"] - people["VIS"], "VIS": people["VIS"] - people["NIR"]}
    return [
        f"{len(lone)} people have {modality} pictures only: {', '.join(sorted(lone))}"
        for modality, lone in sides.items()
        if lone
    ]
