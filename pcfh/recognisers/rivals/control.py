"""The control: a cosine softmax over the training people, its weights begun at their mean embeddings.

Every rival that tunes is this and something else; without this row the something cannot be seen.

Axis letters: c people, d features.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pcfh.recognisers.tuning.base import Learner
from pcfh.recognisers.tuning.captures import Captures
from pcfh.recognisers.tuning.head import Embedded, HeadRival, LastLayer, Objective, starting_features
from pcfh.recognisers.tuning.losses import cosine_softmax, person_means


@dataclass(frozen=True, kw_only=True)
class Control(HeadRival):
    """Settings.

    Attributes:
        scale: of the cosines.
    """

    scale: float = 15.0

    def start(self, captures: Captures, seed: int) -> Learner:
        """Begins at the trunk."""
        return LastLayer(self, captures, Softmax(class_weights(captures), self.scale), seed)


class Softmax(Objective):
    """Cross entropy over the training people."""

    def __init__(self, weights: Float[Tensor, "c d"], scale: float) -> None:
        super().__init__()
        self.weights, self._scale = nn.Parameter(weights), scale

    def terms(self, batch: Embedded, step: int) -> Mapping[str, Tensor]:
        """See ``Objective``."""
        return {"people": cosine_softmax(batch.z, batch.people, self.weights, self._scale)}


def class_weights(captures: Captures) -> Float[Tensor, "c d"]:
    """Mean embedding of each person by the trunk."""
    features, people = starting_features(captures)
    means: Tensor = person_means(features.cpu(), people.cpu(), int(people.max()) + 1)
    return means.to(features.device, torch.float32)


RIVALS = (
    Control(key="tuned", label="Light CNN, tuned"),
    Control(key="pcfh-tuned", label="PCFH + Light CNN tuned on its images", generator="pcfh"),
)
