"""What near-infrared cameras do to a picture of a face: the kinds, and how far each goes.

One set of ranges for two users: the renderer, whose difficulty "wild" takes captures so, and training, which
varies the captures that it has (``pcfh.methods.cameras``). They follow what is described of webcams, phones,
access control and eye trackers: exposures over five stops, other transfer curves, light that falls off,
glare, defocus, motion, small sensors, and cheap processing.

Light is linear, 1 is where the sensor is full. Lengths are shares of the picture's side, so that they mean
the same in pictures of any size.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

Margin = Literal["none", "white", "black", "box", "streak"]
MARGINS: tuple[Margin, ...] = ("none", "white", "black", "box", "streak")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One thing that cameras do.

    Attributes:
        share: of captures that have it.
        low: of its strength there.
        high: of its strength there.
        without: its strength in the other captures.
        logarithmic: whether it is drawn evenly in its logarithm.
    """

    share: float
    low: float
    high: float
    without: float = 0.0
    logarithmic: bool = False

    def at(self, place: Any, present: Any, *, where: Callable[..., Any], exp: Callable[..., Any]) -> Any:
        """The strength for two even draws from [0, 1), numbers or arrays of any library.

        Args:
            place: which strength of the range.
            present: whether there is any.
            where: of the library.
            exp: of the library.
        """
        if self.logarithmic:
            low, high = float(np.log(self.low)), float(np.log(self.high))
            strength = exp(low + (high - low) * place)
        else:
            strength = self.low + (self.high - self.low) * place
        return where(present < self.share, strength, strength * 0 + self.without)


def _always(low: float, high: float, *, logarithmic: bool = False) -> Kind:
    return Kind(share=1.0, low=low, high=high, logarithmic=logarithmic)


# By the field of ``Capture``. Blur and the like are for a face that fills a crop; 1 / 256 is one pixel there.
KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "stops": _always(-3.6, 1.4),
        "gamma": _always(0.62, 1.5, logarithmic=True),
        "black": Kind(share=0.5, low=-0.03, high=0.10),
        "shoulder": Kind(share=0.6, low=0.05, high=0.4),
        "vignette": Kind(share=0.5, low=0.1, high=0.75),
        "slope": Kind(share=0.6, low=0.05, high=0.6),
        "slope_angle": _always(0.0, 6.2832),
        "bloom": Kind(share=0.4, low=0.01, high=0.10),
        "defocus": Kind(share=0.55, low=0.0015, high=0.012, logarithmic=True),
        "motion": Kind(share=0.15, low=0.006, high=0.035, logarithmic=True),
        "motion_angle": _always(0.0, 3.1416),
        "noise": _always(0.001, 0.012, logarithmic=True),
        "rows": Kind(share=0.15, low=0.0005, high=0.003),
        "levels": Kind(share=0.35, low=60.0, high=300.0, without=1023.0, logarithmic=True),
        "interlace": Kind(share=0.08, low=0.003, high=0.014),
        "denoise": Kind(share=0.35, low=0.3, high=1.0),
        "sharpen": Kind(share=0.45, low=0.3, high=2.2),
        "shrink": Kind(share=0.35, low=1.3, high=4.5, without=1.0, logarithmic=True),
        "dots": Kind(share=0.06, low=0.1, high=0.5),
        "dot_pitch": _always(0.012, 0.03),
        "quality": Kind(share=0.6, low=22.0, high=80.0, without=95.0),
    }
)
MARGIN_SHARES: Mapping[Margin, float] = MappingProxyType(
    {"none": 0.84, "white": 0.05, "black": 0.05, "box": 0.03, "streak": 0.03}
)
MARGIN_WIDTH = (0.02, 0.16)


@dataclass(frozen=True, kw_only=True)
class Capture:
    """What one camera does to one picture; the values given here do nothing.

    Attributes:
        stops: exposure in powers of two, from one that suits the face.
        gamma: exponent on the coded picture; above 1 darker middle tones.
        black: what is added at black, negative where dark parts are cut off.
        shoulder: share of the range below white where light is compressed; 0 clips hard.
        vignette: share of the light that is lost in the corners.
        slope: how much brighter one side is than the middle.
        slope_angle: where that side lies, radians from the right, clockwise.
        bloom: share of overflowing light that is spread around.
        defocus: radius of the disc of a point.
        motion: length of the way during the exposure.
        motion_angle: direction of it, radians.
        noise: standard deviation at the sensor's black; that of the light is four times as much at white.
        rows: standard deviation of whole rows.
        levels: that the sensor tells apart below white, before exposure is made up for.
        interlace: how far every second row is shifted.
        denoise: share of a median filter.
        sharpen: strength of an unsharp mask.
        shrink: how many times smaller the picture was once.
        dots: contrast of a projector's dots.
        dot_pitch: their distance.
        quality: of a JPEG step.
        margin: kind of border.
        margin_width: of it.
    """

    stops: float = 0.0
    gamma: float = 1.0
    black: float = 0.0
    shoulder: float = 0.0
    vignette: float = 0.0
    slope: float = 0.0
    slope_angle: float = 0.0
    bloom: float = 0.0
    defocus: float = 0.0
    motion: float = 0.0
    motion_angle: float = 0.0
    noise: float = 0.0
    rows: float = 0.0
    levels: float = 1023.0
    interlace: float = 0.0
    denoise: float = 0.0
    sharpen: float = 0.0
    shrink: float = 1.0
    dots: float = 0.0
    dot_pitch: float = 0.02
    quality: float = 95.0
    margin: Margin = "none"
    margin_width: float = 0.0


def draw_capture(rng: np.random.Generator) -> Capture:
    """Draws a camera and the moment of its picture; every capture draws equally often."""
    drawn = {
        name: float(kind.at(rng.uniform(), rng.uniform(), where=np.where, exp=np.exp))
        for name, kind in KINDS.items()
    }
    # Both ends are rare.
    low, high = KINDS["stops"].low, KINDS["stops"].high
    drawn["stops"] = float(low + (high - low) * rng.beta(3.5, 3.5))
    edges = np.cumsum(list(MARGIN_SHARES.values()))
    margin = MARGINS[min(int(np.searchsorted(edges, rng.uniform(), side="right")), len(MARGINS) - 1)]
    width = float(rng.uniform(*MARGIN_WIDTH))
    return Capture(**drawn, margin=margin, margin_width=width if margin != "none" else 0.0)


def described(capture: Capture) -> dict[str, str | float]:
    """All of it by name, for tables."""
    return {field.name: getattr(capture, field.name) for field in fields(capture)}
