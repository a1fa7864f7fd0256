"""Losses between the modalities, on unit embeddings; each is a pure function.

Axis letters: b batch, c classes, d features.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

_LEAST_VARIANCE = 1e-6  # inside the root: its gradient is infinite at 0


def cosine_softmax(
    z: Float[Tensor, "b d"], people: Int[Tensor, " b"], weights: Float[Tensor, "c d"], scale: float
) -> Float[Tensor, ""]:
    """Cross entropy of the scaled cosines with each class's weight; mean over the batch, in nats."""
    return F.cross_entropy(scale * z @ F.normalize(weights).T, people)


def person_means(z: Float[Tensor, "n d"], people: Int[Tensor, " n"], classes: int) -> Float[Tensor, "c d"]:
    """Unit mean of each person's embeddings, with which a softmax of cosines begins."""
    sums = torch.zeros(classes, z.shape[1]).index_add_(0, people, z)
    return F.normalize(sums)


def contrastive(
    z: Float[Tensor, "b d"], people: Int[Tensor, " b"], nir: Bool[Tensor, " b"], temperature: float
) -> Float[Tensor, ""]:
    """Each NIR face against all VIS faces and the reverse; a face may have several of its person.

    1/2 mean_i -log(sum over j of the same person e^(s_ij) / sum over all j e^(s_ij)) + roles exchanged,
    s_ij = z_i^NIR . z_j^VIS / temperature
    """
    scores = z[nir] @ z[~nir].T / temperature
    same = people[nir][:, None] == people[~nir]
    own = scores.masked_fill(~same, -torch.inf)
    both = [-(own.logsumexp(axis) - scores.logsumexp(axis)).mean() for axis in (1, 0)]
    return (both[0] + both[1]) / 2


def kept(z: Float[Tensor, "b d"], start: Float[Tensor, "b d"]) -> Float[Tensor, ""]:
    """1 - mean cosine with the embeddings before the tuning."""
    return 1 - (z * start).sum(1).mean()


def triplets(
    z: Float[Tensor, "b d"], people: Int[Tensor, " b"], nir: Bool[Tensor, " b"], margin: float
) -> Float[Tensor, ""]:
    """Both kinds of triplets across the modalities: an anchor of one, positive and negative of the other.

    [|a - p|^2 - |a - n|^2 + margin]_+, mean over those above 0, NIR anchors' plus VIS anchors'
    """
    return _anchored(z[nir], z[~nir], people[nir], people[~nir], margin) + _anchored(
        z[~nir], z[nir], people[~nir], people[nir], margin
    )


def triplet_count(people: Int[Tensor, " b"], nir: Bool[Tensor, " b"]) -> int:
    """How many triplets with a NIR anchor a batch has."""
    same = people[nir][:, None] == people[~nir]
    return int((same.sum(1) * (~same).sum(1)).sum())


def _anchored(
    anchors: Float[Tensor, "a d"],
    others: Float[Tensor, "o d"],
    of_anchors: Int[Tensor, " a"],
    of_others: Int[Tensor, " o"],
    margin: float,
) -> Float[Tensor, ""]:
    distance = 2 - 2 * anchors @ others.T  # of unit vectors, squared
    same = of_anchors[:, None] == of_others
    hinge = (distance[:, :, None] - distance[:, None, :] + margin).clamp(min=0)
    terms = hinge * (same[:, :, None] & ~same[:, None, :])
    return terms.sum() / (terms > 0).sum().clamp(min=1)


def spread_difference(
    z: Float[Tensor, "b d"], people: Int[Tensor, " b"], nir: Bool[Tensor, " b"]
) -> Float[Tensor, ""]:
    """|sigma(NIR) - sigma(VIS)|^2 of each person's embeddings, summed over features, mean over people."""
    terms = [
        (spread(z[nir & (people == person)]) - spread(z[~nir & (people == person)])).square().sum()
        for person in people.unique()
    ]
    return torch.stack(terms).mean()


def spread(z: Float[Tensor, "k d"]) -> Float[Tensor, " d"]:
    """Standard deviation of each feature over some faces; of all of them, not a sample's."""
    return (z.var(0, unbiased=False) + _LEAST_VARIANCE).sqrt()


def overlap(w: Float[Tensor, "k d"], p: Float[Tensor, "k2 d"]) -> Float[Tensor, ""]:
    """|W P^T|^2: 0 where the rows of both are orthogonal."""
    return (w @ p.T).square().sum()
