"""A near-infrared camera, from the light that reaches it to 8-bit numbers: a pure function, seeded.

``pcfh.nir_cameras`` says what cameras do and how far; here it is done to one picture, in the order in which
it happens: projector and flash, lens, sensor, processing, file. Axis letters: s side.
"""

import math
from io import BytesIO

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates, median_filter, uniform_filter1d

from pcfh.nir_cameras import Capture
from pcfh_render.streams import generator

Picture = Float[np.ndarray, "s s"]
_LIGHT_NOISE = 4.0  # of the light at white, against that of the sensor at black
_BRIGHTEST = 40.0  # what a lamp in the picture may be against white, or its blur would be all there is


def captured(light: Picture, capture: Capture, seed: int) -> UInt8[np.ndarray, "s s"]:
    """Takes a picture.

    Args:
        light: linear; 1 is white at ``stops`` 0.
        capture: what the camera does.
        seed: of noise, dots and margins.
    """
    rng = generator("nir camera", seed)
    lit = light * _dots(len(light), capture, rng) * flash_field(len(light), capture) * 2.0**capture.stops
    sensed = _sensed(_through_lens(np.minimum(lit, _BRIGHTEST), capture), capture, rng)
    coded = _processed(_coded(sensed, capture), capture)
    return _margin(_compressed(coded, capture), capture, rng)


def flash_field(side: int, capture: Capture) -> Picture:
    """How much of the light is left at each place: darker corners, and one side brighter than the other."""
    x, y = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side))
    corners = 1 - capture.vignette * (x * x + y * y) / 2
    across = x * math.cos(capture.slope_angle) + y * math.sin(capture.slope_angle)
    return corners * np.exp(capture.slope * across)


def _dots(side: int, capture: Capture, rng: np.random.Generator) -> Picture | float:
    """A projector's dots, each a little off its place in a grid."""
    if not capture.dots:
        return 1.0
    pitch = max(2.0, capture.dot_pitch * side)
    count = math.ceil(side / pitch)
    rows, columns = (
        ((np.arange(count) + 0.5)[axis] * pitch + rng.uniform(-0.3, 0.3, (count, count)) * pitch)
        for axis in ((slice(None), None), (None, slice(None)))
    )
    dots = np.zeros((side, side))
    dots[np.clip(rows, 0, side - 1).astype(int), np.clip(columns, 0, side - 1).astype(int)] = 1
    spread = gaussian_filter(dots, 0.16 * pitch)
    return 1 - capture.dots + 2 * capture.dots * spread / max(spread.max(), 1e-9)


def _through_lens(light: Picture, capture: Capture) -> Picture:
    """Motion, defocus, and light of lamps and glints that spreads."""
    side = len(light)
    seen = light
    if capture.motion:
        steps = np.linspace(-0.5, 0.5, max(3, round(capture.motion * side) | 1)) * capture.motion * side
        rows, columns = np.mgrid[:side, :side]
        across, down = math.cos(capture.motion_angle), math.sin(capture.motion_angle)
        moved = [
            map_coordinates(seen, [rows + down * step, columns + across * step], order=1, mode="nearest")
            for step in steps
        ]
        seen = np.mean(moved, axis=0)
    if capture.defocus:
        seen = gaussian_filter(seen, capture.defocus * side / 2, truncate=3.0)
    over = np.clip(seen - 0.85, 0, 6)
    if capture.bloom and over.any():
        seen = seen + capture.bloom * (
            gaussian_filter(over, 0.02 * side) + 2 * gaussian_filter(over, 0.07 * side)
        )
    return np.asarray(seen)


def _sensed(light: Picture, capture: Capture, rng: np.random.Generator) -> Picture:
    """Noise of the sensor, of the light and of whole rows, and the steps that the sensor tells apart."""
    side = len(light)
    noise = capture.noise * np.sqrt(1 + _LIGHT_NOISE**2 * light.clip(0, 1))
    sensed = light + noise * rng.standard_normal(light.shape)
    sensed += capture.rows * rng.standard_normal((side, 1))
    return np.asarray(np.rint(sensed * capture.levels) / capture.levels)


def _coded(light: Picture, capture: Capture) -> Picture:
    """The shoulder towards white, the sRGB curve, another curve on top, and the level of black; 0 to 1."""
    bounded = light.clip(0, None)
    if capture.shoulder:
        knee, width = 1 - capture.shoulder, capture.shoulder
        bounded = np.where(bounded > knee, 1 - width * np.exp(-(bounded - knee) / width), bounded)
    bounded = bounded.clip(0, 1)
    curve = np.where(bounded < 0.0031308, 12.92 * bounded, 1.055 * bounded ** (1 / 2.4) - 0.055)
    curve = curve.clip(0, 1) ** capture.gamma
    return np.asarray((capture.black + (1 - capture.black) * curve).clip(0, 1))


def _processed(coded: Picture, capture: Capture) -> Picture:
    """A smaller picture on the way, shifted rows, smoothing and sharpening."""
    side = len(coded)
    if capture.shrink > 1:
        small = max(16, round(side / capture.shrink))
        reduced = Image.fromarray(coded.astype(np.float32)).resize((small, small), Image.Resampling.BOX)
        coded = np.asarray(reduced.resize((side, side), Image.Resampling.BICUBIC), np.float64)
    if capture.interlace:
        coded = coded.copy()
        coded[1::2] = np.roll(coded[1::2], max(1, round(capture.interlace * side)), 1)
    if capture.denoise:
        coded = coded + capture.denoise * (median_filter(coded, 3) - coded)
    if capture.sharpen:
        coded = coded + capture.sharpen * (coded - gaussian_filter(coded, 0.005 * side))
    return np.asarray(coded.clip(0, 1))


def _compressed(coded: Picture, capture: Capture) -> UInt8[np.ndarray, "s s"]:
    """A JPEG file and back."""
    picture = np.rint(255 * coded).astype(np.uint8)
    if capture.quality >= 95:
        return picture
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=round(capture.quality))
    return np.asarray(Image.open(buffer))


def _margin(
    picture: UInt8[np.ndarray, "s s"], capture: Capture, rng: np.random.Generator
) -> UInt8[np.ndarray, "s s"]:
    """A border, a drawn box around the face, or the last column drawn out to a side."""
    side, width = len(picture), round(capture.margin_width * len(picture))
    if capture.margin == "none" or not width:
        return picture
    bordered = picture.copy()
    if capture.margin == "box":
        top, left = (round(0.5 * width + rng.uniform(0, 0.08) * side) for _ in range(2))
        line, value = int(rng.integers(1, 4)), int(rng.choice([255, 255, 190, 0]))
        box = bordered[top : side - top, left : side - left]
        inside = box[line:-line, line:-line].copy()
        box[:] = value
        box[line:-line, line:-line] = inside
    elif capture.margin == "streak":
        bordered[:, :width] = uniform_filter1d(bordered[:, width : width + 1], 3, axis=0)
    else:
        value = 255 if capture.margin == "white" else 0
        sides = rng.uniform(size=4) < 0.6
        sides[rng.integers(4)] = True
        parts = (bordered[:width], bordered[-width:], bordered[:, :width], bordered[:, -width:])
        for chosen, part in zip(sides, parts, strict=True):
            if chosen:
                part[:] = value
    return bordered
