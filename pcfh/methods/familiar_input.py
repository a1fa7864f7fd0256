"""Brings the pictures of a camera into the range that a generator knows: one blur and one curve for all.

    c(x) = blur(x)^gamma

A generator is at a loss with grain and contrasts that it has never seen, but what it makes of c(x) is often
good: something to learn from for a generator that will see x itself. Of a few blurs and curves those are
taken that bring the faces nearest to the training range (``pcfh.preparation.training_range``), the mildest
where several do.

Axis letters: b batch, n faces, s side.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Float
from torch import Tensor

from pcfh.databases.records import Points
from pcfh.methods.blur import gaussian_blur
from pcfh.methods.familiar import ALIKE, BLURS, GAMMAS, SIDE
from pcfh.preparation.training_range import face_measures, shipped_range, unlikeness
from pcfh.ranges import to_bytes

LEAST = 0.1  # how familiar the strangest input counts, so that nothing runs away


@dataclass(frozen=True, kw_only=True)
class Correction:
    """A blur and a curve.

    Attributes:
        blur: standard deviation in pixels of a crop of 128.
        gamma: exponent of the grey, from 0 for black to 1 for white; below 1 less contrast.
    """

    blur: float = 0.0
    gamma: float = 1.0


def corrected(nir: Float[Tensor, "b 3 s s"], correction: Correction) -> Float[Tensor, "b 3 s s"]:
    """Near-infrared faces blurred and under another curve; in [-1, 1], three equal channels."""
    light = (nir[:, :1] + 1) / 2
    if correction.blur:
        sigma = correction.blur * nir.shape[-1] / SIDE
        light = gaussian_blur(light, sigma, math.ceil(3 * sigma))
    return (2 * light.clamp(min=0) ** correction.gamma - 1).expand(-1, 3, -1, -1)


def distances(nir: Float[Tensor, "n 3 s s"], landmarks: Sequence[Points]) -> list[float]:
    """How far each face lies from the training range.

    Args:
        nir: as the generator sees it.
        landmarks: of each, in pixels of the photograph.
    """
    ranges, pixels = shipped_range(), to_bytes(nir[:, :1]).permute(0, 2, 3, 1).cpu().numpy()
    measured = (face_measures(crop, np.array(points)) for crop, points in zip(pixels, landmarks, strict=True))
    return [unlikeness(measures, ranges).distance for measures in measured]


def find_correction(nir: Float[Tensor, "n 3 s s"], landmarks: Sequence[Points]) -> Correction:
    """The mildest correction that brings faces about as near to the training range as any does.

    Args:
        nir: some faces of the camera, as the generator sees them.
        landmarks: of each, in pixels of the photograph.
    """
    candidates = (Correction(blur=blur, gamma=gamma) for blur, gamma in product(BLURS, GAMMAS))
    return mildest({c: float(np.mean(distances(corrected(nir, c), landmarks))) for c in candidates})


def mildest(means: Mapping[Correction, float]) -> Correction:
    """The first correction whose mean distance is about the least.

    Args:
        means: by the corrections, milder ones first.
    """
    least = min(means.values())
    return next(correction for correction, mean in means.items() if mean <= least + ALIKE)


def familiarity(distance: float) -> float:
    """How much a generator's answer to an input counts: all inside the training range, little from 1 on.

    Args:
        distance: see ``pcfh.preparation.training_range``.
    """
    return max(LEAST, 1.0 - distance)
