"""Recognition rates of a score matrix: closed-set search and verification.

A score is higher for faces more alike. Row i of a matrix is probe i, column j gallery image j; a pair of one
person is genuine, any other an impostor pair. A pair is accepted when its score is at least the threshold.

All conventions are conservative, so a tie never improves a figure:
    Search: a person's score is the best of their gallery images; a probe's rank is one more than the number
        of other people whose score is as high as its own person's or higher.
    Verification: all pairs count, also several of one person. The threshold for a FAR is the lowest
        that accepts at most that share of the impostor pairs, so the FAR is never above the target, and
        genuine scores that tie with the first impostor score too many are refused. Nothing is interpolated.

Shares are in [0, 1]. FAR: share of impostor pairs accepted. VR: share of genuine pairs accepted. FRR: 1 - VR.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Integer, Shaped

from pcfh.errors import UserError


@dataclass(frozen=True, kw_only=True)
class ScoreMatrix:
    """Scores of probes against a gallery, and who is who.

    Attributes:
        scores: finite, of probes (rows) against gallery images (columns).
        probes: the person of each probe, as text or number; any sequence becomes an array.
        gallery: the person of each gallery image, likewise.

    Raises:
        UserError: there is no probe or no gallery image, there are more or fewer people than rows and
            columns, or a score is not finite.
    """

    scores: Float[np.ndarray, "p g"] | Any
    probes: Shaped[np.ndarray, " p"] | Any
    gallery: Shaped[np.ndarray, " g"] | Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "probes", np.asarray(self.probes))
        object.__setattr__(self, "gallery", np.asarray(self.gallery))
        object.__setattr__(self, "scores", _numbers(self.scores))
        _require_one_kind(self.probes, self.gallery)
        for name, people in (("gallery", self.gallery), ("probe", self.probes)):
            if not len(people):
                raise UserError(
                    f"expected at least one {name} image, got none; check the protocol's {name} list"
                )
        if self.scores.shape != (len(self.probes), len(self.gallery)):
            raise UserError(
                f"expected scores of {len(self.probes)} probes x {len(self.gallery)} gallery images, got "
                f"{' x '.join(map(str, self.scores.shape))}; give one person for each row and each column"
            )
        if not np.isfinite(self.scores).all():
            row, column = np.argwhere(~np.isfinite(self.scores))[0]
            raise UserError(
                f"expected finite scores, got {self.scores[row, column]} for probe {row} against gallery "
                f"image {column}; check the features of both"
            )

    @cached_property
    def codes(self) -> tuple[Int[np.ndarray, " p"], Int[np.ndarray, " g"]]:
        """People as numbers from 0 in sorted order, the same person by the same number on both sides."""
        _, codes = np.unique(np.concatenate([self.probes, self.gallery]), return_inverse=True)
        return codes[: len(self.probes)], codes[len(self.probes) :]

    @cached_property
    def genuine(self) -> Bool[np.ndarray, "p g"]:
        """Which pairs are of one person."""
        probes, gallery = self.codes
        return probes[:, None] == gallery


def _numbers(scores: Any) -> Float[np.ndarray, "..."]:
    """Scores as an array of numbers with fractions, as they were where they are one."""
    try:
        found = np.asarray(scores)
        return found if np.issubdtype(found.dtype, np.floating) else found.astype(np.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(
            f"expected scores as an array of numbers, got {type(scores).__name__} ({error}); give one row "
            "for each probe"
        ) from error


def _require_one_kind(probes: np.ndarray, gallery: np.ndarray) -> None:
    """Refuses people who cannot be compared: text with numbers, or neither of them."""
    text, numbers = "U", "biuf"
    kinds = {name: people.dtype.kind for name, people in (("probes", probes), ("gallery", gallery))}
    if any(kind not in text + numbers for kind in kinds.values()):
        raise UserError(
            "expected each person as text or as a number, got something else, perhaps None; name everybody"
        )
    if len(probes) and len(gallery) and len({kind == text for kind in kinds.values()}) > 1:
        raise UserError(
            "expected people of one kind in probes and gallery, got text and numbers; make both text by "
            "map(str, ...)"
        )


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """The scores of all genuine and of all impostor pairs, in no order that means anything."""

    genuine: Float[np.ndarray, " n"]
    impostor: Float[np.ndarray, " m"]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The ROC: what falling thresholds give, from one that accepts nothing.

    Attributes:
        far: share of impostor pairs accepted, rising from 0 to 1.
        vr: share of genuine pairs accepted, rising from 0 to 1.
    """

    far: Float[np.ndarray, " n"]
    vr: Float[np.ndarray, " n"]


