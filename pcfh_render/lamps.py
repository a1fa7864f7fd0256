"""Draws the light of a capture: rooms in visible light, the camera's own flash in near infrared.

Camera coordinates as in ``params``: the origin in the middle of the head, +x to the right of the image, +y
up, +z to the camera. A white wall that faces all lamps at the origin has about 1.
"""

import math
from dataclasses import dataclass

import numpy as np

from pcfh_render.bands import light_colour
from pcfh_render.difficulty import Difficulty
from pcfh_render.params import Bands, Lamp

# Groups of LEDs around the lens of each session's camera: how many, and their distance from its axis in cm.
_RINGS = ((4, 4.5), (2, 5.5), (2, 4.5), (4, 6.0))


@dataclass(frozen=True, kw_only=True)
class Light:
    """All light of a capture.

    Attributes:
        name: "soft", "directed" or "harsh" in visible light, "flash" in near infrared.
        kelvin: colour temperature of the brightest lamp, 0 in near infrared.
        lamps: the lamps.
    """

    name: str
    kelvin: float
    lamps: tuple[Lamp, ...]


def draw_room(rng: np.random.Generator, difficulty: Difficulty) -> Light:
    """Draws visible light: from everywhere, from one lamp or window, and often from a weaker second one."""
    harshness, kelvin = float(rng.uniform(*difficulty.harshness)), _kelvin(rng, difficulty)
    around = 0.8 - 0.62 * harshness
    second = rng.uniform(0.1, 0.35) if rng.uniform() < 0.4 else 0.0
    other = kelvin if rng.uniform() < 0.9 else _kelvin(rng, difficulty)
    lamps = [
        Lamp(kind="ambient", position=(0.0, 0.0, 0.0), colour=_visible(other, around), radius=0.0),
        _distant(rng, harshness, _visible(kelvin, (1 - around) * 1.15), spread=18 + 42 * harshness),
    ]
    if second:
        lamps.append(_distant(rng, 0.3, _visible(other, (1 - around) * second), spread=70.0))
    name = "soft" if harshness < 0.3 else "directed" if harshness < 0.6 else "harsh"
    return Light(name=name, kelvin=kelvin, lamps=tuple(lamps))


def draw_flash(rng: np.random.Generator, difficulty: Difficulty, *, session: int, distance: float) -> Light:
    """Draws near-infrared light: LEDs around the lens, and a little that is in the room anyway.

    Args:
        rng: of the capture.
        difficulty: see there.
        session: each had its own camera.
        distance: of the camera in centimetres.
    """
    number, away = _RINGS[session - 1]
    uneven = 1 + rng.normal(0, 0.04, number)
    leds = tuple(
        Lamp(
            kind="point",
            position=(away * math.cos(angle), away * math.sin(angle), distance),
            colour=(0.0, 0.0, 0.0, float(power) / number),
            radius=0.8,
        )
        for angle, power in zip(_angles(number), uneven, strict=True)
    )
    left_over = float(rng.uniform(0.005, difficulty.ambient_nir))
    room = Lamp(kind="ambient", position=(0.0, 0.0, 0.0), colour=(0.0, 0.0, 0.0, left_over), radius=0.0)
    return Light(name="flash", kelvin=0.0, lamps=(room, *leds))


def beside_the_lens(distance: float) -> tuple[Lamp, ...]:
    """Near-infrared light of two LEDs, left and right of the lens."""
    return tuple(
        Lamp(kind="point", position=(away, 0.0, distance), colour=(0.0, 0.0, 0.0, 0.5), radius=0.8)
        for away in (-3.0, 3.0)
    )


def draw_lamps(rng: np.random.Generator, difficulty: Difficulty, *, distance: float) -> Light:
    """Draws near-infrared light of any camera: LEDs or a ring of them, beside the lens or far from it.

    Their power is uneven, and windows and bulbs add some.

    Args:
        rng: of the capture.
        difficulty: see there.
        distance: of the camera in centimetres.
    """
    kind = rng.uniform()
    far = float(rng.uniform(8, 45)) if kind < 0.3 else 0.0  # the flash stands aside of the camera
    number, away = (8, rng.uniform(2.5, 7)) if kind > 0.8 else (int(rng.integers(1, 5)), rng.uniform(1.2, 7))
    turn, side = rng.uniform(0, 2 * math.pi), rng.uniform(-0.4, 1.2 * math.pi)
    middle = far * math.cos(side), far * math.sin(side)
    powers = np.exp(rng.normal(0, 0.35, number))
    leds = [
        Lamp(
            kind="point",
            position=(middle[0] + away * math.cos(angle), middle[1] + away * math.sin(angle), distance),
            colour=(0.0, 0.0, 0.0, float(power / powers.sum())),
            radius=float(rng.uniform(0.3, 1.5)),
        )
        for angle, power in zip(turn + 2 * math.pi * np.arange(number) / number, powers, strict=True)
    ]
    around = float(difficulty.ambient_nir * rng.uniform() ** 2.5 + 0.005)
    lamps = [
        Lamp(kind="ambient", position=(0.0, 0.0, 0.0), colour=(0.0, 0.0, 0.0, around), radius=0.0),
        *leds,
    ]
    if rng.uniform() < 0.25:
        lamps.append(_distant(rng, 0.5, (0.0, 0.0, 0.0, float(rng.uniform(0.1, 0.8))), spread=60.0))
    return Light(name="aside" if far else "ring" if number == 8 else "flash", kelvin=0.0, lamps=tuple(lamps))


def white_balance(
    rng: np.random.Generator, difficulty: Difficulty, kelvin: float
) -> tuple[float, float, float]:
    """Gains on R, G and B of a camera that corrects the light's colour, not quite."""
    left = rng.uniform(0, difficulty.tint)
    red, green, blue = (light_colour(kelvin)[:3].clip(0.05) ** (left - 1)).tolist()
    return red, green, blue


def _angles(number: int) -> list[float]:
    """Directions of the LEDs around the lens; two of them lie left and right of it."""
    start = 0.0 if number == 2 else math.pi / number
    return [start + 2 * math.pi * place / number for place in range(number)]


def _kelvin(rng: np.random.Generator, difficulty: Difficulty) -> float:
    """A colour temperature, even in its reciprocal as the eye sees it."""
    low, high = difficulty.kelvin
    return float(1 / rng.uniform(1 / high, 1 / low))


def _visible(kelvin: float, power: float) -> Bands:
    """Visible light of some power, without near infrared."""
    red, green, blue = (float(power) * light_colour(kelvin)[:3]).tolist()
    return red, green, blue, 0.0


def _distant(rng: np.random.Generator, harshness: float, colour: Bands, *, spread: float) -> Lamp:
    """A lamp or window in front of the person and mostly above."""
    across = math.radians(float(np.clip(rng.normal(0, spread), -85, 85)))
    above = math.radians(float(np.clip(rng.normal(32, 16), -10, 70)))
    direction = (math.sin(across) * math.cos(above), math.sin(above), math.cos(across) * math.cos(above))
    return Lamp(kind="distant", position=direction, colour=colour, radius=0.5 * (1 - harshness) + 0.03)
