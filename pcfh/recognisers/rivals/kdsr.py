"""After KDSR: kernel regression onto one response per person, another one for each modality, in closed form.

    J = 1/n_N |K_N A_N - Y_N|^2 + 1/n_V |K_V A_V - Y_V|^2
        + lambda sum_ij R_ij |k_N,i A_N - k_V,j A_V|^2 + eta (tr A_N^T K_N A_N + tr A_V^T K_V A_V)
    R_ij = 1/#same if NIR i and VIS j are one person, -gamma/#different else

Y: orthonormal columns, constant within a person over both modalities, orthogonal to the ones; spectral
regression. With lambda = 0 both modalities are kernel ridge regressions of their own. J is convex for gamma
below 1 only. Deterministic.

Axis letters: n NIR captures, v VIS captures, k responses, people less one.

Reference: Huang, Lei, Fan, Wang and Li, "Regularized Discriminative Spectral Regression Method for
Heterogeneous Face Matching", IEEE TIP 2013. Its decisions that are ours stand in docs/paper_map.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float, Int

from pcfh.errors import UserError
from pcfh.recognisers.projections import Kernel, Linear, Projection, gaussian, linear, square_distances
from pcfh.recognisers.tuned import Tuned
from pcfh.recognisers.tuning.base import Learner, Rival
from pcfh.recognisers.tuning.captures import Captures
from pcfh.recognisers.tuning.tune import lbp_of, plain_features

_LEAST_PEOPLE = 3  # two give one response, and cosines of one number are 1 or -1


@dataclass(frozen=True, kw_only=True)
class Kdsr(Rival):
    """Settings.

    Attributes:
        front: what makes the features: lightcnn or lbp.
        components: of the LBP features that are kept.
        ridge: eta.
        coupling: lambda.
        repulsion: gamma, below 1.
        width: of the kernel, in mean distances of the training captures.
    """

    step_by_step: ClassVar[bool] = False
    front: Literal["lightcnn", "lbp"] = "lightcnn"
    components: int = 400
    ridge: float = 1e-3
    coupling: float = 0.1
    repulsion: float = 0.5
    width: float = 1.0

    def start(self, captures: Captures, seed: int) -> Learner:
        """Solves."""
        if not self.repulsion < 1:
            raise UserError(f"repulsion {self.repulsion:g}: expected less than 1; above, there is no minimum")
        if int(captures.people.max()) + 1 < _LEAST_PEOPLE:
            raise UserError(f"{self.key} needs at least {_LEAST_PEOPLE} people, got 2; use a larger protocol")
        return Solved(self, captures)


class Solved:
    """Two kernel expansions; see ``Learner``."""

    def __init__(self, rival: Kdsr, captures: Captures) -> None:
        before: tuple[Linear, ...] = ()
        self._front, self._network = rival.front, None
        if rival.front == "lightcnn":
            self._network = captures.trunk.network
            features = plain_features(captures.trunk.network, captures).astype(np.float64)
        else:
            whole = lbp_of(captures)
            before = (main_components(whole, rival.components),)
            features = before[0](whole).astype(np.float64)
        width = rival.width * mean_distance(features)
        nir, vis, people = features[captures.nir], features[~captures.nir], captures.people
        kernels = gaussian(nir, nir, width), gaussian(vis, vis, width)
        a, b = solve(kernels, (people[captures.nir], people[~captures.nir]), rival)
        self._chains: tuple[tuple[Projection, ...], ...] = (
            (*before, _kernel(nir, a, width)),
            (*before, _kernel(vis, b, width)),
        )

    def step(self, number: int) -> Mapping[str, float]:
        """There is nothing left to learn."""
        return {}

    def tuned(self) -> Tuned:
        """A map for each modality."""
        return Tuned(
            front=self._front,
            network=self._network,
            chains={"NIR": self._chains[0], "VIS": self._chains[1]},
        )


Pair = tuple[np.ndarray, np.ndarray]  # of NIR and of VIS captures


def responses(people: Int[np.ndarray, " m"]) -> Float[np.ndarray, "m k"]:
    """One column less than people: orthogonal, constant in each person, of mean 0 and mean square 1."""
    classes = (people[:, None] == np.unique(people)).astype(np.float64)
    whole, _ = np.linalg.qr(np.hstack([np.ones((len(people), 1)), classes[:, :-1]]))
    return whole[:, 1:] * np.sqrt(len(people))


def couplings(
    nir: Int[np.ndarray, " n"], vis: Int[np.ndarray, " v"], repulsion: float
) -> Float[np.ndarray, "n v"]:
    """R: attraction within people, repulsion between them; each sums to 1 and to -gamma."""
    same = nir[:, None] == vis
    return np.where(same, 1 / same.sum(), -repulsion / (~same).sum())


def solve(kernels: Pair, people: Pair, rival: Kdsr) -> Pair:
    """The expansions A_N and A_V at which J is stationary, by one solution of a linear system."""
    (k_n, k_v), (of_n, of_v) = kernels, people
    n, v = len(of_n), len(of_v)
    y = responses(np.concatenate([of_n, of_v]))
    r = rival.coupling * couplings(of_n, of_v, rival.repulsion)
    system = np.block(
        [
            [k_n / n + r.sum(1)[:, None] * k_n + rival.ridge * np.eye(n), -r @ k_v],
            [-r.T @ k_n, k_v / v + r.sum(0)[:, None] * k_v + rival.ridge * np.eye(v)],
        ]
    )
    found = np.linalg.solve(system, np.vstack([y[:n] / n, y[n:] / v]))
    return found[:n], found[n:]


def loss(expansions: Pair, kernels: Pair, people: Pair, rival: Kdsr) -> float:
    """J."""
    (a, b), (k_n, k_v), (of_n, of_v) = expansions, kernels, people
    n, v = len(of_n), len(of_v)
    y = responses(np.concatenate([of_n, of_v]))
    f, g = k_n @ a, k_v @ b
    fits = np.square(f - y[:n]).sum() / n + np.square(g - y[n:]).sum() / v
    between = (couplings(of_n, of_v, rival.repulsion) * square_distances(f, g)).sum()
    sizes = np.trace(a.T @ k_n @ a) + np.trace(b.T @ k_v @ b)
    return float(fits + rival.coupling * between + rival.ridge * sizes)


def main_components(features: Float[np.ndarray, "m d"], most: int) -> Linear:
    """The mean is taken off, and the directions of the largest variance are kept."""
    mean = features.mean(0)
    _, _, axes = np.linalg.svd(features - mean, full_matrices=False)
    return linear(axes[: min(most, len(features) - 1)], mean)


def mean_distance(features: Float[np.ndarray, "m d"]) -> float:
    """Mean Euclidean distance of all pairs."""
    distances = np.sqrt(square_distances(features, features))
    return float(distances.sum() / (len(features) * (len(features) - 1)))


def _kernel(points: np.ndarray, weights: np.ndarray, width: float) -> Kernel:
    return Kernel(
        points=points.astype(np.float32),
        weights=weights.astype(np.float32),
        width=np.array(width, np.float32),
    )


RIVALS = (
    Kdsr(key="after-kdsr", label="after KDSR, on Light CNN's features"),
    Kdsr(key="after-kdsr-lbp", label="after KDSR, on LBP", front="lbp", ridge=1e-4, coupling=1e-2),
)
