"""Finds presets by name, and makes configurations of them: a file, then single settings, change them."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pcfh.config import assigned, changed, checked, nearest, read_toml
from pcfh.errors import UserError
from pcfh.methods.base import Config, find_method, known_methods

DEFAULT_PRESET = "paper-256"


def presets() -> dict[str, Config]:
    """The presets of all known methods by name."""
    return {name: config for method in known_methods().values() for name, config in method.presets().items()}


def preset(name: str) -> Config:
    """Looks a preset up by name.

    Raises:
        UserError: there is none of that name; the text says the nearest, or lists all.
    """
    known = presets()
    if name not in known:
        raise UserError(f"no preset {name!r}{nearest(name, known)}")
    return known[name]


def configured(
    name: str, *, file: Path | None = None, settings: Iterable[str] = (), gigabytes: float | None = None
) -> Config:
    """A preset, changed by a configuration file and then by texts such as training.steps=500.

    Args:
        name: of the preset.
        file: with values that differ from it.
        settings: values that differ from both.
        gigabytes: memory of the GPU that the preset's batch shall fill, unless a batch is given; None keeps
            the preset as it is.

    Raises:
        UserError: no such preset, file, method or setting, or a value that cannot work.
    """
    values = {**({} if file is None else read_toml(file)), **assigned(settings)}
    start = preset(name)
    if gigabytes is not None and "training.batch" not in values:
        start = find_method(start.training.method).for_gpu(start, gigabytes)
    return with_values(start, values)


def overridden(config: Config, settings: Iterable[str]) -> Config:
    """A configuration changed by texts such as training.steps=500; see ``with_values``."""
    return with_values(config, assigned(settings))


def with_values(config: Config, values: Mapping[str, Any]) -> Config:
    """A configuration with some values changed, by group.field.

    Another method brings its own groups, with its defaults.

    Raises:
        UserError: no such method or setting, or a value that cannot work.
    """
    method = find_method(str(values.get("training.method", config.training.method)))
    if type(config) is not method.Settings:
        config = method.Settings(training=config.training)
    return changed(config, {**values, "training.method": method.name})


def validate(config: Config, processes: int = 1) -> None:
    """Refuses values that cannot work, alone or together.

    Raises:
        UserError: says which and what to set instead.
    """
    checked(config)
    t = config.training
    if t.batch % processes:
        raise UserError(f"training.batch={t.batch}: expected a multiple of the processes, {processes}")
    find_method(t.method).check(config, processes)
