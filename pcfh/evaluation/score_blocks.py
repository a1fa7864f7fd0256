"""Scores of probes against a gallery, block by block: of all scores, no more than some blocks are in memory.

A block is some probes against all gallery images of some people. It is scored, handed to whoever counts, and
thrown away. What is kept of every score is that of the genuine pairs, of which there are as many as probes,
times the images of a person.

A matrix product of another shape may round a score differently in the last bit, so scores that are compared
with each other come from blocks of the same shape.

Axis letters: p probes, g gallery images, i people of the gallery, d length of embeddings, n genuine pairs;
r and c rows and columns of a block, b people of a block; q and e people of the two sides as they are given.
"""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch
from jaxtyping import Float32, Int, Shaped
from torch import Tensor

from pcfh.errors import UserError
from pcfh.evaluation.scores import require_unit

BLOCK = 1024  # probes, and about as many gallery images, compared at once; 4 MB of scores stay in the cache

# scores of some probes (rows) against some gallery images (columns), by their places; an array to write to
ScoreFunction = Callable[[Int[np.ndarray, " r"], Int[np.ndarray, " c"]], Float32[np.ndarray, "r c"]]


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Who is compared with whom, and how.

    Attributes:
        people: everybody in the gallery, each once, rising; a person's number is the place here.
        probes: the person of each probe.
        gallery: the person of each gallery image.
        score: scores a block; the same block always to the same bits, in [-1, 1] up to rounding.
    """

    people: Shaped[np.ndarray, " i"]
    probes: Int[np.ndarray, " p"]
    gallery: Int[np.ndarray, " g"]
    score: ScoreFunction

    @cached_property
    def images(self) -> Int[np.ndarray, "2 i"]:
        """Probes and gallery images of each person."""
        return np.stack(
            [np.bincount(side, minlength=len(self.people)) for side in (self.probes, self.gallery)]
        )

    @property
    def genuine(self) -> int:
        """How many pairs are of one person."""
        return int(self.images[0] @ self.images[1])

    @property
    def impostors(self) -> int:
        """How many pairs are of two people."""
        return len(self.probes) * len(self.gallery) - self.genuine


@dataclass(frozen=True, kw_only=True)
class GenuinePairs:
    """All pairs of one person: the score, and the places of probe and gallery image."""

    scores: Float32[np.ndarray, " n"]
    probes: Int[np.ndarray, " n"]
    images: Int[np.ndarray, " n"]


@dataclass(frozen=True, kw_only=True)
class ImpostorBlock:
    """Some probes against all images of some people.

    Attributes:
        rows: places of the probes.
        columns: places of the gallery images, those of one person side by side.
        starts: the first column of each person.
        own: of each probe, the best score with an image of its person, wherever that is.
        scores: of the impostor pairs; minus infinity for genuine ones.
    """

    rows: Int[np.ndarray, " r"]
    columns: Int[np.ndarray, " c"]
    starts: Int[np.ndarray, " b"]
    own: Float32[np.ndarray, " r"]
    scores: Float32[np.ndarray, "r c"]


def sides_of(
    probe_people: Shaped[np.ndarray, " q"], gallery_people: Shaped[np.ndarray, " e"], score: ScoreFunction
) -> Sides:
    """Numbers the people, given as text or numbers.

    Raises:
        UserError: a side is empty, or a probe's person is not in the gallery.
    """
    for name, people in (("probe", probe_people), ("gallery", gallery_people)):
        if not len(people):
            raise UserError(f"expected at least one {name} image, got none; check the {name} list")
    names, enrolled = np.unique(gallery_people, return_inverse=True)
    own = np.searchsorted(names, probe_people).clip(max=len(names) - 1)
    absent = np.unique(np.asarray(probe_people)[names[own] != probe_people])
    if len(absent):
        raise UserError(
            f"expected every probe's person in the gallery, got {len(absent)} who are not ({absent[0]}, ...);"
            " add them to the gallery or remove their probes"
        )
    return Sides(people=names, probes=own, gallery=enrolled, score=score)


def embedding_sides(
    probes: Float32[np.ndarray, "p d"],
    gallery: Float32[np.ndarray, "g d"],
    probe_people: Shaped[np.ndarray, " q"],
    gallery_people: Shaped[np.ndarray, " e"],
) -> Sides:
    """Vectors whose products are the scores.

    Args:
        probes: embeddings of norm one, or means of such (the fused score of two is that of their mean).
        gallery: embeddings of norm one.
        probe_people: the person of each probe, as text or number.
        gallery_people: the person of each gallery image, likewise.

    Raises:
        UserError: a side is empty or not as long as its people, embeddings are not finite or of norm one, or
            a probe's person is not in the gallery.
    """
    for name, side, people in (("probe", probes, probe_people), ("gallery", gallery, gallery_people)):
        if len(side) != len(people):
            raise UserError(f"expected one person for each {name} feature, got {len(people)} for {len(side)}")
    require_unit(gallery, "gallery")
    if not np.isfinite(probes).all():
        raise UserError("expected finite probe features; look at the images of those that are not")
    first, second = (torch.from_numpy(np.require(side, np.float32, ("C", "W"))) for side in (probes, gallery))
    return sides_of(probe_people, gallery_people, partial(_products, first, second))


def scan(
    sides: Sides, takers: Sequence[Callable[[ImpostorBlock], None]], *, threads: int | None = None
) -> GenuinePairs:
    """Goes over all scores once, and hands each block on.

    Args:
        sides: what is compared.
        takers: called with each block, by several threads at once; no two of these have rows in common.
        threads: blocks at once; as many as torch uses if None.
    """
    plan = _Plan(sides)
    order = np.argsort(sides.probes, kind="stable")
    rows = np.split(order, range(BLOCK, len(order), BLOCK))
    with _one_thread_each() as available, ThreadPoolExecutor(threads or available) as pool:
        parts = list(pool.map(partial(_scan, sides, plan, takers), rows))
    return GenuinePairs(
        scores=np.concatenate([part.scores for part in parts]),
        probes=np.concatenate([part.probes for part in parts]),
        images=np.concatenate([part.images for part in parts]),
    )


def first_impostors(sides: Sides) -> Float32[np.ndarray, " s"]:
    """The impostor scores of some probes with some gallery images, as a sample of all."""
    rows, columns = (np.arange(min(BLOCK, len(side))) for side in (sides.probes, sides.gallery))
    scores = sides.score(rows, columns)
    return scores[sides.probes[rows][:, None] != sides.gallery[columns]]


class _Plan:
    """The gallery images in the order of their people, and where the blocks are cut."""

    def __init__(self, sides: Sides) -> None:
        self.order = np.argsort(sides.gallery, kind="stable")
        self.offsets = np.concatenate([[0], np.cumsum(sides.images[1])])  # of each person in ``order``
        cuts = [0]  # people
        while cuts[-1] < len(sides.people):
            most = self.offsets[cuts[-1]] + BLOCK
            cuts.append(max(cuts[-1] + 1, int(np.searchsorted(self.offsets, most, side="right")) - 1))
        self.cuts = np.array(cuts)

    @property
    def blocks(self) -> int:
        """How many there are."""
        return len(self.cuts) - 1

    def bounds(self, block: int) -> tuple[int, int]:
        """Where in ``order`` a block begins and ends."""
        first, end = self.offsets[self.cuts[block : block + 2]]
        return int(first), int(end)

    def starts(self, block: int) -> Int[np.ndarray, " b"]:
        """The first column of each person of a block."""
        people = self.offsets[self.cuts[block] : self.cuts[block + 1]]
        return people - people[0]

    def mates(self, people: Int[np.ndarray, " r"]) -> Int[np.ndarray, "2 n"]:
        """The genuine pairs of probes of these people: row, and place in ``order``."""
        first, end = self.offsets[people], self.offsets[people + 1]
        rows = np.repeat(np.arange(len(people)), end - first)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(end - first) - (end - first), end - first)
        return np.stack([rows, first[rows] + within])


class _Rows:
    """Some probes, scored against one block of the gallery after the other."""

    def __init__(self, sides: Sides, plan: _Plan, rows: Int[np.ndarray, " r"]) -> None:
        self._sides, self._plan, self._rows = sides, plan, rows
        self._scored, self._scores = -1, np.empty((0, 0), np.float32)

    def against(self, block: int) -> Float32[np.ndarray, "r c"]:
        """All scores; those of the block asked for last are not computed again."""
        if block != self._scored:
            first, end = self._plan.bounds(block)
            self._scores = self._sides.score(self._rows, self._plan.order[first:end])
            self._scored = block
        return self._scores


def _scan(
    sides: Sides,
    plan: _Plan,
    takers: Sequence[Callable[[ImpostorBlock], None]],
    rows: Int[np.ndarray, " r"],
) -> GenuinePairs:
    """Some probes against the whole gallery: first their genuine pairs, whose scores the takers ask for."""
    scored = _Rows(sides, plan, rows)
    row, place = plan.mates(sides.probes[rows])
    genuine = np.empty(len(row), np.float32)
    block_of = np.searchsorted(plan.offsets[plan.cuts], place, side="right") - 1
    for block in np.unique(block_of).tolist():
        inside, first = block_of == block, plan.bounds(block)[0]
        genuine[inside] = scored.against(block)[row[inside], place[inside] - first]
    own = np.maximum.reduceat(genuine, np.searchsorted(row, np.arange(len(rows))))
    last = int(block_of.max())  # scored already
    for block in [*range(last, plan.blocks), *range(last)]:
        (first, end), inside = plan.bounds(block), block_of == block
        scores = scored.against(block)
        scores[row[inside], place[inside] - first] = -np.inf
        found = ImpostorBlock(
            rows=rows, columns=plan.order[first:end], starts=plan.starts(block), own=own, scores=scores
        )
        for take in takers:
            take(found)
    return GenuinePairs(scores=genuine, probes=rows[row], images=plan.order[place])


def _products(
    probes: Tensor, gallery: Tensor, rows: Int[np.ndarray, " r"], columns: Int[np.ndarray, " c"]
) -> Float32[np.ndarray, "r c"]:
    """The products of some vectors with some others."""
    product = probes[torch.from_numpy(rows)] @ gallery[torch.from_numpy(columns)].T
    return product.numpy()


@contextmanager
def _one_thread_each() -> Generator[int]:
    """Keeps torch to one thread per caller; gives the number it had. Threads inside a product only wait."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield before
    finally:
        torch.set_num_threads(before)
