"""The crop that a recogniser wants, cut out of prepared crops.

Two conventions: "lightcnn" is the one of ``pcfh.geometry.align`` (eyes' middle and mouth at fixed heights),
"arcface" fits five points to a template of 112 pixels by the best similarity; at another size the template
is enlarged with the crop. Points are (x, y) in pixels, whole numbers at pixel centres; a matrix carries crop
coordinates to coordinates of the recogniser's crop.

An "arcface" crop reaches further up the forehead than the prepared ones: on an average face, the top 11 of
its 112 rows lie outside a crop of 144 pixels, the top 18 outside the others. There the prepared crop's edge
goes on, so 144 suits best.

Axis letters: b batch, n points, s side of the prepared crops, t side of the recogniser's.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, UInt8

from pcfh.errors import UserError
from pcfh.geometry.align import CROPS, align_image, crop_of
from pcfh.geometry.scheme import LEFT_EYE, MOUTH_CORNERS, NOSE_TIP, RIGHT_EYE

Convention = Literal["lightcnn", "arcface"]

# Eyes, tip of the nose and corners of the mouth in a crop of 112 pixels; left in the image first.
ARCFACE_POINTS = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
_ARCFACE_SIZE = 112


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """Which crop a recogniser wants.

    Attributes:
        convention: "lightcnn" or "arcface".
        size: side of the crop in pixels.

    Raises:
        UserError: there is no such convention, or it has no crop of that size.
    """

    convention: str
    size: int

    def __post_init__(self) -> None:
        """Refuses what ``matrix`` could not follow."""
        if self.convention not in get_args(Convention):
            known = ", ".join(get_args(Convention))
            raise UserError(f"no alignment {self.convention!r}; known: {known}")
        if self.convention == "lightcnn":
            crop_of(self.size)

    def matrix(self, landmarks: Float[np.ndarray, "68 2"], size: int) -> Float[np.ndarray, "2 3"]:
        """Carries a prepared crop to the recogniser's.

        Args:
            landmarks: in pixels of the prepared crop; "lightcnn" does without, the crop being aligned so.
            size: side of the prepared crop.
        """
        if self.convention == "lightcnn":
            return between_crops(size, self.size)
        template = np.array(ARCFACE_POINTS) * (self.size / _ARCFACE_SIZE)
        return fit_similarity(five_points(landmarks), template)


LIGHTCNN = Alignment(convention="lightcnn", size=128)


def realign(
    crops: UInt8[np.ndarray, "b s s 3"], landmarks: Float[np.ndarray, "b 68 2"], alignment: Alignment
) -> UInt8[np.ndarray, "b t t 3"]:
    """Cuts a recogniser's crops out of prepared ones.

    Args:
        crops: of 64, 128, 144 or 256 pixels.
        landmarks: in pixels of ``crops``.
        alignment: what the recogniser wants.

    Raises:
        UserError: the crops have another size, or landmarks are not a face's.
    """
    size = crop_of(crops.shape[1]).size
    if alignment.convention == "lightcnn" and alignment.size == size:
        return crops
    cut = [
        align_image(crop, alignment.matrix(points, size), alignment.size)
        for crop, points in zip(crops, landmarks, strict=True)
    ]
    return np.stack(cut) if cut else np.zeros((0, alignment.size, alignment.size, 3), np.uint8)


def between_crops(size: int, wanted: int) -> Float[np.ndarray, "2 3"]:
    """Carries the aligned crop of one size to that of another; they fit into each other."""
    a, b = CROPS[size], CROPS[wanted]
    scale = b.eyes_to_mouth / a.eyes_to_mouth
    middle_a = np.array([a.size / 2, a.eyes_y]) - 0.5
    middle_b = np.array([b.size / 2, b.eyes_y]) - 0.5
    return np.column_stack([scale * np.eye(2), middle_b - scale * middle_a])


def five_points(landmarks: Float[np.ndarray, "68 2"]) -> Float[np.ndarray, "5 2"]:
    """Eyes' centres, tip of the nose and corners of the mouth, from the 68 landmarks."""
    eyes = [landmarks[eye].mean(0) for eye in (LEFT_EYE, RIGHT_EYE)]
    return np.stack([*eyes, landmarks[NOSE_TIP], *landmarks[MOUTH_CORNERS]])


def fit_similarity(
    points: Float[np.ndarray, "n 2"], targets: Float[np.ndarray, "n 2"]
) -> Float[np.ndarray, "2 3"]:
    """The rotation, scale and shift, without mirroring, with the least squared distance to the targets.

    With points z and targets w as complex numbers about their means, it is w = a z with
    a = (sum of conj(z) w) / (sum of conj(z) z).

    Raises:
        UserError: all points are the same, or not finite.
    """
    z, w = (p.astype(np.float64) @ (1, 1j) for p in (points, targets))
    centred = z - z.mean()
    spread = np.vdot(centred, centred).real
    if not spread > 0:
        raise UserError(
            "the landmarks are not a face's: eyes, nose and mouth fall together or are not finite"
        )
    a = np.vdot(centred, w - w.mean()) / spread
    shift = w.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, shift.real], [a.imag, a.real, shift.imag]])
