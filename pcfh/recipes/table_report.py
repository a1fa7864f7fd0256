"""Writes a finished table, our numbers beside the paper's; figures are in percent.

<out>/table.md, table.tex    the table with all its parts; the main one for LaTeX
<out>/table.html             one page that loads nothing
<out>/curve.png              the rows against images seen, where generators were kept along the way
<out>/results.json           everything, as plain data; written last
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from pcfh.databases.records import Record
from pcfh.evaluation.evaluation_data import EvaluationData
from pcfh.evaluation.intervals import Interval
from pcfh.evaluation.plots import DARK, LIGHT
from pcfh.evaluation.results import Spread
from pcfh.evaluation.sheets import sheet
from pcfh.evaluation.text_tables import UNMEASURED, TextTable, interval_text, percent
from pcfh.files import write_atomically
from pcfh.hallucinate import Hallucinator
from pcfh.images import jpeg_bytes, read_image
from pcfh.methods.train import GENERATOR
from pcfh.pages import render
from pcfh.preparation.manifest import crops_folder
from pcfh.recipes.comparison import (
    MEASURES,
    RATIO,
    Figures,
    MeasuredRow,
    OutsideView,
    PairedTest,
    ReproducedTable,
    error_cut,
    to_json,
)
from pcfh.recipes.curve import curve_png
from pcfh.recipes.experiment import ExperimentConfig, Run, evaluation_job, prepared_folder
from pcfh.recipes.paper_numbers import COLUMNS, LIGHT_CNN, PaperRow
from pcfh.recognisers.registry import open_recognizer

ABSENT = "–"
NOT_RUN = "not run"
RIVAL = "paper only"
_MOST_EXAMPLES, _SEED = 8, 0


def write_table(config: ExperimentConfig, table: ReproducedTable) -> Path:
    """Writes all files of a table.

    Args:
        config: what the user wanted.
        table: what came of it.

    Returns:
        The page.
    """
    curves = curve_pictures(table)
    files = {
        "table.md": markdown(table).encode(),
        "table.tex": latex(table).encode(),
        **({"curve.png": curves[0]} if curves else {}),
        "table.html": page(table, face_sheet(config, table), curves).encode(),
        "results.json": to_json(table).encode(),
    }
    for name, content in files.items():
        write_atomically(config.out / name, content)
    return config.out / "table.html"


def markdown(table: ReproducedTable) -> str:
    """The table and all its parts."""
    blocks = [f"# {title(table)}", caption(table)]
    for heading, part in parts(table).items():
        blocks += [f"## {heading}", part.caption, part.markdown()]
    if table.notes:
        blocks.append("\n".join(f"- {note}" for note in table.notes))
    return "\n\n".join(blocks) + "\n"


def latex(table: ReproducedTable) -> str:
    """The paper's table with both numbers, for the package booktabs."""
    main = _main(table)
    last = len(_questions(table)) + 1  # and the seeds
    rows = TextTable("", main.head[:-last], [row[:-last] for row in main.rows])
    return f"% {title(table)}. {caption(table)}\n{rows.latex()}\n"


def curve_pictures(table: ReproducedTable) -> tuple[bytes, bytes] | None:
    """PNG files of the curves in light and in dark colours; None where there are none."""
    if not table.curve:
        return None
    names = [table.recognizer, *(view.recognizer for view in table.outside)]
    label = {row.row: table.label(row.row) for row in table.curve}
    light, dark = (
        curve_png(table.curve, names, label, theme, light=theme is LIGHT) for theme in (LIGHT, DARK)
    )
    return light, dark


def page(
    table: ReproducedTable, faces: bytes | None = None, curves: tuple[bytes, bytes] | None = None
) -> str:
    """One HTML page: it holds its style and pictures and loads nothing.

    Args:
        table: finished.
        faces: JPEG file of a sheet; None leaves it out.
        curves: PNG files of the curves, for light and for dark colours; None leaves them out.
    """
    provenance = [
        ("pcfh", table.version),
        ("recogniser", table.recognizer_key),
        *((f"recogniser {view.recognizer}", view.key) for view in table.outside),
        ("preset", table.preset),
        ("settings", ", ".join(table.settings) or "as in the preset"),
        ("draws of people", f"{table.resamples}"),
    ]
    return render(
        "reproduction.html",
        title=title(table),
        caption=caption(table),
        notes=table.notes,
        sections=parts(table).items(),
        faces=faces,
        curves=curves,
        provenance=TextTable("Where the figures come from.", ("What", "Which"), provenance),
    )


