"""One HTML page of a finished table: it holds its style and pictures and loads nothing."""

from collections.abc import Sequence
from html import escape

from pcfh.evaluation import html
from pcfh.recipes.pictures import Example
from pcfh.recipes.table import Table
from pcfh.recipes.texts import Part, caption, parts, title

_STYLE = "\nbody{max-width:72rem}\n"
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
    notes = "".join(f'<p class="note">{escape(note)}</p>\n' for note in table.notes)
    body = "".join(_section(part.title, _table(part)) for part in parts(table))
    how = _section("How it was measured", _METHOD + _table(_provenance(table)))
    text = f"<p>{escape(caption(table))}</p>\n{notes}{body}{_examples(examples)}{how}"
    return html.document(title(table), _STYLE, text)


def _section(heading: str, content: str) -> str:
    return f"<section>\n<h2>{escape(heading)}</h2>\n{content}\n</section>\n"


def _table(part: Part) -> str:
    return html.table(part.text, part.head, part.rows)


def _examples(examples: Sequence[Example]) -> str:
    if not examples:
        return ""
    lines = "".join(
        f'<tr><th scope="row">{escape(example.person)}</th>'
        + "".join(f"<td>{_image(picture, name, example.person)}</td>" for name, picture in example.pictures)
        + "</tr>"
        for example in examples
    )
    head = ("Person", *(name for name, _ in examples[0].pictures))
    text = "Probes drawn by chance, not chosen; rendered faces. What a method made is of its first seed."
    return _section("Faces", html.framed(text, html.head_row(head), lines))


def _image(jpeg: bytes, name: str, person: str) -> str:
    return f'<img src="{html.data_url("jpeg", jpeg)}" alt="{escape(f"{name}: {person}")}">'


def _provenance(table: Table) -> Part:
    rows = (
        ("pcfh", table.version),
        ("recogniser", table.recognizer_key),
        ("preset", table.preset),
        ("settings", ", ".join(table.settings) or "as in the preset"),
        ("draws of people", f"{table.resamples}"),
    )
    return Part(title="", text="Where the figures come from.", head=("What", "Which"), rows=rows)
