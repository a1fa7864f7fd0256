"""The attention network of the attention warping module (paper Sec. 3.3), after Mejjati et al. 2018.

Axis letters: b batch, s side of the image.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pcfh.methods.pcfh.blocks import Residual, conv_norm


class Attention(nn.Module):
    """Says for each pixel how far the warped VIS image can be believed there, in (0, 1).

    The paper leaves open what the network sees. It sees the NIR image and the warped VIS image, because
    the distortions it shall find are in the latter.
    """

    def __init__(self, *, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            conv_norm(6, width, 7, 2),
            conv_norm(width, 2 * width, 3, 2),
            Residual(2 * width),
            nn.Upsample(scale_factor=2.0),
            conv_norm(2 * width, width),
            nn.Upsample(scale_factor=2.0),
            conv_norm(width, max(1, width // 2)),
            nn.Conv2d(max(1, width // 2), 1, 7, 1, 3),
        )

    def forward(
        self, nir: Float[Tensor, "b 3 s s"], warped: Float[Tensor, "b 3 s s"]
    ) -> Float[Tensor, "b 1 s s"]:
        """Computes the attention map Att at full size."""
        return torch.sigmoid(self.layers(torch.cat([nir, warped], 1)).float())
