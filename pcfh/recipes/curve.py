"""How trainings went: what the generators that they kept are worth, against the images that they had seen.

    <run>/<database>/curve.json    a point for each generator and recogniser; what is there is not done again

Each generator is scored on the same probes, ``PROBES`` of them evenly spaced, against the whole gallery. The
points of another machine count, too, where its curve.json is put there.
"""

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import fsum
from pathlib import Path
from typing import Literal

from pcfh.errors import UserError
from pcfh.evaluation.evaluate import evaluate
from pcfh.evaluation.evaluation_data import EvaluationData, EvaluationJob, model_of
from pcfh.evaluation.generated import cache_of
from pcfh.evaluation.plots import Theme, empty_figure, finished_figure
from pcfh.evaluation.results import FUSION, GENERATED, Results
from pcfh.evaluation.score_methods import Progress
from pcfh.files import write_atomically
from pcfh.hallucinate import Hallucinator
from pcfh.recipes.comparison import MEASURES, CurveRow
from pcfh.recognisers.base import Recognizer
from pcfh.typed_json import from_json_text, to_json_text

CURVE = "curve.json"
PROBES = 1000
_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*")
_COLOURS: Mapping[bool, tuple[str, ...]] = {  # of lines on light and on dark, told apart by the colour-blind
    True: ("#0072b2", "#d55e00", "#007a5a", "#9c4f7c", "#a6761d", "#5b5b5b", "#3b4cc0", "#1b1f24"),
    False: ("#56b4e9", "#e69f00", "#2fd0a0", "#e59ac8", "#f0e442", "#b8b8b8", "#9fb4ff", "#e6e6e6"),
}


@dataclass(frozen=True, kw_only=True)
class Point:
    """One generator by one recogniser; shares are in [0, 1].

    Attributes:
        images: NIR images that the generator had seen.
        model: SHA-256 of its file.
        recognizer: name of the recogniser.
        key: what stands for its weights and settings.
        data: SHA-256 of the manifest of the preparation, of the whole one where crops came packed.
        probes: how many.
        fusion: Rank-1 of the average of the NIR image's and the generated image's score.
        alone: Rank-1 of the generated image.
        error: mean absolute error of the generated image, 0 to 1; None where the truth is not known, or where
            another recogniser's point has it.
    """

    images: int
    model: str
    recognizer: str
    key: str
    data: str
    probes: int
    fusion: float
    alone: float
    error: float | None


@dataclass(frozen=True, kw_only=True)
class _File:
    """The content of a curve.json."""

    format: Literal["pcfh-curve-1"]
    points: tuple[Point, ...]


def measure_points(
    folder: Path,
    files: Sequence[Path],
    job: EvaluationJob,
    recognizers: Sequence[Recognizer],
    *,
    device: str,
    on_progress: Progress,
) -> None:
    """Scores generators by each recogniser and keeps the points; those that are there are not made again.

    Args:
        folder: of the evaluation.
        files: of the generators.
        job: what to evaluate on: one protocol, some of its probes.
        recognizers: F first.
        device: for the generators.
        on_progress: called with what is being done, how many of it are done and of how many.

    Raises:
        UserError: a file does not fit, or has learnt from people of the test.
    """
    for file in files:
        generator = Hallucinator.from_file(file, device=device)
        for recognizer in recognizers:
            known = read_points(folder / CURVE)
            data = EvaluationData(job, {job.protocols[0]: generator}, recognizer.alignment)
            if (model_of(generator), recognizer.key, data.whole_digest) in {
                (point.model, point.key, point.data) for point in known
            }:
                continue
            first = recognizer is recognizers[0]
            results = evaluate(data, recognizer, quality=first, on_progress=on_progress).results
            point = _point(results, data, generator, recognizer)
            content = _File(format="pcfh-curve-1", points=(*known, point))
            write_atomically(folder / CURVE, to_json_text(content).encode())
        if file != files[-1]:  # the last one's faces are the table's, too
            shutil.rmtree(cache_of(generator, job.cache), ignore_errors=True)


