"""Reads pictures and brings the largest face of each into an aligned crop; see ``pcfh.batches``."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from pcfh.batches import Reader, ReadFace, Task
from pcfh.errors import UserError
from pcfh.files import sha256_of
from pcfh.geometry.align import align_face, crop_of, require_inside
from pcfh.images import grey, read_picture
from pcfh.landmarks import open_backend
from pcfh.landmarks.base import Face, LandmarkBackend
from pcfh.landmarks.given import landmark_key, read_landmarks
from pcfh.preparation.training_range import Range, face_measures, shipped_range, unlikeness

Points = Float[np.ndarray, "68 2"]


class NoFaceError(UserError):
    """No face was found in a picture."""


@dataclass(frozen=True, kw_only=True)
class ReaderOptions:
    """How faces are read.

    Attributes:
        size: side of the crops.
        nir: whether the crops are near-infrared ones, three equal channels; else colours are kept.
        aligned: the pictures are aligned crops; with ``nir`` of that size, else of any that crops have.
        landmarks: table of landmarks of the pictures; nothing is detected then.
        backend: what finds faces and landmarks.
        device: where the backend computes.
        find: whether landmarks are needed; aligned crops may do without.
        measured: whether the distance from the training range is told, which is that of NIR faces.
    """

    size: int
    nir: bool = True
    aligned: bool = False
    landmarks: Path | None = None
    backend: str = "blaze"
    device: str = "cpu"
    find: bool = True
    measured: bool = True

    def settings(self) -> str:
        """Text that changes with all that the crops depend on, beside the picture."""
        how = f"given {sha256_of(self.landmarks)}" if self.landmarks else self.backend
        return f"{self.size} {self.nir} {self.aligned} {how if self.find else None}"


def start_reader(options: ReaderOptions) -> Reader:
    """Opens what finds faces, or the table of landmarks."""
    given = read_landmarks(options.landmarks) if options.landmarks else None
    detects = options.find and given is None
    backend = open_backend(options.backend, device=options.device) if detects else None
    return partial(read_faces, options, backend, given, shipped_range())


def read_faces(
    options: ReaderOptions,
    backend: LandmarkBackend | None,
    given: Mapping[str, Points] | None,
    ranges: Range,
    tasks: Sequence[Task],
) -> list[ReadFace]:
    """The faces of some pictures, or why there are none.

    Args:
        options: how.
        backend: finds landmarks where none are given.
        given: landmarks by ``landmark_key``.
        ranges: of the training.
        tasks: the pictures.
    """
    return [_read(options, backend, given, ranges, task=task) for task in tasks]


def _read(
    options: ReaderOptions,
    backend: LandmarkBackend | None,
    given: Mapping[str, Points] | None,
    ranges: Range,
    *,
    task: Task,
) -> ReadFace:
    """One of them."""
    source, points, faces = Path(task.source), None, None
    try:
        picture = read_picture(source)
        image = picture.pixels
        if options.aligned:
            require_aligned(image, options.size if options.nir else None)
        if given is not None:
            points = _given(given, task.name)
        elif backend is not None:
            found = backend.detect(image)
            faces, points = len(found), largest(found).landmarks
        if options.aligned:
            crop, placed = as_it_is(image, points, nir=options.nir), points
        else:
            assert points is not None
            crop, placed = crop_of_photograph(image, points, options.size, nir=options.nir)
    except UserError as error:
        reason = str(error).removeprefix(f"{source}: ")
        return ReadFace(task=task, faces=faces, error=reason, retry=not os.access(source, os.R_OK))
    face = ReadFace(task=task, crop=crop, landmarks=placed, faces=faces, note=picture.note)
    if not options.measured:
        return face
    unlike = unlikeness(face_measures(crop, None if options.aligned else points), ranges)
    return replace(face, distance=unlike.distance, unlike="; ".join(unlike.words))


def _given(given: Mapping[str, Points], name: str) -> Points:
    points = given.get(landmark_key(name))
    if points is None:
        raise UserError(f"the landmarks file has no line for {name}")
    return points


def largest(faces: Sequence[Face]) -> Face:
    """The face with the largest box.

    Raises:
        NoFaceError: there is none.
    """
    if not faces:
        raise NoFaceError("no face was found; give its landmarks in a file, or a picture with a larger face")
    return max(faces, key=lambda face: (face.box[2] - face.box[0]) * (face.box[3] - face.box[1]))


def crop_of_photograph(
    image: UInt8[np.ndarray, "h w 3"], landmarks: Points, size: int, *, nir: bool
) -> tuple[UInt8[np.ndarray, "{size} {size} 3"], Points]:
    """Cuts a face out of a photograph.

    Args:
        image: upright.
        landmarks: in its pixels.
        size: side of the crop.
        nir: the crop is grey, three equal channels.

    Returns:
        The crop, and the landmarks in its pixels.

    Raises:
        UserError: the landmarks are not a face's, or not of this picture.
    """
    crop, points = align_face(grey(image) if nir else image, landmarks, size)
    return (np.repeat(crop, 3, axis=2) if nir else crop), points


def require_aligned(image: UInt8[np.ndarray, "h w 3"], size: int | None) -> None:
    """Refuses what is no aligned crop of a size; None takes any that crops have."""
    height, width = image.shape[:2]
    if size is not None and (height, width) != (size, size):
        raise UserError(
            f"expected an aligned crop of {size} x {size} pixels, got {width} x {height}; leave --aligned "
            "out to have the face found and aligned"
        )
    if height != width:
        raise UserError(f"expected an aligned crop, which is square, got {width} x {height} pixels")
    crop_of(height)


def as_it_is(
    image: UInt8[np.ndarray, "s s 3"], landmarks: Points | None, *, nir: bool
) -> UInt8[np.ndarray, "s s 3"]:
    """An aligned crop, once its landmarks have proved to be of it."""
    if landmarks is not None:
        require_inside(landmarks, *image.shape[:2])
    return np.repeat(grey(image), 3, axis=2) if nir else image
