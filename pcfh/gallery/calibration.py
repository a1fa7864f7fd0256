"""The threshold for a false-accept rate, from the faces of a gallery: how alike are its people to each other?

All pairs of faces of different people are impostor pairs, each counted once. The threshold for a FAR is the
lowest that at most this share of them reaches, by the conventions of ``pcfh.rates``. Its interval is over
people, who are drawn with replacement; a person drawn w times and another drawn v times count w v times.

The scores are those of the photographs in the gallery. Other cameras, near-infrared probes and generated
faces have others: the threshold holds for faces like those that were enrolled.

Axis letters: d features, n faces, i people, k pairs, c draws of people.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int, Shaped

from pcfh.errors import UserError
from pcfh.evaluation.intervals import Tail, drawn_people, percentile_interval
from pcfh.evaluation.score_tails import HighestPairs
from pcfh.rates import allowed_impostors, most_allowed

EXACT_FACES = 10_000  # 50 million pairs, some seconds on a core
RESAMPLES = 200
_ROWS = 512  # faces compared with all others at once


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """A threshold with its 95 % confidence interval, and the number of impostor pairs behind it."""

    threshold: float
    low: float
    high: float
    pairs: int


def threshold_of(
    features: Float32[np.ndarray, "n d"],
    people: Shaped[np.ndarray, " n"],
    far: float,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Threshold:
    """The threshold for a FAR, from the impostor pairs among some faces.

    Raises:
        UserError: there are fewer than two people, or too few impostor pairs for this FAR.
    """
    names, codes = np.unique(people, return_inverse=True)
    if len(names) < 2:
        raise UserError(f"expected at least two people to find a threshold, got {len(names)}; enrol more")
    images = np.bincount(codes)
    pairs = int((len(codes) ** 2 - (images**2).sum()) // 2)
    allowed = allowed_impostors(far, pairs)
    tail = _highest(features, codes, min(pairs, 3 * allowed + 1000))
    threshold = _above(tail.scores, np.array([allowed]))[0]
    draws = np.concatenate(
        [
            _drawn_thresholds(tail, images, weights, far)
            for weights in drawn_people(np.ones(len(names), bool), resamples, seed, width=len(tail.scores))
        ]
    )
    interval = percentile_interval(float(threshold), draws)
    return Threshold(threshold=float(threshold), low=interval.low, high=interval.high, pairs=pairs)


def _above(falling: Float32[np.ndarray, " k"], allowed: Int[np.ndarray, " c"]) -> Float32[np.ndarray, " c"]:
    """The next number above the first score that is one too many."""
    first = np.minimum(allowed, len(falling) - 1)
    return np.nextafter(falling[first], np.float32(np.inf))


def _highest(features: Float32[np.ndarray, "n d"], codes: Int[np.ndarray, " n"], count: int) -> Tail:
    """The highest impostor scores of all pairs, exactly, without holding the others."""
    highest = HighestPairs(count)
    for start in range(0, len(features), _ROWS):
        rows, columns = codes[start : start + _ROWS], codes[start:]
        scores = features[start : start + _ROWS] @ features[start:].T
        wanted = np.triu(scores > highest.floor, 1) & (rows[:, None] != columns)  # each pair once
        row, column = np.nonzero(wanted)
        highest.add(scores[row, column], np.stack([rows[row], columns[column]]))
    highest.finish()
    found, people = highest.falling()
    return Tail(scores=found, people=people)


def _drawn_thresholds(
    tail: Tail, images: Int[np.ndarray, " i"], weights: Int[np.ndarray, "c i"], far: float
) -> Float[np.ndarray, " c"]:
    """The threshold in each draw of people."""
    total = ((weights @ images) ** 2 - weights**2 @ images**2) // 2
    by_person = np.ascontiguousarray(weights.T)
    accepted = np.cumsum(by_person[tail.people[0]] * by_person[tail.people[1]], axis=0)  # k x c
    taken = (accepted <= most_allowed(far, np.maximum(total, 1))).sum(0)
    return _above(tail.scores, taken).astype(np.float64)
