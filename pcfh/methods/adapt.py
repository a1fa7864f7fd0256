"""Adapting a generator to a camera: the task that the one loop is given.

The NIR pictures are those of the camera, the VIS portraits are of anybody, and nobody is named. So the step
takes any portrait beside any NIR picture. A share of the NIR pictures is held back, to judge by.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from pcfh import __version__
from pcfh.config import identity_of, to_toml
from pcfh.databases.records import Points, Record, of_modality, subjects
from pcfh.errors import UserError
from pcfh.files import sha256_of
from pcfh.levels import has_levels, levelled
from pcfh.methods.base import kind_of
from pcfh.methods.batch import Batch
from pcfh.methods.familiar_input import Correction, corrected, distances, familiarity, find_correction
from pcfh.methods.files import as_trained, load_generator, save_generator, training_history
from pcfh.methods.pcfh.adaptation import AdaptConfig, AdaptTrainer, for_generator
from pcfh.methods.train import GENERATOR, BatchMaker, MethodLearner, picture_grid
from pcfh.preparation.manifest import MANIFEST, learnt_from, open_prepared, read_manifest
from pcfh.preparation.training_pairs import PairImages, Plan, TrainingPairs, landmarks_of
from pcfh.ranges import from_bytes
from pcfh.recognisers.lightcnn.weights import load_recognizer
from pcfh.runtime import Runtime
from pcfh.training import loop
from pcfh.training.loop import Task, seed_step

LEAST = 10  # faces of each modality: fewer say nothing of a camera, or of portraits
_LEAST_GROUPS = 5  # that pictures are held back by
_MEASURED = 50  # faces that the correction is found on
_WARM, _TIMED = 1, 3  # steps


@dataclass(frozen=True, kw_only=True)
class AdaptTraining:
    """What to adapt, on what.

    Attributes:
        prepared: both folders of pictures, prepared in the size of the generator; see ``Faces``.
        protocol: that names them.
        run: the run's folder.
        generator: to begin with.
        recognizer: file of F, a Light CNN.
        config: settings; ``size``, ``levels`` and ``method`` of the training are those of the generator.
    """

    prepared: Path
    protocol: str
    run: Path
    generator: Path
    recognizer: Path
    config: AdaptConfig


@dataclass(frozen=True, kw_only=True)
class Faces:
    """The faces of an adaptation; landmarks are in pixels of the crops.

    Attributes:
        root: folder of the crops.
        nir: near-infrared ones to learn from.
        held_back: near-infrared ones to judge by.
        vis: portraits.
    """

    root: Path
    nir: tuple[Record, ...]
    held_back: tuple[Record, ...]
    vis: tuple[Record, ...]


def open_faces(prepared: Path, protocol: str, size: int, config: AdaptConfig) -> Faces:
    """The faces of a prepared folder.

    Raises:
        UserError: there are too few, or nothing is prepared.
    """
    database = open_prepared(prepared, size)
    records = database.protocol(protocol).train
    nir, vis = of_modality(records, "NIR"), of_modality(records, "VIS")
    if min(len(nir), len(vis)) < LEAST:
        raise UserError(
            f"expected at least {LEAST} near-infrared faces and {LEAST} portraits, found {len(nir)} and "
            f"{len(vis)}; add pictures ({prepared / 'report.txt'} names those that could not be used) and "
            "give a new folder"
        )
    learnt, held_back = hold_back(nir, config.adaptation.held_back, config.training.seed)
    return Faces(root=database.root, nir=learnt, held_back=held_back, vis=vis)


def hold_back(
    records: Sequence[Record], share: float, seed: int
) -> tuple[tuple[Record, ...], tuple[Record, ...]]:
    """Draws some pictures that are not learnt from, at least two; whole folders where there are several.

    Pictures of one folder, or with one beginning of their names, are likely to show one person.

    Args:
        records: the pictures, more than two.
        share: of them.
        seed: of the draw.

    Returns:
        The others and those held back, each in their order.
    """
    grouped = len(subjects(records)) >= _LEAST_GROUPS
    name_of = {record.path: record.subject if grouped else record.path for record in records}
    groups = np.random.default_rng((seed, 3)).permutation(sorted(set(name_of.values())))
    wanted, chosen, count = max(2, round(share * len(records))), set(), 0
    for group in groups[:-1]:
        if count >= wanted:
            break
        chosen.add(str(group))
        count += sum(name == group for name in name_of.values())
    learnt = tuple(r for r in records if name_of[r.path] not in chosen)
    return learnt, tuple(r for r in records if name_of[r.path] in chosen)


class AdaptTask(MethodLearner, Task):
    """The networks of an adaptation, and the faces that they learn from.

    Args:
        job: what to adapt.
        runtime: this process; an adaptation has one alone.

    Attributes:
        faces: what is learnt from and judged by.
        recognizer: F.
    """

    weights_file = GENERATOR
    trainer: AdaptTrainer

    def __init__(self, job: AdaptTraining, runtime: Runtime) -> None:
        self._job, self._runtime = job, runtime
        generator, about = load_adaptable(job.generator)
        training = replace(
            job.config.training, method="pcfh", size=generator.size, levels=has_levels(generator)
        )
        self._config = replace(job.config, training=training)
        self.faces = open_faces(job.prepared, job.protocol, generator.size, self._config)
        self.recognizer = load_recognizer(job.recognizer).to(runtime.device)
        teacher = partial(AdaptTrainer, generator=generator, adaptation=self._config.adaptation)
        config = for_generator(self._config, generator.arguments)
        super().__init__(config, runtime, self.recognizer, teacher=teacher)
        self._before = training_history(about)
        self._settle = round(job.config.adaptation.settle * training.steps)
        self.image_every = training.image_every
        self.bounds = self.trainer.bounds
        self.settings = to_toml(self._config, f"pcfh {__version__}, adapt")
        self.identity = {
            "config": identity_of(self._config),
            "data": sha256_of(job.prepared / MANIFEST),
            "recognizer": sha256_of(job.recognizer),
            "start": sha256_of(job.generator),
        }

    def prepare(self) -> None:
        """Reads the faces, and finds what makes them familiar."""
        training, faces = self._config.training, self.faces
        pairs = any_pairs(faces.root, (*faces.nir, *faces.vis), seed=training.seed, flip=training.flip)
        sources = read_manifest(self._job.prepared).sources
        landmarks = [sources[record.path].landmarks or () for record in pairs.nir_records]
        c, self._familiar = made_familiar(pairs, landmarks, levels=training.levels)
        self._correction = c
        self.notes = [f"made familiar by a blur of {c.blur:g} pixels of 128 and a gamma of {c.gamma:g}"]
        self._batches = BatchMaker(pairs, self._config, self._runtime, None, warp=False)

    def fetch(self, step: int) -> tuple[Plan, PairImages | None]:
        """A step's pictures."""
        return self._batches.fetch(step)

    def compute_gradients(self, step: int, fetched: tuple[Plan, PairImages | None]) -> dict[str, Tensor]:
        """One step; G_A stands still in the first ones."""
        seed_step(self._config.training.seed, step, self._runtime.rank)
        self.trainer.settling = step < self._settle
        return dict(self.trainer.compute_gradients(self._batch(*fetched)))

    @torch.no_grad()
    def pictures(self, average: nn.Module) -> tuple[UInt8[Tensor, "3 h w"], Sequence[str]]:
        """A few faces before and after, each beside some portrait."""
        return picture_grid(average, self.trainer, self._batches.preview())

    def save(self, path: Path, average: nn.Module, step: int) -> None:
        """Writes the generator, with what it has learnt from."""
        job, batch = self._job, self._config.training.batch
        about: dict[str, Any] = {
            "step": step,
            "images": step * batch,
            "adapted_from": sha256_of(job.generator),
            **learnt_from(job.prepared, job.protocol),
            "before": self._before,
        }
        save_generator(path, average, about)

    def _batch(self, plan: Plan, images: PairImages | None) -> Batch:
        batch = self._batches.batch(plan, images)
        return replace(
            batch,
            familiar_nir=corrected(batch.nir, self._correction),
            familiar=self._familiar[plan.nir].to(self._runtime.device),
        )

    def seconds_of_a_step(self) -> float:
        """Seconds by the clock that a step takes on this machine; the networks are of no use afterwards."""
        state, times = loop.begin(self), []
        self._settle = 0
        for step in range(_WARM + _TIMED):
            start = time.perf_counter()
            values = self.compute_gradients(step, self.fetch(step))
            loop.update(state, self)
            float(values["loss/ad"])  # waits for a GPU
            times.append(time.perf_counter() - start)
        return min(times[_WARM:])


