"""The figures of one fold, from the scores of each method.

Axis letters: p probes, g gallery images, r draws of people.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from pcfh.databases.records import Protocol, Record
from pcfh.evaluation.groups import Draws, Outcomes, mean_interval
from pcfh.evaluation.intervals import Interval, mcnemar, percentile_interval, verification_rate_draws
from pcfh.evaluation.results import (
    DEPTH,
    FARS,
    REFERENCE,
    Comparison,
    Difference,
    Fold,
    MethodFigures,
    Mistake,
    OwnProbes,
    ShownFace,
    Verification,
)
from pcfh.landmarks.given import landmark_key
from pcfh.rates import (
    Curve,
    Pairs,
    ScoreMatrix,
    cmc,
    equal_error_rate,
    most_allowed,
    pairs_of,
    ranks,
    roc,
    thresholds,
    verification_rate,
)

_ROC_FARS = np.logspace(-6, 0, 61)


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """One method with what a comparison needs; draws of VR by FAR, None where it cannot be measured."""

    hits: Bool[np.ndarray, " p"]
    draws: Mapping[float, Float[np.ndarray, " r"] | None]
    figures: MethodFigures


def measurable(far: float, impostors: int) -> bool:
    """Whether a FAR can be measured: at least one impostor pair may be accepted."""
    return bool(most_allowed(far, np.array([impostors]))[0] >= 1)


def impostor_count(protocol: Protocol) -> int:
    """How many impostor pairs a protocol has."""
    gallery = [record.subject for record in protocol.gallery]
    return sum(len(gallery) - gallery.count(record.subject) for record in protocol.probe)


def fold_figures(
    name: str, matrices: Mapping[str, ScoreMatrix], draws: Draws, *, reference: ScoreMatrix | None = None
) -> Fold:
    """All figures of a fold.

    Args:
        name: of the protocol.
        matrices: scores of each method, of the same probes and gallery; the first is the original.
        draws: of people.
        reference: scores of VIS probes against the same gallery; its figures come last and are compared with
            nothing.

    Raises:
        UserError: a probe's person is not in the gallery, or there are no pairs of one kind.
    """
    measured = {method: _measure(method, matrix, draws) for method, matrix in matrices.items()}
    first, *others = measured.values()
    matrix = next(iter(matrices.values()))
    sizes = _sizes(matrix)
    methods = [one.figures for one in measured.values()]
    if reference is not None:
        methods.append(replace(_measure(REFERENCE, reference, draws).figures, own=_sizes(reference)))
    return Fold(
        protocol=name,
        probes=sizes.probes,
        gallery=len(matrix.gallery),
        people=sizes.people,
        genuine=sizes.genuine,
        impostors=sizes.impostors,
        methods=tuple(methods),
        comparisons=tuple(_compare(first, other) for other in others),
    )


def outcomes_of(
    matrix: ScoreMatrix, probes: Sequence[Record], keys: Sequence[str], far: float | None
) -> Outcomes:
    """What became of each probe, at the threshold of the whole fold.

    Args:
        matrix: scores of one method.
        probes: its rows.
        keys: paths of the probes' captures.
        far: whose threshold decides; None where none can be measured, then nothing is refused or accepted.
    """
    threshold = np.inf if far is None else thresholds(pairs_of(matrix), [far])[far]
    above, genuine = matrix.scores >= threshold, matrix.genuine
    return Outcomes(
        keys=tuple(landmark_key(key) for key in keys),
        people=np.array([record.subject for record in probes]),
        hits=ranks(matrix) == 1,
        genuine=genuine.sum(1),
        refused=(genuine & ~above).sum(1),
        impostor=(~genuine).sum(1),
        accepted=(above & ~genuine).sum(1),
    )


def worst_mistakes(method: str, matrix: ScoreMatrix, protocol: Protocol, *, most: int) -> list[Mistake]:
    """The probes whose best wrong score is furthest above the best right one, worst first."""
    (right, own), (wrong, other) = _best_images(matrix)
    margin = own - other
    worst = [row for row in np.argsort(margin, kind="stable")[:most] if margin[row] <= 0]
    return [
        Mistake(
            method=method,
            protocol=protocol.name,
            subject=protocol.probe[row].subject,
            probe=protocol.probe[row].path,
            right=protocol.gallery[right[row]].path,
            wrong=protocol.gallery[wrong[row]].path,
            wrong_subject=protocol.gallery[wrong[row]].subject,
            right_score=float(own[row]),
            wrong_score=float(other[row]),
        )
        for row in worst
    ]


def shown_faces(matrix: ScoreMatrix, protocol: Protocol) -> list[ShownFace]:
    """All probes with their person's best gallery image, in their order."""
    (right, own), (_, other) = _best_images(matrix)
    return [
        ShownFace(
            protocol=protocol.name,
            subject=probe.subject,
            probe=probe.path,
            gallery=protocol.gallery[right[row]].path,
            margin=float(own[row] - other[row]),
        )
        for row, probe in enumerate(protocol.probe)
    ]


