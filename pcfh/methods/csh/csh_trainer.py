"""After CSH, first stage: fully convolutional networks for Y, Cb and Cr, learnt from pairs of patches.

Images are in [-1, 1]; so are Y, Cb and Cr (ITU-R BT.601, full range; without colour Cb and Cr are 0).

Axis letters: b batch, c channels, h and w sides, n patches, s side of an image.

Reference: Lezama, Qiu and Sapiro, "Not Afraid of the Dark: NIR-VIS Face Recognition via Cross-spectral
Hallucination and Low-rank Embedding", CVPR 2017. Its decisions that are ours stand in docs/paper_map.md.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from pcfh.methods.batch import Batch, Values
from pcfh.methods.blur import gaussian_blur
from pcfh.methods.trainer import Trainer
from pcfh.ranges import LUMA
from pcfh.runtime import Runtime

PATCH = 40  # side in pixels; even, as colour is learnt at half size
_RED, _GREEN, _BLUE = LUMA
_BLUE_RANGE, _RED_RANGE = 2 * (1 - _BLUE), 2 * (1 - _RED)


class YCbCrGenerator(nn.Module):
    """A network for each channel; the luma's adds to the NIR image, colour is made at half size.

    Args:
        size: side of the images; the layers do not depend on it.
        channels: of the hidden layers.
        alpha: how far low frequencies of the luma are pulled to the NIR image in use.
        sigma: of the Gaussian that says what is low, in pixels.

    Attributes:
        arguments: the above, to build the same network again.
    """

    def __init__(self, *, size: int, channels: int = 32, alpha: float = 0.6, sigma: float = 1.0) -> None:
        super().__init__()
        self.size, self.alpha, self.sigma = size, alpha, sigma
        self.arguments = {"size": size, "channels": channels, "alpha": alpha, "sigma": sigma}
        self.luma = convolutions([5, 5, 5, 5, 5], channels)
        self.blue, self.red = (convolutions([5, 3, 3, 3, 3], channels) for _ in range(2))

    def forward(
        self, images: Float[Tensor, "b 3 s s"], landmarks: Float[Tensor, "b 68 2"] | None = None
    ) -> Float[Tensor, "b 3 s s"]:
        """Translates images; landmarks are taken as by every generator, and not used."""
        nir = images[:, :1]
        y, colour = self.channels_of(nir)
        large = F.interpolate(colour, scale_factor=2.0, mode="bilinear", align_corners=False)
        return to_rgb(blended(y, nir, self.alpha, self.sigma), large).clamp(-1, 1)

    def channels_of(
        self, nir: Float[Tensor, "n 1 h w"]
    ) -> tuple[Float[Tensor, "n 1 h w"], Float[Tensor, "n 2 h//2 w//2"]]:
        """Y before blending, and Cb and Cr at half size."""
        half = F.avg_pool2d(nir, 2)
        return nir + self.luma(nir), torch.cat([self.blue(half), self.red(half)], 1)


def convolutions(kernels: Sequence[int], channels: int) -> nn.Sequential:
    """Convolutions that keep the size, with parametric rectifiers between them; one channel in and out."""
    widths = [1, *([channels] * (len(kernels) - 1)), 1]
    layers: list[nn.Module] = []
    for kernel, c1, c2 in zip(kernels, widths[:-1], widths[1:], strict=True):
        layers += [nn.Conv2d(c1, c2, kernel, padding=kernel // 2), nn.PReLU()]
    return nn.Sequential(*layers[:-1])


def to_ycbcr(images: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b 1 h w"], Float[Tensor, "b 2 h w"]]:
    """Y, and Cb and Cr."""
    red, green, blue = images.unbind(1)
    y = _RED * red + _GREEN * green + _BLUE * blue
    return y[:, None], torch.stack([(blue - y) / _BLUE_RANGE, (red - y) / _RED_RANGE], 1)


def to_rgb(y: Float[Tensor, "b 1 h w"], colour: Float[Tensor, "b 2 h w"]) -> Float[Tensor, "b 3 h w"]:
    """The inverse of ``to_ycbcr``."""
    blue, red = (
        y[:, 0] + size * part for size, part in zip((_BLUE_RANGE, _RED_RANGE), colour.unbind(1), strict=True)
    )
    green = (y[:, 0] - _RED * red - _BLUE * blue) / _GREEN
    return torch.stack([red, green, blue], 1)


def blended(
    y: Float[Tensor, "b 1 h w"], nir: Float[Tensor, "b 1 h w"], alpha: float, sigma: float
) -> Float[Tensor, "b 1 h w"]:
    """Y - alpha G * (Y - N), G a Gaussian to three sigma: low frequencies are pulled to the NIR image."""
    return y - alpha * gaussian_blur(y - nir, sigma, max(1, round(3 * sigma))) if alpha else y


class CSHNetworks(nn.Module):
    """The generator, and how many steps there were: what the choice of patches is a function of."""

    steps: Tensor

    def __init__(self, config: Any) -> None:
        super().__init__()
        h = config.hallucination
        self.generator = YCbCrGenerator(
            size=config.training.size, channels=h.channels, alpha=h.alpha, sigma=h.sigma
        )
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))


class CSHTrainer(Trainer):
    """Teaches the three networks; see ``pcfh.methods.trainer``.

    Args:
        config: a ``CSHConfig``.
        runtime: this process among the others.
        recognizer: not used.
    """

    networks: CSHNetworks

    def __init__(self, config: Any, runtime: Runtime, recognizer: nn.Module | None = None) -> None:
        self.networks = CSHNetworks(config).to(runtime.device)
        self._seed = (config.training.seed, runtime.rank)
        self._patches, self._alike = config.hallucination.patches, config.hallucination.alike

    @property
    def generator(self) -> YCbCrGenerator:
        """The whole of it."""
        return self.networks.generator

    @property
    def differentiated_once(self) -> Sequence[nn.Module]:
        """The same."""
        return (self.generator,)

    def compute_gradients(self, batch: Batch) -> Values:
        """Squared errors of the three channels on the pairs of patches that are alike; means over pixels."""
        assert batch.warped is not None
        rng = np.random.default_rng((*self._seed, int(self.networks.steps)))
        self.networks.steps += 1
        corners = places_in_faces(batch.landmarks, self._patches, batch.nir.shape[-1], rng)
        nir, vis = (patches_at(images, corners) for images in (batch.nir[:, :1], batch.warped))
        y, colour = to_ycbcr(vis)
        good = alike(nir, y, self._alike)
        found_y, found_colour = self.generator.channels_of(nir[good])
        terms = {"loss/luma": F.mse_loss(found_y, y[good])}
        for name, found, wanted in zip(
            ("blue", "red"), found_colour.unbind(1), F.avg_pool2d(colour[good], 2).unbind(1), strict=True
        ):
            terms[f"loss/{name}"] = F.mse_loss(found, wanted)
        torch.stack(list(terms.values())).sum().backward()
        return {name: term.detach() for name, term in terms.items()} | {"patches/kept": good.float().mean()}


def places_in_faces(
    landmarks: Float[Tensor, "b 68 2"], count: int, size: int, rng: np.random.Generator
) -> Int[Tensor, "b n 2"]:
    """Top left pixels (x, y) of patches around points between two landmarks each, inside the image."""
    faces, points = landmarks.shape[:2]
    pairs = torch.from_numpy(rng.integers(points, size=(2, faces, count))).to(landmarks.device)
    share = torch.from_numpy(rng.random((faces, count, 1)).astype(np.float32)).to(landmarks.device)
    ends = [landmarks.gather(1, one[..., None].expand(-1, -1, 2)) for one in pairs]
    middle = torch.lerp(ends[0].float(), ends[1].float(), share)
    return (middle - PATCH / 2 + 1).floor().clamp(0, size - PATCH).long()


def patches_at(images: Float[Tensor, "b c s s"], corners: Int[Tensor, "b n 2"]) -> Float[Tensor, "m c 40 40"]:
    """Patches of all images, those of one image after the other."""
    reach = torch.arange(PATCH, device=images.device)
    x, y = (corners[..., axis, None] + reach for axis in range(2))  # b n 40
    index = y[..., :, None] * images.shape[-1] + x[..., None, :]
    own = [image.flatten(1)[:, one] for image, one in zip(images, index, strict=True)]  # c n 40 40
    return torch.cat([patches.transpose(0, 1) for patches in own])


def alike(
    nir: Float[Tensor, "m 1 40 40"], vis: Float[Tensor, "m 1 40 40"], least: float
) -> Bool[Tensor, " m"]:
    """Whose edges lie at the same places: by the correlation of the gradients' magnitudes; half at least."""
    a, b = (_centred(_edges(patches)) for patches in (nir, vis))
    correlation = (a * b).sum(1)
    return correlation >= min(least, float(correlation.median()))


def _edges(patches: Float[Tensor, "m 1 40 40"]) -> Float[Tensor, "m 38 38"]:
    """Magnitudes of central differences."""
    x = patches[:, 0, 1:-1, 2:] - patches[:, 0, 1:-1, :-2]
    y = patches[:, 0, 2:, 1:-1] - patches[:, 0, :-2, 1:-1]
    return torch.hypot(x, y)


def _centred(edges: Float[Tensor, "m 38 38"]) -> Float[Tensor, "m 1444"]:
    """Of mean zero and length one; zeros where nothing changes."""
    flat = edges.flatten(1)
    return F.normalize(flat - flat.mean(1, keepdim=True))
