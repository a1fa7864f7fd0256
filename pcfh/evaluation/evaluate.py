"""From a prepared database, a recogniser and perhaps generators to the rows of the paper's tables.

Each probe is compared with the gallery as it is, by the VIS image generated of it, by the average of both
scores, and by the true VIS image where the database is a rendered one (see ``results``). Further VIS captures
of the same people, where there are any, are compared with the same gallery: what that gives more is the
sensing gap. The recogniser is one and the same, not tuned to generated images. Gallery and NIR images are cut
out of the prepared crops that suit the recogniser, generated and true ones out of crops of the generator's
size.

Axis letters: d features, n and m crops, s and t side of a crop.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import TypeVar

import numpy as np
from jaxtyping import Float32, UInt8

from pcfh import __version__
from pcfh.databases.records import Protocol, Record
from pcfh.evaluation.evaluation_data import (
    EvaluationData,
    EvaluationJob,
    different,
    group_labels,
    model_of,
    notes_on,
    require_fair,
)
from pcfh.evaluation.folds import (
    fold_figures,
    impostor_count,
    measurable,
    outcomes_of,
    shown_faces,
    worst_mistakes,
)
from pcfh.evaluation.groups import Outcomes, group_rows, joined
from pcfh.evaluation.quality import Face, measure_faces
from pcfh.evaluation.results import REFERENCE, Fold, Mistake, Model, QualityRow, Results, ShownFace
from pcfh.evaluation.scores import AVERAGE, cosine_scores, fused_scores
from pcfh.files import sha256_of
from pcfh.hallucinate import Hallucinator
from pcfh.images import read_image
from pcfh.landmarks.base import LandmarkBackend
from pcfh.preparation.prepared import MANIFEST, crops_folder
from pcfh.rates import ScoreMatrix
from pcfh.recognisers.base import Recognizer
from pcfh.recognisers.features import FeatureCache, extract, realigned, recognizer_crops

_GROUP_FARS = (0.001, 0.01)  # the first that every fold can measure
_MOST_MISTAKES, _MOST_SHOWN, _MOST_FACES = 12, 16, 1000

Progress = Callable[[str, int, int], None]
Item = TypeVar("Item")
OfProbe = TypeVar("OfProbe", Mistake, ShownFace)


@dataclass(frozen=True, kw_only=True)
class FeatureTable:
    """Features of crops by their paths; n crops, d features."""

    place: Mapping[str, int]
    features: Float32[np.ndarray, "n d"]

    def of(self, records: Iterable[Record]) -> Float32[np.ndarray, "m d"]:
        """Features of some of them, in their order."""
        return self.features[[self.place[record.path] for record in records]]


@dataclass(frozen=True, kw_only=True)
class _Scored:
    """What the scores of all folds say.

    Attributes:
        folds: the figures of each.
        outcomes: what became of each probe, by method.
        mistakes: the worst of any fold.
        shown: all probes of all folds.
    """

    folds: tuple[Fold, ...]
    outcomes: Mapping[str, Outcomes]
    mistakes: tuple[Mistake, ...]
    shown: tuple[ShownFace, ...]


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
    material = EvaluationData(job, generators or {}, recognizer.alignment)
    return evaluate_data(material, recognizer, backend=backend, on_progress=on_progress)


def evaluate_data(
    material: EvaluationData,
    recognizer: Recognizer,
    *,
    tables: Mapping[str, FeatureTable] | None = None,
    backend: LandmarkBackend | None = None,
    on_progress: Progress = lambda stage, done, total: None,
) -> Results:
    """The same of a material that the caller goes on with, e.g. to show its pictures.

    Args:
        material: for the alignment of this recogniser.
        recognizer: one for all methods.
        tables: its features from ``feature_tables``, where the caller has them already.
        backend: see ``evaluate``.
        on_progress: see ``evaluate``.

    Raises:
        UserError: data, protocol, recogniser, generators or groups do not fit.
    """
    job = material.job
    labels = group_labels(job, material.home)
    if tables is None:
        tables = feature_tables(material, recognizer, on_progress)
    far = next(
        (f for f in _GROUP_FARS if all(measurable(f, impostor_count(x)) for x in material.folds)), None
    )
    scored = _all_folds(material, tables, far, on_progress)
    groups = group_rows(scored.outcomes, labels, job.draws, thresholded=far is not None) if labels else ()
    return Results(
        version=__version__,
        database=material.manifest.layout,
        manifest=sha256_of(job.prepared / MANIFEST),
        recognizer=recognizer.name,
        models=_models(material, recognizer),
        size=material.size,
        rendered=material.truth is not None,
        resamples=job.resamples,
        seed=job.seed,
        fusion_weight=job.fusion_weight,
        folds=scored.folds,
        group_far=far,
        groups=groups,
        quality=_quality(material, backend, on_progress),
        mistakes=scored.mistakes,
        notes=notes_on(material),
        random=drawn_faces(scored.shown, _MOST_SHOWN, job.seed),
        worst=lowest_faces(scored.shown, _MOST_SHOWN),
    )


def _models(material: EvaluationData, recognizer: Recognizer) -> tuple[Model, ...]:
    """The networks that take part in each protocol."""
    models = []
    for fold in material.folds:
        models.append(Model(role="recogniser", protocol=fold.name, name=recognizer.name, key=recognizer.key))
        if fold.name in material.generators:
            key = model_of(material.generators[fold.name])
            models.append(Model(role="generator", protocol=fold.name, name="generator", key=key))
    return tuple(models)


def feature_tables(
    material: EvaluationData, recognizer: Recognizer, on_progress: Progress
) -> dict[str, FeatureTable]:
    """Features of all crops by name.

    The names are "gallery", "original", "generated-<model>" of each generator, "truth" where it is known, and
    "reference" where every fold has further VIS captures.

    Raises:
        UserError: the generators do not fit, or have learnt from people of the test.
    """
    require_fair(material)
    probes = different(fold.probe for fold in material.folds)
    gallery = different(fold.gallery for fold in material.folds)
    root = crops_folder(material.job.prepared, material.size)
    stages: dict[str, tuple[Sequence[Record], Iterator[UInt8[np.ndarray, "s s 3"]]]] = {
        "gallery": (gallery, recognizer_crops(root, gallery, material.alignment)),
        "original": (probes, recognizer_crops(root, probes, material.alignment)),
    }
    for generator, own in material.by_generator():
        crops = material.generated(generator, own)
        made = realigned(crops, material.resized(own), material.alignment)
        stages[generated_table(generator)] = (own, made)
    if material.truth is not None:
        crops = material.true_crops(probes)
        stages["truth"] = (probes, realigned(crops, material.resized(probes), material.alignment))
    if material.has_reference:
        further = different(material.references.values())
        stages[REFERENCE] = (further, recognizer_crops(root, further, material.alignment))
    cache = FeatureCache(material.job.cache / "features", recognizer.key)
    tables = {}
    for name, (records, crops) in stages.items():
        told = _told(crops, name.partition("-")[0], len(records), on_progress)
        features = extract(recognizer, told, cache=cache, batch=material.job.batch)
        tables[name] = FeatureTable(
            place={record.path: i for i, record in enumerate(records)}, features=features
        )
    return tables


def generated_table(generator: Hallucinator) -> str:
    """The name of a generator's table among those of ``feature_tables``."""
    return f"generated-{model_of(generator)}"


