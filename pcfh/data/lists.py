"""Lists of files: how databases say which captures train and which are tested.

One line per capture, columns separated by blanks: path, perhaps an identity label, perhaps a domain (0 near
infrared, 1 visible). Paths are relative to the database's root, with slashes or backslashes. Lists are older
than the copies of the database that they come with: case and extension need not match the disk.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pcfh.data.images import IMAGE_SUFFIXES
from pcfh.data.records import Database, Modality, Protocol, Record, require_disjoint
from pcfh.errors import UserError

_DOMAINS: dict[str, Modality] = {"0": "NIR", "1": "VIS"}
_MODALITY = re.compile(r"(?:^|[/_])(NIR|VIS)(?=[/_])", re.IGNORECASE)
_FLAT_NAME = re.compile(r"(s\d+)_(?:NIR|VIS)_([^_]+)_[^_]+", re.IGNORECASE)
_MANY = 20


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


def read_lines(path: Path) -> list[Line]:
    """Reads the lines of a list that are not blank, with either kind of line end.

    Raises:
        UserError: the list cannot be read as text, or has no line.
    """
    try:
        rows = enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as a list of files ({error})") from error
    split = ((number, row.split()) for number, row in rows)
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

    def find(self, listed: str) -> str | None:
        """The path on disk, relative to the root with forward slashes, or None where there is no such file.

        The exact name is preferred, then one that differs in case only, then one with another extension (in
        the order of ``IMAGE_SUFFIXES``).
        """
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


def records_of(
    path: Path, lines: Sequence[Line], index: DiskIndex, make: Callable[[Line, str], Record]
) -> tuple[tuple[Record, ...], tuple[str, ...]]:
    """Turns the lines of one list into records of files that are there, each once, in the list's order.

    Args:
        path: of the list, for messages.
        lines: of the list.
        index: of the database's root.
        make: the record of a line, given the path on disk.

    Returns:
        The records, and a note each on absent files, repeated lines and mended names.

    Raises:
        UserError: not one of the files is there.
    """
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


def read_flattened(
    root: Path, train: Path, gallery: Path | None = None, *, probe: Path | None = None, name: str = "1"
) -> Database:
    """Reads a database that was passed on with lists of its own (``path label domain`` or ``path label``).

    The person is read from the path where it has one of the two known forms, ``s2_NIR_10166_013.jpg`` and
    ``.../10166/013.jpg``, and is the label otherwise. The domain is the third column, or NIR or VIS in the
    path. A first line that names no image file is taken for a header.

    Args:
        root: folder that the lists' paths are relative to.
        train: list of NIR and VIS captures.
        gallery: list of enrolled VIS captures, if any.
        probe: list of NIR captures to be recognised, if any.
        name: of the protocol.

    Raises:
        UserError: a list cannot be read, contradicts itself, or has none of its files below the root; a
            person is in training and test.
    """
    reader = _Flattened(DiskIndex(root))
    notes: list[str] = []
    parts: dict[str, tuple[Record, ...]] = {}
    for part, path in (("train", train), ("gallery", gallery), ("probe", probe)):
        if path is not None:
            parts[part], remarks = reader.read(path)
            notes += remarks
    protocol = Protocol(
        name=name, train=parts["train"], gallery=parts.get("gallery", ()), probe=parts.get("probe", ())
    )
    require_disjoint(protocol)
    return Database(root=root, records=union([protocol]), protocols={name: protocol}, notes=tuple(notes))


def union(protocols: Sequence[Protocol]) -> tuple[Record, ...]:
    """Every record of some protocols once, ordered by path."""
    every = {
        record.path: record
        for protocol in protocols
        for record in (*protocol.train, *protocol.gallery, *protocol.probe)
    }
    return tuple(every[path] for path in sorted(every))


class _Flattened:
    """Reads the lists of one flattened database and remembers whose label was which."""

    def __init__(self, index: DiskIndex) -> None:
        self._index = index
        self._labels: dict[str, tuple[str, str]] = {}

    def read(self, path: Path) -> tuple[tuple[Record, ...], tuple[str, ...]]:
        """The records of one list, and notes."""
        first, *others = read_lines(path)
        if _names_image(first.path):
            return records_of(path, [first, *others], self._index, self._record)
        if not others:
            raise UserError(f"{path}: expected one image path per line, got only {first.path!r}")
        records, notes = records_of(path, others, self._index, self._record)
        return records, (f"{path.name}: the first line was taken for a header", *notes)

    def _record(self, line: Line, where: str) -> Record:
        """The record of one line."""
        if not _names_image(line.path):
            raise UserError(f"{line.place}: expected the path of an image, got {line.path!r}")
        flat = _FLAT_NAME.fullmatch(PurePosixPath(where).stem)
        subject = flat[2] if flat else _subject_folder(where) or next(iter(line.columns), "")
        if not subject:
            raise UserError(f"{line.place}: neither the path nor a label says whose capture {line.path} is")
        self._require_one_label(line, subject)
        return Record(
            subject=subject,
            modality=_modality(line, where),
            path=where,
            session=flat[1] if flat else _session_folder(where),
        )

    def _require_one_label(self, line: Line, subject: str) -> None:
        """Refuses a person who had another label before."""
        if not line.columns:
            return
        label, place = self._labels.setdefault(subject, (line.columns[0], line.place))
        if label != line.columns[0]:
            raise UserError(
                f"{line.place}: person {subject} has label {line.columns[0]} here and {label} in {place}; "
                "correct the list"
            )


def _names_image(path: str) -> bool:
    """Whether a path ends as image files do."""
    return path.lower().endswith(IMAGE_SUFFIXES)


def _subject_folder(path: str) -> str:
    """The person's folder in ``<modality>/<id>/<file>``, or "" where the path has another form."""
    folders = PurePosixPath(path).parts[:-1]
    nested = len(folders) >= 2 and _MODALITY.match(f"{folders[-2]}/") is not None
    return folders[-1] if nested or (folders and folders[-1].isdigit()) else ""


def _session_folder(path: str) -> str:
    """The session's folder in ``<session>/<modality>/<id>/<file>``, or ""."""
    parts = PurePosixPath(path).parts
    return parts[-4] if len(parts) >= 4 and re.fullmatch(r"s\d+", parts[-4]) else ""


def _modality(line: Line, where: str) -> Modality:
    """The domain by column and by path, which have to agree."""
    said = set(_domains_of(line)) | {_named(match) for match in _MODALITY.findall(where)}
    if len(said) != 1:
        problem = (
            "nothing says whether this is" if not said else "path and domain column disagree whether this is"
        )
        raise UserError(
            f"{line.place}: {problem} NIR or VIS: {line.path} {' '.join(line.columns)}; correct the list"
        )
    return said.pop()


def _domains_of(line: Line) -> Iterator[Modality]:
    """The domain column's meaning, if there is one."""
    for column in line.columns[1:2]:
        if column not in _DOMAINS:
            raise UserError(
                f"{line.place}: expected domain 0 (NIR) or 1 (VIS), got {column!r}; correct the list"
            )
        yield _DOMAINS[column]


def _named(token: str) -> Modality:
    """A modality as written in a path."""
    return "NIR" if token.upper() == "NIR" else "VIS"
