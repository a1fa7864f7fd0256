"""CycleGAN: two generators that undo each other, each with a discriminator of its images.

Pairs mean nothing to it: it learns from NIR and VIS images as two heaps. The authors update the generators,
then the discriminators on fakes from before that update; all networks moving at once is the same.

Images are in [-1, 1].

Axis letters: b batch, c, c1, c2 channels, h and w pixels, s side of an image.

Reference:
    Zhu, Park, Isola and Efros, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial
    Networks", ICCV 2017, https://arxiv.org/abs/1703.10593
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pcfh.devices import mixed_precision, mixes
from pcfh.methods.batch import Batch, Image, Values
from pcfh.methods.patchgan import PatchGAN, initialise
from pcfh.methods.trainer import Trainer
from pcfh.runtime import Runtime


class Residual(nn.Module):
    """x + f(x) with two 3 x 3 convolutions; no ReLU after the sum."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*conv_norm_relu(c, c, 3), *conv_norm_relu(c, c, 3)[:-1])

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Adds the body's output to its input."""
        y: Tensor = x + self.body(x)
        return y


class ResidualGenerator(nn.Module):
    """c7s1-64, d128, d256, R256 ..., u128, u64, c7s1-3 in the paper's notation.

    Args:
        size: side of the images; the layers do not depend on it.
        width: channels at full size, 64 in the paper.
        blocks: residual blocks; the paper takes 6 for images of 128 pixels and 9 from 256 pixels on.

    Attributes:
        arguments: the above, to build the same network again.
    """

    def __init__(self, *, size: int, width: int = 64, blocks: int = 9) -> None:
        super().__init__()
        self.size = size
        self.arguments = {"size": size, "width": width, "blocks": blocks}
        self.layers = nn.Sequential(
            *conv_norm_relu(3, width, 7),
            *conv_norm_relu(width, 2 * width, 3, 2),
            *conv_norm_relu(2 * width, 4 * width, 3, 2),
            *(Residual(4 * width) for _ in range(blocks)),
            *up_norm_relu(4 * width, 2 * width),
            *up_norm_relu(2 * width, width),
            nn.ReflectionPad2d(3),
            nn.Conv2d(width, 3, 7),
            nn.Tanh(),
        )
        initialise(self)

    def forward(
        self, images: Float[Tensor, "b 3 s s"], landmarks: Float[Tensor, "b 68 2"] | None = None
    ) -> Float[Tensor, "b 3 s s"]:
        """Translates images; landmarks are taken as by every generator, and not used."""
        translated: Tensor = self.layers(images)
        return translated


