"""Scores as whole numbers in the same order, and how often each occurs.

The key of a single-precision score is a whole number of 32 bits: higher scores have higher keys, and one step
up is the next number of that precision. Minus zero lies one below zero. A bin of shift s holds 2^s keys.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Int

LOWEST, HIGHEST = -(2**31) + 2**23, 2**31 - 1 - 2**23  # keys of finite scores
MOST_BINS = 2**20  # that are kept at rest, and entries that wait to be counted

Counts = tuple[Int[np.ndarray, " _"], Int[np.ndarray, " _"]]  # bins, and how many keys are in each


@dataclass(frozen=True, kw_only=True)
class Bracket:
    """Keys from ``low`` to ``high``, both included."""

    low: int
    high: int


@dataclass(kw_only=True)
class KeyCounts:
    """How often keys occur, in bounded memory.

    Keys are counted exactly while there are at most ``most`` different ones; beyond that, neighbours are
    counted together.

    Attributes:
        most: bins at rest.
        shift: of the bins.
    """

    most: int = MOST_BINS
    shift: int = 0
    _waiting: list[Counts] = field(default_factory=list)
    _entries: int = 0

    def add_keys(self, keys: Int[np.ndarray, " n"]) -> None:
        """Counts each of some keys once."""
        self._wait(keys >> self.shift, np.ones_like(keys))

    def add(self, other: "KeyCounts") -> None:
        """Adds what another has counted."""
        bins, counts = other.counts()
        self._widen(max(self.shift, other.shift))
        self._wait(bins >> (self.shift - other.shift), counts)

    def counts(self) -> Counts:
        """The bins, rising, each once, and how many keys are in each."""
        merged = _merged(self._waiting)
        while len(merged[0]) > self.most:
            self.shift += 1
            merged = _merged([(merged[0] >> 1, merged[1])])
        self._waiting, self._entries = [merged], len(merged[0])
        return merged

    def bin_of(self, rank: int) -> Bracket | None:
        """The finite keys of the bin that holds the key of a rank, 0 being the highest; None outside."""
        bins, counts = self.counts()
        place = int(np.searchsorted(counts[::-1].cumsum(), rank, side="right"))
        if rank < 0 or place == len(bins):
            return None
        low = int(bins[::-1][place]) << self.shift
        return Bracket(low=max(low, LOWEST), high=min(low + (1 << self.shift) - 1, HIGHEST))

    def _wait(self, bins: Int[np.ndarray, " n"], counts: Int[np.ndarray, " n"]) -> None:
        """Takes bins of the present shift in; counts them together with the others once many wait."""
        self._waiting.append((bins, counts))
        self._entries += len(bins)
        if self._entries > 2 * self.most:
            self.counts()

    def _widen(self, shift: int) -> None:
        """Makes bins of a higher shift."""
        by = shift - self.shift
        self._waiting, self.shift = [(bins >> by, counts) for bins, counts in self._waiting], shift


def keys_of(scores: Float32[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """The keys of scores."""
    bits = scores.view(np.int32).astype(np.int64)
    return _exchange(bits)


def score_of(key: int) -> np.float32:
    """The score of a key."""
    return _exchange(np.array([key])).astype(np.int32).view(np.float32)[0]


def _exchange(numbers: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Turns bit patterns of scores into keys and back: below zero, all bits but the sign are inverted."""
    return numbers ^ ((numbers >> 31) & (2**31 - 1))


def _merged(parts: list[Counts]) -> Counts:
    """Adds the counts of equal bins."""
    none = np.zeros(0, np.int64)
    bins, counts = (np.concatenate([none, *column]) for column in zip((none, none), *parts, strict=True))
    if not len(bins):
        return bins, counts
    order = np.argsort(bins)
    bins = bins[order]
    starts = np.flatnonzero(np.concatenate([[True], bins[1:] != bins[:-1]]))
    return bins[starts], np.add.reduceat(counts[order], starts)
