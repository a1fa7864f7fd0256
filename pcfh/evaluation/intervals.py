"""How sure a figure is: confidence intervals over people and folds, and tests between two methods.

Captures of one person are alike, so people are what is drawn, with replacement, never single captures.
Shares are in [0, 1]. Every draw comes from a seed; the same seed draws the same people.

Axis letters: n captures or genuine pairs, i people, t impostor pairs kept, r draws of people, c some of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Shaped

from pcfh.errors import UserError
from pcfh.rates import most_allowed

LEVEL = 0.95  # share of draws inside of an interval
_AT_ONCE = 2**22  # numbers in the largest array of a chunk of draws


@dataclass(frozen=True, kw_only=True)
class Interval:
    """An estimate and the confidence interval around it."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """How often people are drawn for a confidence interval, and the seed."""

    resamples: int = 1000
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class McNemar:
    """The exact test of two methods on the same probes.

    Attributes:
        only_a: probes that only the first method gets right.
        only_b: probes that only the second gets right.
        p_value: two-sided; the chance of a split as uneven if both were equally good.
    """

    only_a: int
    only_b: int
    p_value: float


@dataclass(frozen=True, kw_only=True)
class Tail:
    """The highest impostor scores, falling.

    Attributes:
        scores: of the pairs.
        people: of the pairs, by numbers.
        every: of so many pairs one is kept.
        whole: whether there are no others, but for those left out by ``every``.
    """

    scores: Float32[np.ndarray, " t"]
    people: Int[np.ndarray, "2 t"]
    every: int = 1
    whole: bool = False


class TailTooShortError(Exception):
    """A draw of people needs impostor scores further down than were kept."""


def percentile_interval(estimate: float, draws: Float[np.ndarray, " r"]) -> Interval:
    """The percentiles of draws that leave the same share on both sides, around an estimate."""
    low, high = np.quantile(draws, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Interval(estimate=estimate, low=float(low), high=float(high))


def mean_interval(
    values: Shaped[np.ndarray, " n"], people: Shaped[np.ndarray, " n"], bootstrap: Bootstrap
) -> Interval | None:
    """The confidence interval of a mean over captures; None where they are all of one person.

    Args:
        values: one for each capture, e.g. Rank-1 hits (0 or 1) or an image error.
        people: whose capture it is.
        bootstrap: draws of people.
    """
    return ratio_interval(values, np.ones(len(values)), people, bootstrap)


def ratio_interval(
    over: Shaped[np.ndarray, " n"],
    under: Shaped[np.ndarray, " n"],
    people: Shaped[np.ndarray, " n"],
    bootstrap: Bootstrap,
) -> Interval | None:
    """The confidence interval of sum(over) / sum(under), the same people drawn for both.

    Args:
        over: one number for each capture.
        under: likewise; none below zero, and no person's are all zero.
        people: whose capture it is.
        bootstrap: draws of people.

    Returns:
        None where all captures are of one person.
    """
    names, codes = np.unique(people, return_inverse=True)
    if len(names) < 2:
        return None
    numbers = np.stack([over, under]).astype(np.float64)
    sums = np.stack([np.bincount(codes, row) for row in numbers])
    everyone = np.ones(len(names), dtype=bool)
    chunks = drawn_people(everyone, bootstrap.resamples, bootstrap.seed, width=len(names))
    top, bottom = np.concatenate([weights @ sums.T for weights in chunks]).T
    return percentile_interval(float(numbers[0].sum() / numbers[1].sum()), top / bottom)


def verification_rate_draws(
    scores: Float32[np.ndarray, " n"],
    people: Int[np.ndarray, " n"],
    tail: Tail,
    images: Int[np.ndarray, "2 i"],
    far: float,
    bootstrap: Bootstrap,
) -> Float[np.ndarray, " r"]:
    """VR at a FAR in draws of people, the same for all FARs; each draw has a threshold of its own.

    A person drawn w times counts w times in the genuine pairs, and a pair of people drawn w and v times w v
    times in the impostor pairs; copies of one person are not compared. People without a genuine pair, who
    only fill the gallery, are in every draw once. Where one in k impostor pairs was kept, it counts k times.

    Args:
        scores: of all genuine pairs.
        people: whom they are of.
        tail: the highest impostor scores.
        images: probes and gallery images of each person.
        far: the FAR.
        bootstrap: draws of people.

    Raises:
        UserError: there are fewer than two people with genuine pairs.
        TailTooShortError: a draw accepts all of ``tail``, and that is not all there is.
    """
    probes, gallery = images
    drawn = probes * gallery > 0
    if (count := int(drawn.sum())) < 2:
        raise UserError(
            f"expected at least two people with genuine pairs, got {count}; there is no spread to tell"
        )
    falling = np.argsort(-scores, kind="stable")
    at_least = np.searchsorted(-tail.scores, -scores[falling], side="right")
    rates = list[float]()
    for weights in drawn_people(drawn, bootstrap.resamples, bootstrap.seed, width=1):
        total = (weights @ probes) * (weights @ gallery) - weights**2 @ (probes * gallery)
        allowed = most_allowed(far, np.maximum(total, 1))  # none where one person was drawn each time
        for one, most in zip(weights, allowed.tolist(), strict=True):
            rates.append(_drawn_rate(people[falling], at_least, tail, one, most))
    return np.array(rates)


def mcnemar(a: Bool[np.ndarray, " n"], b: Bool[np.ndarray, " n"]) -> McNemar:
    """Tests whether two methods get the same share of the same probes right, e.g. at rank 1.

    Only probes on which they differ count; under equality each of these is a fair coin. It takes probes
    for independent, which captures of one person are not: a small p value is smaller than it should be.

    Args:
        a: whether the first method is right, for each probe.
        b: the same of the second.
    """
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    n, fewer = only_a + only_b, min(only_a, only_b)
    term = tail = 1
    for i in range(fewer):
        term = term * (n - i) // (i + 1)  # the binomial coefficient, exactly
        tail += term
    return McNemar(only_a=only_a, only_b=only_b, p_value=min(1.0, (2 * tail) / (1 << n)))


def drawn_people(
    drawn: Bool[np.ndarray, " i"], resamples: int, seed: int, *, width: int
) -> Iterator[Int[np.ndarray, "c i"]]:
    """How often each person is in each draw, a chunk of draws at a time; the chunks change nothing.

    Args:
        drawn: who is drawn; the others are in every draw once.
        resamples: number of draws.
        seed: of the draws.
        width: numbers that one draw needs.
    """
    rng = np.random.default_rng(seed)
    count = int(drawn.sum())
    chunk = max(1, _AT_ONCE // max(width, len(drawn)))
    for start in range(0, resamples, chunk):
        weights = np.ones((min(chunk, resamples - start), len(drawn)), np.int64)
        weights[:, drawn] = rng.multinomial(count, np.full(count, 1 / count), len(weights))
        yield weights


def _drawn_rate(
    people: Int[np.ndarray, " n"],
    at_least: Int[np.ndarray, " n"],
    tail: Tail,
    weights: Int[np.ndarray, " i"],
    allowed: int,
) -> float:
    """VR in one draw.

    Args:
        people: of the genuine scores, falling.
        at_least: impostor scores of ``tail`` that are as high as each genuine score or higher, rising.
        tail: the highest impostor scores.
        weights: how often each person was drawn.
        allowed: impostor pairs that may be accepted.
    """
    first, second = tail.people
    accepted = tail.every * np.cumsum(weights[first] * weights[second])
    if not tail.whole and accepted[-1] <= allowed:
        raise TailTooShortError
    last = np.searchsorted(accepted, allowed, side="right")  # impostor scores that may be accepted
    genuine = weights[people]
    return float(genuine[: np.searchsorted(at_least, last, side="right")].sum() / genuine.sum())
