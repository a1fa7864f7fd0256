"""Writes what an evaluation found.

    <out>/results.json       everything, as plain data
    <out>/table.md, .tex     the rows of the paper's table
    <out>/roc.png, cmc.png   curves
    <out>/report.html        all of it with the worst mistakes, on one page that loads nothing

Each file is written whole or not at all; ``results.json`` comes last and says that the others are of the same
evaluation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from pcfh.data.images import read_image
from pcfh.data.prepared import crops_folder
from pcfh.files import remove_leftovers, write_atomically
from pcfh.marks import TRAINED, xmp
from pcfh.recognition.material import Material
from pcfh.recognition.page import MistakePictures, Plots, page
from pcfh.recognition.plots import DARK, LIGHT, cmc_png, roc_png
from pcfh.recognition.results import Mistake, Results, to_json
from pcfh.recognition.tables import latex, markdown

RESULTS, REPORT, TABLE = "results.json", "report.html", "table.md"
_QUALITY = 88  # of the pictures in the page


@dataclass(frozen=True, kw_only=True)
class Written:
    """Where the report lies."""

    report: Path
    table: Path


def write_report(results: Results, out: Path, mistakes: Sequence[MistakePictures] = ()) -> Written:
    """Writes all files of a report.

    Args:
        results: what was found.
        out: folder to write to; made if need be.
        mistakes: pictures of the worst mistakes, in their order; none leaves them out of the page.
    """
    out.mkdir(parents=True, exist_ok=True)
    remove_leftovers(out)
    plots = Plots(
        roc=(roc_png(results, LIGHT), roc_png(results, DARK)),
        cmc=(cmc_png(results, LIGHT), cmc_png(results, DARK)),
    )
    files = {
        TABLE: markdown(results).encode(),
        "table.tex": latex(results).encode(),
        "roc.png": plots.roc[0],
        "cmc.png": plots.cmc[0],
        REPORT: page(results, plots, mistakes).encode(),
        RESULTS: to_json(results).encode(),
    }
    for name, content in files.items():
        write_atomically(out / name, content)
    return Written(report=out / REPORT, table=out / TABLE)


def mistake_pictures(results: Results, material: Material) -> list[MistakePictures]:
    """Reads the pictures of the worst mistakes.

    Args:
        results: with the mistakes.
        material: of the same evaluation.
    """
    return [_pictures(mistake, material) for mistake in results.mistakes]


def _pictures(mistake: Mistake, material: Material) -> MistakePictures:
    root = crops_folder(material.job.prepared, material.size)
    generator = material.generators.get(mistake.protocol)
    generated = None
    if generator is not None:
        record = material.at_generated_size[mistake.probe]
        generated = _jpeg(next(iter(material.generated(generator, [record]))), trained=True)
    probe, right, wrong = (_jpeg(read_image(root / p)) for p in (mistake.probe, mistake.right, mistake.wrong))
    return MistakePictures(probe=probe, generated=generated, right=right, wrong=wrong)


def _jpeg(image: UInt8[np.ndarray, "s s 3"], *, trained: bool = False) -> bytes:
    """A small file; a generated face says that it is one."""
    buffer = BytesIO()
    marks = {"comment": b"Synthetic face, no photograph.", "xmp": xmp(TRAINED).encode()} if trained else {}
    Image.fromarray(image).save(buffer, "JPEG", quality=_QUALITY, **marks)
    return buffer.getvalue()
