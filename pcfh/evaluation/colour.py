"""Colour as people see it: sRGB to CIELAB, and the CIEDE2000 difference of two colours.

sRGB values are in [0, 1], red, green, blue, with the standard's transfer curve. CIELAB is relative to D65 and
the 2 degree observer: L* in [0, 100], a* towards red, b* towards yellow. White is (100, 0, 0).
"""

import numpy as np
from jaxtyping import Float

_XYZ_OF_RGB = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
_WHITE = _XYZ_OF_RGB.sum(1)
_KNEE = 6 / 29  # of the cube root, below which CIELAB goes on as a line
_25_TO_7 = 25.0**7


def srgb_to_lab(image: Float[np.ndarray, "*shape 3"]) -> Float[np.ndarray, "*shape 3"]:
    """Turns sRGB into CIELAB under D65, in double precision."""
    image = image.astype(np.float64)
    linear = np.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)
    return xyz_to_lab(linear @ _XYZ_OF_RGB.T / _WHITE)


def xyz_to_lab(xyz: Float[np.ndarray, "*shape 3"]) -> Float[np.ndarray, "*shape 3"]:
    """Turns XYZ, each divided by the white's, into CIELAB."""
    x, y, z = np.moveaxis(np.where(xyz > _KNEE**3, np.cbrt(xyz), xyz / (3 * _KNEE**2) + 4 / 29), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def ciede2000(a: Float[np.ndarray, "n 3"], b: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
    """The CIEDE2000 difference of CIELAB colours, with k_L = k_C = k_H = 1; 1 is about what is just seen.

    Reference: G. Sharma, W. Wu and E. N. Dalal, "The CIEDE2000 color-difference formula: implementation
        notes, supplementary test data, and mathematical observations", Color Research and Application 2005.
    """
    (L1, C1, h1), (L2, C2, h2) = _lightness_chroma_hue(a, b)
    turn = np.where(C1 * C2 == 0, 0.0, (h2 - h1 + 180) % 360 - 180)  # the short way round
    dH = 2 * np.sqrt(C1 * C2) * np.sin(np.radians(turn / 2))
    L, C = (L1 + L2) / 2, (C1 + C2) / 2
    h = np.where(C1 * C2 == 0, h1 + h2, _mean_hue(h1, h2))
    S_L = 1 + 0.015 * (L - 50) ** 2 / np.sqrt(20 + (L - 50) ** 2)
    S_C, S_H = 1 + 0.045 * C, 1 + 0.015 * C * _hue_term(h)
    rotation = -np.sin(np.radians(60 * np.exp(-(((h - 275) / 25) ** 2)))) * 2 * _saturated(C)
    light, chroma, hue = (L2 - L1) / S_L, (C2 - C1) / S_C, dH / S_H
    return np.asarray(np.sqrt(light**2 + chroma**2 + hue**2 + rotation * chroma * hue))


Colour = tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"], Float[np.ndarray, " n"]]


def _lightness_chroma_hue(a: Float[np.ndarray, "n 3"], b: Float[np.ndarray, "n 3"]) -> tuple[Colour, Colour]:
    """L', C' and h' (degrees from 0 to 360, 0 for grey) of both colours, a* stretched where both are pale."""
    mean = (np.hypot(a[..., 1], a[..., 2]) + np.hypot(b[..., 1], b[..., 2])) / 2
    stretch = 1 + (1 - _saturated(mean)) / 2
    one, two = (
        (
            colour[..., 0],
            np.hypot(stretch * colour[..., 1], colour[..., 2]),
            np.degrees(np.arctan2(colour[..., 2], stretch * colour[..., 1])) % 360,
        )
        for colour in (a, b)
    )
    return one, two


def _saturated(C: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """sqrt(C^7 / (C^7 + 25^7)), from 0 for grey to 1 for strong colours."""
    return np.sqrt(C**7 / (C**7 + _25_TO_7))


def _mean_hue(h1: Float[np.ndarray, " n"], h2: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """The hue in the middle of the short way between two, in degrees from 0 to 360."""
    middle = (h1 + h2) / 2
    return np.where(np.abs(h1 - h2) <= 180, middle, np.where(h1 + h2 < 360, middle + 180, middle - 180))


def _hue_term(h: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """T of the formula: how the weight of a difference in hue depends on the hue."""
    terms = ((-0.17, 1, -30), (0.24, 2, 0), (0.32, 3, 6), (-0.20, 4, -63))
    return np.asarray(1 + sum(weight * np.cos(np.radians(n * h + shift)) for weight, n, shift in terms))
