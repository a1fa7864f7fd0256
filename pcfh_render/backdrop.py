"""What is behind a person: a wall, and in pictures of real cameras the things before it.

Axis letters: w samples in a row, r samples of the picture.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter

from pcfh_render.materials import cloth, paint, wood
from pcfh_render.params import Lamp, Real, Shot
from pcfh_render.streams import generator

_LAMP_SIZE = (0.015, 0.05)  # radius of a lamp in the picture, as a share of the side


@dataclass(frozen=True, kw_only=True)
class Backdrop:
    """The wall and what is before it.

    Attributes:
        reflectance: in four bands, of all samples or of one for all.
        shade: how it is lit: unevenly.
        glow: light of lamps in the picture in four bands, or None.
    """

    reflectance: Float[np.ndarray, "4 _"]
    shade: Float[np.ndarray, " r"]
    glow: Float[np.ndarray, "4 r"] | None

    def light(self, lamps: tuple[Lamp, ...], level: float) -> Float[np.ndarray, "4 r"]:
        """The light that comes from it.

        Args:
            lamps: of the capture.
            level: factor on the light that reaches it.
        """
        colour = np.sum([lamp.colour for lamp in lamps], 0)[:, None] * self.reflectance
        found = (colour * (level * self.shade)).astype(np.float32)
        return found if self.glow is None else found + self.glow


def backdrop(shot: Shot, width: int) -> Backdrop:
    """The backdrop of a capture, the same in all lights.

    Args:
        shot: whose seed decides.
        width: samples in a row.
    """
    wall = np.array(shot.background)[:, None]
    if shot.real is None:
        return Backdrop(reflectance=wall, shade=_shade(shot, width), glow=None)
    return Backdrop(
        reflectance=_panels(wall, shot.real, shot.seed, width),
        shade=_shade(shot, width),
        glow=_lamp(shot.real, shot.seed, width) if shot.real.lamp else None,
    )


def _shade(shot: Shot, width: int) -> Float[np.ndarray, " r"]:
    """How the wall is lit: unevenly, and out of focus."""
    rng = generator("wall", shot.seed)
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, width))
    slope = rng.normal(0, 0.18, 2)
    shade = 1 + slope[0] * x + slope[1] * y
    for _ in range(5):
        waves, phase = rng.normal(0, 2.2, 2), rng.uniform(0, 6.3)
        shade = shade + 0.05 * np.sin(waves[0] * x + waves[1] * y + phase)
    return np.asarray(np.clip(shade, 0.1, 2).reshape(-1))


def _panels(wall: Float[np.ndarray, "4 1"], real: Real, seed: int, width: int) -> Float[np.ndarray, "4 r"]:
    """Doors, shelves, windows, cloth: patches of other stuff, out of focus."""
    rng = generator("backdrop", seed)
    picture = np.broadcast_to(wall[..., None], (4, width, width)).copy()
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
    blurred = gaussian_filter(picture, (0, real.wall_blur * width, real.wall_blur * width), truncate=2.5)
    return np.asarray(blurred.reshape(4, -1))


def _lamp(real: Real, seed: int, width: int) -> Float[np.ndarray, "4 r"]:
    """A lamp behind the person, near an upper corner, equally bright in all bands."""
    rng = generator("lamp", seed)
    x, y = rng.choice([-1, 1]) * rng.uniform(0.72, 0.95), rng.uniform(-0.95, -0.6)
    radius = 2 * rng.uniform(*_LAMP_SIZE)
    across, down = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, width))
    distance = np.hypot(across - x, down - y) / radius
    glow = real.lamp * np.clip(3 - 2 * distance, 0, 1)
    return np.repeat(glow.reshape(1, -1), 4, 0).astype(np.float32)
