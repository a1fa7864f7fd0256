"""Draws the figures of docs/method.md from the rendered sample and the package itself.

    python docs/figures/make.py [FOLDER]

Writes method-*.svg and method-*.jpg, into docs/pictures if no folder is named. Everything is drawn on a light
panel, so that it reads the same on a light and a dark page. The faces are rendered; the generated one
comes from the shipped generator, so run this again when its weights change.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from flow import FAINT, INK, PANEL, Picture, Sheet
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.tri import Triangulation
from PIL import Image

import pcfh
from pcfh.files import write_atomically
from pcfh.geometry.parts import Part, cut, part_corner, parts_of, paste
from pcfh.hallucinate import Hallucinator
from pcfh.provenance import RENDERED, TRAINED, xmp

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "samples" / "NIR-VIS-2.0"
SIZE = 256  # of the aligned crops, but for the generator's own
NIR, VIS = "s1/NIR/00195/002.jpg", "s1/VIS/00195/001.jpg"  # one person, heads turned 27 degrees apart
OTHERS = ("s1/NIR/00191/002.jpg", "s3/NIR/00197/003.jpg")
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")  # told apart by colour-blind eyes too


@dataclass(frozen=True, kw_only=True)
class Face:
    """An aligned face and its landmarks, (x, y) in pixels of the crop."""

    image: np.ndarray
    points: np.ndarray


def main(arguments: Sequence[str]) -> int:
    """Draws all figures into a folder."""
    out = Path(arguments[0]) if arguments else ROOT / "docs" / "pictures"
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    mpl.rcParams.update({"font.family": "DejaVu Sans", "font.size": 11, "text.color": INK})
    nir, vis = load(NIR), load(VIS)
    truth = load(NIR, "truth")
    warped = warp(vis, nir)
    hallucinator = pcfh.load_hallucinator(device="cpu")
    save(out / "method-warp.jpg", warp_figure(nir, vis, warped))
    save(out / "method-attention.jpg", attention_figure(warped, truth))
    save(out / "method-parts.jpg", parts_figure([nir, *map(load, OTHERS)]))
    generated = translated(hallucinator)
    write_atomically(out / "method-training.svg", training_figure(nir, vis, warped, generated).encode())
    write_atomically(out / "method-translating.svg", translating_figure(hallucinator, generated).encode())
    return 0


def load(path: str, folder: str = ".") -> Face:
    """An aligned crop of the sample; the truth of a capture has the capture's own landmarks."""
    points = pcfh.landmarks_of(pcfh.load_database(SAMPLE), path)
    aligned = pcfh.align(pcfh.load_image(SAMPLE / folder / path), points, SIZE)
    return Face(image=aligned.crop, points=aligned.landmarks)


def warp(vis: Face, nir: Face) -> Face:
    """A VIS face in the pose of an NIR one (Eq. 6)."""
    image = torch.from_numpy(vis.image.copy()).permute(2, 0, 1)[None].float()
    ends = (torch.from_numpy(points)[None].float() for points in (vis.points, nir.points))
    moved = pcfh.inverse_distance_warp(image, *ends)[0].permute(1, 2, 0)
    return Face(image=moved.round().byte().numpy(), points=nir.points)


def translated(hallucinator: Hallucinator) -> np.ndarray:
    """What the generator makes of the NIR face."""
    photograph = pcfh.load_image(SAMPLE / NIR)
    return hallucinator(photograph, pcfh.landmarks_of(pcfh.load_database(SAMPLE), NIR))


def panels(count: int) -> list[Axes]:
    """A row of square panels without axes."""
    figure, axes = plt.subplots(1, count, figsize=(2.9 * count, 3.25), dpi=150, facecolor=PANEL)
    figure.subplots_adjust(left=0.01, right=0.99, top=0.89, bottom=0.01, wspace=0.03)
    for axis in axes:
        axis.set_axis_off()
    return list(axes)


