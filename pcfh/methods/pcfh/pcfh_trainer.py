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

MOST_PENALTY = 100.0  # before its weight: a critic eleven times as steep as it may be
_SUMS_OVER_PIXELS = ("lambda_rec", "lambda_awm")


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

    @property
    def differentiated_once(self) -> Sequence[nn.Module]:
        """All but the critics."""
        n = self.networks
        return [network for network in (n.G_A, n.G_B, n.Att, self._recognizer) if network is not None]

    @property
    def on_device(self) -> bool:
        """The whole step."""
        return True

    @property
    def bounds(self) -> Mapping[str, float]:
        """Penalties of critics that are out of control."""
        most = MOST_PENALTY * self._weights.penalty
        return {"critic/penalty": most, "dependence/penalty": most} if most else {}

    def compute_gradients(self, batch: Batch) -> Values:
        """Puts the gradient of every network into its parameters' ``grad``; see ``step``."""
        if self._id_person:
            batch = replace(batch, vis_features=batch.person_features)
        values, _ = compute_gradients(self.networks, self._recognizer, batch, self._weights)
        return values

    @torch.no_grad()
    def on_held_out(self, batch: Batch, output: Image) -> Values:
        """What N_E, which has not seen these people, makes of them; none without MIC."""
        N_E, group = self.networks.N_E, self._weights.group
        if N_E is None or len(output) % group:
            return {}
        phi, psi_V, psi_N = N_E.phi(output), N_E.psi(batch.vis), N_E.psi(batch.nir)
        return {"I_GV": N_E.estimate(phi, psi_V, group), "I_GN": N_E.estimate(phi, psi_N, group)}

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
    widths = {
        "attention_width": n.attention_width if o.awm else 0,
        "dependence_width": n.dependence_width if o.mic else 0,
    }
    return PCFH(size=config.training.size, mi_estimator=o.mi_estimator, **{**vars(n), **widths})


def pixel_weight(weight: float, reference_size: int, size: int) -> float:
    """Scales the weight of a sum over pixels from ``reference_size`` to another size."""
    return weight * (reference_size / size) ** 2


def loss_weights(config: Any, device: torch.device) -> LossWeights:
    """The weights of PCFH's terms at the size of the images, and how a device computes them."""
    o, t = config.objective, config.training
    sums = {name: pixel_weight(getattr(o, name), o.reference_size, t.size) for name in _SUMS_OVER_PIXELS}
    return LossWeights(**{**vars(o), **sums}, group=t.group, bf16=mixes(t.precision, device))
