"""Skin as layers: an epidermis with melanin, an upper dermis with much or little blood, a deep dermis.

Conventions:
    Absorption and scattering coefficients per centimetre, at ``bands.WAVELENGTHS`` on the last axis. Melanin
    is the volume fraction of melanosomes in the epidermis, blood the volume fraction of blood in the
    upper dermis. Reflectances are of the diffuse light only: what the surface mirrors (4 to 5 %) is left to
    the renderer, published measurements with an integrating sphere contain it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from pcfh_render.bands import BANDS, WAVELENGTHS, band_reflectance, band_weights, lab

# Molar extinction per cm and mol/l, every 10 nm from 400 to 1000 nm (compiled by S. Prahl from data of
# Gratzer and Kollias, omlc.org/spectra/hemoglobin, 1999): oxygenated, then without oxygen.
_OXYHAEMOGLOBIN = (
    266232, 466840, 480360, 246072, 102580, 62816, 44480, 33209, 26630, 23684,
    20933, 20035, 24202, 39957, 53236, 43016, 32613, 44496, 50104, 14401,
    3200, 1506, 942, 610, 442, 368, 320, 294, 278, 276,
    290, 314, 348, 390, 446, 518, 586, 650, 710, 756,
    816, 864, 916, 974, 1022, 1058, 1092, 1128, 1154, 1178,
    1198, 1214, 1224, 1222, 1214, 1204, 1186, 1162, 1128, 1080,
    1024,
)  # fmt: skip
_DEOXYHAEMOGLOBIN = (
    223296, 303956, 407560, 528600, 413280, 103292, 23389, 16156, 14550, 16684,
    20862, 25774, 31590, 39036, 46592, 53412, 53788, 45072, 37020, 28324,
    14677, 9444, 6510, 5149, 4345, 3750, 3227, 2795, 2408, 2052,
    1794, 1540, 1326, 1102, 1116, 1405, 1549, 1312, 1075, 891,
    762, 717, 694, 693, 692, 691, 694, 706, 726, 744,
    762, 775, 777, 764, 693, 602, 526, 429, 360, 283,
    207,
)  # fmt: skip
_HAEMOGLOBIN_NM = np.arange(400.0, 1001.0, 10.0)
_HAEMOGLOBIN_MOLAR = 150.0 / 64_500  # mol/l: 150 g per litre of whole blood

# Pure water (Hale and Querry 1973; Kou, Labrie and Chylek 1993), per cm.
_WATER_NM = (400.0, 600.0, 700.0, 750.0, 800.0, 850.0, 900.0, 930.0, 950.0, 970.0, 1000.0)
_WATER = (0.0003, 0.0022, 0.0062, 0.026, 0.020, 0.043, 0.068, 0.17, 0.39, 0.45, 0.36)
_DERMIS_WATER = 0.65

_MELANIN_DECAY_NM = 155.0
_DEEP_BLOOD = 0.004
_UPPER_DERMIS_CM = 0.02
_INNER_REFLECTION = 0.52  # of diffuse light at the boundary to air from inside, refractive index 1.4
SURFACE_REFLECTION = 0.04
MELANIN_LIMIT = 0.6
BLOOD_LIMIT = 0.2

Spectra = Float[np.ndarray, "*n w"]
Layer = tuple[Spectra, Spectra]


@dataclass(frozen=True, kw_only=True)
class SkinOptics:
    """What differs from person to person besides melanin and blood.

    Attributes:
        oxygenation: share of haemoglobin with oxygen.
        epidermis_mm: thickness of the epidermis.
        scattering: reduced scattering of the dermis at 500 nm, per cm.
        scattering_power: how fast it falls with wavelength.
    """

    oxygenation: float = 0.7
    epidermis_mm: float = 0.05
    scattering: float = 46.0
    scattering_power: float = 1.42


DEFAULT_OPTICS = SkinOptics()


def melanin_absorption() -> Float[np.ndarray, " w"]:
    """Absorption inside of melanosomes, as it acts in living skin.

        mu(lambda) = 6.6e11 lambda^-3.33 exp(-max(lambda - 600, 0) / 155)

    The power law is that of Jacques (2013). Seen through living skin melanin falls faster than in solution
    (Zonios et al. 2008), which the second factor stands for. Its decay length is ours: with it the darkest
    skin comes close to the darkest of 100 measured people at 780 nm (Cooksey et al. 2017).
    """
    in_vivo = np.exp(-np.maximum(WAVELENGTHS - 600, 0) / _MELANIN_DECAY_NM)
    return 6.6e11 * WAVELENGTHS**-3.33 * in_vivo


def baseline_absorption() -> Float[np.ndarray, " w"]:
    """Absorption of skin without melanin and blood: 7.84e8 lambda^-3.255 (Jacques 1998, after Saidi)."""
    return 7.84e8 * WAVELENGTHS**-3.255


def blood_absorption(oxygenation: float) -> Float[np.ndarray, " w"]:
    """Absorption of whole blood with 150 g of haemoglobin per litre."""
    oxy = np.interp(WAVELENGTHS, _HAEMOGLOBIN_NM, np.array(_OXYHAEMOGLOBIN, float))
    deoxy = np.interp(WAVELENGTHS, _HAEMOGLOBIN_NM, np.array(_DEOXYHAEMOGLOBIN, float))
    return np.log(10) * _HAEMOGLOBIN_MOLAR * (oxygenation * oxy + (1 - oxygenation) * deoxy)


def dermis_absorption(blood: Float[np.ndarray, "*n"], oxygenation: float) -> Float[np.ndarray, "*n w"]:
    """Absorption of the dermis: baseline, water and blood."""
    water = _DERMIS_WATER * np.interp(WAVELENGTHS, _WATER_NM, _WATER)
    return baseline_absorption() + water + blood[..., None] * blood_absorption(oxygenation)


def dermis_scattering(optics: SkinOptics = DEFAULT_OPTICS) -> Float[np.ndarray, " w"]:
    """Reduced scattering: a (lambda / 500)^-b (Jacques 2013)."""
    return optics.scattering * (WAVELENGTHS / 500) ** -optics.scattering_power


def epidermis_scattering() -> Float[np.ndarray, " w"]:
    """Reduced scattering of the epidermis: small particles and large ones (Jacques 2013)."""
    ratio = WAVELENGTHS / 500
    return 66.7 * (0.29 * ratio**-4 + 0.71 * ratio**-0.689)


def thick_reflectance(
    absorption: Float[np.ndarray, "*n w"], scattering: Float[np.ndarray, " w"]
) -> Float[np.ndarray, "*n w"]:
    """Kubelka and Munk's reflectance of an endlessly thick layer for diffuse light.

    R = 1 + K/S - sqrt((1 + K/S)^2 - 1),  K = 2 mu_a,  S = 3/4 mu_s'
    """
    a = 1 + 2 * absorption / (0.75 * scattering)
    return a - np.sqrt(a**2 - 1)


def layer(
    absorption: Float[np.ndarray, "*n w"], scattering: Float[np.ndarray, " w"], thickness: float
) -> tuple[Float[np.ndarray, "*n w"], Float[np.ndarray, "*n w"]]:
    """Kubelka and Munk's reflectance and transmittance of one layer for diffuse light.

        R = 1 / (a + b coth(b S d)),  T = b / (a sinh(b S d) + b cosh(b S d)),
        a = 1 + K/S,  b = sqrt(a^2 - 1)

    Args:
        absorption: mu_a, per cm.
        scattering: mu_s', per cm.
        thickness: d, in centimetres.
    """
    a = 1 + 2 * absorption / (0.75 * scattering)
    b = np.sqrt(a**2 - 1)
    depth = b * 0.75 * scattering * thickness
    denominator = a * np.sinh(depth) + b * np.cosh(depth)
    return np.sinh(depth) / denominator, b / denominator


def on_top(upper: Layer, below: Float[np.ndarray, "... w"]) -> Spectra:
    """Reflectance of a layer with something below it: R + T^2 R_below / (1 - R R_below)."""
    reflected, passed = upper
    return reflected + passed**2 * below / (1 - reflected * below)


def through_surface(inside: Float[np.ndarray, "*n w"]) -> Float[np.ndarray, "*n w"]:
    """Saunderson's correction: light enters, and part of what returns is thrown back by the surface."""
    passed = (1 - SURFACE_REFLECTION) * (1 - _INNER_REFLECTION)
    return passed * inside / (1 - _INNER_REFLECTION * inside)


