"""Finds methods and their presets: those in this folder by themselves, others by the names that users give.

A file never makes the program import anything: a generator of a method from outside can be opened once its
user has named the method, by ``training.method=my_module:MyMethod``, by ``find_method`` or in the
environment, ``PCFH_METHODS=my_module:MyMethod`` (several are joined by commas).
"""

import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pcfh.config import assigned, changed, checked, nearest, read_toml
from pcfh.errors import UserError
from pcfh.methods.base import Config, Method, Training, resolved
from pcfh.plugins import is_outside, outside, siblings

VARIABLE = "PCFH_METHODS"
DEFAULT_PRESET = "paper-256"
_outside: dict[str, type[Method]] = {}  # that the user has named


@cache
def built_in() -> Mapping[str, type[Method]]:
    """The methods of this folder by name, the default one first."""
    methods: Iterable[type[Method]] = siblings("pcfh.methods", "METHOD").values()
    return {m.name: m for m in sorted(methods, key=lambda m: (m.name != Training().method, m.name))}


def known_methods() -> Mapping[str, type[Method]]:
    """The methods of this folder, and those that the user has named."""
    for name in filter(None, os.environ.get(VARIABLE, "").split(",")):
        find_method(name.strip())
    return {**built_in(), **_outside}


def find_method(name: str) -> type[Method]:
    """A method by its name, or by its place, "my_module:MyMethod".

    Raises:
        UserError: there is none.
    """
    known = {**built_in(), **_outside}
    if name not in known and is_outside(name):
        _outside[name] = known[name] = _imported(name)
    if name.lower() in known:
        name = name.lower()
    if name not in known:
        raise UserError(
            f"training.method={name}: no such method{nearest(name, known)} One of yours is my_module:MyMethod"
        )
    return known[name]


def _imported(place: str) -> type[Method]:
    """A class of a user's own module, which is named by its place."""
    method = outside(place)
    if not (isinstance(method, type) and issubclass(method, Method)):
        raise UserError(f"{place}: expected a subclass of pcfh.methods.base.Method, got {method!r}")
    return type(method.__name__, (method,), {"name": place, "__doc__": method.__doc__})


def kind_of(network: Any) -> str:
    """The name of the method to which a network belongs, as generator files say it."""
    return next(name for name, m in known_methods().items() if isinstance(network, resolved(m.network)))


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


def configured(name: str, *, file: Path | None = None, settings: Iterable[str] = ()) -> Config:
    """A preset, changed by a configuration file and then by texts such as training.steps=500.

    Raises:
        UserError: no such preset, file, method or setting, or a value that cannot work.
    """
    values = {} if file is None else read_toml(file)
    return with_values(preset(name), {**values, **assigned(settings)})


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
