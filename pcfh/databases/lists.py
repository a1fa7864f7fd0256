"""Lists of files: how databases say which captures train and which are tested.

One line per capture, columns parted by blanks, commas, semicolons or tabs: path, perhaps an identity label,
perhaps a domain (0 near infrared, 1 visible). Paths are relative to the database's root, with slashes or
backslashes. Lists are older than the copies of the database that they come with: case and extension need not
match the disk. Where a line can be read in several ways (blanks or commas in names), the disk decides: the
longest path that is there is meant.
"""

import codecs
import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pcfh.databases.records import Database, Modality, Protocol, Record, closed, require_sound, union
from pcfh.errors import UserError
from pcfh.images import IMAGE_SUFFIXES
from pcfh.names import composed

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
        text: all of it, as it stands there.
    """

    place: str
    path: str
    columns: tuple[str, ...] = ()
    text: str = ""


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
    """Reads the lines of a list that are not blank, parted by blanks and commas, with any kind of line end.

    Raises:
        UserError: the list cannot be read as text, or has no line.
    """
    rows = enumerate(re.split(r"\r\n|\r|\n", _text_of(path)), start=1)
    lines = [
        _line(f"{path}, line {number}", text, columns)
        for number, text in rows
        if (columns := _by_blanks(text))
    ]
    if not lines:
        raise UserError(f"{path}: expected one path per line, the list is empty")
    return lines


def _text_of(path: Path) -> str:
    """The text of a list, in UTF-8 or, where it begins with the mark of that, in UTF-16."""
    try:
        data = path.read_bytes()
        wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: cannot be read as a list of files ({error}); save it as text in UTF-8"
        ) from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read as a list of files ({error})") from error


def _line(place: str, text: str, columns: Sequence[str]) -> Line:
    return Line(place=place, path=columns[0].replace("\\", "/"), columns=tuple(columns[1:]), text=text)


def _by_blanks(text: str) -> list[str]:
    """The columns of a line whose names have neither blanks nor commas."""
    return text.replace(",", " ").split()


def _readings(line: Line) -> Iterator[Line]:
    """Every way to part a line into path and further columns, the longest path first."""
    ways = [
        list(filter(None, map(str.strip, cells))) for mark in ",;\t " for cells in _cells(line.text, mark)
    ]
    # Blanks and commas in names that are not quoted: each could end the path.
    ends = [match.start() for match in re.finditer(r"[\s,;]+|$", line.text)]
    ways += [[line.text[:end].strip(), *_by_blanks(line.text[end:].replace(";", " "))] for end in ends]
    found = [_line(line.place, line.text, columns) for columns in ways if columns and columns[0]]
    return iter(sorted(found, key=lambda reading: -len(reading.path)))


def _cells(text: str, mark: str) -> Iterator[list[str]]:
    """A line parted at a mark, with and without regard to quotes; a backslash is a part of a name."""
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
        try:
            yield next(csv.reader([text], delimiter=mark, skipinitialspace=True, quoting=quoting), [])
        except csv.Error:
            continue


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

        The exact name is preferred, then one that differs in case or in how its letters are composed, then
        one with another extension (in the order of ``IMAGE_SUFFIXES``). A path that begins above the root,
        such as one of another machine, counts from the root's own name on, where just one such is there.
        """
        if listed not in self._known:
            parts = [part for part in listed.split("/") if part not in ("", ".")]
            self._known[listed] = self._find(parts) or self._find_below(parts)
        return self._known[listed]

    def has(self, listed: str) -> bool:
        """Whether a path is there as it is listed, but for how its letters are composed."""
        found = self.find(listed)
        return found is not None and composed(found) == composed(listed.removeprefix("./"))

    def _find_below(self, parts: Sequence[str]) -> str | None:
        """What ``find`` says of a path that leads through a folder of the root's name."""
        name = self.root.resolve().name
        starts = [place for place, part in enumerate(parts[:-1], start=1) if part == name]
        found = [path for start in starts if (path := self._find(parts[start:]))]
        return found[0] if len(found) == 1 else None

    def _find(self, parts: Sequence[str]) -> str | None:
        """What ``find`` says of a path below the root, the first time."""
        if not parts:
            return None
        *folders, name = parts
        found = ""
        for folder in folders:
            step = next(self._lookup(found, (folder,)), None)
            if step is None:
                return None
            found = f"{found}{step}/"
        stem = name.rpartition(".")[0] or name
        others = (base + suffix for base in dict.fromkeys((stem, name)) for suffix in IMAGE_SUFFIXES)
        leaves = self._lookup(found, (name, *others))
        return next((found + leaf for leaf in leaves if (self.root / found / leaf).is_file()), None)

    def _lookup(self, folder: str, wanted: Sequence[str]) -> Iterator[str]:
        """Those of some names that a folder has, exactly or but for case and composition."""
        if folder not in self._names:
            names = _names_in(self.root / folder)
            self._names[folder] = {_alike(name): name for name in names} | {name: name for name in names}
        known = self._names[folder]
        return (known[key] for name in wanted for key in (name, _alike(name)) if key in known)


