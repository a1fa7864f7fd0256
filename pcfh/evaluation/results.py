"""What an evaluation found: dataclasses that a JSON file holds without loss.

Shares (rates, errors) are in [0, 1]. Intervals are 95 % confidence intervals, the percentiles of a bootstrap
over people. A figure that cannot be measured is None, never a number.

Methods are what turns a probe and a gallery image into a score; those known by name are below, any other is
a tuned recogniser by the name that the user gave it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from pcfh.errors import UserError
from pcfh.evaluation.intervals import Interval, McNemar
from pcfh.evaluation.scores import AVERAGE, Fusion
from pcfh.typed_json import from_json_text, to_json_text

ORIGINAL = "original"  # the recogniser on the NIR image as it is
GENERATED = "generated"  # on the VIS image made of it, alone
FUSION = "fusion"  # the average of both scores (the paper's), or what the options say
TRUTH = "truth"  # on the true VIS image of the moment, alone: what a perfect generator would give
REFERENCE = "reference"  # VIS against VIS; its probes are further VIS captures of the people tested
METHODS = (ORIGINAL, GENERATED, FUSION, TRUTH, REFERENCE)

FARS = (0.01, 0.001, 0.0001)
DEPTH = 10  # ranks of the CMC


@dataclass(frozen=True, kw_only=True)
class Verification:
    """VR at a FAR: None where there are too few impostor pairs for it."""

    far: float
    vr: float | None
    interval: Interval | None


@dataclass(frozen=True, kw_only=True)
class OwnProbes:
    """What is compared by a method that has other probes than its fold.

    Attributes:
        probes: captures that are searched for.
        people: whom they are of.
        genuine: pairs of one person.
        impostors: pairs of two.
    """

    probes: int
    people: int
    genuine: int
    impostors: int


@dataclass(frozen=True, kw_only=True)
class MethodFigures:
    """One method on one fold.

    Attributes:
        method: its name, see the module.
        cmc: Rank-1 to Rank-10.
        rank1_interval: of Rank-1.
        verification: at 1 %, 0.1 % and 0.01 %.
        eer: the equal error rate.
        roc: points (FAR, VR) at some FARs, rising; no FAR lies below that of a single impostor pair.
        own: of a method whose probes are not those of the fold.
    """

    method: str
    cmc: tuple[float, ...]
    rank1_interval: Interval | None
    verification: tuple[Verification, ...]
    eer: float
    roc: tuple[tuple[float, float], ...]
    own: OwnProbes | None = None


@dataclass(frozen=True, kw_only=True)
class Difference:
    """VR at a FAR of a method less that of the original, the same people drawn for both."""

    far: float
    interval: Interval | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A method against the original on the same probes.

    Attributes:
        method: its name.
        mcnemar: of Rank-1; the first method is the original.
        verification: differences of VR.
    """

    method: str
    mcnemar: McNemar
    verification: tuple[Difference, ...]


@dataclass(frozen=True, kw_only=True)
class Fold:
    """One protocol.

    Attributes:
        protocol: its name.
        probes: NIR captures that are searched for.
        gallery: enrolled VIS captures.
        people: whom the probes are of.
        genuine: pairs of one person.
        impostors: pairs of two.
        methods: figures of each method.
        comparisons: of each other method of the same probes with the original.
    """

    protocol: str
    probes: int
    gallery: int
    people: int
    genuine: int
    impostors: int
    methods: tuple[MethodFigures, ...]
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True, kw_only=True)
class GroupRow:
    """Errors of one method for one group of probes, over all folds.

    Attributes:
        column: what the groups differ in, e.g. "glasses".
        value: the group.
        method: its name.
        probes: how many, those of several folds several times.
        people: how many.
        rank1_error: share of probes that do not find their person first.
        interval: of it; None where the group is one person.
        frr: share of the group's genuine pairs that are refused at the threshold that all groups share.
        far: share of the impostor pairs of the group's probes that are accepted at it.
    """

    column: str
    value: str
    method: str
    probes: int
    people: int
    rank1_error: float
    interval: Interval | None
    frr: float | None
    far: float | None


@dataclass(frozen=True, kw_only=True)
class QualityRow:
    """A mean over probes.

    Attributes:
        measure: what was measured, with its unit.
        images: between which images.
        probes: how many.
        interval: the mean and its interval; low and high are the mean itself where there is one person.
    """

    measure: str
    images: str
    probes: int
    interval: Interval


@dataclass(frozen=True, kw_only=True)
class ShownFace:
    """A probe of a sheet of faces, with the two gallery images that decide whether its person is found.

    Attributes:
        protocol: the fold.
        subject: the person.
        probe: the probe's crop, below the folder of crops.
        right: the crop of the person's best gallery image.
        wrong: the crop of the best image of someone else.
        wrong_subject: that person.
        right_score: of ``right``.
        wrong_score: of ``wrong``.
        rank: of the person, see ``pcfh.rates``; 0 in files of before it was kept.
    """

    protocol: str
    subject: str
    probe: str
    right: str
    wrong: str
    wrong_subject: str
    right_score: float
    wrong_score: float
    rank: int = 0

    @property
    def margin(self) -> float:
        """By how much the right score is the higher one; at 0 and below the person is not found first."""
        return self.right_score - self.wrong_score