def warp_figure(nir: Face, vis: Face, warped: Face) -> plt.Figure:
    """The same mesh on the VIS capture, on the NIR one and on the warped image."""
    triangles = Triangulation(*nir.points.T).triangles
    axes = panels(3)
    titles = ("VIS capture, its landmarks", "NIR capture, where they shall go", "the VIS capture, warped")
    for axis, face, title in zip(axes, (vis, nir, warped), titles, strict=True):
        axis.imshow(face.image)
        axis.triplot(*face.points.T, triangles, color="#ffffff", linewidth=0.5, alpha=0.75)
        axis.plot(*face.points.T, ".", color="#ffd34d", markersize=3.5)
        axis.set_title(title, fontsize=11, pad=5)
    return axes[0].figure


def attention_figure(warped: Face, truth: Face) -> plt.Figure:
    """Where a warped image is wrong, and the map that one would wish for."""
    error = np.abs(warped.image.astype(float) - truth.image).mean(2) / 255
    smooth = blurred(error, radius=5)
    wish = np.exp(-smooth / 0.12)
    axes = panels(4)
    shown = ((warped.image, "warped VIS"), (truth.image, "the true VIS image"), (smooth, "their difference"))
    for axis, (image, title) in zip(axes, (*shown, (wish, "how far to believe it")), strict=True):
        axis.imshow(image, cmap="gray", vmin=0, vmax=1 if image is wish else 0.4)
        axis.set_title(title, fontsize=11, pad=5)
    return axes[0].figure


def blurred(image: np.ndarray, *, radius: int) -> np.ndarray:
    """Means over squares."""
    wide = np.pad(image, radius, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(wide, (2 * radius + 1, 2 * radius + 1))
    return windows.mean((2, 3))


def parts_figure(faces: Sequence[Face]) -> plt.Figure:
    """Boxes on faces of three poses, and what is cut out, put back at its own place."""
    figure, axes = plt.subplots(2, 3, figsize=(8.7, 6.05), dpi=150, facecolor=PANEL)
    figure.subplots_adjust(left=0.01, right=0.99, top=0.94, bottom=0.01, wspace=0.03, hspace=0.12)
    for face, (above, below) in zip(faces, axes.T, strict=True):
        above.imshow(face.image)
        below.imshow(only_parts(face))
        for part, colour in zip(parts_of(SIZE), COLOURS, strict=True):
            for axis in (above, below):
                axis.add_patch(box(face, part, colour))
    axes[0, 1].set_title("four boxes, placed by each face's own landmarks", fontsize=11, pad=5)
    axes[1, 1].set_title("what the local paths see, and where it is put back", fontsize=11, pad=5)
    for axis in axes.flat:
        axis.set_axis_off()
    return figure


def box(face: Face, part: Part, colour: str) -> Rectangle:
    """Outline of a part's box."""
    x, y = part_corner(torch.from_numpy(face.points)[None], part, SIZE)[0].tolist()
    style = {"edgecolor": colour, "facecolor": "none", "linewidth": 2}
    return Rectangle((x - 0.5, y - 0.5), part.width, part.height, **style)


def only_parts(face: Face) -> np.ndarray:
    """The four patches at their places, nothing between them."""
    image = torch.from_numpy(face.image.copy()).permute(2, 0, 1)[None]
    points = torch.from_numpy(face.points)[None]
    result = torch.full_like(image, 236)
    for part in parts_of(SIZE):
        corner = part_corner(points, part, SIZE)
        result = paste(result, cut(image, corner, part), corner, part)
    return result[0].permute(1, 2, 0).numpy()


def save(path: Path, figure: plt.Figure) -> None:
    """Writes a figure as a JPEG file that says that no camera took it."""
    figure.canvas.draw()
    image = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3])
    buffer = BytesIO()
    marks = {"comment": b"Rendered faces, no photograph.", "xmp": xmp(RENDERED).encode()}
    image.save(buffer, "JPEG", quality=86, **marks)
    write_atomically(path, buffer.getvalue())
    plt.close(figure)


