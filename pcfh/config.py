"""Settings: frozen dataclasses of groups; one way in from text, from a configuration file and from Python.

A setting is named group.field, e.g. training.steps, on the command line (``--set training.steps=500``), in a
TOML file (``[training]``, ``steps = 500``) and in Python (``config.training.steps``). The types of the fields
below say which values can work; ``msgspec`` converts and checks them. A schedule is a function of the step,
so nothing here ever changes during a run.
"""

import dataclasses
import difflib
import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import msgspec
from msgspec import Meta

from pcfh.errors import UserError

_MOST = 1e300  # no number of a setting is larger; it keeps infinity and NaN out

Count = Annotated[int, Meta(ge=1, description="a positive whole number")]
Whole = Annotated[int, Meta(ge=0, description="a whole number that is not negative")]
# The same where the setting does not change the weights, so that it may differ when a run is resumed.
_FREE = {"free": True}
FreeCount = Annotated[int, Meta(ge=1, description="a positive whole number", extra=_FREE)]
FreeWhole = Annotated[int, Meta(ge=0, description="a whole number that is not negative", extra=_FREE)]
Positive = Annotated[float, Meta(gt=0, lt=_MOST, description="a positive number")]
Weight = Annotated[float, Meta(ge=0, lt=_MOST, description="a number that is not negative")]
Share = Annotated[float, Meta(ge=0, lt=1, description="0 <= value < 1")]
Switch = Annotated[
    Literal["auto", "on", "off"], Meta(description="auto or on or off", extra=_FREE)
]  # of what changes a run's speed and no more than its last digits
Precision = Literal["auto", "fp32", "bf16"]

Settings = TypeVar("Settings")


def to_plain(config: Any) -> dict[str, Any]:
    """Plain data, for a file."""
    return dataclasses.asdict(config)


def identity_of(config: Any) -> dict[str, Any]:
    """Plain data without the settings that may differ when a run is resumed."""
    kept = [f for f in dataclasses.fields(config) if not any(m.extra == _FREE for m in _limits(f.type))]
    values = {field.name: getattr(config, field.name) for field in kept}
    return {name: identity_of(v) if dataclasses.is_dataclass(v) else v for name, v in values.items()}


def flat(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Values by group.field, from values by group and field."""
    values: dict[str, Any] = {}
    for group, fields in tables.items():
        values |= (
            {f"{group}.{n}": v for n, v in fields.items()} if isinstance(fields, Mapping) else {group: fields}
        )
    return values


def known_settings(config: Any) -> list[str]:
    """Every setting, as group.field."""
    return list(flat(to_plain(config)))


def assigned(texts: Iterable[str]) -> dict[str, str]:
    """Values by group.field, from texts such as training.steps=500.

    Raises:
        UserError: a text has no "=".
    """
    values = {}
    for text in texts:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise UserError(f"setting {key!r} has no value; expected {key}=VALUE")
        values[key] = value
    return values


def read_toml(path: Path) -> dict[str, Any]:
    """Values by group.field, from a configuration file.

    Raises:
        UserError: there is no such file, or it is not TOML.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected a configuration file in TOML")
    try:
        return flat(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a configuration file in TOML ({error})") from error


def to_toml(config: Any, comment: str = "") -> str:
    """A configuration file with every setting, which ``read_toml`` reads.

    Args:
        config: the settings.
        comment: to stand above, one line.
    """
    lines = [f"# {comment}"] if comment else []
    for group, fields in to_plain(config).items():
        # Texts, numbers and booleans are written in TOML as in JSON.
        lines += ["", f"[{group}]", *(f"{name} = {json.dumps(value)}" for name, value in fields.items())]
    return "\n".join(lines).strip() + "\n"


def changed(config: Settings, values: Mapping[str, Any]) -> Settings:
    """Settings with some values changed; texts are converted to the types of the fields.

    Args:
        config: a dataclass of groups.
        values: by group.field.

    Raises:
        UserError: there is no such setting (the text names the nearest), or a value cannot work.
    """
    known = known_settings(config)
    groups: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        if key not in known:
            raise UserError(f"unknown setting {key!r}{nearest(key, known)}")
        group, _, name = key.partition(".")
        groups.setdefault(group, {})[name] = _converted(key, value, _type_of(getattr(config, group), name))
    new = {group: dataclasses.replace(getattr(config, group), **fields) for group, fields in groups.items()}
    return dataclasses.replace(config, **new)  # type: ignore[type-var]


def checked(config: Settings) -> Settings:
    """The same settings, built in Python, once all their values are found to be possible.

    Raises:
        UserError: names the first that is not.
    """
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        value = getattr(config, field.name)
        if not dataclasses.is_dataclass(value):
            _converted(field.name, value, field.type)
            continue
        for inner in dataclasses.fields(value):
            _converted(f"{field.name}.{inner.name}", getattr(value, inner.name), inner.type)
    return config


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: the nearest known one, or all of them."""
    words = list(known)
    by_end = {known.rpartition(".")[2]: known for known in reversed(words)}
    close = difflib.get_close_matches(word, words, 1) or [
        by_end[end] for end in difflib.get_close_matches(word.rpartition(".")[2], by_end, 1)
    ]
    return f"; did you mean {close[0]}?" if close else "; known: " + ", ".join(words)


def _type_of(group: Any, name: str) -> Any:
    """The type of a field."""
    return next(field.type for field in dataclasses.fields(group) if field.name == name)


def _converted(key: str, value: Any, kind: Any) -> Any:
    """A value in the type of its field."""
    choices = get_args(kind) if isinstance(kind, type(Precision)) else ()
    if choices and isinstance(value, str):
        value = value.lower()
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError:
        expected = " or ".join(choices) or _in_words(kind)
        raise UserError(f"{key}={value}: expected {expected}") from None


def _in_words(kind: Any) -> str:
    """What a type allows."""
    if kind is bool:
        return "true or false"
    return next((str(meta.description) for meta in _limits(kind)), "a text")


def _limits(kind: Any) -> list[Meta]:
    """What ``msgspec`` checks of a type."""
    return [meta for meta in getattr(kind, "__metadata__", ()) if isinstance(meta, Meta)]
