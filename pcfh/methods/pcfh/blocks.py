"""Building blocks shared by the generators and the attention network.

Axis letters: b batch, c, c1, c2 channels, h and w pixels.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def conv_norm(c1: int, c2: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, instance normalisation, leaky ReLU; halves the size where stride is 2.

    Group normalisation with one channel per group is instance normalisation with a faster kernel.
    """
    return nn.Sequential(
        nn.Conv2d(c1, c2, kernel, stride, (kernel - 1) // 2, bias=False),
        nn.GroupNorm(c2, c2),
        nn.LeakyReLU(0.2, inplace=True),
    )


class Residual(nn.Module):
    """x + f(x) with two normalised convolutions."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv_norm(c, c), nn.Conv2d(c, c, 3, 1, 1, bias=False), nn.GroupNorm(c, c))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Adds the body's output to its input."""
        y: Tensor = x + self.body(x)
        return y


class UNet(nn.Module):
    """Image to feature map of equal size: strided encoder, residual blocks, decoder with skips.

    Args:
        in_channels: of the image.
        width: channels at full size, and of the result; doubled at each halving.
        levels: halvings; the sides must be multiples of 2^levels.
        blocks: residual blocks at the bottom.
    """

    def __init__(self, in_channels: int, *, width: int, levels: int, blocks: int) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(levels + 1)]
        self.first = conv_norm(in_channels, width, 5)
        self.down = nn.ModuleList(conv_norm(c, 2 * c, 4, 2) for c in widths[:-1])
        self.bottom = nn.Sequential(*(Residual(widths[-1]) for _ in range(blocks)))
        self.up = nn.ModuleList(conv_norm(3 * c, c) for c in reversed(widths[:-1]))

    def forward(self, x: Float[Tensor, "b c1 h w"]) -> Float[Tensor, "b c2 h w"]:
        """Encodes, refines and decodes."""
        skips = [self.first(x)]
        for down in self.down:
            skips.append(down(skips[-1]))
        y: Tensor = self.bottom(skips.pop())
        for up in self.up:
            y = up(torch.cat([F.interpolate(y, scale_factor=2.0), skips.pop()], 1))
        return y
