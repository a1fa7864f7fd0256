"""Random changes of training faces: what cameras, light and detectors do to the same person.

Faces are 8-bit RGB, aligned crops of 144 pixels; what comes out is a grey, aligned crop of 128, moved, scaled
and turned a little as the noise of landmarks would have it. Every change is drawn from a generator that
belongs to the place in the stream, so a resumed run sees the same.

Only visible light goes in, but the grey that comes out is not always luma: cameras differ in their spectral
response, and most faces are seen through another one (``random_response``). Other light (``random_light``),
other contrasts of eyes, brows and lips against the skin (``random_detail``) and other surroundings
(``random_surroundings``) are drawn as well. A recogniser that has seen none of these takes the change of
spectrum, or of the wall, for a change of person.
"""

from functools import cache
from io import BytesIO

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageFilter

from pcfh.ranges import LUMA

POOL, OUTPUT = 144, 128
_RESPONSE, _LIGHT, _DETAIL, _SURROUNDINGS = 0.6, 0.7, 0.7, 0.6  # how often
_BLUR, _NOISE, _JPEG = 0.4, 0.5, 0.3


def augmented(face: UInt8[np.ndarray, "144 144 3"], rng: np.random.Generator) -> UInt8[np.ndarray, "128 128"]:
    """A random variant of a face, changed by all that is drawn below."""
    weights = random_response(rng) if rng.random() < _RESPONSE else np.array(LUMA)
    grey = (face @ weights.astype(np.float32)).round().clip(0, 255).astype(np.uint8)
    moved = Image.fromarray(grey).transform(
        (OUTPUT, OUTPUT), Image.Transform.AFFINE, tuple(random_geometry(rng)), Image.Resampling.BICUBIC
    )
    lit = np.asarray(moved, np.float32)
    if rng.random() < _LIGHT:
        lit = lit * random_light(rng)
    if rng.random() < _DETAIL:
        lit = random_detail(lit, rng)
    toned = _exposed(lit, rng).point(random_tones(rng).tolist())
    if rng.random() < _SURROUNDINGS:
        toned = random_surroundings(toned, rng)
    if rng.random() < _BLUR:
        toned = toned.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.8)))
    if rng.random() < _NOISE:
        toned = _noisy(toned, rng)
    if rng.random() < _JPEG:
        toned = _compressed(toned, int(rng.integers(25, 91)))
    return np.asarray(toned)


def augmented_nir(
    face: UInt8[np.ndarray, "144 144 3"], rng: np.random.Generator
) -> UInt8[np.ndarray, "128 128"]:
    """A random variant of a NIR face: moved, lit, exposed, blurred, noisy, compressed.

    Its three channels are equal, so there is no spectral response to draw; contrasts of details and
    surroundings stay, as they are what tells this spectrum from the other.
    """
    moved = Image.fromarray(face[..., 0]).transform(
        (OUTPUT, OUTPUT), Image.Transform.AFFINE, tuple(random_geometry(rng)), Image.Resampling.BICUBIC
    )
    lit = np.asarray(moved, np.float32)
    if rng.random() < _LIGHT:
        lit = lit * random_light(rng)
    toned = _exposed(lit, rng)
    if rng.random() < _BLUR:
        toned = toned.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.8)))
    if rng.random() < _NOISE:
        toned = _noisy(toned, rng)
    if rng.random() < _JPEG:
        toned = _compressed(toned, int(rng.integers(25, 91)))
    return np.asarray(toned)


def random_response(rng: np.random.Generator) -> Float[np.ndarray, " 3"]:
    """Weights of red, green and blue, with a sum of one, from blue-sensitive to beyond red.

    Skin reflects more, and lips and spots stand out less, the longer the wave. Past red the same trend is
    continued: red plus a share of its difference from green.
    """
    weights = rng.dirichlet((1.5, 1.0, 0.5))
    return np.asarray(weights + rng.uniform(0, 0.9) * np.array([1.0, -1.0, 0.0]))