@dataclass(frozen=True, kw_only=True)
class Model:
    """A network that took part in a protocol.

    Attributes:
        role: "recogniser", "generator", or the name of a tuned recogniser.
        protocol: whose probes it saw.
        name: for people.
        key: what stands for its weights and settings; of a generator, the SHA-256 of its file.
    """

    role: str
    protocol: str
    name: str
    key: str


@dataclass(frozen=True, kw_only=True)
class Results:
    """A whole evaluation.

    Attributes:
        version: of the program.
        database: name of the layout.
        manifest: SHA-256 of the prepared database's manifest.
        recognizer: its name.
        models: all networks that took part, by protocol.
        size: side of the crops that NIR and VIS images are cut out of.
        rendered: whether true VIS images are there, so that the faces are synthetic.
        resamples: draws of people of each interval.
        seed: of the draws.
        folds: one for each protocol.
        group_far: FAR whose threshold the groups share; None where none can be measured in all folds.
        groups: errors by group.
        quality: of the images.
        notes: what the reader must know.
        random: probes for a sheet of faces, drawn by chance.
        worst: those with the lowest margins by the method ``shown_by``, lowest first.
        fusion_weight: of the generated face's score in the fusion.
        fusion: kind of the fused score, see ``fused_vectors``.
        pose: whether landmarks were looked for in the images; in poor ones none may have been found.
    """

    version: str
    database: str
    manifest: str
    recognizer: str
    models: tuple[Model, ...]
    size: int
    rendered: bool
    resamples: int
    seed: int
    folds: tuple[Fold, ...]
    group_far: float | None
    groups: tuple[GroupRow, ...]
    quality: tuple[QualityRow, ...]
    notes: tuple[str, ...]
    random: tuple[ShownFace, ...] = ()
    worst: tuple[ShownFace, ...] = ()
    fusion_weight: float = AVERAGE
    fusion: Fusion = "average"
    pose: bool = False

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that were evaluated."""
        return tuple(figures.method for figures in self.folds[0].methods)

    @property
    def shown_by(self) -> str:
        """The method whose scores the faces to show have."""
        return FUSION if self.has_generator else ORIGINAL

    @property
    def has_generator(self) -> bool:
        """Whether faces were generated."""
        return any(model.role == "generator" for model in self.models)


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Mean over folds and sample deviation, which one fold does not have."""

    mean: float
    deviation: float | None


@dataclass(frozen=True, kw_only=True)
class Summary:
    """One row of the paper's tables.

    Attributes:
        method: its name.
        ranks: Rank-1 to Rank-10.
        verification: at each of ``FARS``; None where a fold has too few impostor pairs for it.
        eer: the equal error rate.
    """

    method: str
    ranks: tuple[Spread, ...]
    verification: tuple[Spread | None, ...]
    eer: Spread


def spread(values: Sequence[float]) -> Spread:
    """Mean and sample deviation, with n - 1, of one figure over folds."""
    folds = np.array(values, np.float64)
    return Spread(mean=float(folds.mean()), deviation=float(folds.std(ddof=1)) if len(folds) > 1 else None)


def summaries(results: Results) -> tuple[Summary, ...]:
    """The rows of the table, one for each method."""
    return tuple(_summary([fold.methods[i] for fold in results.folds]) for i in range(len(results.methods)))


def _summary(folds: Sequence[MethodFigures]) -> Summary:
    rates = [[figures.verification[i].vr for figures in folds] for i in range(len(FARS))]
    measured = [[vr for vr in column if vr is not None] for column in rates]
    return Summary(
        method=folds[0].method,
        ranks=tuple(spread([figures.cmc[rank] for figures in folds]) for rank in range(DEPTH)),
        verification=tuple(spread(column) if len(column) == len(folds) else None for column in measured),
        eer=spread([figures.eer for figures in folds]),
    )


@dataclass(frozen=True, kw_only=True)
class _File:
    """The content of a results.json; the rows of the table are there for other programs."""

    format: Literal["pcfh-evaluation-2"]
    results: Results
    summary: tuple[Summary, ...]


def to_json(results: Results) -> str:
    """Text that ``from_json`` reads back without loss; it holds the rows of the table, too."""
    return to_json_text(_File(format="pcfh-evaluation-2", results=results, summary=summaries(results)))


def from_json(text: str) -> Results:
    """The reverse of ``to_json``.

    Raises:
        UserError: the text is no such JSON.
    """
    return from_json_text(
        text, _File, "results of pcfh evaluate (pcfh-evaluation-2); evaluate again with this version"
    ).results


def read_results(path: Path) -> Results:
    """Reads a results.json.

    Raises:
        UserError: there is none, or it is damaged.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; run pcfh evaluate first")
    try:
        return from_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
