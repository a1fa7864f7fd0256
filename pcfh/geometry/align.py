"""Alignment by the convention of the method's authors: eye line horizontal, eyes and mouth at fixed heights.

In a square crop of side S the middle between the eyes lies at (S/2, y), and the middle between the
mouth's corners e pixels below it, both measured from the crop's edges; with whole numbers at pixel
centres (the package's convention) half a pixel less. The three published crops fit into each other: the
central 128 pixels of the 144 crop are the 128 crop, and the 256 crop at half size is the 128 crop too.
Recognisers trained on such crops fail with any other.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image

from pcfh.errors import UserError
from pcfh.geometry.scheme import INNER, LEFT_EYE, MOUTH_CORNERS, RIGHT_EYE

_LONGEST = 30  # how far below the eyes the mouth may lie, in distances of the eyes; 1.1 seen from the front
_AT_ONCE = 1 << 22  # pixels


@dataclass(frozen=True)
class Crop:
    """Where the face lies in a square crop, in pixels from the crop's edges.

    Attributes:
        size: side of the crop.
        eyes_y: height of the middle between the eyes.
        eyes_to_mouth: vertical distance from there to the middle of the mouth.
    """

    size: int
    eyes_y: float
    eyes_to_mouth: float


CROPS: Mapping[int, Crop] = {
    64: Crop(64, 20.0, 24.0),  # the 128 crop at half size, for tests and the tiny preset
    128: Crop(128, 40.0, 48.0),
    144: Crop(144, 48.0, 48.0),
    256: Crop(256, 80.0, 96.0),
}


def crop_of(size: int) -> Crop:
    """Looks up the crop of one side length.

    Raises:
        UserError: no crop of that size is defined.
    """
    if size not in CROPS:
        raise UserError(f"no alignment for crops of {size} pixels; known sizes: {', '.join(map(str, CROPS))}")
    return CROPS[size]


def similarity(landmarks: Float[np.ndarray, "68 2"], crop: Crop) -> Float[np.ndarray, "2 3"]:
    """The similarity that carries image coordinates to coordinates of the aligned crop.

    Args:
        landmarks: in pixels of the image.
        crop: where the face shall lie.

    Raises:
        UserError: the eyes coincide, or the mouth is not below them, so that no scale can be found.
    """
    points = landmarks.astype(np.float64)
    left, right = points[LEFT_EYE].mean(0), points[RIGHT_EYE].mean(0)
    mouth = points[MOUTH_CORNERS].mean(0)
    middle, along = (left + right) / 2, right - left
    span = float(np.hypot(*along))
    if not math.isfinite(span) or span < 1:
        raise UserError(f"the eye centres are {span:.2f} pixels apart; the landmarks are not a face's")
    cos, sin = along / span
    below = float(np.dot(mouth - middle, (-sin, cos)))
    if not below > 0.1 * span:
        raise UserError(
            f"the mouth lies {below:.1f} pixels below the eyes; the face is upside down or seen from above"
        )
    if below > _LONGEST * span:
        raise UserError(
            f"the mouth lies {below:.1f} pixels below the eyes, which are {span:.1f} apart; the landmarks "
            "are not a face's"
        )
    scale = crop.eyes_to_mouth / below
    linear = scale * np.array([[cos, sin], [-sin, cos]])
    target = np.array([crop.size / 2 - 0.5, crop.eyes_y - 0.5])
    return np.column_stack([linear, target - linear @ middle])


def require_inside(landmarks: Float[np.ndarray, "68 2"], height: int, width: int) -> None:
    """Refuses landmarks that belong to another picture, or to this one at another size.

    Raises:
        UserError: their middle lies outside the picture, or they are wider than it.
    """
    inner = landmarks[INNER]
    (x, y), (wide, high) = inner.mean(0), np.ptp(inner, axis=0)
    # A face may be cut off by the border, though not by more than half.
    fits = max(wide, high) <= max(width, height) and wide <= 2 * width and high <= 2 * height
    if not (0 <= x < width and 0 <= y < height and fits):
        raise UserError(
            f"the landmarks do not lie inside the picture of {width} x {height} pixels; give landmarks in "
            "pixels of this file"
        )


def align_face(
    image: UInt8[np.ndarray, "h w c"], landmarks: Float[np.ndarray, "68 2"], size: int
) -> tuple[UInt8[np.ndarray, "{size} {size} c"], Float[np.ndarray, "68 2"]]:
    """Cuts a face out of a picture by its landmarks.

    Args:
        image: 8-bit, one or three channels.
        landmarks: in pixels of ``image``.
        size: side of the crop; see ``crop_of``.

    Returns:
        The aligned crop, and the landmarks in its pixels.

    Raises:
        UserError: there is no such crop, or the landmarks are not a face's, or not of this picture.
    """
    require_inside(landmarks, *image.shape[:2])
    matrix = similarity(landmarks, crop_of(size))
    return align_image(image, matrix, size), transform_points(matrix, landmarks)


def transform_points(
    matrix: Float[np.ndarray, "2 3"], points: Float[np.ndarray, "n 2"]
) -> Float[np.ndarray, "n 2"]:
    """Carries points through a 2 x 3 affine matrix."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def align_image(
    image: UInt8[np.ndarray, "h w c"], matrix: Float[np.ndarray, "2 3"], size: int
) -> UInt8[np.ndarray, "{size} {size} c"]:
    """Cuts the aligned crop out of an image, bicubic; beyond the image's border its edge pixels go on.

    Shrinking by two or more averages blocks of pixels first, so nothing aliases.

    Args:
        image: 8-bit, one or three channels.
        matrix: from image to crop coordinates (see ``similarity``).
        size: side of the crop.
    """
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
    inside, rows, columns, origin = _covered_part(image, inverse, size)
    block = max(1, int(np.hypot(*inverse[:, 0])))
    linear, shift = inverse[:, :2], inverse[:, 2] - origin
    # Pillow counts from pixel edges: centre (x, y) is its (x + 0.5, y + 0.5), before and after.
    offset = (shift + 0.5 - linear @ (0.5, 0.5)) / block
    linear = linear / block
    data = (*linear[0], offset[0], *linear[1], offset[1])
    channels = [
        _reduced(inside[..., c], rows, columns, block).transform(
            (size, size), Image.Transform.AFFINE, data, Image.Resampling.BICUBIC
        )
        for c in range(image.shape[2])
    ]
    return np.stack([np.asarray(channel) for channel in channels], axis=-1)


