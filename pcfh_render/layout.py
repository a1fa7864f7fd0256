"""The files of a rendered database beside its pictures: lists, tables and a text for people.

Notes are what ``database.py`` keeps of each person: ``person``, and ``captures`` with ``path``, ``landmarks``
and ``parameters``; they are read one after the other, never all at once.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from pcfh.databases.records import LANDMARKS_FILE, Modality
from pcfh.databases.rendered import PARAMETERS
from pcfh.files import atomic_path, write_atomically
from pcfh.landmarks.given import COORDINATES
from pcfh_render.facemodel import SOURCE
from pcfh_render.recipes import Recipe, training_people
from pcfh_render.shifts import SHIFTS

PEOPLE = "people.csv"
README = "README.txt"


def subject_name(subject: int) -> str:
    """The number of a person as its folder is called."""
    return f"{subject:05d}"


def capture_path(session: int, modality: Modality, subject: int, *, number: int) -> str:
    """Where a capture lies, relative to the database's root."""
    return f"s{session}/{modality}/{subject_name(subject)}/{number:03d}.jpg"


def write_tables(home: Path, notes: Iterable[Mapping[str, Any]]) -> None:
    """Writes the tables of landmarks, captures and people."""
    with (
        _table(home / LANDMARKS_FILE) as landmarks,
        _table(home / PARAMETERS) as parameters,
        _table(home / PEOPLE) as people,
    ):
        for note in notes:
            subject = _subject(note)
            people.add({"subject": subject, **note["person"], "sessions": _sessions(note)})
            for capture in note["captures"]:
                path = capture["path"]
                points = (f"{value:.3f}" for point in capture["landmarks"] for value in point)
                landmarks.add({"path": path, **dict(zip(COORDINATES, points, strict=True))})
                session, modality, _ = place_of(capture)
                named = {"path": path, "subject": subject, "session": session, "modality": modality}
                parameters.add(named | capture["parameters"])


class _Table:
    """A CSV table whose first row says what its columns are."""

    def __init__(self, file: TextIOWrapper) -> None:
        self._writer = csv.writer(file, lineterminator="\n")
        self._columns: list[str] | None = None

    def add(self, row: Mapping[str, str]) -> None:
        """Adds a row."""
        if self._columns is None:
            self._columns = list(row)
            self._writer.writerow(self._columns)
        self._writer.writerow([row[name] for name in self._columns])


@contextmanager
def _table(path: Path) -> Iterator[_Table]:
    """A table that is written whole or not at all."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        yield _Table(file)


def _subject(note: Mapping[str, Any]) -> str:
    """The person of a note, as its folder is called."""
    return place_of(note["captures"][0])[2]


def place_of(capture: Mapping[str, Any]) -> tuple[str, str, str]:
    """Session, modality and person of a capture: noted, or as its path says them."""
    session, modality, subject = capture.get("place") or capture["path"].split("/")[:3]
    return session, modality, subject


def _sessions(note: Mapping[str, Any]) -> str:
    return " ".join(sorted({place_of(capture)[0] for capture in note["captures"]}))


@dataclass(frozen=True, kw_only=True)
class _Paths:
    """The captures of one person.

    Attributes:
        nir: all in near infrared, with their shifts, "" for none.
        vis: all in visible light.
        gallery: of ``vis``, the one nearest to neutral and frontal.
    """

    nir: tuple[tuple[str, str], ...]
    vis: tuple[str, ...]
    gallery: str

    def nir_of(self, shift: str | None) -> list[str]:
        """Those of a shift, or all of them."""
        return [path for path, own in self.nir if shift is None or own == shift]


def write_lists(home: Path, recipe: Recipe, notes: Iterable[Mapping[str, Any]]) -> None:
    """Writes the four lists of each protocol, with the backslashes and line ends of the original."""
    if recipe.series:
        return  # their databases have none
    people = {int(_subject(note)): _paths(note["captures"]) for note in notes}
    shifts = dict(zip(map(str, range(1, len(SHIFTS) + 1)), SHIFTS, strict=True)) if recipe.shifts else {}
    for protocol, trained in training_people(recipe).items():
        train = [people[subject] for subject in people if subject in trained]
        test = [people[subject] for subject in people if subject not in trained]
        lists = {
            "nir_train": [path for person in train for path in person.nir_of(shifts.get(protocol))],
            "vis_train": [path for person in train for path in person.vis],
            "vis_gallery": [person.gallery for person in test],
            "nir_probe": [path for person in test for path in person.nir_of(shifts.get(protocol))],
        }
        for role, paths in lists.items():
            lines = "".join(path.replace("/", "\\") + "\r\n" for path in paths)
            write_atomically(home / "protocols" / f"{role}_{protocol}.txt", lines.encode())


def _paths(captures: list[dict[str, Any]]) -> _Paths:
    """The captures of one person by modality."""
    by_modality: dict[str, list[str]] = {"NIR": [], "VIS": []}
    departures = {}
    for capture in captures:
        by_modality[capture["path"].split("/")[1]].append(capture["path"])
        departures[capture["path"]] = float(capture["parameters"]["departure"])
    gallery = min(by_modality["VIS"], key=lambda path: (departures[path], path))
    shifts = {capture["path"]: capture["parameters"].get("shift", "") for capture in captures}
    nir = tuple((path, shifts[path]) for path in by_modality["NIR"])
    return _Paths(nir=nir, vis=tuple(by_modality["VIS"]), gallery=gallery)


def write_readme(home: Path, recipe: Recipe) -> None:
    """Writes what a person should know who finds the folder."""
    settings = "".join(f"  {name}: {value}\n" for name, value in recipe.described().items())
    write_atomically(home / README, _README.format(settings=settings, source=SOURCE).encode())


_README = """\
Spectral faces: a rendered NIR-VIS face database
================================================

All pictures are SYNTHETIC. Nobody in them exists, and no photograph was used. Every file says so in its
metadata (JPEG comment, EXIF, IPTC digital source type). Keep these marks when you pass pictures on.
Results on rendered faces say nothing about how well real people are recognised.

Files
  s1 to s4          captures by session, modality and person; the layout of CASIA NIR-VIS 2.0
  protocols         10 folds of View 2 and View 1 (dev), if the recipe asks for them
  truth             for each NIR capture the VIS image of the same moment, in soft light, under the same path;
                    for evaluation, never for training
  landmarks68.csv   68 exact points of each capture (also of its truth image), in pixels
  parameters.csv    how each capture was taken: skin, hair, glasses, pose, expression, light, camera
  people.csv        who was rendered
  recipe.json       what this database was rendered from; the same recipe gives the same bytes
  SHA256SUMS        checksums of all files; check them with: pcfh render --verify FOLDER

Recipe
{settings}
Licence: MIT, as pcfh, which rendered it. The shape of the heads comes from ICT-FaceKit, {source}
(MIT, University of Southern California).
"""
