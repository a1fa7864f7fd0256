"""One HTML page of an evaluation: it holds its style and pictures and loads nothing.

It follows the reader's choice of light or dark colours, its tables have captions and headed rows and columns,
and what a picture shows stands in words beside it.
"""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from pcfh.metrics.intervals import Interval
from pcfh.recognition.results import FARS, Comparison, Fold, GroupRow, Mistake, Results, summaries
from pcfh.recognition.tables import HEAD, LABELS, UNMEASURED, caption, percent, table_rows

_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--back:#fff;--line:#c9ced6;--soft:#f3f5f8;--warn:#fff4d6}
@media(prefers-color-scheme:dark){:root{--ink:#e6e6e6;
--back:#161b22;--line:#444c56;--soft:#21262d;--warn:#3a3010}}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--back);max-width:64rem;
margin:0 auto;padding:1.5rem}
h1{font-size:1.6rem;line-height:1.2}h2{font-size:1.2rem;margin-top:2.2rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;margin:.8rem 0;font-variant-numeric:tabular-nums}
caption{text-align:left;padding:.3rem 0}
th,td{border-bottom:1px solid var(--line);padding:.3rem .8rem;text-align:right}
th[scope=row],thead th:first-child,td.text{text-align:left}
thead th{background:var(--soft)}
.note{background:var(--warn);padding:.6rem 1rem;border-radius:.4rem}
figure{display:inline-block;margin:.4rem .6rem .4rem 0;vertical-align:top}
figcaption{font-size:.9rem}
img{max-width:100%;height:auto;display:block}
td img{width:112px}
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


def page(results: Results, plots: Plots, mistakes: Sequence[MistakePictures] = ()) -> str:
    """The whole page.

    Args:
        results: what was found.
        plots: curves of it.
        mistakes: pictures of ``results.mistakes``, in their order; none leaves them out.
    """
    title = "Recognition via generation"
    sections = (
        _section("Result", _main_table(results)),
        _section("Against the NIR image as it is", _comparisons(results)),
        _section("Curves", _curves(plots)),
        _section("Each fold", _fold_table(results)),
        _section("Image quality", _quality(results)),
        _section("Errors by group", _groups(results)),
        _section("Worst mistakes", _mistakes(results, mistakes)),
        _section("How it was computed", _METHOD + _provenance(results)),
        _section("What this must not be used for", _USE),
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
        f"<p>{escape(caption(results))}</p>\n{_faces_note(results, shown=bool(mistakes))}\n"
        f"{''.join(sections)}</main>\n</body>\n</html>\n"
    )


def _section(title: str, content: str) -> str:
    """A headed part of the page; nothing where there is no content."""
    return f"<section>\n<h2>{title}</h2>\n{content}\n</section>\n" if content else ""


def _faces_note(results: Results, *, shown: bool) -> str:
    """Says what kind of faces these are."""
    notes = [*results.notes]
    if results.generators:
        notes.insert(0, "Faces called generated are synthetic: made by a model, no photographs.")
    if shown and not results.rendered:
        notes.append(
            "This page shows captures of the database. Where they are of real people, its licence and the "
            "law decide who may see the page; do not publish it."
        )
    return "".join(f'<p class="note">{escape(note)}</p>' for note in notes)


def _main_table(results: Results) -> str:
    text = "Recognition in percent, in the paper's form."
    absent = any(UNMEASURED in row for row in table_rows(results))
    why = f"<p>{UNMEASURED}: too few impostor pairs for this FAR.</p>" if absent else ""
    more = [
        (LABELS[row.method], *map(percent, (*row.verification, row.eer, row.ranks[4], row.ranks[9])))
        for row in summaries(results)
    ]
    fars = tuple(f"VR@FAR={_far(far)}" for far in FARS)
    return (
        _table(text, HEAD, table_rows(results))
        + why
        + _table("More of it.", ("Method", *fars, "EER", "Rank-5", "Rank-10"), more)
    )


def _comparisons(results: Results) -> str:
    rows = [_comparison(fold, compared) for fold in results.folds for compared in fold.comparisons]
    if not rows:
        return ""
    fars = tuple(f"VR@FAR={_far(far)}, points" for far in FARS)
    head = ("Method", "Protocol", "probes only it finds", "probes it loses", "McNemar p", *fars)
    text = (
        "Rank-1 by McNemar's test, which takes captures of one person for independent; VR as the difference "
        "in percentage points with its interval, the same people drawn for both."
    )
    return _table(text, head, rows)


def _comparison(fold: Fold, compared: Comparison) -> tuple[str, ...]:
    test = compared.mcnemar
    differences = (_interval(difference.interval, signed=True) for difference in compared.verification)
    counts = (str(test.only_b), str(test.only_a), f"{test.p_value:.2g}")
    return (LABELS[compared.method], fold.protocol, *counts, *differences)


def _curves(plots: Plots) -> str:
    texts = (
        ("ROC: share of genuine pairs accepted over the share of impostor pairs accepted.", plots.roc),
        ("CMC: share of probes whose person is among the k best.", plots.cmc),
    )
    return "".join(_plot(text, *pictures) for text, pictures in texts)


def _plot(text: str, light: bytes, dark: bytes) -> str:
    source = f'<source media="(prefers-color-scheme: dark)" srcset="{_data("png", dark)}">'
    picture = f'<picture>{source}<img src="{_data("png", light)}" alt="{escape(text)}" width="600"></picture>'
    return f"<figure>{picture}<figcaption>{escape(text)} The tables hold the numbers.</figcaption></figure>"


def _fold_table(results: Results) -> str:
    fars = tuple(f"VR@FAR={_far(far)}" for far in FARS)
    head = ("Protocol", "Method", "probes", "people", "gallery", "impostor pairs", "Rank-1", *fars, "EER")
    rows = []
    for fold in results.folds:
        sizes = tuple(f"{n:,}" for n in (fold.probes, fold.people, fold.gallery, fold.impostors))
        for figures in fold.methods:
            rank1 = (
                _interval(figures.rank1_interval) if figures.rank1_interval else f"{100 * figures.cmc[0]:.2f}"
            )
            rates = (_rate(v.vr, v.interval) for v in figures.verification)
            row = (fold.protocol, LABELS[figures.method], *sizes, rank1, *rates, f"{100 * figures.eer:.2f}")
            rows.append(row)
    return _table("Percent with intervals over people.", head, rows)


def _quality(results: Results) -> str:
    rows = [
        (row.measure, row.images, f"{row.probes:,}", _plain_interval(row.interval)) for row in results.quality
    ]
    if not rows:
        return ""
    return _table(
        "Means over probes with intervals over people.", ("Measure", "Between", "probes", "Mean"), rows
    )


def _groups(results: Results) -> str:
    if not results.groups:
        return ""
    far = results.group_far
    shared = (
        "" if far is None else f" FRR and FAR are at the one threshold of FAR = {_far(far)} over all groups."
    )
    text = (
        "Percent, over all folds." + shared + " Small groups have wide intervals; do not read more into a "
        "difference than they allow."
    )
    head = ("Group", "Method", "probes", "people", "Rank-1 error", "FRR", "FAR")
    columns = dict.fromkeys(row.column for row in results.groups)
    return "".join(
        _table(f"{column}. {text}", head, [_group(row) for row in results.groups if row.column == column])
        for column in columns
    )


def _group(row: GroupRow) -> tuple[str, ...]:
    error = _interval(row.interval) if row.interval else f"{100 * row.rank1_error:.2f}"
    rates = (UNMEASURED if rate is None else f"{100 * rate:.2f}" for rate in (row.frr, row.far))
    return (row.value, LABELS[row.method], f"{row.probes:,}", f"{row.people:,}", error, *rates)


def _mistakes(results: Results, pictures: Sequence[MistakePictures]) -> str:
    if not pictures:
        return ""
    body = "".join(_mistake(m, p) for m, p in zip(results.mistakes, pictures, strict=True))
    head = ("Person", "NIR probe", "generated (synthetic)", "right person", "taken for")
    names = "".join(f'<th scope="col">{name}</th>' for name in head)
    text = f"By {LABELS[results.mistakes[0].method]}; furthest wrong first, with scores."
    return (
        f'<div class="scroll"><table><caption>{text}</caption><thead><tr>{names}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _mistake(mistake: Mistake, pictures: MistakePictures) -> str:
    subject, other = mistake.subject, mistake.wrong_subject
    cells = (
        (pictures.probe, f"NIR probe of {subject}", ""),
        (pictures.generated, f"generated face of {subject}", ""),
        (pictures.right, f"gallery image of {subject}", f"{mistake.right_score:.3f}"),
        (pictures.wrong, f"gallery image of {other}", f"{other}: {mistake.wrong_score:.3f}"),
    )
    shown = "".join(f"<td>{_image(*cell)}</td>" for cell in cells)
    return f'<tr><th scope="row">{escape(subject)}</th>{shown}</tr>'


def _image(picture: bytes | None, text: str, below: str) -> str:
    if picture is None:
        return "none"
    return f'<img src="{_data("jpeg", picture)}" alt="{escape(text)}">{escape(below)}'


def _provenance(results: Results) -> str:
    """What is needed to compute the same figures again."""
    items = [
        ("pcfh", results.version),
        ("recogniser", results.recognizer_key),
        *((f"generator of protocol {name}", model) for name, model in results.generators.items()),
        ("manifest of the prepared database", results.manifest),
        ("crops", f"{results.size} pixels"),
        ("draws of people", f"{results.resamples}, seed {results.seed}"),
    ]
    return _table("Where the figures come from.", ("What", "Which"), items)


def _table(text: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column names the rows."""
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    lines = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(c)}</td>" for c in row[1:])}</tr>'
        for row in rows
    )
    return (
        f'<div class="scroll"><table><caption>{escape(text)}</caption><thead><tr>{names}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>\n"
    )


def _far(far: float) -> str:
    return f"{100 * far:g} %"


def _rate(rate: float | None, interval: Interval | None) -> str:
    if rate is None:
        return UNMEASURED
    return f"{100 * rate:.2f}" if interval is None else _interval(interval)


def _interval(interval: Interval | None, *, signed: bool = False) -> str:
    """In percent: the estimate and, in brackets, the interval."""
    if interval is None:
        return UNMEASURED
    estimate, low, high = (100 * value for value in (interval.estimate, interval.low, interval.high))
    if signed:
        return f"{estimate:+.2f} [{low:+.2f}, {high:+.2f}]"
    return f"{estimate:.2f} [{low:.2f}, {high:.2f}]"


def _plain_interval(interval: Interval) -> str:
    return f"{interval.estimate:.4g} [{interval.low:.4g}, {interval.high:.4g}]"


def _data(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
