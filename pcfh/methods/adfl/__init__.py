"""After ADFL, first stage, as a method: its settings and presets; see ``adfl_trainer``.

The second stage tunes the recogniser on its images: ``pcfh.recognisers.rivals.adfl``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pcfh.config import Count, Weight, Whole
from pcfh.methods.base import NARROW, PUBLISHED, Config, Method, filled


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """Sizes and weights. What is known of the paper leaves them open, see docs/paper_map.md.

    Attributes:
        width: channels of the first layer of the generators and discriminators.
        blocks: residual blocks of the generators' global paths.
        lambda_cycle: weight of the cycle consistency, a mean.
        lambda_luminance: weight of the luminance that both images of a translation share, a mean. A large one
            copies into the VIS image that skin is bright in near infrared.
        pool: how many old fakes of each generator the discriminators are shown again.
    """

    width: Count = 64
    blocks: Whole = 9
    lambda_cycle: Weight = 10.0
    lambda_luminance: Weight = 1.0
    pool: Whole = 50


@dataclass(frozen=True, kw_only=True)
class ADFLConfig(Config):
    """Settings of ADFL."""

    baseline: Baseline = field(default_factory=Baseline)


class ADFL(Method):
    """Two generators that undo each other, each with a path of its own for the eyes."""

    name = "adfl"
    Settings = ADFLConfig
    network = "pcfh.methods.adfl.adfl_trainer:TwoPathGenerator"
    trainer = "pcfh.methods.adfl.adfl_trainer:ADFLTrainer"

    @classmethod
    def presets(cls) -> Mapping[str, Config]:
        """As wide and as long as CycleGAN's."""
        return {
            "adfl": ADFLConfig(training=replace(PUBLISHED, method=cls.name)),
            "adfl-cpu": ADFLConfig(
                baseline=Baseline(width=16, blocks=6),
                training=replace(NARROW, method=cls.name, learning_rate=2e-4),
            ),
        }

    @classmethod
    def for_gpu(cls, config: Any, gigabytes: float) -> Any:
        """Batches of 16 in the place of 8, as CycleGAN's."""
        t = config.training
        return replace(config, training=filled(t, 16, 2e-4)) if t.batch == NARROW.batch else config


METHOD = ADFL
