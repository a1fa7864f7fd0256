"""The two value ranges of images: 8-bit, and [-1, 1] for the networks."""

from jaxtyping import Float, UInt8
from torch import Tensor


def from_bytes(images: UInt8[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """From 0 ... 255 to [-1, 1]."""
    return images.float() / 127.5 - 1


def to_bytes(images: Float[Tensor, "b c h w"]) -> UInt8[Tensor, "b c h w"]:
    """From [-1, 1] to 0 ... 255, rounded; what lies outside is clipped."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).byte()
