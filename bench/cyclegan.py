"""CycleGAN at its authors' settings, as a measure of cost: four networks and their training step.

Images are in [-1, 1]. The two domains are called A and B; ``a_to_b`` translates A to B.

Axis letters: b batch, c, c1, c2 channels, h and w pixels, s side of an image.

Reference:
    Zhu, Park, Isola and Efros, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial
    Networks", ICCV 2017, https://arxiv.org/abs/1703.10593
"""

import random
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

CYCLE_WEIGHT = 10.0
IDENTITY_WEIGHT = 5.0
LEARNING_RATE = 2e-4
BETAS = (0.5, 0.999)
HISTORY = 50


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


class Residual(nn.Module):
    """x + f(x) with two 3 x 3 convolutions; no ReLU after the sum."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*conv_norm_relu(c, c, 3), *conv_norm_relu(c, c, 3)[:-1])

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Adds the body's output to its input."""
        y: Tensor = x + self.body(x)
        return y


class Generator(nn.Sequential):
    """c7s1-64, d128, d256, R256 ..., u128, u64, c7s1-3 in the paper's notation.

    Args:
        width: channels at full size, 64 in the paper.
        blocks: residual blocks; the paper takes 6 for images of 128 pixels and 9 from 256 pixels on.
    """

    def __init__(self, *, width: int = 64, blocks: int = 9) -> None:
        super().__init__(
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


class Discriminator(nn.Sequential):
    """C64-C128-C256-C512 and a last convolution: one score for each patch of 70 x 70 pixels.

    Args:
        width: channels of the first layer, 64 in the paper.
    """

    def __init__(self, *, width: int = 64) -> None:
        super().__init__(
            nn.Conv2d(3, width, 4, 2, 1),
            nn.LeakyReLU(0.2, inplace=True),
            *self._stage(width, 2 * width, 2),
            *self._stage(2 * width, 4 * width, 2),
            *self._stage(4 * width, 8 * width, 1),
            nn.Conv2d(8 * width, 1, 4, 1, 1),
        )
        initialise(self)

    @staticmethod
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


def least_squares(scores: Float[Tensor, "b 1 h w"], target: float) -> Float[Tensor, ""]:
    """Mean squared distance of the scores from 1 (real) or 0 (fake)."""
    return (scores.float() - target).square().mean()


class History:
    """The last 50 fakes of one generator: a discriminator sees an old one in half of the cases.

    Args:
        seed: of its choices.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._images: list[Tensor] = []

    def exchange(self, fakes: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b 3 s s"]:
        """Stores new fakes and gives as many back, each either new or old."""
        return torch.stack([self._exchange_one(fake) for fake in fakes.detach()])

    def _exchange_one(self, fake: Float[Tensor, "3 s s"]) -> Float[Tensor, "3 s s"]:
        if len(self._images) < HISTORY:
            self._images.append(fake)
            return fake
        if self._random.random() < 0.5:
            return fake
        place = self._random.randrange(HISTORY)
        old, self._images[place] = self._images[place], fake
        return old


class CycleGANStep:
    """The four networks, their optimizers, and one training step.

    The identity term is off unless asked for: the paper uses it only to keep the colours of paintings,
    while the authors' program has it on.

    Args:
        size: side of the images; up to 128 pixels the generators have 6 residual blocks, above 9.
        width: channels of the networks at their first layer.
        identity: whether each generator is also to leave images of its target domain as they are.
        bf16: whether the networks compute in bfloat16 where autocast deems it safe.
        seed: of the histories.
        device: that everything is on.
    """

    def __init__(
        self,
        size: int,
        *,
        width: int = 64,
        identity: bool = False,
        bf16: bool = False,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        blocks = 6 if size <= 128 else 9
        self.a_to_b, self.b_to_a = (Generator(width=width, blocks=blocks).to(device) for _ in range(2))
        self.discriminator_a, self.discriminator_b = (Discriminator(width=width).to(device) for _ in range(2))
        self.generators = nn.ModuleList([self.a_to_b, self.b_to_a])
        self.discriminators = nn.ModuleList([self.discriminator_a, self.discriminator_b])
        self._optimizer_g = adam(self.generators.parameters())
        self._optimizer_d = adam(self.discriminators.parameters())
        self._identity = identity
        self._old_a, self._old_b = History(seed), History(seed + 1)
        self._autocast = torch.autocast(torch.device(device).type, torch.bfloat16, enabled=bf16)

    def __call__(self, a: Float[Tensor, "b 3 s s"], b: Float[Tensor, "b 3 s s"]) -> dict[str, Tensor]:
        """Updates the generators, then the discriminators.

        Args:
            a: images of domain A.
            b: images of domain B; those at one place of the batch need not belong together.

        Returns:
            The loss terms, detached, as they enter the sums that were minimised.
        """
        with self._autocast:
            fake_b, fake_a = self.a_to_b(a), self.b_to_a(b)
            terms = self._generator_terms(a, b, fake_a, fake_b)
        _update(self._optimizer_g, torch.stack(list(terms.values())).sum())
        with self._autocast:
            loss_a = discriminator_loss(self.discriminator_a, a, self._old_a.exchange(fake_a))
            loss_b = discriminator_loss(self.discriminator_b, b, self._old_b.exchange(fake_b))
        _update(self._optimizer_d, loss_a + loss_b)
        terms |= {"discriminator_a": loss_a, "discriminator_b": loss_b}
        return {name: term.detach() for name, term in terms.items()}

    def _generator_terms(
        self,
        a: Float[Tensor, "b 3 s s"],
        b: Float[Tensor, "b 3 s s"],
        fake_a: Float[Tensor, "b 3 s s"],
        fake_b: Float[Tensor, "b 3 s s"],
    ) -> dict[str, Tensor]:
        """What the generators minimise: being told from real images, and not coming back to the start."""
        self.discriminators.requires_grad_(False)  # their gradients from this pass would be thrown away
        terms = {
            "fool_a": least_squares(self.discriminator_a(fake_a), 1.0),
            "fool_b": least_squares(self.discriminator_b(fake_b), 1.0),
            "cycle_a": CYCLE_WEIGHT * F.l1_loss(self.b_to_a(fake_b), a),
            "cycle_b": CYCLE_WEIGHT * F.l1_loss(self.a_to_b(fake_a), b),
        }
        self.discriminators.requires_grad_(True)
        if self._identity:
            terms["identity_a"] = IDENTITY_WEIGHT * F.l1_loss(self.b_to_a(a), a)
            terms["identity_b"] = IDENTITY_WEIGHT * F.l1_loss(self.a_to_b(b), b)
        return terms


def adam(parameters: Iterable[nn.Parameter]) -> torch.optim.Adam:
    """Adam at the paper's settings, all parameters updated by one kernel."""
    return torch.optim.Adam(parameters, LEARNING_RATE, BETAS, fused=True)


def discriminator_loss(
    discriminator: nn.Module, real: Float[Tensor, "b 3 s s"], fake: Float[Tensor, "b 3 s s"]
) -> Float[Tensor, ""]:
    """Least-squares loss of a discriminator, halved so that it learns more slowly than the generators."""
    return (least_squares(discriminator(real), 1.0) + least_squares(discriminator(fake), 0.0)) / 2


def _update(optimizer: torch.optim.Optimizer, loss: Float[Tensor, ""]) -> None:
    """One step down the gradient of a loss."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