def method_matrices(
    fold: Protocol, tables: Mapping[str, FeatureTable], generated: str | None, weight: float = AVERAGE
) -> dict[str, ScoreMatrix]:
    """Scores of each method on a fold.

    Args:
        fold: the protocol.
        tables: see ``feature_tables``.
        generated: name of the table of generated probes; None without a generator.
        weight: of the generated face's score in the fusion.

    Raises:
        UserError: features are not of norm one, e.g. NaN.
    """
    gallery = tables["gallery"].of(fold.gallery)
    scores = {"original": cosine_scores(tables["original"].of(fold.probe), gallery)}
    if generated is not None:
        scores["generated"] = cosine_scores(tables[generated].of(fold.probe), gallery)
        scores["fusion"] = fused_scores(scores["original"], scores["generated"], weight)
    if "truth" in tables:
        scores["truth"] = cosine_scores(tables["truth"].of(fold.probe), gallery)
    return {name: _matrix(s, fold.probe, fold.gallery) for name, s in scores.items()}


def reference_matrix(
    fold: Protocol, further: Sequence[Record], tables: Mapping[str, FeatureTable]
) -> ScoreMatrix | None:
    """Scores of further VIS captures against the gallery of a fold; None without a table of them.

    Args:
        fold: the protocol.
        further: VIS captures of people of the gallery.
        tables: see ``feature_tables``.
    """
    if REFERENCE not in tables:
        return None
    gallery = tables["gallery"].of(fold.gallery)
    return _matrix(cosine_scores(tables[REFERENCE].of(further), gallery), further, fold.gallery)


def drawn_faces(faces: Sequence[ShownFace], most: int, seed: int) -> tuple[ShownFace, ...]:
    """Some faces drawn by chance, each probe once."""
    order = np.random.default_rng(seed).permutation(len(faces))
    return _each_once(faces[i] for i in order)[:most]