def skin_spectrum(
    melanin: Float[np.ndarray, "*n"], blood: Float[np.ndarray, "*n"], optics: SkinOptics = DEFAULT_OPTICS
) -> Float[np.ndarray, "*n w"]:
    """Diffuse reflectance of skin: epidermis, upper dermis and deep dermis below a surface.

    The blood that makes skin red lies in the upper dermis; the deep dermis holds as much as skin does on
    average.
    """
    m = melanin[..., None]
    dermis_scatters = dermis_scattering(optics)
    deep = thick_reflectance(dermis_absorption(np.array(_DEEP_BLOOD), optics.oxygenation), dermis_scatters)
    upper = layer(dermis_absorption(blood, optics.oxygenation), dermis_scatters, _UPPER_DERMIS_CM)
    epidermis = layer(
        m * melanin_absorption() + (1 - m) * baseline_absorption(),
        epidermis_scattering(),
        optics.epidermis_mm / 10,
    )
    return through_surface(on_top(epidermis, on_top(upper, deep)))


def skin_albedo(
    melanin: Float[np.ndarray, "*n"], blood: Float[np.ndarray, "*n"], optics: SkinOptics = DEFAULT_OPTICS
) -> Float[np.ndarray, "*n 4"]:
    """Diffuse reflectance of skin in the four bands, exact but slow; see ``SkinTable``."""
    return band_reflectance(skin_spectrum(melanin, blood, optics))


