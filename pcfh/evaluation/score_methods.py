"""Methods: what turns the probes and the gallery of a protocol into scores.

    original     cos(F(x), F(y))            x a NIR probe, y a gallery image, F the recogniser
    generated    cos(F(G(x)), F(y))         G the generator
    fusion       their average, or a weighted one, or the cosine with the mean feature
    truth        cos(F(z), F(y))            z the true VIS image of the moment
    reference    cos(F(v), F(y))            v further VIS captures of the people tested
    any other    cos(F'(x), F'(y))          F' a tuned recogniser, by the name that the user gave it

F, F' and G may be others for each protocol, and F and F' may treat NIR and VIS differently.

Axis letters: d features, n crops or probes, s side of a crop.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol as Interface
from typing import TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from pcfh.databases.records import Modality, Protocol, Record
from pcfh.evaluation.evaluation_data import EvaluationData, different
from pcfh.evaluation.results import FUSION, GENERATED, ORIGINAL, REFERENCE, TRUTH
from pcfh.evaluation.score_blocks import Sides, embedding_sides
from pcfh.evaluation.scores import AVERAGE, Fusion, fused_vectors, require_unit
from pcfh.preparation.manifest import crops_folder
from pcfh.recognisers.base import Recognizer
from pcfh.recognisers.features import extract, realigned, recognizer_crops

Progress = Callable[[str, int, int], None]
Recognizers = Mapping[str, Recognizer]  # by protocol
Item = TypeVar("Item")

_GALLERY = "gallery"


@runtime_checkable
class ScoreMethod(Interface):
    """What turns probes and a gallery into scores."""

    @property
    def name(self) -> str:
        """What results call it."""

    def sides(self, fold: Protocol) -> Sides:
        """Probes and gallery, and what scores them; higher is more alike."""


Embeddings = Mapping[str, Float32[np.ndarray, " d"]]  # by the path of the crop
Tables = Mapping[str, Embeddings]  # by protocol


@dataclass(frozen=True, kw_only=True)
class CosineScores:
    """The cosine similarity of embeddings.

    Attributes:
        name: of the method.
        probes: embeddings of what stands for the probes.
        gallery: embeddings of the gallery.
        searched: by protocol, who is searched for where that is not its probes.
    """

    name: str
    probes: Tables
    gallery: Tables
    searched: Mapping[str, Sequence[Record]] | None = None

    def sides(self, fold: Protocol) -> Sides:
        """See ``ScoreMethod``.

        Raises:
            UserError: embeddings are not of norm one, e.g. NaN.
        """
        return self.sides_of(fold, self.vectors(fold))

    def vectors(self, fold: Protocol) -> Float32[np.ndarray, "n d"]:
        """The embeddings of what stands for the probes.

        Raises:
            UserError: they are not of norm one, e.g. NaN.
        """
        vectors = _rows(self.probes[fold.name], self._searched(fold))
        require_unit(vectors, "probe")
        return vectors

    def sides_of(self, fold: Protocol, vectors: Float32[np.ndarray, "n d"]) -> Sides:
        """Vectors of the probes against the gallery.

        Raises:
            UserError: the gallery's embeddings are not of norm one.
        """
        gallery = _rows(self.gallery[fold.name], fold.gallery)
        people, enrolled = (
            np.array([record.subject for record in part]) for part in (self._searched(fold), fold.gallery)
        )
        return embedding_sides(vectors, gallery, people, enrolled)

    def _searched(self, fold: Protocol) -> Sequence[Record]:
        return fold.probe if self.searched is None else self.searched[fold.name]


@dataclass(frozen=True, kw_only=True)
class FusedScores:
    """The fused score of two methods, which is the score of a mean of their vectors; see ``fused_vectors``.

    Attributes:
        original: of the images as they are.
        generated: of the images made of them.
        weight: of the latter.
        fusion: kind of it.
    """

    original: CosineScores
    generated: CosineScores
    weight: float = AVERAGE
    fusion: Fusion = "average"
    name: str = FUSION

    def sides(self, fold: Protocol) -> Sides:
        """See ``ScoreMethod``."""
        original, generated = self.original.vectors(fold), self.generated.vectors(fold)
        fused = fused_vectors(original, generated, self.weight, self.fusion)
        return self.original.sides_of(fold, fused)


def score_methods(
    data: EvaluationData,
    recognizers: Recognizers,
    tuned: Mapping[str, Recognizers] | None = None,
    on_progress: Progress = lambda stage, done, total: None,
) -> list[ScoreMethod]:
    """All methods that the data allow, with their embeddings computed; the original first.

    Args:
        data: what to evaluate on.
        recognizers: F of each protocol.
        tuned: F' of each protocol, by the name of the method.
        on_progress: called with what is being done, how many of it are done and of how many.

    Raises:
        UserError: images cannot be read, or a recogniser refuses them.
    """
    tables = _tables(data, recognizers, on_progress, whole=True)
    gallery = tables[_GALLERY]
    named = {
        name: CosineScores(
            name=name,
            probes=tables[name],
            gallery=gallery,
            searched=data.references if name == REFERENCE else None,
        )
        for name in (ORIGINAL, GENERATED, TRUTH, REFERENCE)
        if name in tables
    }
    methods: dict[str, ScoreMethod] = {**named}
    if GENERATED in named:
        methods[FUSION] = FusedScores(
            original=named[ORIGINAL],
            generated=named[GENERATED],
            weight=data.job.fusion_weight,
            fusion=data.job.fusion,
        )
    for name, own in (tuned or {}).items():
        found = _tables(data, own, on_progress, whole=False)
        methods[name] = CosineScores(name=name, probes=found[ORIGINAL], gallery=found[_GALLERY])
    order = [ORIGINAL, GENERATED, FUSION, TRUTH, *(tuned or {}), REFERENCE]
    return [methods[name] for name in order if name in methods]


def _rows(embeddings: Embeddings, records: Sequence[Record]) -> Float32[np.ndarray, "n d"]:
    """The embeddings of some crops, in their order."""
    return np.stack([embeddings[record.path] for record in records])


def counted(items: Iterable[Item], stage: str, total: int, on_progress: Progress) -> Iterator[Item]:
    """Yields the items and tells of each that it is done with."""
    for number, item in enumerate(items):
        on_progress(stage, number, total)
        yield item
    on_progress(stage, total, total)


@dataclass(frozen=True, kw_only=True)
class _Stage:
    """Crops of one kind for some protocols."""

    kind: str
    folds: Sequence[Protocol]
    records: Sequence[Record]
    crops: Iterator[UInt8[np.ndarray, "s s 3"]]
    modality: Modality = "VIS"


def _tables(
    data: EvaluationData, recognizers: Recognizers, on_progress: Progress, *, whole: bool
) -> dict[str, dict[str, Embeddings]]:
    """Embeddings by kind of crops and protocol; each recogniser sees the crops of its protocols once.

    Args:
        data: what to evaluate on.
        recognizers: by protocol.
        on_progress: see ``score_methods``.
        whole: whether generated, true and further VIS images are wanted, too.
    """
    tables: dict[str, dict[str, Embeddings]] = {}
    different_ones = {recognizer.key: recognizer for recognizer in recognizers.values()}
    for key, recognizer in different_ones.items():
        folds = [fold for fold in data.folds if recognizers[fold.name].key == key]
        stages = [*_captures(data, recognizer, folds)]
        if whole:
            stages += _images(data, recognizer, folds)
        for stage in stages:
            crops = counted(stage.crops, stage.kind, len(stage.records), on_progress)
            cache, batch = data.job.cache / "features", data.job.batch
            features = extract(recognizer, crops, stage.modality, cache=cache, batch=batch)
            table = dict(zip((record.path for record in stage.records), features, strict=True))
            tables.setdefault(stage.kind, {}).update({fold.name: table for fold in stage.folds})
    return tables


def _captures(data: EvaluationData, recognizer: Recognizer, folds: Sequence[Protocol]) -> Iterator[_Stage]:
    """Gallery and probes as they are."""
    size = data.size_for(recognizer.alignment)
    root = crops_folder(data.job.prepared, size)
    parts: tuple[tuple[str, Modality], ...] = ((_GALLERY, "VIS"), (ORIGINAL, "NIR"))
    for kind, modality in parts:
        wanted = different(fold.gallery if kind == _GALLERY else fold.probe for fold in folds)
        records = data.at_size(wanted, size)
        crops = recognizer_crops(root, records, recognizer.alignment)
        yield _Stage(kind=kind, folds=folds, records=records, crops=crops, modality=modality)


def _images(data: EvaluationData, recognizer: Recognizer, folds: Sequence[Protocol]) -> Iterator[_Stage]:
    """What may stand in the place of the probes: generated, true and further VIS images."""
    alignment = recognizer.alignment
    for generator, of_generator in data.by_generator(folds):
        own = different(fold.probe for fold in of_generator)
        crops = realigned(data.generated(generator, own), data.at_size(own, data.generated_size), alignment)
        yield _Stage(kind=GENERATED, folds=of_generator, records=own, crops=crops)
    if data.truth is not None:
        probes = different(fold.probe for fold in folds)
        crops = realigned(data.true_crops(probes), data.at_size(probes, data.generated_size), alignment)
        yield _Stage(kind=TRUTH, folds=folds, records=probes, crops=crops)
    if data.has_reference:
        size = data.size_for(alignment)
        further = data.at_size(different(data.references[fold.name] for fold in folds), size)
        crops = recognizer_crops(crops_folder(data.job.prepared, size), further, alignment)
        yield _Stage(kind=REFERENCE, folds=folds, records=further, crops=crops)
