"""What the HTML pages have in common: their frame and style, tables, pictures. All text is escaped."""

import base64
from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby

# Colours follow the reader's choice of light or dark; each page adds to it.
STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--back:#fff;--line:#c9ced6;--soft:#f3f5f8;--warn:#fff4d6}
@media(prefers-color-scheme:dark){:root{--ink:#e6e6e6;
--back:#161b22;--line:#444c56;--soft:#21262d;--warn:#3a3010}}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--back);
margin:0 auto;padding:1.5rem}
h1{font-size:1.6rem;line-height:1.2}h2{font-size:1.2rem;margin-top:2.2rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;margin:.8rem 0;font-variant-numeric:tabular-nums}
caption{text-align:left;padding:.3rem 0}
th,td{border-bottom:1px solid var(--line);padding:.3rem .7rem;text-align:right}
th[scope=row],thead th:first-child{text-align:left}
thead th{background:var(--soft)}
.note{background:var(--warn);padding:.6rem 1rem;border-radius:.4rem}
img{height:auto;display:block}
td img{width:112px}
"""


def document(title: str, style: str, body: str) -> str:
    """A whole page that loads nothing.

    Args:
        title: its name and first heading.
        style: what it adds to ``STYLE``.
        body: what follows the heading.
    """
    name = escape(title)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{name}</title>\n<style>{STYLE}{style}</style>\n</head>\n<body>\n<main>\n<h1>{name}</h1>\n"
        f"{body}</main>\n</body>\n</html>\n"
    )


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
