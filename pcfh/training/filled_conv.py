"""Convolutions from or to three channels, filled up with zeros to eight.

The matrix units of a GPU take channels in eights; other numbers go through slower kernels. The result and all
derivatives are the same.

Axis letters: b batch, c1, c2 channels, h1, w1, h2, w2 pixels.
"""

import time

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

_UNIT = 8  # channels
_LEAST_GAIN = 1.1  # of the time of the slowest sort; below, it is not worth a copy
_TRIED = ((3, 32, 5), (32, 3, 3))  # channels in and out, side of the kernel


class FilledConv2d(nn.Conv2d):
    """Takes and gives the channels of a convolution, and computes with eights of them under autocast."""

    def forward(self, x: Float[Tensor, "b c1 h1 w1"]) -> Float[Tensor, "b c2 h2 w2"]:
        """Convolves."""
        device = x.device.type
        if not torch.is_autocast_enabled(device):
            return super().forward(x)
        dtype = torch.get_autocast_dtype(device)
        into, out = -self.in_channels % _UNIT, -self.out_channels % _UNIT
        x = F.pad(x.to(dtype, memory_format=torch.channels_last), (0, 0, 0, 0, 0, into))
        weight = F.pad(self.weight.to(dtype), (0, 0, 0, 0, 0, into, 0, out))
        bias = None if self.bias is None else F.pad(self.bias.to(dtype), (0, out))
        return F.conv2d(x, weight, bias, self.stride, self.padding)[:, : self.out_channels]


def fill(network: nn.Module) -> int:
    """Makes all convolutions of a network whose channels are no eights compute with eights.

    Layers, their names and parameters stay; only what they compute with changes.

    Returns:
        How many there were.
    """
    few = [m for m in network.modules() if type(m) is nn.Conv2d and _can_be_filled(m)]
    for layer in few:
        layer.__class__ = FilledConv2d
    return len(few)


def _can_be_filled(conv: nn.Conv2d) -> bool:
    plain = conv.groups == 1 and conv.padding_mode == "zeros" and set(conv.dilation) == {1}
    return plain and bool(conv.in_channels % _UNIT or conv.out_channels % _UNIT)


def gain(device: torch.device) -> float:
    """How many times faster filled convolutions are on a GPU, forward and backward, together."""
    spent = {
        kind: sum(_seconds(kind, *shape, device) for shape in _TRIED) for kind in (nn.Conv2d, FilledConv2d)
    }
    return spent[nn.Conv2d] / spent[FilledConv2d]


def worth_it(device: torch.device) -> bool:
    """Whether a GPU gains by it; tried there."""
    return gain(device) > _LEAST_GAIN


def _seconds(
    kind: type[nn.Conv2d], c1: int, c2: int, side: int, device: torch.device, repeats: int = 10
) -> float:
    """Time of some passes over maps of a usual size."""
    layer = kind(c1, c2, side, padding=side // 2, device=device)
    layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)
    x = torch.zeros(32, c1, 128, 128, device=device).contiguous(memory_format=torch.channels_last)
    x.requires_grad_()
    for number in range(repeats + 3):  # the first choose kernels
        if number == 3:
            torch.cuda.synchronize(device)
            start = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16):
            layer(x).float().sum().backward()
    torch.cuda.synchronize(device)
    return time.perf_counter() - start
