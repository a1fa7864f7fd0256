"""The third stage: a run is evaluated, and what comparisons between runs need is kept.

All runs are drawn people for with one seed, so that draws of two runs are of the same people.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pcfh.evaluation.evaluate import evaluate_data
from pcfh.evaluation.evaluation_data import EvaluationData, EvaluationJob
from pcfh.evaluation.outcomes import OUTCOMES, MethodOutcome, read_outcomes, write_outcomes
from pcfh.evaluation.report import RESULTS
from pcfh.evaluation.results import Results, read_results, to_json
from pcfh.files import sha256_of, write_atomically
from pcfh.hallucinate import Hallucinator
from pcfh.landmarks.base import Face, LandmarkBackend
from pcfh.preparation.manifest import MANIFEST
from pcfh.recipes.order import Order, Run, Watch
from pcfh.recipes.sources import rendered_root
from pcfh.recipes.stages import Stage, is_done, mark_done, working_in
from pcfh.recipes.training import generator_file
from pcfh.recognisers.base import Recognizer
from pcfh.recognisers.features import digest_of

_VERSION = 2  # of what is kept of an evaluation
_DRAWN = "1"  # the protocol of Oulu-CASIA and BUAA


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """What an evaluation left: the report's figures, and the outcome of each method."""

    results: Results
    outcomes: Mapping[str, MethodOutcome]


class Remembering:
    """A landmark backend that looks at each picture once, as the runs share inputs and true images.

    Args:
        backend: which does the work.
    """

    def __init__(self, backend: LandmarkBackend) -> None:
        self.name = backend.name
        self._backend, self._found = backend, dict[bytes, list[Face]]()

    def detect(self, image: UInt8[np.ndarray, "h w 3"]) -> list[Face]:
        """Finds the faces of an image, or remembers them."""
        key = digest_of(image)
        if key not in self._found:
            self._found[key] = self._backend.detect(image)
        return self._found[key]


def evaluation_stage(order: Order, run: Run, prepared: Path, recognizer: Recognizer) -> Stage:
    """The evaluation of a run as a stage.

    Args:
        order: what the user wants.
        run: which; trained.
        prepared: folder of the database to test on.
        recognizer: one for all.
    """
    inputs = {
        "version": _VERSION,
        "manifest": sha256_of(prepared / MANIFEST),
        "recognizer": recognizer.key,
        "generator": None if run.seed is None else sha256_of(generator_file(run, order.work)),
        "pose": order.pose,
        "resamples": order.resamples,
    }
    folder = run.folder(order.work) / order.tested
    return Stage(
        record=folder / "evaluated.json", inputs=inputs, outputs=(folder / RESULTS, folder / OUTCOMES)
    )


def evaluate_run(
    order: Order,
    run: Run,
    prepared: Path,
    recognizer: Recognizer,
    backend: LandmarkBackend | None,
    watch: Watch,
) -> None:
    """Evaluates a run, unless that is done.

    Args:
        order: what the user wants.
        run: which; trained.
        prepared: folder of the database to test on.
        recognizer: one for all.
        backend: finds landmarks in generated faces; None leaves pose out.
        watch: what to tell.

    Raises:
        UserError: the database has no such protocol, or another process is at work on the run.
    """
    stage = evaluation_stage(order, run, prepared, recognizer)
    if is_done(stage):
        return
    watch.say(f"Evaluating {run}")
    protocol = run.fold if order.tested == "casia" else _DRAWN
    job = EvaluationJob(
        prepared=prepared,
        protocols=(protocol,),
        cache=order.work / "cache",
        raw=rendered_root(prepared),
        batch=order.batch,
        resamples=order.resamples,
    )
    generators = {}
    if run.seed is not None:
        generators[protocol] = Hallucinator.from_file(generator_file(run, order.work), device=order.device)

    with working_in(run.folder(order.work)):
        data = EvaluationData(job, generators, recognizer.alignment)
        found = evaluate_data(data, recognizer, backend=backend, on_progress=watch.progress(f"{run}: "))
        folder = stage.record.parent
        write_atomically(folder / RESULTS, to_json(found.results).encode())
        write_outcomes(folder / OUTCOMES, found.outcomes)
        mark_done(stage)


def read_evaluated(order: Order, run: Run) -> Evaluated:
    """Reads what the evaluation of a run left."""
    folder = run.folder(order.work) / order.tested
    (outcomes,) = read_outcomes(folder / OUTCOMES).values()
    return Evaluated(results=read_results(folder / RESULTS), outcomes=outcomes)