def title(table: ReproducedTable) -> str:
    """What it is a table of."""
    return f"Table {table.paper.number}: {table.paper.title}"


def caption(table: ReproducedTable) -> str:
    """What was measured, in a few sentences."""
    several = len(table.folds) > 1
    folds = f"folds {', '.join(table.folds)}" if several else f"fold {table.folds[0]}"
    own = f", with {', '.join(table.settings)}" if table.settings else ""
    named = " and ".join(view.recognizer for view in table.outside)
    others = f"; further below by {named}, which no training has seen" if named else ""
    return (
        f"The paper's numbers beside ours, in percent. Recogniser {table.recognizer}{others}. "
        f"Trained on {folds} of CASIA NIR-VIS 2.0 or a database in its layout: preset {table.preset}{own}, "
        f"{table.size} pixels, {table.images:,} images seen by each training. "
        f"{table.probes:,} probes, {table.gallery:,} enrolled"
        f"{' in the first fold' if several else ''}. ± is the sample deviation over "
        f"{'folds' if several else 'seeds'}."
    )


def hours(seconds: float) -> str:
    """A time in the unit that suits it."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def parts(table: ReproducedTable) -> dict[str, TextTable]:
    """All there is to show by its heading, the paper's table first; what was not measured is left out."""
    made = {
        "Result": _main(table),
        **({"By every recogniser": _every(table)} if table.outside else {}),
        "Cut of Light CNN's errors": _cuts(table),
        "Paired tests": _tests(table, table.comparisons),
        "Generated image alone": _alone(table, table.rows),
        "What tuned recognisers make of other images": _tuned(table),
        **{heading: part for view in table.outside for heading, part in _outside(table, view).items()},
        "Images": _images(table),
        "Against images seen": _curve(table),
        "Cost of training": _cost(table),
    }
    return {heading: part for heading, part in made.items() if part.rows}


def _main(table: ReproducedTable) -> TextTable:
    text = (
        "Light CNN compares the NIR image as it is; the others take the average of that score and the "
        f"generated image's. Rows marked {RIVAL!r} have no public code."
    )
    if any(row.tuned for row in table.rows):
        text += (
            " Where F is tuned, the tuned recogniser compares the NIR image as it is, or the generated image "
            "of a row that has one. 'After X' was built here from what is known of X, whose number stands "
            "beside it; the decisions are listed in the paper map."
        )
    keys = table.paper.keys
    others = [row for row in table.rows if row.key not in keys]
    rows = [_main_row(table, row) for row in table.paper.rows]
    rows += [
        _main_row(table, PaperRow(label=table.label(row.key), figures=(ABSENT,) * 3, key=row.key))
        for row in others
    ]
    if any(UNMEASURED in cell for row in rows for cell in row):
        text += f" {UNMEASURED}: too few impostor pairs for this FAR."
    names = [f"{name}, {whose}" for name in COLUMNS for whose in ("paper", "ours")]
    return TextTable(text, ("Method", *names, *_questions(table), "seeds"), rows)


def _main_row(table: ReproducedTable, row: PaperRow) -> tuple[str, ...]:
    found = table.row(row.key)
    if found is not None:
        ours = [percent(spread) for spread in found.figures.columns]
    else:
        ours = [ABSENT if row.key is None else NOT_RUN] * len(COLUMNS)
    cells = [cell for pair in zip(row.figures, ours, strict=True) for cell in pair]
    label = f"{row.label} ({RIVAL})" if row.key is None else row.label
    asked = _questions(table)
    if found is None:
        return (label, *cells, *(ABSENT for _ in asked), ABSENT)
    answers = ["yes" if answer(found) else "no" for answer in asked.values()]
    return (table.label(found.key), *cells, *answers, _seeds(found))


def _questions(table: ReproducedTable) -> Mapping[str, Callable[[MeasuredRow], bool]]:
    """What tells rows apart that do not play the same game; nothing where all do."""
    if not any(row.tuned or row.sees_truth for row in table.rows):
        return {}
    return {"F tuned?": lambda row: row.tuned, "sees true images?": lambda row: row.sees_truth}


def _seeds(row: MeasuredRow) -> str:
    return ", ".join(map(str, row.seeds)) or ABSENT


