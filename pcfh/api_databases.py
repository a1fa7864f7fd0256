"""Databases, as a notebook uses the package: paths may be text; see ``pcfh.api_faces``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from jaxtyping import Float

from pcfh.api_faces import load_recognizer
from pcfh.checks import require_kind, require_path
from pcfh.databases.layouts import AUTO, open_database
from pcfh.databases.records import Database
from pcfh.errors import UserError
from pcfh.evaluation.evaluate import evaluate as run_evaluation
from pcfh.evaluation.evaluation_data import EvaluationData, EvaluationJob
from pcfh.evaluation.results import Results
from pcfh.hallucinate import Hallucinator
from pcfh.landmarks.given import landmark_key
from pcfh.preparation.align_capture import PrepareOptions
from pcfh.preparation.align_database import prepare as run_preparation
from pcfh.preparation.preparation_report import PrepareReport
from pcfh.recognisers.base import Recognizer

_DATABASE = "give what pcfh.load_database gives"


def load_database(root: str | Path, layout: str = AUTO, **options: Any) -> Database:
    """Reads the records and protocols of a database.

    Args:
        root: folder that it was unpacked to.
        layout: its name, e.g. casia, or yours as my_module:LAYOUT; auto tells it by what lies on disk.
        options: of the layout, e.g. ``seed=3`` where a protocol is drawn.

    Raises:
        UserError: the layout is unknown, not the one on disk, or has no such option.
    """
    require_kind(layout, str, "give the name of a layout, e.g. casia")
    return open_database(require_path(root), layout, **options)


def landmarks_of(database: Database, path: str) -> Float[np.ndarray, "68 2"]:
    """The landmarks that a database brings for one of its pictures.

    Args:
        database: see ``load_database``.
        path: of the picture, relative to the database's root; case and extension do not count.

    Raises:
        UserError: it has no such picture, or no landmarks of it.
    """
    require_kind(database, Database, _DATABASE)
    require_kind(path, str, "give the path of a picture as text")
    for record in database.records:
        if record.landmarks is not None and landmark_key(record.path) == landmark_key(path):
            return np.array(record.landmarks)
    raise UserError(f"{database.root} brings no landmarks for {path!r}; find them with find_faces")


def prepare(
    database: Database, out: str | Path, *, sizes: Sequence[int] = (128,), workers: int = 1
) -> PrepareReport:
    """Aligns all pictures of a database, for training and evaluation; called again, it does what is left.

    Landmarks that the database brings are taken; where it brings none, they are detected.

    Args:
        database: see ``load_database``.
        out: folder to write to.
        sizes: sides of the crops: 64, 128, 144, 256.
        workers: processes.

    Raises:
        UserError: see ``pcfh.preparation.align_database.prepare``.
    """
    require_kind(database, Database, _DATABASE)
    require_kind(workers, int, "give a number of processes")
    if not isinstance(sizes, Sequence) or isinstance(sizes, str):
        raise UserError(f"expected several sizes, got {sizes!r}; give e.g. (128,)")
    for size in sizes:
        require_kind(size, int, "give sizes as whole numbers, e.g. (128,)")
    backend = "given" if all(record.landmarks for record in database.records) else "blaze"
    options = PrepareOptions(sizes=tuple(sizes), backend=backend, workers=workers)
    return run_preparation(database, require_path(out), options)


def evaluate(
    prepared: str | Path,
    *,
    recognizer: Recognizer | None = None,
    hallucinator: Hallucinator | None = None,
    tuned: Mapping[str, Recognizer] | None = None,
    protocol: str = "1",
    cache: str | Path | None = None,
    resamples: int = 1000,
) -> Results:
    """Measures recognition on a prepared database, of NIR probes as they are and with generated faces.

    Args:
        prepared: folder that ``prepare`` wrote.
        recognizer: the shipped one if not given.
        hallucinator: from a file; without it the NIR probes alone are measured.
        tuned: recognisers to compare with it, by name.
        protocol: fold to evaluate.
        cache: folder that keeps features and generated faces for the next time.
        resamples: draws of people of each interval.

    Raises:
        UserError: data, protocol, recogniser or generator do not fit.
    """
    folder = require_path(prepared)
    for one in (recognizer, *(tuned or {}).values()):
        if one is not None and not hasattr(one, "features"):
            raise UserError(
                f"expected a recogniser, got {type(one).__name__}; give pcfh.load_recognizer(), or none"
            )
    if hallucinator is not None:
        require_kind(hallucinator, Hallucinator, "give pcfh.load_hallucinator()")
    require_kind(protocol, str, 'give the name of a protocol as text, e.g. "1"')
    generators = {} if hallucinator is None else {protocol: hallucinator}
    with TemporaryDirectory() as scratch:
        job = EvaluationJob(
            prepared=folder,
            protocols=(protocol,),
            cache=Path(scratch if cache is None else cache),
            resamples=resamples,
        )
        rivals = {name: {protocol: one} for name, one in (tuned or {}).items()}
        chosen = load_recognizer() if recognizer is None else recognizer
        data = EvaluationData(job, generators, chosen.alignment)
        return run_evaluation(data, chosen, tuned=rivals).results
