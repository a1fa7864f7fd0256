"""Finds the modules of a package that define a name, and objects of a user's own modules."""

import importlib
import pkgutil
import re
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pcfh.errors import UserError

_OUTSIDE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@cache
def siblings(package: str, attribute: str) -> dict[str, Any]:
    """The objects that the modules and packages directly in a package offer, by the module's name.

    Args:
        package: full name, e.g. "pcfh.methods".
        attribute: name that a module defines for each of them, e.g. "METHOD".
    """
    place = importlib.import_module(package).__path__
    names = sorted(module.name for module in pkgutil.iter_modules(place))
    said = [name for name in names if _mentions(f"{package}.{name}", attribute)]
    modules = {name: importlib.import_module(f"{package}.{name}") for name in said}
    return {
        name: getattr(module, attribute) for name, module in modules.items() if hasattr(module, attribute)
    }


def _mentions(module: str, attribute: str) -> bool:
    """Whether a module's text mentions a name; others, which may be slow to import, are not imported."""
    spec = find_spec(module)
    assert spec is not None and spec.origin is not None
    return re.search(rf"\b{attribute}\b", Path(spec.origin).read_text(encoding="utf-8")) is not None


def is_outside(text: str) -> bool:
    """Whether text names an object of a module, as "my_module:MyClass"."""
    return _OUTSIDE.fullmatch(text) is not None


def outside(text: str) -> Any:
    """The object of a user's own module that text names, as "my_module:MyClass".

    The module lies in the working folder or on Python's path, which is searched first.

    Raises:
        UserError: there is no such module, or nothing of that name in it.
    """
    module, _, name = text.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))  # at the end, where it can hide no installed package
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise UserError(
            f"{text}: no module {error.name!r} in the working folder or on Python's path; install it, or set "
            "PYTHONPATH to its folder"
        ) from error
    except AttributeError as error:
        raise UserError(f"{text}: {error}; name a class that the module defines") from error
