"""How each row of a table is trained.

All rows of a table see the same number of images: that of PCFH's preset, steps x batch. Pix2Pix and CycleGAN
keep their own recipes otherwise, and the size of PCFH's images.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pcfh.config import known_settings, nearest
from pcfh.errors import UserError
from pcfh.methods.base import Config
from pcfh.methods.find import find_method, overridden, preset, presets, validate
from pcfh.recipes.paper import CYCLEGAN, LIGHT_CNN, NO_AWM, NO_MIC, PIX2PIX

BASELINES = (PIX2PIX, CYCLEGAN)
# Settings that all rows share; of the others, baseline.* are of Pix2Pix and CycleGAN, the rest of PCFH alone.
SHARED = (
    *("training.size", "training.precision", "training.flip", "training.vary_nir", "training.warp_cache_mb"),
    *("training.log_every", "training.image_every", "training.checkpoint_every"),
)
_ABLATIONS = {NO_AWM: ("objective.awm=false",), NO_MIC: ("objective.mic=false",)}
_TAKEN = {
    "training.steps": "give --steps",
    "training.seed": "give --seeds",
    "training.method": "the rows say it",
    "objective.awm": "the rows say it",
    "objective.mic": "the rows say it",
}
_LARGEST_NARROW = 128  # pixels; larger images are for the published, wide baselines


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much training there is.

    Attributes:
        preset: of PCFH.
        steps: of PCFH; None takes the preset's.
        settings: overrides such as objective.lambda_id=0.001; see ``SHARED`` for the rows they apply to.
    """

    preset: str
    steps: int | None = None
    settings: tuple[str, ...] = ()


def row_config(row: str, scale: Scale, seed: int) -> Config:
    """The configuration that a row is trained with.

    Args:
        row: its key; not the Light CNN's, which is not trained here.
        scale: see there.
        seed: of the training.

    Raises:
        UserError: the scale has an unknown preset or setting, or one that the rows or other options decide.
    """
    assert row != LIGHT_CNN
    whole = _pcfh_config(scale, _ABLATIONS.get(row, ()))
    config = _baseline_config(row, whole, scale.settings) if row in BASELINES else whole
    config = replace(config, training=replace(config.training, seed=seed))
    validate(config)
    return config


def images_seen(config: Config) -> int:
    """How many NIR images a training sees, repetitions counted."""
    return config.training.steps * config.training.batch


def needs_recognizer(row: str, config: Config) -> bool:
    """Whether a row is trained with the identity loss."""
    return find_method(config.training.method).needs(config).recognizer is not None


def _pcfh_config(scale: Scale, ablation: Sequence[str]) -> Config:
    for assignment in scale.settings:
        if _key(assignment) in _TAKEN:
            raise UserError(f"--set {assignment}: {_TAKEN[_key(assignment)]}")
    own = [text for text in scale.settings if not _of_baselines(text)]
    config = overridden(preset(scale.preset), (*own, *ablation))
    if find_method(config.training.method).needs(config).truth:
        raise UserError(
            f"objective.lambda_truth={config.objective.lambda_truth}: the rows of a table learn without true "
            "images; take another preset, e.g. best, or set it to 0"
        )
    steps = config.training.steps if scale.steps is None else scale.steps
    return replace(config, training=replace(config.training, steps=steps))


def _baseline_config(row: str, pcfh: Config, settings: Sequence[str]) -> Config:
    """The baseline's recipe with as many images, of the same size."""
    narrow = pcfh.training.size <= _LARGEST_NARROW
    own = preset(f"{row}-cpu" if narrow else row)
    known = known_settings(own)
    _require_known(settings)
    shared = [t for t in settings if _key(t) in SHARED or (_of_baselines(t) and _key(t) in known)]
    config = overridden(own, shared)
    steps = math.ceil(images_seen(pcfh) / config.training.batch)
    return replace(config, training=replace(config.training, steps=steps, size=pcfh.training.size))


def _require_known(settings: Sequence[str]) -> None:
    """Refuses settings that no method has."""
    known = {key: None for config in presets().values() for key in known_settings(config)}
    for key in map(_key, settings):
        if key not in known:
            raise UserError(f"unknown setting {key!r}{nearest(key, known)}")


def _key(assignment: str) -> str:
    """The name of the setting that a text assigns."""
    return assignment.partition("=")[0].strip()


def _of_baselines(assignment: str) -> bool:
    return _key(assignment).startswith("baseline.")
