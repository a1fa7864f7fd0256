"""One way into every database.

Each database is one file of this folder that defines ``LAYOUT``; one of yours is named by its place,
"my_module:LAYOUT". Which one lies on disk is told by its sign.
"""

import inspect
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from pcfh.databases.lists import Lists, require_folder
from pcfh.databases.records import LANDMARKS_FILE, Database, union
from pcfh.errors import UserError
from pcfh.landmarks.given import landmark_key, read_landmarks
from pcfh.plugins import is_outside, outside, siblings

AUTO = "auto"
_DEPTH = 4  # of folders that are looked into for signs of a layout


@dataclass(frozen=True, kw_only=True)
class Count:
    """How many there are; None where nobody has said.

    Attributes:
        people: different people.
        nir: NIR captures.
        vis: VIS captures.
        captures: both together.
    """

    people: int | None = None
    nir: int | None = None
    vis: int | None = None
    captures: int | None = None


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How one database lies on disk, and what is known of it.

    Attributes:
        name: as users type it.
        title: name of the database.
        terms: who gives it out, and what for; one line.
        sign: regular expression of the end of a path, folder or file, that only this database has.
        example: such a path, for people.
        read: its reader, from the folder; its keyword arguments are the database's options.
        rank: where the signs of several layouts are there, the one of the lowest rank is meant.
        whole: published numbers of the whole database.
        protocols: published numbers by protocol and part ("train", "gallery", "probe").
        source: where the numbers come from.
    """

    name: str
    title: str
    terms: str = ""
    sign: str
    example: str
    read: Callable[..., Database]
    rank: int = 0
    whole: Count = field(default_factory=Count)
    protocols: Mapping[str, Mapping[str, Count]] = field(default_factory=dict)
    source: str = ""

    @property
    def options(self) -> dict[str, Any]:
        """What may be chosen, by name, with its type."""
        parameters = inspect.signature(self.read).parameters.values()
        return {p.name: p.annotation for p in parameters if p.kind is p.KEYWORD_ONLY}

    @property
    def brings_lists(self) -> bool:
        """Whether lists come with the database, so that nobody can choose others."""
        return "lists" not in self.options

    @property
    def pattern(self) -> re.Pattern[str]:
        """Of a whole path that is the sign."""
        return re.compile(rf"(?:.*/)?(?:{self.sign})", re.IGNORECASE)


def layouts() -> dict[str, Layout]:
    """The layouts of this folder by name, in the order in which they are tried."""
    found: list[Layout] = list(siblings("pcfh.databases", "LAYOUT").values())
    return {layout.name: layout for layout in sorted(found, key=lambda layout: (layout.rank, layout.name))}


def find_layout(name: str, root: Path) -> Layout:
    """A layout by its name, by its place ("my_module:LAYOUT"), or, for "auto", by what lies on disk.

    Raises:
        UserError: there is none of that name, no such folder, or it is of no known layout.
    """
    if name == AUTO:
        return layout_of(root)
    if is_outside(name):
        layout = outside(name)
        if not isinstance(layout, Layout):
            raise UserError(f"{name}: expected a pcfh.databases.layouts.Layout, got {layout!r}")
        return layout
    if name not in layouts():
        near = get_close_matches(name, layouts(), 1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise UserError(f"no layout {name!r}; {meant}known: {', '.join(layouts())}, or yours: module:LAYOUT")
    return layouts()[name]


def layout_of(root: Path) -> Layout:
    """Tells a database's layout by what lies on disk, down to the fourth folder.

    Raises:
        UserError: there is no such folder, or it is of no known layout.
    """
    require_folder(root)
    paths = list(_paths(root))
    if not paths:
        raise UserError(f"{root}: the folder is empty; give the one that the database was unpacked to")
    for layout in layouts().values():
        if any(map(layout.pattern.fullmatch, paths)):
            return layout
    known = ", ".join(f"{layout.example} ({name})" for name, layout in layouts().items())
    raise UserError(
        f"{root}: of no known layout; expected one of {known}; for other databases use --nir and --vis, or "
        "--root with lists"
    )


def open_database(root: Path, layout: str | Layout = AUTO, **options: Any) -> Database:
    """Reads a database of any known layout.

    Where a file ``landmarks68.csv`` lies at its root, the records get their landmarks from it.

    Args:
        root: folder of the database.
        layout: or what names it, see ``find_layout``.
        options: of the layout, e.g. ``seed=3``; text is converted.

    Raises:
        UserError: the layout is unknown, not the one on disk, or has no such option, or what its reader
            refuses.
    """
    found = layout if isinstance(layout, Layout) else find_layout(layout, root)
    values = {name: _converted(found, name, value) for name, value in options.items()}
    return with_landmarks(found.read(root, **values))


def _converted(layout: Layout, name: str, value: object) -> object:
    """An option's value in the type that the reader wants."""
    if name == "lists" and layout.brings_lists:
        raise UserError(f"{layout.title} brings its own lists; to use others, give --root and --train-list")
    if name not in layout.options:
        known = ", ".join(option for option in layout.options if option != "lists") or "none"
        raise UserError(f"{layout.title} has no option {name!r}; it has: {known}")
    if isinstance(value, Lists):
        return value
    try:
        return msgspec.convert(value, layout.options[name], strict=False)
    except msgspec.ValidationError as error:
        raise UserError(f"{layout.title}: {name}={value} cannot be ({error})") from error


def in_protocols(database: Database) -> Database:
    """The database without the captures that no protocol uses."""
    return replace(database, records=union(database.protocols.values()))


def with_landmarks(database: Database) -> Database:
    """The database with the landmarks that lie at its root, if any do, and a note where some are absent."""
    sidecar = database.root / LANDMARKS_FILE
    if not sidecar.is_file() or any(record.landmarks for record in database.records):
        return database
    points = {
        key: tuple((float(x), float(y)) for x, y in face) for key, face in read_landmarks(sidecar).items()
    }
    placed = {
        record.path: replace(record, landmarks=points.get(landmark_key(record.path)))
        for record in database.records
    }
    found = database.with_records(placed)
    without = sum(record.landmarks is None for record in placed.values())
    if not without:
        return found
    note = f"{LANDMARKS_FILE}: has no landmarks for {without} of {len(placed)} captures"
    return replace(found, notes=(*found.notes, note))


def _paths(root: Path) -> Iterator[str]:
    """Folders and files below a folder, relative to it, a few levels down."""
    for place, folders, files in os.walk(root):
        here = Path(place).relative_to(root)
        prefix = "" if here == Path() else f"{here.as_posix()}/"
        yield from (prefix + name for name in (*folders, *files))
        if len(here.parts) >= _DEPTH - 1:
            folders.clear()
