"""Random changes of grey training faces: what cameras, light and detectors do to the same person.

Faces are 8-bit grey, aligned crops of 144 pixels; what comes out is the aligned crop of 128, moved, scaled
and turned a little as the noise of landmarks would have it. Every change is drawn from a generator that
belongs to the place in the stream, so a resumed run sees the same.
"""

from io import BytesIO

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageFilter

POOL, OUTPUT = 144, 128
_BLUR, _NOISE, _JPEG = 0.3, 0.5, 0.3  # how often


def augmented(face: UInt8[np.ndarray, "144 144"], rng: np.random.Generator) -> UInt8[np.ndarray, "128 128"]:
    """A random variant of a face: geometry, light, blur, noise and compression, in that order."""
    moved = Image.fromarray(face).transform(
        (OUTPUT, OUTPUT), Image.Transform.AFFINE, tuple(random_geometry(rng)), Image.Resampling.BICUBIC
    )
    lit = moved.point(random_tones(rng).tolist())
    if rng.random() < _BLUR:
        lit = lit.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.6)))
    if rng.random() < _NOISE:
        lit = _noisy(lit, rng)
    if rng.random() < _JPEG:
        lit = _compressed(lit, int(rng.integers(25, 91)))
    return np.asarray(lit)


def random_geometry(rng: np.random.Generator) -> Float[np.ndarray, " 6"]:
    """A 2 x 3 matrix, row by row, from the crop of 128 pixels to that of 144, in pixels from the edges.

    Mirrored half of the time; up to 4 pixels to each side, 6 % larger or smaller, turned by 3 degrees.
    """
    scale, angle = np.exp(rng.uniform(-0.06, 0.06)), np.radians(rng.uniform(-3, 3))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if rng.random() < 0.5:
        turn[:, 0] *= -1
    middle = np.array([OUTPUT / 2, OUTPUT / 2])
    shift = (POOL - OUTPUT) / 2 + middle + rng.uniform(-4, 4, 2) - turn @ middle
    return np.column_stack([turn, shift]).ravel()


def random_tones(rng: np.random.Generator) -> UInt8[np.ndarray, " 256"]:
    """A table of grey values: gamma, then contrast about mid-grey, then brightness."""
    gamma, contrast = np.exp(rng.uniform(-0.4, 0.4)), np.exp(rng.uniform(-0.35, 0.35))
    values = (np.arange(256) / 255) ** gamma
    values = 0.5 + contrast * (values - 0.5) + rng.uniform(-0.12, 0.12)
    return np.round(255 * values.clip(0, 1)).astype(np.uint8)


def _noisy(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Adds sensor noise of up to 10 grey values."""
    pixels = np.asarray(image, np.float32)
    noise = rng.uniform(1, 10) * rng.standard_normal(pixels.shape, np.float32)
    return Image.fromarray((pixels + noise).round().clip(0, 255).astype(np.uint8))


def _compressed(image: Image.Image, quality: int) -> Image.Image:
    """As JPEG gives it back."""
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)