def load_adaptable(path: Path) -> tuple[Any, Mapping[str, Any]]:
    """A generator that can be adapted, as it was trained, and what its file says.

    Raises:
        UserError: it is absent, damaged, or of another method.
    """
    generator, about = load_generator(path)
    if kind_of(generator) != "pcfh":
        raise UserError(
            f"{path}: is a generator of the method {kind_of(generator)}; the terms of pcfh adapt are those "
            "of the method pcfh: give one of that"
        )
    return as_trained(generator), about


def any_pairs(root: Path, records: Iterable[Record], *, seed: int, flip: bool) -> TrainingPairs:
    """A stream of pairs in which any portrait stands beside any NIR face: all are taken for one person."""
    return TrainingPairs(root, [replace(record, subject="") for record in records], seed=seed, flip=flip)


def made_familiar(
    pairs: TrainingPairs, landmarks: Sequence[Points], *, levels: bool
) -> tuple[Correction, Float[Tensor, " n"]]:
    """What brings the near-infrared faces of a camera into the training range, and how familiar each is then.

    Args:
        pairs: of crops.
        landmarks: of each near-infrared face, in pixels of the photograph.
        levels: whether the generator levels what it is given.
    """
    count = len(landmarks)
    some = torch.arange(0, count, -(-count // _MEASURED))
    seen = seen_by_generator(pairs, some, levels=levels)
    correction = find_correction(seen, [landmarks[i] for i in some])
    found: list[float] = []
    for part in torch.arange(count).split(_MEASURED):  # few at a time, since there may be thousands
        nir = corrected(seen_by_generator(pairs, part, levels=levels), correction)
        found += distances(nir, [landmarks[i] for i in part])
    return correction, torch.tensor([familiarity(distance) for distance in found])


def seen_by_generator(
    pairs: TrainingPairs, places: Int[Tensor, " n"], *, levels: bool
) -> Float[Tensor, "n 3 s s"]:
    """Near-infrared faces as the generator sees them.

    Args:
        pairs: of crops.
        places: which of their near-infrared faces.
        levels: whether it levels what it is given.
    """
    nir = from_bytes(pairs.nir[places]).expand(-1, 3, -1, -1)
    return levelled(nir, landmarks_of([pairs.nir_records[i] for i in places])) if levels else nir
