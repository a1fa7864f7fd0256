"""After ADFL, first stage: CycleGAN whose generators have a path for the eyes, and keep the luminance.

Images are in [-1, 1]. Axis letters: b batch, c channels, s side of an image.

Reference: Song, Zhang, Wu and He, "Adversarial Discriminative Heterogeneous Face Recognition", AAAI 2018,
https://arxiv.org/abs/1709.03675. Its decisions that are ours stand in docs/paper_map.md.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pcfh.devices import mixed_precision, mixes
from pcfh.geometry.align import crop_of
from pcfh.geometry.parts import Part, cut, max_out, part_corner
from pcfh.methods.batch import Batch, Image, Values
from pcfh.methods.cyclegan.cyclegan_trainer import (
    DevicePool,
    Pool,
    Residual,
    TwoWayTrainer,
    conv_norm_relu,
    discriminator_loss,
    least_squares,
    up_norm_relu,
)
from pcfh.methods.patchgan import PatchGAN, initialise
from pcfh.methods.pcfh.blocks import UNet
from pcfh.ranges import luma_weights
from pcfh.runtime import Runtime

_EYES = slice(36, 48)  # landmarks of both
_BOXES = {64: (16, 40), 128: (32, 80), 144: (32, 80), 256: (52, 128)}  # height and width around both eyes


class TwoPathGenerator(nn.Module):
    """CycleGAN's generator, whose last feature map is the maximum with that of a small network on the eyes.

    Args:
        size: side of the images: 64, 128, 144 or 256.
        width: channels at full size.
        blocks: residual blocks of the global path.

    Attributes:
        arguments: the above, to build the same network again.
    """

    def __init__(self, *, size: int, width: int = 64, blocks: int = 9) -> None:
        super().__init__()
        self.size = size
        self.arguments = {"size": size, "width": width, "blocks": blocks}
        height, length = _BOXES[size]
        self.part = Part("eyes", _EYES, height, length)
        self.whole = nn.Sequential(
            *conv_norm_relu(3, width, 7),
            *conv_norm_relu(width, 2 * width, 3, 2),
            *conv_norm_relu(2 * width, 4 * width, 3, 2),
            *(Residual(4 * width) for _ in range(blocks)),
            *up_norm_relu(4 * width, 2 * width),
            *up_norm_relu(2 * width, width),
        )
        self.last = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh())
        initialise(self)
        self.eyes = UNet(3, width=width, levels=2, blocks=1)

    def forward(
        self, images: Float[Tensor, "b 3 s s"], landmarks: Float[Tensor, "b 68 2"] | None = None
    ) -> Float[Tensor, "b 3 s s"]:
        """Translates images; without landmarks the eyes are where the alignment puts them."""
        corner = part_corner(self._usual(images) if landmarks is None else landmarks, self.part, self.size)
        own = self.eyes(cut(images, corner, self.part))
        fused = max_out(self.whole(images), own, corner, self.part)
        translated: Tensor = self.last(fused)
        return translated

    def _usual(self, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b 68 2"]:
        """All landmarks at the middle between the eyes of an aligned crop."""
        x, y = self.size / 2 - 0.5, crop_of(self.size).eyes_y - 0.5
        ones = torch.ones(len(images), 68, device=images.device)
        return torch.stack([x * ones, y * ones], 2)


class ADFLNetworks(nn.Module):
    """Two generators, two discriminators, and the pools of old fakes; see ``CycleGANNetworks``."""

    def __init__(self, config: Any, *, on_device: bool) -> None:
        super().__init__()
        b, t = config.baseline, config.training
        kind = DevicePool if on_device else Pool
        self.to_vis, self.to_nir = (
            TwoPathGenerator(size=t.size, width=b.width, blocks=b.blocks) for _ in range(2)
        )
        self.is_vis, self.is_nir = (PatchGAN(width=b.width) for _ in range(2))
        self.old_vis, self.old_nir = (kind(b.pool, t.size, (t.seed, which)) for which in range(2))


class ADFLTrainer(TwoWayTrainer):
    """Teaches the generator from NIR to VIS; see ``pcfh.methods.trainer``.

    Args:
        config: an ``ADFLConfig``.
        runtime: this process among the others. All have the same pools, which take the fakes of all.
        recognizer: not used.
    """

    networks: ADFLNetworks

    def __init__(self, config: Any, runtime: Runtime, recognizer: nn.Module | None = None) -> None:
        on_device = runtime.device.type == "cuda" and runtime.processes == 1
        self.networks = ADFLNetworks(config, on_device=on_device).to(runtime.device)
        self._runtime, self._bf16 = runtime, mixes(config.training.precision, runtime.device)
        self._cycle, self._luminance = config.baseline.lambda_cycle, config.baseline.lambda_luminance

    def compute_gradients(self, batch: Batch) -> Values:
        """Puts the gradients of all losses into the networks, and the fakes into the pools.

        Images on a NIR image's place have its landmarks; of VIS images none are known.
        """
        n = self.networks
        with mixed_precision(self._bf16, batch.nir):
            vis = n.to_vis(batch.nir, landmarks=batch.landmarks).float()
            nir = n.to_nir(batch.vis).float()
            terms = {
                "loss/gan_vis": least_squares(n.is_vis(vis), 1.0),
                "loss/gan_nir": least_squares(n.is_nir(nir), 1.0),
                "loss/cycle_vis": self._cycle * F.l1_loss(n.to_vis(nir).float(), batch.vis),
                "loss/cycle_nir": self._cycle
                * F.l1_loss(n.to_nir(vis, landmarks=batch.landmarks).float(), batch.nir),
                "loss/luminance_vis": self._luminance * luminance_distance(vis, batch.nir),
                "loss/luminance_nir": self._luminance * luminance_distance(nir, batch.vis),
            }
        both = [*n.to_vis.parameters(), *n.to_nir.parameters()]
        torch.stack(list(terms.values())).sum().backward(inputs=both)
        with mixed_precision(self._bf16, batch.nir):
            loss_vis = discriminator_loss(n.is_vis, batch.vis, self._exchange(n.old_vis, vis.detach()))
            loss_nir = discriminator_loss(n.is_nir, batch.nir, self._exchange(n.old_nir, nir.detach()))
        (loss_vis + loss_nir).backward(inputs=[*n.is_vis.parameters(), *n.is_nir.parameters()])
        terms |= {"critic/vis": loss_vis, "critic/nir": loss_nir}
        return {name: term.detach() for name, term in terms.items()}

    def _exchange(self, pool: Pool, fakes: Image) -> Image:
        """This process's part of what the pool gives for the fakes of all processes."""
        return self._runtime.part(pool.exchange(self._runtime.gather(fakes)))


def luminance_distance(a: Float[Tensor, "b 3 s s"], b: Float[Tensor, "b 3 s s"]) -> Float[Tensor, ""]:
    """Mean |Y(a) - Y(b)|."""
    weights = luma_weights(a).view(1, 3, 1, 1)
    return ((a - b) * weights).sum(1).abs().mean()
