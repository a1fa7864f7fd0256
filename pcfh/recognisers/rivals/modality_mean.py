"""The free baseline: each modality's mean embedding is taken off. Whatever learns more has to beat it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float32

from pcfh.recognisers.lightcnn.network import LightCNN
from pcfh.recognisers.projections import linear
from pcfh.recognisers.tuned import Tuned
from pcfh.recognisers.tuning.base import Learner, Rival
from pcfh.recognisers.tuning.captures import Captures
from pcfh.recognisers.tuning.tune import plain_features


@dataclass(frozen=True, kw_only=True)
class ModalityMean(Rival):
    """It has no settings."""

    step_by_step: ClassVar[bool] = False

    def start(self, captures: Captures, seed: int) -> Learner:
        """Takes the means."""
        network = captures.trunk.network
        features = plain_features(network, captures)
        return Shifted(network, features[captures.nir].mean(0), features[~captures.nir].mean(0))


class Shifted:
    """Means of both modalities; see ``Learner``."""

    def __init__(
        self, network: LightCNN, nir: Float32[np.ndarray, " d"], vis: Float32[np.ndarray, " d"]
    ) -> None:
        self._network, self._means = network, (nir, vis)

    def step(self, number: int) -> Mapping[str, float]:
        """There is nothing to learn."""
        return {}

    def tuned(self) -> Tuned:
        """X - m."""
        nir, vis = (linear(np.eye(len(mean)), mean) for mean in self._means)
        return Tuned(network=self._network, chains={"NIR": (nir,), "VIS": (vis,)})


RIVALS = (ModalityMean(key="minus-mean", label="Light CNN less each modality's mean"),)
