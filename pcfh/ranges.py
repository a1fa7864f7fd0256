"""The two value ranges of images, 8-bit and [-1, 1] for the networks, and the luma of colours in either."""

from functools import cache

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

# ITU-R BT.601, the weights of Y in YCbCr.
LUMA = (0.299, 0.587, 0.114)


def from_bytes(images: UInt8[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """From 0 ... 255 to [-1, 1]."""
    return images.float() / 127.5 - 1


def to_bytes(images: Float[Tensor, "b c h w"]) -> UInt8[Tensor, "b c h w"]:
    """From [-1, 1] to 0 ... 255, rounded; what lies outside is clipped."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).byte()


def luma_weights(like: Tensor) -> Float[Tensor, "3"]:
    """``LUMA`` on the device of a tensor; made once, so that no step waits for a copy from the host."""
    return _luma_weights(like.device, like.dtype)


@cache
def _luma_weights(device: torch.device, dtype: torch.dtype) -> Float[Tensor, "3"]:
    with torch.inference_mode(False):  # else no gradient could pass it later
        return torch.tensor(LUMA, device=device, dtype=dtype)
