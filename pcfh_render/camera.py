"""The camera: which rays its pixels see, where points fall, and how light becomes 8-bit numbers.

Camera coordinates are in centimetres, the origin in the middle of the head, +x to the right of the image, +y
up, the camera on +z. Image coordinates are (x, y) in pixels, y down, whole numbers at pixel centres. Each
pixel is sampled at ``SAMPLES`` x ``SAMPLES`` places, or ``REAL_SAMPLES`` where the camera blurs anyway. Axis
letters: h, w rows and columns, k points, r rays, s side.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from scipy.ndimage import gaussian_filter

from pcfh_render.params import Camera, Shot
from pcfh_render.sensor import captured
from pcfh_render.streams import generator

SAMPLES = 2
REAL_SAMPLES = 1.5


def rays(camera: Camera, width: int) -> Float[np.ndarray, "r 3"]:
    """The directions in which all samples look, row by row, not of length one (z is -1).

    Args:
        camera: where it stands.
        width: samples in a row.
    """
    step = camera.height / camera.distance / width
    offset = (np.arange(width) + 0.5) * step
    half = camera.height / camera.distance / 2
    x = offset - half - camera.shift[0] * 2 * half
    y = half - offset + camera.shift[1] * 2 * half
    grid = np.empty((3, width, width), np.float32)
    grid[0], grid[1], grid[2] = x, y[:, None], -1
    return grid.reshape(3, -1).T


def project(points: Float[np.ndarray, "k 3"], camera: Camera, size: int) -> Float[np.ndarray, "k 2"]:
    """Where points in camera coordinates fall in the image."""
    scale = size * camera.distance / camera.height
    flat = points[:, :2] / (camera.distance - points[:, 2:]) * (scale, -scale)
    return flat + size * (0.5 + np.array(camera.shift)) - 0.5


def visible_picture(light: Float[np.ndarray, "s s 3"], shot: Shot) -> UInt8[np.ndarray, "s s 3"]:
    """What a colour camera makes of the light that reaches it."""
    camera = shot.camera
    exposed = _sensed(light * (np.array(camera.balance) * camera.exposure), shot)
    return _coded(exposed)


def infrared_picture(light: Float[np.ndarray, "s s"], shot: Shot) -> UInt8[np.ndarray, "s s 3"]:
    """What a grey camera makes of the light that reaches it; three equal channels."""
    if shot.real is not None:
        taken = captured(light.astype(np.float64) * shot.camera.exposure, shot.real.capture, shot.seed)
        return np.repeat(taken[..., None], 3, 2)
    grey = _coded(_sensed(light[..., None] * shot.camera.exposure, shot))
    return np.repeat(grey, 3, 2)


def clean_picture(light: Float[np.ndarray, "s s 3"], exposure: float) -> UInt8[np.ndarray, "s s 3"]:
    """What a camera without noise and blur makes of the light."""
    return _coded(light * exposure)


def _sensed(light: Float[np.ndarray, "s s c"], shot: Shot) -> Float[np.ndarray, "s s c"]:
    """Blurs as the lens does and adds the noise of the sensor."""
    camera = shot.camera
    blurred = gaussian_filter(light, (camera.blur, camera.blur, 0), truncate=3.0)
    noise = generator("sensor", shot.seed).standard_normal(blurred.shape)
    spread = np.sqrt(camera.read_noise**2 + camera.shot_noise**2 * blurred.clip(0, 1))
    return blurred + spread * noise


def _coded(light: Float[np.ndarray, "s s c"]) -> UInt8[np.ndarray, "s s c"]:
    """The sRGB curve, with a soft shoulder towards white in place of a hard edge."""
    bounded = np.where(light > 0.8, 1 - 0.2 * np.exp(-(light - 0.8) / 0.2), light).clip(0, 1)
    curve = np.where(bounded < 0.0031308, 12.92 * bounded, 1.055 * bounded ** (1 / 2.4) - 0.055)
    return np.rint(curve * 255).astype(np.uint8)


def averaged(planes: Float[np.ndarray, "c r"], size: int) -> Float[np.ndarray, "s s c"]:
    """Means over the samples of each pixel; where these are no whole number, over somewhat more."""
    width = math.isqrt(planes.shape[1])
    squares = planes.reshape(-1, width, width)
    if width == size * SAMPLES:
        a, b, c, d = (squares[:, row::SAMPLES, column::SAMPLES] for row in (0, 1) for column in (0, 1))
        # In the order of numpy's mean over such samples, so that recipes keep their bytes.
        total = (a + b) + (c + d) if len(squares) == 1 else ((a + b) + c) + d
        return np.stack(total / np.float32(SAMPLES**2), -1)
    resized = [Image.fromarray(square).resize((size, size), Image.Resampling.BILINEAR) for square in squares]
    return np.stack([np.asarray(square) for square in resized], -1)


def turn(angles: Sequence[float]) -> Float[np.ndarray, "3 3"]:
    """The rotation of a head by yaw, pitch and roll in degrees, in this order from the inside out."""
    yaw, pitch, roll = np.radians(angles)
    about_y = [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
    about_x = [[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]]
    about_z = [[np.cos(roll), np.sin(roll), 0], [-np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
    return np.array(about_z) @ np.array(about_x) @ np.array(about_y)