def training_figure(nir: Face, vis: Face, warped: Face, generated: np.ndarray) -> str:
    """Who sees what in a training step."""
    sheet = Sheet(680, 636, "Data flow of a training step")
    small = partial(Picture, side=108)
    sheet.picture(small(image=nir.image), (24, 40), "I_N: NIR capture")
    sheet.picture(small(image=vis.image), (24, 232), "I_V: VIS, another pose")
    sheet.picture(small(image=warped.image), (24, 452), "I_Warp")
    sheet.arrow([(78, 344), (78, 428)], "W moves the landmarks", right=True)
    sheet.label((88, 408), "of I_V to those of I_N", colour=FAINT)
    sheet.label((88, 426), "(Eq. 6)", colour=FAINT)
    sheet.box((196, 58, 92, 72), "G_A", "#dcebf7")
    sheet.arrow([(136, 94), (192, 94)])
    sheet.picture(small(image=generated, mark=TRAINED), (350, 40), "G_A(I_N): generated")
    sheet.arrow([(290, 94), (346, 94)])
    sheet.line([(404, 150), (404, 180), (304, 180), (304, 586)])
    for row, judge in enumerate(JUDGES):
        top = 208 + 70 * row
        sheet.arrow([(304, top + 28), (326, top + 28)])
        sheet.judge((328, top, 332, 56), *judge)
    return sheet.text()


# Who judges the generated image, what else it sees, what it asks, and the loss that comes of it.
JUDGES = (
    ("D_A", "I_V", "Does it look like a visible-light face?", "Eq. 1"),
    ("G_B", "I_N", "Can the NIR image be had back from it?", "Eq. 2"),
    ("F", "I_V", "Is it the same person?", "Eq. 3"),
    ("Y", "I_N", "Is it light and dark at the same places?", "Eq. 4"),
    ("A", "I_Warp", "Equal where the warp can be believed?", "Eq. 7, 8"),
    ("N_E", "I_V, I_N", "Does it tell more of VIS than of NIR?", "Eq. 9, 10"),
)


def translating_figure(hallucinator: Hallucinator, generated: np.ndarray) -> str:
    """From a photograph to a generated face."""
    photograph = pcfh.load_image(SAMPLE / NIR)
    points = pcfh.landmarks_of(pcfh.load_database(SAMPLE), NIR)
    aligned = hallucinator.align(photograph, points)
    scaled = np.asarray(Image.fromarray(aligned.crop).resize((SIZE, SIZE), Image.Resampling.BICUBIC))
    parts = only_parts(Face(image=scaled, points=(aligned.landmarks + 0.5) * SIZE / hallucinator.size - 0.5))
    sheet = Sheet(680, 436, "Data flow of a translation")
    side = partial(Picture, side=150)
    sheet.picture(side(image=photograph), (24, 34), "NIR photograph")
    sheet.picture(side(image=photograph, points=points), (265, 34), "68 landmarks")
    sheet.picture(side(image=aligned.crop), (506, 34), "aligned crop")
    sheet.arrow([(178, 109), (260, 109)], "find")
    sheet.arrow([(419, 109), (501, 109)], "align")
    sheet.picture(side(image=parts), (24, 266), "four parts")
    sheet.box((287, 289, 106, 104), "G_A", "#dcebf7")
    sheet.picture(side(image=generated, mark=TRAINED), (506, 266), "generated VIS face")
    sheet.arrow([(581, 186), (581, 212), (125, 212), (125, 262)], "cut")
    sheet.arrow([(340, 212), (340, 285)], "whole face", right=True)
    sheet.arrow([(178, 341), (283, 341)], "local paths")
    sheet.arrow([(395, 341), (501, 341)])
    return sheet.text()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
