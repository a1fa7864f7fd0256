"""The third stage: a run is evaluated, and what comparisons between runs need is kept.

All runs are drawn people for with one seed, so that draws of two runs are of the same people.

Axis letters: p probes, f FARs, r draws of people.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Shaped, UInt8

from pcfh.evaluation.evaluate import (
    FeatureTable,
    evaluate_data,
    feature_tables,
    generated_table,
    method_matrices,
)
from pcfh.evaluation.evaluation_data import EvaluationData, EvaluationJob
from pcfh.evaluation.folds import impostor_count, measurable
from pcfh.evaluation.intervals import verification_rate_draws
from pcfh.evaluation.report import RESULTS
from pcfh.evaluation.results import Results, read_results, to_json
from pcfh.files import sha256_of, write_atomically
from pcfh.hallucinate import Hallucinator
from pcfh.landmarks.base import Face, LandmarkBackend
from pcfh.preparation.prepared import MANIFEST
from pcfh.rates import ScoreMatrix, pairs_of, ranks, verification_rate
from pcfh.recipes.order import Order, Run, Watch
from pcfh.recipes.sources import rendered_root
from pcfh.recipes.stages import Stage, is_done, mark_done, working_in
from pcfh.recipes.training import generator_file
from pcfh.recognisers.base import Recognizer
from pcfh.recognisers.features import digest_of

FARS = (0.01, 0.001)  # of the tables' columns
OUTCOME = "outcome.npz"
_VERSION = 1  # of what is kept of an evaluation
_DRAWN = "1"  # the protocol of Oulu-CASIA and BUAA


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of the probes by one method.

    Attributes:
        people: whom each probe is of.
        hits: whether the person was found first.
        rates: VR at each of ``FARS``; NaN where there are too few impostor pairs.
        draws: the same in draws of people; NaN also where all probes are one person's.
    """

    people: Shaped[np.ndarray, " p"]
    hits: Bool[np.ndarray, " p"]
    rates: Float[np.ndarray, " f"]
    draws: Float[np.ndarray, "f r"]


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """What an evaluation left: the report's figures, and the outcome of each method."""

    results: Results
    outcomes: Mapping[str, Outcome]


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
        record=folder / "evaluated.json", inputs=inputs, outputs=(folder / RESULTS, folder / OUTCOME)
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
        material = EvaluationData(job, generators, recognizer.alignment)
        tell = watch.progress(f"{run}: ")
        tables = feature_tables(material, recognizer, tell)
        results = evaluate_data(material, recognizer, tables=tables, backend=backend, on_progress=tell)
        outcomes = _outcomes(material, tables)
        folder = stage.record.parent
        write_atomically(folder / RESULTS, to_json(results).encode())
        write_atomically(folder / OUTCOME, pack(outcomes))
        mark_done(stage)


def read_evaluated(order: Order, run: Run) -> Evaluated:
    """Reads what the evaluation of a run left."""
    folder = run.folder(order.work) / order.tested
    return Evaluated(results=read_results(folder / RESULTS), outcomes=unpack((folder / OUTCOME).read_bytes()))


def outcome_of(matrix: ScoreMatrix, measured: tuple[bool, ...], resamples: int) -> Outcome:
    """What became of the probes, from their scores.

    Args:
        matrix: of one method.
        measured: whether each of ``FARS`` can be.
        resamples: draws of people.
    """
    pairs, nothing = pairs_of(matrix), np.full(resamples, np.nan)
    several = len(np.unique(matrix.probes)) > 1
    return Outcome(
        people=matrix.probes,
        hits=ranks(matrix) == 1,
        rates=np.array(
            [verification_rate(pairs, far) if m else np.nan for far, m in zip(FARS, measured, strict=True)]
        ),
        draws=np.stack(
            [
                verification_rate_draws(matrix, far, resamples=resamples) if m and several else nothing
                for far, m in zip(FARS, measured, strict=True)
            ]
        ),
    )


def pack(outcomes: Mapping[str, Outcome]) -> bytes:
    """The content of a file that ``unpack`` reads."""
    buffer = BytesIO()
    arrays = {
        f"{method}/{name}": getattr(outcome, name)
        for method, outcome in outcomes.items()
        for name in ("people", "hits", "rates", "draws")
    }
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def unpack(content: bytes) -> dict[str, Outcome]:
    """The reverse of ``pack``."""
    with np.load(BytesIO(content), allow_pickle=False) as arrays:
        methods = dict.fromkeys(name.partition("/")[0] for name in arrays.files)
        return {
            method: Outcome(
                people=arrays[f"{method}/people"],
                hits=arrays[f"{method}/hits"],
                rates=arrays[f"{method}/rates"],
                draws=arrays[f"{method}/draws"],
            )
            for method in methods
        }


def _outcomes(material: EvaluationData, tables: Mapping[str, FeatureTable]) -> dict[str, Outcome]:
    """Outcomes of each method."""
    (fold,) = material.folds
    generator = material.generators.get(fold.name)
    generated = None if generator is None else generated_table(generator)
    measured = tuple(measurable(far, impostor_count(fold)) for far in FARS)
    matrices = method_matrices(fold, tables, generated)
    return {name: outcome_of(m, measured, material.job.resamples) for name, m in matrices.items()}
