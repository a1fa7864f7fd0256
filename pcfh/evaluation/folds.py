"""The figures of one fold, from the scores of each method.

Axis letters: r draws of people.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pcfh.databases.records import Protocol, Record
from pcfh.evaluation.groups import ProbeCounts
from pcfh.evaluation.intervals import (
    Bootstrap,
    Interval,
    mcnemar,
    mean_interval,
    percentile_interval,
    verification_rate_draws,
)
from pcfh.evaluation.outcomes import MethodOutcome
from pcfh.evaluation.results import (
    DEPTH,
    FARS,
    Comparison,
    Difference,
    Fold,
    MethodFigures,
    OwnProbes,
    ShownFace,
    Verification,
)
from pcfh.landmarks.given import landmark_key
from pcfh.rates import (
    Curve,
    ScoreMatrix,
    cmc,
    equal_error_rate,
    most_allowed,
    pairs_of,
    ranks,
    roc,
    thresholds,
)

_ROC_FARS = np.logspace(-6, 0, 61)


@dataclass(frozen=True, kw_only=True)
class MethodOnFold:
    """One method on one fold.

    Attributes:
        matrix: its scores.
        threshold: by FAR, of those that can be measured.
        figures: for the report.
        outcome: for comparisons.
    """

    matrix: ScoreMatrix
    threshold: Mapping[float, float]
    figures: MethodFigures
    outcome: MethodOutcome


def measurable(far: float, impostors: int) -> bool:
    """Whether a FAR can be measured: at least one impostor pair may be accepted."""
    return bool(most_allowed(far, np.array([impostors]))[0] >= 1)


def impostor_count(protocol: Protocol) -> int:
    """How many impostor pairs a protocol has."""
    gallery = [record.subject for record in protocol.gallery]
    return sum(len(gallery) - gallery.count(record.subject) for record in protocol.probe)


def measure(method: str, matrix: ScoreMatrix, bootstrap: Bootstrap, *, own: bool = False) -> MethodOnFold:
    """All that the scores of a method say.

    Args:
        method: its name.
        matrix: its scores.
        bootstrap: draws of people.
        own: whether its probes are not those of the fold.

    Raises:
        UserError: a probe's person is not in the gallery, or there are no pairs of one kind.
    """
    rank, pairs = ranks(matrix), pairs_of(matrix)
    hits, curve = rank == 1, roc(pairs)
    fars = [far for far in FARS if measurable(far, len(pairs.impostor))]
    threshold = thresholds(pairs, fars)
    rates = {far: float((pairs.genuine >= score).mean()) for far, score in threshold.items()}
    several = len(np.unique(matrix.probes)) > 1
    drawn = dict(zip(fars, verification_rate_draws(matrix, fars, bootstrap), strict=True)) if several else {}
    nothing = np.full(bootstrap.resamples, np.nan)
    outcome = MethodOutcome(
        people=matrix.probes,
        hits=hits,
        rates=np.array([rates.get(far, np.nan) for far in FARS]),
        draws=np.stack([drawn.get(far, nothing) for far in FARS]),
    )
    figures = MethodFigures(
        method=method,
        cmc=tuple(cmc(rank, DEPTH).tolist()),
        rank1_interval=mean_interval(hits, matrix.probes, bootstrap),
        verification=tuple(
            Verification(
                far=far,
                vr=rates.get(far),
                interval=percentile_interval(rates[far], drawn[far]) if far in drawn else None,
            )
            for far in FARS
        ),
        eer=equal_error_rate(curve),
        roc=_points(curve, len(pairs.impostor)),
        own=_sizes(matrix) if own else None,
    )
    return MethodOnFold(matrix=matrix, threshold=threshold, figures=figures, outcome=outcome)


def fold_figures(name: str, measured: Mapping[str, MethodOnFold]) -> Fold:
    """All figures of a fold.

    Args:
        name: of the protocol.
        measured: each method; the first is the original, and those of the same probes are compared with it.
    """
    first, *others = measured.values()
    sizes = _sizes(first.matrix)
    return Fold(
        protocol=name,
        probes=sizes.probes,
        gallery=len(first.matrix.gallery),
        people=sizes.people,
        genuine=sizes.genuine,
        impostors=sizes.impostors,
        methods=tuple(one.figures for one in measured.values()),
        comparisons=tuple(_compare(first, other) for other in others if other.figures.own is None),
    )


def probe_counts(
    one: MethodOnFold, probes: Sequence[Record], keys: Sequence[str], far: float | None
) -> ProbeCounts:
    """What became of the pairs of each probe, at the threshold of the whole fold.

    Args:
        one: a method.
        probes: its rows.
        keys: paths of the probes' captures.
        far: whose threshold decides; None where none can be measured, then nothing is refused or accepted.
    """
    matrix = one.matrix
    above = matrix.scores >= (np.inf if far is None else one.threshold[far])
    genuine = matrix.genuine
    return ProbeCounts(
        keys=tuple(landmark_key(key) for key in keys),
        people=np.array([record.subject for record in probes]),
        hits=one.outcome.hits,
        genuine=genuine.sum(1),
        refused=(genuine & ~above).sum(1),
        impostor=(~genuine).sum(1),
        accepted=(above & ~genuine).sum(1),
    )


def shown_faces(matrix: ScoreMatrix, protocol: Protocol) -> list[ShownFace]:
    """All probes with the best gallery images of their person and of someone else, in their order."""
    of_kind = [np.where(kind, matrix.scores, -np.inf) for kind in (matrix.genuine, ~matrix.genuine)]
    (right, own), (wrong, other) = ((scores.argmax(1), scores.max(1)) for scores in of_kind)
    rank = ranks(matrix)
    return [
        ShownFace(
            protocol=protocol.name,
            subject=probe.subject,
            probe=probe.path,
            right=protocol.gallery[right[row]].path,
            wrong=protocol.gallery[wrong[row]].path,
            wrong_subject=protocol.gallery[wrong[row]].subject,
            right_score=float(own[row]),
            wrong_score=float(other[row]),
            rank=int(rank[row]),
        )
        for row, probe in enumerate(protocol.probe)
    ]


def _sizes(matrix: ScoreMatrix) -> OwnProbes:
    genuine = int(matrix.genuine.sum())
    return OwnProbes(
        probes=len(matrix.probes),
        people=len(np.unique(matrix.probes)),
        genuine=genuine,
        impostors=matrix.scores.size - genuine,
    )


def _compare(original: MethodOnFold, other: MethodOnFold) -> Comparison:
    """Rank-1 by McNemar's test, VR by the same draws of people for both."""
    a, b = original.outcome, other.outcome
    return Comparison(
        method=other.figures.method,
        mcnemar=mcnemar(a.hits, b.hits),
        verification=tuple(
            Difference(far=far, interval=rate_difference(b.rates[i] - a.rates[i], b.draws[i] - a.draws[i]))
            for i, far in enumerate(FARS)
        ),
    )


def rate_difference(difference: float, draws: Float[np.ndarray, " r"]) -> Interval | None:
    """The confidence interval of a difference of VR; None where it was not measured."""
    return None if np.isnan(draws).any() else percentile_interval(float(difference), draws)


def _points(curve: Curve, impostors: int) -> tuple[tuple[float, float], ...]:
    """The ROC at some FARs: VR at the lowest threshold that keeps to each, as everywhere."""
    fars = _ROC_FARS[impostors * _ROC_FARS >= 1]
    rates = curve.vr[np.searchsorted(curve.far, fars, side="right") - 1]
    return tuple(zip(fars.tolist(), rates.tolist(), strict=True))
