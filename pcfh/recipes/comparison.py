"""Results in, table out: from the evaluations of all runs to the figures of a table and their paired tests.

Over seeds there is the mean and the sample deviation; with several folds, the seeds are averaged within each
fold first, and mean and deviation are over folds.

Two rows are compared by the mean of each probe's outcome over the seeds: what a training gives on average.
The people of the test are drawn with replacement, the same for both rows, and the difference of the two means
has its confidence interval. That is the doubt about people; the doubt about seeds is the deviation of each
row. McNemar's test, which a single pair of runs allows, is given at its worst: the largest p value of any
pair of runs of one seed. Folds share people, so over several folds VR has no interval but its deviation.

Shares are in [0, 1]. Axis letters: n probes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Literal

import numpy as np
from jaxtyping import Float

from pcfh.evaluation.folds import rate_difference
from pcfh.evaluation.intervals import Bootstrap, Interval, mcnemar, mean_interval
from pcfh.evaluation.outcomes import Evaluation, MethodOutcome
from pcfh.evaluation.results import GENERATED, ORIGINAL, REFERENCE, TRUTH, Results, Spread, spread
from pcfh.recipes.experiment import Row, Run
from pcfh.recipes.paper_numbers import LIGHT_CNN, PCFH, TABLES, PaperTable
from pcfh.recognisers.tuning.base import known_rivals
from pcfh.typed_json import to_json_text

RATIO = "landmark distance over the detector's noise"
# What is reported of images: what it is called in the report of an evaluation, and between which images.
_DISTANCE = "landmark distance, of the eyes' distance"
MEASURES: Mapping[str, tuple[str, str]] = {
    "MAE": ("mean absolute error, 0 to 1", "truth"),
    "SSIM": ("SSIM", "truth"),
    "skin ΔE2000": ("skin ΔE2000", "truth"),
    "landmark distance, NIR to generated": (_DISTANCE, "input"),
    "yaw error, degrees": ("yaw error, degrees", "input"),
}


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The three columns of a table; None where there are too few impostor pairs."""

    rank1: Spread
    vr1: Spread | None
    vr01: Spread | None

    @property
    def columns(self) -> tuple[Spread | None, ...]:
        """In the table's order."""
        return (self.rank1, self.vr1, self.vr01)


@dataclass(frozen=True, kw_only=True)
class Cuts:
    """Which part of Light CNN's errors a row takes away, in [0, 1]; negative where it adds some.

    Attributes:
        rank1: of the probes that do not find their person first; None where Light CNN has no such.
        vr01: of the genuine pairs refused at FAR = 0.1 %; likewise.
    """

    rank1: float | None
    vr01: float | None


