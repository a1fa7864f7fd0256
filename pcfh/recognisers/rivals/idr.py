"""After IDR: a shared subspace for identity, and one of each modality for its spectrum, orthogonal to it.

    f_m(x) = [W x; P_m x],  W P_m^T = 0,  m in {NIR, VIS};  softmax over people on f_m;  W x recognises

Stored as rows, so the constraint is W P^T = 0: the two subspaces of the input are orthogonal. (With a W of
full row rank, P^T W = 0 would force P = 0.) x is the 256 features of the trunk, which stays as it is.

Axis letters: c people, d features, k dimensions of a subspace, n captures.

Reference: He, Wu, Sun and Tan, "Learning Invariant Deep Representation for NIR-VIS Face Recognition", AAAI
2017. Its decisions that are ours stand in docs/paper_map.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from pcfh.recognisers.lightcnn.network import FEATURES
from pcfh.recognisers.projections import linear
from pcfh.recognisers.tuned import Tuned
from pcfh.recognisers.tuning.base import Learner
from pcfh.recognisers.tuning.captures import Captures
from pcfh.recognisers.tuning.head import Batches, HeadRival, adamw, descend, starting_features
from pcfh.recognisers.tuning.losses import cosine_softmax, overlap, person_means


@dataclass(frozen=True, kw_only=True)
class Idr(HeadRival):
    """Settings.

    Attributes:
        dimensions: of each subspace; at most half of the features.
        orthogonality: weight of |W P^T|^2; the exact projection after each step is done anyway.
        scale: of the cosines.
    """

    learning_rate: float = 3e-3
    dimensions: int = 128
    orthogonality: float = 1.0
    scale: float = 30.0

    def start(self, captures: Captures, seed: int) -> Learner:
        """Begins at the main directions of the features."""
        return Subspaces(self, captures, seed)


class Subspaces:
    """Learns W, P_NIR and P_VIS; see ``Learner``."""

    def __init__(self, rival: Idr, captures: Captures, seed: int) -> None:
        self._rival, self._trunk = rival, captures.trunk.network
        self._batches = Batches(rival, captures, seed)
        features, people = starting_features(captures)
        k = rival.dimensions
        axes = main_directions(features.cpu().numpy(), 2 * k, seed)
        shared, own = (torch.from_numpy(part).to(features) for part in (axes[:k], axes[k:]))
        nir = torch.from_numpy(captures.nir).to(people.device)
        self.heads = nn.ParameterDict({"shared": shared, "nir": own.clone(), "vis": own.clone()})
        both = F.normalize(self._both(features, nir))
        means = person_means(both.detach().cpu(), people.cpu(), int(people.max()) + 1)
        self.heads["people"] = nn.Parameter(means.to(features))
        self._optimizer = adamw([self.heads], rival)

    def step(self, number: int) -> Mapping[str, float]:
        """One update of all, then the exact projection."""
        maps, people, nir = self._batches.fetch(number)
        with torch.no_grad():
            x = F.normalize(self._trunk.last_layer(maps))
        terms = self.terms(x, people, nir)
        descend(self._optimizer, terms, self._rival, number)
        self.separate()
        return {name: float(term.detach()) for name, term in terms.items()}

    def terms(
        self, x: Float[Tensor, "b d"], people: Int[Tensor, " b"], nir: Bool[Tensor, " b"]
    ) -> dict[str, Tensor]:
        """Softmax on both parts, and the overlap of the subspaces."""
        h, z = self.heads, F.normalize(self._both(x, nir))
        apart = overlap(h["shared"], h["nir"]) + overlap(h["shared"], h["vis"])
        return {
            "people": cosine_softmax(z, people, h["people"], self._rival.scale),
            "overlap": self._rival.orthogonality * apart,
        }

    @torch.no_grad()
    def separate(self) -> None:
        """P <- P (I - W^+ W) for both modalities."""
        w = self.heads["shared"]
        inside = torch.linalg.pinv(w) @ w
        for name in ("nir", "vis"):
            self.heads[name].sub_(self.heads[name] @ inside)

    def tuned(self) -> Tuned:
        """W behind the trunk, for both modalities alike."""
        w = linear(self.heads["shared"].detach().cpu().numpy().copy())
        return Tuned(network=self._trunk, chains={"NIR": (w,), "VIS": (w,)})

    def _both(self, x: Float[Tensor, "b d"], nir: Bool[Tensor, " b"]) -> Float[Tensor, "b k2"]:
        """[W x; P_m x], m by the modality of each."""
        h = self.heads
        own = torch.where(nir[:, None], x @ h["nir"].T, x @ h["vis"].T)
        return torch.cat([x @ h["shared"].T, own], 1)


def main_directions(features: Float[np.ndarray, "n d"], count: int, seed: int) -> Float[np.ndarray, "k d"]:
    """Orthonormal main directions, the strongest first; random ones where there are too few captures."""
    count = min(count, FEATURES)
    _, sizes, axes = np.linalg.svd(features.astype(np.float64), full_matrices=False)
    found = axes[sizes > 1e-6 * sizes[0]][:count]
    fill = np.random.default_rng((seed, 8)).standard_normal((count - len(found), features.shape[1]))
    whole, triangle = np.linalg.qr(np.vstack([found, fill]).T)
    return (whole * np.sign(np.diag(triangle))).T.astype(np.float32)


RIVALS = (
    Idr(key="after-idr-128", label="after IDR, 128 dimensions"),
    Idr(key="after-idr-64", label="after IDR, 64 dimensions", dimensions=64),
)
