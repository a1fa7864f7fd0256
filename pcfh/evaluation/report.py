"""Writes what an evaluation found.

    <out>/results.json       everything, as plain data
    <out>/table.md, .tex     the rows of the paper's table
    <out>/roc.png, cmc.png   curves
    <out>/random.jpg         probes drawn by chance: NIR, generated, true and gallery images
    <out>/worst.jpg          the same of the probes that are recognised worst
    <out>/report.html        all of it on one page that loads nothing

Each file is written whole or not at all; ``results.json`` comes last and says that the others are of the same
evaluation.

Axis letters: s side of a crop.
"""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pcfh.evaluation.evaluation_data import EvaluationData
from pcfh.evaluation.page import page
from pcfh.evaluation.plots import DARK, LIGHT, cmc_png, roc_png
from pcfh.evaluation.results import Results, ShownFace, to_json
from pcfh.evaluation.sheets import FaceSheets, sheet
from pcfh.evaluation.text_tables import latex, markdown
from pcfh.files import remove_leftovers, write_atomically
from pcfh.images import jpeg_bytes, read_image
from pcfh.preparation.manifest import crops_folder

RESULTS, REPORT, TABLE = "results.json", "report.html", "table.md"
RANDOM, WORST = "random.jpg", "worst.jpg"
_ROWS = ("NIR", "generated", "true VIS", "gallery VIS", "other's VIS")  # of a sheet of faces


def write_report(results: Results, out: Path, sheets: FaceSheets | None = None) -> None:
    """Writes all files of a report.

    Args:
        results: what was found.
        out: folder to write to; made if need be.
        sheets: of faces; without, those of a former evaluation are removed.
    """
    out.mkdir(parents=True, exist_ok=True)
    remove_leftovers(out)
    plots = {
        "roc": (roc_png(results, LIGHT), roc_png(results, DARK)),
        "cmc": (cmc_png(results, LIGHT), cmc_png(results, DARK)),
    }
    files = {
        TABLE: markdown(results).encode(),
        "table.tex": latex(results).encode(),
        "roc.png": plots["roc"][0],
        "cmc.png": plots["cmc"][0],
        **({} if sheets is None else {RANDOM: sheets.random, WORST: sheets.worst}),
        REPORT: page(results, plots, sheets).encode(),
        RESULTS: to_json(results).encode(),
    }
    for name in {RANDOM, WORST} - files.keys():
        (out / name).unlink(missing_ok=True)
    for name, content in files.items():
        write_atomically(out / name, content)


def face_sheets(results: Results, material: EvaluationData) -> FaceSheets:
    """Draws both sheets of an evaluation.

    Args:
        results: with the probes to show.
        material: of the same evaluation.
    """
    known = (True, bool(material.generators), material.truth is not None, True, True)
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
    pictures += [read_image(root / path) for path in (face.right, face.wrong)]
    return f"{face.subject}  {face.margin:+.2f}", pictures
