"""From photographs to a gallery: whose they are, the feature of the largest face, one after the other.

A photograph that is enrolled already is passed over, so an enrolment that was stopped is repeated as it is.

Photographs are 8-bit RGB arrays; landmarks are (x, y) in pixels. Axis letters: d features, h and w pixels.
"""

import csv
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, UInt8

from pcfh.batches import stretches
from pcfh.errors import UserError
from pcfh.files import sha256_of
from pcfh.gallery.entries import NewFace, Probe
from pcfh.gallery.store import Gallery
from pcfh.geometry.align import align_face, crop_of
from pcfh.geometry.scheme import LEFT_EYE, MOUTH_CORNERS, RIGHT_EYE
from pcfh.hallucinate import Hallucinator
from pcfh.images import IMAGE_SUFFIXES, read_image
from pcfh.names import require_name
from pcfh.recognisers.alignment import realign
from pcfh.recognisers.base import Recognizer

# Pictures that cannot be read. They are listed too, so that each gets a line instead of silence.
_UNREADABLE = (".gif", ".heic", ".heif", ".avif", ".jp2", ".pgm", ".jfif")
_AT_ONCE = 32  # photographs between two requests to the store


@dataclass(frozen=True, kw_only=True)
class Photograph:
    """A picture to enrol, and whose it is."""

    path: Path
    person: str


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A picture or folder that was not enrolled, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, kw_only=True)
class Enrolment:
    """What became of photographs.

    Attributes:
        enrolled: how many are new.
        known: how many were enrolled before.
        refused: the others.
    """

    enrolled: int
    known: int
    refused: tuple[Refused, ...]


class FaceReader:
    """From photographs to features, for gallery and probes alike; one thread at a time.

    Args:
        hallucinator: finds faces, and generates visible-light ones for near-infrared probes.
        recognizer: gives the features.
    """

    def __init__(self, hallucinator: Hallucinator, recognizer: Recognizer) -> None:
        self.hallucinator, self.recognizer = hallucinator, recognizer

    def reference(self, image: UInt8[np.ndarray, "h w 3"]) -> tuple[Float32[np.ndarray, " d"], float]:
        """The feature of the largest face of a visible-light photograph, and its quality.

        Raises:
            NoFaceError: there is none.
            UserError: it cannot be aligned.
        """
        landmarks = self.hallucinator.locate(image)
        crop, points = align_face(image, landmarks, self.hallucinator.size)
        cut = realign(crop[None], points[None], self.recognizer.alignment)
        return self.recognizer.features(cut, "VIS")[0], quality_of(landmarks)

    def probe(self, image: UInt8[np.ndarray, "h w 3"], *, visible: bool = False) -> Probe:
        """The features of the largest face of a photograph to search for.

        Args:
            image: near-infrared, or in visible light.
            visible: which of the two; nothing is generated from a visible-light photograph.

        Raises:
            NoFaceError: there is none.
            UserError: it cannot be aligned.
        """
        if visible:
            return Probe(original=self.reference(image)[0])
        face = self.hallucinator.align(image)
        crops, points = face.crop[None], face.landmarks[None]
        generated = self.hallucinator.translate_batch(crops, points)
        alignment = self.recognizer.alignment
        return Probe(
            original=self.recognizer.features(realign(crops, points, alignment), "NIR")[0],
            generated=self.recognizer.features(realign(generated, points, alignment), "VIS")[0],
        )


def quality_of(landmarks: Float[np.ndarray, "68 2"]) -> float:
    """How much of the recogniser's resolution a photograph has: 1 is all, one half is half the pixels a side.

    The distance from the eyes to the mouth, over that in the crop of 128 pixels; 1 at most.
    """
    eyes = (landmarks[LEFT_EYE].mean(0) + landmarks[RIGHT_EYE].mean(0)) / 2
    distance = float(np.linalg.norm(landmarks[MOUTH_CORNERS].mean(0) - eyes))
    return min(1.0, distance / crop_of(128).eyes_to_mouth)


def photographs(sources: Iterable[Path], person: str | None = None) -> Iterator[Photograph | Refused]:
    """The pictures of some places with the person of each, one by one.

    A picture is of the person after whom its folder is named, or the folder below ``sources`` in which that
    one lies; a picture that lies in a source itself, or is one, of the person after whom the file is named. A
    CSV file with the columns path (relative to it) and person says so itself.

    Args:
        sources: pictures, folders and CSV files.
        person: whose all of them are.
    """
    for source in sources:
        if source.suffix.lower() == ".csv":
            yield from _listed(source)
        elif source.is_dir():
            yield from _below(source, person)
        elif source.is_file():
            yield Photograph(path=source, person=person or source.stem)
        else:
            yield Refused(path=source, reason="no such file or folder")