def conv_norm_relu(c1: int, c2: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """Convolution, instance normalisation, ReLU; of stride 1 with mirrored borders, else zeros."""
    reach = kernel // 2
    mirror: list[nn.Module] = [nn.ReflectionPad2d(reach)] if stride == 1 else []
    conv = nn.Conv2d(c1, c2, kernel, stride, 0 if mirror else reach)
    return [*mirror, conv, nn.InstanceNorm2d(c2), nn.ReLU(inplace=True)]


def up_norm_relu(c1: int, c2: int) -> list[nn.Module]:
    """3 x 3 convolution of stride 1/2, instance normalisation, ReLU."""
    conv = nn.ConvTranspose2d(c1, c2, 3, 2, padding=1, output_padding=1)
    return [conv, nn.InstanceNorm2d(c2), nn.ReLU(inplace=True)]


class Pool(nn.Module):
    """The last fakes of one generator: a discriminator sees an old one in half of the cases.

    Its state is in buffers. Its choices are a function of the seed and of how many fakes came before.

    Args:
        places: how many fakes it holds; with none, new fakes are given back.
        size: side of the images.
        seed: of its choices.
    """

    images: Tensor
    seen: Tensor

    def __init__(self, places: int, size: int, seed: tuple[int, ...]) -> None:
        super().__init__()
        self._seed = seed
        self.register_buffer("images", torch.zeros(places, 3, size, size))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def exchange(self, fakes: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b 3 s s"]:
        """Stores new fakes and gives as many back, each either new or old."""
        first = int(self.seen)
        self.seen += len(fakes)
        return torch.stack([self._exchange_one(fake, first + i) for i, fake in enumerate(fakes)])

    def _exchange_one(self, fake: Float[Tensor, "3 s s"], number: int) -> Float[Tensor, "3 s s"]:
        places = len(self.images)
        if number < places:
            self.images[number] = fake
            return fake
        chance, place = np.random.default_rng((*self._seed, number)).random(2)
        if places == 0 or chance < 0.5:
            return fake
        old = self.images[int(place * places)].clone()
        self.images[int(place * places)] = fake
        return old


class DevicePool(Pool):
    """The same, with choices that are drawn on the device of the fakes, from PyTorch's generator.

    An exchange looks at nothing on the host: which fakes go in and out is said by masks.
    """

    @torch.no_grad()
    def exchange(self, fakes: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b 3 s s"]:
        """Stores new fakes and gives as many back, each either new or old."""
        if not len(self.images):
            return fakes
        return torch.cat([self._exchange_some(some) for some in fakes.split(len(self.images))])

    def _exchange_some(self, fakes: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b 3 s s"]:
        """Exchanges at most as many as there are places, each with a place of its own."""
        places, count = len(self.images), len(fakes)
        filling = self.seen < places
        next_ones = (self.seen + torch.arange(count, device=fakes.device)) % places
        drawn = torch.rand(places, device=fakes.device).argsort()[:count]
        place = torch.where(filling, next_ones, drawn)
        chance = torch.rand(count, device=fakes.device)
        gives_new = (filling | (chance < 0.5))[:, None, None, None]
        stores_new = (filling | (chance >= 0.5))[:, None, None, None]
        old = self.images[place]
        self.images[place] = torch.where(stores_new, fakes, old)
        self.seen += count
        return torch.where(gives_new, fakes, old)


class CycleGANNetworks(nn.Module):
    """Two generators, two discriminators, and the pools of old fakes.

    Args:
        size: side of the images.
        width: channels of the first layers.
        blocks: residual blocks of the generators.
        pool: old fakes of each generator.
        seed: of the pools' choices.
        on_device: whether these are drawn on the device.
    """

    def __init__(
        self,
        *,
        size: int,
        width: int = 64,
        blocks: int = 9,
        pool: int = 50,
        seed: int = 0,
        on_device: bool = False,
    ) -> None:
        super().__init__()
        kind = DevicePool if on_device else Pool
        self.to_vis, self.to_nir = (
            ResidualGenerator(size=size, width=width, blocks=blocks) for _ in range(2)
        )
        self.is_vis, self.is_nir = (PatchGAN(width=width) for _ in range(2))
        self.old_vis, self.old_nir = (kind(pool, size, (seed, which)) for which in range(2))


class TwoWayTrainer(Trainer):
    """What trainers of two generators that undo each other share.

    Attributes:
        networks: with ``to_vis``, ``to_nir``, ``is_vis``, ``is_nir`` and the pools of both.
    """

    networks: Any

    @property
    def generator(self) -> Any:
        """The generator from NIR to VIS."""
        return self.networks.to_vis

    @property
    def critics(self) -> Sequence[nn.Module]:
        """Both discriminators."""
        return (self.networks.is_vis, self.networks.is_nir)

    @property
    def differentiated_once(self) -> Sequence[nn.Module]:
        """All networks."""
        n = self.networks
        return (n.to_vis, n.to_nir, n.is_vis, n.is_nir)

    @property
    def on_device(self) -> bool:
        """Where the pools' choices are drawn there."""
        return isinstance(self.networks.old_vis, DevicePool)


class CycleGANTrainer(TwoWayTrainer):
    """Teaches the generator from NIR to VIS; see ``pcfh.methods.trainer``.

    Args:
        config: a ``CycleGANConfig``.
        runtime: this process among the others. All have the same pools, which take the fakes of all.
        recognizer: not used.
    """

    networks: CycleGANNetworks

    def __init__(self, config: Any, runtime: Runtime, recognizer: nn.Module | None = None) -> None:
        b, t = config.baseline, config.training
        networks = CycleGANNetworks(
            size=t.size,
            width=b.width,
            blocks=b.blocks,
            pool=b.pool,
            seed=t.seed,
            # Several processes have to choose alike, which devices do not.
            on_device=runtime.device.type == "cuda" and runtime.processes == 1,
        )
        self.networks = networks.to(runtime.device)
        self._runtime, self._bf16 = runtime, mixes(t.precision, runtime.device)
        self._lambda_cycle, self._lambda_identity = b.lambda_cycle, b.lambda_identity

    def compute_gradients(self, batch: Batch) -> Values:
        """Puts the gradients of all losses into the networks, and the fakes into the pools.

        The generators minimise (D(fake) - 1)^2 + lambda mean |there and back - image|, each discriminator
        half of (D(real) - 1)^2 + D(fake)^2; squares are means over patches.
        """
        n = self.networks
        with mixed_precision(self._bf16, batch.nir):
            vis, nir = n.to_vis(batch.nir).float(), n.to_nir(batch.vis).float()
            terms = self._generator_terms(batch, vis, nir)
        both = [*n.to_vis.parameters(), *n.to_nir.parameters()]
        torch.stack(list(terms.values())).sum().backward(inputs=both)
        with mixed_precision(self._bf16, batch.nir):
            loss_vis = discriminator_loss(n.is_vis, batch.vis, self._exchange(n.old_vis, vis.detach()))
            loss_nir = discriminator_loss(n.is_nir, batch.nir, self._exchange(n.old_nir, nir.detach()))
        (loss_vis + loss_nir).backward(inputs=[*n.is_vis.parameters(), *n.is_nir.parameters()])
        terms |= {"critic/vis": loss_vis, "critic/nir": loss_nir}
        return {name: term.detach() for name, term in terms.items()}

    def pictures(self, batch: Batch, output: Image) -> Mapping[str, Image]:
        """The output translated back, which the cycle consistency wants to be the input."""
        return {"back to NIR": self.networks.to_nir(output)}

    def _generator_terms(self, batch: Batch, vis: Image, nir: Image) -> Values:
        """What the generators minimise; ``vis`` and ``nir`` are the fakes."""
        n = self.networks
        terms = {
            "loss/gan_vis": least_squares(n.is_vis(vis), 1.0),
            "loss/gan_nir": least_squares(n.is_nir(nir), 1.0),
            "loss/cycle_vis": self._lambda_cycle * F.l1_loss(n.to_vis(nir).float(), batch.vis),
            "loss/cycle_nir": self._lambda_cycle * F.l1_loss(n.to_nir(vis).float(), batch.nir),
        }
        if self._lambda_identity:
            same_vis, same_nir = n.to_vis(batch.vis).float(), n.to_nir(batch.nir).float()
            terms["loss/identity_vis"] = self._lambda_identity * F.l1_loss(same_vis, batch.vis)
            terms["loss/identity_nir"] = self._lambda_identity * F.l1_loss(same_nir, batch.nir)
        return terms

    def _exchange(self, pool: Pool, fakes: Image) -> Image:
        """This process's part of what the pool gives for the fakes of all processes."""
        return self._runtime.part(pool.exchange(self._runtime.gather(fakes)))


def least_squares(scores: Float[Tensor, "b 1 h w"], target: float) -> Float[Tensor, ""]:
    """Mean squared distance of the scores from 1 (real) or 0 (fake)."""
    return (scores.float() - target).square().mean()


def discriminator_loss(discriminator: nn.Module, real: Image, fake: Image) -> Float[Tensor, ""]:
    """Least-squares loss of a discriminator, halved so that it learns more slowly than the generators."""
    return (least_squares(discriminator(real), 1.0) + least_squares(discriminator(fake), 0.0)) / 2
