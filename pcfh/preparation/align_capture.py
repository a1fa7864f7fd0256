"""One capture on its way into a prepared database: read, landmarks found, aligned, crops written."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from pcfh.databases.records import Points, Record
from pcfh.errors import UserError
from pcfh.geometry.align import align_image, crop_of, require_inside, similarity
from pcfh.images import grey, read_image, write_png
from pcfh.landmarks import open_backend
from pcfh.landmarks.base import Face, LandmarkBackend
from pcfh.preparation.manifest import crops_folder

GIVEN = "given"
_DIGITS = 3  # a thousandth of a pixel; crops are made from what the manifest says, rounded


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What is the same for all captures.

    Attributes:
        root: of the source database.
        out: folder to prepare into.
        sizes: sides of the crops.
        backend: name of the landmark backend, or "given".
        device: that the backend computes on.
        min_score: faces with a lower score are none.
    """

    root: Path
    out: Path
    sizes: tuple[int, ...]
    backend: str
    device: str
    min_score: float


@dataclass(frozen=True, kw_only=True)
class Job:
    """One capture to prepare.

    Attributes:
        record: with its landmarks if they are given.
        crop: path of its crops below ``crops/<size>``.
    """

    record: Record
    crop: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a capture.

    Attributes:
        path: of the picture, relative to the source database's root.
        stamp: size in bytes and time of change in ns of the file that was read.
        landmarks: in pixels of the picture; None where it was dropped.
        reason: why it was dropped, or "".
        note: what was odd although it was kept, or "".
    """

    path: str
    stamp: tuple[int, int]
    landmarks: Points | None = None
    reason: str = ""
    note: str = ""


def start(setup: Setup) -> Callable[[Job], Outcome]:
    """Opens the backend and returns what prepares one capture with it."""
    given = setup.backend == GIVEN
    backend = None if given else open_backend(setup.backend, device=setup.device)
    return partial(prepare_capture, setup, backend)


def prepare_capture(setup: Setup, backend: LandmarkBackend | None, job: Job) -> Outcome:
    """Writes the crops of one capture; what a user can mend becomes the reason why it is dropped."""
    path = setup.root / job.record.path
    stamp = stamp_of(path)
    try:
        image = read_image(path)
        found, note = _locate(image, job.record, backend, setup.min_score)
        landmarks = rounded(found)
        require_inside(np.array(landmarks), *image.shape[:2])
        _write_crops(setup, job, image, np.array(landmarks))
    except UserError as error:
        _remove_crops(setup, job)
        return Outcome(path=job.record.path, stamp=stamp, reason=str(error).removeprefix(f"{path}: "))
    return Outcome(path=job.record.path, stamp=stamp, landmarks=landmarks, note=note)


def stamp_of(path: Path) -> tuple[int, int]:
    """Size and time of change of a file, which show that it was replaced; (-1, -1) where there is none."""
    try:
        status = path.stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def rounded(landmarks: Float[np.ndarray, "68 2"]) -> Points:
    """Landmarks as they are kept."""
    return tuple((round(float(x), _DIGITS), round(float(y), _DIGITS)) for x, y in landmarks)


def _locate(
    image: UInt8[np.ndarray, "h w 3"], record: Record, backend: LandmarkBackend | None, min_score: float
) -> tuple[Float[np.ndarray, "68 2"], str]:
    """Landmarks of the largest face, and a note if there were several."""
    if backend is None:
        if record.landmarks is None:
            raise UserError("no landmarks are given for it; add them or have them detected")
        return np.array(record.landmarks), ""
    faces = backend.detect(image)
    sure = [face for face in faces if face.score >= min_score]
    if not sure:
        best = f" (the best has score {max(face.score for face in faces):.2f})" if faces else ""
        raise UserError(f"no face of score {min_score} or more{best}; give its landmarks or lower the score")
    note = f"{len(sure)} faces, the largest was taken" if len(sure) > 1 else ""
    return max(sure, key=_area).landmarks, note


def _area(face: Face) -> float:
    """Area of a face's box in square pixels."""
    left, top, right, bottom = face.box
    return (right - left) * (bottom - top)


def _write_crops(
    setup: Setup, job: Job, image: UInt8[np.ndarray, "h w 3"], landmarks: Float[np.ndarray, "68 2"]
) -> None:
    """Writes the crops of all sizes; NIR has one channel."""
    pixels = grey(image) if job.record.modality == "NIR" else image
    for size in setup.sizes:
        crop = align_image(pixels, similarity(landmarks, crop_of(size)), size)
        write_png(crops_folder(setup.out, size) / job.crop, crop, {})


def _remove_crops(setup: Setup, job: Job) -> None:
    """Removes crops that an earlier version of the picture left."""
    for size in setup.sizes:
        (crops_folder(setup.out, size) / job.crop).unlink(missing_ok=True)
