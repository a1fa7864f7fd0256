"""What goes into a gallery and comes out of it.

Features have norm one; scores are cosines, higher is more alike. Times are in UTC.

Axis letters: d features, n faces.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float32

from pcfh.errors import UserError
from pcfh.evaluation.scores import cosine_scores, fused_vectors, require_unit

Kind = Literal["fused", "original", "generated"]
SCORES: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, kw_only=True)
class NewFace:
    """A face to enrol.

    Attributes:
        id: stands for the photograph: 32 hexadecimal digits of the SHA-256 of its file. A
            photograph that is enrolled again is the same face.
        person: whose face it is.
        source: where the photograph came from, for people.
        quality: 0 to 1, see ``pcfh.gallery.photographs.quality_of``.
        feature: of the face.
    """

    id: str
    person: str
    source: str
    quality: float
    feature: Float32[np.ndarray, " d"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A face of a gallery, without its feature.

    Attributes:
        id: of the photograph.
        person: whose face it is.
        source: where the photograph came from.
        quality: 0 to 1.
        enrolled: when.
    """

    id: str
    person: str
    source: str
    quality: float
    enrolled: datetime


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A face to search for: its own feature, and that of the visible-light face generated from it.

    Attributes:
        original: of the photograph.
        generated: None where the photograph is one in visible light.
    """

    original: Float32[np.ndarray, " d"]
    generated: Float32[np.ndarray, " d"] | None = None

    def against(self, features: Float32[np.ndarray, "n d"]) -> dict[Kind, Float32[np.ndarray, " n"]]:
        """All scores that there are with some faces.

        Raises:
            UserError: features are not of norm one.
        """
        kinds: tuple[Kind, ...] = ("original",) if self.generated is None else SCORES
        return {kind: cosine_scores(self.vector(kind)[None], features)[0] for kind in kinds}

    def vector(self, kind: Kind) -> Float32[np.ndarray, " d"]:
        """What a gallery feature is multiplied with to give a score; all of norm one.

        The fused score is the template's, see ``fused_vectors``: thresholds of a gallery are of cosines.

        Raises:
            UserError: there is no generated face, or features are not of norm one.
        """
        require_unit(self.original[None], "probe")
        if kind == "original":
            return self.original
        if self.generated is None:
            raise UserError(
                f"expected a generated face for the {kind} score, got none; search by the original score"
            )
        require_unit(self.generated[None], "probe")
        fused = fused_vectors(self.original[None], self.generated[None], fusion="template")[0]
        return self.generated if kind == "generated" else fused


@dataclass(frozen=True, kw_only=True)
class Match:
    """A person found, with the best of their photographs.

    Attributes:
        entry: that photograph.
        by: the score by which the search went.
        scores: all that there are.
    """

    entry: Entry
    by: Kind
    scores: Mapping[Kind, float]

    @property
    def score(self) -> float:
        """The one by which the search went."""
        return self.scores[self.by]

    def above(self, threshold: float) -> bool:
        """Whether the score reaches a threshold."""
        return self.score >= threshold


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody enrolled.

    Attributes:
        name: of the person.
        faces: how many photographs.
        enrolled: when the first was.
    """

    name: str
    faces: int
    enrolled: datetime


@dataclass(frozen=True, kw_only=True)
class Removal:
    """Somebody who was removed; nothing of the faces is left.

    Attributes:
        person: the name.
        faces: how many photographs there were.
        enrolled: when the first had been enrolled.
        removed: when.
        by: who did it.
    """

    person: str
    faces: int
    enrolled: datetime
    removed: datetime
    by: str


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The threshold for a false-accept rate.

    Attributes:
        far: share of impostor pairs, in [0, 1], that may reach the threshold.
        threshold: a pair is accepted at this score and above.
        low: of the 95 % confidence interval of the threshold, over people.
        high: likewise.
        faces: of the gallery at that time.
        compared: of these, faces that were compared; fewer than ``faces`` is a random sample.
        people: whose faces those are.
        pairs: of different people, that were compared.
        made: when.
    """

    far: float
    threshold: float
    low: float
    high: float
    faces: int
    compared: int
    people: int
    pairs: int
    made: datetime

    @property
    def exact(self) -> bool:
        """Whether all pairs of the gallery were compared."""
        return self.compared == self.faces
