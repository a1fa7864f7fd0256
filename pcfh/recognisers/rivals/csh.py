"""After CSH, second stage: one matrix behind the features under which each person's captures are of low rank.

    minimise over T, |T|_2 = 1:   sum over people |T X_c|_* - |T X|_*      (|.|_* the sum of singular values)

It is never below 0, and 0 where the people's captures span orthogonal subspaces. The subgradient of |A|_* is
U V^T of the thin singular value decomposition, without the singular values near 0; no automatic derivative,
which explodes where singular values are equal. The first stage is the method ``csh``.

Axis letters: d features, n captures, one a row.

Reference: Lezama, Qiu and Sapiro, "Not Afraid of the Dark: NIR-VIS Face Recognition via Cross-spectral
Hallucination and Low-rank Embedding", CVPR 2017. Its decisions that are ours stand in docs/paper_map.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from pcfh.recognisers.projections import linear
from pcfh.recognisers.tuned import Tuned
from pcfh.recognisers.tuning.base import Learner, Rival
from pcfh.recognisers.tuning.captures import Captures
from pcfh.recognisers.tuning.tune import plain_features

_SMALLEST = 1e-6  # singular values below this share of the largest count as 0


@dataclass(frozen=True, kw_only=True)
class LowRank(Rival):
    """Settings.

    Attributes:
        rate: length of a subgradient step, as a share of T, both by the spectral norm: the sums of the
            objective grow with the captures, and so would a step along the bare subgradient.
    """

    steps: int = 60
    every: int = 5
    rate: float = 0.01

    def start(self, captures: Captures, seed: int) -> Learner:
        """Begins at T = I."""
        return Embedding(self, captures)


class Embedding:
    """Learns T; see ``Learner``."""

    def __init__(self, rival: LowRank, captures: Captures) -> None:
        self._rate, self._network = rival.rate, captures.trunk.network
        self._features = plain_features(self._network, captures).astype(np.float64)
        self._people = captures.people
        self.matrix = np.eye(self._features.shape[1])

    def step(self, number: int) -> Mapping[str, float]:
        """One step down, then |T|_2 = 1 again."""
        value, gradient = objective(self.matrix, self._features, self._people)
        moved = self.matrix - self._rate * gradient / max(float(np.linalg.norm(gradient, 2)), 1e-12)
        self.matrix = moved / np.linalg.norm(moved, 2)
        return {"objective": value}

    def tuned(self) -> Tuned:
        """T for both modalities alike."""
        t = linear(self.matrix)
        return Tuned(network=self._network, chains={"NIR": (t,), "VIS": (t,)})


def objective(
    matrix: Float[np.ndarray, "d d"], features: Float[np.ndarray, "n d"], people: Int[np.ndarray, " n"]
) -> tuple[float, Float[np.ndarray, "d d"]]:
    """sum_c |X_c T^T|_* - |X T^T|_* and a subgradient in T."""
    value, gradient = nuclear(features @ matrix.T)
    value, gradient = -value, -gradient.T @ features
    for person in np.unique(people):
        own = features[people == person]
        size, direction = nuclear(own @ matrix.T)
        value, gradient = value + size, gradient + direction.T @ own
    return float(value), gradient


def nuclear(a: Float[np.ndarray, "n d"]) -> tuple[float, Float[np.ndarray, "n d"]]:
    """Sum of the singular values, and its subgradient U V^T."""
    u, sizes, v = np.linalg.svd(a, full_matrices=False)
    large = sizes > _SMALLEST * max(float(sizes[0]), 1e-300)
    return float(sizes.sum()), u[:, large] @ v[large]


RIVALS = (
    LowRank(key="after-csh-low-rank", label="after CSH, low-rank embedding"),
    LowRank(key="after-csh", label="after CSH, both stages", generator="csh"),
)
