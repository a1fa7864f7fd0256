"""The suite of shifts measured: what each thing that cameras do costs, alone, without and with generators.

A database of ``pcfh render --recipe shifts`` has a fold for each shift; the probes of all show the same
moments. It is prepared with its exact landmarks, so that a detector's failures do not mix in, and evaluated
with each recogniser and each generator. Where it has masks, what generated faces keep is measured, too.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from pcfh import __version__
from pcfh.databases.layouts import open_database
from pcfh.databases.records import Database
from pcfh.databases.rendered import PARAMETERS
from pcfh.errors import UserError
from pcfh.evaluation.evaluate import evaluate
from pcfh.evaluation.evaluation_data import EvaluationData, EvaluationJob, different, model_of
from pcfh.evaluation.faithfulness import MaskedFace, Parts, face_parts
from pcfh.evaluation.outcomes import OUTCOMES, Evaluation, write_outcomes
from pcfh.evaluation.results import to_json
from pcfh.evaluation.score_methods import Progress, counted
from pcfh.files import write_atomically
from pcfh.hallucinate import Hallucinator
from pcfh.landmarks.base import LandmarkBackend
from pcfh.preparation.align_capture import PrepareOptions
from pcfh.preparation.align_database import prepare
from pcfh.recipes.shift_sheets import shift_sheets
from pcfh.recipes.shift_tables import (
    ShiftSuite,
    UsedGenerator,
    hits_by_shift,
    kept_rows,
    markdown,
    shift_rows,
)
from pcfh.recognisers.alignment import Alignment
from pcfh.recognisers.base import Recognizer
from pcfh.typed_json import from_json_text, to_json_text

RESULTS, TABLE = "shifts.json", "shifts.md"
RANDOM, WORST = "random.jpg", "worst.jpg"
_COLUMN = "shift"


@dataclass(frozen=True, kw_only=True)
class SuiteJob:
    """What to measure.

    Attributes:
        database: made by the recipe shifts.
        out: folder to write to.
        resamples: draws of people of each interval.
        batch: faces computed at once.
        workers: processes that prepare.
    """

    database: Path
    out: Path
    resamples: int = 1000
    batch: int = 32
    workers: int = 1


def measure_shifts(
    job: SuiteJob,
    recognizers: Sequence[Recognizer],
    generators: Mapping[str, Hallucinator],
    *,
    backend: LandmarkBackend | None = None,
    on_progress: Progress = lambda stage, done, total: None,
) -> ShiftSuite:
    """Prepares the database, evaluates it with each recogniser and generator, writes results, table, sheets.

    What is done is not done again: crops, generated faces and features are kept in ``out``. The sheets show
    faces by the fusion of the first recogniser with the last generator.

    Args:
        job: see there.
        recognizers: what measures.
        generators: by name; the others are compared with the first.
        backend: finds landmarks behind glasses; None leaves that out.
        on_progress: called with what is being done, how many of it are done and of how many.

    Raises:
        UserError: the database has no shifts, or two recognisers or generators share a name.
    """
    _require_different([recognizer.name for recognizer in recognizers], "recognisers")
    _require_different(list(generators), "generators")
    database = open_database(job.database)
    shifts = shifts_of(database)
    sizes = tuple(sorted({144, *(generator.size for generator in generators.values())}))
    work = EvaluationJob(
        prepared=job.out / "prepared",
        protocols=tuple(shifts),
        cache=job.out / "cache",
        raw=database.root,
        batch=job.batch,
        resamples=job.resamples,
    )
    options = PrepareOptions(sizes=sizes, backend="given", workers=job.workers, layout="casia")
    prepare(database, work.prepared, options, on_progress=partial(on_progress, "captures"))
    rows, shown = [], []
    for recognizer in recognizers:
        found = {}
        for name, one in _data(work, generators, recognizer.alignment).items():
            first = recognizer is recognizers[0]  # no recogniser has a part in the images' quality
            evaluation = evaluate(one, recognizer, quality=first, on_progress=on_progress)
            _write(job.out / _folder(recognizer.name) / _folder(name), evaluation)
            found[name] = hits_by_shift(shifts, evaluation.outcomes)
            shown.append(evaluation.faces)
        rows += shift_rows(recognizer.name, found, work.bootstrap)
    data = _data(work, generators, recognizers[0].alignment)
    kept = [
        row
        for name, one in data.items()
        if one.has_masks
        for row in kept_rows(name, _parts(one, shifts, backend, on_progress), work.bootstrap)
    ]
    suite = ShiftSuite(
        format="pcfh-shifts-2",
        version=__version__,
        generators=tuple(UsedGenerator(name=n, model=model_of(g)) for n, g in generators.items()),
        resamples=job.resamples,
        rows=tuple(rows),
        kept=tuple(kept),
    )
    sheets = shift_sheets(shown[len(generators) - 1], shifts, data)
    for name, content in {
        RANDOM: sheets.random,
        WORST: sheets.worst,
        TABLE: markdown(suite).encode(),
        RESULTS: to_json_text(suite).encode(),
    }.items():
        write_atomically(job.out / name, content)
    return suite


def shifts_of(database: Database) -> dict[str, str]:
    """The name of the shift of each protocol.

    Raises:
        UserError: the table of parameters has none.
    """
    path = database.root / PARAMETERS
    if not path.is_file():
        raise UserError(f"{path}: no such file; make the database with pcfh render --recipe shifts")
    with path.open(encoding="utf-8", newline="") as file:
        table = csv.DictReader(file)
        if _COLUMN not in (table.fieldnames or ()):
            raise UserError(
                f"{path}: expected a column {_COLUMN}; make the database with pcfh render --recipe shifts"
            )
        named = {row["path"]: row[_COLUMN] for row in table}
    return {name: named[fold.probe[0].path] for name, fold in database.protocols.items() if fold.probe}


def _data(
    work: EvaluationJob, generators: Mapping[str, Hallucinator], alignment: Alignment
) -> dict[str, EvaluationData]:
    """What each generator is evaluated on, by its name."""
    return {
        name: EvaluationData(work, dict.fromkeys(work.protocols, generator), alignment)
        for name, generator in generators.items()
    }


def _parts(
    data: EvaluationData, shifts: Mapping[str, str], backend: LandmarkBackend | None, on_progress: Progress
) -> dict[str, list[tuple[str, Parts]]]:
    """What the faces of one generator keep: by shift, the person of each probe with what was measured."""
    ((generator, folds),) = data.by_generator()
    probes = different(fold.probe for fold in folds)
    records = data.at_size(probes, data.generated_size)
    images = zip(
        records,
        data.mask_crops(probes),
        data.generated(generator, probes),
        data.true_crops(probes),
        strict=True,
    )
    found = {}
    for record, regions, made, true in counted(images, "what faces keep", len(probes), on_progress):
        face = MaskedFace(landmarks=np.array(record.landmarks), regions=regions, generated=made, truth=true)
        found[record.path] = (record.subject, face_parts(face, backend))
    return {shifts[fold.name]: [found[probe.path] for probe in fold.probe] for fold in folds}


def _write(folder: Path, found: Evaluation) -> None:
    """The files of one evaluation."""
    write_outcomes(folder / OUTCOMES, found.outcomes)
    write_atomically(folder / "results.json", to_json(found.results).encode())


def _folder(name: str) -> str:
    """A name that any file system takes."""
    return re.sub(r"[^\w.-]", "_", name)


def _require_different(names: Sequence[str], what: str) -> None:
    """Refuses names of which two would be written to one folder."""
    if len({_folder(name) for name in names}) < len(names):
        raise UserError(f"two {what} have one name ({', '.join(names)}); give others")


def read_suite(path: Path) -> ShiftSuite:
    """Reads what ``measure_shifts`` wrote.

    Raises:
        UserError: it is absent or damaged.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; run pcfh shifts first")
    return from_json_text(path.read_text(encoding="utf-8"), ShiftSuite, "results of pcfh shifts")
