"""One HTML page of an evaluation: it holds its style and pictures and loads nothing.

It follows the reader's choice of light or dark colours, its tables have captions and headed rows and columns,
and what a picture shows stands in words beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from pcfh.evaluation.html import data_url, document, framed, grouped, head_row, table
from pcfh.evaluation.intervals import Interval
from pcfh.evaluation.results import (
    Comparison,
    Fold,
    GroupRow,
    Mistake,
    Results,
    summaries,
)
from pcfh.evaluation.sheets import FaceSheets
from pcfh.evaluation.tables import (
    HEAD,
    INTERVAL_HEAD,
    LABELS,
    RATES,
    UNMEASURED,
    caption,
    interval_row,
    interval_text,
    measured,
    percent,
    reference_note,
    table_rows,
)

_STYLE = """
body{max-width:76rem}
p,ul,figcaption{max-width:60rem}
table{font-size:.9rem}
caption{font-weight:600}
th,td{white-space:nowrap}
.text{text-align:left}
tbody th[rowspan]{vertical-align:top}
td.long{white-space:normal;overflow-wrap:anywhere;text-align:left}
figure{display:inline-block;margin:.4rem .6rem .4rem 0;vertical-align:top}
figcaption{font-size:.9rem}
figure.wide{display:block;margin:1rem 0}
img{max-width:100%}
"""
_USE = """
<p>A generated face is a guess, made from a near-infrared picture and from what the model saw in training. It
is no photograph and no evidence. These figures describe one database; error rates on other people differ.</p>
<p>Do not use the method or this page</p>
<ul>
<li>to identify or follow people in public, or anybody who has no say in it;</li>
<li>as the sole ground for any decision about a person: an arrest, a refusal, a hit in a register;</li>
<li>to infer origin, health, mood or any other trait of a person;</li>
<li>to pass a generated face off as a real photograph.</li>
</ul>
"""
_METHOD = """
<p>Scores are cosines of the recogniser's features, higher for faces more alike. Fusion is the average of
the original pair's score and the generated pair's. A tie never helps: a probe counts as found only if its
person's best score is above everybody else's, and the threshold of a FAR is the lowest that accepts at
most that share of the impostor pairs. A FAR that would allow less than one impostor pair is not measured.
Intervals are 95 % percentile intervals of a bootstrap over people; ± is the sample deviation over
folds.</p>
"""


@dataclass(frozen=True, kw_only=True)
class Plots:
    """PNG files of each curve, for light and for dark colours."""

    roc: tuple[bytes, bytes]
    cmc: tuple[bytes, bytes]


@dataclass(frozen=True, kw_only=True)
class MistakePictures:
    """JPEG files of one mistake."""

    probe: bytes
    generated: bytes | None
    right: bytes
    wrong: bytes


def page(
    results: Results,
    plots: Plots,
    mistakes: Sequence[MistakePictures] = (),
    sheets: FaceSheets | None = None,
) -> str:
    """The whole page.

    Args:
        results: what was found.
        plots: curves of it.
        mistakes: pictures of ``results.mistakes``, in their order; none leaves them out.
        sheets: of faces; None leaves them out.
    """
    title = "Recognition via generation"
    sections = (
        _section("Result", _main_table(results)),
        _section("Against the NIR image as it is", _comparisons(results)),
        _section("Faces", _faces(results, sheets)),
        _section("Curves", _curves(plots)),
        _section("Each fold", _fold_table(results)),
        _section("Image quality", _quality(results)),
        _section("Errors by group", _groups(results)),
        _section("Worst mistakes", _mistakes(results, mistakes)),
        _section("How it was computed", _METHOD + _provenance(results)),
        _section("What this must not be used for", _USE),
    )
    notes = _faces_note(results, shown=bool(mistakes or sheets))
    return document(title, _STYLE, f"<p>{escape(caption(results))}</p>\n{notes}\n{''.join(sections)}")


def _section(title: str, content: str) -> str:
    """A headed part of the page; nothing where there is no content."""
    return f"<section>\n<h2>{title}</h2>\n{content}\n</section>\n" if content else ""


def _faces_note(results: Results, *, shown: bool) -> str:
    """Says what kind of faces these are."""
    notes = [*results.notes]
    if results.has_generator:
        notes.insert(0, "Faces called generated are synthetic: made by a model, no photographs.")
    if shown and not results.rendered:
        notes.append(
            "This page shows captures of the database. Where they are of real people, its licence and the "
            "law decide who may see the page; do not publish it."
        )
    return "".join(f'<p class="note">{escape(note)}</p>' for note in notes)


def _main_table(results: Results) -> str:
    text = "Recognition in percent, in the paper's form."
    notes = [reference_note(results)]
    if any(None in row.verification for row in summaries(results)):
        notes.append(f"Where a FAR is left out or {UNMEASURED}, there are too few impostor pairs for it.")
    more = [
        (LABELS[row.method], *map(percent, (*row.verification, row.eer, row.ranks[4], row.ranks[9])))
        for row in summaries(results)
    ]
    return (
        table(text, HEAD, table_rows(results))
        + table("More FARs and ranks.", *measured(("Method", *RATES, "EER", "Rank-5", "Rank-10"), more))
        + "".join(f"<p>{escape(note)}</p>" for note in notes if note)
    )


def _comparisons(results: Results) -> str:
    rows = [_comparison(fold, compared) for fold in results.folds for compared in fold.comparisons]
    if not rows:
        return ""
    head = ("Method", "Protocol", "only it finds", "it loses", "McNemar p", *RATES)
    text = (
        "<p>Rank-1: probes that only this method finds, that it loses, and McNemar's test, which takes "
        "captures of one person for independent. VR: the difference in percentage points with its interval, "
        "the same people drawn for both.</p>"
    )
    return text + table("Method less the NIR image as it is.", *measured(head, rows))


def _comparison(fold: Fold, compared: Comparison) -> tuple[str, ...]:
    test = compared.mcnemar
    differences = (interval_text(difference.interval, signed=True) for difference in compared.verification)
    counts = (str(test.only_b), str(test.only_a), f"{test.p_value:.2g}")
    return (LABELS[compared.method], fold.protocol, *counts, *differences)


def _curves(plots: Plots) -> str:
    texts = (
        ("ROC: share of genuine pairs accepted over the share of impostor pairs accepted.", plots.roc),
        ("CMC: share of probes whose person is among the k best.", plots.cmc),
    )
    return "".join(_plot(text, *pictures) for text, pictures in texts)


def _plot(text: str, light: bytes, dark: bytes) -> str:
    source = f'<source media="(prefers-color-scheme: dark)" srcset="{data_url("png", dark)}">'
    picture = (
        f'<picture>{source}<img src="{data_url("png", light)}" alt="{escape(text)}" width="600"></picture>'
    )
    return f"<figure>{picture}<figcaption>{escape(text)} The tables hold the numbers.</figcaption></figure>"


def _fold_table(results: Results) -> str:
    rows = [(fold.protocol, *interval_row(fold, method)) for fold in results.folds for method in fold.methods]
    sizes = [row for fold in results.folds for row in _sizes(fold)]
    head = ("Protocol", "probes are", "probes", "people", "gallery", "genuine pairs", "impostor pairs")
    figures = grouped(
        "Percent with intervals over people.", *measured(("Protocol", *INTERVAL_HEAD), rows), text_column=1
    )
    return figures + grouped("What was compared.", head, sizes, text_column=1)


def _sizes(fold: Fold) -> list[tuple[str, ...]]:
    """How much a fold compares, by kind of probes."""
    kinds = [("NIR", fold.probes, fold.people, fold.genuine, fold.impostors)]
    own = [figures.own for figures in fold.methods if figures.own is not None]
    kinds += [("VIS", one.probes, one.people, one.genuine, one.impostors) for one in own]
    return [
        (fold.protocol, kind, f"{probes:,}", f"{people:,}", f"{fold.gallery:,}", f"{same:,}", f"{other:,}")
        for kind, probes, people, same, other in kinds
    ]


def _quality(results: Results) -> str:
    rows = [
        (row.measure, row.images, f"{row.probes:,}", _plain_interval(row.interval)) for row in results.quality
    ]
    if not rows:
        return ""
    measures = list(dict.fromkeys(row[0] for row in rows))
    ordered = sorted(rows, key=lambda row: measures.index(row[0]))
    return grouped(
        "Means over probes with intervals over people.",
        ("Measure", "Between", "probes", "Mean"),
        ordered,
        text_column=1,
    )


def _groups(results: Results) -> str:
    if not results.groups:
        return ""
    far = results.group_far
    shared = (
        ""
        if far is None
        else f" FRR and FAR are at the one threshold that gives FAR = {_far(far)} over all groups together."
    )
    text = (
        f"<p>Percent, over all folds.{shared} Small groups have wide intervals; do not read more into a "
        "difference than they allow. No interval: the group is one person.</p>"
    )
    head = ("Group", "Method", "Rank-1 error", "FRR", "FAR")
    columns = dict.fromkeys(row.column for row in results.groups)
    return text + "".join(
        grouped(column, head, [_group(row) for row in results.groups if row.column == column], text_column=1)
        for column in columns
    )


def _group(row: GroupRow) -> tuple[str, ...]:
    error = interval_text(row.interval) if row.interval else f"{100 * row.rank1_error:.2f}"
    rates = (UNMEASURED if rate is None else f"{100 * rate:.2f}" for rate in (row.frr, row.far))
    probes, people = _count(row.probes, "probe", "probes"), _count(row.people, "person", "people")
    name = f"{row.value.replace('_', ' ')} ({probes}, {people})"
    return (name, LABELS[row.method], error, *rates)


def _count(number: int, one: str, several: str) -> str:
    return f"{number:,} {one if number == 1 else several}"


def _faces(results: Results, sheets: FaceSheets | None) -> str:
    if sheets is None:
        return ""
    rows = ", ".join(sheets.rows)
    above = (
        f"Above each: person and margin, the best right score less the best wrong one. From above: {rows}."
    )
    names = (
        (f"{len(results.random)} probes drawn at random (seed {results.seed}), not chosen.", sheets.random),
        (f"The {len(results.worst)} probes with the lowest margins.", sheets.worst),
    )
    return "".join(
        f'<figure class="wide"><img src="{data_url("jpeg", picture)}" alt="{escape(f"{name} {above}")}">'
        f"<figcaption>{escape(name)} {escape(above)}</figcaption></figure>"
        for name, picture in names
    )


def _mistakes(results: Results, pictures: Sequence[MistakePictures]) -> str:
    if not pictures:
        return ""
    body = "".join(_mistake(m, p) for m, p in zip(results.mistakes, pictures, strict=True))
    head = ("Person", "NIR probe", "generated (synthetic)", "right person", "taken for")
    names = "".join(f'<th scope="col" class="text">{name}</th>' for name in head)
    text = f"By {LABELS[results.mistakes[0].method]}; furthest wrong first, with scores."
    return framed(text, names, body)


def _mistake(mistake: Mistake, pictures: MistakePictures) -> str:
    subject, other = mistake.subject, mistake.wrong_subject
    cells = (
        (pictures.probe, f"NIR probe of {subject}", ""),
        (pictures.generated, f"generated face of {subject}", ""),
        (pictures.right, f"gallery image of {subject}", f"{mistake.right_score:.3f}"),
        (pictures.wrong, f"gallery image of {other}", f"{other}: {mistake.wrong_score:.3f}"),
    )
    shown = "".join(f'<td class="text">{_image(*cell)}</td>' for cell in cells)
    return f'<tr><th scope="row">{escape(subject)}</th>{shown}</tr>'


def _image(picture: bytes | None, text: str, below: str) -> str:
    if picture is None:
        return "none"
    return f'<img src="{data_url("jpeg", picture)}" alt="{escape(text)}">{escape(below)}'


def _provenance(results: Results) -> str:
    """What is needed to compute the same figures again."""
    items = [
        ("pcfh", results.version),
        *((f"{model.role} of protocol {model.protocol}", model.key) for model in results.models),
        ("manifest of the prepared database", results.manifest),
        ("crops", f"{results.size} pixels"),
        ("draws of people", f"{results.resamples}, seed {results.seed}"),
    ]
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="long">{escape(value)}</td></tr>'
        for name, value in items
    )
    return framed("Where the figures come from.", head_row(("What", "Which"), text_column=1), lines)


def _far(far: float) -> str:
    return f"{100 * far:g} %"


def _plain_interval(interval: Interval) -> str:
    return f"{interval.estimate:.4g} [{interval.low:.4g}, {interval.high:.4g}]"
