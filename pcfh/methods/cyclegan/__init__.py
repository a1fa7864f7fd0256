"""CycleGAN as a method: its settings and presets; see ``cyclegan_trainer``."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pcfh.config import Count, Weight, Whole
from pcfh.methods.base import NARROW, PUBLISHED, Config, Method, filled


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """Sizes and weights, as published.

    Attributes:
        width: channels of the first layer of the generators and discriminators.
        blocks: residual blocks of the generators: 6 for images up to 128 pixels, 9 above.
        lambda_cycle: weight of the cycle consistency, a mean.
        lambda_identity: weight of leaving images of the target domain as they are, a mean; 0 leaves it out,
            as the paper does for photographs. Its authors' program takes 5.
        pool: how many old fakes of each generator the discriminators are shown again.
    """

    width: Count = 64
    blocks: Whole = 9
    lambda_cycle: Weight = 10.0
    lambda_identity: Weight = 0.0
    pool: Whole = 50


@dataclass(frozen=True, kw_only=True)
class CycleGANConfig(Config):
    """Settings of CycleGAN."""

    baseline: Baseline = field(default_factory=Baseline)


class CycleGAN(Method):
    """Two generators that undo each other, learnt without pairs."""

    name = "cyclegan"
    Settings = CycleGANConfig
    network = "pcfh.methods.cyclegan.cyclegan_trainer:ResidualGenerator"
    trainer = "pcfh.methods.cyclegan.cyclegan_trainer:CycleGANTrainer"

    @classmethod
    def presets(cls) -> Mapping[str, Config]:
        """As published at 256 x 256; and a quarter as wide at 128 x 128, in 1.2 times the time of ``cpu``."""
        return {
            "cyclegan": CycleGANConfig(training=replace(PUBLISHED, method=cls.name)),
            "cyclegan-cpu": CycleGANConfig(
                baseline=Baseline(width=16, blocks=6),
                training=replace(NARROW, method=cls.name, learning_rate=2e-4),
            ),
        }

    @classmethod
    def for_gpu(cls, config: Any, gigabytes: float) -> Any:
        """Batches of 16 in the place of fewer; the published one, of a single image, leaves a GPU idle."""
        t = config.training
        return replace(config, training=filled(t, 16, 2e-4)) if t.batch < 16 else config


METHOD = CycleGAN
