"""What comes in by ``import pcfh``, checked once where it comes in: the rest of the package trusts it.

Each function gives back what it was given, or says what was expected, what came and what to do.
"""

from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float, UInt8

from pcfh.errors import UserError

Kind = TypeVar("Kind")

_CHANNELS = 3
_REMEDY = "pcfh.load_image reads a picture so"


def require_path(path: Any) -> Path:
    """A path that was given as text or as a path."""
    if not isinstance(path, str | PathLike):
        raise UserError(f"expected a path, got {_kind(path)}; give the place of a file or folder as text")
    return Path(path)


def require_kind(value: Any, kind: type[Kind], remedy: str) -> Kind:
    """Something of a type.

    Args:
        value: what was given.
        kind: what was expected; several are given as ``a | b``.
        remedy: what to do.
    """
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        name = getattr(kind, "__name__", str(kind))
        raise UserError(f"expected {name}, got {_kind(value)}; {remedy}")
    return value


def require_picture(image: Any) -> UInt8[np.ndarray, "h w 3"]:
    """A picture: 8 bits, (row, column, channel), three channels, at least one pixel."""
    if not isinstance(image, np.ndarray):
        raise UserError(f"expected a picture as an array of uint8, got {_kind(image)}; {_REMEDY}")
    shape = " x ".join(map(str, image.shape)) or "no axis"
    if image.dtype != np.uint8:
        raise UserError(
            f"expected a picture of 8 bits (uint8, 0 to 255), got {image.dtype}; scale it, round it and "
            "convert it by .astype(np.uint8)"
        )
    if image.ndim == 2 or (image.ndim == _CHANNELS and image.shape[2] == 1):
        raise UserError(
            f"expected a picture of height x width x 3, got a grey one of {shape}; repeat its channel: "
            "np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)"
        )
    if image.ndim != _CHANNELS or image.shape[2] != _CHANNELS:
        raise UserError(
            f"expected a picture of height x width x 3, got {shape}; take alpha away by image[..., :3], and "
            "put channels last by image.transpose(1, 2, 0)"
        )
    if not image.size:
        raise UserError(f"expected a picture with at least one pixel, got {shape}; {_REMEDY}")
    return image


def require_landmarks(landmarks: Any) -> Float[np.ndarray, "68 2"]:
    """Landmarks: 68 points (x, y) in pixels, all finite."""
    try:
        points = np.asarray(landmarks)
        found = points if np.issubdtype(points.dtype, np.floating) else points.astype(np.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(
            f"expected 68 landmarks (x, y) as numbers, got {_kind(landmarks)}; pcfh.find_faces finds them"
        ) from error
    if found.shape != (68, 2):
        shape = " x ".join(map(str, found.shape)) or "one number"
        raise UserError(f"expected 68 x 2 landmarks (x, y), got {shape}; pcfh.find_faces finds them")
    if not np.isfinite(found).all():
        raise UserError(
            "expected landmarks in pixels, got some that are not finite; look at where they come from"
        )
    return found


def require_crops(
    crops: Any, landmarks: Any, size: int
) -> tuple[UInt8[np.ndarray, "b s s 3"], Float[np.ndarray, "b 68 2"]]:
    """Aligned crops and the landmarks of each."""
    wanted = f"expected crops of n x {size} x {size} x 3 of uint8 and landmarks of n x 68 x 2"
    if not (isinstance(crops, np.ndarray) and isinstance(landmarks, np.ndarray)):
        raise UserError(f"{wanted}, got {_kind(crops)} and {_kind(landmarks)}; join them by np.stack")
    fits = crops.shape[1:] == (size, size, 3) and landmarks.shape == (len(crops), 68, 2)
    if not (fits and crops.dtype == np.uint8 and np.issubdtype(landmarks.dtype, np.floating)):
        raise UserError(
            f"{wanted}, got {crops.dtype} of {crops.shape} and {landmarks.dtype} of {landmarks.shape}; make "
            "them by hallucinator.align, and join them by np.stack"
        )
    return crops, landmarks


def _kind(value: Any) -> str:
    """What a value is, for people."""
    return f"the text {value!r}" if isinstance(value, str) else f"a {type(value).__name__}"