def _names_in(folder: Path) -> list[str]:
    """The names in a folder, sorted; none where it is absent, a file, or not to be read."""
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError:
        return []


def _alike(name: str) -> str:
    """What names that are taken for one have in common."""
    return composed(name).lower()


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A list as it stands on disk.

    Attributes:
        path: of the list.
        lines: that name a file, or one that is absent.
        found: the path on disk of each line, None where it is absent.
        notes: on lines that were passed over.
    """

    path: Path
    lines: tuple[Line, ...]
    found: tuple[str | None, ...]
    notes: tuple[str, ...]

    @property
    def there(self) -> list[tuple[Line, str]]:
        """The lines whose files are there, and where."""
        return [
            (line, where) for line, where in zip(self.lines, self.found, strict=True) if where is not None
        ]


def look_up(path: Path, index: DiskIndex) -> Listed:
    """Reads a list and finds its files on disk.

    A line that begins with # and names no file is a comment; a first line that names no file and does not
    look like one is a header.

    Raises:
        UserError: the list cannot be read, or none of its files is below the root.
    """
    lines = [_as_on_disk(line, index) for line in read_lines(path)]
    comments = [
        line for line in lines if line.text.lstrip().startswith("#") and index.find(line.path) is None
    ]
    lines = [line for line in lines if line not in comments]
    header = lines[:1] if lines and _is_header(lines[0], index) else []
    lines = lines[len(header) :]
    if not lines:
        raise UserError(f"{path}: expected one image path per line, got only {read_lines(path)[0].path!r}")
    found = tuple(index.find(line.path) for line in lines)
    if not any(found):
        raise UserError(
            f"{path}: none of its {len(lines)} files is below {index.root}, e.g. {lines[0].path}; "
            + _remedy(lines[0], index)
        )
    notes = (
        f"{path.name}: {len(comments)} lines were taken for comments" if comments else "",
        f"{path.name}: the first line was taken for a header: {header[0].text.strip()}" if header else "",
    )
    return Listed(path=path, lines=tuple(lines), found=found, notes=tuple(filter(None, notes)))


def _as_on_disk(line: Line, index: DiskIndex) -> Line:
    """A line parted into columns so that its path is there, if there is such a way; or else by blanks."""
    if names_image(line.path) and index.has(line.path):
        return line
    ways = list(_readings(line))
    exact = (way for way in ways if index.has(way.path))
    about = (way for way in (line, *ways) if index.find(way.path))
    return next(exact, None) or next(about, line)


def _is_header(line: Line, index: DiskIndex) -> bool:
    return index.find(line.path) is None and not names_image(line.path) and "/" not in line.path


def _remedy(line: Line, index: DiskIndex) -> str:
    """What to do about a list of which not one file is there."""
    for place, column in enumerate(line.columns, start=2):
        if index.find(column.replace("\\", "/")):
            return f"its paths are in column {place}; put them first"
    return "give the folder that the list's paths are relative to"


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
    listed = look_up(path, index)
    records: dict[str, Record] = {}
    repeated = []
    for line, where in listed.there:
        record = make(line, where)
        if where in records:
            repeated.append(line.path)
        if records.setdefault(where, record) != record:
            raise UserError(
                f"{line.place}: says something else of {line.path} than a line before; correct the list"
            )
    pairs = list(zip(listed.lines, listed.found, strict=True))
    absent = [line.path for line, where in pairs if where is None]
    mended = [f"{line.path} is {where}" for line, where in listed.there if not index.has(line.path)]
    notes = (
        *listed.notes,
        _note(path, absent, f"of {len(pairs)} listed files are not on disk and left out"),
        _note(path, repeated, "lines repeat a file and were left out"),
        _note(path, mended, "files are called otherwise on disk than listed", most=1),
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
    protocol, remarks = closed(protocol)
    return protocol, (*notes, *remarks)


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
        protocol = Protocol(name=name, **parts)
        require_sound(protocol)
        protocols[name], remarks = closed(protocol)
        notes += remarks
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
