"""Writes a finished table.

<out>/table.md, table.tex    with the paper's numbers
<out>/table.html             one page that loads nothing
<out>/results.json           everything, as plain data; written last
"""

from pathlib import Path

from pcfh.files import write_atomically
from pcfh.recipes.order import Order
from pcfh.recipes.page import page
from pcfh.recipes.pictures import examples
from pcfh.recipes.table import Table, to_json
from pcfh.recipes.texts import latex, markdown
from pcfh.recognisers.registry import open_recognizer

TABLE, LATEX, PAGE, RESULTS = "table.md", "table.tex", "table.html", "results.json"


def write_table(order: Order, table: Table) -> Path:
    """Writes all files of a table.

    Args:
        order: what the user wanted.
        table: what came of it.

    Returns:
        The page.
    """
    alignment = open_recognizer(order.recognizer, device="cpu").alignment
    files = {
        TABLE: markdown(table),
        LATEX: latex(table),
        PAGE: page(table, examples(order, table, alignment)),
        RESULTS: to_json(table),
    }
    for name, text in files.items():
        write_atomically(order.out / name, text.encode())
    return order.out / PAGE
