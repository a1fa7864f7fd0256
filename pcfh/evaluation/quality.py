"""How far generated faces lie from the true ones, and from the pose of their inputs.

The NIR image as it is, grey, is measured too: it is the floor, what doing nothing gives. Pixels count inside
of the convex hull of the 68 NIR landmarks; the skin is that without eyes, brows and mouth. PSNR counts at
most 100 dB. Landmarks are those that one detector finds in all images, distances are parts of the outer
inter-ocular distance of the first image named; probes in which it does not find all faces do not count.

Axis letters: n probes, s side of a crop.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Shaped, UInt8

from pcfh.evaluation.image_metrics import (
    colour_difference,
    face_mask,
    landmark_distance,
    mean_absolute_error,
    psnr,
    ssim,
    yaw_error,
)
from pcfh.evaluation.intervals import Bootstrap, Interval, ratio_interval
from pcfh.evaluation.results import QualityRow
from pcfh.geometry.scheme import LEFT_BROW, LEFT_EYE, LIPS, RIGHT_BROW, RIGHT_EYE
from pcfh.landmarks.base import LandmarkBackend

_MOST_DB = 100.0
_NOT_SKIN = (LEFT_EYE, RIGHT_EYE, LIPS, LEFT_BROW, RIGHT_BROW)
_INPUT, _GENERATED = "NIR, truth", "generated, truth"

Values = Mapping[tuple[str, str], float]  # by measure and images


@dataclass(frozen=True, kw_only=True)
class Face:
    """The images of one probe, as crops that lie on each other.

    Attributes:
        person: whom it is of.
        landmarks: of the NIR image, in pixels of the crops.
        nir: the input.
        generated: what became of it; None without a generator.
        truth: what should have; None where nobody knows.
    """

    person: str
    landmarks: Float[np.ndarray, "68 2"]
    nir: UInt8[np.ndarray, "s s 3"]
    generated: UInt8[np.ndarray, "s s 3"] | None
    truth: UInt8[np.ndarray, "s s 3"] | None


def without_parts(
    face: Bool[np.ndarray, "s s"], landmarks: Float[np.ndarray, "68 2"]
) -> Bool[np.ndarray, "s s"]:
    """A mask without eyes, brows and mouth."""
    parts = [face_mask(landmarks[part], len(face)) for part in _NOT_SKIN]
    return face & ~np.logical_or.reduce(parts)


def measure_faces(
    faces: Iterable[Face], bootstrap: Bootstrap, *, backend: LandmarkBackend | None = None
) -> tuple[QualityRow, ...]:
    """Means over probes.

    Args:
        faces: may be a generator, one is held at a time.
        bootstrap: draws of people, for the intervals.
        backend: finds landmarks; None leaves pose out.
    """
    people, values = [], []
    for face in faces:
        people.append(face.person)
        values.append({**image_values(face), **(pose_values(face, backend) if backend else {})})
    names = list(dict.fromkeys(name for row in values for name in row))
    return tuple(_row(name, values, np.array(people), bootstrap) for name in names)


def image_values(face: Face) -> Values:
    """Errors of input and generated image where there is the truth."""
    if face.truth is None:
        return {}
    whole = face_mask(face.landmarks, len(face.truth))
    skin = without_parts(whole, face.landmarks)
    images = {_INPUT: face.nir, _GENERATED: face.generated}
    b = face.truth / 255
    values: dict[tuple[str, str], float] = {}
    for name, image in images.items():
        if image is not None:
            a = image / 255
            values |= {
                ("mean absolute error, 0 to 1", name): mean_absolute_error(a, b, whole),
                ("PSNR, dB", name): min(psnr(a, b, whole), _MOST_DB),
                ("SSIM", name): ssim(a, b, whole),
                ("skin ΔE2000", name): colour_difference(a, b, skin),
            }
    return values


def pose_values(face: Face, backend: LandmarkBackend) -> Values:
    """How far landmarks and yaw differ between the images of a probe."""
    images = {"NIR": face.nir, "generated": face.generated, "truth": face.truth}
    found = {name: backend.detect(image) for name, image in images.items() if image is not None}
    if not all(found.values()):
        return {}
    points = {name: faces[0].landmarks for name, faces in found.items()}
    values: dict[tuple[str, str], float] = {}
    for a, b in (("NIR", "truth"), ("NIR", "generated"), ("truth", "generated")):
        if a in points and b in points:
            names = f"{a}, {b}"
            values[("landmark distance, of the eyes' distance", names)] = landmark_distance(
                points[a], points[b]
            )
            values[("yaw error, degrees", names)] = yaw_error(points[a], points[b])
    return values


def _row(
    name: tuple[str, str], values: Sequence[Values], people: Shaped[np.ndarray, " n"], bootstrap: Bootstrap
) -> QualityRow:
    """The mean of one measure over the probes that have it."""
    have = [i for i, row in enumerate(values) if name in row]
    column = np.array([values[i][name] for i in have])
    return ratio_row(name, column, np.ones(len(have)), people[have], bootstrap)


def ratio_row(
    name: tuple[str, str],
    over: Float[np.ndarray, " n"],
    under: Float[np.ndarray, " n"],
    people: Shaped[np.ndarray, " n"],
    bootstrap: Bootstrap,
) -> QualityRow:
    """The sum of one measure over that of another; a mean, where the latter is one for each probe.

    Args:
        name: what was measured, and between which images.
        over: of each probe.
        under: likewise, see ``ratio_interval``.
        people: whose probe it is.
        bootstrap: draws of people.
    """
    ratio = float(over.sum() / under.sum())
    interval = ratio_interval(over, under, people, bootstrap) or Interval(
        estimate=ratio, low=ratio, high=ratio
    )
    return QualityRow(measure=name[0], images=name[1], probes=len(over), interval=interval)
