"""What may stand behind a recogniser's features: a matrix, or a sum of kernels.

Axis letters: b batch, d features in, k features out, n points.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, kw_only=True)
class Linear:
    """x -> W (x - m)."""

    kind: ClassVar[str] = "linear"
    weight: Float[np.ndarray, "k d"]
    mean: Float[np.ndarray, " d"]

    def __call__(self, features: Float[np.ndarray, "b d"]) -> Float[np.ndarray, "b k"]:
        """Projects features."""
        return (features - self.mean) @ self.weight.T

    @property
    def arrays(self) -> Mapping[str, np.ndarray]:
        """What a file holds of it."""
        return {"weight": self.weight, "mean": self.mean}


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """x -> sum over points p of exp(-|x - p|^2 / (2 t^2)) a_p."""

    kind: ClassVar[str] = "kernel"
    points: Float[np.ndarray, "n d"]
    weights: Float[np.ndarray, "n k"]
    width: Float[np.ndarray, ""]

    def __call__(self, features: Float[np.ndarray, "b d"]) -> Float[np.ndarray, "b k"]:
        """Projects features."""
        return gaussian(features, self.points, float(self.width)) @ self.weights

    @property
    def arrays(self) -> Mapping[str, np.ndarray]:
        """What a file holds of it."""
        return {"points": self.points, "weights": self.weights, "width": self.width}


Projection = Linear | Kernel
KINDS: Mapping[str, type[Linear] | type[Kernel]] = {kind.kind: kind for kind in (Linear, Kernel)}


def square_distances(a: Float[np.ndarray, "b d"], b: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "b n"]:
    """|a - b|^2 of all pairs."""
    squares = np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2 * a @ b.T
    return np.maximum(squares, 0)


def gaussian(
    a: Float[np.ndarray, "b d"], b: Float[np.ndarray, "n d"], width: float
) -> Float[np.ndarray, "b n"]:
    """exp(-|a - b|^2 / (2 t^2)) of all pairs, t the width."""
    return np.exp(square_distances(a, b) / (-2 * width**2))


def linear(weight: Float[np.ndarray, "k d"], mean: Float[np.ndarray, " d"] | None = None) -> Linear:
    """A matrix, in 32 bits."""
    middle = np.zeros(weight.shape[1]) if mean is None else mean
    return Linear(weight=weight.astype(np.float32), mean=middle.astype(np.float32))
