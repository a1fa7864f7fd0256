"""From features to scores to the figures of a table.

Features have Euclidean norm one, so their product is the cosine, in [-1, 1] up to rounding; higher is more
alike. Rows are probes, columns gallery images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from pcfh.errors import UserError
from pcfh.rates import ScoreMatrix, pairs_of, ranks, thresholds

Fusion = Literal["average", "template"]

AVERAGE = 0.5  # weight of the generated face's score in the paper's fusion
_NORM_TOLERANCE = 1e-3  # features stored in half precision keep their norm to this


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What a row of the paper's tables needs.

    Attributes:
        rank1: share of probes whose own person has the best score, ties lost.
        verification: VR by FAR.
        threshold: by FAR; a pair is accepted at this score and above.
    """

    rank1: float
    verification: Mapping[float, float]
    threshold: Mapping[float, float]


def require_unit(features: Float[np.ndarray, "n d"], name: str) -> None:
    """Refuses features whose products would not be cosines, NaN among them.

    Raises:
        UserError: with the first row whose norm is not one.
    """
    norms = np.sqrt(np.einsum("nd,nd->n", features, features))
    wrong = np.flatnonzero(~(np.abs(norms - 1) <= _NORM_TOLERANCE))
    if len(wrong):
        raise UserError(
            f"expected {name} features of norm 1, got {norms[wrong[0]]:.4g} in row {wrong[0]} ({len(wrong)} "
            "such rows); divide each by its norm, and look at the images of those that are zero or not finite"
        )


def cosine_scores(
    probes: Float[np.ndarray, "p d"], gallery: Float[np.ndarray, "g d"]
) -> Float[np.ndarray, "p g"]:
    """The cosine of each probe with each gallery image.

    Raises:
        UserError: features are not of norm one.
    """
    require_unit(probes, "probe")
    require_unit(gallery, "gallery")
    return probes @ gallery.T


def fused_vectors(
    original: Float[np.ndarray, "n d"],
    generated: Float[np.ndarray, "n d"],
    weight: float = AVERAGE,
    fusion: Fusion = "average",
) -> Float[np.ndarray, "n d"]:
    """What gives the fused score with a gallery feature, when multiplied with it.

        average     v = (1 - w) F(I_N) + w F(G_A(I_N)),    w = 1/2 in the paper
        template    v / |v|

    The average gives the paper's score (Sec. 4.2):

        s(I_N, I_V) = (1 - w) cos(F(I_N), F(I_V)) + w cos(F(G_A(I_N)), F(I_V))

    F is the recogniser, not tuned to generated images. Each term alone is the baseline or the generated
    image's own worth.

    The template gives the cosine with the mean of both features. The average's score is that cosine times
    |v|, which is sqrt((1 + c) / 2) at w = 1/2 with c = cos(F(I_N), F(G_A(I_N))): the less a probe's two
    features agree, the lower are its scores with everybody. So the template finds the same people in the same
    order, and its scores can be held against a threshold that comes from other cosines.

    Args:
        original: features of NIR probes, of norm one.
        generated: of the VIS images made of them, in the same order.
        weight: w; other than the average's, it is to be chosen on people who are not in the test.
        fusion: which of the two.
    """
    vectors = (1 - weight) * original + weight * generated
    return vectors if fusion == "average" else vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def figures(matrix: ScoreMatrix | Any, fars: Sequence[float] | Any) -> Figures:
    """Rank-1 and VR at each FAR.

    Raises:
        UserError: a probe's person is not in the gallery, or there are too few impostor pairs for a FAR.
    """
    if not isinstance(matrix, ScoreMatrix):
        raise UserError(f"expected a pcfh.ScoreMatrix, got {type(matrix).__name__}; it holds who is who, too")
    if isinstance(fars, (int, float, str)):
        raise UserError(f"expected several FARs, got {fars!r}; put one into brackets, e.g. [0.01]")
    pairs = pairs_of(matrix)
    threshold = thresholds(pairs, fars)
    return Figures(
        rank1=float((ranks(matrix) == 1).mean()),
        verification={far: float((pairs.genuine >= score).mean()) for far, score in threshold.items()},
        threshold=threshold,
    )