def random_light(rng: np.random.Generator) -> Float[np.ndarray, "128 128"]:
    """A factor for each pixel: shading as smooth as that of a face, and light that falls off to the edges.

    Shading is the exponential of a smooth random field of standard deviation 0.05 to 0.5, so it may
    brighten one cheek and darken the other, as a change of lamps does.
    """
    field = _smooth_field(rng)
    shading = np.exp(rng.uniform(0.05, 0.5) * field)
    if rng.random() < 0.5:
        return shading
    y, x = np.mgrid[:OUTPUT, :OUTPUT].astype(np.float32) / OUTPUT - 0.5
    cx, cy = rng.uniform(-0.15, 0.15, 2)
    reach, sharpness = rng.uniform(0.35, 0.8), rng.uniform(2, 6)
    fall = 1 / (1 + (np.hypot(x - cx, y - cy) / reach) ** sharpness)
    return np.asarray(shading * fall, np.float32)


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


def random_detail(
    face: Float[np.ndarray, "128 128"], rng: np.random.Generator
) -> Float[np.ndarray, "128 128"]:
    """Weakens or strengthens what differs from its neighbourhood, at each scale and place in another way.

    The face is split into bands between Gaussians of 1, 2, 4 and 8 pixels; each is multiplied by a smooth
    random field whose values lie mostly between -0.2 and 1.6, so light brows may come out dark.
    """
    changed, finer = np.zeros_like(face), face
    for sigma in (1.0, 2.0, 4.0, 8.0):
        blur = _blur(sigma)
        coarser = blur @ finer @ blur.T
        changed += (finer - coarser) * (rng.uniform(0.4, 1.3) + rng.uniform(0, 0.6) * _smooth_field(rng))
        finer = coarser
    return np.maximum(changed + finer, 0)


@cache
def _blur(sigma: float) -> Float[np.ndarray, "128 128"]:
    """The matrix that smooths each column with a Gaussian; weights sum to one at the edges too."""
    place = np.arange(OUTPUT, dtype=np.float32)
    weights = np.exp(-((place[:, None] - place) ** 2) / (2 * sigma**2))
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float32)


def _smooth_field(rng: np.random.Generator) -> Float[np.ndarray, "128 128"]:
    """Gaussian noise on a grid of 3 to 8 points a side, interpolated."""
    coarse = rng.standard_normal((rng.integers(3, 9), rng.integers(3, 9))).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize((OUTPUT, OUTPUT), Image.Resampling.BICUBIC))


def random_surroundings(face: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Puts an evenly grey wall, black in half of the cases, around a soft oval about the face.

    The oval's half axes are 36 to 60 and 46 to 70 pixels, its edge soft over 2 to 12 pixels, so that ears,
    hair and neck are now seen and now not.
    """
    y, x = np.mgrid[:OUTPUT, :OUTPUT].astype(np.float32) + 0.5 - OUTPUT / 2
    cx, cy = rng.uniform(-5, 5), rng.uniform(-4, 8)
    a, b = rng.uniform(36, 60), rng.uniform(46, 70)
    outside = (np.hypot((x - cx) / a, (y - cy) / b) - 1) * a / rng.uniform(2, 12)
    wall = 1 / (1 + np.exp(-outside.clip(-30, 30)))
    level = rng.uniform(0, 25) if rng.random() < 0.5 else rng.uniform(0, 255)
    mixed = np.asarray(face, np.float32) * (1 - wall) + level * wall
    return Image.fromarray(mixed.round().astype(np.uint8))


def random_tones(rng: np.random.Generator) -> UInt8[np.ndarray, " 256"]:
    """A table of grey values: gamma, then contrast about mid-grey, then brightness."""
    gamma, contrast = np.exp(rng.uniform(-0.4, 0.4)), np.exp(rng.uniform(-0.35, 0.35))
    values = (np.arange(256) / 255) ** gamma
    values = 0.5 + contrast * (values - 0.5) + rng.uniform(-0.12, 0.12)
    return np.round(255 * values.clip(0, 1)).astype(np.uint8)


def _exposed(face: Float[np.ndarray, "128 128"], rng: np.random.Generator) -> Image.Image:
    """Exposes the middle of the face to a random mean grey: dark skin may come out light, and the reverse."""
    quarter = OUTPUT // 4
    middle = max(float(face[quarter:-quarter, quarter:-quarter].mean()), 4.0)
    gain = rng.uniform(70, 205) / middle
    # Not always the whole way, so that faces may keep something of their own tone.
    return Image.fromarray((face * gain ** rng.uniform(0.3, 1)).round().clip(0, 255).astype(np.uint8))


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
