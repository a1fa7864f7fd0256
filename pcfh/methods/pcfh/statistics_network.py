"""The statistics network N_E of the mutual information constraint (paper Sec. 3.4, Eq. 9 and 10).

Axis letters: b batch, s side of the image, d features, g images of one re-pairing group.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pcfh.methods.pcfh.critic import encoder


class StatisticsNetwork(nn.Module):
    """N_E(a, b) = <phi(a), psi(b)> / d for a generated image a and a real one b, NIR or VIS.

    Two branches instead of one network over stacked images: every image is encoded once, and all pairs
    of a group give samples of the product of the marginals for the price of a small matrix product.

    Args:
        width: channels of the first layer of each branch.
        features: d.
    """

    def __init__(self, *, width: int, features: int = 128) -> None:
        super().__init__()
        self.phi = Branch(width, features)
        self.psi = Branch(width, features)

    def pair_scores(
        self, phi: Float[Tensor, "b d"], psi: Float[Tensor, "b d"], group: int
    ) -> Float[Tensor, "b/{group} {group} {group}"]:
        """N_E of all pairs of each group of consecutive images, from encoded images."""
        a, b = phi.unflatten(0, (-1, group)), psi.unflatten(0, (-1, group))
        return a @ b.mT / phi.shape[1]

    def forward(self, a: Float[Tensor, "b 3 s s"], b: Float[Tensor, "b 3 s s"]) -> Float[Tensor, " b"]:
        """N_E of pairs (a_i, b_i)."""
        phi, psi = self.phi(a), self.psi(b)
        return torch.linalg.vecdot(phi, psi) / phi.shape[1]


class Branch(nn.Module):
    """Encodes an image as d numbers whose RMS stays below 1.

    A product of two unbounded branches outgrows its Lipschitz bound at one step and is pushed to
    nothing by the penalty at the next; bounded ones learn steadily. Biases start at zero because what
    all images share measures nothing.
    """

    def __init__(self, width: int, features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(encoder(width), nn.AdaptiveAvgPool2d(4), nn.Flatten())
        self.last = nn.Linear(16 * 8 * width, features)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b d"]:
        """Encodes images."""
        y = self.layers(images)
        # The estimate is a difference of large numbers: bfloat16's three digits would lose it.
        with torch.autocast(y.device.type, enabled=False):
            f = self.last(y.float())
        return f / (1 + f.square().mean(1, keepdim=True)).sqrt()
