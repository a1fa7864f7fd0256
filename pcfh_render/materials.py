"""Hair, eyes, mouth, cloth and things: diffuse reflectances in the bands R, G, B and NIR.

Conventions:
    Every function returns linear reflectance in [0, 1], bands last. Mirror reflection (wet eyes, teeth,
    metal) is left to the renderer. Random choices come from the generator that is handed in, so the
    same seed gives the same material.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from jaxtyping import Float

from pcfh_render.bands import WAVELENGTHS, band_reflectance
from pcfh_render.skin import (
    dermis_absorption,
    dermis_scattering,
    layer,
    skin_albedo,
    thick_reflectance,
    through_surface,
)

IrisKind = Literal["dark_brown", "brown", "hazel", "green", "blue", "grey"]
IRIS_KINDS: tuple[IrisKind, ...] = ("dark_brown", "brown", "hazel", "green", "blue", "grey")
FrameKind = Literal["plastic", "metal"]

_SURFACE = 0.012  # what fibres and tissue scatter before light meets any pigment
_FIBRE_WIDTHS = 5.889  # the polynomial of Chiang et al. at azimuthal roughness 0.3

# Iris: optical thickness of the stroma's scattering at 500 nm, its power of wavelength, and the optical
# depth at 550 nm, there and back, of the melanin in front of it.
_IRIS: Mapping[str, tuple[float, float, float]] = {
    "dark_brown": (0.20, 0.2, 2.4),
    "brown": (0.22, 0.3, 1.35),
    "hazel": (0.26, 0.8, 0.85),
    "green": (0.25, 1.9, 0.60),
    "blue": (0.22, 1.8, 0.05),
    "grey": (0.26, 1.2, 0.08),
}


def hair(eumelanin: float, pheomelanin: float, grey: float = 0.0) -> Float[np.ndarray, " 4"]:
    """Reflectance of a mass of hair from its two pigments.

        white * exp(-5.889 sqrt(sigma)),
        sigma = 0.697 eumelanin (lambda / 545)^-4.4 + 0.4 pheomelanin (lambda / 545)^-6.4

    The powers of wavelength go through the published absorption in R, G and B and are carried on to NIR.

    Args:
        eumelanin: 0.02 light blond, 0.1 blond, 0.4 brown, 1 dark brown, 2 and more black.
        pheomelanin: 0.02 to 0.1 in most hair, 0.15 to 0.4 in red hair.
        grey: share of hairs without pigment.

    Reference:
        Absorption per fibre: d'Eon et al., EGSR 2011. Many fibres: Chiang et al., Computer Graphics
        Forum 35, 2016.
    """
    absorption = _hair_absorption(eumelanin, pheomelanin)
    white = 0.62 - 0.12 * np.exp(-(WAVELENGTHS - 400) / 90)
    pigmented = white * np.exp(-_FIBRE_WIDTHS * np.sqrt(absorption))
    return band_reflectance(_SURFACE + (1 - grey) * pigmented + grey * white)


def through_hair(eumelanin: float, pheomelanin: float, grey: float, thickness: float) -> float:
    """Share of near-infrared light that passes thin hair, such as that of brows, to the skin and back.

    A hair absorbs so little at 850 nm that light goes through it, and what the skin has scattered comes out
    under it too: brows are often hardly darker than skin.

    Args:
        eumelanin: as of ``hair``.
        pheomelanin: as of ``hair``.
        grey: as of ``hair``.
        thickness: of the pigment on the way, in the widths of a hair.
    """
    passes = np.exp(-thickness * _hair_absorption(eumelanin, pheomelanin))
    return float(band_reflectance(grey + (1 - grey) * passes)[3])


def _hair_absorption(eumelanin: float, pheomelanin: float) -> Float[np.ndarray, " w"]:
    """Absorption over the width of a hair at all wavelengths."""
    ratio = WAVELENGTHS / 545
    return np.asarray(0.697 * eumelanin * ratio**-4.4 + 0.4 * pheomelanin * ratio**-6.4)


def iris(kind: IrisKind) -> Float[np.ndarray, " 4"]:
    """Reflectance of the iris: melanin of the front layer over a thin scattering stroma, black behind.

    Without melanin short waves scatter back most and the iris is blue; much melanin makes it brown in VIS
    and still lets it be lighter in NIR.
    """
    thickness, power, depth = _IRIS[kind]
    scatters = thickness * (WAVELENGTHS / 500) ** -power
    stroma = scatters / (1 + scatters)
    return band_reflectance(_SURFACE + stroma * np.exp(-depth * (WAVELENGTHS / 550) ** -3.33))


def pupil() -> Float[np.ndarray, " 4"]:
    """Reflectance of the pupil: next to nothing in every band."""
    return np.full(4, 0.004)


def sclera(redness: float = 0.2) -> Float[np.ndarray, " 4"]:
    """Reflectance of the white of the eye, with a little blood in front.

    Scattering as measured, 2.411e5 lambda^-1.325 per cm (Bashkatov et al. 2010), 1 mm thick, over the dark
    choroid.

    Args:
        redness: 0 clear, 1 bloodshot.
    """
    scatters = 2.411e5 * WAVELENGTHS**-1.325
    absorbs = dermis_absorption(np.array(0.001 + 0.006 * redness), 0.9)
    return band_reflectance(layer(absorbs, scatters, 0.1)[0])


def lips(melanin: float, blood: float) -> Float[np.ndarray, " 4"]:
    """Reflectance of lips from the two numbers that ``skin.lip_skin`` gives."""
    return skin_albedo(np.array(melanin), np.array(blood))


def teeth(yellowness: float = 0.4) -> Float[np.ndarray, " 4"]:
    """Reflectance of teeth, lighter towards red and a little darker again in NIR.

    Args:
        yellowness: 0 white, 1 yellow.
    """
    visible = 0.62 - (0.05 + 0.25 * yellowness) * np.exp(-(WAVELENGTHS - 400) / 80)
    return band_reflectance(visible - 0.0003 * np.maximum(WAVELENGTHS - 650, 0))


def gums() -> Float[np.ndarray, " 4"]:
    """Reflectance of gums: much blood, no pigment."""
    return _mucosa(0.03)


def tongue() -> Float[np.ndarray, " 4"]:
    """Reflectance of the tongue: like gums with more blood."""
    return _mucosa(0.05)


def _mucosa(blood: float) -> Float[np.ndarray, " 4"]:
    """A thick wet layer with blood and without epidermis."""
    inside = thick_reflectance(dermis_absorption(np.array(blood), 0.75), dermis_scattering())
    return band_reflectance(through_surface(inside))


def dyed(
    cyan: float, magenta: float, yellow: float, carbon: float = 0.0, *, white: float = 0.8
) -> Float[np.ndarray, " 4"]:
    """Reflectance of cloth, plastic or paint: three dyes that infrared passes, one pigment that it does not.

    Each dye adds a peak to K/S of Kubelka and Munk, carbon adds the same in every band.

    Args:
        cyan: K/S at its peak, 630 nm; 0 none, 1 strong, 10 as good as black there.
        magenta: the same, 545 nm.
        yellow: the same, 435 nm.
        carbon: K/S of soot or of vat and sulphur dyes, at every wavelength.
        white: reflectance without any dye.
    """
    peaks = ((cyan, 630, 55), (magenta, 545, 40), (yellow, 435, 55))
    ratio = np.full_like(WAVELENGTHS, (1 - white) ** 2 / (2 * white) + carbon)
    for strength, centre, width in peaks:
        ratio += strength * np.exp(-0.5 * ((WAVELENGTHS - centre) / width) ** 2)
    inside = thick_reflectance(ratio / 2, np.full_like(ratio, 1 / 0.75))
    return band_reflectance(_SURFACE + (1 - _SURFACE) * inside)


def cloth(rng: np.random.Generator) -> Float[np.ndarray, " 4"]:
    """Draws a cloth: white, coloured or dark.

    Dark cloth is light in NIR unless its dye absorbs there too, as two of five do here.
    """
    depth = rng.choice([0.05, 0.6, 2.5, 9.0], p=[0.2, 0.25, 0.25, 0.3])
    cyan, magenta, yellow = depth * (0.15 + rng.dirichlet([0.8, 0.9, 1.3]))
    absorbs_infrared = rng.random() < 0.4
    carbon = depth * rng.uniform(0.2, 0.8) if absorbs_infrared else 0.0
    return dyed(cyan, magenta, yellow, carbon, white=rng.uniform(0.72, 0.85))


def frame(kind: FrameKind, rng: np.random.Generator) -> Float[np.ndarray, " 4"]:
    """Draws the frame of a pair of glasses: plastic, most often dark, or metal in silver, gold or black."""
    if kind == "plastic":
        carbon = rng.choice([0.0, 0.3, 8.0], p=[0.2, 0.3, 0.5])
        cyan, magenta, yellow = rng.uniform(0.3, 4.0, 3) * (1.0, 1.4, 2.0)
        return dyed(cyan, magenta, yellow, carbon)
    level, blue_loss = ((0.5, 0.03), (0.55, 0.3), (0.06, 0.0))[rng.integers(3)]
    edge = 1 / (1 + np.exp((WAVELENGTHS - 520) / 25))
    return band_reflectance(level * rng.uniform(0.8, 1.1) - blue_loss * edge)


def paint(rng: np.random.Generator) -> Float[np.ndarray, " 4"]:
    """Draws the paint of a wall: pale, of any hue, a little carbon in the greys."""
    cyan, magenta, yellow = rng.exponential(0.08, 3)
    return dyed(cyan, magenta, yellow, rng.choice([0.0, 0.03, 0.15]), white=rng.uniform(0.7, 0.88))


def wood(rng: np.random.Generator) -> Float[np.ndarray, " 4"]:
    """Draws wood: lignin absorbs blue most and nothing in NIR."""
    absorption = rng.uniform(0.3, 2.0) * np.exp(-(WAVELENGTHS - 450) / 110)
    return band_reflectance(thick_reflectance(absorption / 2 + 0.02, np.full_like(absorption, 1 / 0.75)))


def curtain(rng: np.random.Generator) -> Float[np.ndarray, " 4"]:
    """Draws the cloth of a curtain, never black."""
    cyan, magenta, yellow = rng.uniform(0.05, 1.0) * rng.dirichlet([1.0, 1.0, 1.6])
    return dyed(cyan, magenta, yellow, rng.choice([0.0, 0.1]))
