"""A database that was passed on with lists of its own, such as the flattened copies of CASIA NIR-VIS 2.0.

    NIR/s2_NIR_10166_013.jpg 351 0

is a capture, its person's label and its domain (0 near infrared, 1 visible). All but the path may be absent
where the path says it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Literal

from pcfh.databases.lists import (
    DiskIndex,
    Line,
    Lists,
    look_up,
    modalities_named,
    names_image,
    read_protocol,
)
from pcfh.databases.records import Database, Modality, Record, union
from pcfh.errors import UserError
from pcfh.names import spelled

_DOMAINS: dict[str, Modality] = {"0": "NIR", "1": "VIS", "NIR": "NIR", "VIS": "VIS"}
_FLAT_NAME = re.compile(r"(s\d+)_(?:NIR|VIS)_([^_]+)_[^_]+", re.IGNORECASE)


People = Literal["auto", "label", "path"]
Placed = tuple[Line, str]  # a line and the path of its file on disk
_NO_PERSON = re.compile(
    r"s\d+|train(?:ing)?|test(?:ing)?|val(?:idation)?|gallery|probes?|query", re.IGNORECASE
)
_CHOOSE = "correct the list, or say which is meant: --option people=label or people=path"


def read_flattened(
    root: Path,
    train: Path,
    gallery: Path | None = None,
    *,
    probe: Path | None = None,
    name: str = "1",
    people: People = "auto",
) -> Database:
    """Reads a database that was passed on with lists of its own (``path label domain`` or ``path label``).

    Who it is says the path, where it has one of two known forms, or else the label. The forms are
    ``s2_NIR_10166_013.jpg`` and a folder of the person, ``.../10166/013.jpg`` or ``NIR/anna/x.jpg``, which is
    the only folder that differs. Where labels part the pictures otherwise than the paths do, nothing is
    guessed: ``people`` says which is meant. The domain is the third column, or NIR or VIS in the path.

    Args:
        root: folder that the lists' paths are relative to.
        train: list of NIR and VIS captures.
        gallery: list of enrolled VIS captures, if any.
        probe: list of NIR captures to be recognised, if any.
        name: of the protocol.
        people: "label" or "path" where both are there and disagree.

    Raises:
        UserError: a list cannot be read, contradicts itself, or has none of its files below the root; nothing
            says who somebody is, or labels and paths disagree; a person is in training and test.
    """
    lists, index = Lists(train=train, gallery=gallery, probe=probe), DiskIndex(root)
    tested = [look_up(path, index).there for path in (gallery, probe) if path is not None]
    # Labels often begin anew in the lists for the test.
    parts = [look_up(train, index).there, [line for there in tested for line in there]]
    naming = _naming(parts, people)
    protocol, notes = read_protocol(name, lists, index, partial(_record, naming))
    return Database(
        root=root,
        records=union([protocol]),
        protocols={name: protocol},
        notes=(*notes, *_guesses(naming, parts)),
    )


@dataclass(frozen=True, kw_only=True)
class _Naming:
    """Who is who in the lists.

    Attributes:
        by_path: whether paths say it, where they can.
        folder: place of the person's folder in a path; None where folders do not say it.
        doubt: why they do not, where they nearly do.
    """

    by_path: bool
    folder: int | None
    doubt: str = ""

    def of_path(self, where: str) -> str:
        """The person by the path, or ""."""
        if not self.by_path:
            return ""
        if flat := _FLAT_NAME.fullmatch(PurePosixPath(where).stem):
            return spelled(flat[2])
        folders = _folders(where)
        if self.folder is None or self.folder >= len(folders):
            return ""
        return spelled(folders[self.folder])


def _naming(parts: Sequence[Sequence[Placed]], people: People) -> _Naming:
    """How the lists name people.

    Args:
        parts: lines and paths of the training, and of the test; in each, a label means one person.
        people: what the user says.
    """
    paths = [
        where for part in parts for _, where in part if not _FLAT_NAME.fullmatch(PurePosixPath(where).stem)
    ]
    folder, doubt = _person_folder(paths)
    naming = _Naming(by_path=people != "label", folder=folder, doubt=doubt)
    if people == "auto":
        for part in parts:
            _require_agreement(part, naming)
    return naming


def _person_folder(paths: Sequence[str]) -> tuple[int | None, str]:
    """Which of the folders in paths is the person's, or why it cannot be told."""
    split = [_folders(path) for path in paths]
    depth = min(map(len, split), default=0)
    if not depth:
        return None, ""
    others = [place for place in range(depth) if not all(map(_is_neutral, {s[place] for s in split}))]
    varied = [place for place in others if len({folders[place] for folders in split}) > 1]
    named = [place for place in others if all(_is_person(folders, place) for folders in split)]
    if not varied:
        return (named[-1] if named else None), ""
    if len(varied) == 1:
        return (varied[0] if varied[0] in named else None), ""
    first = PurePosixPath(paths[0]).parts
    folders = " or ".join(first[place] for place in varied)
    return None, f"its person may be the folder {folders}"


