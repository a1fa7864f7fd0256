"""A step that adapts a finished generator to a camera: the paper's unpaired terms, and two of ours.

The user has NIR pictures of anybody and VIS portraits of anybody. No pair is known, so of the paper's terms
those remain that need none. G_0 is the generator that is adapted, as it was:

    network      minimises                                   gets nothing from
    G_A          L_ad + L_rec + L_Y + L_own + L_keep         critic's loss, penalty
    G_B          L_rec                                       all others
    D_A          critic loss + penalty                       all others
    G_0, F       fixed                                       all

L_keep is what holds the others: it draws G_A to what G_0 makes of the input once that is brought into the
range which G_0 knows (``pcfh.methods.familiar_input``); that is the input itself where it lies in the range.
G_B and D_A begin with random weights, which would teach G_A nonsense: while they settle, G_A stands still.

Axis letters: b batch, s side of the image, d features.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pcfh.config import Share, Weight
from pcfh.methods.base import Config, Training
from pcfh.methods.batch import Batch, Image, Values
from pcfh.methods.pcfh import Networks, Objective, PCFHConfig, step
from pcfh.methods.pcfh.generator import Generator
from pcfh.methods.pcfh.networks import PCFH
from pcfh.methods.pcfh.pcfh_trainer import PCFHTrainer
from pcfh.methods.pcfh.terms import LossWeights, norm_per_image, term_of
from pcfh.runtime import Runtime


@dataclass(frozen=True, kw_only=True)
class Adaptation:
    """Weights of an adaptation's terms, and what is kept from it.

    Attributes:
        lambda_ad: weight of L_ad, Eq. 1, against the user's portraits.
        lambda_rec: lambda_1 of Eq. 2, at 144 pixels.
        lambda_y: lambda_3 of Eq. 4.
        lambda_own: weight of the identity term against the input itself, a mean over the batch. A strong one
            makes near-infrared faces of the generated ones.
        lambda_keep: weight of the distance to what the generator makes of the familiar input; a mean.
        rec_noise: standard deviation of the noise on what G_B sees.
        settle: share of the steps in which G_A stands still while G_B and D_A learn.
        held_back: share of the NIR faces that are not trained on, to judge by.
    """

    lambda_ad: Weight = 1.0
    lambda_rec: Weight = 2.5e-5
    lambda_y: Weight = 0.1
    lambda_own: Weight = 0.02
    lambda_keep: Weight = 20.0
    rec_noise: Weight = 0.05
    settle: Share = 0.25
    held_back: Share = 0.2


@dataclass(frozen=True, kw_only=True)
class AdaptConfig(Config):
    """Settings of an adaptation; the sizes of the networks are those of the generator's file."""

    training: Training = field(
        default_factory=lambda: Training(
            batch=8,
            learning_rate=3e-4,
            critic_rate=3e-4,
            ema=0.98,
            log_every=10,
            image_every=50,
            checkpoint_every=25,
        )
    )
    adaptation: Adaptation = field(default_factory=Adaptation)


def for_generator(config: AdaptConfig, arguments: Mapping[str, Any]) -> PCFHConfig:
    """The same as settings of the method.

    Args:
        config: of the adaptation.
        arguments: with which the generator was built.
    """
    own = config.adaptation
    width = arguments["width"]
    networks = Networks(generator_width=width, generator_blocks=arguments["blocks"], critic_width=width)
    objective = Objective(
        lambda_ad=own.lambda_ad,
        lambda_rec=own.lambda_rec,
        lambda_y=own.lambda_y,
        lambda_id=0.0,
        rec_noise=own.rec_noise,
        id_shake=True,
        reference_size=144,
        awm=False,
        mic=False,
    )
    return PCFHConfig(training=config.training, networks=networks, objective=objective)


