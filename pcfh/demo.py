"""The main job on the sample of rendered faces, with the shipped weights: translate, recognise, report.

    <out>/prepared   aligned crops of the sample
    <out>/faces      the VIS face of each NIR probe, as ``pcfh translate`` writes them
    <out>/report     tables, curves and pictures: the Light CNN alone beside the generated faces
    <out>/demo.json  says that the folder is the demo's

Called again, it resumes where it was stopped. The generator has never seen the people of the sample.
"""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pcfh import __version__
from pcfh.batches import Task, process, stretches
from pcfh.databases.casia import read_casia
from pcfh.databases.records import LANDMARKS_FILE, Database
from pcfh.databases.rendered import SAMPLE, TRUTH
from pcfh.errors import UserError
from pcfh.evaluation.evaluate import evaluate
from pcfh.evaluation.evaluation_data import EvaluationData, EvaluationJob
from pcfh.evaluation.report import REPORT as PAGE
from pcfh.evaluation.report import face_sheets, write_report
from pcfh.evaluation.results import Results
from pcfh.files import sha256_of, write_atomically
from pcfh.hallucinate import Hallucinator
from pcfh.preparation.align_capture import PrepareOptions
from pcfh.preparation.align_database import prepare
from pcfh.preparation.face_reader import ReaderOptions, start_reader
from pcfh.recognisers.registry import open_recognizer
from pcfh.translate import write_faces

MARK = "demo.json"
PREPARED, FACES, REPORT = "prepared", "faces", "report"
_PROTOCOL = "1"
_BATCH = 8
_FORMAT = {"format": "pcfh-demo"}  # how the mark begins

Say = Callable[[str], None]


def run_demo(
    out: Path,
    *,
    generator: Path,
    recognizer: Path,
    faces: Path = SAMPLE,
    resamples: int = 1000,
    say: Say = lambda line: None,
) -> Path:
    """Prepares, translates, recognises and reports.

    Args:
        out: folder to write to: a new one, an empty one or an earlier demo's.
        generator: NIR to VIS, e.g. the shipped one.
        recognizer: e.g. the shipped one.
        faces: a rendered database with landmarks and truth images.
        resamples: draws of people of each interval.
        say: gets each line of what goes on.

    Returns:
        The report, an HTML page.

    Raises:
        UserError: the folder holds something else, or there is no database.
    """
    if not (faces / TRUTH).is_dir():
        raise UserError(
            f"{faces}: expected the sample of rendered faces; run this in a clone of the repository, or give "
            "--faces a database made by pcfh render"
        )
    _claim(out, faces, generator, recognizer)
    hallucinator = Hallucinator.from_file(generator, device="cpu")
    database = read_casia(faces)
    size = hallucinator.size
    say(f"preparing {len(database.records)} rendered captures: faces aligned to {size} x {size} pixels")
    prepare(database, out / PREPARED, PrepareOptions(sizes=(size,), backend="given", layout="casia"))
    _translate(database, faces, out / FACES, hallucinator, say)
    job = EvaluationJob(
        prepared=out / PREPARED,
        protocols=(_PROTOCOL,),
        cache=out / REPORT / "cache",
        raw=faces,
        resamples=resamples,
    )
    network = open_recognizer(recognizer, device="cpu")
    material = EvaluationData(job, {_PROTOCOL: hallucinator}, network.alignment)
    say("matching each probe with the gallery of VIS photographs: as it is, generated, and both")
    found = evaluate(material, network)
    results = found.results
    say(verdict(results))
    write_report(results, out / REPORT, face_sheets(results, material))
    return out / REPORT / PAGE


def verdict(results: Results) -> str:
    """What a person wants to know first: how many faces are recognised without and with generation."""
    fold = results.folds[0]
    rank1 = {figures.method: 100 * figures.cmc[0] for figures in fold.methods}
    return (
        f"of {fold.probes} NIR photographs, found first among {fold.gallery} people: "
        f"{rank1['original']:.1f} % as they are, {rank1['generated']:.1f} % generated, "
        f"{rank1['fusion']:.1f} % with both scores"
    )


def _claim(out: Path, faces: Path, generator: Path, recognizer: Path) -> None:
    """Takes a folder for this demo, and clears away what another demo left in it."""
    weights = {"generator": sha256_of(generator), "recognizer": sha256_of(recognizer)}
    text = json.dumps({**_FORMAT, "version": __version__, "faces": str(faces.resolve()), **weights})
    mark = out / MARK
    found = mark.read_text(errors="replace") if mark.is_file() else ""
    if found == text:
        return
    if found.startswith(json.dumps(_FORMAT).removesuffix("}")):
        for folder in (out / FACES, out / PREPARED, out / REPORT):
            if folder.exists():
                shutil.rmtree(folder)
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: expected a new or empty folder, or an earlier demo's; name another one")
    write_atomically(mark, text.encode())


def _translate(database: Database, faces: Path, out: Path, hallucinator: Hallucinator, say: Say) -> None:
    """Writes the VIS face of each probe that is not there yet."""
    tasks = [
        Task(
            source=str(faces / record.path),
            name=record.path,
            key=record.path,
            target=str((out / record.path).with_suffix(".png")),
        )
        for record in database.protocol(_PROTOCOL).probe
    ]
    missing = [task for task in tasks if not Path(task.target).exists()]
    say(f"translating {len(missing)} NIR photographs of people whom the generator has never seen")
    read = start_reader(ReaderOptions(size=hallucinator.size, landmarks=faces / LANDMARKS_FILE))
    for group in stretches(missing, _BATCH):
        for written in process(read, partial(write_faces, hallucinator), group):
            if written.error:
                say(f"{written.face.task.source}: {written.error}")