@dataclass(frozen=True, kw_only=True)
class ImageFigure:
    """A figure of image quality, by its name in ``MEASURES``, or ``RATIO``."""

    name: str
    figure: Spread


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What all trainings of a row took."""

    processor_seconds: float = 0.0
    wall_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class MeasuredRow:
    """What was measured of a row.

    Attributes:
        key: of the row.
        seeds: of the trainings; none where nothing is trained.
        figures: with the row's score.
        generated: with the generated pair's score alone; None where nothing is generated.
        truth: with the true VIS image in the place of a generated one, alone, where it is known: what a
            perfect generator would give. Of Light CNN's row only.
        original: with the NIR image as it is, of a row whose recogniser is tuned.
        reference: VIS captures searched for in VIS ones, of Light CNN and of tuned ones, which may forget.
        tuned: whether the recogniser is tuned to the training people.
        sees_truth: whether its generator learns from true VIS images of the very moments.
        cuts: against Light CNN; None without it, and in its own row.
        images: quality of the generated images; of Light CNN's row, of the NIR images as they are, and the
            detector's noise.
        cost: of its trainings.
    """

    key: str
    seeds: tuple[int, ...]
    figures: Figures
    generated: Figures | None
    truth: Figures | None
    cuts: Cuts | None
    images: tuple[ImageFigure, ...]
    cost: Cost
    original: Figures | None = None
    reference: Figures | None = None
    tuned: bool = False
    sees_truth: bool = False


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """One row less another.

    Attributes:
        row: key of the one.
        other: key of the other.
        rank1: difference of Rank-1.
        vr1: of VR at 1 %; None where not measured, or over several folds.
        vr01: of VR at 0.1 %; likewise.
        mcnemar_p: of Rank-1, the largest of any pair of runs of one seed and fold.
        folds_won: on how many of the folds its VR at 0.1 % is the higher one; None with one fold.
    """

    row: str
    other: str
    rank1: Interval | None
    vr1: Interval | None
    vr01: Interval | None
    mcnemar_p: float
    folds_won: int | None


@dataclass(frozen=True, kw_only=True)
class OutsideView:
    """The same rows by a recogniser that no training has seen.

    Attributes:
        recognizer: its name.
        key: what stands for its weights and settings.
        rows: figures of recognition; images and cost stand with the table's own rows.
        comparisons: between them.
    """

    recognizer: str
    key: str
    rows: tuple[MeasuredRow, ...]
    comparisons: tuple[PairedTest, ...]

    def row(self, key: str) -> MeasuredRow | None:
        """What it says of a row."""
        return next((row for row in self.rows if row.key == key), None)


@dataclass(frozen=True, kw_only=True)
class CurveRow:
    """The points of a row at some number of images, over its seeds and folds.

    Attributes:
        row: key of the row.
        images: seen.
        probes: how many.
        fusion: Rank-1 by each recogniser, in the order of the table.
        alone: of the generated image, likewise.
        error: mean absolute error; None where the truth is not known.
    """

    row: str
    images: int
    probes: int
    fusion: tuple[float, ...]
    alone: tuple[float, ...]
    error: float | None


@dataclass(frozen=True, kw_only=True)
class ReproducedTable:
    """One of the paper's tables, measured.

    Attributes:
        version: of the program.
        table: table1 to table4.
        folds: of CASIA, that models are trained on.
        recognizer: its name.
        recognizer_key: what stands for its weights and settings.
        preset: of PCFH.
        settings: overrides of the preset.
        images: NIR images that each training was to see, repetitions counted.
        size: side of the generated images.
        rendered: whether the faces tested are rendered.
        probes: NIR captures tested, of the first fold.
        gallery: VIS captures enrolled, likewise.
        resamples: draws of people of each confidence interval.
        rows: those that are done, in the paper's order, others after them.
        comparisons: between them.
        notes: what the reader must know.
        outside: the same rows by recognisers that no training has seen.
        curve: the rows against images seen, where generators were kept along the way.
    """

    version: str
    table: str
    folds: tuple[str, ...]
    recognizer: str
    recognizer_key: str
    preset: str
    settings: tuple[str, ...]
    images: int
    size: int
    rendered: bool
    probes: int
    gallery: int
    resamples: int
    rows: tuple[MeasuredRow, ...]
    comparisons: tuple[PairedTest, ...]
    notes: tuple[str, ...]
    outside: tuple[OutsideView, ...] = ()
    curve: tuple[CurveRow, ...] = ()

    @property
    def paper(self) -> PaperTable:
        """The table as the paper has it."""
        return TABLES[self.table]

    @property
    def cost(self) -> Cost:
        """Of all trainings."""
        return Cost(
            processor_seconds=fsum(row.cost.processor_seconds for row in self.rows),
            wall_seconds=fsum(row.cost.wall_seconds for row in self.rows),
        )

    def row(self, key: str | None) -> MeasuredRow | None:
        """What was measured of a row, if anything."""
        return next((row for row in self.rows if row.key == key), None)

    def label(self, key: str) -> str:
        """What the table calls a row."""
        rival = known_rivals().get(key)
        if rival is not None:
            return rival.label
        return next((row.label for row in self.paper.rows if row.key == key), key)


@dataclass(frozen=True, kw_only=True)
class _File:
    """The content of a table's results.json, for other programs."""

    format: Literal["pcfh-table-3"]
    paper: PaperTable
    results: ReproducedTable


