"""The highest of many scores, collected without keeping the others; several threads may add.

Two things are wanted of the highest impostor scores. Thresholds need their values: these are kept as values
and how often each came, since scores of single precision repeat. Draws of people need to know of whom each
score is: these are kept as pairs, all of them down to some score or, where there are too many, a fair part.

Axis letters: n scores.
"""

import math
from collections.abc import Sequence
from threading import Lock

import numpy as np
from jaxtyping import Float32, Int

from pcfh.errors import UserError
from pcfh.evaluation.intervals import Tail
from pcfh.evaluation.score_blocks import ImpostorBlock, Sides, first_impostors
from pcfh.rates import allowed_impostors

MOST_PAIRS = 2**19  # kept for a FAR; where one in k is kept, a draw's FAR is off by about 0.2 % of itself
_WAITING = 2**21  # scores that are collected before they are counted


class HighestScores:
    """The highest of many scores: each value and how often it came.

    Args:
        count: how many are wanted at least.
        floor: scores up to this one are left out from the start.
    """

    def __init__(self, count: int, floor: float) -> None:
        self._wanted, self.floor = count, np.float32(floor)
        self.values, self.counts = np.empty(0, np.float32), np.empty(0, np.int64)
        self._waiting: list[Float32[np.ndarray, " n"]] = []
        self._lock = Lock()

    def add(self, scores: Float32[np.ndarray, " n"]) -> None:
        """Takes scores; those not above ``floor`` need not be given."""
        with self._lock:
            self._waiting.append(scores)
            if sum(map(len, self._waiting)) > max(_WAITING, len(self.values)):
                self._count()

    def finish(self) -> bool:
        """Counts what is waiting; whether there are as many as wanted."""
        with self._lock:
            self._count()
        return int(self.counts.sum()) >= self._wanted

    def __contains__(self, rank: int) -> bool:
        """Whether the score of this rank, 0 being the highest, is wanted and so kept."""
        return 0 <= rank < self._wanted

    def above(self, rank: int) -> float:
        """The lowest threshold that refuses the score of this rank, 0 being the highest."""
        refused = self.values[np.searchsorted(self.counts.cumsum(), rank, side="right")]
        return float(np.nextafter(refused, np.float32(np.inf)))

    def _count(self) -> None:
        """Counts what is waiting, drops what cannot matter any more, and raises the floor; values fall."""
        new, often = np.unique(np.concatenate([*self._waiting, np.empty(0, np.float32)]), return_counts=True)
        self._waiting.clear()
        values, place = np.unique(np.concatenate([self.values, new]), return_inverse=True)
        counts = np.bincount(place, np.concatenate([self.counts, often])).astype(np.int64)
        values, counts = values[::-1], counts[::-1]
        enough = int(np.searchsorted(counts.cumsum(), self._wanted)) + 1
        self.values, self.counts = values[:enough].copy(), counts[:enough].copy()
        if enough <= len(values):
            self.floor = max(self.floor, self.values[-1])


class HighestPairs:
    """The pairs with the highest scores.

    Args:
        count: how many are wanted, of those that are kept.
        floor: scores up to this one are left out from the start.
        every: of so many pairs one is kept, always the same.
    """

    def __init__(self, count: int, floor: float = -math.inf, *, every: int = 1) -> None:
        self._wanted, self.every, self.floor = count, every, np.float32(floor)
        self._scores = [np.empty(0, np.float32)]
        self._pairs = [np.empty((2, 0), np.int64)]
        self._lock = Lock()

    def add(self, scores: Float32[np.ndarray, " n"], pairs: Int[np.ndarray, "2 n"]) -> None:
        """Takes scores of pairs; those not above ``floor`` need not be given."""
        kept = scores > self.floor
        if self.every > 1:
            kept &= _shuffled(pairs) % np.uint64(self.every) == 0
        with self._lock:
            self._scores.append(scores[kept])
            self._pairs.append(pairs[:, kept])
            if sum(map(len, self._scores)) > 2 * self._wanted + _WAITING // 8:
                self._cut()

    def finish(self) -> bool:
        """Whether there are as many as wanted."""
        with self._lock:
            self._cut()
        return len(self._scores[0]) >= self._wanted

    def falling(self) -> tuple[Float32[np.ndarray, " n"], Int[np.ndarray, "2 n"]]:
        """The scores that were kept, and their pairs."""
        order = np.argsort(-self._scores[0], kind="stable")
        return self._scores[0][order], self._pairs[0][:, order]

    def _cut(self) -> None:
        """Drops what cannot matter any more, and raises the floor."""
        scores, pairs = np.concatenate(self._scores), np.concatenate(self._pairs, axis=1)
        if len(scores) > self._wanted:
            best = np.argpartition(-scores, self._wanted - 1)[: self._wanted]
            scores, pairs = scores[best], pairs[:, best]
            self.floor = scores.min()
        self._scores, self._pairs = [scores], [pairs]


