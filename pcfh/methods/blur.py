"""A Gaussian blur of grey images.

Axis letters: b batch, h and w pixels.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def gaussian_blur(
    images: Float[Tensor, "b 1 h w"], sigma: float | Float[Tensor, ""], reach: int
) -> Float[Tensor, "b 1 h w"]:
    """The images blurred; past the edges the border goes on.

    Args:
        images: of any range.
        sigma: standard deviation in pixels, above 0; a number drawn on a device may stay there.
        reach: pixels to each side that are looked at.
    """
    places = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    window = torch.softmax(-(places**2) / (2 * sigma**2), 0)
    padded = F.pad(images, [reach] * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, window.view(1, 1, 1, -1)), window.view(1, 1, -1, 1))
