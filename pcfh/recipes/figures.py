"""Figures 4 and 5 of the paper from the rows that ``pcfh reproduce`` has trained.

    Figure 4    different people, drawn by chance: the NIR image, each method's, the true VIS image
    Figure 5    one person in several poses and expressions: likewise, for PCFH and its ablations

Rows that are not trained are left out. Where the true VIS image of the moment is not known, the last row is
a VIS capture of the person.

Axis letters: s side of an image.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pcfh.databases.records import Protocol, Record, subjects
from pcfh.databases.rendered import TRUTH
from pcfh.errors import UserError
from pcfh.evaluation.evaluation_data import EvaluationData, EvaluationJob
from pcfh.evaluation.generated import CropGenerator
from pcfh.evaluation.sheets import sheet
from pcfh.hallucinate import Hallucinator
from pcfh.images import jpeg_bytes, read_image
from pcfh.methods.train import GENERATOR
from pcfh.preparation.manifest import crops_folder, read_manifest
from pcfh.recipes.experiment import Run, prepared_folder
from pcfh.recipes.paper_numbers import CYCLEGAN, NO_AWM, NO_MIC, PCFH, PIX2PIX
from pcfh.recognisers.alignment import LIGHTCNN

ROWS: Mapping[int, Mapping[str, str]] = {
    4: {"csh": "after CSH", PIX2PIX: "Pix2Pix", CYCLEGAN: "CycleGAN", "adfl": "after ADFL", PCFH: "PCFH"},
    5: {NO_AWM: "w/o AWM", NO_MIC: "w/o MIC", PCFH: "PCFH"},
}


@dataclass(frozen=True, kw_only=True)
class FigureJob:
    """Which figure, of what.

    Attributes:
        number: 4 or 5.
        work: folder of ``pcfh reproduce``.
        database: that is tested on, as prepared there: casia, buaa or oulu.
        fold: of CASIA that rows are trained on.
        seed: of their training.
        columns: how many faces.
        draw_seed: of the choice of these.
        device: auto, cpu, cuda or cuda:1.
    """

    number: int
    work: Path
    database: str = "casia"
    fold: str = "1"
    seed: int = 0
    columns: int = 8
    draw_seed: int = 0
    device: str = "auto"


def figure(job: FigureJob, say: Callable[[str], None] = lambda line: None) -> bytes:
    """A JPEG file of the figure.

    Args:
        job: see there.
        say: gets a line about each row that is left out.

    Raises:
        UserError: nothing is prepared or trained there.
    """
    generators = _generators(job, say)
    data = _data(job, next(iter(generators.values())))
    fold = data.folds[0]
    drawn = different_people if job.number == 4 else one_person
    probes = drawn(fold, job.columns, job.draw_seed)
    root = crops_folder(data.job.prepared, data.generated_size)
    made = {"NIR": [read_image(root / probe.path) for probe in probes]}
    for label, generator in generators.items():
        made[label] = [*data.generated(generator, probes)]
    if data.truth is not None:
        made["true VIS"] = [*data.true_crops(probes)]
    else:
        enrolled = {record.subject: record for record in fold.gallery}
        made["VIS"] = [read_image(root / enrolled[probe.subject].path) for probe in probes]
    columns = [(probe.subject, [row[i] for row in made.values()]) for i, probe in enumerate(probes)]
    return jpeg_bytes(sheet(columns, [*made]), trained=True)


def different_people(fold: Protocol, count: int, seed: int) -> list[Record]:
    """One probe of each of some people."""
    rng = np.random.default_rng(seed)
    people = rng.permutation(subjects(fold.probe))[:count].tolist()
    return [_of(fold, person)[int(rng.integers(len(_of(fold, person))))] for person in people]


def one_person(fold: Protocol, count: int, seed: int) -> list[Record]:
    """Probes of the one with the most, evenly spaced; of several such people one by chance."""
    counts = {person: len(_of(fold, person)) for person in subjects(fold.probe)}
    most = [person for person, found in counts.items() if found == max(counts.values())]
    own = _of(fold, most[int(np.random.default_rng(seed).integers(len(most)))])
    places = np.unique(np.linspace(0, len(own) - 1, count).round().astype(int))
    return [own[place] for place in places]


def _of(fold: Protocol, person: str) -> Sequence[Record]:
    return [record for record in fold.probe if record.subject == person]


def _generators(job: FigureJob, say: Callable[[str], None]) -> dict[str, CropGenerator]:
    """Those that are there, by what the figure calls them."""
    found: dict[str, CropGenerator] = {}
    for key, label in ROWS[job.number].items():
        path = Run(row=key, seed=job.seed, fold=job.fold).folder(job.work) / "run" / GENERATOR
        if path.is_file():
            found[label] = Hallucinator.from_file(path, device=job.device)
        else:
            say(f"{label} is not trained ({path}) and left out")
    if not found:
        rows = ",".join(ROWS[job.number])
        raise UserError(
            f"{job.work}: no row of figure {job.number} is trained with seed {job.seed} on fold {job.fold}; "
            f"train them first: pcfh reproduce table1 OUT --work {job.work} --rows {rows}"
        )
    return found


def _data(job: FigureJob, generator: CropGenerator) -> EvaluationData:
    prepared = prepared_folder(job.work, job.database)
    root = read_manifest(prepared).source.root
    name = job.fold if job.database == "casia" else "1"
    work = EvaluationJob(
        prepared=prepared,
        protocols=(name,),
        cache=job.work / "cache",
        raw=root if (root / TRUTH).is_dir() else None,
    )
    return EvaluationData(work, {name: generator}, LIGHTCNN)
