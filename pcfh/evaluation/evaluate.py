"""From a prepared database and methods to the rows of the paper's tables.

Each method turns the probes and the gallery of a protocol into scores (see ``score_methods``); scores become
figures, confidence intervals and comparisons (see ``folds``). The recogniser is not tuned to generated images
unless the user gives a tuned one. Gallery and NIR images are cut out of the prepared crops that suit the
recogniser, generated and true ones out of crops of the generator's size.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from pcfh import __version__
from pcfh.databases.records import Protocol, Record, spaced
from pcfh.errors import UserError
from pcfh.evaluation.evaluation_data import (
    EvaluationData,
    different,
    model_of,
    notes_on,
    require_fair,
)
from pcfh.evaluation.folds import (
    fold_figures,
    impostor_count,
    measurable,
    measure,
    probe_counts,
    shown_faces,
)
from pcfh.evaluation.generated import CropGenerator
from pcfh.evaluation.groups import ProbeCounts, group_labels, group_rows, joined
from pcfh.evaluation.outcomes import Evaluation, MethodOutcome
from pcfh.evaluation.quality import Face, measure_faces
from pcfh.evaluation.results import (
    FUSION,
    METHODS,
    ORIGINAL,
    REFERENCE,
    Fold,
    Model,
    QualityRow,
    Results,
    ShownFace,
)
from pcfh.evaluation.score_methods import Progress, Recognizers, ScoreMethod, counted, score_methods
from pcfh.images import read_image
from pcfh.landmarks.base import LandmarkBackend
from pcfh.preparation.manifest import crops_folder
from pcfh.recognisers.alignment import Alignment
from pcfh.recognisers.base import Recognizer

_GROUP_FARS = (0.001, 0.01)  # the first that every fold can measure
_MOST_SHOWN, _MOST_FACES = 16, 1000


@dataclass(kw_only=True)
class _Found:
    """What the folds have said so far."""

    folds: list[Fold]
    outcomes: dict[str, dict[str, MethodOutcome]]
    counts: dict[str, list[ProbeCounts]]
    shown: list[ShownFace]


def evaluate(
    data: EvaluationData,
    recognizer: Recognizer | Recognizers,
    *,
    tuned: Mapping[str, Recognizers] | None = None,
    backend: LandmarkBackend | None = None,
    quality: bool = True,
    on_progress: Progress = lambda stage, done, total: None,
) -> Evaluation:
    """Evaluates a recogniser, and generators and tuned recognisers with it.

    Args:
        data: what to evaluate on, with the generators.
        recognizer: one, or one for each protocol.
        tuned: recognisers to compare with it, by name, then by protocol.
        backend: finds landmarks in the images, for the figures of pose; None leaves them out.
        quality: whether to measure the images' quality, which no recogniser has a part in.
        on_progress: called with what is being done, how many of it are done and of how many.

    Raises:
        UserError: data, protocol, recogniser, generators or groups do not fit.
    """
    job, folds = data.job, data.folds
    recognizers = recognizer if isinstance(recognizer, Mapping) else {f.name: recognizer for f in folds}
    _require_names(tuned or {})
    every = {"recogniser": recognizers, **(tuned or {})}
    _require_all(folds, {**every, **({"generator": data.generators} if data.generators else {})})
    labels = group_labels(job.groups, data.home)
    require_fair(data, every)
    methods = score_methods(data, recognizers, tuned, on_progress)
    far = next((f for f in _GROUP_FARS if all(measurable(f, impostor_count(x)) for x in folds)), None)
    found = _all_folds(data, methods, on_progress, far, grouped=bool(labels))
    counts = {name: joined(parts) for name, parts in found.counts.items()}
    results = Results(
        version=__version__,
        database=data.manifest.layout,
        manifest=data.manifest_digest,
        recognizer=", ".join(dict.fromkeys(one.name for one in recognizers.values())),
        models=_models(data, every),
        size=data.size,
        rendered=data.truth is not None,
        resamples=job.resamples,
        seed=job.seed,
        fusion_weight=job.fusion_weight,
        fusion=job.fusion,
        pose=backend is not None,
        folds=tuple(found.folds),
        group_far=far,
        groups=group_rows(counts, labels, job.bootstrap, thresholded=far is not None) if labels else (),
        quality=_quality(data, backend, on_progress) if quality else (),
        notes=notes_on(data),
        random=drawn_faces(found.shown, _MOST_SHOWN, job.seed),
        worst=lowest_faces(found.shown, _MOST_SHOWN),
    )
    return Evaluation(results=results, outcomes=found.outcomes, faces=tuple(found.shown))


def common_alignment(recognizers: Iterable[Recognizer]) -> Alignment:
    """The crop that the recognisers of all protocols want.

    Raises:
        UserError: they want different ones.
    """
    first, *others = dict.fromkeys(recognizer.alignment for recognizer in recognizers)
    if others:
        raise UserError(
            f"expected recognisers of one alignment in all protocols, got {first} and {others[0]}; evaluate "
            "each protocol with its own"
        )
    return first


def drawn_faces(faces: Sequence[ShownFace], most: int, seed: int) -> tuple[ShownFace, ...]:
    """Some faces drawn by chance, each probe once."""
    order = np.random.default_rng(seed).permutation(len(faces))
    return _each_once(faces[i] for i in order)[:most]


def lowest_faces(faces: Iterable[ShownFace], most: int) -> tuple[ShownFace, ...]:
    """The faces with the lowest margins, lowest first, each probe once."""
    return _each_once(sorted(faces, key=lambda face: face.margin))[:most]


def last_faces(faces: Iterable[ShownFace], most: int) -> tuple[ShownFace, ...]:
    """The faces whose person comes last, those of one rank by margin, each probe once."""
    return _each_once(sorted(faces, key=lambda face: (-face.rank, face.margin)))[:most]


def _each_once(faces: Iterable[ShownFace]) -> tuple[ShownFace, ...]:
    """The first of each probe."""
    once: dict[str, ShownFace] = {}
    for face in faces:
        once.setdefault(face.probe, face)
    return tuple(once.values())


def _require_names(tuned: Mapping[str, Recognizers]) -> None:
    """Refuses names of tuned recognisers that mean something else."""
    wrong = next((name for name in tuned if name in (*METHODS, "recogniser", "generator", "")), None)
    if wrong is None:
        wrong = next((name for name in tuned if "/" in name), None)
    if wrong is not None:
        raise UserError(f"{wrong!r} cannot be the name of a tuned recogniser; give another, without /")


def _require_all(folds: Sequence[Protocol], models: Mapping[str, Mapping[str, object]]) -> None:
    """Refuses models that are not there for every protocol."""
    for name, by_protocol in models.items():
        absent = [fold.name for fold in folds if fold.name not in by_protocol]
        if absent:
            raise UserError(
                f"expected a {name} for each protocol, got none for {', '.join(absent)}; give one"
            )


def _models(data: EvaluationData, recognizers: Mapping[str, Recognizers]) -> tuple[Model, ...]:
    """The networks that take part in each protocol."""
    models = []
    for fold in data.folds:
        for role, by_protocol in recognizers.items():
            one = by_protocol[fold.name]
            models.append(Model(role=role, protocol=fold.name, name=one.name, key=one.key))
        if fold.name in data.generators:
            key = model_of(data.generators[fold.name])
            models.append(Model(role="generator", protocol=fold.name, name="generator", key=key))
    return tuple(models)


def _all_folds(
    data: EvaluationData,
    methods: Sequence[ScoreMethod],
    on_progress: Progress,
    far: float | None,
    *,
    grouped: bool,
) -> _Found:
    """Scores each fold by each method; counts pairs at the threshold of a FAR where there are groups."""
    found = _Found(folds=[], outcomes={}, counts={}, shown=[])
    for number, protocol in enumerate(data.folds):
        on_progress("figures", number, len(data.folds))
        measured = {
            method.name: measure(
                method.name, method.sides(protocol), data.job.bootstrap, own=method.name == REFERENCE
            )
            for method in methods
        }
        found.folds.append(fold_figures(protocol.name, measured))
        found.outcomes[protocol.name] = {name: one.outcome for name, one in measured.items()}
        keys = [data.manifest.sources[record.path].path for record in protocol.probe]
        for name, one in measured.items():
            if grouped and one.figures.own is None:
                found.counts.setdefault(name, []).append(probe_counts(one, protocol.probe, keys, far))
        best = measured[FUSION if FUSION in measured else ORIGINAL]
        found.shown += shown_faces(best.facts, protocol)
    on_progress("figures", len(data.folds), len(data.folds))
    return found


def _quality(
    data: EvaluationData, backend: LandmarkBackend | None, on_progress: Progress
) -> tuple[QualityRow, ...]:
    """Quality of the images, of at most a thousand probes, where there is something to compare."""
    if data.truth is None and not (backend and data.generators):
        return ()
    whole: list[tuple[CropGenerator | None, tuple[Record, ...]]] = [
        (generator, different(fold.probe for fold in folds)) for generator, folds in data.by_generator()
    ]
    whole = whole or [(None, different(fold.probe for fold in data.folds))]
    groups = [(generator, spaced(probes, _MOST_FACES // len(whole))) for generator, probes in whole]
    faces = (face for generator, probes in groups for face in _faces(data, generator, probes))
    total = sum(len(probes) for _, probes in groups)
    shown = counted(faces, "image quality", total, on_progress)
    return measure_faces(shown, data.job.bootstrap, backend=backend)


def _faces(data: EvaluationData, generator: CropGenerator | None, probes: Sequence[Record]) -> Iterator[Face]:
    """The images of some probes, one after the other."""
    records = data.at_size(probes, data.generated_size)
    root = crops_folder(data.job.prepared, data.generated_size)
    made = repeat(None) if generator is None else data.generated(generator, probes)
    true = repeat(None) if data.truth is None else data.true_crops(probes)
    for record, generated, truth in zip(records, made, true, strict=False):
        yield Face(
            person=record.subject,
            landmarks=np.array(record.landmarks),
            nir=read_image(root / record.path),
            generated=generated,
            truth=truth,
        )