class AdaptTrainer(PCFHTrainer):
    """Adapts a generator.

    Args:
        config: see ``for_generator``.
        runtime: this process among the others.
        recognizer: F, frozen.
        generator: what becomes G_A; G_0 is a copy.
        adaptation: weights of the terms.

    Attributes:
        settling: whether G_A stands still.
    """

    def __init__(
        self,
        config: Any,
        runtime: Runtime,
        recognizer: nn.Module | None,
        *,
        generator: Generator,
        adaptation: Adaptation,
    ) -> None:
        assert recognizer is not None
        super().__init__(config, runtime, recognizer)
        self._before = deepcopy(generator).to(runtime.device).eval().requires_grad_(False)
        self.networks.G_A = generator.to(runtime.device).requires_grad_(True)
        self._F, self._own = recognizer, adaptation
        self.settling = False

    def compute_gradients(self, batch: Batch) -> Values:
        """Puts gradients into ``grad``; none into G_A's while ``settling``."""
        return adaptation_gradients(
            self.networks,
            (self._before, self._F),
            batch,
            self._weights,
            self._own,
            settling=self.settling,
        )

    def pictures(self, batch: Batch, output: Image) -> Mapping[str, Image]:
        """What G_0 makes of the batch."""
        return {"before": self._before(batch.nir, batch.landmarks)}


def adaptation_gradients(
    networks: PCFH,
    fixed: tuple[nn.Module, nn.Module],
    batch: Batch,
    weights: LossWeights,
    own: Adaptation,
    *,
    settling: bool,
) -> Values:
    """Puts the gradient of every network into its parameters' ``grad``; updates nothing.

    Args:
        networks: their ``grad`` empty.
        fixed: G_0 and F.
        batch: what to see; its VIS images are anybody's, and it says what is familiar.
        weights: of the paper's terms.
        own: weights of ours.
        settling: G_A gets no gradient.

    Returns:
        Detached numbers by name, as of ``pcfh.methods.pcfh.step.compute_gradients``.
    """
    assert batch.familiar is not None and batch.familiar_nir is not None
    with torch.set_grad_enabled(not settling):
        generated = step.generate(networks.G_A, batch, weights)
    x = generated.detach().requires_grad_()
    L_ad = step.adversarial(networks.D_A, x, batch, weights)
    L_rec = step.reconstruction(networks.G_B, x, batch, weights)
    if settling:
        return (L_ad + L_rec).values

    G_0, recognizer = fixed
    with torch.no_grad():
        before = step.generate(G_0, replace(batch, nir=batch.familiar_nir), weights)  # type: ignore[arg-type]
        features_N = step.features_of(recognizer, batch.nir, replace(weights, id_shake=False))
    features_G = step.features_of(recognizer, x, weights)
    L_Y = step.luminance(x, batch, weights)
    L_own = term_of("own", own.lambda_own * own_identity_loss(features_G, features_N), x)
    L_keep = term_of("keep", own.lambda_keep * keep_loss(x, before, batch.familiar), x)
    total = L_ad + L_rec + L_Y + L_own + L_keep
    step.propagate(generated, total)
    assert isinstance(total.loss, Tensor) and isinstance(total.on_x, Tensor)
    summed = {"loss/total": total.loss, "gradient/total": norm_per_image(total.on_x)}
    return total.values | summed


def own_identity_loss(
    features_G: Float[Tensor, "b d"], features_N: Float[Tensor, "b d"]
) -> Float[Tensor, ""]:
    """The identity term where no pair is known: the input is the person. Mean over the batch.

    1 - cos(F(G_A(I_N)), F(I_N))
    """
    return (1 - F.cosine_similarity(features_G, features_N)).mean()


def keep_loss(
    generated: Float[Tensor, "b c h w"], before: Float[Tensor, "b c h w"], familiar: Float[Tensor, " b"]
) -> Float[Tensor, ""]:
    """Distance to what the generator made before: MEAN over channels, pixels and batch.

    w |G_A(I_N) - G_0(c(I_N))|_1

    Args:
        generated: G_A(I_N).
        before: G_0(c(I_N)), with c(I_N) the familiar input.
        familiar: w of each image, 1 where G_0 knows such inputs.
    """
    return (familiar * (generated - before).abs().mean((1, 2, 3))).mean()
