"""The figures of one fold, from the scores of each method.

Axis letters: r draws of people.
"""

from collections import Counter
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
from pcfh.evaluation.score_blocks import Sides
from pcfh.evaluation.streaming import ScoreFacts, accepted_impostors, score_facts
from pcfh.landmarks.given import landmark_key
from pcfh.rates import cmc, equal_error_rate, most_allowed

_ROC_FARS = np.logspace(-6, 0, 61)


@dataclass(frozen=True, kw_only=True)
class MethodOnFold:
    """One method on one fold.

    Attributes:
        facts: what its scores say.
        figures: for the report.
        outcome: for comparisons.
    """

    facts: ScoreFacts
    figures: MethodFigures
    outcome: MethodOutcome


def measurable(far: float, impostors: int) -> bool:
    """Whether a FAR can be measured: at least one impostor pair may be accepted."""
    return bool(most_allowed(far, np.array([impostors]))[0] >= 1)


def impostor_count(protocol: Protocol) -> int:
    """How many impostor pairs a protocol has."""
    images = Counter(record.subject for record in protocol.gallery)
    return sum(len(protocol.gallery) - images[record.subject] for record in protocol.probe)


def measure(method: str, sides: Sides, bootstrap: Bootstrap, *, own: bool = False) -> MethodOnFold:
    """All that the scores of a method say.

    Args:
        method: its name.
        sides: what it compares.
        bootstrap: draws of people.
        own: whether its probes are not those of the fold.

    Raises:
        UserError: there are no impostor pairs.
    """
    fars = [far for far in FARS if measurable(far, sides.impostors)]
    facts = score_facts(sides, fars, bootstrap)
    rank = facts.probes.rank
    rates = {far: facts.verification_rate(far) for far in fars}
    nothing = np.full(bootstrap.resamples, np.nan)
    outcome = MethodOutcome(
        people=sides.people[sides.probes],
        hits=rank == 1,
        rates=np.array([rates.get(far, np.nan) for far in FARS]),
        draws=np.stack([facts.draws.get(far, nothing) for far in FARS]),
    )
    figures = MethodFigures(
        method=method,
        cmc=tuple(cmc(rank, DEPTH).tolist()),
        rank1_interval=mean_interval(outcome.hits, outcome.people, bootstrap),
        verification=tuple(
            Verification(
                far=far,
                vr=rates.get(far),
                interval=percentile_interval(rates[far], facts.draws[far]) if far in facts.draws else None,
            )
            for far in FARS
        ),
        eer=equal_error_rate(facts.curve),
        roc=tuple(
            (far, facts.verification_rate(far)) for far in _ROC_FARS.tolist() if far * sides.impostors >= 1
        ),
        own=_sizes(sides) if own else None,
    )
    return MethodOnFold(facts=facts, figures=figures, outcome=outcome)


def fold_figures(name: str, measured: Mapping[str, MethodOnFold]) -> Fold:
    """All figures of a fold.

    Args:
        name: of the protocol.
        measured: each method; the first is the original, and those of the same probes are compared with it.
    """
    first, *others = measured.values()
    sizes = _sizes(first.facts.sides)
    return Fold(
        protocol=name,
        probes=sizes.probes,
        gallery=len(first.facts.sides.gallery),
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
    sides, genuine = one.facts.sides, one.facts.genuine
    threshold = np.inf if far is None else one.facts.threshold[far]
    pairs, accepted = (
        np.bincount(places, minlength=len(probes))
        for places in (genuine.probes, genuine.probes[genuine.scores >= threshold])
    )
    return ProbeCounts(
        keys=tuple(landmark_key(key) for key in keys),
        people=np.array([record.subject for record in probes]),
        hits=one.outcome.hits,
        genuine=pairs,
        refused=pairs - accepted,
        impostor=len(sides.gallery) - pairs,
        accepted=np.zeros_like(pairs) if far is None else accepted_impostors(sides, threshold),
    )


def shown_faces(facts: ScoreFacts, protocol: Protocol) -> list[ShownFace]:
    """All probes with the best gallery images of their person and of someone else, in their order."""
    genuine, others = facts.genuine, facts.probes
    best_first = np.lexsort((genuine.images, -genuine.scores, genuine.probes))
    _, first = np.unique(genuine.probes[best_first], return_index=True)
    own = best_first[first]
    return [
        ShownFace(
            protocol=protocol.name,
            subject=probe.subject,
            probe=probe.path,
            right=protocol.gallery[right].path,
            wrong=protocol.gallery[wrong].path,
            wrong_subject=protocol.gallery[wrong].subject,
            right_score=right_score,
            wrong_score=wrong_score,
            rank=rank,
        )
        for probe, right, wrong, right_score, wrong_score, rank in zip(
            protocol.probe,
            genuine.images[own].tolist(),
            others.image.tolist(),
            genuine.scores[own].tolist(),
            others.score.tolist(),
            others.rank.tolist(),
            strict=True,
        )
    ]


def _sizes(sides: Sides) -> OwnProbes:
    return OwnProbes(
        probes=len(sides.probes),
        people=int(np.count_nonzero(sides.images[0])),
        genuine=sides.genuine,
        impostors=sides.impostors,
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
