"""Lists of files: how databases say which captures train and which are tested.

One line per capture, columns separated by blanks or commas: path, perhaps an identity label, perhaps a
domain (0 near infrared, 1 visible). A first line that names no image is a header. Paths are relative to the
database's root, with slashes or backslashes. Lists are older than the copies of the database that they come
with: case and extension need not match the disk.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pcfh.databases.records import Database, Modality, Protocol, Record, require_sound, union
from pcfh.errors import UserError
from pcfh.images import IMAGE_SUFFIXES

_NAMED: dict[str, Modality] = {"NIR": "NIR", "NI": "NIR", "VIS": "VIS", "VL": "VIS"}
_MODALITY = re.compile(r"(?:^|[/_])(NIR?|VIS|VL)(?=[/_])", re.IGNORECASE)
_MANY = 20

Noted = tuple[tuple[Record, ...], tuple[str, ...]]  # records, and notes on what was odd about them


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a list.

    Attributes:
        place: list and line number, for messages.
        path: the first column, with forward slashes.
        columns: the others.
    """

    place: str
    path: str
    columns: tuple[str, ...] = ()


Make = Callable[[Line, str], Record]  # the record of a line, given the path on disk


@dataclass(frozen=True, kw_only=True)
class Lists:
    """A user's own lists of one protocol.

    Attributes:
        train: of NIR and VIS captures.
        gallery: of enrolled VIS captures.
        probe: of NIR captures to be recognised.
    """

    train: Path | None = None
    gallery: Path | None = None
    probe: Path | None = None


def read_lines(path: Path) -> list[Line]:
    """Reads the lines of a list that are not blank, with either kind of line end.

    Raises:
        UserError: the list cannot be read as text, or has no line.
    """
    try:
        rows = enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as a list of files ({error})") from error
    split = ((number, row.replace(",", " ").split()) for number, row in rows)
    lines = [
        Line(place=f"{path}, line {number}", path=row[0].replace("\\", "/"), columns=tuple(row[1:]))
        for number, row in split
        if row
    ]
    if not lines:
        raise UserError(f"{path}: expected one path per line, the list is empty")
    return lines


