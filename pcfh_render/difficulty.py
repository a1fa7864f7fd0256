"""How hard a rendered database is: one set of ranges for all that makes captures differ.

Angles in degrees, lengths in centimetres, blur in pixels, noise as in ``params.Camera``. A share is a
probability, a spread a standard deviation, a range (lowest, highest).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from pcfh.errors import UserError

Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Difficulty:
    """Ranges that captures are drawn from.

    Attributes:
        turned: share of captures whose pose comes from the tails.
        yaw: spread of the others.
        yaw_most: largest yaw of the tails.
        pitch: spread.
        pitch_most: largest.
        roll: spread.
        roll_most: largest.
        expressive: share of captures with an expression.
        strength: range of its strength.
        uneven: spread of the difference between the halves of the face.
        gaze: spread of the direction of the gaze.
        blinking: share of captures with closed or half closed lids.
        wearing: share of captures in which owners of glasses wear them.
        nir_distance: range in near infrared.
        vis_distance: range in visible light.
        height: range of what the picture's height spans.
        shift: spread of the head's place, as a share of the side.
        harshness: range, 0 light from everywhere, 1 one small lamp.
        kelvin: range of the colour temperature of visible light.
        tint: most that is left of the light's colour after the white balance, 0 to 1.
        exposure: spread of its logarithm.
        blur: range.
        noise: factor range on the sensor noise.
        jpeg: range of the quality.
        ambient_nir: most of the near-infrared light that is not the camera's.
        real: whether near-infrared captures are those of all kinds of cameras, see ``params.Real``.
    """

    turned: float
    yaw: float
    yaw_most: float
    pitch: float
    pitch_most: float
    roll: float
    roll_most: float
    expressive: float
    strength: Range
    uneven: float
    gaze: float
    blinking: float
    wearing: float
    nir_distance: Range
    vis_distance: Range
    height: Range
    shift: float
    harshness: Range
    kelvin: Range
    tint: float
    exposure: float
    blur: Range
    noise: Range
    jpeg: tuple[int, int]
    ambient_nir: float
    real: bool = False


_EASY = Difficulty(
    turned=0.0,
    yaw=5.0,
    yaw_most=12.0,
    pitch=3.0,
    pitch_most=8.0,
    roll=2.0,
    roll_most=5.0,
    expressive=0.25,
    strength=(0.2, 0.6),
    uneven=0.06,
    gaze=2.0,
    blinking=0.0,
    wearing=0.3,
    nir_distance=(70.0, 90.0),
    vis_distance=(90.0, 130.0),
    height=(29.0, 32.0),
    shift=0.01,
    harshness=(0.0, 0.4),
    kelvin=(4800.0, 6500.0),
    tint=0.1,
    exposure=0.06,
    blur=(0.2, 0.5),
    noise=(0.4, 0.8),
    jpeg=(90, 95),
    ambient_nir=0.02,
)
_CASIA = Difficulty(
    turned=0.15,
    yaw=9.0,
    yaw_most=45.0,
    pitch=5.5,
    pitch_most=25.0,
    roll=3.5,
    roll_most=15.0,
    expressive=0.5,
    strength=(0.3, 1.0),
    uneven=0.15,
    gaze=5.0,
    blinking=0.04,
    wearing=0.85,
    nir_distance=(50.0, 100.0),
    vis_distance=(70.0, 180.0),
    height=(29.0, 37.0),
    shift=0.02,
    harshness=(0.0, 0.85),
    kelvin=(2900.0, 7500.0),
    tint=0.18,
    exposure=0.16,
    blur=(0.3, 0.9),
    noise=(0.6, 1.6),
    jpeg=(80, 95),
    ambient_nir=0.06,
)
_HARD = Difficulty(
    turned=0.35,
    yaw=13.0,
    yaw_most=45.0,
    pitch=8.0,
    pitch_most=25.0,
    roll=5.0,
    roll_most=15.0,
    expressive=0.7,
    strength=(0.4, 1.1),
    uneven=0.25,
    gaze=9.0,
    blinking=0.08,
    wearing=0.9,
    nir_distance=(45.0, 140.0),
    vis_distance=(55.0, 260.0),
    height=(28.0, 46.0),
    shift=0.035,
    harshness=(0.2, 1.0),
    kelvin=(2500.0, 9500.0),
    tint=0.6,
    exposure=0.3,
    blur=(0.4, 1.5),
    noise=(1.0, 3.0),
    jpeg=(60, 92),
    ambient_nir=0.2,
)
# Tighter pictures than the others: what is cropped to 256 pixels should have as many.
_WILD = replace(
    _CASIA,
    turned=0.2,
    gaze=7.0,
    blinking=0.06,
    nir_distance=(35.0, 150.0),
    height=(19.0, 31.0),
    shift=0.035,
    noise=(0.4, 1.6),
    jpeg=(85, 95),
    ambient_nir=0.5,
    real=True,
)
# What the suite of shifts changes: as in _CASIA, but as tight as the others of its size.
_CLOSE = replace(_CASIA, height=(22.0, 27.0))
DIFFICULTIES: Mapping[str, Difficulty] = MappingProxyType(
    {"easy": _EASY, "casia": _CASIA, "hard": _HARD, "wild": _WILD, "close": _CLOSE}
)


def difficulty_of(name: str) -> Difficulty:
    """Looks a preset up.

    Raises:
        UserError: there is none of that name.
    """
    if name not in DIFFICULTIES:
        raise UserError(f"expected a difficulty of {', '.join(DIFFICULTIES)}, got {name!r}")
    return DIFFICULTIES[name]
