"""The rows of the paper's tables as Markdown and LaTeX: in percent, mean ± deviation over folds.

A single fold has no deviation; Markdown then has a second table with intervals over people.
"""

from collections.abc import Callable, Mapping, Sequence

from pcfh.evaluation.intervals import Interval
from pcfh.evaluation.results import (
    FARS,
    REFERENCE,
    Fold,
    MethodFigures,
    Results,
    Spread,
    Summary,
    Verification,
    summaries,
)
from pcfh.evaluation.scores import AVERAGE

LABELS: Mapping[str, str] = {
    "original": "NIR as it is",
    "generated": "generated VIS alone",
    "fusion": "NIR + generated VIS (fusion)",
    "truth": "true VIS (perfect generator)",
    REFERENCE: "VIS-VIS (reference)",
}
HEAD = ("Method", "Rank-1", "VR@FAR=1%", "VR@FAR=0.1%")
RATES = tuple(f"VR@FAR={100 * far:g}%" for far in FARS)
INTERVAL_HEAD = ("Method", "probes", "Rank-1", *RATES, "EER")
UNMEASURED = "n/a"  # too few impostor pairs
_SHOWN_FARS = 2  # of ``FARS``, as in the paper


def percent(spread: Spread | None) -> str:
    """A share in percent with its deviation, where it has one."""
    if spread is None:
        return UNMEASURED
    mean = f"{100 * spread.mean:.2f}"
    return mean if spread.deviation is None else f"{mean}±{100 * spread.deviation:.2f}"


def table_rows(results: Results) -> list[tuple[str, ...]]:
    """The table in the paper's form, below ``HEAD``."""
    return [_cells(row) for row in summaries(results)]


def markdown(results: Results) -> str:
    """The table in Markdown with what it is of."""
    table = markdown_table(HEAD, table_rows(results))
    text = f"{caption(results)}\n\n{table}\n{_footnote(results, str)}"
    if len(results.folds) > 1:
        return text
    fold = results.folds[0]
    rows = [interval_row(fold, figures) for figures in fold.methods]
    more = markdown_table(*measured(INTERVAL_HEAD, rows))
    return f"{text}\nWith 95 % intervals over people:\n\n{more}\n"


def latex(results: Results) -> str:
    """The table in LaTeX, for the package booktabs."""
    rows = "\n".join(" & ".join(map(tex, row)) + r" \\" for row in table_rows(results))
    head = " & ".join(map(tex, HEAD)) + r" \\"
    columns = "l" + "r" * (len(HEAD) - 1)
    return (
        f"% {caption(results)}\n\\begin{{tabular}}{{{columns}}}\n\\toprule\n{head}\n\\midrule\n"
        f"{rows}\n\\bottomrule\n\\end{{tabular}}\n{_footnote(results, lambda text: f'% {text}')}"
    )


def caption(results: Results) -> str:
    """One line on what was measured: recogniser, database, folds."""
    names = ", ".join(fold.protocol for fold in results.folds)
    folds = f"protocol {names}" if len(results.folds) == 1 else f"mean ± deviation over protocols {names}"
    weighted = results.has_generator and results.fusion_weight != AVERAGE
    fusion = f" In the fusion the generated face weighs {results.fusion_weight:g}." if weighted else ""
    return f"{results.recognizer} on {results.database or 'a database'}, {folds}, in percent.{fusion}"


def interval_row(fold: Fold, figures: MethodFigures) -> tuple[str, ...]:
    """A method of a fold below ``INTERVAL_HEAD``."""
    probes = fold.probes if figures.own is None else figures.own.probes
    rank1 = figures.rank1_interval
    found = f"{100 * figures.cmc[0]:.2f}" if rank1 is None else interval_text(rank1)
    rates = map(rate_text, figures.verification)
    return (LABELS[figures.method], f"{probes:,}", found, *rates, f"{100 * figures.eer:.2f}")


def measured(
    head: tuple[str, ...], rows: Sequence[tuple[str, ...]]
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """A table without the columns in which nothing could be measured."""
    kept = [i for i in range(len(head)) if any(row[i] != UNMEASURED for row in rows)]
    return tuple(head[i] for i in kept), [tuple(row[i] for i in kept) for row in rows]


def rate_text(rate: Verification) -> str:
    """VR in percent with its interval, where it has one."""
    if rate.vr is None:
        return UNMEASURED
    return f"{100 * rate.vr:.2f}" if rate.interval is None else interval_text(rate.interval)


def interval_text(interval: Interval | None, *, signed: bool = False) -> str:
    """In percent: the estimate and, in brackets, the interval."""
    if interval is None:
        return UNMEASURED
    estimate, low, high = (100 * value for value in (interval.estimate, interval.low, interval.high))
    if signed:
        return f"{estimate:+.2f} [{low:+.2f}, {high:+.2f}]"
    return f"{estimate:.2f} [{low:.2f}, {high:.2f}]"


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; the first column is set to the left, the others to the right."""
    lines = [head, ("---", *["---:"] * (len(head) - 1)), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def tex(text: str) -> str:
    """Text as LaTeX takes it."""
    marks = {"%": r"\%", "±": r"$\pm$", "–": "--", "&": r"\&", "_": r"\_"}
    return "".join(marks.get(letter, letter) for letter in text)


def reference_note(results: Results) -> str:
    """Says that the probes of VIS against VIS are others; empty where it was not measured."""
    own = [figures.own for fold in results.folds for figures in fold.methods if figures.own is not None]
    if not own:
        return ""
    fewest, most = (least(one.probes for one in own) for least in (min, max))
    probes = f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"
    whose = f"{own[0].people:,} of the people tested" if len(own) == 1 else "the people tested in each fold"
    return (
        f"{LABELS[REFERENCE]} has other probes: {probes} further VIS captures of {whose}, against the same "
        "gallery."
    )


def _cells(row: Summary) -> tuple[str, ...]:
    rates = row.verification[:_SHOWN_FARS]
    return (LABELS[row.method], percent(row.ranks[0]), *map(percent, rates))


def _footnote(results: Results, line: Callable[[str], str]) -> str:
    """Says which probes are others and why a figure is absent, where this is so."""
    rows: Sequence[Summary] = summaries(results)
    absent = [
        f"{100 * far:g} %"
        for i, far in enumerate(FARS[:_SHOWN_FARS])
        if any(row.verification[i] is None for row in rows)
    ]
    notes = [reference_note(results)]
    if absent:
        notes.append(f"{UNMEASURED}: too few impostor pairs for a FAR of {' and '.join(absent)}.")
    text = " ".join(note for note in notes if note)
    return f"\n{line(text)}\n" if text else ""
