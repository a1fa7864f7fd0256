"""From a prepared database, a recogniser and perhaps generators to the rows of the paper's tables.

Each probe is compared with the gallery as it is, by the VIS image generated of it, by the average of both
scores, and by the true VIS image where the database is a rendered one (see ``results``). The recogniser is one
and the same, not tuned to generated images. Gallery and NIR images are cut out of the prepared crops that
suit the recogniser, generated and true ones out of crops of the generator's size.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from pcfh import __version__
from pcfh.data.images import read_image
from pcfh.data.prepared import MANIFEST, Manifest, crops_folder, open_prepared, read_manifest
from pcfh.data.records import Database, Protocol, Record, require_disjoint, subjects
from pcfh.errors import UserError
from pcfh.files import sha256_of
from pcfh.hallucinate import Hallucinator
from pcfh.landmarks.base import LandmarkBackend
from pcfh.metrics.recognition import ScoreMatrix
from pcfh.recognition.alignment import Alignment, realign
from pcfh.recognition.features import extract, recognizer_crops
from pcfh.recognition.folds import fold_figures, impostor_count, measurable, outcomes_of, worst_mistakes
from pcfh.recognition.generated import MODEL, TRUTH, generated_crops, truth_crops
from pcfh.recognition.groups import (
    PARAMETERS,
    Draws,
    Labels,
    Outcomes,
    group_rows,
    joined,
    read_groups,
    read_parameters,
)
from pcfh.recognition.quality import Face, measure_faces
from pcfh.recognition.recognizer import Recognizer
from pcfh.recognition.results import Fold, Mistake, Results
from pcfh.recognition.scores import cosine_scores, fused_scores

ALL = "all"
_DEVELOPMENT = "dev"  # View 1 of CASIA, on which nothing is reported
_HOME = "NIR-VIS-2.0"
_GROUP_FARS = (0.001, 0.01)  # the first that every fold can measure
_ARCFACE_LEAST = 144  # smaller crops lack forehead
_MOST_MISTAKES, _MOST_FACES = 12, 1000

Progress = Callable[[str, int, int], None]


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
    """

    prepared: Path
    protocols: tuple[str, ...]
    cache: Path
    raw: Path | None = None
    groups: Path | None = None
    batch: int = 32
    resamples: int = 1000
    seed: int = 0

    @property
    def draws(self) -> Draws:
        """Of people."""
        return Draws(resamples=self.resamples, seed=self.seed)


@dataclass(frozen=True, kw_only=True)
class FeatureTable:
    """Features of crops by their paths; n crops, d features."""

    place: Mapping[str, int]
    features: Float32[np.ndarray, "n d"]

    def of(self, records: Iterable[Record]) -> Float32[np.ndarray, "m d"]:
        """Features of some of them, in their order."""
        return self.features[[self.place[record.path] for record in records]]


@dataclass(frozen=True)
class Material:
    """The crops of a job's folds.

    Attributes:
        job: see there.
        generators: of each protocol, or none at all.
        alignment: that the recogniser wants.
    """

    job: EvaluationJob
    generators: Mapping[str, Hallucinator]
    alignment: Alignment

    @cached_property
    def manifest(self) -> Manifest:
        """Of the prepared database."""
        return read_manifest(self.job.prepared)

    @cached_property
    def home(self) -> Path | None:
        """Root of the rendered database, if one was named."""
        return None if self.job.raw is None else find_home(self.job.raw)

    @cached_property
    def truth(self) -> Path | None:
        """The same where it has true images."""
        return self.home if self.home and (self.home / TRUTH).is_dir() else None

    @cached_property
    def size(self) -> int:
        """Side of the crops that suit the recogniser."""
        return source_size(self.manifest.sizes, self.alignment)

    @cached_property
    def generated_size(self) -> int:
        """Side of generated and true crops."""
        return next((generator.size for generator in self.generators.values()), self.size)

    @cached_property
    def databases(self) -> Mapping[int, Database]:
        """The crops of both sizes."""
        return {size: open_prepared(self.job.prepared, size) for size in {self.size, self.generated_size}}

    @cached_property
    def folds(self) -> tuple[Protocol, ...]:
        """The chosen protocols."""
        return chosen_protocols(self.databases[self.size], self.job.protocols)

    @cached_property
    def sources(self) -> Mapping[str, Record]:
        """The captures that were prepared, by the paths of their crops."""
        return {self.manifest.crops[record.path]: record for record in self.manifest.source.records}

    @cached_property
    def at_generated_size(self) -> Mapping[str, Record]:
        """The crops' records at the size of generated ones, by path."""
        return {record.path: record for record in self.databases[self.generated_size].records}

    def resized(self, records: Iterable[Record]) -> list[Record]:
        """The same crops at the size of generated ones."""
        return [self.at_generated_size[record.path] for record in records]

    def by_generator(self) -> list[tuple[Hallucinator, tuple[Record, ...]]]:
        """Each different generator with the probes of its folds."""
        models = {str(generator.about[MODEL]): generator for generator in self.generators.values()}
        return [
            (generator, different(f.probe for f in self.folds if _model(self.generators[f.name]) == model))
            for model, generator in models.items()
        ]

    def generated(
        self, generator: Hallucinator, probes: Sequence[Record]
    ) -> Iterator[UInt8[np.ndarray, "s s 3"]]:
        """Crops that a generator makes of probes."""
        root = crops_folder(self.job.prepared, self.generated_size)
        batch = self.job.batch
        return generated_crops(generator, root, self.resized(probes), cache=self.job.cache, batch=batch)