def align_labels(
    labels: UInt8[np.ndarray, "h w"], matrix: Float[np.ndarray, "2 3"], size: int
) -> UInt8[np.ndarray, "{size} {size}"]:
    """Cuts out of labels the crop that ``align_image`` cuts out of their picture: nearest, nothing is mixed.

    Args:
        labels: what each pixel of a picture is.
        matrix: from image to crop coordinates (see ``similarity``).
        size: side of the crop.
    """
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
    rows, columns = np.mgrid[:size, :size]
    points = transform_points(inverse, np.stack([columns.ravel(), rows.ravel()], 1).astype(np.float64))
    x, y = np.rint(points).astype(int).clip(0, np.array(labels.shape[::-1]) - 1).T
    return labels[y, x].reshape(size, size)


def _covered_part(
    image: UInt8[np.ndarray, "h w c"], inverse: Float[np.ndarray, "2 3"], size: int
) -> tuple[
    UInt8[np.ndarray, "h3 w3 c"], Int[np.ndarray, " h2"], Int[np.ndarray, " w2"], Float[np.ndarray, " 2"]
]:
    """The part of the image under the crop, and the rows and columns of it that make the crop with a margin.

    Beyond the image's border they are those at the border again. Last comes the corner of the margin.
    """
    height, width = image.shape[:2]
    corners = transform_points(inverse, np.array([[0, 0], [size, 0], [0, size], [size, size]]) - 0.5)
    margin = 4 + 2 * np.hypot(*inverse[:, 0])
    low = np.floor(corners.min(0) - margin).astype(int)
    high = np.ceil(corners.max(0) + margin).astype(int)
    (left, top), (right, bottom) = np.clip(low, 0, (width - 1, height - 1)), np.clip(high, 1, (width, height))
    rows = np.clip(np.arange(low[1], high[1]), top, bottom - 1) - top
    columns = np.clip(np.arange(low[0], high[0]), left, right - 1) - left
    return image[top:bottom, left:right], rows, columns, low.astype(np.float64)


def _reduced(
    channel: UInt8[np.ndarray, "h w"],
    rows: Int[np.ndarray, " h2"],
    columns: Int[np.ndarray, " w2"],
    block: int,
) -> Image.Image:
    """Some rows and columns of a channel, each block averaged; in bands, so that little memory is held."""
    if channel.shape == (len(rows), len(columns)):  # all of them, once; an index is twenty times as slow
        return Image.fromarray(channel).reduce(block)
    step = block * max(1, _AT_ONCE // (block * len(columns)))
    parts = (rows[start : start + step] for start in range(0, len(rows), step))
    bands = (channel.take(part, axis=0).take(columns, axis=1) for part in parts)
    return Image.fromarray(
        np.concatenate([np.asarray(Image.fromarray(band).reduce(block)) for band in bands])
    )
