"""The faces that a recogniser learns from, and those it is tried on while it learns.

Faces are captures in RGB, aligned crops of 144 pixels; crops of 128 get their edges repeated. VIS captures
alone, unless a share of NIR ones is asked for. A share of the people is kept out of training for validation:
the first VIS capture of each is enrolled, the others are searched for. The stream of training faces is a
function of the seed and the place in it.

Axis letters: b batch, n faces.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int, Shaped, UInt8

from pcfh.databases.records import Record, require_disjoint, subjects
from pcfh.errors import UserError
from pcfh.geometry.align import align_image
from pcfh.images import read_image
from pcfh.preparation.manifest import open_prepared, read_manifest
from pcfh.preparation.training_pairs import shuffled_place
from pcfh.recognisers.alignment import between_crops
from pcfh.recognisers.training.augment import POOL, augmented

EVERYONE = "all"
_LEAST = 3  # people needed to train and validate


@dataclass(frozen=True, kw_only=True)
class Faces:
    """Faces, whose they are, and whether they are near-infrared; VIS ones come first."""

    images: UInt8[np.ndarray, "n 144 144 3"]
    people: Shaped[np.ndarray, " n"]
    nir: Bool[np.ndarray, " n"]


@dataclass(frozen=True, kw_only=True)
class TrainingFaces:
    """Faces to learn from.

    Attributes:
        images: aligned crops.
        labels: number of each one's person, from 0.
        seed: of the stream.
        nir: how many of the last faces are near-infrared; all others are visible light.
        nir_share: how many faces of the stream are near-infrared, 0 to 1.
    """

    images: UInt8[np.ndarray, "n 144 144 3"]
    labels: Int[np.ndarray, " n"]
    seed: int
    nir: int = 0
    nir_share: float = 0.0

    @property
    def classes(self) -> int:
        """How many people there are."""
        return int(self.labels.max()) + 1

    def batch(self, start: int, count: int) -> tuple[UInt8[np.ndarray, "b 1 128 128"], Int[np.ndarray, " b"]]:
        """Augmented faces and labels at places ``start`` to ``start + count`` of the stream."""
        places = range(start, start + count)
        chosen = [self._face(place) for place in places]
        faces = [
            augmented(self.images[index], np.random.default_rng((self.seed, 1, place)))
            for place, index in zip(places, chosen, strict=True)
        ]
        return np.stack(faces)[:, None], self.labels[chosen]

    def _face(self, place: int) -> int:
        """Which face stands at a place: a random NIR one now and then, else a VIS one."""
        rng = np.random.default_rng((self.seed, 3, place))
        visible = len(self.labels) - self.nir
        if self.nir and rng.random() < self.nir_share:
            return visible + int(rng.integers(self.nir))
        return shuffled_place(self.seed, place, visible)


def split_people(records: Sequence[Record], share: float, seed: int) -> tuple[list[Record], list[Record]]:
    """Keeps a share of the people for validation, at least two; they need two captures or more.

    Returns:
        Records to train with, and to validate with.

    Raises:
        UserError: there are too few people.
    """
    several = [p for p in subjects(records) if sum(r.subject == p for r in records) > 1]
    if len(several) < 2 or len(subjects(records)) < _LEAST:
        raise UserError(
            f"a recogniser needs at least {_LEAST} people with VIS captures, two of them with several; got "
            f"{len(subjects(records))} and {len(several)}; use a larger database or protocol"
        )
    count = min(max(2, round(share * len(several))), len(subjects(records)) - 1)
    kept = set(np.random.default_rng((seed, 2)).permutation(several)[:count].tolist())
    return [r for r in records if r.subject not in kept], [r for r in records if r.subject in kept]


def open_faces(
    prepared: Path, protocol: str, *, share: float, seed: int, nir_share: float = 0.0
) -> tuple[TrainingFaces, Faces]:
    """Reads the faces of a prepared database.

    Args:
        prepared: folder that ``pcfh prepare`` made.
        protocol: whose training people to take; "all" takes everyone in the database.
        share: of the people, for validation.
        seed: of the choice of these and of the stream.
        nir_share: of the training faces that are NIR captures, 0 to 1; 0 takes VIS captures only.

    Returns:
        Faces for training and for validation, of different people.

    Raises:
        UserError: nothing is prepared there, there is no such protocol, too few people, or a share of
            NIR is asked for where there is none.
    """
    size = _best_size(read_manifest(prepared).sizes)
    database = open_prepared(prepared, size)
    records: Sequence[Record] = database.records
    if protocol != EVERYONE:
        require_disjoint(database.protocol(protocol))
        records = database.protocol(protocol).train
    visible = [r for r in records if r.modality == "VIS"]
    training, validation = split_people(visible, share, seed)
    people = {person: label for label, person in enumerate(subjects(training))}
    nir = [r for r in records if r.modality == "NIR"] if nir_share else []
    training_nir = [r for r in nir if r.subject in people]
    if nir_share and not training_nir:
        raise UserError(f"{prepared}: no training person has NIR captures; leave their share at 0")
    training += training_nir
    faces = TrainingFaces(
        images=_read(database.root, training, size),
        labels=np.array([people[r.subject] for r in training]),
        seed=seed,
        nir=len(training_nir),
        nir_share=nir_share,
    )
    kept = set(subjects(validation))
    validation += [r for r in nir if r.subject in kept]
    return faces, Faces(
        images=_read(database.root, validation, size),
        people=np.array([r.subject for r in validation]),
        nir=np.array([r.modality == "NIR" for r in validation]),
    )


def gallery_and_probes(
    people: Shaped[np.ndarray, " n"],
) -> tuple[Int[np.ndarray, " g"], Int[np.ndarray, " p"]]:
    """Places of the first face of each person, and of all others."""
    _, first = np.unique(people, return_index=True)
    return first, np.setdiff1d(np.arange(len(people)), first)


def _best_size(sizes: Sequence[int]) -> int:
    """The smallest size that fills the pool, or the largest there is."""
    enough = [size for size in sizes if size >= POOL]
    return min(enough) if enough else max(sizes)


def _read(root: Path, records: Sequence[Record], size: int) -> UInt8[np.ndarray, "n 144 144 3"]:
    """Decodes crops of the pool's size."""
    matrix = between_crops(size, POOL)
    images = np.empty((len(records), POOL, POOL, 3), np.uint8)
    for image, record in zip(images, records, strict=True):
        image[:] = align_image(read_image(root / record.path), matrix, POOL)
    return images
