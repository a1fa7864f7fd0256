"""Mirroring faces: the same picture seen in a mirror, with its landmarks renamed.

Points are (x, y) in pixels, whole numbers at pixel centres.
"""

import torch
from jaxtyping import Float
from torch import Tensor

# Which landmark of the face becomes each landmark of the mirrored face (Multi-PIE / iBUG order).
MIRRORED = (
    *range(16, -1, -1),
    *range(26, 16, -1),
    *range(27, 31),
    *range(35, 30, -1),
    *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
    *range(54, 47, -1),
    *range(59, 54, -1),
    *range(64, 59, -1),
    *range(67, 64, -1),
)


def mirror_points(landmarks: Float[Tensor, "b 68 2"], width: int) -> Float[Tensor, "b 68 2"]:
    """Landmarks of the mirrored images.

    Args:
        landmarks: of the images as they are.
        width: of the images in pixels.
    """
    x, y = landmarks[:, list(MIRRORED)].unbind(-1)
    return torch.stack([width - 1 - x, y], -1)
