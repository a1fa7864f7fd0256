"""Rank-1 and VR from embeddings of any number: exact, in flat memory, by the conventions of ``pcfh.rates``.

The score matrix is made block by block and thrown away. Rank-1 needs each probe's best genuine and best
impostor score; VR at a FAR needs the genuine scores and the highest impostor scores, so many as the FAR
allows and one more. Those are kept as values and how often each came, since scores of single precision
repeat. Scores that are too low to matter, by what the first block says, are left out; if too few are left,
all is done again with all scores.

A matrix product of another shape may round a score differently in the last bit.

Axis letters: p probes, g gallery images, d length of embeddings, n scores; r and e people of the two sides,
who shall be as many.
"""

import math
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from threading import Lock

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int, Shaped
from torch import Tensor

from pcfh.errors import UserError
from pcfh.evaluation.scores import Figures, require_unit
from pcfh.rates import allowed_impostors

BLOCK = 1024  # probes, and gallery images, compared at once; 4 MB of scores stay in the cache
_WAITING = 2**21  # scores that are collected before they are counted


@dataclass(frozen=True, kw_only=True)
class Sides:
    """What is compared; people are numbers from 0.

    Attributes:
        probes: vectors whose products with the gallery are scores.
        gallery: features of norm one.
        probe_people: the person of each probe.
        gallery_people: the person of each gallery image.
        order: the gallery images by their people.
    """

    probes: Float32[Tensor, "p d"]
    gallery: Float32[Tensor, "g d"]
    probe_people: Int[np.ndarray, " p"]
    gallery_people: Int[np.ndarray, " g"]
    order: Int[np.ndarray, " g"]

    @property
    def impostors(self) -> int:
        """How many impostor pairs there are."""
        probes, gallery = (
            np.bincount(people, minlength=int(self.gallery_people.max()) + 1)
            for people in (self.probe_people, self.gallery_people)
        )
        return len(self.probes) * len(self.gallery) - int(probes @ gallery)

    def mates(self, start: int) -> Int[np.ndarray, "n 2"]:
        """The genuine pairs of the block of probes from ``start``: (row in the block, gallery image)."""
        probes, enrolled = self.probe_people[start : start + BLOCK], self.gallery_people[self.order]
        first, end = (np.searchsorted(enrolled, probes, side) for side in ("left", "right"))
        rows = np.repeat(np.arange(len(probes)), end - first)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(end - first) - (end - first), end - first)
        pairs = np.stack([rows, self.order[first[rows] + within]], 1)
        return pairs[np.argsort(pairs[:, 1], kind="stable")]


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Of a block of probes: scores of the genuine pairs, and whether each probe's person comes first."""

    genuine: Float32[np.ndarray, " n"]
    hits: Bool[np.ndarray, " p"]


class HighestScores:
    """The highest of many scores: each value and how often it came; several threads may add.

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

    def rank(self, rank: int) -> np.float32:
        """The score of a rank, 0 being the highest."""
        return self.values[np.searchsorted(self.counts.cumsum(), rank, side="right")]

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


def gallery_figures(
    probes: Float32[np.ndarray, "p d"],
    gallery: Float32[np.ndarray, "g d"],
    probe_people: Shaped[np.ndarray, " r"],
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
    sides = _sides(probes, gallery, probe_people, gallery_people)
    allowed = {far: allowed_impostors(far, sides.impostors) for far in fars}
    wanted = max(allowed.values(), default=0) + 1
    with _one_thread_each() as available:
        run = partial(_pass, sides, threads or available)
        highest = HighestScores(wanted, _floor(sides, wanted / sides.impostors))
        parts = run(highest)
        if not highest.finish():  # the first block was no fair sample
            highest = HighestScores(wanted, -math.inf)
            parts = run(highest)
            highest.finish()
    genuine = np.concatenate([part.genuine for part in parts])
    refused = {far: highest.rank(k) for far, k in allowed.items()}
    return Figures(
        rank1=float(np.concatenate([part.hits for part in parts]).mean()),
        verification={far: float((genuine > score).mean()) for far, score in refused.items()},
        threshold={far: float(np.nextafter(score, np.float32(np.inf))) for far, score in refused.items()},
    )


def _sides(
    probes: Float32[np.ndarray, "p d"],
    gallery: Float32[np.ndarray, "g d"],
    probe_people: Shaped[np.ndarray, " r"],
    gallery_people: Shaped[np.ndarray, " e"],
) -> Sides:
    """Checks what is compared, and numbers the people."""
    for name, side, people in (("probe", probes, probe_people), ("gallery", gallery, gallery_people)):
        if not len(side):
            raise UserError(f"expected at least one {name} image, got none; check the {name} list")
        if len(side) != len(people):
            raise UserError(f"expected one person for each {name} feature, got {len(people)} for {len(side)}")
    require_unit(gallery, "gallery")
    if not np.isfinite(probes).all():
        raise UserError("expected finite probe features; look at the images of those that are not")
    names, enrolled = np.unique(gallery_people, return_inverse=True)
    own = np.searchsorted(names, probe_people).clip(max=len(names) - 1)
    absent = np.unique(np.asarray(probe_people)[names[own] != probe_people])
    if len(absent):
        raise UserError(
            f"expected every probe's person in the gallery, got {len(absent)} who are not ({absent[0]}, ...);"
            " add them to the gallery or remove their probes"
        )
    tensors = [torch.from_numpy(np.require(side, np.float32, ("C", "W"))) for side in (probes, gallery)]
    return Sides(
        probes=tensors[0],
        gallery=tensors[1],
        probe_people=own,
        gallery_people=enrolled,
        order=np.argsort(enrolled, kind="stable"),
    )


def _floor(sides: Sides, share: float) -> float:
    """A score that, by those of the first block, twice as many impostors as a share should exceed."""
    scores, mates = next(_blocks(sides, 0))
    scores[mates[:, 0], mates[:, 1]] = -np.inf
    rank = int(scores.size * max(0.0, 1 - 2 * share))
    return -math.inf if rank == 0 else float(np.partition(scores.ravel(), rank)[rank])


def _pass(sides: Sides, threads: int, highest: HighestScores) -> list[_Part]:
    """Goes over all scores once; each thread takes a block of probes against the whole gallery."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(partial(_scan, sides, highest), range(0, len(sides.probes), BLOCK)))


def _scan(sides: Sides, highest: HighestScores, start: int) -> _Part:
    """One block of probes against the whole gallery."""
    genuine = []
    rows = min(BLOCK, len(sides.probes) - start)
    own, other = np.full((2, rows), -np.inf, np.float32)
    for scores, mates in _blocks(sides, start):
        at = (mates[:, 0], mates[:, 1])
        genuine.append(scores[at])
        np.maximum.at(own, at[0], genuine[-1])
        scores[at] = -np.inf  # what remains are impostors
        np.maximum(other, scores.max(1), out=other)
        highest.add(scores[scores > highest.floor])
    return _Part(genuine=np.concatenate(genuine), hits=own > other)


def _blocks(
    sides: Sides, start: int
) -> Iterator[tuple[Float32[np.ndarray, "rows columns"], Int[np.ndarray, "n 2"]]]:
    """Scores of a block of probes against each block of the gallery, with the genuine pairs in it.

    The scores are overwritten by the next block's.
    """
    probes, mates = sides.probes[start : start + BLOCK], sides.mates(start)
    buffer = torch.empty(len(probes) * BLOCK)
    for first in range(0, len(sides.gallery), BLOCK):
        gallery = sides.gallery[first : first + BLOCK]
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
