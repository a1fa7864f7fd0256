"""Mirroring faces: the same picture seen in a mirror, with its landmarks renamed."""

import torch
from jaxtyping import Float
from torch import Tensor

from pcfh.geometry.scheme import MIRRORED


def mirror_points(landmarks: Float[Tensor, "b 68 2"], width: int) -> Float[Tensor, "b 68 2"]:
    """Landmarks of the mirrored images.

    Args:
        landmarks: of the images as they are, (x, y) in pixels, whole numbers at pixel centres.
        width: of the images in pixels.
    """
    x, y = landmarks[:, MIRRORED].unbind(-1)
    return torch.stack([width - 1 - x, y], -1)
