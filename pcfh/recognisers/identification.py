"""Who is found: a few figures on embeddings, for validation while something learns.

Evaluation proper, with verification rates and confidence intervals, is ``pcfh.evaluation``.

Axis letters: p probes, g gallery, d features.
"""

import numpy as np
from jaxtyping import Float, Shaped

from pcfh.rates import ScoreMatrix, pairs_of, ranks, verification_rate

_FAR = 0.01


def identification(
    probes: Float[np.ndarray, "p d"],
    gallery: Float[np.ndarray, "g d"],
    probe_people: Shaped[np.ndarray, " p"],
    gallery_people: Shaped[np.ndarray, " g"],
) -> dict[str, float]:
    """Rank-1, mean cosine similarity to the own person, and VR@FAR = 1 % where there are scores enough.

    Args:
        probes: unit embeddings; each one's person is in the gallery, and so is another.
        gallery: unit embeddings.
        probe_people: whose the probes are.
        gallery_people: whose the gallery's are.
    """
    matrix = ScoreMatrix(scores=probes @ gallery.T, probes=probe_people, gallery=gallery_people)
    pairs = pairs_of(matrix)
    cosine = matrix.scores[matrix.genuine].mean()
    figures = {"rank1": float((ranks(matrix) == 1).mean()), "cosine": float(cosine)}
    if (~matrix.genuine).sum() * _FAR >= 1:
        figures["vr_at_far_1"] = verification_rate(pairs, _FAR)
    return figures
