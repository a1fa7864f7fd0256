"""Small random changes of the faces that the recogniser of the identity loss sees.

A loss through a deep network can be lowered by faint patterns that no camera would record. They do not
survive a shift and a blur that differ from step to step; the features of the face do.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

MOST_SHIFT, MOST_BLUR = 3, 1.5  # pixels of 128: to each side, and the blur's standard deviation
_REACH = 4  # pixels to each side that the blur looks at


def shaken(faces: Float[Tensor, "b 1 s s"]) -> Float[Tensor, "b 1 s s"]:
    """Shifts and blurs all faces of a batch alike, by amounts drawn from PyTorch's generator."""
    dx, dy = torch.randint(-MOST_SHIFT, MOST_SHIFT + 1, (2,)).tolist()
    return blurred(shifted(faces, dx, dy), MOST_BLUR * float(torch.rand(())))


def shifted(faces: Float[Tensor, "b 1 s s"], dx: int, dy: int) -> Float[Tensor, "b 1 s s"]:
    """Moves faces to the right by dx and down by dy pixels; the border is repeated."""
    margin = max(abs(dx), abs(dy))
    padded = F.pad(faces, [margin] * 4, mode="replicate")
    side = faces.shape[-1]
    return padded[..., margin - dy : margin - dy + side, margin - dx : margin - dx + side]


def blurred(faces: Float[Tensor, "b 1 s s"], sigma: float) -> Float[Tensor, "b 1 s s"]:
    """Smooths faces with a Gaussian of some standard deviation in pixels; the border is repeated."""
    places = torch.arange(-_REACH, _REACH + 1, device=faces.device, dtype=faces.dtype)
    weights = torch.softmax(-(places**2) / (2 * max(sigma, 1e-3) ** 2), 0)
    padded = F.pad(faces, [_REACH] * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, weights.view(1, 1, 1, -1)), weights.view(1, 1, -1, 1))
