"""The same figures for galleries whose score matrix does not fit in memory: exact, in flat memory.

The matrix is made block by block and thrown away. Rank-1 needs each probe's best genuine and best impostor
score. VR at a FAR needs one order statistic of the impostor scores, by this search:

    1. A random sample of pairs gives a bracket of scores that holds the order statistic almost surely.
    2. One pass over all blocks counts the impostor scores above the bracket and keeps those inside, as
       counts of distinct values. When these grow too many, neighbouring values are counted together.
    3. The counts say whether the order statistic is inside. If it is not, the bracket was too narrow and
       the next is wider; if it is, but neighbours are counted together, those are the next bracket.

So the result never depends on the sample, only the number of passes does: one, as a rule. Each pass makes the
same blocks with the same kernel on one thread each, so a score has the same bits in all of them. A matrix
product of another shape may round a score differently in the last bit.

Axis letters: p probes, g gallery images, d length of features, f FARs still looked for.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int
from torch import Tensor

from pcfh.errors import UserError
from pcfh.evaluation.keys import HIGHEST, LOWEST, Bracket, KeyCounts, keys_of, score_of
from pcfh.evaluation.scores import Figures, require_unit
from pcfh.rates import People, allowed_impostors, codes_of, require_enrolled, require_people

BLOCK = 1024  # probes and gallery images at once; 4 MB of scores stay in the cache
SAMPLE = 2**21  # pairs that the first bracket is estimated from
_GATHERED = 2**14  # sampled pairs at once
_SAMPLED_PART = 16  # of small problems, this part of the pairs is sampled
_DEVIATIONS = 6.0  # of the sample's rank on either side; four times as many after each miss


@dataclass(frozen=True, kw_only=True)
class Streamed:
    """Figures, and how many passes over all scores they took."""

    figures: Figures
    passes: int


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
        above: impostor scores above each bracket.
        inside: those within each bracket.
    """

    genuine: Float32[np.ndarray, " n"]
    hits: Bool[np.ndarray, " p"]
    above: Int[np.ndarray, " f"]
    inside: Sequence[KeyCounts]


