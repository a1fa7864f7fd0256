"""The suite of shifts measured: what each thing that cameras do costs, alone, without and with a generator.

A database of ``pcfh render --recipe shifts`` has a fold for each shift; the probes of all show the same
moments. It is prepared with its exact landmarks, so that a detector's failures do not mix in, and evaluated
with each recogniser. Shares are in [0, 1]; intervals are over people, the same draws for all.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pcfh import __version__
from pcfh.databases.layouts import open_database
from pcfh.databases.records import Database
from pcfh.databases.rendered import PARAMETERS
from pcfh.errors import UserError
from pcfh.evaluation.evaluate import evaluate
from pcfh.evaluation.evaluation_data import EvaluationData, EvaluationJob, model_of
from pcfh.evaluation.intervals import Bootstrap, Interval, mean_interval
from pcfh.evaluation.outcomes import OUTCOMES, MethodOutcome, Outcomes, write_outcomes
from pcfh.evaluation.results import FUSION, GENERATED, ORIGINAL, TRUTH, to_json
from pcfh.evaluation.score_methods import Progress
from pcfh.evaluation.text_tables import TextTable, interval_text
from pcfh.files import write_atomically
from pcfh.hallucinate import Hallucinator
from pcfh.preparation.align_capture import PrepareOptions
from pcfh.preparation.align_database import prepare
from pcfh.recognisers.base import Recognizer
from pcfh.typed_json import from_json_text, to_json_text

RESULTS, TABLE = "shifts.json", "shifts.md"
_SCORES = (ORIGINAL, GENERATED, FUSION, TRUTH)
_COLUMN = "shift"
_HEAD = ("Shift", "NIR", "generated", "fusion", "true VIS", "fusion less NIR")


@dataclass(frozen=True, kw_only=True)
class ShiftRow:
    """One shift with one recogniser.

    Attributes:
        recognizer: its name.
        shift: name.
        probes: how many.
        people: whose.
        rank1: by score: original, generated, fusion, truth.
        gain: Rank-1 of the fusion less that of the NIR images, the same people drawn for both.
    """

    recognizer: str
    shift: str
    probes: int
    people: int
    rank1: Mapping[str, Interval | None]
    gain: Interval | None


@dataclass(frozen=True, kw_only=True)
class ShiftSuite:
    """All rows, with what they were measured with."""

    format: Literal["pcfh-shifts-1"]
    version: str
    generator: str
    resamples: int
    rows: tuple[ShiftRow, ...]


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
    generator: Hallucinator,
    *,
    on_progress: Progress = lambda stage, done, total: None,
) -> ShiftSuite:
    """Prepares the database, evaluates it with each recogniser and writes results and table.

    What is done is not done again: crops, generated faces and features are kept in ``out``.

    Raises:
        UserError: the database has no shifts, or two recognisers share a name.
    """
    names = [recognizer.name for recognizer in recognizers]
    if len(set(names)) < len(names):
        raise UserError(f"two recognisers have one name ({', '.join(names)}); rename a file")
    database = open_database(job.database)
    shifts = shifts_of(database)
    prepared = job.out / "prepared"
    options = PrepareOptions(
        sizes=tuple(sorted({144, generator.size})), backend="given", workers=job.workers, layout="casia"
    )
    prepare(database, prepared, options, on_progress=lambda done, total: on_progress("captures", done, total))
    rows = []
    for recognizer in recognizers:
        work = EvaluationJob(
            prepared=prepared,
            protocols=tuple(shifts),
            cache=job.out / "cache",
            raw=database.root,
            batch=job.batch,
            resamples=job.resamples,
        )
        data = EvaluationData(work, dict.fromkeys(shifts, generator), recognizer.alignment)
        found = evaluate(data, recognizer, on_progress=on_progress)
        folder = job.out / re.sub(r"[^\w.-]", "_", recognizer.name)
        write_outcomes(folder / OUTCOMES, found.outcomes)
        write_atomically(folder / "results.json", to_json(found.results).encode())
        rows += shift_rows(recognizer.name, shifts, found.outcomes, work.bootstrap)
    suite = ShiftSuite(
        format="pcfh-shifts-1",
        version=__version__,
        generator=model_of(generator),
        resamples=job.resamples,
        rows=tuple(rows),
    )
    write_atomically(job.out / RESULTS, to_json_text(suite).encode())
    write_atomically(job.out / TABLE, markdown(suite).encode())
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


def shift_rows(
    recognizer: str, shifts: Mapping[str, str], outcomes: Outcomes, bootstrap: Bootstrap
) -> list[ShiftRow]:
    """What became of the probes of each shift."""

    def row(shift: str, methods: Mapping[str, MethodOutcome]) -> ShiftRow:
        nir, fusion = methods[ORIGINAL], methods[FUSION]
        gained = fusion.hits.astype(int) - nir.hits.astype(int)
        return ShiftRow(
            recognizer=recognizer,
            shift=shift,
            probes=len(nir.hits),
            people=len(set(nir.people.tolist())),
            rank1={
                name: mean_interval(methods[name].hits, methods[name].people, bootstrap)
                for name in _SCORES
                if name in methods
            },
            gain=mean_interval(gained, nir.people, bootstrap),
        )

    return [row(shift, outcomes[protocol]) for protocol, shift in shifts.items()]


def markdown(suite: ShiftSuite) -> str:
    """A table for each recogniser, in percent."""
    parts = []
    for name in dict.fromkeys(row.recognizer for row in suite.rows):
        own = [row for row in suite.rows if row.recognizer == name]
        cells = [
            (
                row.shift,
                *(interval_text(row.rank1.get(score)) for score in _SCORES),
                interval_text(row.gain, signed=True),
            )
            for row in own
        ]
        caption = (
            f"**{name}**: Rank-1 in percent with 95 % confidence intervals over people; {own[0].people} "
            f"people, {own[0].probes} probes of each shift."
        )
        parts.append(f"{caption}\n\n{TextTable(caption, _HEAD, cells).markdown()}\n")
    return "\n".join(parts)


def read_suite(path: Path) -> ShiftSuite:
    """Reads what ``measure_shifts`` wrote.

    Raises:
        UserError: it is absent or damaged.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; run pcfh shifts first")
    return from_json_text(path.read_text(encoding="utf-8"), ShiftSuite, "results of pcfh shifts")