def enrol_photographs(
    gallery: Gallery,
    reader: FaceReader,
    found: Iterable[Photograph | Refused],
    *,
    on_done: Callable[[int], None] = lambda count: None,
) -> Enrolment:
    """Enrols photographs; a bad one is listed, and the rest goes on.

    Args:
        gallery: to enrol in.
        reader: computes the features.
        found: see ``photographs``.
        on_done: called with the number of pictures that are through.

    Raises:
        UserError: the gallery holds features of another recogniser, or its store fails.
    """
    recognizer = reader.recognizer
    gallery.require(recognizer.key, recognizer.name)
    enrolled, known, refused = 0, 0, list[Refused]()
    for some in stretches(found, _AT_ONCE):
        faces: list[NewFace] = []
        for photograph, there in _looked_up(gallery, some):
            match _new_face(reader, photograph, there):
                case NewFace() as face:
                    faces.append(face)
                case Refused() as bad:
                    refused.append(bad)
                case None:
                    known += 1
        once = {face.id: face for face in faces}
        enrolled += gallery.enrol(once.values(), recognizer.key, recognizer.name)
        known += len(faces) - len(once)
        on_done(len(some))
    return Enrolment(enrolled=enrolled, known=known, refused=tuple(refused))


@dataclass(frozen=True, kw_only=True)
class _Known:
    """A photograph's id, and whose it is in the gallery already, if anybody's."""

    id: str
    person: str | None


def _looked_up(
    gallery: Gallery, some: Iterable[Photograph | Refused]
) -> Iterator[tuple[Photograph | Refused, _Known | None]]:
    """Each photograph with what the gallery knows of it; None where it cannot be read."""
    named = [(one, _id_of(one)) for one in some]
    people = gallery.known([own for _, own in named if isinstance(own, str)])
    for one, own in named:
        if isinstance(own, Refused):
            yield own, None
        else:
            yield one, _Known(id=own, person=people.get(own))


def _id_of(one: Photograph | Refused) -> str | Refused:
    """By which a photograph is known: digits of the SHA-256 of its file."""
    if isinstance(one, Refused):
        return one
    try:
        return sha256_of(one.path)[:32]
    except OSError as error:
        return Refused(path=one.path, reason=f"cannot be read ({error.strerror})")


def _new_face(
    reader: FaceReader, one: Photograph | Refused, known: _Known | None
) -> NewFace | Refused | None:
    """The face to enrol; None where it is enrolled already."""
    if isinstance(one, Refused):
        return one
    assert known is not None
    try:
        person = require_name(one.person)
        if known.person is not None:
            if known.person == person:
                return None
            raise UserError(f"is enrolled as {known.person!r} already; remove that person first")
        feature, quality = reader.reference(read_image(one.path))
    except UserError as error:
        return Refused(path=one.path, reason=str(error).removeprefix(f"{one.path}: "))
    return NewFace(id=known.id, person=person, source=str(one.path), quality=quality, feature=feature)


def _below(folder: Path, person: str | None) -> Iterator[Photograph | Refused]:
    """The pictures below a folder, in the order of their paths."""
    denied: list[OSError] = []
    for place, folders, files in os.walk(folder, onerror=denied.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(place) / name
            if name.startswith(".") or path.suffix.lower() not in (*IMAGE_SUFFIXES, *_UNREADABLE):
                continue
            inside = path.relative_to(folder).parts
            yield Photograph(path=path, person=person or (inside[0] if len(inside) > 1 else path.stem))
        for error in denied:
            yield Refused(path=Path(error.filename), reason=f"cannot be read ({error.strerror})")
        denied.clear()
    yield from (Refused(path=Path(e.filename), reason=f"cannot be read ({e.strerror})") for e in denied)


def _listed(table: Path) -> Iterator[Photograph | Refused]:
    """The pictures that a CSV file names."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, restval="")
            if not {"path", "person"} <= set(rows.fieldnames or ()):
                raise UserError("expected a header with the columns path and person")
            for row in rows:
                yield Photograph(
                    path=table.parent / row["path"].strip().replace("\\", "/"), person=row["person"]
                )
    except (OSError, UnicodeDecodeError, csv.Error, UserError) as error:
        yield Refused(path=table, reason=f"no table of people that can be read ({error})")
