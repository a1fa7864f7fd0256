"""Results as tables of text: in percent, mean ± deviation over folds, for Markdown, LaTeX and the page.

A single fold has no deviation; Markdown then has a second table with confidence intervals over people.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from tabulate import tabulate

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

_LABELS: Mapping[str, str] = {
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


@dataclass(frozen=True)
class TextTable:
    """A table of text. The first cell of a row names it; consecutive rows of one name share it on a page.

    Attributes:
        caption: what it is of.
        head: names of the columns.
        rows: as many cells each.
        text_column: a further column that holds words; all others hold numbers.
    """

    caption: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    text_column: int | None = None

    @property
    def groups(self) -> list[tuple[str, list[tuple[str, ...]]]]:
        """Consecutive rows of one name, without it."""
        return [(name, [row[1:] for row in rows]) for name, rows in groupby(self.rows, lambda row: row[0])]

    def measured(self) -> "TextTable":
        """The table without the columns in which nothing could be measured."""
        kept = [i for i in range(len(self.head)) if any(row[i] != UNMEASURED for row in self.rows)]
        rows = [tuple(row[i] for i in kept) for row in self.rows]
        return TextTable(self.caption, tuple(self.head[i] for i in kept), rows, self.text_column)

    def markdown(self) -> str:
        """In Markdown, without the caption."""
        return self._text("pipe")

    def latex(self) -> str:
        """In LaTeX for the package booktabs, without the caption."""
        return self._text("latex_booktabs")

    def _text(self, form: str) -> str:
        sides = ["left", *["right"] * (len(self.head) - 1)]
        return str(tabulate(self.rows, self.head, tablefmt=form, colalign=sides, disable_numparse=True))


def label(method: str) -> str:
    """What people call a method; a tuned recogniser has its own name."""
    return _LABELS.get(method, method)


def percent(spread: Spread | None) -> str:
    """A share in percent with its deviation, where it has one."""
    if spread is None:
        return UNMEASURED
    mean = f"{100 * spread.mean:.2f}"
    return mean if spread.deviation is None else f"{mean}±{100 * spread.deviation:.2f}"


def main_table(results: Results) -> TextTable:
    """The table in the paper's form."""
    rows = [
        (label(row.method), percent(row.ranks[0]), *map(percent, row.verification[:_SHOWN_FARS]))
        for row in summaries(results)
    ]
    return TextTable("Recognition in percent, in the paper's form.", HEAD, rows)


def interval_table(folds: Sequence[Fold]) -> TextTable:
    """Each method of each fold with confidence intervals; the first column is the protocol."""
    rows = [(fold.protocol, *_interval_row(fold, figures)) for fold in folds for figures in fold.methods]
    head = ("Protocol", *INTERVAL_HEAD)
    return TextTable("Percent with confidence intervals over people.", head, rows, text_column=1).measured()


def markdown(results: Results) -> str:
    """The table in Markdown with what it is of."""
    text = f"{caption(results)}\n\n{main_table(results).markdown()}\n{_footnote(results, str)}"
    if len(results.folds) > 1:
        return text
    fold = results.folds[0]
    rows = [_interval_row(fold, figures) for figures in fold.methods]
    more = TextTable("With 95 % confidence intervals over people:", INTERVAL_HEAD, rows).measured()
    return f"{text}\n{more.caption}\n\n{more.markdown()}\n"


def latex(results: Results) -> str:
    """The table in LaTeX, for the package booktabs."""
    table = main_table(results).latex()
    return f"% {caption(results)}\n{table}\n{_footnote(results, lambda text: f'% {text}')}"


def caption(results: Results) -> str:
    """One line on what was measured: recogniser, database, folds."""
    names = ", ".join(fold.protocol for fold in results.folds)
    folds = f"protocol {names}" if len(results.folds) == 1 else f"mean ± deviation over protocols {names}"
    return (
        f"{results.recognizer} on {results.database or 'a database'}, {folds}, in percent.{_fusion(results)}"
    )


def _fusion(results: Results) -> str:
    """How the fusion differs from the paper's, where there is one and it does."""
    if not results.has_generator:
        return ""
    other = results.fusion_weight != AVERAGE
    weighted = f" In the fusion the generated face weighs {results.fusion_weight:g}." if other else ""
    template = " The fused score is the cosine with the mean feature." if results.fusion == "template" else ""
    return weighted + template


def interval_text(interval: Interval | None, *, signed: bool = False) -> str:
    """In percent: the estimate and, in brackets, the confidence interval."""
    if interval is None:
        return UNMEASURED
    estimate, low, high = (100 * value for value in (interval.estimate, interval.low, interval.high))
    if signed:
        return f"{estimate:+.2f} [{low:+.2f}, {high:+.2f}]"
    return f"{estimate:.2f} [{low:.2f}, {high:.2f}]"


def plain_interval_text(interval: Interval, digits: int = 4) -> str:
    """In the unit of the measure: the estimate and, in brackets, the confidence interval."""
    estimate, low, high = (
        f"{value:.{digits}g}" for value in (interval.estimate, interval.low, interval.high)
    )
    return f"{estimate} [{low}, {high}]"


def reference_note(results: Results) -> str:
    """Says that the probes of VIS against VIS are others; empty where it was not measured."""
    own = [figures.own for fold in results.folds for figures in fold.methods if figures.own is not None]
    if not own:
        return ""
    fewest, most = (least(one.probes for one in own) for least in (min, max))
    probes = f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"
    whose = f"{own[0].people:,} of the people tested" if len(own) == 1 else "the people tested in each fold"
    return (
        f"{label(REFERENCE)} has other probes: {probes} further VIS captures of {whose}, against the same "
        "gallery."
    )


def _interval_row(fold: Fold, figures: MethodFigures) -> tuple[str, ...]:
    """A method of a fold below ``INTERVAL_HEAD``."""
    probes = fold.probes if figures.own is None else figures.own.probes
    rank1 = figures.rank1_interval
    found = f"{100 * figures.cmc[0]:.2f}" if rank1 is None else interval_text(rank1)
    rates = map(_rate_text, figures.verification)
    return (label(figures.method), f"{probes:,}", found, *rates, f"{100 * figures.eer:.2f}")


def _rate_text(rate: Verification) -> str:
    """VR in percent with its confidence interval, where it has one."""
    if rate.vr is None:
        return UNMEASURED
    return f"{100 * rate.vr:.2f}" if rate.interval is None else interval_text(rate.interval)


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
