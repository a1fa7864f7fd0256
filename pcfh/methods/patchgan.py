"""What Pix2Pix and CycleGAN have in common: the discriminator of patches, and how weights begin.

Axis letters: b batch, c, c1, c2 channels, h and w pixels.

Reference:
    Isola, Zhu, Zhou and Efros, "Image-to-Image Translation with Conditional Adversarial Networks", CVPR 2017,
    https://arxiv.org/abs/1611.07004
"""

import torch
from torch import nn


class PatchGAN(nn.Sequential):
    """C64-C128-C256-C512 and a last convolution: one score for each patch of 70 x 70 pixels.

    Args:
        channels: of its input.
        width: channels of the first layer, 64 in the papers.
    """

    def __init__(self, *, channels: int = 3, width: int = 64) -> None:
        super().__init__(
            nn.Conv2d(channels, width, 4, 2, 1),
            nn.LeakyReLU(0.2, inplace=True),
            *_stage(width, 2 * width, 2),
            *_stage(2 * width, 4 * width, 2),
            *_stage(4 * width, 8 * width, 1),
            nn.Conv2d(8 * width, 1, 4, 1, 1),
        )
        initialise(self)


def _stage(c1: int, c2: int, stride: int) -> list[nn.Module]:
    """4 x 4 convolution, instance normalisation, leaky ReLU."""
    conv = nn.Conv2d(c1, c2, 4, stride, 1)
    return [conv, nn.InstanceNorm2d(c2), nn.LeakyReLU(0.2, inplace=True)]


@torch.no_grad()
def initialise(network: nn.Module) -> None:
    """Draws weights from a Gaussian of standard deviation 0.02; biases are zero."""
    for parameter in network.parameters():
        if parameter.ndim == 1:
            parameter.zero_()
        else:
            parameter.normal_(0, 0.02)
