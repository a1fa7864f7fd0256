"""dlib's network for faces of 2017, in PyTorch, with the weights from dlib's own file.

A chip of 150 pixels passes a convolution, four groups of residual blocks and the mean over the map; 128
numbers come out. Where a group begins, the map is halved: the block's own way by a stride of two, the way
around it by the mean of 2 x 2, and whichever has fewer channels or pixels is filled with zeros. Each
convolution is followed by a fixed scale and shift for each channel, which is put into its weights here.

Axis letters: b batch, c, c1, c2 channels, d features, h and w pixels.

Reference:
    King, "High quality face recognition with deep metric learning", http://blog.dlib.net, 2017. Its layout,
    from the input on: convolution of 7 x 7, maximum of 3 x 3, 3 blocks of 32 channels, 4 of 64, 3 of 128,
    3 of 256, and another of 256 that halves the map.
"""

from collections.abc import Iterator
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

CHIP, FEATURES = 150, 128
_MEANS, _SCALE = (122.782, 117.001, 104.298), 256.0  # of grey values from 0 to 255
# Channels in and out of each block, and whether it halves the map.
_BLOCKS = (
    *[(32, 32, False)] * 3,
    (32, 64, True), *[(64, 64, False)] * 3,
    (64, 128, True), *[(128, 128, False)] * 2,
    (128, 256, True), *[(256, 256, False)] * 2,
    (256, 256, True),
)  # fmt: skip


class DlibBlock(nn.Module):
    """Two convolutions and the way around them."""

    def __init__(self, c1: int, c2: int, *, halved: bool) -> None:
        super().__init__()
        stride, padding = (2, 0) if halved else (1, 1)
        self.first = nn.Conv2d(c1, c2, 3, stride, padding)
        self.second = nn.Conv2d(c2, c2, 3, 1, 1)
        self.halved = halved

    def forward(self, x: Float[Tensor, "b c1 h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        """Adds both ways, the smaller one filled with zeros."""
        y: Tensor = self.second(F.relu(self.first(x)))
        around = F.avg_pool2d(x, 2) if self.halved else x
        shape = [max(a, b) for a, b in zip(y.shape[1:], around.shape[1:], strict=True)]
        return F.relu(_filled(y, shape) + _filled(around, shape))


class DlibNetwork(nn.Module):
    """The whole network; see ``read_dlib`` for its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 32, 7, 2)
        self.blocks = nn.Sequential(*(DlibBlock(c1, c2, halved=halved) for c1, c2, halved in _BLOCKS))
        self.last = nn.Linear(256, FEATURES, bias=False)
        self.register_buffer("means", torch.tensor(_MEANS).view(1, 3, 1, 1) / 255, persistent=False)

    def forward(self, chips: Float[Tensor, "b 3 150 150"]) -> Float[Tensor, "b 128"]:
        """Features, not of norm one.

        Args:
            chips: RGB in [0, 1].
        """
        x = (chips - cast(Tensor, self.means)) * (255 / _SCALE)
        x = F.max_pool2d(F.relu(self.first(x)), 3, 2)
        y: Tensor = self.last(self.blocks(x).mean((2, 3)))
        return y

    def convolutions(self) -> list[nn.Conv2d]:
        """All of them, from the input on."""
        return [module for module in self.modules() if isinstance(module, nn.Conv2d)]


def read_dlib(content: bytes) -> DlibNetwork:
    """The network with the weights of ``dlib_face_recognition_resnet_model_v1.dat``.

    Its layers stand in the order from the input on. Of a tensor dlib writes its version (2), its four sizes,
    and the numbers in 32 bits, the lowest byte first; between tensors lie settings, which the layout above
    makes known.

    Args:
        content: of the file.

    Raises:
        ValueError: a tensor is not where it should be.
    """
    network = DlibNetwork()
    tensors = _tensors(content, network)
    with torch.no_grad():
        for layer in network.convolutions():
            weights, scale_shift = next(tensors), next(tensors)
            count = layer.weight.numel()
            scale, shift = scale_shift.chunk(2)
            layer.weight.copy_(weights[:count].view_as(layer.weight) * scale.view(-1, 1, 1, 1))
            assert layer.bias is not None
            layer.bias.copy_(weights[count:] * scale + shift)
        network.last.weight.copy_(next(tensors).view(256, FEATURES).T)
    return network.eval().requires_grad_(False)


def _tensors(content: bytes, network: DlibNetwork) -> Iterator[Float[Tensor, " n"]]:
    """The file's tensors one after the other."""
    sizes: list[tuple[int, int]] = []
    for layer in network.convolutions():
        sizes += [(layer.weight.numel() + layer.out_channels, 1), (2 * layer.out_channels, 1)]
    place = 0
    for size in (*sizes, (256, FEATURES)):
        head = b"".join(map(_whole_number, (2, *size, 1, 1)))
        found = content.find(head, place)
        count = size[0] * size[1]
        place = found + len(head) + 4 * count
        if found < 0 or place > len(content):
            raise ValueError(f"expected a tensor of {size[0]} x {size[1]} numbers after byte {place}")
        numbers = np.frombuffer(content, "<f4", count, found + len(head))
        yield torch.from_numpy(numbers.astype(np.float32))


def _whole_number(value: int) -> bytes:
    """A number above zero as dlib writes it: how many bytes, and those, the lowest first."""
    length = (value.bit_length() + 7) // 8
    return bytes([length]) + value.to_bytes(length, "little")


def _filled(x: Float[Tensor, "b c1 h w"], shape: list[int]) -> Float[Tensor, "b c2 h2 w2"]:
    """Zeros beyond the last channels, rows and columns."""
    c, h, w = (wanted - had for wanted, had in zip(shape, x.shape[1:], strict=True))
    return F.pad(x, [0, w, 0, h, 0, c]) if c or h or w else x
