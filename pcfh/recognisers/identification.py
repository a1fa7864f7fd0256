"""Who is found: two figures on embeddings, for validation while something learns.

Evaluation proper, with verification rates and confidence intervals, is ``pcfh.evaluation``.

Axis letters: p probes, g gallery, d features.
"""

import numpy as np
from jaxtyping import Float, Shaped


def identification(
    probes: Float[np.ndarray, "p d"],
    gallery: Float[np.ndarray, "g d"],
    probe_people: Shaped[np.ndarray, " p"],
    gallery_people: Shaped[np.ndarray, " g"],
) -> dict[str, float]:
    """Rank-1 and the mean cosine similarity of probes to the captures of their own person.

    Args:
        probes: unit embeddings; each one's person is in the gallery, and so is another.
        gallery: unit embeddings.
        probe_people: whose the probes are.
        gallery_people: whose the gallery's are.
    """
    scores = probes @ gallery.T
    own = probe_people[:, None] == gallery_people
    best_own = np.where(own, scores, -np.inf).max(1)
    best_other = np.where(own, -np.inf, scores).max(1)
    return {"rank1": float((best_own > best_other).mean()), "cosine": float(scores[own].mean())}
