"""Who teaches PCFH: its networks and weights from the settings, and a step's gradients."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from pcfh.devices import mixes
from pcfh.methods.batch import Batch, Image, Values
from pcfh.methods.pcfh.generator import Generator
from pcfh.methods.pcfh.networks import PCFH
from pcfh.methods.pcfh.step import compute_gradients
from pcfh.methods.pcfh.terms import LossWeights
from pcfh.methods.trainer import Trainer
from pcfh.runtime import Runtime


class PCFHTrainer(Trainer):
    """Teaches G_A; see ``pcfh.methods.trainer``.

    Args:
        config: a ``PCFHConfig``.
        runtime: this process among the others.
        recognizer: F, frozen; None leaves L_ID out.
    """

    networks: PCFH

    def __init__(self, config: Any, runtime: Runtime, recognizer: nn.Module | None) -> None:
        self.networks = pcfh_networks(config).to(runtime.device)
        self._recognizer, self._weights = recognizer, loss_weights(config, runtime.device)
        self._id_person = config.objective.id_person

    @property
    def generator(self) -> Generator:
        """G_A."""
        return self.networks.G_A

    @property
    def critics(self) -> Sequence[nn.Module]:
        """D_A and N_E."""
        N_E = self.networks.N_E
        return (self.networks.D_A, *([] if N_E is None else [N_E]))

    def compute_gradients(self, batch: Batch) -> Values:
        """Puts the gradient of every network into its parameters' ``grad``; see ``step``."""
        if self._id_person:
            batch = replace(batch, vis_features=batch.person_features)
        values, _ = compute_gradients(self.networks, self._recognizer, batch, self._weights)
        return values

    def pictures(self, batch: Batch, output: Image) -> Mapping[str, Image]:
        """The warped VIS image and the attention map, from -1 for 0 to 1 for 1; none without AWM."""
        if self.networks.Att is None:
            return {}
        assert batch.warped is not None
        attention = self.networks.Att(batch.nir, batch.warped)
        return {"warped": batch.warped, "attention": (2 * attention - 1).expand_as(output)}


def pcfh_networks(config: Any) -> PCFH:
    """The networks of PCFH, with random weights."""
    n, o = config.networks, config.objective
    return PCFH(
        size=config.training.size,
        generator_width=n.generator_width,
        generator_blocks=n.generator_blocks,
        local_blocks=n.local_blocks,
        critic_width=n.critic_width,
        attention_width=n.attention_width if o.awm else 0,
        dependence_width=n.dependence_width if o.mic else 0,
        patch_ramp=n.patch_ramp,
        mi_estimator=o.mi_estimator,
    )


def pixel_weight(weight: float, reference_size: int, size: int) -> float:
    """Scales the weight of a sum over pixels from ``reference_size`` to another size."""
    return weight * (reference_size / size) ** 2


def loss_weights(config: Any, device: torch.device) -> LossWeights:
    """The weights of PCFH's terms at the size of the images, and how a device computes them."""
    o, t = config.objective, config.training
    return LossWeights(
        lambda_ad=o.lambda_ad,
        lambda_rec=pixel_weight(o.lambda_rec, o.reference_size, t.size),
        lambda_id=o.lambda_id,
        lambda_people=o.lambda_people,
        people_margin=o.people_margin,
        lambda_truth=o.lambda_truth,
        lambda_y=o.lambda_y,
        lambda_awm=pixel_weight(o.lambda_awm, o.reference_size, t.size),
        lambda_mic=o.lambda_mic,
        alpha=(o.alpha_fit, o.alpha_rank, o.alpha_sparse),
        rec_noise=o.rec_noise,
        id_shake=o.id_shake,
        symmetric_fit=o.symmetric_fit,
        penalty=o.penalty,
        group=t.group,
        bf16=mixes(t.precision, device),
    )
