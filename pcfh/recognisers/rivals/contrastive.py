"""Contrastive tuning that keeps what is enrolled: what a user of today would take.

Each NIR face is drawn to the VIS faces of its person and away from all others, and the reverse, while VIS
embeddings stay where they were, so that templates enrolled before stay valid.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from pcfh.recognisers.tuning.base import Learner
from pcfh.recognisers.tuning.captures import Captures
from pcfh.recognisers.tuning.head import Embedded, HeadRival, LastLayer, Objective
from pcfh.recognisers.tuning.losses import contrastive, kept


@dataclass(frozen=True, kw_only=True)
class Contrastive(HeadRival):
    """Settings.

    Attributes:
        temperature: cosines are divided by it.
        keep: weight of leaving VIS embeddings where they were.
    """

    temperature: float = 0.07
    keep: float = 1.0

    def start(self, captures: Captures, seed: int) -> Learner:
        """Begins at the trunk."""
        return LastLayer(self, captures, AcrossModalities(self.temperature, self.keep), seed)


class AcrossModalities(Objective):
    """Both terms."""

    def __init__(self, temperature: float, keep: float) -> None:
        super().__init__()
        self._temperature, self._keep = temperature, keep

    def terms(self, batch: Embedded, step: int) -> Mapping[str, Tensor]:
        """See ``Objective``."""
        vis = ~batch.nir
        return {
            "contrast": contrastive(batch.z, batch.people, batch.nir, self._temperature),
            "keep": self._keep * kept(batch.z[vis], batch.start[vis]),
        }


RIVALS = (Contrastive(key="contrastive", label="Light CNN, contrastive"),)
