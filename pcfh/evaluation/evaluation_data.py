"""What an evaluation works on: the crops of the chosen protocols, generators, true images, groups.

Axis letters: s side of a crop.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pcfh.databases.records import Database, Protocol, Record, require_disjoint, spaced, subjects
from pcfh.databases.rendered import HOME, MASKS, PARAMETERS, TRUTH, mask_crop, truth_crop
from pcfh.errors import UserError
from pcfh.evaluation.generated import MODEL, CropGenerator, generated_crops
from pcfh.evaluation.intervals import Bootstrap
from pcfh.evaluation.scores import AVERAGE, Fusion
from pcfh.files import sha256_of
from pcfh.methods.files import training_history
from pcfh.preparation.manifest import MANIFEST, Manifest, crops_folder, open_prepared, read_manifest
from pcfh.recognisers.alignment import Alignment
from pcfh.recognisers.base import Recognizer, trained_on

ALL = "all"
_DEVELOPMENT = "dev"  # View 1 of CASIA, on which nothing is reported
_ARCFACE_LEAST = 144  # smaller crops lack forehead


@dataclass(frozen=True, kw_only=True)
class EvaluationJob:
    """What to evaluate, and how.

    Attributes:
        prepared: folder that ``pcfh prepare`` made.
        protocols: names of the folds; "all" stands for all that have probes, without View 1.
        cache: folder for features and generated crops.
        raw: root of the rendered database that was prepared, for true images and parameters.
        groups: a user's table of groups, in the place of the rendered database's.
        batch: faces computed at once.
        resamples: draws of people of each interval.
        seed: of the draws.
        fusion_weight: of the generated face's score in the fusion, 0 to 1.
        fusion: kind of the fused score, see ``fused_vectors``.
        probes: the most of each protocol, evenly spaced; None takes all.
    """

    prepared: Path
    protocols: tuple[str, ...]
    cache: Path
    raw: Path | None = None
    groups: Path | None = None
    batch: int = 32
    resamples: int = 1000
    seed: int = 0
    fusion_weight: float = AVERAGE
    fusion: Fusion = "average"
    probes: int | None = None

    @property
    def bootstrap(self) -> Bootstrap:
        """Draws of people."""
        return Bootstrap(resamples=self.resamples, seed=self.seed)


@dataclass(frozen=True)
class EvaluationData:
    """The crops of a job's folds.

    Attributes:
        job: see there.
        generators: of each protocol, or none at all.
        alignment: that the recogniser wants, of whose crops pictures are shown.
    """

    job: EvaluationJob
    generators: Mapping[str, CropGenerator]
    alignment: Alignment

    @cached_property
    def manifest(self) -> Manifest:
        """Of the prepared database."""
        return read_manifest(self.job.prepared)

    @cached_property
    def manifest_digest(self) -> str:
        """SHA-256 of the manifest."""
        return sha256_of(self.job.prepared / MANIFEST)

    @cached_property
    def whole_digest(self) -> str:
        """The same, or that of the preparation that the crops were packed from."""
        return self.manifest_digest if self.manifest.origin is None else self.manifest.origin.manifest

    @cached_property
    def home(self) -> Path | None:
        """Root of the rendered database, if one was named."""
        return None if self.job.raw is None else find_home(self.job.raw)

    @cached_property
    def truth(self) -> Path | None:
        """The same where it has true images."""
        return self.home if self.home and (self.home / TRUTH).is_dir() else None

    @property
    def has_masks(self) -> bool:
        """Whether what each pixel of the NIR captures shows is known."""
        return self.truth is not None and (self.truth / MASKS).is_dir()

    @cached_property
    def size(self) -> int:
        """Side of the crops that suit the recogniser."""
        return self.size_for(self.alignment)

    def size_for(self, alignment: Alignment) -> int:
        """Side of the crops that suit another recogniser."""
        return source_size(self.manifest.sizes, alignment)

    @cached_property
    def generated_size(self) -> int:
        """Side of generated and true crops."""
        return next((generator.size for generator in self.generators.values()), self.size)

    @cached_property
    def database(self) -> Database:
        """The crops that suit the recogniser."""
        return open_prepared(self.job.prepared, self.size)

    @cached_property
    def folds(self) -> tuple[Protocol, ...]:
        """The chosen protocols, with as many probes as are wanted."""
        whole, most = chosen_protocols(self.database, self.job.protocols), self.job.probes
        return whole if most is None else tuple(replace(f, probe=spaced(f.probe, most)) for f in whole)

    @cached_property
    def references(self) -> Mapping[str, tuple[Record, ...]]:
        """Further VIS captures of the people that each fold searches for, beside those of its gallery.

        Layouts with several protocols have them, since who is tested in one trains in another.
        """
        return {fold.name: further_captures(self.database.records, fold) for fold in self.folds}

    @property
    def has_reference(self) -> bool:
        """Whether every fold has such captures, so that VIS against VIS can stand in one table."""
        return all(self.references.values())

    @cached_property
    def at_generated_size(self) -> Mapping[str, Record]:
        """The crops' records at the size of generated ones, by path."""
        return self._records(self.generated_size)

    def at_size(self, records: Iterable[Record], size: int) -> list[Record]:
        """The same crops at another size: their landmarks are in pixels of it."""
        found = self._records(size)
        return [found[record.path] for record in records]

    def _records(self, size: int) -> Mapping[str, Record]:
        if size not in self._by_size:
            database = self.database if size == self.size else open_prepared(self.job.prepared, size)
            self._by_size[size] = {record.path: record for record in database.records}
        return self._by_size[size]

    @cached_property
    def _by_size(self) -> dict[int, Mapping[str, Record]]:
        return {}

    def by_generator(
        self, folds: Iterable[Protocol] | None = None
    ) -> list[tuple[CropGenerator, tuple[Protocol, ...]]]:
        """Each different generator with its folds, of some or of all."""
        found: dict[str, list[Protocol]] = {}
        for fold in self.folds if folds is None else folds:
            if fold.name in self.generators:
                found.setdefault(model_of(self.generators[fold.name]), []).append(fold)
        return [(self.generators[own[0].name], tuple(own)) for own in found.values()]

    def generated(
        self, generator: CropGenerator, probes: Sequence[Record]
    ) -> Iterator[UInt8[np.ndarray, "s s 3"]]:
        """Crops that a generator makes of probes."""
        root = crops_folder(self.job.prepared, self.generated_size)
        batch = self.job.batch
        return generated_crops(
            generator, root, self.at_size(probes, self.generated_size), cache=self.job.cache, batch=batch
        )

    def true_crops(self, probes: Sequence[Record]) -> Iterator[UInt8[np.ndarray, "s s 3"]]:
        """The true VIS images of probes, which lie on their crops at the size of generated ones."""
        assert self.truth is not None
        for record in probes:
            yield truth_crop(self.truth, self.manifest.sources[record.path], self.generated_size)

    def mask_crops(self, probes: Sequence[Record]) -> Iterator[UInt8[np.ndarray, "s s"]]:
        """What the pixels of these crops show, see ``has_masks``."""
        assert self.truth is not None
        for record in probes:
            yield mask_crop(self.truth, self.manifest.sources[record.path], self.generated_size)


