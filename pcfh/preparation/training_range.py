"""How far a face lies from those that a generator has learnt from, by five plain measures.

The range of a measure goes from the 1st to the 99th percentile of the training faces. The distance is 0 where
all measures lie in theirs, else the largest of how far one lies outside, in widths of its range: at 1 it is
as far beyond an end as the range is wide. It says "unlike the training", not "bad".

    brightness   mean grey value from the brows to the mouth, 0 to 1
    contrast     standard deviation of the same pixels
    sharpness    log10 of the variance of their Laplacian, in a crop of 128 pixels
    size         distance between the eyes in pixels of the photograph; only less is unlike
    turn         how far the tip of the nose lies beside the middle between the eyes, in distances between
                 the eyes; only more is unlike

Axis letters: s side of an aligned crop.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from pcfh.errors import UserError
from pcfh.geometry.scheme import LEFT_EYE, NOSE_TIP, RIGHT_EYE
from pcfh.shipped import WEIGHTS

PERCENTILES = (1, 99)
_SIDE = 128
_MOST = 4096  # of either end of a range; no measure comes near
_DARKEST = 1e-6  # a flat face has no sharpness; its logarithm would be infinite
# What a value below, and above, its range is called; "" where that is not unlike the training.
_WORDS: Mapping[str, tuple[str, str]] = {
    "brightness": ("too dark", "too bright"),
    "contrast": ("flat", "harsh"),
    "sharpness": ("blurred", "grainy"),
    "size": ("too small", ""),
    "turn": ("", "turned too far"),
}

Range = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Unlikeness:
    """How far a face lies from the training range.

    Attributes:
        distance: 0 inside of it.
        words: what is unlike, worst first.
    """

    distance: float
    words: tuple[str, ...]


def face_measures(
    crop: UInt8[np.ndarray, "s s c"], landmarks: Float[np.ndarray, "68 2"] | None
) -> dict[str, float]:
    """The measures of an aligned face.

    Args:
        crop: its first channel counts.
        landmarks: in pixels of the photograph it was cut from; without them, size and turn are not measured.
    """
    small = Image.fromarray(crop[..., 0]).resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
    grey = np.asarray(small).astype(np.float64) / 255
    face = grey[face_box(_SIDE)]
    bend = 4 * face[1:-1, 1:-1] - face[:-2, 1:-1] - face[2:, 1:-1] - face[1:-1, :-2] - face[1:-1, 2:]
    measures = {
        "brightness": float(face.mean()),
        "contrast": float(face.std()),
        "sharpness": float(np.log10(max(bend.var(), _DARKEST))),
    }
    return measures if landmarks is None else {**measures, **_pose(landmarks)}


def face_box(side: int) -> tuple[slice, slice]:
    """Rows and columns of an aligned crop from the brows to the mouth.

    Args:
        side: of the crop in pixels.
    """
    return slice(side // 5, 4 * side // 5), slice(side // 4, 3 * side // 4)


def _pose(landmarks: Float[np.ndarray, "68 2"]) -> dict[str, float]:
    """Size and turn of a face."""
    left, right = landmarks[LEFT_EYE].mean(0), landmarks[RIGHT_EYE].mean(0)
    along = right - left
    apart = max(float(np.hypot(*along)), 1e-9)
    aside = float(np.dot(landmarks[NOSE_TIP] - (left + right) / 2, along)) / apart**2
    return {"size": apart, "turn": abs(aside)}


def unlikeness(measures: Mapping[str, float], ranges: Range) -> Unlikeness:
    """How far the measures of a face lie from the training's."""
    found = sorted(
        (
            (excess, word)
            for name, value in measures.items()
            for excess, word in zip(_excess(value, *ranges[name]), _WORDS[name], strict=True)
            if word and excess > 0
        ),
        reverse=True,
    )
    return Unlikeness(distance=found[0][0] if found else 0.0, words=tuple(word for _, word in found))


def ranges_of(faces: Sequence[Mapping[str, float]]) -> dict[str, tuple[float, float]]:
    """The ranges of training faces by their measures."""
    found = {name: np.percentile([face[name] for face in faces], PERCENTILES) for name in _WORDS}
    return {name: (float(low), float(high)) for name, (low, high) in found.items()}


@cache
def shipped_range() -> Range:
    """That of the shipped generator; ``python -m bench training_range`` writes the file."""
    return read_range(WEIGHTS / "training_range.json")


def read_range(path: Path) -> Range:
    """The range in a file.

    Raises:
        UserError: it is absent, or holds something else.
    """
    try:
        return range_in(json.loads(path.read_bytes())["ranges"], _WORDS)
    except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise UserError(
            f"{path}: no range of training faces ({error}); python -m bench training_range writes such a file"
        ) from error


def range_in(content: Any, names: Collection[str]) -> Range:
    """The range that plain data of a file say.

    Args:
        content: the ends by the name of the measure.
        names: of the measures that are needed.

    Raises:
        ValueError: it is none.
    """
    try:
        ranges = {name: (float(content[name][0]), float(content[name][1])) for name in names}
    except (KeyError, IndexError, TypeError, OverflowError) as error:
        raise ValueError(f"expected two numbers for each of {', '.join(names)}") from error
    for name, (low, high) in ranges.items():
        if not -_MOST <= low < high <= _MOST:
            raise ValueError(f"{name}: {low:g} to {high:g} is no range")
    return ranges


def _excess(value: float, low: float, high: float) -> tuple[float, float]:
    """How far a value lies below and above a range, in its widths."""
    width = max(high - low, 1e-9)
    return (low - value) / width, (value - high) / width