def evaluate(
    job: EvaluationJob,
    recognizer: Recognizer,
    generators: Mapping[str, Hallucinator] | None = None,
    *,
    backend: LandmarkBackend | None = None,
    on_progress: Progress = lambda stage, done, total: None,
) -> Results:
    """Evaluates a recogniser, and generators with it.

    Args:
        job: what to evaluate on.
        recognizer: one for all methods.
        generators: from files, by protocol; or none.
        backend: finds landmarks in the images, for the figures of pose; None leaves them out.
        on_progress: called with what is being done, how many of it are done and of how many.

    Raises:
        UserError: data, protocol, recogniser, generators or groups do not fit.
    """
    material = Material(job, generators or {}, recognizer.alignment)
    require_fair(material)
    labels = group_labels(job, material.home)
    tables = feature_tables(material, recognizer, on_progress)
    far = next((f for f in _GROUP_FARS if all(measurable(f, impostor_count(x)) for x in material.folds)), None)
    folds, outcomes, mistakes = _all_folds(material, tables, far, on_progress)
    groups = group_rows(outcomes, labels, job.draws, thresholded=far is not None) if labels else ()
    return Results(
        version=__version__,
        database=material.manifest.layout,
        manifest=sha256_of(job.prepared / MANIFEST),
        recognizer=recognizer.name,
        recognizer_key=recognizer.key,
        generators={name: _model(generator) for name, generator in material.generators.items()},
        size=material.size,
        rendered=material.truth is not None,
        resamples=job.resamples,
        seed=job.seed,
        folds=folds,
        group_far=far,
        groups=groups,
        quality=_quality(material, backend, on_progress),
        mistakes=mistakes,
        notes=_notes(material),
    )


def chosen_protocols(database: Database, names: Sequence[str]) -> tuple[Protocol, ...]:
    """Looks protocols up, each once.

    Raises:
        UserError: there is none of a name, it has nobody to search for, no gallery, or people that train.
    """
    wanted = dict.fromkeys(names)
    if ALL in wanted:
        tested = [name for name, p in database.protocols.items() if p.probe and name != _DEVELOPMENT]
        wanted = dict.fromkeys(tested)
    if not wanted:
        raise UserError(f"{database.root}: no protocol has probes; prepare the database with its test lists")
    found = tuple(database.protocol(name) for name in wanted)
    for protocol in found:
        for name, part in (("gallery", protocol.gallery), ("probes", protocol.probe)):
            if not part:
                raise UserError(
                    f"{database.root}: protocol {protocol.name!r} has no {name}; evaluate one that has, or "
                    "prepare the database with its test lists"
                )
        require_disjoint(protocol)
    return found


def find_home(raw: Path) -> Path:
    """The root of a rendered database: the folder named, or the one inside of it.

    Raises:
        UserError: neither true images nor parameters are there.
    """
    for home in (raw, raw / _HOME):
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


def require_fair(material: Material) -> None:
    """Refuses generators that are not one for each fold, or have learnt from people of the test.

    Raises:
        UserError: with the number of such people.
    """
    sizes = {generator.size for generator in material.generators.values()}
    if len(sizes) > 1:
        raise UserError(f"expected generators of one size, got {', '.join(map(str, sorted(sizes)))} pixels")
    if not material.generators:
        return
    data, protocols = sha256_of(material.job.prepared / MANIFEST), material.manifest.source.protocols
    for fold in material.folds:
        about = material.generators[fold.name].about
        if about.get("training_data") != data or about.get("protocol") not in protocols:
            continue
        seen = set(subjects(protocols[str(about["protocol"])].train))
        tested = seen.intersection(subjects((*fold.gallery, *fold.probe)))
        if tested:
            raise UserError(
                f"the generator for protocol {fold.name!r} was trained on protocol {about['protocol']!r}, "
                f"which holds {len(tested)} of the people tested; results would be too good. Give a generator "
                "for each fold (--generator 'runs/{protocol}/generator.safetensors'), or evaluate its own"
            )


def group_labels(job: EvaluationJob, home: Path | None) -> Labels | None:
    """Groups of captures: the user's, else the rendered database's, else none."""
    if job.groups is not None:
        return read_groups(job.groups)
    if home is not None and (home / PARAMETERS).is_file():
        return read_parameters(home / PARAMETERS)
    return None