def _every(table: ReproducedTable) -> TextTable:
    """Rank-1 and the cut of its errors by F and by each recogniser that no training has seen."""
    views = [(table.recognizer, table.row), *((view.recognizer, view.row) for view in table.outside)]
    rows = []
    for row in table.rows:
        found = [own for _, row_by in views if (own := row_by(row.key)) is not None]
        pairs = [(percent(own.figures.rank1), _cut(own.cuts.rank1) if own.cuts else ABSENT) for own in found]
        rows.append((table.label(row.key), *(cell for pair in pairs for cell in pair)))
    head = [title for name, _ in views for title in (f"Rank-1, {name}", "errors cut")]
    return TextTable(
        f"{table.recognizer} has a part in the training; the other recognisers have not, so what a generator "
        "has learnt to please does not count with them.",
        ("Method", *head),
        rows,
    )


def _outside(table: ReproducedTable, view: OutsideView) -> dict[str, TextTable]:
    """The parts of the table by a recogniser that no training has seen."""
    name = view.recognizer
    rows = [
        (
            table.label(row.key),
            *_columns(row.figures),
            *((_cut(row.cuts.rank1), _cut(row.cuts.vr01)) if row.cuts else (ABSENT, ABSENT)),
        )
        for row in view.rows
    ]
    head = ("Method", *COLUMNS, "Rank-1 errors cut", "misses at FAR=0.1% cut")
    return {
        f"Result by {name}": TextTable("No training has seen this recogniser.", head, rows),
        f"Paired tests by {name}": _tests(table, view.comparisons),
        f"Generated image alone by {name}": _alone(table, view.rows),
    }


def _cuts(table: ReproducedTable) -> TextTable:
    """The paper's cuts beside ours."""
    printed = {row.key: row for row in table.paper.rows}
    alone = printed[LIGHT_CNN].means
    rows = []
    for row in table.rows:
        if row.cuts is not None:
            means = printed[row.key].means if row.key in printed else None
            paper = [ABSENT if means is None else _cut(error_cut(means[i], alone[i], 100.0)) for i in (0, 2)]
            cells = (paper[0], _cut(row.cuts.rank1), paper[1], _cut(row.cuts.vr01))
            rows.append((table.label(row.key), *cells))
    return TextTable(
        "Which part of the errors of Light CNN alone goes away; negative where errors are added.",
        ("Method", "Rank-1 errors, paper", "ours", "misses at FAR=0.1%, paper", "ours"),
        rows,
    )


def _tests(table: ReproducedTable, comparisons: Sequence[PairedTest]) -> TextTable:
    text = (
        "Differences in points of the means over seeds, with 95 % confidence intervals over the same draws "
        "of people for both; two rows differ where the interval does not hold 0. McNemar's p of Rank-1 is "
        "the largest of all pairs of runs of one seed, and takes captures of one person for independent."
    )
    if len(table.folds) > 1:
        text += " Folds share people, so VR has no interval; folds won: with the higher VR at 0.1 %."
    rows = [_test(table, found) for found in comparisons]
    return TextTable(text, ("Comparison", *COLUMNS, "McNemar p", "folds won"), rows)


def _test(table: ReproducedTable, found: PairedTest) -> tuple[str, ...]:
    won = ABSENT if found.folds_won is None else f"{found.folds_won} of {len(table.folds)}"
    return (
        f"{table.label(found.row)} less {table.label(found.other)}",
        *(_interval(interval) for interval in (found.rank1, found.vr1, found.vr01)),
        f"{found.mcnemar_p:.2g}",
        won,
    )


def _alone(table: ReproducedTable, measured: Sequence[MeasuredRow]) -> TextTable:
    rows = [(table.label(row.key), *_columns(row.generated)) for row in measured if row.generated]
    rows += [("true VIS (perfect generator)", *_columns(row.truth)) for row in measured if row.truth]
    text = "The generated image's score, not averaged with the NIR image's."
    return TextTable(text, ("Method", *COLUMNS), rows)


def _tuned(table: ReproducedTable) -> TextTable:
    """What a tuning costs elsewhere: NIR images as they are, and VIS against VIS."""
    rows = [
        (
            table.label(row.key),
            *(_columns(row.original if row.tuned and row.original else row.figures)),
            *(_columns(row.reference) if row.reference else (ABSENT,) * len(COLUMNS)),
        )
        for row in table.rows
        if row.tuned or row.key == LIGHT_CNN
    ]
    head = [f"{name}, {what}" for what in ("NIR as it is", "VIS against VIS") for name in COLUMNS]
    text = (
        "The NIR image compared as it is, and further VIS captures of the people tested searched for in the "
        "gallery: what a recogniser forgets while it is tuned shows there."
    )
    return TextTable(text, ("Method", *head), rows if any(row.tuned for row in table.rows) else [])


