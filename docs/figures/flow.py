"""Draws boxes, arrows and small pictures as one SVG file that needs no other file.

Places are (x, y) in units of the sheet from its top left corner; boxes are (x, y, width, height).
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO

import numpy as np
from PIL import Image

from pcfh.provenance import RENDERED, xmp

PANEL, INK, FAINT = "#f6f5f1", "#22252a", "#5d646d"
FONT = "'DejaVu Sans', Verdana, 'Segoe UI', Helvetica, Arial, sans-serif"

Point = tuple[float, float]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An image to be shown.

    Attributes:
        image: RGB.
        side: of the square that it is shown in.
        points: (x, y) in pixels of the image, drawn as dots.
        mark: digital source type for the metadata.
    """

    image: np.ndarray
    side: float
    points: np.ndarray | None = None
    mark: str = RENDERED


class Sheet:
    """One SVG drawing on a light panel.

    Args:
        width: of the sheet.
        height: of the sheet.
        title: what a screen reader says.
    """

    def __init__(self, width: int, height: int, title: str) -> None:
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" role="img" font-family="{FONT}" font-size="15" fill="{INK}">',
            f"<title>{escape(title)}</title>",
            f'<defs><marker id="tip" viewBox="0 0 10 10" refX="8" refY="5" markerWidth="7" markerHeight="7" '
            f'orient="auto"><path d="M0 0L10 5L0 10z" fill="{FAINT}"/></marker></defs>',
            f'<rect width="{width}" height="{height}" rx="10" fill="{PANEL}"/>',
        ]

    def picture(self, picture: Picture, at: Point, caption: str) -> None:
        """Shows an image with a caption above it."""
        x, y = at
        self.label((x, y - 9), caption)
        self._parts.append(
            f'<image x="{x}" y="{y}" width="{picture.side}" height="{picture.side}" '
            f'href="data:image/jpeg;base64,{_jpeg(picture)}"/>'
        )
        if picture.points is not None:
            scale = picture.side / picture.image.shape[0]
            dots = ((x + scale * (px + 0.5), y + scale * (py + 0.5)) for px, py in picture.points)
            self._parts += [
                f'<circle cx="{px:.1f}" cy="{py:.1f}" r="1.6" fill="#ffd34d"/>' for px, py in dots
            ]

    def box(self, box: Box, text: str, fill: str) -> None:
        """A network."""
        x, y, width, height = box
        self._rect(box, fill)
        self.label((x + width / 2, y + height / 2 + 7), text, size=21, anchor="middle")

    def judge(self, box: Box, name: str, beside: str, question: str, equation: str) -> None:
        """A loss: who asks what of the generated image, and of which other image."""
        x, y, width, _ = box
        self._rect(box, "#ffffff")
        self.label((x + 12, y + 23), name, size=16, weight="bold")
        self.label((x + 66, y + 23), f"beside {beside}", colour=FAINT)
        self.label((x + width - 12, y + 23), equation, colour=FAINT, anchor="end")
        self.label((x + 12, y + 46), question, size=14.5)

    def arrow(self, points: Sequence[Point], text: str = "", *, right: bool = False) -> None:
        """A line with a tip at its end, and a few words above its middle or to the right of it."""
        self._path(points, ' marker-end="url(#tip)"')
        if text:
            (x0, y0), (x1, y1) = points[-2:]
            middle = (x0 + x1) / 2, (y0 + y1) / 2
            at = (middle[0] + 10, middle[1] + 4) if right or x0 == x1 else (middle[0] - 2, middle[1] - 8)
            anchor = "start" if right or x0 == x1 else "middle"
            self.label(at, text, size=14, colour=FAINT, anchor=anchor)

    def line(self, points: Sequence[Point]) -> None:
        """A line without a tip."""
        self._path(points, "")

    def label(
        self,
        at: Point,
        text: str,
        *,
        size: float = 14,
        colour: str = INK,
        anchor: str = "start",
        weight: str = "normal",
    ) -> None:
        """A few words."""
        self._parts.append(
            f'<text x="{at[0]}" y="{at[1]}" font-size="{size}" fill="{colour}" text-anchor="{anchor}" '
            f'font-weight="{weight}">{_lowered(escape(text), size)}</text>'
        )

    def text(self) -> str:
        """The whole file."""
        return "\n".join([*self._parts, "</svg>\n"])

    def _rect(self, box: Box, fill: str) -> None:
        x, y, width, height = box
        self._parts.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="7" fill="{fill}" stroke="#b9bec5"/>'
        )

    def _path(self, points: Sequence[Point], more: str) -> None:
        steps = "L".join(f"{x} {y}" for x, y in points)
        self._parts.append(f'<path d="M{steps}" fill="none" stroke="{FAINT}" stroke-width="1.6"{more}/>')


def _lowered(text: str, size: float) -> str:
    """Sets what follows an underscore as an index."""
    drop, small = 0.25 * size, 0.72 * size
    index = rf'<tspan dy="{drop:.1f}" font-size="{small:.1f}">\1</tspan><tspan dy="-{drop:.1f}">\2</tspan>'
    return re.sub(r"_(\w+)([^_]*?)(?=\w+_|$)", index, text)


def _jpeg(picture: Picture) -> str:
    """The image as text, at twice the size that it is shown in."""
    side = round(2 * picture.side)
    image = Image.fromarray(picture.image).resize((side, side), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    marks = {"comment": b"Synthetic face, no photograph.", "xmp": xmp(picture.mark).encode()}
    image.save(buffer, "JPEG", quality=80, **marks)
    return base64.b64encode(buffer.getvalue()).decode()
