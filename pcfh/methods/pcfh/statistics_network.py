"""The statistics network N_E of the mutual information constraint (paper Sec. 3.4, Eq. 9 and 10).

Axis letters: b batch, s side of the image, d features, g images of one re-pairing group.
"""

from collections.abc import Callable, Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pcfh.methods.pcfh import losses
from pcfh.methods.pcfh.critic import encoder

Estimator = Literal["cosine", "jsd", "infonce", "bilinear"]
ESTIMATES: Mapping[Estimator, Callable[[Float[Tensor, "groups g g"]], Float[Tensor, ""]]] = {
    "cosine": losses.mutual_information,  # Eq. 10 as printed
    "jsd": losses.jensen_shannon_information,
    "infonce": losses.contrastive_information,
    "bilinear": losses.mutual_information,  # Eq. 10 with an N_E that is kept Lipschitz
}


class StatisticsNetwork(nn.Module):
    """N_E(a, b) for a generated image a and a real one b, NIR or VIS: how well they go together.

    Two branches instead of one network over stacked images: every image is encoded once, and all pairs
    of a group give samples of the product of the marginals for the price of a small matrix product.

    N_E is the cosine of both codes. Bounded by itself it needs no penalty, and Eq. 10 as printed learns
    within a few thousand images. As a bilinear form, <phi(a), psi(b)> / d under a gradient penalty, both
    branches start near zero, where their product has no slope, and the penalty holds them there: the
    estimate stays 0.

    Args:
        width: channels of the first layer of each branch.
        features: d.
        estimator: what the estimate is made of, see ``ESTIMATES``.
    """

    def __init__(self, *, width: int, features: int = 128, estimator: Estimator = "cosine") -> None:
        super().__init__()
        self.estimator = estimator
        self.phi = Branch(width, features)
        self.psi = Branch(width, features)

    @property
    def bounded(self) -> bool:
        """Whether N_E is bounded by itself; it needs a gradient penalty if not."""
        return self.estimator != "bilinear"

    def estimate(self, phi: Float[Tensor, "b d"], psi: Float[Tensor, "b d"], group: int) -> Float[Tensor, ""]:
        """The estimate of I(a, b) that N_E maximises, from encoded images."""
        return ESTIMATES[self.estimator](self.pair_scores(phi, psi, group))

    def pair_scores(
        self, phi: Float[Tensor, "b d"], psi: Float[Tensor, "b d"], group: int
    ) -> Float[Tensor, "b/{group} {group} {group}"]:
        """N_E of all pairs of each group of consecutive images, from encoded images."""
        if self.bounded:
            phi, psi = F.normalize(phi), F.normalize(psi)
        a, b = phi.unflatten(0, (-1, group)), psi.unflatten(0, (-1, group))
        return a @ b.mT / (1 if self.bounded else phi.shape[1])

    def forward(self, a: Float[Tensor, "b 3 s s"], b: Float[Tensor, "b 3 s s"]) -> Float[Tensor, " b"]:
        """N_E of pairs (a_i, b_i)."""
        return self.pair_scores(self.phi(a), self.psi(b), 1).flatten()


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
