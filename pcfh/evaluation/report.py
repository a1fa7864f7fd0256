"""Writes what an evaluation found.

    <out>/results.json       everything, as plain data
    <out>/table.md, .tex     the rows of the paper's table
    <out>/roc.png, cmc.png   curves
    <out>/random.jpg         probes drawn by chance: NIR, generated, true and gallery image
    <out>/worst.jpg          the same of the probes that are recognised worst
    <out>/report.html        all of it with the worst mistakes, on one page that loads nothing

Each file is written whole or not at all; ``results.json`` comes last and says that the others are of the same
evaluation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pcfh.evaluation.evaluation_data import EvaluationData
from pcfh.evaluation.page import MistakePictures, Plots, page
from pcfh.evaluation.plots import DARK, LIGHT, cmc_png, roc_png
from pcfh.evaluation.results import Mistake, Results, to_json
from pcfh.evaluation.sheets import FaceSheets
from pcfh.evaluation.text_tables import latex, markdown
from pcfh.files import remove_leftovers, write_atomically
from pcfh.images import read_image, to_jpeg
from pcfh.preparation.manifest import crops_folder

RESULTS, REPORT, TABLE = "results.json", "report.html", "table.md"
RANDOM, WORST = "random.jpg", "worst.jpg"
_QUALITY = 88  # of the pictures in the page


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
        generated = to_jpeg(made, trained=True, quality=_QUALITY)
    probe, right, wrong = (
        to_jpeg(read_image(root / path), quality=_QUALITY)
        for path in (mistake.probe, mistake.right, mistake.wrong)
    )
    return MistakePictures(probe=probe, generated=generated, right=right, wrong=wrong)
