"""The critic D_A (paper Sec. 3.2): a Wasserstein critic without normalisation, as its gradient penalty needs.

Axis letters: b batch, s side of the image, d features.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


def encoder(width: int, layers: int = 5, most: int = 8) -> nn.Sequential:
    """Strided convolutions with leaky ReLU; channels double up to ``most`` times width.

    PyTorch's default initialisation shrinks the differences between images layer by layer. A Lipschitz
    critic wants that: it grows in the directions that matter. Started with He's, it spends its slope on
    noise and learns slowly.
    """
    widths = [width * min(2**layer, most) for layer in range(layers)]
    convs = (nn.Conv2d(c1, c2, 4, 2, 1) for c1, c2 in zip([3, *widths[:-1]], widths, strict=True))
    return nn.Sequential(*(layer for conv in convs for layer in (conv, nn.LeakyReLU(0.2, inplace=True))))


class Critic(nn.Module):
    """D_A: the mean of scores of overlapping patches, each a third of the face at 144 pixels."""

    def __init__(self, *, width: int) -> None:
        super().__init__()
        self.features = encoder(width)
        self.score = nn.Conv2d(8 * width, 1, 3, 1, 1)

    def forward(self, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, " b"]:
        """Scores images; higher is more like a real VIS face."""
        features = self.features(images)
        # A critic's output is a difference of large numbers: bfloat16's three digits would lose it.
        with torch.autocast(features.device.type, enabled=False):
            return self.score(features.float()).mean((1, 2, 3))
