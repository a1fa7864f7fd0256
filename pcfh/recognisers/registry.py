"""Which recognisers there are: each module or package of this folder that defines ``RECOGNISER``.

From outside the package, ``my_module:MyRecognizer`` names a class that is called without arguments, and
``my_module:MyRecognizer@weights.pth`` one whose ``from_file`` opens the file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pcfh.errors import UserError
from pcfh.plugins import is_outside, outside, siblings
from pcfh.recognisers.base import Recognizer, RecognizerKind

_LAST = "lightcnn"  # takes every file: its reader says best what is wrong with a stranger


def recognizer_kinds() -> dict[str, type[RecognizerKind]]:
    """The kinds of the package by the module's name, in the order in which they are asked."""
    kinds = siblings("pcfh.recognisers", "RECOGNISER")
    return {name: kinds[name] for name in sorted(kinds, key=lambda name: (name == _LAST, name))}


def open_recognizer(
    place: str | Path, *, device: str = "auto", settings: Mapping[str, Any] | None = None
) -> Recognizer:
    """Opens a recogniser by its file, or one of a user's own module.

    Args:
        place: a file, ``module:Class`` or ``module:Class@file``.
        device: where it computes, if it leaves the choice.
        settings: what the user says of it beside the file, e.g. the size of an ONNX model's crops.

    Raises:
        UserError: the file is absent, damaged, unsafe or something else, the settings do not fit it, there is
            no such class, or it is no recogniser.
    """
    name, _, file = str(place).partition("@")
    if is_outside(name) and not Path(place).exists():
        return _own(name, file, device, settings or {})
    path = Path(place)
    kind = next(kind for kind in recognizer_kinds().values() if kind.recognises(path))
    return kind.from_file(path, device=device, settings=settings or {})


def _own(name: str, file: str, device: str, settings: Mapping[str, Any]) -> Recognizer:
    """A recogniser of the user's own module."""
    kind = outside(name)
    made = kind.from_file(Path(file), device=device, settings=settings) if file else kind()
    if not isinstance(made, Recognizer):
        raise UserError(
            f"{name}: expected a recogniser with name, key, alignment and features(crops, modality), got "
            f"{type(made).__name__}; see examples/my_recogniser.py"
        )
    return made
