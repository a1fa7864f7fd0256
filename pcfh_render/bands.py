"""Lights, sensors and the four bands (R, G, B, NIR) that every spectrum is reduced to.

Conventions:
    Spectra are sampled at ``WAVELENGTHS``, in nanometres. Axis letters: w wavelengths. Lights are
    relative powers per nanometre, sensors relative responses, reflectances fractions in [0, 1]. R, G and B
    are linear sRGB: the camera blocks the infrared and its colour matrix is exact, so that its channels
    are the sRGB primaries' matching functions. NIR is a silicon sensor behind a filter that blocks the
    visible. Band values are relative to a white patch in the same light: white is (1, 1, 1, 1).
"""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from jaxtyping import Float

BANDS = ("R", "G", "B", "NIR")
WAVELENGTHS: Float[np.ndarray, " w"] = np.arange(400.0, 1001.0, 5.0)

# CIE 15, components of daylight, every 10 nm from 400 to 830 nm.
_DAYLIGHT_MEAN = (
    94.8, 104.8, 105.9, 96.8, 113.9, 125.6, 125.5, 121.3, 121.3, 113.5, 113.1, 110.8, 106.5, 108.8, 105.3,
    104.4, 100.0, 96.0, 95.1, 89.1, 90.5, 90.3, 88.4, 84.0, 85.1, 81.9, 82.6, 84.9, 81.3, 71.9,
    74.3, 76.4, 63.3, 71.7, 77.0, 65.2, 47.7, 68.6, 65.0, 66.0, 61.0, 53.3, 58.9, 61.9,
)  # fmt: skip
_DAYLIGHT_FIRST = (
    43.4, 46.3, 43.9, 37.1, 36.7, 35.9, 32.6, 27.9, 24.3, 20.1, 16.2, 13.2, 8.6, 6.1, 4.2,
    1.9, 0.0, -1.6, -3.5, -3.5, -5.8, -7.2, -8.6, -9.5, -10.9, -10.7, -12.0, -14.0, -13.6, -12.0,
    -13.3, -12.9, -10.6, -11.6, -12.2, -10.2, -7.8, -11.2, -10.4, -10.6, -9.7, -8.3, -9.3, -9.8,
)  # fmt: skip
_DAYLIGHT_SECOND = (
    -1.1, -0.5, -0.7, -1.2, -2.6, -2.9, -2.8, -2.6, -2.6, -1.8, -1.5, -1.3, -1.2, -1.0, -0.5,
    -0.3, 0.0, 0.2, 0.5, 2.1, 3.2, 4.1, 4.7, 5.1, 6.7, 7.3, 8.6, 9.8, 10.2, 8.3,
    9.6, 8.5, 7.0, 7.6, 8.0, 6.7, 5.2, 7.4, 6.8, 7.0, 6.4, 5.5, 6.1, 6.5,
)  # fmt: skip
_DAYLIGHT = np.array([_DAYLIGHT_MEAN, _DAYLIGHT_FIRST, _DAYLIGHT_SECOND])
_DAYLIGHT_NM = np.arange(400.0, 831.0, 10.0)
_D65 = 6504.0
_KNEE = 6 / 29  # of the cube root, below which CIELAB goes on as a line

