"""One HTML page of a finished table: it holds its style and pictures and loads nothing."""

from collections.abc import Sequence

from pcfh.evaluation.tables import TextTable
from pcfh.pages import render
from pcfh.recipes.pictures import Example
from pcfh.recipes.table import Table
from pcfh.recipes.texts import caption, parts, title


def page(table: Table, examples: Sequence[Example] = ()) -> str:
    """The whole page.

    Args:
        table: finished.
        examples: faces to show; none leaves them out.
    """
    return render(
        "reproduction.html",
        title=title(table),
        caption=caption(table),
        notes=table.notes,
        sections=[(part.title, TextTable(part.text, part.head, part.rows)) for part in parts(table)],
        examples=examples,
        provenance=_provenance(table),
    )


def _provenance(table: Table) -> TextTable:
    rows = [
        ("pcfh", table.version),
        ("recogniser", table.recognizer_key),
        ("preset", table.preset),
        ("settings", ", ".join(table.settings) or "as in the preset"),
        ("draws of people", f"{table.resamples}"),
    ]
    return TextTable("Where the figures come from.", ("What", "Which"), rows)
