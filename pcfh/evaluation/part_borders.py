"""Whether one sees where the facial parts of PCFH were put back: steps of the image at their boxes' borders.

A step is the mean absolute difference of two neighbouring pixels over the channels. Where there are no boxes,
the steps across a line are those across its neighbours, and the ratio is 1.

Axis letters: h and w pixels.
"""

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Float, UInt8

from pcfh.geometry.parts import part_corner, parts_of

_BESIDE = (-3, -2, 2, 3)  # lines to each side; the nearest ones may already have a part of the step
Steps = tuple[list[float], list[float]]


def border_ratio(
    faces: Iterable[UInt8[np.ndarray, "s s 3"]], landmarks: Iterable[Float[np.ndarray, "68 2"]]
) -> float:
    """Mean step across the borders of all parts over the mean step beside them; 1 where none is seen.

    Args:
        faces: aligned, of a size that has parts.
        landmarks: of each, (x, y) in its pixels; those that the parts were cut at.
    """
    across: list[float] = []
    beside: list[float] = []
    for face, points in zip(faces, landmarks, strict=True):
        there, near = _steps_of(face.astype(np.float64), points)
        across += there
        beside += near
    return float(np.mean(across) / np.mean(beside))


def _steps_of(face: Float[np.ndarray, "s s 3"], points: Float[np.ndarray, "68 2"]) -> Steps:
    """Steps across and beside the four borders of each part, as far as they lie in the image."""
    across: list[float] = []
    beside: list[float] = []
    given = torch.from_numpy(points[None].astype(np.float32))
    for part in parts_of(len(face)):
        x, y = part_corner(given, part, len(face))[0].tolist()
        rows, columns = slice(y, y + part.height), slice(x, x + part.width)
        for lines, borders in (
            (face[rows].swapaxes(0, 1), (x, x + part.width)),
            (face[:, columns], (y, y + part.height)),
        ):
            steps = np.abs(np.diff(lines, axis=0)).mean((1, 2))  # the step at i leads to line i + 1
            for border in borders:
                near = [border - 1 + n for n in _BESIDE if 0 <= border - 1 + n < len(steps)]
                if 0 < border <= len(steps) and near:
                    across.append(float(steps[border - 1]))
                    beside.append(float(steps[near].mean()))
    return across, beside
