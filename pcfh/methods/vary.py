"""Random changes of the NIR images that the generator sees, so that it does not learn them by heart.

The noise of a sensor marks a capture as a fingerprint does. A generator that sees the same captures a hundred
times can learn whose they are by it, which helps with nobody else.

Axis letters: b batch, s side of an image.
"""

import torch
from jaxtyping import Float
from torch import Tensor

MOST_GAMMA, MOST_GAIN, MOST_NOISE = 0.2, 0.15, 0.04  # logarithms, and a standard deviation; of [0, 1]


def varied(nir: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b 3 s s"]:
    """Each image under other light and exposure and with more noise, drawn from PyTorch's generator.

    Gamma and gain lie within exp(+-0.2) and exp(+-0.15), the noise's standard deviation between 0 and 0.04 of
    the range from black to white.

    Args:
        nir: in [-1, 1], three equal channels; so is the result.
    """
    shape = (len(nir), 1, 1, 1)
    gamma, gain, noise = (torch.rand(shape, device=nir.device) for _ in range(3))
    light = (nir[:, :1] + 1) / 2
    light = light ** torch.exp(MOST_GAMMA * (2 * gamma - 1)) * torch.exp(MOST_GAIN * (2 * gain - 1))
    light = light + MOST_NOISE * noise * torch.randn_like(light)
    return (2 * light.clamp(0, 1) - 1).expand(-1, 3, -1, -1)
