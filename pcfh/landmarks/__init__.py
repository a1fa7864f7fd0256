"""Landmark backends behind one interface."""

from pathlib import Path

from pcfh.errors import UserError
from pcfh.landmarks.base import Face, LandmarkBackend
from pcfh.landmarks.blaze import Blaze
from pcfh.landmarks.fan import Fan
from pcfh.landmarks.fetch import cache_folder, fetch_blaze
from pcfh.landmarks.given import landmark_key, read_landmarks, write_landmarks

BACKENDS = ("blaze", "fan")

__all__ = [
    "BACKENDS",
    "Blaze",
    "Face",
    "Fan",
    "LandmarkBackend",
    "cache_folder",
    "fetch_blaze",
    "landmark_key",
    "open_backend",
    "read_landmarks",
    "write_landmarks",
]


def open_backend(name: str, *, folder: Path | None = None, device: str = "cpu") -> Blaze | Fan:
    """Opens a backend by its name.

    Args:
        name: "blaze" or "fan".
        folder: of the model files of ``blaze``; default: the cache.
        device: on which ``fan`` runs.

    Raises:
        UserError: there is none of that name, or what it needs is missing.
    """
    if name == "blaze":
        return Blaze(folder=folder)
    if name == "fan":
        return Fan(device=device)
    raise UserError(f"expected a landmark backend, one of {', '.join(BACKENDS)}; got {name!r}")
