"""Tables and pictures inside of an HTML page; all text is escaped."""

import base64
from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby


def table(text: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column names the rows."""
    lines = (
        f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(c)}</td>" for c in row[1:])}</tr>'
        for row in rows
    )
    return framed(text, head_row(head), "".join(lines))


def grouped(text: str, head: Sequence[str], rows: Sequence[Sequence[str]], *, text_column: int) -> str:
    """A table in which consecutive rows of one name share it.

    Args:
        text: the caption.
        head: names of the columns.
        rows: the first cell names the group.
        text_column: a further column that holds words.
    """
    lines = []
    for name, group in groupby(rows, key=lambda row: row[0]):
        members = list(group)
        first = f'<th scope="row" rowspan="{len(members)}">{escape(name)}</th>'
        for number, row in enumerate(members):
            cells = "".join(
                f"<td{_words(place == text_column)}>{escape(cell)}</td>"
                for place, cell in enumerate(row[1:], 1)
            )
            lines.append(f"<tr>{'' if number else first}{cells}</tr>")
    return framed(text, head_row(head, text_column), "".join(lines))


def head_row(names: Sequence[str], text_column: int | None = None) -> str:
    """The cells of a table's head; words are set to the left in one column, numbers to the right."""
    return "".join(
        f'<th scope="col"{_words(place == text_column)}>{escape(name)}</th>'
        for place, name in enumerate(names)
    )


def framed(text: str, head: str, lines: str) -> str:
    """A table from its caption, the cells of its head and its rows; it can be scrolled where it is wide."""
    return (
        f'<div class="scroll"><table><caption>{escape(text)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>\n"
    )


def data_url(kind: str, content: bytes) -> str:
    """A picture as an address that holds it; ``kind`` is "png" or "jpeg"."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _words(yes: bool) -> str:
    return ' class="text"' if yes else ""
