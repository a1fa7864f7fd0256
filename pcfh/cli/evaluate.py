"""The command that turns a database and a method into the rows of the paper's tables."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from tqdm import tqdm

from pcfh.cli.app import Names, app, progress_bar
from pcfh.data.prepared import read_manifest
from pcfh.errors import UserError
from pcfh.hallucinate import Hallucinator
from pcfh.landmarks import open_backend
from pcfh.recognition.evaluate import evaluate as run_evaluation
from pcfh.recognition.material import EvaluationJob, Material, evaluated_protocols
from pcfh.recognition.recognizer import open_recognizer
from pcfh.recognition.report import mistake_pictures, write_report

_PLACE = "{protocol}"


@app.command
def evaluate(  # noqa: PLR0913 - one argument per option of the command
    data: Path,
    out: Path,
    *,
    recognizer: Path,
    generator: str | None = None,
    protocol: Names = ("1",),
    database: Path | None = None,
    groups: Path | None = None,
    pose: Annotated[bool, Parameter(negative="")] = False,
    pictures: bool = True,
    device: str = "auto",
    batch: int = 32,
    resamples: int = 1000,
    seed: int = 0,
) -> int:
    """Measure recognition on a prepared database, without and with generated faces; write a report.

    Features and generated faces are kept in OUT/cache, so the same command goes on where it was stopped.

    Args:
        data: folder made by pcfh prepare.
        out: folder to write to: results.json, table.md, table.tex, roc.png, cmc.png, report.html.
        recognizer: Light CNN checkpoint, recognizer.safetensors or ONNX model.
        generator: generator.safetensors of a training run; with {protocol} in its path, one for each fold.
        protocol: folds to evaluate; all takes all that have probes, without View 1 (dev).
        database: the rendered database that was prepared, for true VIS images and groups.
        groups: CSV table of groups: path, and one column for each way to group.
        pose: also find landmarks in generated faces, with the default detector.
        pictures: show the worst mistakes in the report.
        device: auto, cpu, cuda or cuda:1.
        batch: faces computed at once.
        resamples: draws of people of each interval.
        seed: of the draws.
    """
    for name, value in (("batch", batch), ("resamples", resamples)):
        if value < 1:
            raise UserError(f"--{name} {value}: expected at least 1")
    job = EvaluationJob(
        prepared=data,
        protocols=protocol,
        cache=out / "cache",
        raw=database,
        groups=groups,
        batch=batch,
        resamples=resamples,
        seed=seed,
    )
    names = evaluated_protocols(read_manifest(data).source.protocols, protocol)
    generators = _generators(generator, names, device)
    network = open_recognizer(recognizer, device=device)
    backend = open_backend("blaze") if pose else None
    with progress_bar("done", 1) as bar:

        def show(stage: str, done: int, total: int) -> None:
            _show(bar, stage, done, total)

        results = run_evaluation(job, network, generators, backend=backend, on_progress=show)
    shown = mistake_pictures(results, Material(job, generators, network.alignment)) if pictures else ()
    written = write_report(results, out, shown)
    for note in results.notes:
        print(note, file=sys.stderr)
    print(written.table.read_text(encoding="utf-8"))
    print(f"Written to {out}; look at {written.report}")
    return 0


def _generators(path: str | None, protocols: tuple[str, ...], device: str) -> Mapping[str, Hallucinator]:
    """One generator for each protocol, each file opened once."""
    if path is None:
        return {}
    files = {name: Path(path.replace(_PLACE, name)) for name in protocols}
    opened = {file: Hallucinator.from_file(file, device=device) for file in dict.fromkeys(files.values())}
    return {name: opened[file] for name, file in files.items()}


def _show(bar: "tqdm[None]", stage: str, done: int, total: int) -> None:
    """Brings the bar to where a stage is; each stage begins anew."""
    if bar.desc != f"{stage}: ":
        bar.set_description(stage, refresh=False)
        bar.reset(total=total)
    bar.update(done - bar.n)