def stream_figures(
    probes: Float32[np.ndarray, "p d"],
    gallery: Float32[np.ndarray, "g d"],
    probe_people: People,
    gallery_people: People,
    *,
    fars: Sequence[float],
    threads: int | None = None,
    block: int = BLOCK,
    sample: int = SAMPLE,
) -> Streamed:
    """Rank-1 and VR at each FAR from features, by the conventions of ``pcfh.rates``.

    Args:
        probes: features of norm one.
        gallery: features of norm one.
        probe_people: the person of each probe, as text or number.
        gallery_people: the person of each gallery image, likewise.
        fars: targets; more of them cost little.
        threads: blocks at once; as many as torch uses if None.
        block: side of a block of scores.
        sample: pairs that the first bracket is estimated from.

    Raises:
        UserError: a side is empty, features are not of norm one, a probe's person is not in the gallery, or
            there are too few impostor pairs for a FAR.
    """
    people, enrolled_people = np.asarray(probe_people), np.asarray(gallery_people)
    require_people(people, enrolled_people)
    for name, side, those in (("probe", probes, people), ("gallery", gallery, enrolled_people)):
        if len(side) != len(those):
            raise UserError(f"expected one person for each {name} feature, got {len(those)} for {len(side)}")
    own, enrolled = codes_of(people, enrolled_people)
    require_enrolled(people, (own, enrolled))
    require_unit(probes, "probe")
    require_unit(gallery, "gallery")
    features = [torch.from_numpy(np.require(side, requirements=("C", "W"))) for side in (probes, gallery)]
    sides = Sides(
        probes=features[0], gallery=features[1], probe_people=own, gallery_people=enrolled, block=block
    )
    allowed = {far: allowed_impostors(far, sides.impostors) for far in fars}
    with _one_thread_each() as available:
        return _search(
            sides, allowed, threads or available, min(sample, sides.impostors // _SAMPLED_PART + 1)
        )


def _search(sides: Sides, allowed: Mapping[float, int], threads: int, sample: int) -> Streamed:
    """Makes passes until the highest impostor score that each FAR refuses is known."""
    sampled = _sampled_keys(sides, sample)
    first_bracket = {far: partial(_bracket, sampled, k / sides.impostors) for far, k in allowed.items()}
    width = dict.fromkeys(allowed, _DEVIATIONS)
    brackets = {far: first_bracket[far](_DEVIATIONS) for far in allowed}
    refused: dict[float, np.float32] = {}
    passes = 0
    while passes == 0 or brackets:
        part, passes = _pass(sides, tuple(brackets.values()), threads), passes + 1
        for far, above, inside in zip(tuple(brackets), part.above, part.inside, strict=True):
            found = inside.bin_of(allowed[far] - int(above))
            if found is None:
                width[far] *= 4
                brackets[far] = first_bracket[far](width[far])
            elif found.low < found.high:
                brackets[far] = found
            else:
                refused[far] = score_of(found.low)
                del brackets[far]
    return Streamed(figures=_figures(part, {far: refused[far] for far in allowed}), passes=passes)


def _figures(part: Part, refused: Mapping[float, np.float32]) -> Figures:
    """The figures of a whole pass, by the highest impostor score refused at each FAR."""
    return Figures(
        rank1=float(part.hits.mean()),
        verification={far: float((part.genuine > score).mean()) for far, score in refused.items()},
        threshold={far: float(np.nextafter(score, np.float32(np.inf))) for far, score in refused.items()},
    )


def _pass(sides: Sides, brackets: Sequence[Bracket], threads: int) -> Part:
    """Goes over all scores once; each thread takes a block of probes against the whole gallery."""
    genuine, hits = [], []
    above = np.zeros(len(brackets), np.int64)
    inside = [KeyCounts() for _ in brackets]
    with ThreadPoolExecutor(threads) as pool:
        starts = range(0, len(sides.probes), sides.block)
        for part in pool.map(partial(_scan, sides, brackets), starts):
            genuine.append(part.genuine)
            hits.append(part.hits)
            above += part.above
            for total, counts in zip(inside, part.inside, strict=True):
                total.add(counts)
    return Part(genuine=np.concatenate(genuine), hits=np.concatenate(hits), above=above, inside=inside)


def _scan(sides: Sides, brackets: Sequence[Bracket], start: int) -> Part:
    """One block of probes against the whole gallery."""
    genuine: list[Float32[np.ndarray, " n"]] = []
    above = np.zeros(len(brackets), np.int64)
    inside = [KeyCounts() for _ in brackets]
    lowest = score_of(min((bracket.low for bracket in brackets), default=0))
    rows = min(sides.block, len(sides.probes) - start)
    own, other = np.full((2, rows), -np.inf, np.float32)
    for scores, mates in _blocks(sides, start):
        at = (mates[:, 0], mates[:, 1])
        genuine.append(scores[at])
        np.maximum.at(own, at[0], genuine[-1])
        scores[at] = -np.inf  # what remains are impostors
        np.maximum(other, scores.max(1), out=other)
        keys = keys_of(scores[scores >= lowest])
        for i, bracket in enumerate(brackets):
            above[i] += np.count_nonzero(keys > bracket.high)
            inside[i].add_keys(keys[(keys >= bracket.low) & (keys <= bracket.high)])
    return Part(genuine=np.concatenate(genuine), hits=own > other, above=above, inside=inside)


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


def _sampled_keys(sides: Sides, sample: int) -> Int[np.ndarray, " n"]:
    """The keys of random impostor pairs, falling."""
    rng = np.random.default_rng(0)
    probes, gallery = sides.probes.numpy(), sides.gallery.numpy()
    keys = []
    for start in range(0, sample, _GATHERED):
        count = min(_GATHERED, sample - start)
        i, j = (rng.integers(len(side), size=count) for side in (probes, gallery))
        impostor = sides.probe_people[i] != sides.gallery_people[j]
        keys.append(keys_of(np.einsum("nd,nd->n", probes[i[impostor]], gallery[j[impostor]])))
    return np.sort(np.concatenate(keys))[::-1]


def _bracket(sampled: Int[np.ndarray, " n"], share: float, deviations: float) -> Bracket:
    """Where the score lies that a share of the impostor scores exceeds, judged by falling sampled keys.

    Args:
        sampled: keys, falling.
        share: in [0, 1].
        deviations: on either side, of the number of sampled keys that exceed it.
    """
    rank = share * len(sampled)
    margin = deviations * (np.sqrt(rank) + 1)
    upper, lower = int(rank - margin), int(rank + margin) + 1
    return Bracket(
        low=int(sampled[lower]) if lower < len(sampled) else LOWEST,
        high=int(sampled[upper]) if rank > margin else HIGHEST,
    )


@contextmanager
def _one_thread_each() -> Generator[int]:
    """Keeps torch to one thread per caller; gives the number it had. Threads inside a product only wait."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield before
    finally:
        torch.set_num_threads(before)