Runs = Mapping[Run, Evaluation]


def to_json(table: ReproducedTable) -> str:
    """The whole table as JSON; it holds the paper's figures, too."""
    return to_json_text(_File(format="pcfh-table-3", paper=table.paper, results=table))


def figures_of(row: Row, runs: Runs, score: str | None = None) -> Figures:
    """Mean and deviation of the three columns over seeds or folds.

    Args:
        row: whose runs they are.
        runs: all of them.
        score: by which; the row's own if not given.
    """
    outcomes = _outcomes(row, runs, score)
    rank1 = over_runs({run: float(outcome.hits.mean()) for run, outcome in outcomes.items()})
    rates = [{run: float(outcome.rates[i]) for run, outcome in outcomes.items()} for i in range(2)]
    vr1, vr01 = (None if np.isnan([*column.values()]).any() else over_runs(column) for column in rates)
    return Figures(rank1=rank1, vr1=vr1, vr01=vr01)


def over_runs(values: Mapping[Run, float]) -> Spread:
    """Mean and deviation over folds of the seeds' means, or over seeds where there is one fold."""
    by_fold: dict[str, list[float]] = {}
    for run, value in values.items():
        by_fold.setdefault(run.fold, []).append(value)
    if len(by_fold) == 1:
        return spread(next(iter(by_fold.values())))
    return spread([float(np.mean(of_fold)) for of_fold in by_fold.values()])


def measured_row(row: Row, runs: Runs, alone: Figures | None, cost: Cost) -> MeasuredRow:
    """Everything of one row.

    Args:
        row: see there.
        runs: all of its runs.
        alone: figures of Light CNN; None where they are not there.
        cost: of its trainings.
    """
    figures, methods = figures_of(row, runs), next(iter(runs.values())).methods
    untrained = row.key == LIGHT_CNN
    return MeasuredRow(
        key=row.key,
        seeds=tuple(dict.fromkeys(run.seed for run in runs if run.seed is not None)),
        figures=figures,
        generated=figures_of(row, runs, GENERATED) if GENERATED in methods else None,
        truth=figures_of(row, runs, TRUTH) if untrained and TRUTH in methods else None,
        cuts=None if untrained or alone is None else cuts_of(figures, alone),
        images=_images(runs, untrained),
        cost=cost,
        original=figures_of(row, runs, ORIGINAL) if row.rival else None,
        reference=figures_of(row, runs, REFERENCE)
        if (untrained or row.rival) and REFERENCE in methods
        else None,
        tuned=row.rival is not None,
    )


def cuts_of(row: Figures, alone: Figures) -> Cuts:
    """What a row takes away of the errors of the recogniser alone."""
    rank1 = error_cut(row.rank1.mean, alone.rank1.mean)
    if row.vr01 is None or alone.vr01 is None:
        return Cuts(rank1=rank1, vr01=None)
    return Cuts(rank1=rank1, vr01=error_cut(row.vr01.mean, alone.vr01.mean))


def error_cut(row: float, alone: float, best: float = 1.0) -> float | None:
    """1 - (best - row) / (best - alone), with 100 as the best for percent; None where nothing can be cut."""
    return None if alone == best else 1 - (best - row) / (best - alone)


def compared(rows: Mapping[Row, Runs]) -> tuple[PairedTest, ...]:
    """Each row against Light CNN, and PCFH against each other row."""
    outcomes = {row.key: _outcomes(row, runs) for row, runs in rows.items()}
    pairs = [(key, LIGHT_CNN) for key in outcomes if key != LIGHT_CNN]
    pairs += [(PCFH, key) for key in outcomes if key not in (LIGHT_CNN, PCFH)]
    return tuple(
        paired_test((row, outcomes[row]), (other, outcomes[other]))
        for row, other in pairs
        if row in outcomes and other in outcomes
    )