def _folders(path: str) -> tuple[str, ...]:
    return PurePosixPath(path).parts[:-1]


def _is_neutral(folder: str) -> bool:
    """Whether a folder is that of a modality, a session or a part of the protocol."""
    return bool(modalities_named(f"{folder}/")) or _NO_PERSON.fullmatch(folder) is not None


def _is_person(folders: Sequence[str], place: int) -> bool:
    """Whether a folder may be a person's: a number, or below that of a modality."""
    below = place > 0 and bool(modalities_named(f"{folders[place - 1]}/"))
    return below or folders[place].isdigit()


def _require_agreement(part: Sequence[Placed], naming: _Naming) -> None:
    """Refuses labels that part the pictures otherwise than the paths do."""
    labels: dict[str, tuple[str, str]] = {}
    people: dict[str, tuple[str, str]] = {}
    for line, where in part:
        person = naming.of_path(where)
        if not (person and line.columns):
            continue
        label = spelled(line.columns[0])
        before, place = labels.setdefault(person, (label, line.place))
        if before != label:
            raise UserError(
                f"{line.place}: person {person} has label {label} here and {before} in {place}; {_CHOOSE}"
            )
        other, place = people.setdefault(label, (person, line.place))
        if other != person:
            raise UserError(
                f"{line.place}: label {label} is that of person {person} here and of {other} in {place}, by "
                f"the paths; {_CHOOSE}"
            )


def _guesses(naming: _Naming, parts: Sequence[Sequence[Placed]]) -> tuple[str, ...]:
    """A note where paths alone say who is who."""
    lines = [(line, where) for part in parts for line, where in part]
    if not naming.by_path or any(line.columns for line, _ in lines):
        return ()
    return (f"no labels: people are told by the paths, e.g. {lines[0][1]} is {naming.of_path(lines[0][1])}",)


def _record(naming: _Naming, line: Line, where: str) -> Record:
    """The record of one line."""
    if not names_image(where):
        raise UserError(f"{line.place}: expected the path of an image, got {line.path!r}")
    subject = naming.of_path(where) or spelled(next(iter(line.columns), ""))
    if not subject:
        doubt = f" ({naming.doubt})" if naming.doubt else ""
        raise UserError(
            f"{line.place}: neither the path nor a label says whose capture {line.path} is{doubt}; add a "
            "label after each path"
        )
    flat = _FLAT_NAME.fullmatch(PurePosixPath(where).stem)
    return Record(
        subject=subject,
        modality=_modality(line, where),
        path=where,
        session=flat[1] if flat else _session_folder(where),
    )


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
    for column in map(str.upper, line.columns[1:2]):
        if column not in _DOMAINS:
            raise UserError(
                f"{line.place}: expected domain 0 (NIR) or 1 (VIS), got {column!r}; correct the list"
            )
        yield _DOMAINS[column]
