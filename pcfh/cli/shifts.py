"""The command that measures what cameras do to recognition, one thing at a time."""

import os
from functools import partial
from pathlib import Path

from pcfh.cli.app import Names, progress_bar, show_stage
from pcfh.errors import UserError
from pcfh.hallucinate import Hallucinator
from pcfh.recipes.shift_suite import TABLE, SuiteJob, markdown, measure_shifts
from pcfh.recognisers.registry import open_recognizer
from pcfh.runtime import keep_freed_memory
from pcfh.shipped import shipped


def shifts(
    database: Path,
    out: Path,
    *,
    recognizer: Names = (),
    generator: Path | None = None,
    device: str = "auto",
    batch: int = 32,
    resamples: int = 1000,
    workers: int = 0,
) -> int:
    """Measure recognition under each shift of a database of the recipe shifts.

    For each shift and recogniser: Rank-1 of the NIR images, of generated faces, of their fusion and of true
    VIS images, with confidence intervals over people. Called again, it does not do again what is done.

    Args:
        database: made by pcfh render --recipe shifts.
        out: folder to write to: shifts.md, shifts.json, and a folder for each recogniser.
        recognizer: what measures, one or several: files, dlib, or my_module:MyRecognizer; the shipped Light
            CNN if none is given.
        generator: generator.safetensors of a training run; the shipped one if not given.
        device: auto, cpu, cuda or cuda:1.
        batch: faces computed at once.
        resamples: draws of people of each interval.
        workers: processes that prepare; 0 takes one per processor core.
    """
    for name, value in (("batch", batch), ("resamples", resamples)):
        if value < 1:
            raise UserError(f"--{name} {value}: expected at least 1")
    keep_freed_memory()
    places = recognizer or (str(shipped("recognizer")),)
    recognizers = [open_recognizer(place, device=device) for place in places]
    model = Hallucinator.from_file(generator or shipped("generator"), device=device)
    job = SuiteJob(
        database=database,
        out=out,
        resamples=resamples,
        batch=batch,
        workers=workers or os.cpu_count() or 1,
    )
    with progress_bar("done", 1) as bar:
        suite = measure_shifts(job, recognizers, model, on_progress=partial(show_stage, bar))
    print(markdown(suite))
    print(f"Written to {out}; the table is {out / TABLE}")
    return 0
