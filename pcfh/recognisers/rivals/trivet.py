"""After TRIVET: triplets across the modalities, of both kinds, alone and with the control's softmax.

Reference: Liu, Song, Wu and Tan, "Transferring Deep Representation for NIR-VIS Heterogeneous Face
Recognition", ICB 2016. Its decisions that are ours stand in docs/paper_map.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from pcfh.recognisers.rivals.control import class_weights
from pcfh.recognisers.tuning.base import Learner
from pcfh.recognisers.tuning.captures import Captures
from pcfh.recognisers.tuning.head import Embedded, HeadRival, LastLayer, Objective
from pcfh.recognisers.tuning.losses import cosine_softmax, triplets


@dataclass(frozen=True, kw_only=True)
class Trivet(HeadRival):
    """Settings.

    Attributes:
        margin: by which a stranger has to be farther than the own person, in squared distance.
        softmax: weight of the control's loss; 0 leaves it out.
        scale: of its cosines.
    """

    margin: float = 0.4
    softmax: float = 0.0
    scale: float = 30.0

    def start(self, captures: Captures, seed: int) -> Learner:
        """Begins at the trunk."""
        weights = class_weights(captures) if self.softmax else None
        return LastLayer(self, captures, Triplets(self, weights), seed)


class Triplets(Objective):
    """Triplets, and a softmax where there are class weights."""

    def __init__(self, settings: Trivet, weights: Float[Tensor, "c d"] | None) -> None:
        super().__init__()
        self._settings = settings
        self.weights = None if weights is None else nn.Parameter(weights)

    def terms(self, batch: Embedded, step: int) -> Mapping[str, Tensor]:
        """See ``Objective``."""
        own = self._settings
        terms = {"triplets": triplets(batch.z, batch.people, batch.nir, own.margin)}
        if self.weights is not None:
            terms["people"] = own.softmax * cosine_softmax(batch.z, batch.people, self.weights, own.scale)
        return terms


RIVALS = (
    Trivet(key="after-trivet", label="after TRIVET, triplets alone"),
    Trivet(key="after-trivet-softmax", label="after TRIVET, with softmax", softmax=1.0),
)