class ImpostorTail:
    """The highest impostor scores that the figures at some FARs need.

    Args:
        sides: what is compared.
        fars: the highest decides how much is kept.
        reach: how far down pairs are kept, in multiples of what is mostly enough; 0 keeps none.
        fair: whether the first block is a fair sample of all, so that most scores need not be looked at.

    Raises:
        UserError: there are no impostor pairs, or too few for a FAR.
    """

    def __init__(self, sides: Sides, fars: Sequence[float], *, reach: int = 0, fair: bool = True) -> None:
        if not sides.impostors:
            raise UserError("expected at least one impostor pair, got none; check the ids of both lists")
        self._sides = sides
        self.allowed = {far: allowed_impostors(far, sides.impostors) for far in fars}
        most = max(self.allowed.values(), default=0) + 1
        lengths = {
            far: min(reach * (2 * allowed + 1000), sides.impostors)
            for far, allowed in self.allowed.items()
            if reach
        }
        floor = _floor(sides, max(most, *lengths.values(), 0) / sides.impostors) if fair else -math.inf
        self.highest = HighestScores(most, floor)
        self._pairs = {far: _pairs_of(length, floor) for far, length in lengths.items()}
        self._whole = {far: length == sides.impostors for far, length in lengths.items()}

    def add(self, block: ImpostorBlock) -> None:
        """Takes what is high enough of a block."""
        floors = [self.highest.floor, *(one.floor for one in self._pairs.values())]
        at = np.flatnonzero(block.scores > min(floors))
        scores = block.scores.ravel()[at]
        self.highest.add(scores[scores > self.highest.floor])
        if self._pairs:
            row, column = np.divmod(at, block.scores.shape[1])
            pairs = np.stack([block.rows[row], block.columns[column]])
            for one in self._pairs.values():
                one.add(scores, pairs)

    def finish(self) -> bool:
        """Whether there is as much as wanted; if not, the first block was no fair sample."""
        return all([self.highest.finish(), *(one.finish() for one in self._pairs.values())])

    def tails(self) -> dict[float, Tail]:
        """By FAR: the highest impostor pairs, with the people of probe and gallery image."""
        found = {}
        for far, one in self._pairs.items():
            scores, (probes, images) = one.falling()
            people = np.stack([self._sides.probes[probes], self._sides.gallery[images]])
            found[far] = Tail(scores=scores, people=people, every=one.every, whole=self._whole[far])
        return found


def _pairs_of(length: int, floor: float) -> HighestPairs:
    """Collects so many of the highest pairs, or a fair part of them."""
    every = math.ceil(length / MOST_PAIRS)
    return HighestPairs(length // every, floor, every=every)


def _floor(sides: Sides, share: float) -> float:
    """A score that, by those of the first block, twice as many impostors as a share should exceed."""
    scores = first_impostors(sides)
    rank = int(len(scores) * max(0.0, 1 - 2 * share))
    return -math.inf if rank == 0 else float(np.partition(scores, rank)[rank])


def _shuffled(pairs: Int[np.ndarray, "2 n"]) -> np.ndarray:
    """A number for each pair that has nothing to do with its score: the finaliser of SplitMix64."""
    z = pairs[0].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + pairs[1].astype(np.uint64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