# Lobes (height, centre, width below, width above the centre) of the CIE 1931 observer.
_LOBES: Mapping[str, tuple[tuple[float, float, float, float], ...]] = {
    "x": ((1.056, 599.8, 37.9, 31.0), (0.362, 442.0, 16.0, 26.7), (-0.065, 501.1, 20.4, 26.2)),
    "y": ((0.821, 568.8, 46.9, 40.5), (0.286, 530.9, 16.3, 31.1)),
    "z": ((1.217, 437.0, 11.8, 36.0), (0.681, 459.0, 26.0, 13.8)),
}
XYZ_TO_RGB: Float[np.ndarray, "3 3"] = np.array(
    [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
)
LUMINANCE: Float[np.ndarray, " 3"] = np.linalg.inv(XYZ_TO_RGB)[1]


def observer() -> Float[np.ndarray, "w 3"]:
    """Gives the CIE 1931 colour matching functions x, y and z.

    Reference:
        Wyman, Sloan and Shirley, "Simple analytic approximations to the CIE XYZ color matching
        functions", JCGT 2(2), 2013 (multi-lobe fit).
    """
    return np.stack([_lobes(_LOBES[axis]) for axis in "xyz"], axis=-1)


def _lobes(lobes: tuple[tuple[float, float, float, float], ...]) -> Float[np.ndarray, " w"]:
    """A sum of Gaussians, each with one width on either side of its centre."""
    total = np.zeros_like(WAVELENGTHS)
    for height, centre, below, above in lobes:
        width = np.where(centre > WAVELENGTHS, below, above)
        total += height * np.exp(-0.5 * ((WAVELENGTHS - centre) / width) ** 2)
    return total


def sensors() -> Float[np.ndarray, "w 4"]:
    """Gives the responses of the bands R, G, B and NIR.

    R, G and B are the observer turned into linear sRGB, with the small negative lobes that a camera's
    colour matrix makes too. NIR is the quantum efficiency of silicon, falling to half at 900 nm, behind a
    long-pass filter with its edge at 780 nm.
    """
    silicon = 1 / (1 + np.exp((WAVELENGTHS - 900) / 50))
    filter_glass = 1 / (1 + np.exp(-(WAVELENGTHS - 780) / 8))
    return np.column_stack([observer() @ XYZ_TO_RGB.T, silicon * filter_glass])


def daylight(cct: float) -> Float[np.ndarray, " w"]:
    """Gives the CIE D series: daylight of a colour temperature, 1 at 560 nm.

    Beyond 830 nm, where the series ends, the last value is kept.

    Args:
        cct: in kelvin, 4000 to 25000.

    Reference:
        CIE 15, Colorimetry; Judd, MacAdam and Wyszecki, J. Opt. Soc. Am. 54, 1964.
    """
    a, b, c, d = (
        (-4.6070e9, 2.9678e6, 99.11, 0.244063) if cct <= 7000 else (-2.0064e9, 1.9018e6, 247.48, 0.237040)
    )
    x = a / cct**3 + b / cct**2 + c / cct + d
    y = -3.0 * x**2 + 2.870 * x - 0.275
    scale = 0.0241 + 0.2562 * x - 0.7341 * y
    first = (-1.3515 - 1.7703 * x + 5.9114 * y) / scale
    second = (0.0300 - 31.4424 * x + 30.0717 * y) / scale
    power = np.array([1.0, first, second]) @ _DAYLIGHT
    return np.interp(WAVELENGTHS, _DAYLIGHT_NM, power) / 100


def blackbody(cct: float) -> Float[np.ndarray, " w"]:
    """Gives Planck's law for one temperature in kelvin, 1 at 560 nm."""
    second_constant = 1.438777e7  # in nanometres times kelvin

    def power(nm: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        return nm**-5.0 / np.expm1(second_constant / (nm * cct))

    return power(WAVELENGTHS) / power(np.array([560.0]))


def vis_light(cct: float) -> Float[np.ndarray, " w"]:
    """Gives white light of a colour temperature: a glowing body below 4000 K, daylight from there on."""
    return blackbody(cct) if cct < 4000 else daylight(cct)


def led(centre: float = 850.0, width: float = 40.0) -> Float[np.ndarray, " w"]:
    """Gives an infrared LED, Gaussian, 1 at its peak.

    Args:
        centre: of the emission, in nanometres.
        width: full width at half of the peak, in nanometres.
    """
    return 0.5 ** ((2 * (WAVELENGTHS - centre) / width) ** 2)


@lru_cache(maxsize=8)
def band_weights(cct: float = _D65, led_centre: float = 850.0) -> Float[np.ndarray, "w 4"]:
    """Gives what each wavelength counts in each band; every band's weights sum to 1.

    Args:
        cct: of the light in which R, G and B are seen, in kelvin.
        led_centre: of the LED in whose light NIR is seen, in nanometres.
    """
    visible = vis_light(cct)
    lights = np.column_stack([visible, visible, visible, led(led_centre)])
    weights = lights * sensors()
    shares: Float[np.ndarray, "w 4"] = weights / weights.sum(0)
    shares.setflags(write=False)  # all callers share it
    return shares


def band_reflectance(spectrum: Float[np.ndarray, "*n w"], cct: float = _D65) -> Float[np.ndarray, "*n 4"]:
    """Reduces reflectance spectra to the four bands, relative to a white patch.

    Colours outside of sRGB are cut off at 0 and 1.
    """
    return np.clip(spectrum @ band_weights(cct), 0.0, 1.0)


def light_colour(cct: float) -> Float[np.ndarray, " 4"]:
    """Gives the colour of a visible light for a camera balanced for D65, with G = 1.

    NIR is what a camera without a filter for infrared sees of it; multiply by 0 for lamps that emit none.
    """
    response = vis_light(cct) @ sensors()
    colour = response / (daylight(_D65) @ sensors())
    return np.maximum(colour / colour[1], 0.0)


def lab(rgb: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """Turns linear sRGB into CIELAB (L*, a*, b*), white point D65."""
    to_xyz = np.linalg.inv(XYZ_TO_RGB)
    xyz = rgb @ to_xyz.T / to_xyz.sum(1)  # relative to white
    x, y, z = np.moveaxis(np.where(xyz > _KNEE**3, np.cbrt(xyz), xyz / (3 * _KNEE**2) + 4 / 29), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)
