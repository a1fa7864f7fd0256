"""A finished table as Markdown and LaTeX, and the parts that the page shows, too. Figures are in percent."""

from dataclasses import dataclass

from pcfh.evaluation.intervals import Interval
from pcfh.evaluation.results import Spread
from pcfh.evaluation.tables import UNMEASURED, TextTable, interval_text, markdown_table, percent
from pcfh.recipes.paper import COLUMNS, LIGHT_CNN, PaperRow
from pcfh.recipes.summary import MEASURES, RATIO, Figures, Measured, Versus, paper_cut
from pcfh.recipes.table import Table

ABSENT = "–"
NOT_RUN = "not run"
RIVAL = "paper only"


@dataclass(frozen=True, kw_only=True)
class Part:
    """A headed table; the first cell of a row names it."""

    title: str
    text: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def parts(table: Table) -> tuple[Part, ...]:
    """All there is to show, the paper's table first; what was not measured is left out."""
    made = (_main(table), _cuts(table), _tests(table), _alone(table), _images(table), _cost(table))
    return tuple(part for part in made if part.rows)


def markdown(table: Table) -> str:
    """The table and all its parts."""
    blocks = [f"# {title(table)}", caption(table)]
    for part in parts(table):
        blocks += [f"## {part.title}", part.text, markdown_table(part.head, part.rows)]
    if table.notes:
        blocks.append("\n".join(f"- {note}" for note in table.notes))
    return "\n\n".join(blocks) + "\n"


def latex(table: Table) -> str:
    """The paper's table with both numbers, for the package booktabs."""
    main = _main(table)
    rows = TextTable("", main.head[:-1], [row[:-1] for row in main.rows])
    return f"% {title(table)}. {caption(table)}\n{rows.latex()}\n"


def title(table: Table) -> str:
    """What it is a table of."""
    return f"Table {table.paper.number}: {table.paper.title}"


def caption(table: Table) -> str:
    """What was measured, in a few sentences."""
    several = len(table.folds) > 1
    folds = f"folds {', '.join(table.folds)}" if several else f"fold {table.folds[0]}"
    own = f", with {', '.join(table.settings)}" if table.settings else ""
    return (
        f"The paper's numbers beside ours, in percent. Recogniser {table.recognizer}. Trained on {folds} of "
        f"CASIA NIR-VIS 2.0 or a database in its layout: preset {table.preset}{own}, {table.size} pixels, "
        f"{table.images:,} images seen by each training. {table.probes:,} probes, {table.gallery:,} enrolled"
        f"{' in the first fold' if several else ''}. ± is the sample deviation over "
        f"{'folds' if several else 'seeds'}."
    )


def hours(seconds: float) -> str:
    """A time in the unit that suits it."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def _main(table: Table) -> Part:
    names = [f"{name}, {whose}" for name in COLUMNS for whose in ("paper", "ours")]
    text = (
        "Light CNN compares the NIR image as it is; the others take the average of that score and the "
        f"generated image's. Rows marked {RIVAL!r} have no public code."
    )
    if any(UNMEASURED in cell for row in table.paper.rows for cell in _main_row(table, row)):
        text += f" {UNMEASURED}: too few impostor pairs for this FAR."
    return Part(
        title="Result",
        text=text,
        head=("Method", *names, "seeds"),
        rows=tuple(_main_row(table, row) for row in table.paper.rows),
    )


def _main_row(table: Table, row: PaperRow) -> tuple[str, ...]:
    found = table.row(row.key)
    if found is not None:
        ours = [percent(spread) for spread in found.figures.columns]
    else:
        ours = [ABSENT if row.key is None else NOT_RUN] * len(COLUMNS)
    cells = [cell for pair in zip(row.figures, ours, strict=True) for cell in pair]
    label = row.label if row.key is not None else f"{row.label} ({RIVAL})"
    return (label, *cells, ABSENT if found is None else _seeds(found))


def _seeds(row: Measured) -> str:
    return ", ".join(map(str, row.seeds)) or ABSENT


def _cuts(table: Table) -> Part:
    """The paper's cuts beside ours."""
    alone = next(row for row in table.paper.rows if row.key == LIGHT_CNN).means
    rows = []
    for row in table.paper.rows:
        found = table.row(row.key)
        if found is not None and found.cuts is not None:
            paper = [_cut(paper_cut(row.means[i], alone[i])) for i in (0, 2)]
            rows.append((row.label, paper[0], _cut(found.cuts.rank1), paper[1], _cut(found.cuts.vr01)))
    return Part(
        title="Cut of Light CNN's errors",
        text="Which part of the errors of Light CNN alone goes away; negative where errors are added.",
        head=("Method", "Rank-1 errors, paper", "ours", "misses at FAR=0.1%, paper", "ours"),
        rows=tuple(rows),
    )


