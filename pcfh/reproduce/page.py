"""One HTML page of a finished table: it holds its style and pictures and loads nothing."""

import base64
from collections.abc import Sequence
from html import escape

from pcfh.reproduce.pictures import Example
from pcfh.reproduce.table import Table
from pcfh.reproduce.texts import Part, caption, parts, title

_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--back:#fff;--line:#c9ced6;--soft:#f3f5f8;--warn:#fff4d6}
@media(prefers-color-scheme:dark){:root{--ink:#e6e6e6;
--back:#161b22;--line:#444c56;--soft:#21262d;--warn:#3a3010}}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--back);max-width:72rem;
margin:0 auto;padding:1.5rem}
h1{font-size:1.6rem;line-height:1.2}h2{font-size:1.2rem;margin-top:2.2rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;margin:.8rem 0;font-variant-numeric:tabular-nums}
caption{text-align:left;padding:.3rem 0}
th,td{border-bottom:1px solid var(--line);padding:.3rem .7rem;text-align:right}
th[scope=row],thead th:first-child{text-align:left}
thead th{background:var(--soft)}
.note{background:var(--warn);padding:.6rem 1rem;border-radius:.4rem}
td img{width:112px;height:auto;display:block}
"""
_METHOD = """
<p>Scores are cosines of the recogniser's features. A tie never helps: a probe counts as found only if its
person's best score is above everybody else's, and the threshold of a FAR is the lowest that accepts at most
that share of the impostor pairs. All rows are trained on the same images and see the same number of them;
the recogniser is one and the same and is not tuned.</p>
<p>A generated face is a guess and no evidence. Do not use the method to identify or follow people in public,
as the sole ground for any decision about a person, or to pass a generated face off as a photograph.</p>
"""


def page(table: Table, examples: Sequence[Example] = ()) -> str:
    """The whole page.

    Args:
        table: finished.
        examples: faces to show; none leaves them out.
    """
    name = escape(title(table))
    notes = "".join(f'<p class="note">{escape(note)}</p>\n' for note in table.notes)
    body = "".join(_section(part.title, _table(part)) for part in parts(table))
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{name}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{name}</h1>\n"
        f"<p>{escape(caption(table))}</p>\n{notes}{body}{_examples(examples)}"
        f"{_section('How it was measured', _METHOD + _table(_provenance(table)))}</main>\n</body>\n</html>\n"
    )


def _section(heading: str, content: str) -> str:
    return f"<section>\n<h2>{escape(heading)}</h2>\n{content}\n</section>\n"


def _table(part: Part) -> str:
    """A table whose first column names the rows."""
    lines = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(c)}</td>" for c in row[1:])}</tr>'
        for row in part.rows
    )
    return _framed(part.text, part.head, lines)


def _framed(text: str, head: Sequence[str], lines: str) -> str:
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    return (
        f'<div class="scroll"><table><caption>{escape(text)}</caption><thead><tr>{names}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )


def _examples(examples: Sequence[Example]) -> str:
    if not examples:
        return ""
    lines = "".join(
        f'<tr><th scope="row">{escape(example.person)}</th>'
        + "".join(f"<td>{_image(picture, name, example.person)}</td>" for name, picture in example.pictures)
        + "</tr>"
        for example in examples
    )
    text = "Probes drawn by chance, not chosen; rendered faces. What a method made is of its first seed."
    return _section("Faces", _framed(text, ("Person", *(name for name, _ in examples[0].pictures)), lines))


def _image(jpeg: bytes, name: str, person: str) -> str:
    data = base64.b64encode(jpeg).decode()
    return f'<img src="data:image/jpeg;base64,{data}" alt="{escape(f"{name}: {person}")}">'


def _provenance(table: Table) -> Part:
    rows = (
        ("pcfh", table.version),
        ("recogniser", table.recognizer_key),
        ("preset", table.preset),
        ("settings", ", ".join(table.settings) or "as in the preset"),
        ("draws of people", f"{table.resamples}"),
    )
    return Part(title="", text="Where the figures come from.", head=("What", "Which"), rows=rows)
