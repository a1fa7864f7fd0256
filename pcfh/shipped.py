"""The trained weights that come with the program, checked before they are used.

They lie in the folder ``weights`` of the package with their SHA-256 and the model card, README.md.

    generator     NIR to VIS, 128 pixels: the first, with which the tables of the documentation were made
    cameras       NIR to VIS, 256 pixels: trained on all kinds of cameras, keeps the person's own detail; the
                  default for photographs
    recognizer    a Light CNN
"""

from pathlib import Path
from typing import Literal

from pcfh.errors import UserError
from pcfh.files import sha256_of

WEIGHTS = Path(__file__).parent / "weights"
Model = Literal["generator", "cameras", "recognizer"]
_GENERATORS: tuple[Model, ...] = ("cameras", "generator")


def shipped(model: Model) -> Path:
    """Finds a file of shipped weights.

    Args:
        model: its name, see above.

    Raises:
        UserError: the file is absent, or not the one that was shipped.
    """
    path = WEIGHTS / f"{model}.safetensors"
    if not path.is_file():
        raise UserError(
            f"{path}: no such file, but it is part of the program; install it again, or name another"
        )
    expected = _sums().get(path.name)
    found = sha256_of(path)
    if found != expected:
        raise UserError(
            f"{path}: expected SHA-256 {expected}, got {found}; the file is damaged or not ours: install the "
            "program again, or name a file of your own"
        )
    return path


def generator_at(place: str | Path | None) -> Path:
    """The file of a generator for photographs.

    Args:
        place: a file; or the name of a shipped one, if there is no file of that name; None takes the default.

    Raises:
        UserError: a shipped file is absent, or not the one that was shipped.
    """
    if place is None:
        return shipped(_GENERATORS[0])
    named = next((name for name in _GENERATORS if str(place) == name), None)
    return shipped(named) if named and not Path(place).exists() else Path(place)


def _sums() -> dict[str, str]:
    """SHA-256 of each file by its name, as ``sha256sum`` writes them."""
    lines = (WEIGHTS / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}
