"""One HTML page of an evaluation: what ``templates/evaluation.html`` shows, as text and tables."""

from collections.abc import Mapping

from pcfh.evaluation.results import Comparison, Fold, GroupRow, Results, summaries
from pcfh.evaluation.sheets import FaceSheets
from pcfh.evaluation.text_tables import (
    RATES,
    UNMEASURED,
    TextTable,
    caption,
    interval_table,
    interval_text,
    label,
    main_table,
    percent,
    plain_interval_text,
    reference_note,
)
from pcfh.pages import render


def page(results: Results, plots: Mapping[str, tuple[bytes, bytes]], sheets: FaceSheets | None = None) -> str:
    """The whole page.

    Args:
        results: what was found.
        plots: PNG files of the curves "roc" and "cmc", for light and for dark colours.
        sheets: of faces; None leaves them out.
    """
    return render(
        "evaluation.html",
        title="Recognition via generation",
        caption=caption(results),
        notes=_notes(results, shown=sheets is not None),
        results=results,
        main=main_table(results),
        more=_more(results),
        below=_below(results),
        comparisons=_comparisons(results),
        sheets=sheets,
        plots=plots,
        folds=interval_table(results.folds),
        sizes=_sizes(results),
        quality=_quality(results),
        groups=_groups(results),
        worst=_worst(results),
        provenance=_provenance(results),
    )


def _notes(results: Results, *, shown: bool) -> list[str]:
    """What the reader must know, first what kind of faces these are."""
    notes = [*results.notes]
    if results.has_generator:
        notes.insert(0, "Faces called generated are synthetic: made by a model, no photographs.")
    if shown and not results.rendered:
        notes.append(
            "This page shows captures of the database. Where they are of real people, its licence and the "
            "law decide who may see the page; do not publish it."
        )
    return notes


def _more(results: Results) -> TextTable:
    rows = [
        (label(row.method), *map(percent, (*row.verification, row.eer, row.ranks[4], row.ranks[9])))
        for row in summaries(results)
    ]
    return TextTable("More FARs and ranks.", ("Method", *RATES, "EER", "Rank-5", "Rank-10"), rows).measured()


def _below(results: Results) -> list[str]:
    """What stands below the main table."""
    notes = [reference_note(results)]
    if any(None in row.verification for row in summaries(results)):
        notes.append(f"Where a FAR is left out or {UNMEASURED}, there are too few impostor pairs for it.")
    return [note for note in notes if note]


def _comparisons(results: Results) -> TextTable:
    rows = [_comparison(fold, compared) for fold in results.folds for compared in fold.comparisons]
    head = ("Method", "Protocol", "only it finds", "it loses", "McNemar p", *RATES)
    return TextTable("Method less the NIR image as it is.", head, rows).measured()


def _comparison(fold: Fold, compared: Comparison) -> tuple[str, ...]:
    test = compared.mcnemar
    differences = (interval_text(difference.interval, signed=True) for difference in compared.verification)
    counts = (str(test.only_b), str(test.only_a), f"{test.p_value:.2g}")
    return (label(compared.method), fold.protocol, *counts, *differences)


def _sizes(results: Results) -> TextTable:
    """How much each fold compares, by kind of probes."""
    rows = []
    for fold in results.folds:
        kinds = [("NIR", fold.probes, fold.people, fold.genuine, fold.impostors)]
        own = [figures.own for figures in fold.methods if figures.own is not None]
        kinds += [("VIS", one.probes, one.people, one.genuine, one.impostors) for one in own]
        for kind, probes, people, same, other in kinds:
            counts = (f"{count:,}" for count in (probes, people, fold.gallery, same, other))
            rows.append((fold.protocol, kind, *counts))
    head = ("Protocol", "probes are", "probes", "people", "gallery", "genuine pairs", "impostor pairs")
    return TextTable("What was compared.", head, rows, text_column=1)


def _worst(results: Results) -> TextTable:
    """The faces of the sheet of the worst by name, in its order."""
    rows = [
        (
            face.subject,
            face.wrong_subject,
            face.protocol,
            f"{face.right_score:.3f}",
            f"{face.wrong_score:.3f}",
        )
        for face in results.worst
    ]
    text = f"The lowest margins by {label(results.shown_by)}, from the left; below 0 the other one is found."
    head = ("Person", "nearest other", "Protocol", "right score", "other's score")
    return TextTable(text, head, rows)


def _quality(results: Results) -> TextTable:
    measures = list(dict.fromkeys(row.measure for row in results.quality))
    rows = [
        (row.measure, row.images, f"{row.probes:,}", plain_interval_text(row.interval))
        for row in sorted(results.quality, key=lambda row: measures.index(row.measure))
    ]
    text = "Means over probes with confidence intervals over people."
    return TextTable(text, ("Measure", "Between", "probes", "Mean"), rows, text_column=1)


def _groups(results: Results) -> list[TextTable]:
    head = ("Group", "Method", "Rank-1 error", "FRR", "FAR")
    columns = dict.fromkeys(row.column for row in results.groups)
    return [
        TextTable(
            column, head, [_group(row) for row in results.groups if row.column == column], text_column=1
        )
        for column in columns
    ]


def _group(row: GroupRow) -> tuple[str, ...]:
    error = interval_text(row.interval) if row.interval else f"{100 * row.rank1_error:.2f}"
    rates = (UNMEASURED if rate is None else f"{100 * rate:.2f}" for rate in (row.frr, row.far))
    probes, people = _count(row.probes, "probe", "probes"), _count(row.people, "person", "people")
    name = f"{row.value.replace('_', ' ')} ({probes}, {people})"
    return (name, label(row.method), error, *rates)


def _count(number: int, one: str, several: str) -> str:
    return f"{number:,} {one if number == 1 else several}"


def _provenance(results: Results) -> TextTable:
    """What is needed to compute the same figures again."""
    rows = [
        ("pcfh", results.version),
        *((f"{model.role} of protocol {model.protocol}", model.key) for model in results.models),
        ("manifest of the prepared database", results.manifest),
        ("crops", f"{results.size} pixels"),
        ("draws of people", f"{results.resamples}, seed {results.seed}"),
    ]
    return TextTable("Where the figures come from.", ("What", "Which"), rows, text_column=1)
