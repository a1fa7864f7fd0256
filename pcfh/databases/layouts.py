"""One way into every database: its layout is told by what lies on disk."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pcfh.databases import oulu
from pcfh.databases.buaa import read_buaa
from pcfh.databases.casia import LANDMARKS_FILE, read_captures_only, read_casia
from pcfh.databases.lamphq import read_lamphq
from pcfh.databases.lists import Lists, union
from pcfh.databases.oulu import read_oulu
from pcfh.databases.records import Database, Record
from pcfh.databases.tufts import read_tufts
from pcfh.errors import UserError
from pcfh.landmarks.given import landmark_key, read_landmarks

AUTO = "auto"
_DEPTH = 4  # of folders that are looked into for signs of a layout


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What may be chosen where a database comes without lists.

    Attributes:
        seed: of protocols that are drawn.
        illumination: of Oulu-CASIA: "Strong", "Weak" or "Dark".
        infrared: of Tufts: "near" or "thermal"; None decides by what is there.
        lists: your own, in the place of a drawn protocol.
    """

    seed: int = 0
    illumination: str = "Strong"
    infrared: str | None = None
    lists: Lists | None = None


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How one database lies on disk.

    Attributes:
        title: name of the database.
        sign: pattern of a path that lies in no other database.
        example: such a path, for people.
        read: its reader.
        has_lists: whether its lists come with it, so that nobody can choose others.
    """

    title: str
    sign: re.Pattern[str]
    example: str
    read: Callable[[Path, Choice], Database]
    has_lists: bool = False


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(rf"(?:.*/)?{text}", re.IGNORECASE)


LAYOUTS: Mapping[str, Layout] = {
    "casia": Layout(
        title="CASIA NIR-VIS 2.0",
        sign=_pattern(r"protocols/(?:nir_train|vis_train|vis_gallery|nir_probe)_(?:dev|\d+)\.txt"),
        example="protocols/nir_train_1.txt",
        read=lambda root, choice: read_casia(root),
        has_lists=True,
    ),
    "lamp-hq": Layout(
        title="LAMP-HQ",
        sign=_pattern(r"protocols?/(?:[^/]+/)?(?:train|gallery|probe)_(?:vis|nir)_?\d+\.txt"),
        example="Protocols/train/train_nir1.txt",
        read=lambda root, choice: read_lamphq(root),
        has_lists=True,
    ),
    "oulu": Layout(
        title="Oulu-CASIA NIR-VIS",
        sign=_pattern(r"(?:NI|VL)[/_](?:Strong|Weak|Dark)[/_]P\d+.*"),
        example=oulu.EXAMPLE,
        read=lambda root, choice: read_oulu(
            root, seed=choice.seed, illumination=choice.illumination, lists=choice.lists
        ),
    ),
    "tufts": Layout(
        title="Tufts Face Database",
        sign=_pattern(r"TD_(?:RGB|NIR|IR)_[AE]\w*/\d+"),
        example="TD_RGB_E/1",
        read=lambda root, choice: read_tufts(
            root, seed=choice.seed, infrared=choice.infrared, lists=choice.lists
        ),
    ),
    "captures": Layout(
        title="captures in the layout of CASIA NIR-VIS 2.0, without lists",
        sign=_pattern(r"s\d+/(?:NIR|VIS)/\w+"),
        example="s1/NIR/00001",
        read=lambda root, choice: read_captures_only(root),
    ),
    # last: folders of numbers lie in other databases too
    "buaa": Layout(
        title="BUAA-VisNir",
        sign=_pattern(r"\d+/\d+\.(?:bmp|png|jpe?g)"),
        example="1/1.bmp",
        read=lambda root, choice: read_buaa(root, seed=choice.seed, lists=choice.lists),
    ),
}


def open_database(root: Path, layout: str = AUTO, choice: Choice | None = None) -> Database:
    """Reads a database of any known layout.

    Where a file ``landmarks68.csv`` lies at its root, the records get their landmarks from it.

    Args:
        root: folder of the database.
        layout: a key of ``LAYOUTS``, or "auto" to tell it by what lies on disk.
        choice: what to draw where no lists come with the database.

    Raises:
        UserError: the layout is unknown or not the one on disk, own lists are given where the database brings
            its own, or what the layout's reader refuses.
    """
    name = layout_of(root) if layout == AUTO else layout
    if name not in LAYOUTS:
        raise UserError(f"no layout {name!r}; known: {', '.join(LAYOUTS)}")
    chosen = choice or Choice()
    if chosen.lists is not None and LAYOUTS[name].has_lists:
        raise UserError(
            f"{root}: {LAYOUTS[name].title} brings its own lists; to use others, give --root and --train-list"
        )
    return _with_landmarks(LAYOUTS[name].read(root, chosen))


def layout_of(root: Path) -> str:
    """Tells a database's layout by what lies on disk, down to the fourth folder.

    Raises:
        UserError: there is no such folder, or it is of no known layout.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; give the one that the database was unpacked to")
    paths = list(_paths(root))
    if not paths:
        raise UserError(f"{root}: the folder is empty; give the one that the database was unpacked to")
    for name, layout in LAYOUTS.items():
        if any(layout.sign.fullmatch(path) for path in paths):
            return name
    known = ", ".join(f"{layout.example} ({name})" for name, layout in LAYOUTS.items())
    raise UserError(
        f"{root}: of no known layout; expected one of {known}; for other databases use --nir and --vis, or "
        "--root with lists"
    )


def in_protocols(database: Database) -> Database:
    """The database without the captures that no protocol uses."""
    return replace(database, records=union(database.protocols.values()))


def _paths(root: Path) -> Iterator[str]:
    """Folders and files below a folder, relative to it, a few levels down."""
    for place, folders, files in os.walk(root):
        here = Path(place).relative_to(root)
        prefix = "" if here == Path() else f"{here.as_posix()}/"
        yield from (prefix + name for name in (*folders, *files))
        if len(here.parts) >= _DEPTH - 1:
            folders.clear()


def _with_landmarks(database: Database) -> Database:
    """The database with the landmarks that lie at its root, if any do."""
    sidecar = database.root / LANDMARKS_FILE
    if not sidecar.is_file() or any(record.landmarks for record in database.records):
        return database
    points = {
        key: tuple((float(x), float(y)) for x, y in face) for key, face in read_landmarks(sidecar).items()
    }

    def placed(records: tuple[Record, ...]) -> tuple[Record, ...]:
        return tuple(replace(record, landmarks=points.get(landmark_key(record.path))) for record in records)

    protocols = {
        name: replace(old, train=placed(old.train), gallery=placed(old.gallery), probe=placed(old.probe))
        for name, old in database.protocols.items()
    }
    return replace(database, records=placed(database.records), protocols=protocols)
