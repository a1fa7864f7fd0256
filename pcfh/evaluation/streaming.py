"""All that figures need of scores of any number: in flat memory, by the conventions of ``pcfh.rates``.

Scores are made block by block and thrown away (``score_blocks``). What stays of them:

    of each probe     its genuine scores, how many other people come first, and the best image of these
    of the highest    values, which give thresholds and VR exactly, and pairs, for draws of people
                      (``score_tails``)
    of all            how many are of each of 131,072 levels, for the EER and the ROC above the highest FAR

Scores that are too low to matter, by what a first block says, are passed over; if too few are left, all is
done again with all scores.

Axis letters: p probes, g gallery images, d length of embeddings, n scores, l levels, r draws of people; q
and e people of the two sides as they are given.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np
from jaxtyping import Float, Float32, Int, Shaped

from pcfh.evaluation.intervals import Bootstrap, TailTooShortError, verification_rate_draws
from pcfh.evaluation.score_blocks import GenuinePairs, ImpostorBlock, Sides, embedding_sides, scan
from pcfh.evaluation.score_tails import HighestScores, ImpostorTail
from pcfh.evaluation.scores import Figures
from pcfh.rates import Curve, most_allowed, roc

LEVELS = 2**17  # of scores from -1 to 1; two scores of one level are 1.6e-5 apart at most


@dataclass(frozen=True, kw_only=True)
class ScoreFacts:
    """What all scores of a method say.

    Attributes:
        sides: what was compared.
        genuine: all genuine pairs.
        probes: what became of each probe.
        highest: the impostor scores that decide at the FARs asked for.
        allowed: by FAR, how many impostor pairs may be accepted.
        curve: the ROC between levels of scores: points of the true curve, though not all of them.
        draws: by FAR, VR in draws of people; empty where all probes are one person's.
    """

    sides: Sides
    genuine: GenuinePairs
    probes: "ProbeRanks"
    highest: HighestScores
    allowed: Mapping[float, int]
    curve: Curve
    draws: Mapping[float, Float[np.ndarray, " r"]]

    @property
    def threshold(self) -> dict[float, float]:
        """The lowest threshold whose FAR is at most each of those asked for: exact."""
        return {far: self.highest.above(allowed) for far, allowed in self.allowed.items()}

    def verification_rate(self, far: float) -> float:
        """VR at any FAR: exact up to the highest FAR asked for.

        Above, it is that of the next stricter threshold between two levels, so that it may be too low by the
        share of genuine scores of one level.
        """
        allowed = int(most_allowed(far, np.array([self.sides.impostors]))[0])
        if allowed in self.highest:
            return float((self.genuine.scores >= self.highest.above(allowed)).mean())
        return float(self.curve.vr[np.searchsorted(self.curve.far, far, side="right") - 1])


class ProbeRanks:
    """Of each probe: how many other people come before its own, and the best image of someone else.

    Attributes:
        ahead: people with a score as high as that of the probe's person, or higher.
        image: of someone else, with the best score.
        score: that one; minus infinity where there is nobody else.
    """

    def __init__(self, sides: Sides) -> None:
        count = len(sides.probes)
        self.ahead, self.image = np.zeros((2, count), np.int64)
        self.score = np.full(count, -np.inf, np.float32)

    @property
    def rank(self) -> Int[np.ndarray, " p"]:
        """Of each probe's own person among the people of the gallery; 1 is the best."""
        return self.ahead + 1

    def add(self, block: ImpostorBlock) -> None:
        """Counts a block."""
        best = block.scores.argmax(1)
        score = block.scores[np.arange(len(best)), best]
        better = score > self.score[block.rows]
        self.score[block.rows[better]] = score[better]
        self.image[block.rows[better]] = block.columns[best[better]]
        reached = block.scores >= block.own[:, None]
        if len(block.starts) < len(block.columns):  # people with several images
            reached = np.logical_or.reduceat(reached, block.starts, axis=1)
        self.ahead[block.rows] += np.count_nonzero(reached, axis=1)


class _LevelCounts:
    """How many impostor scores are of each level."""

    def __init__(self) -> None:
        self.counts = np.zeros(LEVELS, np.int64)
        self._lock = Lock()

    def add(self, block: ImpostorBlock) -> None:
        """Counts a block; genuine pairs count for the lowest level."""
        counts = _level_counts(block.scores.ravel())
        with self._lock:
            self.counts += counts


