"""What generated faces keep of rendered ones whose masks are known: irises, glasses, surroundings.

    iris, ΔE2000                       mean over the pixels of both irises, against the truth
    left and right iris, ΔE2000        between their median colours: in the generated image, and in the truth
    eyes behind glasses                mean error of the landmarks of the eyes that a detector finds in
                                       generated images, over that in the true ones: how often its noise
    faces found behind glasses         share of those found in the truth; the others have no landmarks
    frames kept                        see ``region_metrics.frame_kept``
    surroundings in skin colour        share, see ``region_metrics.painted_skin``

A probe counts where it shows enough of what is measured. Intervals are over people.

Axis letters: n probes, s side of a crop.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from pcfh.databases.rendered import BEHIND_GLASS, Region, shows
from pcfh.evaluation.image_metrics import colour_difference, landmark_distance
from pcfh.evaluation.intervals import Bootstrap
from pcfh.evaluation.quality import ratio_row
from pcfh.evaluation.region_metrics import away_from_borders, frame_kept, painted_skin, unequal_eyes
from pcfh.evaluation.results import QualityRow
from pcfh.geometry.scheme import EYES, LEFT_EYE, RIGHT_EYE
from pcfh.landmarks.base import LandmarkBackend

_LEAST = 8  # pixels of an iris or a frame: of fewer no colour can be told
_MADE, _TRUE, _BOTH = "generated", "truth", "generated, truth"
IRIS, UNEQUAL, UNEQUAL_TRUTH = (
    ("iris, ΔE2000", _BOTH),
    ("left and right iris, ΔE2000", _MADE),
    ("left and right iris, ΔE2000", _TRUE),
)
EYES_FOUND, FACES_FOUND = ("eyes behind glasses", _BOTH), ("faces found behind glasses", _BOTH)
FRAMES, SURROUNDINGS = ("frames kept", _BOTH), ("surroundings in skin colour", _BOTH)
MEASURES = (IRIS, UNEQUAL, UNEQUAL_TRUTH, EYES_FOUND, FACES_FOUND, FRAMES, SURROUNDINGS)

Measure = tuple[str, str]  # what, and between which images
Parts = Mapping[Measure, tuple[float, float]]  # what is summed, and what the sum is divided by


@dataclass(frozen=True, kw_only=True)
class MaskedFace:
    """The images of a probe and what they show, as crops that lie on each other.

    Attributes:
        landmarks: exact, in pixels of the crops.
        regions: see ``pcfh.databases.rendered.mask_crop``.
        generated: what became of the probe.
        truth: what should have.
    """

    landmarks: Float[np.ndarray, "68 2"]
    regions: UInt8[np.ndarray, "s s"]
    generated: UInt8[np.ndarray, "s s 3"]
    truth: UInt8[np.ndarray, "s s 3"]


def face_parts(face: MaskedFace, backend: LandmarkBackend | None = None) -> Parts:
    """All that can be measured of one probe.

    Args:
        face: its images.
        backend: finds landmarks; None leaves the eyes behind glasses out.
    """
    made, true = face.generated / 255, face.truth / 255
    return {
        **_iris_parts(face, made, true),
        **_glasses_parts(face, made, true, backend),
        **_surroundings_parts(face, made, true),
    }


def faithfulness_rows(
    faces: Sequence[Parts], people: Sequence[str], bootstrap: Bootstrap
) -> tuple[QualityRow, ...]:
    """Each measure over the probes that have it, in the order of ``MEASURES``.

    Args:
        faces: of each probe.
        people: whose probe it is.
        bootstrap: draws of people, for the intervals.
    """
    rows = []
    for measure in MEASURES:
        have = [i for i, parts in enumerate(faces) if measure in parts]
        if have:
            over, under = np.array([faces[i][measure] for i in have]).T
            rows.append(ratio_row(measure, over, under, np.array([people[i] for i in have]), bootstrap))
    return tuple(rows)


def _iris_parts(
    face: MaskedFace, made: Float[np.ndarray, "s s 3"], true: Float[np.ndarray, "s s 3"]
) -> Parts:
    iris = shows(face.regions, Region.IRIS)
    left, right = _sides(iris, face.landmarks)
    if iris.sum() < _LEAST:
        return {}
    parts: dict[Measure, tuple[float, float]] = {IRIS: (colour_difference(made, true, iris), 1.0)}
    if min(left.sum(), right.sum()) >= _LEAST:
        parts[UNEQUAL] = (unequal_eyes(made, left, right), 1.0)
        parts[UNEQUAL_TRUTH] = (unequal_eyes(true, left, right), 1.0)
    return parts


def _sides(
    mask: Bool[np.ndarray, "s s"], landmarks: Float[np.ndarray, "68 2"]
) -> tuple[Bool[np.ndarray, "s s"], Bool[np.ndarray, "s s"]]:
    """The pixels of a mask that are nearer to the left eye, and the others."""
    rows, columns = np.mgrid[: len(mask), : len(mask)]
    left, right = (
        np.hypot(*(np.stack([columns, rows]) - landmarks[eye].mean(0)[:, None, None]))
        for eye in (LEFT_EYE, RIGHT_EYE)
    )
    return mask & (left < right), mask & (left >= right)


def _glasses_parts(
    face: MaskedFace,
    made: Float[np.ndarray, "s s 3"],
    true: Float[np.ndarray, "s s 3"],
    backend: LandmarkBackend | None,
) -> Parts:
    parts: dict[Measure, tuple[float, float]] = {}
    frame = shows(face.regions, Region.FRAME)
    if frame.sum() >= _LEAST:
        parts[FRAMES] = (frame_kept(made, true, frame), 1.0)
    iris = shows(face.regions, Region.IRIS) & (face.regions >= BEHIND_GLASS)
    if backend is not None and iris.any():
        parts |= _eye_parts(face, backend)
    return parts


def _eye_parts(face: MaskedFace, backend: LandmarkBackend) -> Parts:
    """How far the eyes that a detector finds lie from where they are; nothing where it fails on the truth."""
    found = [backend.detect(image) for image in (face.generated, face.truth)]
    if not found[1]:
        return {}
    if not found[0]:
        return {FACES_FOUND: (0.0, 1.0)}
    made, true = (landmark_distance(face.landmarks, faces[0].landmarks, EYES) for faces in found)
    return {FACES_FOUND: (1.0, 1.0), EYES_FOUND: (made, true)}


def _surroundings_parts(
    face: MaskedFace, made: Float[np.ndarray, "s s 3"], true: Float[np.ndarray, "s s 3"]
) -> Parts:
    around = away_from_borders(shows(face.regions, Region.SURROUNDINGS))
    skin = shows(face.regions, Region.SKIN)
    if not (around.any() and skin.any()):
        return {}
    return {SURROUNDINGS: (painted_skin(made, true, skin, around), 1.0)}