class DiskIndex:
    """Finds listed files on disk, whatever the list's case and extension.

    Each folder is read once. Only names that stand in a folder below the root can be found, so no list leads
    out of it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._names: dict[str, dict[str, str]] = {}
        self._known: dict[str, str | None] = {}  # folds list the same files again and again

    def find(self, listed: str) -> str | None:
        """The path on disk, relative to the root with forward slashes, or None where there is no such file.

        The exact name is preferred, then one that differs in case only, then one with another extension (in
        the order of ``IMAGE_SUFFIXES``).
        """
        if listed not in self._known:
            self._known[listed] = self._find(listed)
        return self._known[listed]

    def _find(self, listed: str) -> str | None:
        """What ``find`` says the first time."""
        parts = [part for part in listed.split("/") if part not in ("", ".")]
        if not parts:
            return None
        *folders, name = parts
        found = ""
        for folder in folders:
            step = self._lookup(found, (folder,))
            if step is None:
                return None
            found = f"{found}{step}/"
        stem = name.rpartition(".")[0] or name
        leaf = self._lookup(found, (name, *(stem + suffix for suffix in IMAGE_SUFFIXES)))
        return None if leaf is None else found + leaf

    def _lookup(self, folder: str, wanted: Sequence[str]) -> str | None:
        """The first of some names that a folder has, exactly or but for its case."""
        if folder not in self._names:
            place = self.root / folder
            names = sorted(entry.name for entry in place.iterdir()) if place.is_dir() else []
            self._names[folder] = {name.lower(): name for name in names} | {name: name for name in names}
        known = self._names[folder]
        return next((known[key] for name in wanted for key in (name, name.lower()) if key in known), None)


def read_list(path: Path, index: DiskIndex, make: Make) -> Noted:
    """Reads the records of one list: of files that are there, each once, in the list's order.

    Args:
        path: of the list.
        index: of the database's root.
        make: the record of a line, given the path on disk.

    Returns:
        The records, and a note each on a header, absent files, repeated lines and mended names.

    Raises:
        UserError: the list cannot be read, not one of its files is there, or it contradicts itself.
    """
    lines = read_lines(path)
    header = not names_image(lines[0].path)
    if header and len(lines) == 1:
        raise UserError(f"{path}: expected one image path per line, got only {lines[0].path!r}")
    lines = lines[header:]
    found = [(line, index.find(line.path)) for line in lines]
    there = [(line, where) for line, where in found if where is not None]
    if not there:
        raise UserError(
            f"{path}: none of its {len(lines)} files is below {index.root}, e.g. {lines[0].path}; "
            "give the folder that the list's paths are relative to"
        )
    records: dict[str, Record] = {}
    repeated = []
    for line, where in there:
        record = make(line, where)
        if where in records:
            repeated.append(line.path)
        if records.setdefault(where, record) != record:
            raise UserError(
                f"{line.place}: says something else of {line.path} than a line before; correct the list"
            )
    absent = [line.path for line, where in found if where is None]
    mended = [f"{line.path} is {where}" for line, where in there if where != line.path.removeprefix("./")]
    notes = (
        f"{path.name}: the first line was taken for a header" if header else "",
        _note(path, absent, f"of {len(lines)} listed files are not on disk and left out"),
        _note(path, repeated, "lines repeat a file and were left out"),
        _note(path, mended, "files have another extension or case on disk than listed", most=1),
    )
    return tuple(records.values()), tuple(note for note in notes if note)


def _note(path: Path, items: Sequence[str], what: str, *, most: int = _MANY) -> str:
    """One line that counts some items of a list and names the first of them; "" where there are none."""
    if not items:
        return ""
    more = f", ... ({len(items) - most} more)" if len(items) > most else ""
    return f"{path.name}: {len(items)} {what}: {', '.join(items[:most])}{more}"


def read_protocol(name: str, lists: Lists, index: DiskIndex, make: Make) -> tuple[Protocol, tuple[str, ...]]:
    """Reads the lists of one protocol, those that there are, and notes; see ``read_list``.

    Raises:
        UserError: what ``read_list`` and ``require_sound`` refuse.
    """
    parts: dict[str, tuple[Record, ...]] = {}
    notes: list[str] = []
    for part, path in (("train", lists.train), ("gallery", lists.gallery), ("probe", lists.probe)):
        if path is not None:
            parts[part], remarks = read_list(path, index, make)
            notes += remarks
    protocol = Protocol(name=name, **parts)
    require_sound(protocol)
    return protocol, tuple(notes)


@dataclass(frozen=True, kw_only=True)
class ListNames:
    """How the lists of numbered protocols are called.

    Attributes:
        pattern: of a list's name; group 1 is the role, group 2 the protocol.
        form: of a list's name, with ``{role}`` and ``{name}``.
        roles: the part of the protocol and the modality of each role; every protocol has all.
    """

    pattern: re.Pattern[str]
    form: str
    roles: dict[str, tuple[str, Modality]]

    @property
    def example(self) -> str:
        """Such a name."""
        return self.form.format(role=next(iter(self.roles)), name=1)


def read_numbered(root: Path, names: ListNames, make: Callable[[Modality, Line, str], Record]) -> Database:
    """Reads a database that comes with the lists of several protocols, in a folder of that name.

    Args:
        root: the folder with ``protocols`` (or ``Protocol``) in it, or the one above it.
        names: of the lists, at any depth of that folder.
        make: the record of a line.

    Returns:
        The database, its protocols in the order of their numbers, then those without.

    Raises:
        UserError: there are no such folder and lists, or what ``read_list``, ``require_sound`` and ``union``
            refuse.
    """
    home, folder = _find_lists(root, names.example)
    index, notes = DiskIndex(home), list[str]()
    protocols = {}
    for name, lists in _by_protocol(folder, names).items():
        parts: dict[str, tuple[Record, ...]] = {}
        for role, (part, modality) in names.roles.items():
            records, remarks = read_list(lists[role], index, partial(make, modality))
            parts[part] = (*parts.get(part, ()), *records)
            notes += remarks
        protocols[name] = Protocol(name=name, **parts)
        require_sound(protocols[name])
    return Database(root=home, records=union(protocols.values()), protocols=protocols, notes=tuple(notes))


def _find_lists(root: Path, example: str) -> tuple[Path, Path]:
    """The folder that paths are relative to, and its folder of lists."""
    require_folder(root)
    for home in (root, *sorted(path for path in root.iterdir() if path.is_dir())):
        for folder in sorted(home.iterdir()):
            if folder.name.lower() in ("protocol", "protocols") and folder.is_dir():
                return home, folder
    raise UserError(f"{root}: expected a folder protocols with {example} and so on in it; found none")


def _by_protocol(folder: Path, names: ListNames) -> dict[str, dict[str, Path]]:
    """The lists of each protocol by role."""
    lists: dict[str, dict[str, Path]] = {}
    for path in folder.rglob("*.*"):
        if match := names.pattern.fullmatch(path.name):
            lists.setdefault(match[2].lower(), {})[match[1].lower()] = path
    if not lists:
        raise UserError(f"{folder}: expected lists such as {names.example}; found none")
    for name, by_role in lists.items():
        lacking = [names.form.format(role=role, name=name) for role in names.roles if role not in by_role]
        if lacking:
            raise UserError(f"{folder}: protocol {name} lacks {', '.join(lacking)}; add or remove its lists")
    return {name: lists[name] for name in sorted(lists, key=lambda name: (not name.isdigit(), name.zfill(9)))}


def known_captures(records: Iterable[Record], example: str) -> Make:
    """What makes the record of a line of a list, for a layout that tells everything by itself.

    Args:
        records: every capture of the database.
        example: path of a capture in this layout, for messages.
    """
    known = {record.path: record for record in records}

    def make(line: Line, where: str) -> Record:
        if where not in known:
            raise UserError(f"{line.place}: expected a capture such as {example}, got {line.path}")
        return known[where]

    return make


def require_folder(root: Path) -> None:
    """Refuses a path that is no folder."""
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; give the one that the database was unpacked to")


def names_image(path: str) -> bool:
    """Whether a path ends as image files do."""
    return path.lower().endswith(IMAGE_SUFFIXES)


def modalities_named(path: str) -> set[Modality]:
    """The modalities that folders or the name in a path speak of."""
    return {_NAMED[match.upper()] for match in _MODALITY.findall(path)}