def read_points(path: Path) -> tuple[Point, ...]:
    """The points of a run; none where there is no such file.

    Raises:
        UserError: the file is damaged.
    """
    if not path.is_file():
        return ()
    try:
        return from_json_text(path.read_bytes(), _File, "the points of a curve (pcfh-curve-1)").points
    except UserError as error:
        raise UserError(f"{path}: {error}; delete it, and the same command makes it again") from error


def curve_rows(points: Mapping[str, Sequence[Point]], keys: Sequence[str]) -> tuple[CurveRow, ...]:
    """The means over runs, of each row and number of images that every recogniser has scored.

    Only points on the same probes can be set beside each other: those of the preparation that has most.

    Args:
        points: of all runs, by the key of the row.
        keys: of the recognisers, in the order of the table.
    """
    every = Counter((point.data, point.probes) for own in points.values() for point in own)
    same = every.most_common(1)[0][0] if every else None
    rows = []
    for row, of_row in points.items():
        own = [point for point in of_row if (point.data, point.probes) == same]
        for images in sorted({point.images for point in own}):
            here = [[p for p in own if p.images == images and p.key == key] for key in keys]
            if all(here):
                errors = [p.error for of_one in here for p in of_one if p.error is not None]
                rows.append(
                    CurveRow(
                        row=row,
                        images=images,
                        probes=own[0].probes,
                        fusion=tuple(_mean([p.fusion for p in of_one]) for of_one in here),
                        alone=tuple(_mean([p.alone for p in of_one]) for of_one in here),
                        error=_mean(errors) if errors else None,
                    )
                )
    return tuple(rows)


def curve_png(
    rows: Sequence[CurveRow], names: Sequence[str], label: Mapping[str, str], theme: Theme, *, light: bool
) -> bytes:
    """Rank-1 by each recogniser, and the error where the truth is known, against images seen.

    Args:
        rows: see there.
        names: of the recognisers.
        label: of the rows, by key.
        theme: colours of the picture.
        light: whether they are light.
    """
    known = any(row.error is not None for row in rows)
    titles = [*(f"Rank-1 (%), {name}" for name in names), *(["mean absolute error"] if known else [])]
    figure, panels = empty_figure(theme, len(titles))
    for number, key in enumerate(dict.fromkeys(row.row for row in rows)):
        own = [row for row in rows if row.row == key]
        values = [[100 * row.fusion[i] for row in own] for i in range(len(names))]
        if known:
            values.append([float("nan") if row.error is None else row.error for row in own])
        for axes, heights in zip(panels, values, strict=True):
            axes.plot(
                [row.images for row in own],
                heights,
                color=_COLOURS[light][number % len(_COLOURS[light])],
                marker=_MARKERS[number % len(_MARKERS)],
                markersize=4,
                label=label[key],
            )
    for axes, title in zip(panels, titles, strict=True):
        axes.set_xlabel("images seen")
        axes.set_ylabel(title)
    return finished_figure(figure, panels, theme)


def _mean(values: Sequence[float]) -> float:
    return fsum(values) / len(values)


def _point(results: Results, data: EvaluationData, generator: Hallucinator, recognizer: Recognizer) -> Point:
    """What an evaluation says of a generator."""
    (fold,) = results.folds
    rank1 = {figures.method: figures.cmc[0] for figures in fold.methods}
    measure, against = MEASURES["MAE"]
    errors = [
        row.interval.estimate
        for row in results.quality
        if (row.measure, row.images) == (measure, f"generated, {against}")
    ]
    return Point(
        images=int(generator.about.get("images", generator.about.get("step", 0))),
        model=model_of(generator),
        recognizer=recognizer.name,
        key=recognizer.key,
        data=data.whole_digest,
        probes=fold.probes,
        fusion=rank1[FUSION],
        alone=rank1[GENERATED],
        error=errors[0] if errors else None,
    )


def curve_job(job: EvaluationJob) -> EvaluationJob:
    """The same on some of the probes, without intervals that nobody reads."""
    return replace(job, probes=PROBES, resamples=2)
