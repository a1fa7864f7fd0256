"""One capture on its way into a prepared database: read, landmarks found, aligned, crops written."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from pcfh.databases.records import Points, Record
from pcfh.errors import UserError
from pcfh.geometry.align import align_image, crop_of, require_inside, similarity
from pcfh.images import grey, read_picture, write_png
from pcfh.landmarks import open_backend
from pcfh.landmarks.base import LandmarkBackend
from pcfh.parallel import Workers
from pcfh.preparation.face_reader import largest
from pcfh.preparation.manifest import crops_folder
from pcfh.preparation.training_range import face_measures, shipped_range, unlikeness

GIVEN = "given"
_DIGITS = 3  # a thousandth of a pixel; crops are made from what the manifest says, rounded


@dataclass(frozen=True, kw_only=True)
class PrepareOptions:
    """How to prepare.

    Attributes:
        sizes: sides of the crops in pixels.
        backend: "blaze" or "fan" detect, "given" takes the landmarks that the records carry.
        landmarks: file with landmarks of the pictures, by paths relative to the database's root; nothing is
            detected then.
        workers: number of processes, or a cluster's address; 1 works in this process.
        device: that the backend computes on.
        min_score: faces found with a lower score count as none.
        layout: name of the database's layout, for the manifest.
        overwrite: whether what is done is done again.
    """

    sizes: tuple[int, ...] = (144, 256)
    backend: str = "blaze"
    landmarks: Path | None = None
    workers: Workers = 1
    device: str = "cpu"
    min_score: float = 0.5
    layout: str = ""
    overwrite: bool = False


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
        faces: that were found; None where nobody looked.
        distance: of a near-infrared face from the training range; see ``pcfh.preparation.training_range``.
        unlike: words for what lies outside of it.
    """

    path: str
    stamp: tuple[int, int]
    landmarks: Points | None = None
    reason: str = ""
    note: str = ""
    faces: int | None = None
    distance: float | None = None
    unlike: str = ""


def start(root: Path, out: Path, options: PrepareOptions) -> Callable[[Job], Outcome]:
    """Opens the backend and returns what prepares one capture of the database at ``root`` with it."""
    given = options.backend == GIVEN
    backend = None if given else open_backend(options.backend, device=options.device)
    return partial(prepare_capture, root, out, options, backend)


def prepare_capture(
    root: Path, out: Path, options: PrepareOptions, backend: LandmarkBackend | None, job: Job
) -> Outcome:
    """Writes the crops of one capture; what a user can mend becomes the reason why it is dropped."""
    path = root / job.record.path
    targets = {size: crops_folder(out, size) / job.crop for size in options.sizes}
    stamp = stamp_of(path)
    faces = None
    try:
        picture = read_picture(path)
        image = picture.pixels
        found, faces = _locate(image, job.record, backend, options.min_score)
        landmarks = rounded(found)
        points = np.array(landmarks)
        require_inside(points, *image.shape[:2])
        pixels = grey(image) if job.record.modality == "NIR" else image
        for size, target in targets.items():
            crop = align_image(pixels, similarity(points, crop_of(size)), size)
            write_png(target, crop, {})
    except UserError as error:
        for target in targets.values():  # an earlier version of the picture may have left some
            target.unlink(missing_ok=True)
        reason = str(error).removeprefix(f"{path}: ")
        return Outcome(path=job.record.path, stamp=stamp, reason=reason, faces=faces)
    outcome = Outcome(path=job.record.path, stamp=stamp, landmarks=landmarks, faces=faces)
    several = f"{faces} faces, the largest was taken" if faces and faces > 1 else ""
    outcome = replace(outcome, note="; ".join(filter(None, (picture.note, several))))
    if job.record.modality != "NIR":  # the range is that of a generator's inputs
        return outcome
    unlike = unlikeness(face_measures(crop, points), shipped_range())
    return replace(outcome, distance=round(unlike.distance, _DIGITS), unlike="; ".join(unlike.words))


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
) -> tuple[Float[np.ndarray, "68 2"], int | None]:
    """Landmarks of the largest face, and how many faces there were; None where nobody looked."""
    if backend is None:
        if record.landmarks is None:
            raise UserError("no landmarks are given for it; add them or have them detected")
        return np.array(record.landmarks), None
    faces = backend.detect(image)
    sure = [face for face in faces if face.score >= min_score]
    if not sure:
        best = f" (the best has score {max(face.score for face in faces):.2f})" if faces else ""
        raise UserError(f"no face of score {min_score} or more{best}; give its landmarks or lower the score")
    return largest(sure).landmarks, len(sure)