def further_captures(records: Iterable[Record], fold: Protocol) -> tuple[Record, ...]:
    """The VIS captures of a fold's probes' people that are not enrolled."""
    people, enrolled = set(subjects(fold.probe)), {record.path for record in fold.gallery}
    return tuple(
        record
        for record in records
        if record.modality == "VIS" and record.subject in people and record.path not in enrolled
    )


def chosen_protocols(database: Database, names: Sequence[str]) -> tuple[Protocol, ...]:
    """Looks protocols up, each once.

    Raises:
        UserError: there is none of a name, it has nobody to search for, no gallery, one person only, or
            people that train; or all captures are of one modality.
    """
    kinds = {record.modality for record in database.records}
    if len(kinds) < 2:
        raise UserError(
            f"{database.root}: expected NIR and VIS captures, got {' and '.join(kinds) or 'none'} only; "
            "prepare a database that has both"
        )
    found = tuple(database.protocol(name) for name in evaluated_protocols(database.protocols, names))
    if not found:
        raise UserError(f"{database.root}: no protocol has probes; prepare the database with its test lists")
    for protocol in found:
        for name, part in (("gallery", protocol.gallery), ("probes", protocol.probe)):
            if not part:
                raise UserError(
                    f"{database.root}: protocol {protocol.name!r} has no {name}; evaluate one that has, or "
                    "prepare the database with its test lists"
                )
        if len(subjects(protocol.gallery)) < 2:
            raise UserError(
                f"{database.root}: expected two people or more in the gallery of protocol {protocol.name!r}, "
                "got one; there is nobody to confuse with"
            )
        require_disjoint(protocol)
    return found


def evaluated_protocols(protocols: Mapping[str, Protocol], names: Sequence[str]) -> tuple[str, ...]:
    """The names of protocols, each once; "all" stands for all that have probes, without View 1."""
    if ALL not in names:
        return tuple(dict.fromkeys(names))
    return tuple(name for name, found in protocols.items() if found.probe and name != _DEVELOPMENT)


