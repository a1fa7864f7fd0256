"""The rows of the paper's tables as Markdown and LaTeX: in percent, mean ± deviation over folds."""

from collections.abc import Callable, Mapping, Sequence

from pcfh.recognition.results import FARS, Results, Spread, Summary, summaries

LABELS: Mapping[str, str] = {
    "original": "NIR as it is",
    "generated": "generated VIS alone",
    "fusion": "NIR + generated VIS (fusion)",
    "truth": "true VIS (perfect generator)",
}
HEAD = ("Method", "Rank-1", "VR@FAR=1%", "VR@FAR=0.1%")
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
    lines = [HEAD, ("---", *["---:"] * (len(HEAD) - 1)), *table_rows(results)]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"{caption(results)}\n\n{table}\n{_footnote(results, str)}"


def latex(results: Results) -> str:
    """The table in LaTeX, for the package booktabs."""
    rows = "\n".join(" & ".join(map(_tex, row)) + r" \\" for row in table_rows(results))
    head = " & ".join(map(_tex, HEAD)) + r" \\"
    columns = "l" + "r" * (len(HEAD) - 1)
    return (
        f"% {caption(results)}\n\\begin{{tabular}}{{{columns}}}\n\\toprule\n{head}\n\\midrule\n"
        f"{rows}\n\\bottomrule\n\\end{{tabular}}\n{_footnote(results, lambda text: f'% {text}')}"
    )


def caption(results: Results) -> str:
    """One line on what was measured: recogniser, database, folds."""
    names = ", ".join(fold.protocol for fold in results.folds)
    folds = f"protocol {names}" if len(results.folds) == 1 else f"mean ± deviation over protocols {names}"
    return f"{results.recognizer} on {results.database or 'a database'}, {folds}, in percent."


def _cells(row: Summary) -> tuple[str, ...]:
    rates = row.verification[:_SHOWN_FARS]
    return (LABELS[row.method], percent(row.ranks[0]), *map(percent, rates))


def _footnote(results: Results, line: Callable[[str], str]) -> str:
    """Says why a figure is absent, where one is."""
    rows: Sequence[Summary] = summaries(results)
    absent = [
        f"{100 * far:g} %" for i, far in enumerate(FARS[:_SHOWN_FARS]) if rows[0].verification[i] is None
    ]
    if not absent:
        return ""
    text = f"{UNMEASURED}: too few impostor pairs for a FAR of {' and '.join(absent)}."
    return f"\n{line(text)}\n"


def _tex(text: str) -> str:
    return text.replace("%", r"\%").replace("±", r"$\pm$")
