"""The one way in which rivals tune a Light CNN's last layer: batches from kept maps, AdamW, a cosine decay.

Axis letters: b batch, d features, n captures.
"""

import math
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from pcfh.recognisers.tuned import Tuned
from pcfh.recognisers.tuning.base import Rival
from pcfh.recognisers.tuning.captures import Captures
from pcfh.recognisers.tuning.sampler import IdentitySampler
from pcfh.recognisers.tuning.tune import plain_features

_MOST_NORM = 5.0  # of the gradient of one step


@dataclass(frozen=True, kw_only=True)
class HeadRival(Rival):
    """Settings of those that learn step by step; ``python -m bench tries`` shows how they were chosen.

    Attributes:
        variants: changed by chance, of each capture; they cost a pass through the frozen layers each.
        people: of a batch.
        captures: of each modality and person.
        learning_rate: of AdamW, at its highest.
        weight_decay: of AdamW.
    """

    variants: int = 8
    people: int = 8
    captures: int = 3
    learning_rate: float = 3e-4
    weight_decay: float = 5e-4


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """A batch.

    Attributes:
        z: unit embeddings.
        start: the same before the tuning.
        people: number of each one's person.
        nir: which are near-infrared.
    """

    z: Float[Tensor, "b d"]
    start: Float[Tensor, "b d"]
    people: Int[Tensor, " b"]
    nir: Bool[Tensor, " b"]


class Objective(nn.Module):
    """What a rival minimises; it may hold weights of its own, which learn with the layer."""

    def terms(self, batch: Embedded, step: int) -> Mapping[str, Tensor]:
        """Terms of the loss by name, weighted; their sum is minimised."""
        raise NotImplementedError

    def after(self, batch: Embedded) -> None:
        """What a critic learns from the same embeddings; its gradients reach nobody else."""


class LastLayer:
    """Tunes the last layer on kept maps of the others; see ``Learner``.

    Args:
        rival: its settings.
        captures: to learn from.
        objective: what is minimised.
        seed: of the batches.
    """

    def __init__(self, rival: HeadRival, captures: Captures, objective: Objective, seed: int) -> None:
        self._rival, self._captures, self._trunk = rival, captures, captures.trunk.network
        self._start = self._trunk.last_layer
        self.layer = deepcopy(self._start).requires_grad_(True)
        self._objective = objective
        self._batches = Batches(rival, captures, seed)
        self._optimizer = adamw([self.layer, objective], rival)

    def step(self, number: int) -> Mapping[str, float]:
        """One update."""
        maps, people, nir = self._batches.fetch(number)
        with torch.no_grad():
            start = F.normalize(self._start(maps))
        batch = Embedded(z=F.normalize(self.layer(maps)), start=start, people=people, nir=nir)
        terms = self._objective.terms(batch, number)
        descend(self._optimizer, terms, self._rival, number)
        self._objective.after(batch)
        return {name: float(term.detach()) for name, term in terms.items()}

    def tuned(self) -> Tuned:
        """The network with the layer as it is now."""
        network = deepcopy(self._trunk)
        network.last_layer.load_state_dict(self.layer.state_dict())
        return Tuned(network=network.requires_grad_(False).eval())


class Batches:
    """Maps, people and modalities of each step, on the trunk's device."""

    def __init__(self, rival: HeadRival, captures: Captures, seed: int) -> None:
        self._sampler = IdentitySampler(
            people=captures.people,
            nir=captures.nir,
            seed=seed,
            people_of_batch=rival.people,
            captures=rival.captures,
        )
        self._maps = [captures.maps(variant) for variant in range(1 + rival.variants)]
        self._first = 1 if rival.variants else 0  # the plain faces are learnt from where there are no others
        self._seed = seed
        self._device = next(captures.trunk.network.parameters()).device

    def fetch(self, step: int) -> tuple[Float[Tensor, "b 8192"], Int[Tensor, " b"], Bool[Tensor, " b"]]:
        """A step's batch: of each capture one variant by chance."""
        places = self._sampler.batch(step)
        rng = np.random.default_rng((self._seed, 7, step))
        variants = rng.integers(self._first, len(self._maps), len(places))
        maps = np.stack([self._maps[v][place] for v, place in zip(variants, places, strict=True)])
        of = (self._sampler.people[places], self._sampler.nir[places])
        people, nir = (torch.from_numpy(array).to(self._device) for array in of)
        return torch.from_numpy(maps).to(self._device).float(), people, nir


def adamw(modules: list[nn.Module], rival: HeadRival) -> torch.optim.AdamW:
    """Biases do not decay."""
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": rival.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=rival.learning_rate)


def descend(
    optimizer: torch.optim.Optimizer, terms: Mapping[str, Tensor], rival: HeadRival, step: int
) -> None:
    """One update by the sum of the terms; the rate falls as a cosine over all planned steps."""
    optimizer.zero_grad()
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    torch.stack(list(terms.values())).sum().backward(inputs=parameters)
    nn.utils.clip_grad_norm_(parameters, _MOST_NORM)
    for group in optimizer.param_groups:
        group["lr"] = rival.learning_rate * 0.5 * (1 + math.cos(math.pi * step / rival.steps))
    optimizer.step()


def starting_features(captures: Captures) -> tuple[Float[Tensor, "n 256"], Int[Tensor, " n"]]:
    """Unit features of the captures as they are, by the untuned trunk, and whose they are."""
    features = torch.from_numpy(plain_features(captures.trunk.network, captures))
    device = next(captures.trunk.network.parameters()).device
    return features.to(device), torch.from_numpy(captures.people).to(device)
