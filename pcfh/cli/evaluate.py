"""The command that turns a database and a method into the rows of the paper's tables."""

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from cyclopts import Parameter

from pcfh.cli.app import Names, named_files, progress_bar, say, show_stage
from pcfh.errors import UserError
from pcfh.evaluation.evaluate import common_alignment
from pcfh.evaluation.evaluate import evaluate as run_evaluation
from pcfh.evaluation.evaluation_data import EvaluationData, EvaluationJob, evaluated_protocols
from pcfh.evaluation.outcomes import OUTCOMES, write_outcomes
from pcfh.evaluation.report import REPORT, TABLE, face_sheets, write_report
from pcfh.evaluation.scores import AVERAGE, Fusion
from pcfh.hallucinate import Hallucinator
from pcfh.landmarks import open_backend
from pcfh.preparation.manifest import read_manifest
from pcfh.recognisers.registry import open_recognizer
from pcfh.runtime import keep_freed_memory
from pcfh.shipped import shipped

_PLACE = "{protocol}"
Model = TypeVar("Model")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class OnnxOptions:
    """How an ONNX recogniser wants its faces, where MODEL.onnx.json beside it does not say.

    Attributes:
        onnx_alignment: crop of an ONNX recogniser, arcface (the default) or lightcnn.
        onnx_size: side of its crops in pixels, 112 if not given.
        onnx_channels: rgb (the default), bgr or grey.
        onnx_mean: taken from pixels of 0 to 255, 127.5 if not given.
        onnx_std: divides the difference, 127.5 if not given.
    """

    onnx_alignment: Literal["arcface", "lightcnn"] | None = None
    onnx_size: int | None = None
    onnx_channels: Literal["rgb", "bgr", "grey"] | None = None
    onnx_mean: float | None = None
    onnx_std: float | None = None

    def settings(self) -> dict[str, Any]:
        """What was given, by the names of ``OnnxSettings``."""
        return {k.removeprefix("onnx_"): v for k, v in asdict(self).items() if v is not None}


def evaluate(  # noqa: PLR0913 - one argument per option of the command
    data: Path,
    out: Path,
    *,
    recognizer: str | None = None,
    tuned: Names = (),
    onnx: OnnxOptions | None = None,
    generator: str | None = None,
    protocol: Names = ("1",),
    database: Path | None = None,
    groups: Path | None = None,
    pose: Annotated[bool, Parameter(negative="")] = False,
    fusion: Fusion = "average",
    fusion_weight: float = AVERAGE,
    pictures: bool = True,
    device: str = "auto",
    batch: int = 32,
    resamples: int = 1000,
    seed: int = 0,
) -> int:
    """Measure recognition on a prepared database, without and with generated faces; write a report.

    Features and generated faces are kept in OUT/cache, so the same command resumes one that was stopped. That
    folder grows with each recogniser and generator tried, and may be deleted at any time.

    Args:
        data: folder made by pcfh prepare.
        out: folder to write to: results.json, outcomes.npz, table.md, table.tex, roc.png, cmc.png,
            random.jpg, worst.jpg, report.html.
        recognizer: Light CNN checkpoint, recognizer.safetensors, ONNX model, dlib, or my_module:MyRecognizer;
            with {protocol} in its path, one for each fold. The shipped Light CNN if not given.
        tuned: recognisers to compare with it, each as NAME=FILE or FILE, likewise; several are told apart by
            their names.
        onnx: of an ONNX model.
        generator: generator.safetensors of a training run; with {protocol} in its path, one for each fold.
        protocol: folds to evaluate; all takes all that have probes, without View 1 (dev).
        database: the rendered database that was prepared, for true VIS images and groups.
        groups: CSV table of groups: path, and one column for each way to group.
        pose: also find landmarks in generated faces, with the default detector.
        fusion: average of both scores, as in the paper, or template: the cosine with the mean of both
            features.
        fusion_weight: of the generated face's score in the fusion, 0 to 1; 0.5 is the paper's average. Choose
            another one on people who are not in the test.
        pictures: write sheets of faces, of which one is of the worst mistakes, and show them in the report.
        device: auto, cpu, cuda or cuda:1.
        batch: faces computed at once.
        resamples: draws of people of each interval.
        seed: of these draws and of the sheet of random faces.
    """
    for name, value in (("batch", batch), ("resamples", resamples)):
        if value < 1:
            raise UserError(f"--{name} {value}: expected at least 1")
    if not 0 <= fusion_weight <= 1:
        raise UserError(f"--fusion-weight {fusion_weight:g}: expected 0 to 1")
    job = EvaluationJob(
        prepared=data,
        protocols=protocol,
        cache=out / "cache",
        raw=database,
        groups=groups,
        batch=batch,
        resamples=resamples,
        seed=seed,
        fusion=fusion,
        fusion_weight=fusion_weight,
    )
    keep_freed_memory()
    names = evaluated_protocols(read_manifest(data).source.protocols, protocol)
    settings = (onnx or OnnxOptions()).settings()
    place = str(shipped("recognizer")) if recognizer is None else recognizer
    recognizers = _each(place, names, partial(open_recognizer, device=device, settings=settings))
    rivals = {
        name: _each(place, names, partial(open_recognizer, device=device))
        for name, place in named_files(tuned, "--tuned: two recognisers", lambda _: "tuned").items()
    }
    generators = _each(generator, names, partial(Hallucinator.from_file, device=device)) if generator else {}
    work = EvaluationData(job, generators, common_alignment(recognizers.values()))
    backend = open_backend("blaze") if pose else None
    with progress_bar("done", 1) as bar:
        show = partial(show_stage, bar)
        found = run_evaluation(work, recognizers, tuned=rivals, backend=backend, on_progress=show)
    results = found.results
    write_outcomes(out / OUTCOMES, found.outcomes)
    write_report(results, out, face_sheets(results, work) if pictures else None)
    for note in results.notes:
        say(note, file=sys.stderr)
    print((out / TABLE).read_text(encoding="utf-8"))
    print(f"Features and generated faces are kept in {job.cache} ({_megabytes(job.cache):.1f} MB)")
    print(f"Written to {out}; look at {out / REPORT}")
    return 0


def _each(place: str, protocols: tuple[str, ...], open_it: Callable[[str], Model]) -> dict[str, Model]:
    """What a place names for each protocol, each different one opened once."""
    places = {name: place.replace(_PLACE, name) for name in protocols}
    opened = {own: open_it(own) for own in dict.fromkeys(places.values())}
    return {name: opened[own] for name, own in places.items()}


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
