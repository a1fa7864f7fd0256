"""What is behind a person: a wall, and in pictures of real cameras the things before it.

Axis letters: r samples that show it, b bands, w samples in a row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import gaussian_filter

from pcfh_render.materials import cloth, paint, wood
from pcfh_render.params import Lamp, Real, Shot
from pcfh_render.streams import generator

_LAMP_SIZE = (0.015, 0.05)  # radius of a lamp in the picture, as a share of the side


@dataclass(frozen=True, kw_only=True)
class Backdrop:
    """The wall and what is before it.

    Attributes:
        sample: numbers of the samples that show it.
        reflectance: of each band that was asked for, of all samples or of one for all.
        shade: how it is lit: unevenly.
        glow: light of lamps in the picture, the same in all bands, or None.
    """

    sample: Int[np.ndarray, " r"]
    reflectance: Mapping[int, Float[np.ndarray, " _"]]
    shade: Float[np.ndarray, " r"]
    glow: Float[np.ndarray, " r"] | None

    def light(self, lamps: tuple[Lamp, ...], level: float, band: int) -> Float[np.ndarray, " r"]:
        """The light that comes from it in one band.

        Args:
            lamps: of the capture.
            level: factor on the light that reaches it.
            band: number of the band.
        """
        colour = np.sum([lamp.colour for lamp in lamps], 0)[band] * self.reflectance[band]
        found = (colour * (level * self.shade)).astype(np.float32)
        return found if self.glow is None else found + self.glow


def backdrop(shot: Shot, width: int, sample: Int[np.ndarray, " r"], bands: Sequence[int]) -> Backdrop:
    """The backdrop of a capture, the same in all lights.

    Args:
        shot: whose seed decides.
        width: samples in a row.
        sample: numbers of the samples that show it.
        bands: numbers of the bands that will be asked for.
    """
    wall = np.array(shot.background)[:, None]
    real = shot.real
    panels = wall[list(bands)] if real is None else _panels(wall, real, shot.seed, width, bands)
    if panels.shape[1] > 1:
        panels = panels[:, sample]
    return Backdrop(
        sample=sample,
        reflectance=dict(zip(bands, panels, strict=True)),
        shade=_shade(shot, width, sample),
        glow=_lamp(real, shot.seed, width)[sample] if real is not None and real.lamp else None,
    )


def _shade(shot: Shot, width: int, sample: Int[np.ndarray, " r"]) -> Float[np.ndarray, " r"]:
    """How the wall is lit: unevenly, and out of focus."""
    rng = generator("wall", shot.seed)
    row = sample // width
    across = np.linspace(-1, 1, width)
    x, y = across.take(sample - row * width), across.take(row)
    slope = rng.normal(0, 0.18, 2)
    shade = 1 + slope[0] * x + slope[1] * y
    for _ in range(5):
        waves, phase = rng.normal(0, 2.2, 2), rng.uniform(0, 6.3)
        shade = shade + 0.05 * np.sin(waves[0] * x + waves[1] * y + phase)
    return np.asarray(np.clip(shade, 0.1, 2))


def _panels(
    wall: Float[np.ndarray, "4 1"], real: Real, seed: int, width: int, bands: Sequence[int]
) -> Float[np.ndarray, "b _"]:
    """Doors, shelves, windows, cloth: patches of other stuff, out of focus; one sample if there are none."""
    rng = generator("backdrop", seed)
    side = width if real.panels else 1
    picture = np.broadcast_to(wall[..., None], (4, side, side)).copy()
    for _ in range(real.panels):
        stuff = (paint, cloth, wood)[rng.integers(3)](rng) * rng.uniform(0.3, 1.0)
        tall, wide = np.exp(rng.uniform(np.log(0.03), np.log(0.9), 2))
        top, left = rng.uniform(-0.3, 1.0, 2)
        rows, columns = (
            slice(max(0, int(start * width)), max(0, int((start + size) * width)))
            for start, size in ((top, tall), (left, wide))
        )
        picture[:, rows, columns] = stuff[:, None, None]
        if rng.uniform() < 0.25:  # with stripes, as blinds and books have them
            period = max(3, int(rng.uniform(0.02, 0.08) * width))
            striped = (
                np.arange(width)[columns] if rng.uniform() < 0.6 else np.arange(width)[rows][:, None]
            ) % period
            picture[:, rows, columns] *= np.where(striped < period / 2, 1.0, rng.uniform(0.3, 0.8))
    blur = real.wall_blur * width
    return np.stack([gaussian_filter(picture[band], blur, truncate=2.5).reshape(-1) for band in bands])


def _lamp(real: Real, seed: int, width: int) -> Float[np.ndarray, " all"]:
    """A lamp behind the person, near an upper corner, equally bright in all bands."""
    rng = generator("lamp", seed)
    x, y = rng.choice([-1, 1]) * rng.uniform(0.72, 0.95), rng.uniform(-0.95, -0.6)
    radius = 2 * rng.uniform(*_LAMP_SIZE)
    across, down = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, width))
    distance = np.hypot(across - x, down - y) / radius
    glow = real.lamp * np.clip(3 - 2 * distance, 0, 1)
    return np.asarray(glow.reshape(-1), np.float32)
