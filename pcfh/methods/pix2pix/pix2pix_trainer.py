"""Pix2Pix: an adversarial loss on pairs, and the mean absolute error to the paired image.

It takes the two images of a pair for aligned. Those of heterogeneous face recognition are not: the pairs it
gets here are any NIR and any VIS capture of one person.

What differs from the authors' program: faces are aligned already, so there are no random crops; both networks
move at once, where there the generator meets the discriminator after its update; no dropout when it
translates, so that one input gives one output. The paper normalises a batch by its own statistics, also to
translate, and takes batches of one image: that is instance normalisation, used here for any batch.

Images are in [-1, 1].

Axis letters: b batch, c1, c2 channels, h and w pixels, s side of an image.

Reference:
    Isola, Zhu, Zhou and Efros, "Image-to-Image Translation with Conditional Adversarial Networks", CVPR 2017,
    https://arxiv.org/abs/1611.07004
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pcfh.devices import mixed_precision, mixes
from pcfh.errors import UserError
from pcfh.methods.batch import Batch, Values
from pcfh.methods.patchgan import PatchGAN, initialise
from pcfh.methods.trainer import Trainer
from pcfh.runtime import Runtime

_MOST_LEVELS, _LEAST_LEVELS = 8, 3
_DROPOUTS = 3  # decoder layers that have one, the innermost


class UNetGenerator(nn.Module):
    """C64-C128-C256-C512-C512-C512-C512-C512, and back with skips: CD512-CD512-CD512-C512-C256-C128-C64.

    Each layer halves the image, down to a single pixel at 256; smaller images take fewer layers of 512.

    Args:
        size: side of the images, a multiple of 8; one that is no power of two is halved while it is even.
        width: channels of the first layer, 64 in the paper.

    Attributes:
        arguments: the above, to build the same network again.

    Raises:
        UserError: the size cannot be halved three times.
    """

    def __init__(self, *, size: int, width: int = 64) -> None:
        super().__init__()
        self.size = size
        self.arguments = {"size": size, "width": width}
        widths = [width * min(2**level, 8) for level in range(levels_of(size))]
        last = len(widths) - 1
        self.down = nn.ModuleList(
            _down(c1, c2, norm=0 < level < last)
            for level, (c1, c2) in enumerate(zip([3, *widths[:-1]], widths, strict=True))
        )
        inner = [widths[-1], *(2 * c for c in reversed(widths[:-1]))]  # from the second on beside a skip
        self.up = nn.ModuleList(
            _up(c1, c2, dropout=level < _DROPOUTS)
            for level, (c1, c2) in enumerate(zip(inner, reversed(widths[:-1]), strict=False))
        )
        self.to_image = nn.Sequential(nn.ConvTranspose2d(2 * width, 3, 4, 2, 1), nn.Tanh())
        initialise(self)

    def forward(
        self, nir: Float[Tensor, "b 3 s s"], landmarks: Float[Tensor, "b 68 2"] | None = None
    ) -> Float[Tensor, "b 3 s s"]:
        """Translates images; landmarks are taken as by every generator, and not used."""
        skips = [self.down[0](nir)]
        for down in self.down[1:]:
            skips.append(down(skips[-1]))
        y: Tensor = skips.pop()
        for up in self.up:
            y = torch.cat([up(y), skips.pop()], 1)
        image: Tensor = self.to_image(y)
        return image


def levels_of(size: int) -> int:
    """How often the U-Net halves an image: while its side is even, and at most 8 times.

    Raises:
        UserError: that is less than 3 times.
    """
    twos = (size & -size).bit_length() - 1
    if twos < _LEAST_LEVELS:
        raise UserError(f"Pix2Pix at {size} pixels: expected a multiple of 8; set training.size")
    return min(twos, _MOST_LEVELS)


def _down(c1: int, c2: int, *, norm: bool) -> nn.Sequential:
    """Halves; neither the first layer nor the bottom, which may be one pixel, is normalised."""
    layers = [nn.Conv2d(c1, c2, 4, 2, 1), *([nn.InstanceNorm2d(c2)] if norm else [])]
    return nn.Sequential(*layers, nn.LeakyReLU(0.2, inplace=True))


def _up(c1: int, c2: int, *, dropout: bool) -> nn.Sequential:
    """Doubles."""
    layers = [nn.ConvTranspose2d(c1, c2, 4, 2, 1), nn.InstanceNorm2d(c2)]
    return nn.Sequential(*layers, *([nn.Dropout(0.5)] if dropout else []), nn.ReLU(inplace=True))


class Pix2PixNetworks(nn.Module):
    """The generator, and the discriminator that sees input and output together.

    Args:
        size: side of the images.
        width: channels of the first layers.
    """

    def __init__(self, *, size: int, width: int = 64) -> None:
        super().__init__()
        self.generator = UNetGenerator(size=size, width=width)
        self.discriminator = PatchGAN(channels=6, width=width)


class Pix2PixTrainer(Trainer):
    """Teaches the generator; see ``pcfh.methods.trainer``.

    Args:
        config: a ``Pix2PixConfig``.
        runtime: this process among the others.
        recognizer: not used.
    """

    networks: Pix2PixNetworks

    def __init__(self, config: Any, runtime: Runtime, recognizer: nn.Module | None = None) -> None:
        networks = Pix2PixNetworks(size=config.training.size, width=config.baseline.width)
        self.networks = networks.to(runtime.device)
        self._lambda_l1 = config.baseline.lambda_l1
        self._bf16 = mixes(config.training.precision, runtime.device)

    @property
    def generator(self) -> UNetGenerator:
        """The generator."""
        return self.networks.generator

    @property
    def critics(self) -> Sequence[nn.Module]:
        """The discriminator."""
        return (self.networks.discriminator,)

    @property
    def differentiated_once(self) -> Sequence[nn.Module]:
        """Both networks."""
        return (self.networks.generator, self.networks.discriminator)

    @property
    def on_device(self) -> bool:
        """The whole step."""
        return True

    def compute_gradients(self, batch: Batch) -> Values:
        """Puts the gradients of both losses into the networks.

        The generator minimises -log D(N, G(N)) + lambda mean |G(N) - V|, the discriminator half of
        -log D(N, V) - log(1 - D(N, G(N))); the logarithms are means over patches.
        """
        generator, discriminator = self.networks.generator, self.networks.discriminator
        with mixed_precision(self._bf16, batch.nir):
            fake = generator(batch.nir).float()
            fooled = discriminator(torch.cat([batch.nir, fake], 1))
        gan, l1 = cross_entropy(fooled, 1.0), self._lambda_l1 * F.l1_loss(fake, batch.vis)
        (gan + l1).backward(inputs=list(generator.parameters()))
        with mixed_precision(self._bf16, batch.nir):
            on_real = discriminator(torch.cat([batch.nir, batch.vis], 1))
            on_fake = discriminator(torch.cat([batch.nir, fake.detach()], 1))
        loss = (cross_entropy(on_real, 1.0) + cross_entropy(on_fake, 0.0)) / 2
        loss.backward(inputs=list(discriminator.parameters()))
        return {"loss/gan": gan.detach(), "loss/l1": l1.detach(), "critic/loss": loss.detach()}


def cross_entropy(scores: Float[Tensor, "b 1 h w"], target: float) -> Float[Tensor, ""]:
    """Mean over patches of the cross-entropy between sigmoid(score) and 1 (real) or 0 (fake)."""
    scores = scores.float()
    return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, target))