def _images(table: ReproducedTable) -> TextTable:
    """Quality of the images, the NIR ones as they are for comparison."""
    names = [n for n in (*MEASURES, RATIO) if any(n == f.name for row in table.rows for f in row.images)]
    rows = []
    for row in table.rows:
        found = {item.name: item.figure for item in row.images}
        label = "NIR as it is, and the detector's noise" if row.key == LIGHT_CNN else table.label(row.key)
        if found:
            rows.append((label, *(_plain(found.get(name)) for name in names)))
    text = (
        "MAE (0 to 1), SSIM and skin ΔE2000 are against the true VIS image of the moment. Landmark distances "
        "are parts of the eyes' distance; the detector's noise is that from the NIR image to the true one."
    )
    return TextTable(text, ("Method", *names), rows)


def _curve(table: ReproducedTable) -> TextTable:
    """The rows along the way of their trainings."""
    names = [table.recognizer, *(view.recognizer for view in table.outside)]
    rows = [
        (
            table.label(row.row),
            f"{row.images:,}",
            *(f"{100 * one:.2f}" for pair in zip(row.fusion, row.alone, strict=True) for one in pair),
            ABSENT if row.error is None else f"{row.error:.4f}",
        )
        for row in table.curve
    ]
    probes = table.curve[0].probes if table.curve else 0
    head = [title for name in names for title in (f"Rank-1, {name}", "generated alone")]
    return TextTable(
        f"What the generators kept along the way are worth, on {probes:,} probes; means over seeds.",
        ("Method", "images", *head, "MAE"),
        rows,
    )


def _cost(table: ReproducedTable) -> TextTable:
    trained = [row for row in table.rows if row.seeds]
    count = {row.key: len(row.seeds) * len(table.folds) for row in trained}
    costs = [(table.label(row.key), count[row.key], row.cost) for row in trained]
    if costs:
        costs.append(("all", sum(count.values()), table.cost))
    rows = [(name, str(n), hours(c.processor_seconds), hours(c.wall_seconds)) for name, n, c in costs]
    return TextTable(
        "Over all seeds and folds, without steps that an interrupted call had to repeat; preparation and "
        "evaluation are not counted.",
        ("Method", "trainings", "processor time", "time by the clock"),
        rows,
    )


def _columns(figures: Figures) -> tuple[str, ...]:
    return tuple(percent(spread) for spread in figures.columns)


def _cut(part: float | None) -> str:
    return UNMEASURED if part is None else f"{100 * part:.1f} %"


def _interval(interval: Interval | None) -> str:
    return ABSENT if interval is None else interval_text(interval, signed=True)


def _plain(spread: Spread | None) -> str:
    if spread is None:
        return ABSENT
    mean = f"{spread.mean:.4g}"
    return mean if spread.deviation is None else f"{mean}±{spread.deviation:.2g}"


# Faces


def face_sheet(config: ExperimentConfig, table: ReproducedTable) -> bytes | None:
    """A JPEG file of some probes with what each row made of them; None where the faces are not rendered.

    Args:
        config: what the user wanted.
        table: what came of it.
    """
    if not table.rendered:
        return None
    fold = table.folds[0]
    generators = {
        table.label(row.key): Hallucinator.from_file(
            Run(row=row.key, seed=row.seeds[0], fold=fold).folder(config.work) / "run" / GENERATOR,
            device=config.device,
        )
        for row in table.rows
        if row.seeds and not row.tuned
    }
    job = evaluation_job(config, prepared_folder(config.work, "casia"), fold)
    alignment = open_recognizer(config.recognizer, device="cpu").alignment
    data = EvaluationData(job, {fold: next(iter(generators.values()))} if generators else {}, alignment)
    probes = _drawn(data.folds[0].probe)
    root = crops_folder(job.prepared, data.generated_size)
    by_row = {
        "NIR": [read_image(root / probe.path) for probe in probes],
        **{label: [*data.generated(generator, probes)] for label, generator in generators.items()},
        "true VIS": [*data.true_crops(probes)],
    }
    columns = [(probe.subject, [made[i] for made in by_row.values()]) for i, probe in enumerate(probes)]
    return jpeg_bytes(sheet(columns, [*by_row]), trained=bool(generators))


def _drawn(probes: Sequence[Record]) -> list[Record]:
    """Some probes by chance, the same at any time."""
    rng = np.random.default_rng(_SEED)
    chosen = rng.choice(len(probes), min(_MOST_EXAMPLES, len(probes)), replace=False)
    return [probes[i] for i in sorted(chosen.tolist())]
