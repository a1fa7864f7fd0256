"""The command that measures what cameras do to recognition, one thing at a time."""

import os
from functools import partial
from pathlib import Path

from pcfh.cli.app import Names, named_files, progress_bar, show_stage
from pcfh.errors import UserError
from pcfh.hallucinate import Hallucinator
from pcfh.landmarks import open_backend
from pcfh.recipes.shift_suite import TABLE, SuiteJob, measure_shifts
from pcfh.recipes.shift_tables import markdown
from pcfh.recognisers.registry import open_recognizer
from pcfh.runtime import keep_freed_memory
from pcfh.shipped import shipped


def shifts(  # noqa: PLR0913 - one argument per option of the command
    database: Path,
    out: Path,
    *,
    recognizer: Names = (),
    generator: Names = (),
    pose: bool = True,
    device: str = "auto",
    batch: int = 32,
    resamples: int = 1000,
    workers: int = 0,
) -> int:
    """Measure recognition and generated faces under each shift of a database of the recipe shifts.

    For each shift, recogniser and generator: Rank-1 of the NIR images, of generated faces, of their fusion
    and of true VIS images. For each shift and generator: what generated faces keep of irises, glasses and
    surroundings. All with confidence intervals over people. Called again, it does not do again what is done.

    Args:
        database: made by pcfh render --recipe shifts.
        out: folder to write to: shifts.md, shifts.json, random.jpg, worst.jpg, and folders for each
            recogniser and generator.
        recognizer: what measures, one or several: files, dlib, or my_module:MyRecognizer; the shipped Light
            CNN if none is given.
        generator: generator.safetensors of training runs, one or several, each as FILE or NAME=FILE; the
            others are compared with the first. Both shipped ones if none is given.
        pose: also find eyes behind glasses in generated faces, with the default detector.
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
    files = named_files(generator, "--generator: two files", _name_of) or {
        "first": str(shipped("generator")),
        "cameras": str(shipped("cameras")),
    }
    generators = {name: Hallucinator.from_file(file, device=device) for name, file in files.items()}
    backend = open_backend("blaze") if pose else None
    job = SuiteJob(
        database=database,
        out=out,
        resamples=resamples,
        batch=batch,
        workers=workers or os.cpu_count() or 1,
    )
    with progress_bar("done", 1) as bar:
        show = partial(show_stage, bar)
        suite = measure_shifts(job, recognizers, generators, backend=backend, on_progress=show)
    print(markdown(suite))
    print(f"Written to {out}; the table is {out / TABLE}")
    return 0


def _name_of(file: str) -> str:
    """What a generator is called without a name: its run, or its file."""
    path = Path(file)
    return path.parent.name if path.stem == "generator" and path.parent.name else path.stem