class SkinTable:
    """Skin of one person, ready for whole textures: a table over melanin and blood, bilinear between.

    Beyond ``MELANIN_LIMIT`` and ``BLOOD_LIMIT`` the last values are kept.

    Args:
        optics: of the person.
    """

    _rows, _columns = 64, 48

    def __init__(self, optics: SkinOptics = DEFAULT_OPTICS) -> None:
        # Both axes are even in the square root: the albedo bends most near zero.
        melanin = MELANIN_LIMIT * np.linspace(0, 1, self._rows) ** 2
        blood = BLOOD_LIMIT * np.linspace(0, 1, self._columns) ** 2
        grid = np.meshgrid(melanin, blood, indexing="ij")
        # Bands first: each is then read and reckoned in one piece of memory.
        self._table = skin_albedo(grid[0], grid[1], optics).astype(np.float32).reshape(-1, 4).T.copy()

    def __call__(
        self, melanin: Float[np.ndarray, "*n"], blood: Float[np.ndarray, "*n"]
    ) -> Float[np.ndarray, "*n 4"]:
        """Looks the albedo up for each pixel."""
        row, down = _cell(melanin / MELANIN_LIMIT, self._rows)
        column, right = _cell(blood / BLOOD_LIMIT, self._columns)
        start = row * self._columns + column
        bands = np.empty((len(BANDS), *start.shape), np.float32)
        for band, table in zip(bands, self._table, strict=True):
            upper, lower = (_between(table, place, right) for place in (start, start + self._columns))
            lower -= upper
            lower *= down
            np.add(upper, lower, out=band)
        return np.moveaxis(bands, 0, -1)


def _between(
    table: Float[np.ndarray, " cells"], start: Int[np.ndarray, "*n"], right: Float[np.ndarray, "*n"]
) -> Float[np.ndarray, "*n"]:
    """What stands between two neighbours of one row of a table."""
    first = table.take(start)
    return np.asarray(first + right * (table.take(start + 1) - first))