def _tests(table: Table) -> Part:
    text = (
        "Differences in points of the means over seeds, with 95 % intervals over the same draws of people "
        "for both; two rows differ where the interval does not hold 0. McNemar's p of Rank-1 is the largest "
        "of all pairs of runs of one seed, and takes captures of one person for independent."
    )
    if len(table.folds) > 1:
        text += " Folds share people, so VR has no interval; folds won: with the higher VR at 0.1 %."
    return Part(
        title="Paired tests",
        text=text,
        head=("Comparison", *COLUMNS, "McNemar p", "folds won"),
        rows=tuple(_test(table, found) for found in table.comparisons),
    )


def _test(table: Table, found: Versus) -> tuple[str, ...]:
    won = ABSENT if found.folds_won is None else f"{found.folds_won} of {len(table.folds)}"
    return (
        f"{table.label(found.row)} less {table.label(found.other)}",
        *(_interval(interval) for interval in (found.rank1, found.vr1, found.vr01)),
        f"{found.mcnemar_p:.2g}",
        won,
    )


def _alone(table: Table) -> Part:
    """Generated images alone, and the true ones."""
    rows = [(table.label(row.key), *_columns(row.generated)) for row in table.rows if row.generated]
    rows += [("true VIS (perfect generator)", *_columns(row.truth)) for row in table.rows if row.truth]
    return Part(
        title="Generated image alone",
        text="The generated image's score, not averaged with the NIR image's.",
        head=("Method", *COLUMNS),
        rows=tuple(rows),
    )


def _images(table: Table) -> Part:
    """Quality of the images, the NIR ones as they are for comparison."""
    names = [n for n in (*MEASURES, RATIO) if any(n == f.name for row in table.rows for f in row.images)]
    rows = []
    for row in table.rows:
        found = {item.name: item.figure for item in row.images}
        label = "NIR as it is, and the detector's noise" if row.key == LIGHT_CNN else table.label(row.key)
        if found:
            rows.append((label, *(_plain(found.get(name)) for name in names)))
    return Part(
        title="Images",
        text="MAE (0 to 1), SSIM and skin ΔE2000 are against the true VIS image of the moment. Landmark "
        "distances are parts of the eyes' distance; the detector's noise is that between the NIR image and "
        "the true one.",
        head=("Method", *names),
        rows=tuple(rows),
    )


def _cost(table: Table) -> Part:
    trained = [row for row in table.rows if row.seeds]
    rows = [
        (
            table.label(row.key),
            str(len(row.seeds) * len(table.folds)),
            hours(row.processor_seconds),
            hours(row.wall_seconds),
        )
        for row in trained
    ]
    total = (
        "all",
        str(sum(len(row.seeds) for row in trained) * len(table.folds)),
        hours(table.processor_seconds),
        hours(sum(row.wall_seconds for row in trained)),
    )
    return Part(
        title="Cost of training",
        text="Over all seeds and folds, interrupted calls included; preparation and evaluation are not.",
        head=("Method", "trainings", "processor time", "time by the clock"),
        rows=(*rows, total) if rows else (),
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