def ranks(matrix: ScoreMatrix) -> Int[np.ndarray, " p"]:
    """The rank of each probe's own person among the people of the gallery; 1 is the best.

    Raises:
        UserError: a probe's person is not in the gallery.
    """
    probes, gallery = matrix.codes
    absent = np.unique(matrix.probes[~np.isin(probes, gallery)])
    if len(absent):
        some = ", ".join(map(str, absent[:5])) + (", ..." if len(absent) > 5 else "")
        raise UserError(
            f"expected every probe's person in the gallery, got {len(absent)} who are not ({some}); "
            "add them to the gallery or remove their probes"
        )
    best, people = _best_of_each(matrix.scores, gallery)
    own = best[np.arange(len(probes)), np.searchsorted(people, probes)]
    return np.asarray((best >= own[:, None]).sum(1))  # the own person counts as the one to add


def cmc(rank: Int[np.ndarray, " p"], depth: int) -> Float[np.ndarray, " {depth}"]:
    """The share of probes whose person is among the k best, k from 1 to ``depth``; Rank-1 is its first."""
    return np.bincount(np.minimum(rank, depth + 1), minlength=depth + 2)[1:-1].cumsum() / len(rank)


def pairs_of(matrix: ScoreMatrix) -> Pairs:
    """Separates genuine from impostor scores.

    Raises:
        UserError: there are no pairs of one kind.
    """
    genuine, impostor = matrix.scores[matrix.genuine], matrix.scores[~matrix.genuine]
    for name, scores in (("genuine", genuine), ("impostor", impostor)):
        if not len(scores):
            raise UserError(f"expected at least one {name} pair, got none; check the ids of both lists")
    return Pairs(genuine=genuine, impostor=impostor)


def allowed_impostors(far: float, impostors: int) -> int:
    """How many impostor pairs may be accepted at a FAR: the largest k with k / impostors <= far.

    Raises:
        UserError: the FAR is not between 0 and 1, or not a single pair may be accepted, so that it cannot be
            measured.
    """
    if not 0 < far < 1:
        raise UserError(f"expected a FAR between 0 and 1, got {far}; 0.1 % is 0.001")
    allowed = int(most_allowed(far, np.array([impostors]))[0])
    if allowed < 1:
        raise UserError(
            f"FAR = {far:g} needs at least {math.ceil(1 / far)} impostor pairs, got {impostors}; "
            "give a higher FAR or more images"
        )
    return allowed


def most_allowed(far: float, total: Integer[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """The largest whole k with k / total <= far, the quotient rounded as ``Curve.far`` is."""
    k = np.floor(far * total).astype(np.int64)
    k += (k + 1) / total <= far
    return k - (k / total > far)


def thresholds(pairs: Pairs, fars: Sequence[float]) -> dict[float, float]:
    """The lowest threshold whose FAR is at most each target: the next number above an impostor score.

    Raises:
        UserError: there are too few impostor pairs for a FAR.
    """
    allowed = {far: allowed_impostors(far, len(pairs.impostor)) for far in fars}
    tail = max(allowed.values(), default=0) + 1
    highest = np.sort(np.partition(pairs.impostor, -tail)[-tail:])
    above = np.nextafter(highest, np.inf, dtype=highest.dtype)
    return {far: float(above[-1 - k]) for far, k in allowed.items()}


def verification_rate(pairs: Pairs, far: float) -> float:
    """VR@FAR: the share of genuine pairs accepted at the lowest threshold that keeps to the FAR.

    Raises:
        UserError: there are too few impostor pairs for this FAR.
    """
    return float((pairs.genuine >= thresholds(pairs, [far])[far]).mean())


def roc(genuine: Int[np.ndarray, " n"], impostor: Int[np.ndarray, " n"]) -> Curve:
    """The ROC at the thresholds between levels of scores.

    Args:
        genuine: how many genuine scores are of each level, which rise.
        impostor: the same of impostor scores.
    """
    falling = genuine[::-1] + impostor[::-1] > 0  # levels that change something
    far, vr = (
        np.concatenate([[0], counts[::-1][falling].cumsum()]) / counts.sum() for counts in (impostor, genuine)
    )
    return Curve(far=far, vr=vr)


def equal_error_rate(curve: Curve) -> float:
    """Where FAR and FRR are equal, on the straight line between the two thresholds around it."""
    gap = curve.far - (1 - curve.vr)  # rises from -1 to 1
    after = int(np.argmax(gap >= 0))
    part = -gap[after - 1] / (gap[after] - gap[after - 1])
    return float(curve.far[after - 1] + part * (curve.far[after] - curve.far[after - 1]))


def _best_of_each(
    scores: Float[np.ndarray, "p g"], people: Int[np.ndarray, " g"]
) -> tuple[Float[np.ndarray, "p n"], Int[np.ndarray, " n"]]:
    """The best score of each person's gallery images; and the people, each once, rising."""
    order = np.argsort(people, kind="stable")
    once, starts = np.unique(people[order], return_index=True)
    if len(once) == len(people):
        return scores[:, order], once
    return np.maximum.reduceat(scores[:, order], starts, axis=1), once
