"""Databases without lists: what lies in folders, and draws by lot that anybody can repeat."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pcfh.databases.lists import DiskIndex, Lists, Noted, known_captures, read_protocol, require_folder
from pcfh.databases.records import Database, Protocol, Record, closed, require_sound
from pcfh.errors import UserError
from pcfh.images import IMAGE_SUFFIXES, OTHER_SUFFIXES


@dataclass(frozen=True, kw_only=True)
class Named:
    """A picture whose path a layout understands.

    Attributes:
        key: what it shows, the same for two copies of one capture.
        record: made of its path.
    """

    key: str
    record: Record


def named_captures(root: Path, name: Callable[[str], Named | None], example: str) -> Noted:
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
    paths, others = pictures_below(root)
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
    if strange:
        note = f"{len(strange)} pictures are not such as {example} and left out, e.g. {strange[0]}"
        others = (note, *others)
    return tuple(found.values()), others


def pictures_below(folder: Path) -> tuple[list[str], tuple[str, ...]]:
    """The pictures below a folder by their names: relative paths with forward slashes, in a stable order.

    Returns:
        The paths, and notes on what may be meant and is left out: pictures of other kinds, folders that are
        links or cannot be read. Hidden files are passed over.

    Raises:
        UserError: there is no such folder, or it holds no pictures.
    """
    require_folder(folder)
    unreadable: list[str] = []
    linked: list[str] = []
    files: list[str] = []
    for place, folders, names in os.walk(
        folder, onerror=lambda error: unreadable.append(str(error.filename))
    ):
        here = Path(place).relative_to(folder)
        files += [(here / name).as_posix() for name in names if not name.startswith(".")]
        linked += [(here / name).as_posix() for name in folders if (Path(place) / name).is_symlink()]
    found = sorted(name for name in files if name.lower().endswith(IMAGE_SUFFIXES))
    others = sorted(name for name in files if name.lower().endswith(OTHER_SUFFIXES))
    said = (
        *left_out(others, "pictures of kinds that are not read, convert them"),
        *left_out(sorted(linked), "folders are links, give the folders themselves"),
        *left_out(sorted(unreadable), "folders cannot be read, change their permissions"),
    )
    if not found:
        raise UserError(
            f"{folder}: holds no pictures ({', '.join(IMAGE_SUFFIXES)}); is it the right folder?"
            + "".join(f" {note}." for note in said)
        )
    return found, said


def left_out(names: Sequence[str], what: str) -> tuple[str, ...]:
    """A note on what was left out; none where nothing was."""
    return (f"{len(names)} {what}; left out, e.g. {names[0]}",) if names else ()


def listed_database(
    root: Path, captures: Noted, lists: Lists, example: str, *, name: str = "own"
) -> Database:
    """A database whose one protocol comes from lists.

    Raises:
        UserError: the lists are not sound, or name other pictures than ``captures``.
    """
    records, notes = captures
    make = known_captures(records, example)
    protocol, remarks = read_protocol(name, lists, DiskIndex(root), make)
    return Database(root=root, records=records, protocols={name: protocol}, notes=(*notes, *remarks))


def drawn_database(root: Path, captures: Noted, protocol: Protocol, seed: int, *remarks: str) -> Database:
    """A database whose one protocol was drawn by lot.

    Args:
        root: of the database.
        captures: all of them, with notes.
        protocol: what was drawn.
        seed: of the draw.
        remarks: notes on the draw.

    Raises:
        UserError: the protocol is not sound, or tests nobody.
    """
    require_sound(protocol)
    protocol, unenrolled = closed(protocol)
    if not protocol.probe:
        raise UserError(
            f"protocol {protocol.name!r}: nobody has NIR and VIS captures to be tested with; "
            "is all of the database unpacked?"
        )
    records, notes = captures
    note = f"protocol {protocol.name} is drawn with seed {seed}: there is no official list"
    protocols = {protocol.name: protocol}
    return Database(
        root=root, records=records, protocols=protocols, notes=(*notes, note, *remarks, *unenrolled)
    )


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