def find_home(raw: Path) -> Path:
    """The root of a rendered database: the folder named, or the one inside of it.

    Raises:
        UserError: neither true images nor parameters are there.
    """
    for home in (raw, raw / HOME):
        if (home / TRUTH).is_dir() or (home / PARAMETERS).is_file():
            return home
    raise UserError(
        f"{raw}: expected a rendered database with {TRUTH}/ or {PARAMETERS} in it; leave --database out for "
        "any other"
    )


def source_size(sizes: Sequence[int], alignment: Alignment) -> int:
    """The smallest prepared crops that hold all that a recogniser wants, or the largest there are."""
    least = alignment.size if alignment.convention == "lightcnn" else max(alignment.size, _ARCFACE_LEAST)
    enough = [size for size in sizes if size >= least]
    return min(enough) if enough else max(sizes)


History = Sequence[tuple[str, str]]  # SHA-256 of a manifest, and the protocol, of each training


def require_fair(data: EvaluationData, recognizers: Mapping[str, Mapping[str, Recognizer]]) -> None:
    """Refuses generators that are not of one size, and models that have learnt from people of the test.

    Args:
        data: with its generators.
        recognizers: by what the message calls them, then by protocol.

    Raises:
        UserError: with the number of such people.
    """
    sizes = {generator.size for generator in data.generators.values()}
    if len(sizes) > 1:
        raise UserError(f"expected generators of one size, got {', '.join(map(str, sorted(sizes)))} pixels")
    for fold in data.folds:
        if data.generators:
            trainings = training_history(data.generators[fold.name].about)
            history = [(training["training_data"], training["protocol"]) for training in trainings]
            _require_unseen(data, fold, "generator", history)
            known = {one for t in trainings for one in t.get("people", ())}
            _require_strangers(data, fold, "generator", known)
        for name, by_protocol in recognizers.items():
            _require_unseen(data, fold, name, trained_on(by_protocol[fold.name]))
            about = getattr(by_protocol[fold.name], "about", {})
            _require_strangers(data, fold, name, {*map(str, about.get("identities", ()))})


def _require_unseen(data: EvaluationData, fold: Protocol, name: str, history: History) -> None:
    """Refuses a model that has learnt from people of the test, as far as its file tells."""
    protocols = data.manifest.source.protocols
    for manifest, trained in history:
        if manifest != data.whole_digest or trained not in (*protocols, ALL):
            continue
        tested = set(subjects((*fold.gallery, *fold.probe)))
        if trained != ALL:  # which takes everyone
            tested &= set(subjects(protocols[trained].train))
        if tested:
            option = "recognizer" if name == "recogniser" else "generator" if name == "generator" else "tuned"
            file = "generator" if name == "generator" else "recognizer"
            raise UserError(
                f"the {name} for protocol {fold.name!r} was trained on protocol {trained!r}, which holds "
                f"{len(tested)} of the people tested; results would be too good. Give one for each fold "
                f"(--{option} 'runs/{{protocol}}/{file}.safetensors'), or evaluate its own"
            )


def _require_strangers(data: EvaluationData, fold: Protocol, name: str, known: Set[str]) -> None:
    """Refuses a model whose file names people of the test, in whatever preparation it met them."""
    people = data.manifest.people
    tested = [subject for subject in subjects((*fold.gallery, *fold.probe)) if people[subject] in known]
    if tested:
        raise UserError(
            f"the {name} for protocol {fold.name!r} has learnt from {len(tested)} of the people tested, "
            f"e.g. {tested[0]}; results would be too good. Give one that was trained on protocol "
            f"{fold.name!r}, or evaluate its own"
        )


def notes_on(data: EvaluationData) -> tuple[str, ...]:
    """What the reader of the figures must know."""
    notes: list[str] = []
    if data.size < data.alignment.size:
        notes.append(
            f"The recogniser wants crops of {data.alignment.size} pixels, but the prepared ones have at "
            f"most {data.size}; they were enlarged."
        )
    dropped = len(data.manifest.dropped)
    if dropped:
        notes.append(
            f"{dropped} captures could not be prepared (see report.txt of the prepared database) and are "
            "left out of probes and gallery; published figures count them."
        )
    without = [name for name, captures in data.references.items() if not captures]
    if without:
        notes.append(
            f"VIS against VIS is not measured: of the people tested in protocol {', '.join(without)}, no VIS "
            "capture beside the gallery's is prepared."
        )
    if data.truth is not None:
        notes.append("The faces are rendered; the figures say nothing about real people.")
    return tuple(notes)


def different(parts: Iterable[Iterable[Record]]) -> tuple[Record, ...]:
    """The records of several lists, each path once."""
    return tuple({record.path: record for part in parts for record in part}.values())


def model_of(generator: CropGenerator) -> str:
    """SHA-256 of a generator's file."""
    return str(generator.about[MODEL])
