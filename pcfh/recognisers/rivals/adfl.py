"""After ADFL, second stage: features of generated images that are like those of VIS images.

    L = CE(generated and VIS faces) + l1 adversarial + l2 mean over people |sigma(generated) - sigma(VIS)|^2

The discriminator tells unit features of generated images from those of VIS images; the recogniser is trained
to be taken for VIS. The first stage is the method ``adfl``, whose images stand in the place of NIR ones.

Reference: Song, Zhang, Wu and He, "Adversarial Discriminative Heterogeneous Face Recognition", AAAI 2018. Its
decisions that are ours stand in docs/paper_map.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pcfh.recognisers.lightcnn.network import FEATURES
from pcfh.recognisers.rivals.control import class_weights
from pcfh.recognisers.tuning.base import Learner
from pcfh.recognisers.tuning.captures import Captures
from pcfh.recognisers.tuning.head import Embedded, HeadRival, LastLayer, Objective
from pcfh.recognisers.tuning.losses import cosine_softmax, spread_difference


@dataclass(frozen=True, kw_only=True)
class Adfl(HeadRival):
    """Settings.

    Attributes:
        scale: of the cosines.
        adversarial: l1.
        variance: l2.
        alone: steps in which the discriminator learns and teaches nobody: it would win at once.
        critic_rate: learning rate of the discriminator.
    """

    scale: float = 30.0
    adversarial: float = 0.1
    variance: float = 1.0
    alone: int = 50
    critic_rate: float = 2e-4

    def start(self, captures: Captures, seed: int) -> Learner:
        """Begins at the trunk."""
        return LastLayer(self, captures, FeatureSpace(self, class_weights(captures), seed), seed)


class FeatureSpace(Objective):
    """All three terms, and the discriminator."""

    def __init__(self, settings: Adfl, weights: Float[Tensor, "c d"], seed: int) -> None:
        super().__init__()
        self._settings, self.weights = settings, nn.Parameter(weights)
        # Beside the module, not in it: the optimizer of the layer does not touch it.
        self._critic = [discriminator(seed).to(weights.device)]
        self._optimizer = torch.optim.Adam(self.critic.parameters(), settings.critic_rate, betas=(0.5, 0.999))

    @property
    def critic(self) -> nn.Module:
        """Tells features of generated images (0) from those of VIS images (1)."""
        return self._critic[0]

    def terms(self, batch: Embedded, step: int) -> Mapping[str, Tensor]:
        """See ``Objective``."""
        own = self._settings
        terms = {
            "people": cosine_softmax(batch.z, batch.people, self.weights, own.scale),
            "variance": own.variance * spread_difference(batch.z, batch.people, batch.nir),
        }
        if step >= own.alone:
            terms["adversarial"] = own.adversarial * taken_for(self.critic(batch.z[batch.nir]), 1.0)
        return terms

    def after(self, batch: Embedded) -> None:
        """One step of the discriminator."""
        scores, z = self.critic(batch.z.detach()), batch.nir
        loss = (taken_for(scores[z], 0.0) + taken_for(scores[~z], 1.0)) / 2
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()


def discriminator(seed: int) -> nn.Module:
    """256-128-64-1 with leaky ReLU; its weights are the seed's and leave other draws alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            *(nn.Linear(FEATURES, 128), nn.LeakyReLU(0.2)),
            *(nn.Linear(128, 64), nn.LeakyReLU(0.2)),
            nn.Linear(64, 1),
        )


def taken_for(scores: Float[Tensor, "b 1"], what: float) -> Float[Tensor, ""]:
    """Cross entropy of being taken for VIS (1) or generated (0), a mean; ln 2 at chance."""
    return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, what))


RIVALS = (Adfl(key="after-adfl", label="after ADFL, both stages", generator="adfl"),)