def lowest_faces(faces: Iterable[ShownFace], most: int) -> tuple[ShownFace, ...]:
    """The faces with the lowest margins, lowest first, each probe once."""
    return _each_once(sorted(faces, key=lambda face: face.margin))[:most]


def _each_once(items: Iterable[OfProbe]) -> tuple[OfProbe, ...]:
    """The first of each probe."""
    once: dict[str, OfProbe] = {}
    for item in items:
        once.setdefault(item.probe, item)
    return tuple(once.values())


def _matrix(scores: np.ndarray, probes: Sequence[Record], gallery: Sequence[Record]) -> ScoreMatrix:
    people, enrolled = (np.array([record.subject for record in part]) for part in (probes, gallery))
    return ScoreMatrix(scores=scores, probes=people, gallery=enrolled)


def _all_folds(
    material: EvaluationData, tables: Mapping[str, FeatureTable], far: float | None, on_progress: Progress
) -> _Scored:
    """Scores each fold by each method."""
    folds, outcomes, mistakes = [], dict[str, list[Outcomes]](), list[Mistake]()
    shown: list[ShownFace] = []
    for number, protocol in enumerate(material.folds):
        on_progress("figures", number, len(material.folds))
        generator = material.generators.get(protocol.name)
        generated = None if generator is None else generated_table(generator)
        matrices = method_matrices(protocol, tables, generated, material.job.fusion_weight)
        reference = reference_matrix(protocol, material.references[protocol.name], tables)
        folds.append(fold_figures(protocol.name, matrices, material.job.draws, reference=reference))
        keys = [material.manifest.sources[record.path].path for record in protocol.probe]
        for method, matrix in matrices.items():
            outcomes.setdefault(method, []).append(outcomes_of(matrix, protocol.probe, keys, far))
        best = "original" if generator is None else "fusion"
        mistakes += worst_mistakes(best, matrices[best], protocol, most=_MOST_MISTAKES)
        shown += shown_faces(matrices[best], protocol)
    on_progress("figures", len(material.folds), len(material.folds))
    return _Scored(
        folds=tuple(folds),
        outcomes={name: joined(parts) for name, parts in outcomes.items()},
        mistakes=_worst(mistakes),
        shown=tuple(shown),
    )


def _worst(mistakes: Iterable[Mistake]) -> tuple[Mistake, ...]:
    """The worst of several folds, each probe once."""
    falling = sorted(mistakes, key=lambda mistake: mistake.right_score - mistake.wrong_score)
    return _each_once(falling)[:_MOST_MISTAKES]


def _quality(
    material: EvaluationData, backend: LandmarkBackend | None, on_progress: Progress
) -> tuple[QualityRow, ...]:
    """Quality of the images, of at most a thousand probes, where there is something to compare."""
    if material.truth is None and not (backend and material.generators):
        return ()
    everyone = different(fold.probe for fold in material.folds)
    whole: list[tuple[Hallucinator | None, tuple[Record, ...]]] = [*material.by_generator()]
    whole = whole or [(None, everyone)]
    groups = [(generator, _thinned(probes, _MOST_FACES // len(whole))) for generator, probes in whole]
    faces = (face for generator, probes in groups for face in _faces(material, generator, probes))
    total = sum(len(probes) for _, probes in groups)
    return measure_faces(
        _told(faces, "image quality", total, on_progress), material.job.draws, backend=backend
    )


def _faces(
    material: EvaluationData, generator: Hallucinator | None, probes: Sequence[Record]
) -> Iterator[Face]:
    """The images of some probes, one after the other."""
    size, records = material.generated_size, material.resized(probes)
    root = crops_folder(material.job.prepared, size)
    made = repeat(None) if generator is None else material.generated(generator, probes)
    true = repeat(None) if material.truth is None else material.true_crops(probes)
    for record, generated, truth in zip(records, made, true, strict=False):
        yield Face(
            person=record.subject,
            landmarks=np.array(record.landmarks),
            nir=read_image(root / record.path),
            generated=generated,
            truth=truth,
        )


def _thinned(probes: Sequence[Record], most: int) -> tuple[Record, ...]:
    """At most some of the probes, evenly spaced."""
    count = min(most, len(probes))
    return tuple(probes[i * len(probes) // count] for i in range(count))


def _told(items: Iterable[Item], stage: str, total: int, on_progress: Progress) -> Iterator[Item]:
    """Yields the items and tells of each that it is done with."""
    for number, item in enumerate(items):
        on_progress(stage, number, total)
        yield item
    on_progress(stage, total, total)
