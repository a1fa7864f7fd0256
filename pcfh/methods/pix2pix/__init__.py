"""Pix2Pix as a method: its settings and presets; see ``pix2pix_trainer``."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pcfh.config import Count, Weight
from pcfh.methods.base import NARROW, PUBLISHED, Config, Method, filled


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """Sizes and weights, as published.

    Attributes:
        width: channels of the first layer of generator and discriminator.
        lambda_l1: weight of the mean absolute error.
    """

    width: Count = 64
    lambda_l1: Weight = 100.0


@dataclass(frozen=True, kw_only=True)
class Pix2PixConfig(Config):
    """Settings of Pix2Pix."""

    baseline: Baseline = field(default_factory=Baseline)


class Pix2Pix(Method):
    """Adversarial loss and mean absolute error on pairs."""

    name = "pix2pix"
    Settings = Pix2PixConfig
    network = "pcfh.methods.pix2pix.pix2pix_trainer:UNetGenerator"
    trainer = "pcfh.methods.pix2pix.pix2pix_trainer:Pix2PixTrainer"

    @classmethod
    def presets(cls) -> Mapping[str, Config]:
        """As published at 256 x 256; and half as wide at 128 x 128, in a third of the time of ``cpu``."""
        return {
            "pix2pix": Pix2PixConfig(training=replace(PUBLISHED, method=cls.name)),
            "pix2pix-cpu": Pix2PixConfig(
                baseline=Baseline(width=32), training=replace(NARROW, method=cls.name, learning_rate=2e-4)
            ),
        }

    @classmethod
    def for_gpu(cls, config: Any, gigabytes: float) -> Any:
        """Batches of 16 in the place of fewer; the published one, of a single image, leaves a GPU idle."""
        t = config.training
        return replace(config, training=filled(t, 16, 2e-4)) if t.batch < 16 else config


METHOD = Pix2Pix
