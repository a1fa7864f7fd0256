"""A generator adapted to a user's own camera: from two folders of pictures to the better of two generators.

    OUT/prepared/               aligned faces of both folders
    OUT/run/                    the training: checkpoint, metrics.csv, pictures
    OUT/faces.png               faces held back: NIR, as before, adapted
    OUT/adapt.json              what both generators are worth, and which was taken
    OUT/generator.safetensors   the better one, written last

The same command goes on where it was stopped. What decides stands in ``pcfh.methods.adapted_worth``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from jaxtyping import UInt8
from torch import Tensor

from pcfh import __version__
from pcfh.config import read_toml
from pcfh.databases.folder_pair import PROTOCOL, read_folder_pair
from pcfh.databases.records import Record, spaced
from pcfh.errors import UserError
from pcfh.files import sha256_of, write_atomically
from pcfh.images import grey, write_png
from pcfh.methods.adapt import AdaptTask, AdaptTraining, load_adaptable
from pcfh.methods.adapted_worth import (
    Chance,
    Worth,
    chance_of,
    faces_in_rows,
    generate,
    is_better,
    worth,
)
from pcfh.methods.familiar import known_range, put_familiar_before
from pcfh.methods.files import as_trained, load_generator, save_generator
from pcfh.methods.pcfh.adaptation import AdaptConfig
from pcfh.methods.pcfh.generator import with_detail
from pcfh.methods.train import GENERATOR
from pcfh.parallel import Workers
from pcfh.preparation.align_capture import PrepareOptions
from pcfh.preparation.align_database import prepare
from pcfh.preparation.manifest import Drop
from pcfh.preparation.training_pairs import landmarks_of, read_crops
from pcfh.provenance import TRAINED, xmp
from pcfh.runtime import Runtime
from pcfh.training.checkpoint import State
from pcfh.training.loop import SETTINGS, Callbacks, run_task
from pcfh.typed_json import to_json_text

PREPARED, RUN, SHEET, RESULT = "prepared", "run", "faces.png", "adapt.json"
_SHOWN = 8
_MOST_PORTRAITS = 500  # whose colours are looked at
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class AdaptJob:
    """What to adapt, to what.

    Attributes:
        nir: folder of the camera's near-infrared pictures.
        vis: folder of visible-light portraits, of anybody.
        out: folder to write to.
        generator: to begin with, of the method pcfh.
        recognizer: a Light CNN.
        minutes: how long to train on this machine; the steps are counted before the first one.
        steps: how many steps to train in the place of that.
        config: settings.
        landmarks: table of landmarks of the pictures, by paths relative to the folder that holds both
            folders; nothing is detected then.
        backend: what finds faces.
        min_score: faces found with less count as none.
        workers: processes that find faces; 0 takes one per core.
    """

    nir: Path
    vis: Path
    out: Path
    generator: Path
    recognizer: Path
    minutes: float = 5.0
    steps: int | None = None
    config: AdaptConfig = field(default_factory=AdaptConfig)
    landmarks: Path | None = None
    backend: str = "blaze"
    min_score: float = 0.5
    workers: Workers = 0


@dataclass(frozen=True, kw_only=True)
class Adapted:
    """What came of an adaptation, as ``adapt.json`` holds it.

    Attributes:
        version: of the program.
        generator: SHA-256 of the file that was begun with.
        steps: of the training.
        nir: faces that were learnt from.
        portraits: likewise.
        held_back: faces that were judged by.
        before: figures of the generator as it was.
        after: of the adapted one.
        chance: distances from the portraits that say nothing.
        taken: which of the two is ``generator.safetensors``.
        dropped: pictures that could not be used, and why.
        notes: what was odd in the folders.
    """

    format: Literal["pcfh-adapt-1"]
    version: str
    generator: str
    steps: int
    nir: int
    portraits: int
    held_back: int
    before: Worth
    after: Worth
    chance: Chance
    taken: Literal["before", "after"]
    dropped: tuple[Drop, ...]
    notes: tuple[str, ...]


def adapt(
    job: AdaptJob,
    runtime: Runtime,
    *,
    on_faces: Progress = lambda done, total: None,
    on_plan: Callable[[int], None] = lambda steps: None,
    callbacks: Callbacks | None = None,
) -> Adapted | None:
    """Finds faces, trains, and writes the better generator; goes on where it was stopped.

    Args:
        job: what to do.
        runtime: this process.
        on_faces: told how many pictures are through, of how many.
        on_plan: told the number of steps before the first one.
        callbacks: of the training.

    Returns:
        What came of it; None where the training was stopped before its end.

    Raises:
        UserError: folders, files or settings do not fit, there are too few faces, or ``out`` holds another
            adaptation.
    """
    generator, _ = load_adaptable(job.generator)
    left_out = _prepared(job, generator.size, on_faces)
    training = AdaptTraining(
        prepared=job.out / PREPARED,
        protocol=PROTOCOL,
        run=job.out / RUN,
        generator=job.generator,
        recognizer=job.recognizer,
        config=job.config,
    )
    training = with_steps(training, _steps(job, training, runtime))
    steps = training.config.training.steps
    on_plan(steps)
    task = AdaptTask(training, runtime)
    state = run_task(task, training.run, runtime, callbacks)
    return _judged(job, task, state, left_out) if state.step == steps else None


def _prepared(job: AdaptJob, size: int, on_faces: Progress) -> tuple[tuple[Drop, ...], tuple[str, ...]]:
    """Finds the faces of both folders; pictures that could not be used, and what is odd in the folders."""
    for folder in (job.nir, job.vis):
        if job.out.resolve().is_relative_to(folder.resolve()):
            raise UserError(f"{job.out}: lies in {folder}; choose a folder outside of the pictures")
    options = PrepareOptions(
        sizes=(size,),
        backend=job.backend,
        landmarks=job.landmarks,
        workers=job.workers,
        min_score=job.min_score,
        layout="folders",
    )
    database = read_folder_pair(job.nir, job.vis, same_people=False)
    report = prepare(database, job.out / PREPARED, options, on_progress=on_faces)
    return report.dropped, database.notes


def with_steps(training: AdaptTraining, steps: int) -> AdaptTraining:
    """The same for a number of steps."""
    config = training.config
    return replace(training, config=replace(config, training=replace(config.training, steps=steps)))


def _steps(job: AdaptJob, training: AdaptTraining, runtime: Runtime) -> int:
    """How many steps: as given, as a run that has begun has planned, or as many as the minutes allow."""
    settings = training.run / SETTINGS
    planned = int(read_toml(settings)["training.steps"]) if settings.is_file() else None
    if planned is not None and job.steps not in (None, planned):
        raise UserError(
            f"{job.out}: holds an adaptation of {planned} steps; give --steps {planned}, or a new folder"
        )
    if planned is not None:
        return planned
    if job.steps is not None:
        return job.steps
    task = AdaptTask(training, runtime)
    task.prepare()
    return max(1, round(60 * job.minutes / task.seconds_of_a_step()))


def _judged(
    job: AdaptJob, task: AdaptTask, state: State, left_out: tuple[tuple[Drop, ...], tuple[str, ...]]
) -> Adapted:
    """Compares both generators on the faces held back, and writes the better one."""
    faces, device = task.faces, next(state.networks.parameters()).device
    nir = read_crops(faces.root, faces.held_back, grey)
    portraits = _colour_crops(faces.root, spaced(faces.vis, _MOST_PORTRAITS))
    points = landmarks_of(faces.held_back).to(device)
    old, _ = load_generator(job.generator)
    new, about = load_generator(job.out / RUN / GENERATOR)
    made, figures = {}, {}
    before = as_trained(old)
    if known := known_range(old):
        put_familiar_before(before, known)
    for name, generator in {"before": before, "after": new}.items():
        made[name] = generate(generator.to(device), nir.to(device), points)
        figures[name] = worth(
            made[name], nir.to(device), portraits, recognizer=task.recognizer, G_B=task.trainer.networks.G_B
        )
    chance = chance_of(portraits, len(nir))
    better = is_better(figures["after"], figures["before"], chance)
    taken: Literal["before", "after"] = "after" if better else "before"
    rows = [nir.expand(-1, 3, -1, -1), made["before"].cpu(), made["after"].cpu()]
    sheet = faces_in_rows(rows, _SHOWN).permute(1, 2, 0).numpy()
    write_png(job.out / SHEET, sheet, {"Synthetic": "true", "XML:com.adobe.xmp": xmp(TRAINED)})
    adapted = Adapted(
        format="pcfh-adapt-1",
        version=__version__,
        generator=sha256_of(job.generator),
        steps=state.step,
        nir=len(faces.nir),
        portraits=len(faces.vis),
        held_back=len(faces.held_back),
        before=figures["before"],
        after=figures["after"],
        chance=chance,
        taken=taken,
        dropped=left_out[0],
        notes=left_out[1],
    )
    write_atomically(job.out / RESULT, to_json_text(adapted).encode())
    if taken == "after" and old.detail:
        save_generator(job.out / GENERATOR, with_detail(new, old.detail, old.zoom), about)
    else:
        chosen = job.generator if taken == "before" else job.out / RUN / GENERATOR
        write_atomically(job.out / GENERATOR, chosen.read_bytes())
    return adapted


def _colour_crops(root: Path, records: Sequence[Record]) -> UInt8[Tensor, "m 3 s s"]:
    return read_crops(root, records, lambda image: image)
