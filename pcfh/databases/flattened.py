"""A database that was passed on with lists of its own, such as the flattened copies of CASIA NIR-VIS 2.0.

    NIR/s2_NIR_10166_013.jpg 351 0

is a capture, its person's label and its domain (0 near infrared, 1 visible). All but the path may be absent
where the path says it.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pcfh.databases.lists import DiskIndex, Line, Lists, modalities_named, names_image, read_protocol
from pcfh.databases.records import Database, Modality, Record, union
from pcfh.errors import UserError

_DOMAINS: dict[str, Modality] = {"0": "NIR", "1": "VIS"}
_FLAT_NAME = re.compile(r"(s\d+)_(?:NIR|VIS)_([^_]+)_[^_]+", re.IGNORECASE)


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
    lists = Lists(train=train, gallery=gallery, probe=probe)
    protocol, notes = read_protocol(name, lists, DiskIndex(root), _Flattened().record)
    return Database(root=root, records=union([protocol]), protocols={name: protocol}, notes=notes)


class _Flattened:
    """Makes the records of one flattened database and remembers whose label was which."""

    def __init__(self) -> None:
        self._labels: dict[str, tuple[str, str]] = {}

    def record(self, line: Line, where: str) -> Record:
        """The record of one line."""
        if not names_image(line.path):
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


def _subject_folder(path: str) -> str:
    """The person's folder in ``<modality>/<id>/<file>``, or "" where the path has another form."""
    folders = PurePosixPath(path).parts[:-1]
    nested = len(folders) >= 2 and bool(modalities_named(f"{folders[-2]}/"))
    return folders[-1] if nested or (folders and folders[-1].isdigit()) else ""


def _session_folder(path: str) -> str:
    """The session's folder in ``<session>/<modality>/<id>/<file>``, or ""."""
    parts = PurePosixPath(path).parts
    return parts[-4] if len(parts) >= 4 and re.fullmatch(r"s\d+", parts[-4]) else ""


def _modality(line: Line, where: str) -> Modality:
    """The domain by column and by path, which have to agree."""
    said = set(_domains_of(line)) | modalities_named(where)
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
