"""Plain data, as JSON gives it, back to frozen dataclasses."""

from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, get_args, get_origin


def from_plain(kind: Any, value: Any) -> Any:
    """Plain data as the annotation says; what JSON does not tell apart is made right.

    A field that has a default may be absent, so that files of former versions can be read.

    Args:
        kind: a dataclass, or the annotation of one of its fields.
        value: what JSON gives for it.

    Raises:
        KeyError: a field without a default is absent.
        TypeError: a value is not of its kind.
    """
    if is_dataclass(kind):
        make: Callable[..., Any] = kind  # type: ignore[assignment]
        present = [field for field in fields(kind) if field.name in value or field.default is MISSING]
        return make(**{field.name: from_plain(field.type, value[field.name]) for field in present})
    arguments = get_args(kind)
    if get_origin(kind) is UnionType:
        other = next(a for a in arguments if a is not NoneType)
        return None if value is None else from_plain(other, value)
    if get_origin(kind) is tuple:
        kinds = [arguments[0]] * len(value) if arguments[-1] is ... else arguments
        return tuple(from_plain(a, item) for a, item in zip(kinds, value, strict=True))
    if kind in (int, float, str, bool) and type(value) is not kind:
        raise TypeError(f"expected {kind.__name__}, got {value!r}")
    return value
