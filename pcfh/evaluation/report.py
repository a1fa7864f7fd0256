"""Writes what an evaluation found.

    <out>/results.json       everything, as plain data
    <out>/table.md, .tex     the rows of the paper's table
    <out>/roc.png, cmc.png   curves
    <out>/random.jpg         probes drawn by chance: NIR, generated, true and gallery image
    <out>/worst.jpg          the same of the probes that are recognised worst
    <out>/report.html        all of it with the worst mistakes, on one page that loads nothing

Each file is written whole or not at all; ``results.json`` comes last and says that the others are of the same
evaluation.

Axis letters: s side of a crop.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pcfh.evaluation.evaluation_data import EvaluationData
from pcfh.evaluation.page import MistakePictures, Plots, page
from pcfh.evaluation.plots import DARK, LIGHT, cmc_png, roc_png
from pcfh.evaluation.results import Mistake, Results, ShownFace, to_json
from pcfh.evaluation.sheets import FaceSheets, sheet
from pcfh.evaluation.text_tables import latex, markdown
from pcfh.files import remove_leftovers, write_atomically
from pcfh.images import jpeg_bytes, read_image
from pcfh.preparation.manifest import crops_folder

RESULTS, REPORT, TABLE = "results.json", "report.html", "table.md"
RANDOM, WORST = "random.jpg", "worst.jpg"
_QUALITY = 88  # of the pictures in the page
_ROWS = ("NIR", "generated", "true VIS", "gallery VIS")  # of a sheet of faces


@dataclass(frozen=True, kw_only=True)
class Written:
    """Where the report lies."""

    report: Path
    table: Path


def write_report(
    results: Results, out: Path, mistakes: Sequence[MistakePictures] = (), sheets: FaceSheets | None = None
) -> Written:
    """Writes all files of a report.

    Args:
        results: what was found.
        out: folder to write to; made if need be.
        mistakes: pictures of the worst mistakes, in their order; none leaves them out of the page.
        sheets: of faces; without, those of a former evaluation are removed.
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
        **({} if sheets is None else {RANDOM: sheets.random, WORST: sheets.worst}),
        REPORT: page(results, plots, mistakes, sheets).encode(),
        RESULTS: to_json(results).encode(),
    }
    for name in {RANDOM, WORST} - files.keys():
        (out / name).unlink(missing_ok=True)
    for name, content in files.items():
        write_atomically(out / name, content)
    return Written(report=out / REPORT, table=out / TABLE)


def face_sheets(results: Results, material: EvaluationData) -> FaceSheets:
    """Draws both sheets of an evaluation.

    Args:
        results: with the probes to show.
        material: of the same evaluation.
    """
    known = (True, bool(material.generators), material.truth is not None, True)
    rows = tuple(name for name, have in zip(_ROWS, known, strict=True) if have)
    random, worst = (
        jpeg_bytes(
            sheet([_column(face, material) for face in faces], rows), trained=bool(material.generators)
        )
        for faces in (results.random, results.worst)
    )
    return FaceSheets(random=random, worst=worst, rows=rows)


def _column(face: ShownFace, material: EvaluationData) -> tuple[str, list[UInt8[np.ndarray, "s s 3"]]]:
    """The text and the pictures of one probe."""
    root = crops_folder(material.job.prepared, material.generated_size)
    record = material.at_generated_size[face.probe]
    pictures = [read_image(root / face.probe)]
    if material.generators:
        pictures += material.generated(material.generators[face.protocol], [record])
    if material.truth is not None:
        pictures += material.true_crops([record])
    return f"{face.subject}  {face.margin:+.2f}", [*pictures, read_image(root / face.gallery)]


def mistake_pictures(results: Results, material: EvaluationData) -> list[MistakePictures]:
    """Reads the pictures of the worst mistakes.

    Args:
        results: with the mistakes.
        material: of the same evaluation.
    """
    return [_pictures(mistake, material) for mistake in results.mistakes]


def _pictures(mistake: Mistake, material: EvaluationData) -> MistakePictures:
    root = crops_folder(material.job.prepared, material.size)
    generator = material.generators.get(mistake.protocol)
    generated = None
    if generator is not None:
        record = material.at_generated_size[mistake.probe]
        made = next(iter(material.generated(generator, [record])))
        generated = jpeg_bytes(made, trained=True, quality=_QUALITY)
    probe, right, wrong = (
        jpeg_bytes(read_image(root / path), quality=_QUALITY)
        for path in (mistake.probe, mistake.right, mistake.wrong)
    )
    return MistakePictures(probe=probe, generated=generated, right=right, wrong=wrong)