def _best_images(
    matrix: ScoreMatrix,
) -> tuple[tuple[Int[np.ndarray, " p"], Float[np.ndarray, " p"]], ...]:
    """The best gallery image of each probe's own person with its score, and the best of someone else."""
    of_kind = (np.where(kind, matrix.scores, -np.inf) for kind in (matrix.genuine, ~matrix.genuine))
    return tuple((scores.argmax(1), scores.max(1)) for scores in of_kind)


def _sizes(matrix: ScoreMatrix) -> OwnProbes:
    genuine = int(matrix.genuine.sum())
    return OwnProbes(
        probes=len(matrix.probes),
        people=len(np.unique(matrix.probes)),
        genuine=genuine,
        impostors=matrix.scores.size - genuine,
    )


def _measure(method: str, matrix: ScoreMatrix, draws: Draws) -> _Measured:
    rank, pairs = ranks(matrix), pairs_of(matrix)
    hits, curve = rank == 1, roc(pairs)
    drawn = {far: _vr_draws(matrix, pairs, far, draws) for far in FARS}
    figures = MethodFigures(
        method=method,
        cmc=tuple(cmc(rank, DEPTH).tolist()),
        rank1_interval=mean_interval(hits, matrix.probes, draws),
        verification=tuple(_verification(pairs, far, drawn[far]) for far in FARS),
        eer=equal_error_rate(curve),
        roc=_points(curve, len(pairs.impostor)),
    )
    return _Measured(hits=hits, draws=drawn, figures=figures)


def _vr_draws(matrix: ScoreMatrix, pairs: Pairs, far: float, draws: Draws) -> Float[np.ndarray, " r"] | None:
    """VR in draws of people; None where the FAR cannot be measured, or one person has all probes."""
    if not measurable(far, len(pairs.impostor)) or len(np.unique(matrix.probes)) < 2:
        return None
    return verification_rate_draws(matrix, far, resamples=draws.resamples, seed=draws.seed)


def _verification(pairs: Pairs, far: float, draws: Float[np.ndarray, " r"] | None) -> Verification:
    if not measurable(far, len(pairs.impostor)):
        return Verification(far=far, vr=None, interval=None)
    vr = verification_rate(pairs, far)
    return Verification(far=far, vr=vr, interval=None if draws is None else percentile_interval(vr, draws))


def _compare(original: _Measured, other: _Measured) -> Comparison:
    """Rank-1 by McNemar's test, VR by the same draws of people for both."""
    rates = zip(original.figures.verification, other.figures.verification, strict=True)
    return Comparison(
        method=other.figures.method,
        mcnemar=mcnemar(original.hits, other.hits),
        verification=tuple(
            Difference(far=a.far, interval=_between(a, b, original.draws[a.far], other.draws[a.far]))
            for a, b in rates
        ),
    )


def _between(
    a: Verification, b: Verification, draws_a: np.ndarray | None, draws_b: np.ndarray | None
) -> Interval | None:
    """The second VR less the first."""
    if a.vr is None or b.vr is None or draws_a is None or draws_b is None:
        return None
    return percentile_interval(b.vr - a.vr, draws_b - draws_a)


def _points(curve: Curve, impostors: int) -> tuple[tuple[float, float], ...]:
    """The ROC at some FARs: VR at the lowest threshold that keeps to each, as everywhere."""
    fars = _ROC_FARS[impostors * _ROC_FARS >= 1]
    rates = curve.vr[np.searchsorted(curve.far, fars, side="right") - 1]
    return tuple(zip(fars.tolist(), rates.tolist(), strict=True))
