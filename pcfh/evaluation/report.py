"""Writes what an evaluation found.

    <out>/results.json       everything, as plain data
    <out>/table.md, .tex     the rows of the paper's table
    <out>/roc.png, cmc.png   curves
    <out>/random.jpg         probes drawn by chance: NIR, generated, true and gallery images
    <out>/worst.jpg          the same of the probes that are recognised worst
    <out>/report.html        all of it on one page that loads nothing

Each file is written whole or not at all; ``results.json`` comes last and says that the others are of the same
evaluation.
"""

from pathlib import Path

from pcfh.evaluation.page import page
from pcfh.evaluation.plots import DARK, LIGHT, cmc_png, roc_png
from pcfh.evaluation.results import Results, to_json
from pcfh.evaluation.sheets import FaceSheets
from pcfh.evaluation.text_tables import latex, markdown
from pcfh.files import remove_leftovers, write_atomically

RESULTS, REPORT, TABLE = "results.json", "report.html", "table.md"
RANDOM, WORST = "random.jpg", "worst.jpg"


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