def _cell(
    share: Float[np.ndarray, "*n"], nodes: int
) -> tuple[Int[np.ndarray, "*n"], Float[np.ndarray, "*n"]]:
    """Cell of a square-root axis, and the position inside of it."""
    position = np.asarray(np.sqrt(np.clip(share, 0, 1)) * (nodes - 1), np.float32)
    cell = np.minimum(position.astype(np.int64), nodes - 2)
    return np.asarray(cell), (position - cell).astype(np.float32)


# Individual typology angle of the six skin types, in degrees (limits: Chardon et al. 1991, Del Bino and
# Bernerd 2013); the outer ends are the lightest and the darkest skin that is drawn.
ITA_OF_TYPE: Mapping[int, tuple[float, float]] = {
    1: (55.0, 63.0),
    2: (41.0, 55.0),
    3: (28.0, 41.0),
    4: (10.0, 28.0),
    5: (-30.0, 10.0),
    6: (-50.0, -30.0),
}
REFERENCE_BLOOD = 0.01


def ita(albedo: Float[np.ndarray, "*n 4"]) -> Float[np.ndarray, "*n"]:
    """Individual typology angle in degrees: atan((L* - 50) / b*); light skin has a large one.

    The surface's reflection is added first, since the instruments that measure the angle see it too.
    """
    colour = lab(albedo[..., :3] + SURFACE_REFLECTION)
    return np.asarray(np.degrees(np.arctan2(colour[..., 0] - 50, colour[..., 2])))


def melanin_of_ita(
    angle: Float[np.ndarray, "*n"], optics: SkinOptics = DEFAULT_OPTICS
) -> Float[np.ndarray, "*n"]:
    """Finds the melanin fraction that gives a typology angle at the reference amount of blood."""
    melanin = MELANIN_LIMIT * np.linspace(0, 1, 400) ** 2
    angles = ita(skin_albedo(melanin, np.full_like(melanin, REFERENCE_BLOOD), optics))
    return np.asarray(np.interp(-angle, -angles, melanin))


def melanin_of_type(fitzpatrick: int, share: float, optics: SkinOptics = DEFAULT_OPTICS) -> float:
    """Finds the melanin fraction of a place inside a Fitzpatrick type.

    Args:
        fitzpatrick: 1 to 6.
        share: 0 the type's lightest, 1 its darkest.
        optics: of the person.
    """
    dark, light = ITA_OF_TYPE[fitzpatrick]
    return float(melanin_of_ita(np.array(light + share * (dark - light)), optics))


def lip_skin(
    melanin: Float[np.ndarray, "*n"], blood: Float[np.ndarray, "*n"], redness: float = 0.5
) -> tuple[Float[np.ndarray, "*n"], Float[np.ndarray, "*n"]]:
    """Turns the skin's melanin and blood into those of the lips.

    The lips' thin epidermis acts as less melanin in a normal one; their capillaries lie close below it.

    Args:
        melanin: of the skin around.
        blood: of the skin around.
        redness: 0 pale, 1 deep red.
    """
    return np.asarray(0.8 * melanin), np.asarray(blood + 0.03 + 0.1 * redness)


def blur_width_mm(band: str, blood: float = REFERENCE_BLOOD, optics: SkinOptics = DEFAULT_OPTICS) -> float:
    """How far light of one band spreads sideways in the dermis: its diffusion length in millimetres.

        1 / sqrt(3 mu_a (mu_a + mu_s'))

    Args:
        band: "R", "G", "B" or "NIR".
        blood: fraction in the dermis.
        optics: of the person.
    """
    absorption = dermis_absorption(np.array(blood), optics.oxygenation)
    length = 10 / np.sqrt(3 * absorption * (absorption + dermis_scattering(optics)))
    return float(length @ band_weights()[:, BANDS.index(band)])
