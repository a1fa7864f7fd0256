"""What a landmark backend is: an image in, faces with 68 landmarks out.

Points are (x, y) in pixels of the image that was given, whole numbers at pixel centres, in the order of
``pcfh.geometry.scheme``.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8


@dataclass(frozen=True, kw_only=True)
class Face:
    """One face that a backend found.

    Attributes:
        box: left, top, right, bottom in pixels.
        score: the detector's confidence in [0, 1].
        landmarks: 68 (x, y) points in pixels.
    """

    box: tuple[float, float, float, float]
    score: float
    landmarks: Float[np.ndarray, "68 2"]


@runtime_checkable
class LandmarkBackend(Protocol):
    """Finds faces and their landmarks."""

    name: str

    def detect(self, image: UInt8[np.ndarray, "h w 3"]) -> list[Face]:
        """Finds the faces of an RGB image, best first; an empty list where there is none."""
        ...
