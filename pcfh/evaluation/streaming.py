"""Rank-1 and VR from embeddings of any number: exact, in flat memory.

The score matrix is made block by block and thrown away. Rank-1 needs each probe's best genuine and best
impostor score. VR at a FAR needs the highest impostor score that is refused. Scores of single precision are
whole numbers of 32 bits in the same order (see ``sortable_bits``): a first pass over all blocks counts the
impostor scores by the upper 16 bits, which says in which bin that score lies; a second one counts the scores
of that bin by the lower 16. Scores that are too low to matter, as the first block says, are left out; a count
that comes out short is made again with all.

Each pass makes the same blocks with the same kernel on one thread each, so a score has the same bits in both.
A matrix product of another shape may round a score differently in the last bit.

Axis letters: p probes, g gallery images, d length of embeddings, n scores, f bins looked into.
"""

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int, UInt32
from torch import Tensor

from pcfh.errors import UserError
from pcfh.evaluation.scores import Figures, require_unit
from pcfh.rates import People, allowed_impostors, codes_of, require_enrolled, require_people

BLOCK = 1024  # probes and gallery images at once; 4 MB of scores stay in the cache
_BINS, _SIGN = 2**16, np.uint32(2**31)


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Features and people of both sides; people are numbers from 0.

    Attributes:
        probes: features of norm one.
        gallery: features of norm one.
        probe_people: the person of each probe.
        gallery_people: the person of each gallery image.
        block: rows of probes and of gallery images that are compared at once.
    """

    probes: Float32[Tensor, "p d"]
    gallery: Float32[Tensor, "g d"]
    probe_people: Int[np.ndarray, " p"]
    gallery_people: Int[np.ndarray, " g"]
    block: int

    @property
    def impostors(self) -> int:
        """How many impostor pairs there are."""
        people = int(self.gallery_people.max()) + 1  # every probe's person is in the gallery
        probes, gallery = (np.bincount(x, minlength=people) for x in (self.probe_people, self.gallery_people))
        return len(self.probes) * len(self.gallery) - int(probes @ gallery)

    def mates(self, start: int) -> Int[np.ndarray, "n 2"]:
        """The genuine pairs of the block of probes from ``start``: (row in the block, gallery image).

        They are in rising order of the gallery image.
        """
        probes = self.probe_people[start : start + self.block]
        order = np.argsort(self.gallery_people, kind="stable")
        enrolled = self.gallery_people[order]
        first, end = (np.searchsorted(enrolled, probes, side) for side in ("left", "right"))
        rows = np.repeat(np.arange(len(probes)), end - first)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(end - first) - (end - first), end - first)
        pairs = np.stack([rows, order[first[rows] + within]], 1)
        return pairs[np.argsort(pairs[:, 1], kind="stable")]


@dataclass(frozen=True, kw_only=True)
class Part:
    """What a pass learns, of some probes or of all.

    Attributes:
        genuine: scores of the genuine pairs.
        hits: whether the probe's own person has the best score, ties lost.
        counts: impostor scores by their upper bits, or, of each bin looked into, by their lower ones.
    """

    genuine: Float32[np.ndarray, " n"]
    hits: Bool[np.ndarray, " p"]
    counts: Int[np.ndarray, "f 65536"]


def gallery_figures(
    probes: Float32[np.ndarray, "p d"],
    gallery: Float32[np.ndarray, "g d"],
    probe_people: People,
    gallery_people: People,
    *,
    fars: Sequence[float],
    threads: int | None = None,
    block: int = BLOCK,
) -> Figures:
    """Rank-1 and VR at each FAR from embeddings, by the conventions of ``pcfh.rates``.

    Args:
        probes: embeddings of norm one.
        gallery: embeddings of norm one.
        probe_people: the person of each probe, as text or number.
        gallery_people: the person of each gallery image, likewise.
        fars: targets; more of them cost little.
        threads: blocks at once; as many as torch uses if None.
        block: side of a block of scores.

    Raises:
        UserError: a side is empty, embeddings are not of norm one, a probe's person is not in the gallery, or
            there are too few impostor pairs for a FAR.
    """
    people, enrolled_people = np.asarray(probe_people), np.asarray(gallery_people)
    require_people(people, enrolled_people)
    for name, side, those in (("probe", probes, people), ("gallery", gallery, enrolled_people)):
        if len(side) != len(those):
            raise UserError(f"expected one person for each {name} feature, got {len(those)} for {len(side)}")
        require_unit(side, name)
    own, enrolled = codes_of(people, enrolled_people)
    require_enrolled(people, (own, enrolled))
    features = [torch.from_numpy(np.require(side, requirements=("C", "W"))) for side in (probes, gallery)]
    sides = Sides(
        probes=features[0], gallery=features[1], probe_people=own, gallery_people=enrolled, block=block
    )
    allowed = [allowed_impostors(far, sides.impostors) for far in fars]
    with _one_thread_each() as available:
        run = partial(_pass, sides, threads or available)
        most = max(allowed, default=-1)
        whole = run((), _floor(sides, most / sides.impostors))
        if whole.counts.sum() <= most:  # the first scores were no fair sample
            whole = run((), -np.inf)
        places = [_find(whole.counts[0], k) for k in allowed]
        bins = tuple(dict.fromkeys(place for place, _ in places))
        inside = run(bins, float(score_of(min(bins) * _BINS))).counts if bins else whole.counts
    refused = {}
    for far, (place, rank) in zip(fars, places, strict=True):
        low, _ = _find(inside[bins.index(place)], rank)
        refused[far] = score_of(place * _BINS + low)
    return Figures(
        rank1=float(whole.hits.mean()),
        verification={far: float((whole.genuine > score).mean()) for far, score in refused.items()},
        threshold={far: float(np.nextafter(score, np.float32(np.inf))) for far, score in refused.items()},
    )


def sortable_bits(scores: Float32[np.ndarray, " n"]) -> UInt32[np.ndarray, " n"]:
    """Whole numbers in the order of the scores: the sign bit is turned, below zero all other bits as well."""
    bits = scores.view(np.uint32)
    return bits ^ np.where(bits & _SIGN, np.uint32(2**32 - 1), _SIGN)


def score_of(number: int) -> np.float32:
    """The reverse of ``sortable_bits``."""
    mask = 2**31 if number & 2**31 else 2**32 - 1
    return np.array([number ^ mask], np.uint32).view(np.float32)[0]


def _find(counts: Int[np.ndarray, " 65536"], rank: int) -> tuple[int, int]:
    """The bin that holds the score of a rank, 0 being the highest, and its rank inside."""
    falling = counts[::-1].cumsum()
    place = int(np.searchsorted(falling, rank, side="right"))
    return _BINS - 1 - place, rank - int(falling[place - 1] if place else 0)


def _floor(sides: Sides, share: float) -> float:
    """A score that, by those of the first block, four times as many impostors as a share should exceed."""
    if share < 0:
        return np.inf
    scores, mates = next(_blocks(sides, 0))
    scores[mates[:, 0], mates[:, 1]] = -np.inf
    return float(np.quantile(scores, max(0.0, 1 - 4 * share), method="lower"))


def _pass(sides: Sides, threads: int, bins: tuple[int, ...], floor: float) -> Part:
    """Goes over all scores once; each thread takes a block of probes against the whole gallery.

    Args:
        sides: what is compared.
        threads: blocks at once.
        bins: whose scores are counted by their lower bits; none counts all by their upper ones.
        floor: scores below are not counted.
    """
    genuine, hits, counts = [], [], np.zeros((max(1, len(bins)), _BINS), np.int64)
    with ThreadPoolExecutor(threads) as pool:
        for part in pool.map(partial(_scan, sides, bins, floor), range(0, len(sides.probes), sides.block)):
            genuine.append(part.genuine)
            hits.append(part.hits)
            counts += part.counts
    return Part(genuine=np.concatenate(genuine), hits=np.concatenate(hits), counts=counts)


def _scan(sides: Sides, bins: tuple[int, ...], floor: float, start: int) -> Part:
    """One block of probes against the whole gallery."""
    genuine, counts = [], np.zeros((max(1, len(bins)), _BINS), np.int64)
    rows = min(sides.block, len(sides.probes) - start)
    own, other = np.full((2, rows), -np.inf, np.float32)
    for scores, mates in _blocks(sides, start):
        at = (mates[:, 0], mates[:, 1])
        genuine.append(scores[at])
        np.maximum.at(own, at[0], genuine[-1])
        scores[at] = -np.inf  # what remains are impostors
        np.maximum(other, scores.max(1), out=other)
        bits = sortable_bits(scores[scores >= floor])
        upper = bits >> 16
        if not bins:
            counts[0] += np.bincount(upper, minlength=_BINS)
        for i, place in enumerate(bins):
            counts[i] += np.bincount(bits[upper == place] & (_BINS - 1), minlength=_BINS)
    return Part(genuine=np.concatenate(genuine), hits=own > other, counts=counts)


def _blocks(
    sides: Sides, start: int
) -> Iterator[tuple[Float32[np.ndarray, "rows columns"], Int[np.ndarray, "n 2"]]]:
    """Scores of a block of probes against each block of the gallery, with the genuine pairs in it.

    The scores are overwritten by the next block's.
    """
    probes, mates = sides.probes[start : start + sides.block], sides.mates(start)
    buffer = torch.empty(len(probes) * sides.block)
    for first in range(0, len(sides.gallery), sides.block):
        gallery = sides.gallery[first : first + sides.block]
        scores = buffer[: len(probes) * len(gallery)].view(len(probes), len(gallery))
        torch.mm(probes, gallery.T, out=scores)
        begin, end = np.searchsorted(mates[:, 1], (first, first + len(gallery)))
        yield scores.numpy(), mates[begin:end] - (0, first)


@contextmanager
def _one_thread_each() -> Generator[int]:
    """Keeps torch to one thread per caller; gives the number it had. Threads inside a product only wait."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield before
    finally:
        torch.set_num_threads(before)