def score_facts(sides: Sides, fars: Sequence[float], bootstrap: Bootstrap) -> ScoreFacts:
    """Everything that ``ScoreFacts`` has, mostly in one pass over all scores.

    Raises:
        UserError: there are no impostor pairs, or too few for a FAR.
    """
    ranks, levels = ProbeRanks(sides), _LevelCounts()
    genuine, tail = _highest(sides, fars, [ranks.add, levels.add], reach=1)
    levels.counts[0] -= sides.genuine
    several = np.count_nonzero(sides.images[0]) > 1
    return ScoreFacts(
        sides=sides,
        genuine=genuine,
        probes=ranks,
        highest=tail.highest,
        allowed=tail.allowed,
        curve=roc(_level_counts(genuine.scores), levels.counts),
        draws=_draws(sides, genuine, tail, bootstrap) if several else {},
    )


def accepted_impostors(sides: Sides, threshold: float) -> Int[np.ndarray, " p"]:
    """How many impostor pairs of each probe reach a threshold."""
    accepted = np.zeros(len(sides.probes), np.int64)

    def add(block: ImpostorBlock) -> None:
        accepted[block.rows] += np.count_nonzero(block.scores >= threshold, axis=1)

    scan(sides, [add])
    return accepted


def gallery_figures(
    probes: Float32[np.ndarray, "p d"],
    gallery: Float32[np.ndarray, "g d"],
    probe_people: Shaped[np.ndarray, " q"],
    gallery_people: Shaped[np.ndarray, " e"],
    *,
    fars: Sequence[float],
    threads: int | None = None,
) -> Figures:
    """Rank-1 and VR at each FAR from embeddings, as ``pcfh.evaluation.scores.figures`` of all scores.

    Args:
        probes: embeddings of norm one, or means of such (the fused score of two is that of their mean).
        gallery: embeddings of norm one.
        probe_people: the person of each probe, as text or number.
        gallery_people: the person of each gallery image, likewise.
        fars: targets; more of them cost little, a higher one more memory.
        threads: blocks at once; as many as torch uses if None.

    Raises:
        UserError: a side is empty, embeddings are not finite or of norm one, a probe's person is not in the
            gallery, or there are too few impostor pairs for a FAR.
    """
    sides = embedding_sides(probes, gallery, probe_people, gallery_people)
    ranks = ProbeRanks(sides)
    genuine, tail = _highest(sides, fars, [ranks.add], threads=threads)
    threshold = {far: tail.highest.above(allowed) for far, allowed in tail.allowed.items()}
    return Figures(
        rank1=float((ranks.rank == 1).mean()),
        verification={far: float((genuine.scores >= score).mean()) for far, score in threshold.items()},
        threshold=threshold,
    )


def _highest(
    sides: Sides,
    fars: Sequence[float],
    takers: Sequence[Callable[[ImpostorBlock], None]] = (),
    *,
    reach: int = 0,
    threads: int | None = None,
) -> tuple[GenuinePairs, ImpostorTail]:
    """Goes over all scores for the highest ones, and once for the takers."""
    tail = ImpostorTail(sides, fars, reach=reach)
    genuine = scan(sides, [tail.add, *takers], threads=threads)
    if not tail.finish():
        tail = ImpostorTail(sides, fars, reach=reach, fair=False)
        scan(sides, [tail.add], threads=threads)
        tail.finish()
    return genuine, tail


def _draws(
    sides: Sides, genuine: GenuinePairs, tail: ImpostorTail, bootstrap: Bootstrap
) -> dict[float, Float[np.ndarray, " r"]]:
    """VR at each FAR in draws of people, going over the scores again where more of them matter."""
    people, reach = sides.probes[genuine.probes], 1
    while True:
        try:
            return {
                far: verification_rate_draws(genuine.scores, people, kept, sides.images, far, bootstrap)
                for far, kept in tail.tails().items()
            }
        except TailTooShortError:
            reach *= 4
            _, tail = _highest(sides, [*tail.allowed], reach=reach)


def _level_counts(scores: Float32[np.ndarray, " n"]) -> Int[np.ndarray, " l"]:
    """How many scores are of each level; those outside of -1 to 1 are of the outermost ones."""
    place = scores + 1
    place *= LEVELS / 2
    np.clip(place, 0, LEVELS - 1, out=place)
    return np.bincount(place.astype(np.int64), minlength=LEVELS)