def feature_tables(
    material: Material, recognizer: Recognizer, on_progress: Progress
) -> dict[str, FeatureTable]:
    """Features of all crops: "gallery", "original", "truth" if there is one, and "generated-<model>"."""
    probes = different(fold.probe for fold in material.folds)
    gallery = different(fold.gallery for fold in material.folds)
    root = crops_folder(material.job.prepared, material.size)
    stages: dict[str, tuple[Sequence[Record], Iterator[UInt8[np.ndarray, "s s 3"]]]] = {
        "gallery": (gallery, recognizer_crops(root, gallery, material.alignment)),
        "original": (probes, recognizer_crops(root, probes, material.alignment)),
    }
    for generator, own in material.by_generator():
        crops = material.generated(generator, own)
        stages[f"generated-{_model(generator)}"] = (own, _realigned(material, own, crops))
    if material.truth is not None:
        records = material.resized(probes)
        crops = truth_crops(material.truth, records, material.sources, material.generated_size)
        stages["truth"] = (probes, _realigned(material, probes, crops))
    return {
        name: _table(material.job, recognizer, records, _told(crops, name, len(records), on_progress))
        for name, (records, crops) in stages.items()
    }


def method_matrices(
    fold: Protocol, tables: Mapping[str, FeatureTable], generated: str | None
) -> dict[str, ScoreMatrix]:
    """Scores of each method on a fold.

    Args:
        fold: the protocol.
        tables: see ``feature_tables``.
        generated: name of the table of generated probes; None without a generator.

    Raises:
        UserError: features are not of norm one, e.g. NaN.
    """
    gallery = tables["gallery"].of(fold.gallery)
    scores = {"original": cosine_scores(tables["original"].of(fold.probe), gallery)}
    if generated is not None:
        scores["generated"] = cosine_scores(tables[generated].of(fold.probe), gallery)
        scores["fusion"] = fused_scores(scores["original"], scores["generated"])
    if "truth" in tables:
        scores["truth"] = cosine_scores(tables["truth"].of(fold.probe), gallery)
    probes, enrolled = (np.array([r.subject for r in part]) for part in (fold.probe, fold.gallery))
    return {name: ScoreMatrix(scores=s, probes=probes, gallery=enrolled) for name, s in scores.items()}


def different(parts: Iterable[Iterable[Record]]) -> tuple[Record, ...]:
    """The records of several lists, each path once."""
    return tuple({record.path: record for part in parts for record in part}.values())


def _all_folds(
    material: Material, tables: Mapping[str, FeatureTable], far: float | None, on_progress: Progress
) -> tuple[tuple[Fold, ...], dict[str, Outcomes], tuple[Mistake, ...]]:
    """Figures of each fold, outcomes of each method over all, and the worst mistakes of any."""
    folds, outcomes, mistakes = [], dict[str, list[Outcomes]](), list[Mistake]()
    for number, protocol in enumerate(material.folds):
        on_progress("figures", number, len(material.folds))
        generator = material.generators.get(protocol.name)
        generated = None if generator is None else f"generated-{_model(generator)}"
        matrices = method_matrices(protocol, tables, generated)
        folds.append(fold_figures(protocol.name, matrices, material.job.draws))
        keys = [material.sources[record.path].path for record in protocol.probe]
        for method, matrix in matrices.items():
            outcomes.setdefault(method, []).append(outcomes_of(matrix, protocol.probe, keys, far))
        shown = "original" if generator is None else "fusion"
        mistakes += worst_mistakes(shown, matrices[shown], protocol, most=_MOST_MISTAKES)
    on_progress("figures", len(material.folds), len(material.folds))
    return tuple(folds), {name: joined(parts) for name, parts in outcomes.items()}, _worst(mistakes)


def _worst(mistakes: Iterable[Mistake]) -> tuple[Mistake, ...]:
    """The worst of several folds, each probe once."""
    falling = sorted(mistakes, key=lambda mistake: mistake.right_score - mistake.wrong_score)
    once: dict[str, Mistake] = {}
    for mistake in falling:
        once.setdefault(mistake.probe, mistake)
    return tuple(once.values())[:_MOST_MISTAKES]


def _quality(material: Material, backend: LandmarkBackend | None, on_progress: Progress) -> tuple:
    """Quality of the images, of at most a thousand probes, where there is something to compare."""
    if material.truth is None and not (backend and material.generators):
        return ()
    groups = material.by_generator() or [(None, different(fold.probe for fold in material.folds))]
    groups = [(generator, _thinned(probes, _MOST_FACES // len(groups))) for generator, probes in groups]
    faces = (face for generator, probes in groups for face in _faces(material, generator, probes))
    total = sum(len(probes) for _, probes in groups)
    return measure_faces(_told(faces, "image quality", total, on_progress), material.job.draws, backend=backend)