def paired_test(
    row: tuple[str, Mapping[Run, MethodOutcome]], other: tuple[str, Mapping[Run, MethodOutcome]]
) -> PairedTest:
    """Compares two rows of the same folds, each given by its key and outcomes."""
    (name, a), (other_name, b) = row, other
    folds = list(dict.fromkeys(run.fold for run in a))
    of_fold = [(_of(a, fold), _of(b, fold)) for fold in folds]
    rates = (None, None) if len(folds) > 1 else tuple(_rate_difference(*of_fold[0], i) for i in range(2))
    return PairedTest(
        row=name,
        other=other_name,
        rank1=_rank1_difference(of_fold),
        vr1=rates[0],
        vr01=rates[1],
        mcnemar_p=_largest_p(a, b),
        folds_won=sum(_mean_rate(x, 1) > _mean_rate(y, 1) for x, y in of_fold) if len(folds) > 1 else None,
    )


def _outcomes(row: Row, runs: Runs, score: str | None = None) -> dict[Run, MethodOutcome]:
    return {run: evaluated.methods[score or row.score] for run, evaluated in runs.items()}


def _of(outcomes: Mapping[Run, MethodOutcome], fold: str) -> list[MethodOutcome]:
    return [outcome for run, outcome in outcomes.items() if run.fold == fold]


def _rank1_difference(folds: Sequence[tuple[list[MethodOutcome], list[MethodOutcome]]]) -> Interval | None:
    """Over people, each of whom is drawn with all probes in all folds; None where there is one person."""
    difference = np.concatenate([_mean_hits(a) - _mean_hits(b) for a, b in folds])
    people = np.concatenate([a[0].people for a, _ in folds])
    return mean_interval(difference, people, Bootstrap(resamples=folds[0][0][0].draws.shape[1]))


def _mean_hits(outcomes: Sequence[MethodOutcome]) -> Float[np.ndarray, " n"]:
    """Of each probe, the share of seeds that find its person first."""
    return np.asarray(np.mean([outcome.hits for outcome in outcomes], axis=0, dtype=np.float64))


def _rate_difference(a: Sequence[MethodOutcome], b: Sequence[MethodOutcome], far: int) -> Interval | None:
    """Of the VRs' means over seeds, in the same draws of people."""
    draws = np.mean([o.draws[far] for o in a], axis=0) - np.mean([o.draws[far] for o in b], axis=0)
    return rate_difference(_mean_rate(a, far) - _mean_rate(b, far), draws)


def _mean_rate(outcomes: Sequence[MethodOutcome], far: int) -> float:
    return float(np.mean([outcome.rates[far] for outcome in outcomes]))


def _largest_p(a: Mapping[Run, MethodOutcome], b: Mapping[Run, MethodOutcome]) -> float:
    """Of all pairs of runs of one fold and seed; a row that is not trained pairs with every seed."""
    pairs = [
        (x, y)
        for run, x in a.items()
        for other, y in b.items()
        if run.fold == other.fold and (None in (run.seed, other.seed) or run.seed == other.seed)
    ]
    return max((mcnemar(y.hits, x.hits).p_value for x, y in pairs), default=1.0)


def _images(runs: Runs, untrained: bool) -> tuple[ImageFigure, ...]:
    """Quality of the images; what was not measured in every run is left out."""
    first = "NIR" if untrained else "generated"
    pairs = {"truth": f"{first}, truth", "input": "NIR, truth" if untrained else "NIR, generated"}
    tables = {run: _quality(evaluated.results) for run, evaluated in runs.items()}
    wanted = {name: (measure, pairs[kind]) for name, (measure, kind) in MEASURES.items()}
    found = {
        name: over_runs({run: table[key] for run, table in tables.items()})
        for name, key in wanted.items()
        if all(key in table for table in tables.values())
    }
    moved, noise = (_DISTANCE, pairs["input"]), (_DISTANCE, "NIR, truth")
    if not untrained and all({noise, moved} <= table.keys() for table in tables.values()):
        found[RATIO] = over_runs({run: table[moved] / table[noise] for run, table in tables.items()})
    return tuple(ImageFigure(name=name, figure=figure) for name, figure in found.items())


def _quality(results: Results) -> dict[tuple[str, str], float]:
    return {(row.measure, row.images): row.interval.estimate for row in results.quality}
