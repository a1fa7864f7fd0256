"""Sheets of faces: some probes drawn by chance, and those that a recogniser gets worst.

A column is a probe with words above it, e.g. its person and margin; from above follow the NIR probe, what was
generated, the true VIS image, and of an evaluation the best gallery images of the person and of someone else,
as far as they are known. Nothing is resized.

Axis letters: s side of a picture, h and w of a sheet.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

COLUMNS = 8  # more faces go below
# Pixels between faces, at least for names at the left, for a line above, between bands.
_GAP, _MARGIN, _LINE, _BETWEEN = 2, 76, 16, 10


@dataclass(frozen=True, kw_only=True)
class FaceSheets:
    """JPEG files, and what their rows are from above."""

    random: bytes
    worst: bytes
    rows: tuple[str, ...]


def sheet(
    columns: Sequence[tuple[str, Sequence[UInt8[np.ndarray, "s s 3"]]]], rows: Sequence[str]
) -> UInt8[np.ndarray, "h w 3"]:
    """Lays pictures out, at most eight columns beside each other.

    Args:
        columns: the text above, of one line or several, and the pictures from above; all of one size.
        rows: names at the left.
    """
    size = len(columns[0][1][0])
    bands = -(-len(columns) // COLUMNS)
    head = 2 + _LINE * max(text.count("\n") + 1 for text, _ in columns)
    height = head + len(rows) * (size + _GAP)
    font = ImageFont.load_default(size=12)
    margin = max(_MARGIN, *(2 * _GAP + int(font.getlength(name)) for name in rows))
    width = margin + min(COLUMNS, len(columns)) * (size + _GAP)
    canvas = Image.new("RGB", (width, bands * (height + _BETWEEN) - _BETWEEN), "white")
    draw = ImageDraw.Draw(canvas)
    for number, (text, pictures) in enumerate(columns):
        x = margin + (number % COLUMNS) * (size + _GAP)
        top = (number // COLUMNS) * (height + _BETWEEN)
        draw.text(
            (x + size // 2, top + head // 2), text, fill="black", font=font, anchor="mm", align="center"
        )
        for place, picture in enumerate(pictures):
            canvas.paste(Image.fromarray(picture), (x, top + head + place * (size + _GAP)))
    for band in range(bands):
        for place, name in enumerate(rows):
            y = band * (height + _BETWEEN) + head + place * (size + _GAP) + size // 2
            draw.text((_GAP, y), name, fill="black", font=font, anchor="lm")
    return np.asarray(canvas)
