"""After CSH, first stage, as a method: its settings and presets; see ``csh_trainer``.

The second stage stands behind the recogniser: ``pcfh.recognisers.rivals.csh``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pcfh.config import Count, Positive, Weight
from pcfh.methods.base import NARROW, Config, Method, Needs


@dataclass(frozen=True, kw_only=True)
class Hallucination:
    """Sizes and weights. What is known of the paper leaves most of them open, see docs/paper_map.md.

    Attributes:
        channels: of the hidden layers.
        patches: cut out of each image at a step; at least half of them are learnt from.
        alike: correlation of the gradients' magnitudes from which a pair of patches counts as alike.
        alpha: how far low frequencies of the luma are pulled to the NIR image in use; 0 leaves them.
        sigma: of the Gaussian that says what is low, in pixels.
    """

    channels: Count = 32
    patches: Count = 16
    alike: Weight = 0.3
    alpha: Weight = 0.6
    sigma: Positive = 1.0


@dataclass(frozen=True, kw_only=True)
class CSHConfig(Config):
    """Settings of CSH's first stage."""

    hallucination: Hallucination = field(default_factory=Hallucination)


class CSH(Method):
    """Three small networks, of Y, Cb and Cr, learnt from patches by squared error; no discriminator."""

    name = "csh"
    Settings = CSHConfig
    network = "pcfh.methods.csh.csh_trainer:YCbCrGenerator"
    trainer = "pcfh.methods.csh.csh_trainer:CSHTrainer"

    @classmethod
    def presets(cls) -> Mapping[str, Config]:
        """At 128 x 128; patches know no size, so the same at others."""
        return {"csh": CSHConfig(training=replace(NARROW, method=cls.name, learning_rate=1e-3))}

    @classmethod
    def needs(cls, config: Any) -> Needs:
        """VIS patches at the same places of the face."""
        return Needs(warped=True)


METHOD = CSH
