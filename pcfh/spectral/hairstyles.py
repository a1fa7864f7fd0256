"""Hair of the scalp: how each style lets strands grow, fall and lie around the mean head.

A strand grows step by step: each step turns it towards where its style combs it and gravity pulls it, then
pushes it out of the head. Locks, curls and loose hairs come after. Centimetres, head coordinates of the
mean head (``params.py``). Axis letters: n strands, k points from root to tip.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.spatial import cKDTree

from pcfh.spectral.headspace import HeadSpace, above_hairline
from pcfh.spectral.params import HairStyle, Look, Person
from pcfh.spectral.strands import cross, unit

_CROWN = np.array([0.0, 13.6, -3.5], np.float32)
_TIE = np.array([0.0, 5.0, -10.0], np.float32)
_LOWEST = -24.0
# Half of the face's width over its height: hair that is no fringe stays outside.
_FACE_Y = np.array([-9, -6, -3, 0, 4, 7, 9, 10.5, 12], np.float32)
_FACE_X = np.array([5.6, 6.4, 7.0, 7.3, 7.3, 6.9, 6.2, 4.6, 0], np.float32)

Places = Float[np.ndarray, "n 3"]


@dataclass(frozen=True, kw_only=True)
class Cut:
    """What makes a style.

    Attributes:
        number: of strands.
        points: of each strand.
        width: of a strand near its root.
        comb: where the style directs hair: a name in ``_COMBS``.
        lift: how steeply hair leaves the skin, against the comb's direction of length 1.
        fall: pull of gravity against the comb's direction.
        bend: how far each step turns towards where it is pulled, 0 to 1.
        press: how much hair far from the skin returns to it.
        volume: thickness of the layer of hair on the head.
        lock: how much hairs draw together into locks, 0 to 1.
        wave: radius of curls.
        wavelength: of curls.
        loose: share of hairs that go their own way.
        sides: length at the sides and the nape against that on top.
        ears: whether hair lies over the ears rather than under them.
    """

    number: int = 6000
    points: int = 8
    width: float = 0.11
    comb: str = "crown"
    lift: float = 0.8
    fall: float = 0.2
    bend: float = 0.35
    press: float = 0.0
    volume: float = 0.4
    lock: float = 0.4
    wave: float = 0.0
    wavelength: float = 4.0
    loose: float = 0.06
    sides: float = 1.0
    ears: bool = False


CUTS: Mapping[HairStyle, Cut] = {
    "bald": Cut(number=5000, points=5, lift=0.5, volume=0.25, width=0.1),
    "cropped": Cut(number=7000, points=5, lift=0.8, volume=0.2, lock=0.15, sides=0.7, width=0.1),
    "short": Cut(number=6500, points=7, lift=0.9, fall=0.35, volume=0.8, sides=0.45, press=0.15),
    "side_part": Cut(points=8, comb="part", lift=0.7, fall=0.3, volume=1.1, sides=0.4, press=0.5, bend=0.5),
    "swept_back": Cut(points=8, comb="back", lift=0.9, fall=0.1, volume=1.2, sides=0.5, press=0.5, bend=0.45),
    "curly": Cut(
        number=4500, points=12, lift=1.2, fall=0.35, volume=1.5, lock=0.75, wave=0.4, wavelength=2.4, loose=0.15
    ),
    "afro": Cut(
        number=5500, points=11, comb="out", lift=3.0, fall=0.03, bend=0.1, lock=0.35, wave=0.3, wavelength=1.5,
        loose=0.05, volume=0.3,
    ),
    "bob": Cut(
        number=5500, points=10, comb="part", lift=0.4, fall=3.2, bend=0.6, press=0.6, volume=0.8, lock=0.45, ears=True
    ),
    "long": Cut(
        number=5500, points=10, comb="part", lift=0.4, fall=3.2, bend=0.6, press=0.5, volume=0.8, lock=0.55,
        ears=True, width=0.13,
    ),
    "tied": Cut(number=5500, points=10, comb="tie", lift=0.25, fall=0.0, bend=0.7, press=1.0, volume=0.5, lock=0.3),
}  # fmt: skip


def cut_of(person: Person, look: Look) -> Cut:
    """The style of a look, with the person's curls in it."""
    cut = CUTS[look.hair_style]
    if cut.wave:
        return replace(cut, wave=cut.wave * (0.7 + 0.6 * person.curl))
    step = max(look.hair_length, 1.0) / cut.points
    return replace(
        cut,
        wave=0.5 * person.curl * min(1.0, look.hair_length / 6),
        wavelength=max(8 - 4 * person.curl, 4 * step),
        volume=cut.volume * (1 + 0.6 * person.curl),
    )


@dataclass(frozen=True, kw_only=True)
class Root:
    """What a strand knows of itself when it grows, one row per strand."""

    place: Places
    normal: Places
    layer: Float[np.ndarray, " n"]
    length: Float[np.ndarray, " n"]
    parting: float
    fringe: Float[np.ndarray, " n"]


def grow(space: HeadSpace, root: Root, cut: Cut) -> Float[np.ndarray, "n k 3"]:
    """Lets strands grow from the skin, each step combed, pulled down and pushed out of the head."""
    place = root.place
    heading = unit(cut.lift * root.normal + _comb(cut, root, place))
    clear, away = np.zeros(len(place), np.float32), root.normal
    step = (root.length / (cut.points - 1))[:, None]
    chain = [place]
    for number in range(1, cut.points):
        share = number / (cut.points - 1)
        wanted = _comb(cut, root, place)
        wanted[:, 1] -= cut.fall * (0.1 + 1.3 * share)
        wanted -= cut.press * np.clip(clear - root.layer, -1, 1)[:, None] * away
        heading = unit((1 - cut.bend) * heading + cut.bend * wanted)
        place, clear, away = _outside(space, place + step * heading, root.layer * min(1, 3 * share), cut.ears)
        heading = unit(place - chain[-1])
        chain.append(place)
    return np.stack(chain, 1)


def _outside(
    space: HeadSpace, place: Places, least: Float[np.ndarray, " n"], ears: bool
) -> tuple[Places, Float[np.ndarray, " n"], Places]:
    """Moves places until they are as far from the skin as they have to be."""
    clear, away = space.clearance(place, ears=ears)
    lack = np.maximum(least - clear, 0)
    return place + lack[:, None] * away, clear + lack, away


def _comb(cut: Cut, root: Root, place: Places) -> Places:
    """Where a style directs hair at a place: about length 1, in any direction."""
    combed = _COMBS[cut.comb](root, place)
    forward = np.array([0, -0.35, 1], np.float32) + 0.25 * unit(root.place)
    return combed + root.fringe[:, None] * (forward - combed)


def _from_crown(root: Root, place: Places) -> Places:
    """Natural growth: away from the crown, on the forehead to the front, at the sides downwards."""
    away = unit(place - _CROWN)
    down = _low(place)
    return away * np.array([1, 0.4, 1], np.float32) + down[:, None] * np.array([0, -0.9, -0.2], np.float32)


def _from_parting(root: Root, place: Places) -> Places:
    """Away from the parting to both sides, and backwards at the forehead, so that the face stays free."""
    side = np.where(root.place[:, 0] > root.parting, 1, -1).astype(np.float32)
    down = _low(place)
    front = np.clip((place[:, 2] - 1) / 7, 0, 1)
    back = -0.55 * front - 0.25 + 0.6 * (root.place[:, 2] < -5)
    return np.stack([side * (1 - 0.75 * down), -0.9 * down, back], -1)


def _backwards(root: Root, place: Places) -> Places:
    """Back over the head, at its back downwards."""
    behind = np.clip((-place[:, 2] - 2) / 5, 0, 1)
    return np.stack([-0.04 * place[:, 0], -0.9 * behind - 0.35 * _low(place), behind * 0.6 - 1], -1)


def _to_tie(root: Root, place: Places) -> Places:
    """Towards the point at the back of the head where hair is tied."""
    return unit(_TIE - place)


def _outwards(root: Root, place: Places) -> Places:
    """Straight away from the head."""
    return 0.6 * root.normal + 0.4 * unit(place - np.array([0, 5, 0], np.float32))


def _low(place: Places) -> Float[np.ndarray, " n"]:
    """0 on top of the head, 1 at the sides and below."""
    return np.clip((11 - place[:, 1]) / 5, 0, 1)


_COMBS = {
    "crown": _from_crown,
    "part": _from_parting,
    "back": _backwards,
    "tie": _to_tie,
    "out": _outwards,
}


def lengths(place: Places, cut: Cut, look: Look, rng: np.random.Generator) -> Float[np.ndarray, " n"]:
    """Length of each strand by where it stands."""
    top = np.clip((place[:, 1] - 3) / 8, 0, 1)
    share = cut.sides + (1 - cut.sides) * top * top
    uneven = rng.uniform(0.75, 1.0, len(place))
    return (np.maximum(look.hair_length, 0.5) * share * uneven).astype(np.float32)


def trim(points: Float[np.ndarray, "n k 3"], level: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n k 3"]:
    """Cuts strands where they fall below a level, keeping the number of points."""
    number, count = points.shape[:2]
    below = points[..., 1] < level[:, None]
    below[:, 0] = False
    first = np.where(below.any(1), below.argmax(1), count - 1)
    rows = np.arange(number)
    upper, lower = points[rows, first - 1, 1], points[rows, first, 1]
    part = np.clip((upper - level) / np.maximum(upper - lower, 1e-3), 0.05, 1)
    end = np.where(below.any(1), first - 1 + part, count - 1)
    places = np.linspace(0, 1, count) * end[:, None]
    left = np.minimum(places.astype(int), count - 2)
    part = (places - left)[..., None].astype(np.float32)
    return points[rows[:, None], left] * (1 - part) + points[rows[:, None], left + 1] * part


def lock(
    points: Float[np.ndarray, "n k 3"], cut: Cut, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "n k 3"], np.ndarray]:
    """Draws hairs together into locks towards their tips; gives the number of each hair's lock too."""
    number, count = points.shape[:2]
    guides = rng.choice(number, max(1, number // 22), replace=False)
    own = cKDTree(points[guides, 0]).query(points[:, 0] + rng.normal(0, 0.25, (number, 3)))[1]
    guide = points[guides[own]]
    beside = 0.4 * (points[:, :1] - guide[:, :1])
    share = cut.lock * rng.uniform(0.4, 1, (number, 1, 1)) * np.linspace(0, 1, count)[:, None] ** 0.7
    share = np.where(rng.uniform(size=(number, 1, 1)) < cut.loose, 0, share)
    return (points + share * (guide + beside - points)).astype(np.float32), own


def curl(
    points: Float[np.ndarray, "n k 3"], own: np.ndarray, cut: Cut, rng: np.random.Generator
) -> Float[np.ndarray, "n k 3"]:
    """Winds hairs about their course, hairs of one lock together."""
    if cut.wave < 0.02:
        return points
    along = unit(np.gradient(points, axis=1))
    side = unit(cross(along, np.broadcast_to(np.array([0.3, 0.5, 0.8], np.float32), along.shape)))
    travelled = np.cumsum(np.linalg.norm(np.diff(points, axis=1, prepend=points[:, :1]), axis=-1), 1)
    phase = rng.uniform(0, 2 * np.pi, own.max() + 1)[own] + rng.normal(0, 0.5, len(own))
    pace = rng.uniform(0.8, 1.25, own.max() + 1)[own]
    turn = (phase[:, None] + 2 * np.pi * travelled * (pace / cut.wavelength)[:, None])[..., None]
    radius = cut.wave * np.clip(travelled / 1.5, 0, 1)[..., None]
    return (points + radius * (np.cos(turn) * side + np.sin(turn) * cross(along, side))).astype(np.float32)


def off_the_face(points: Float[np.ndarray, "n k 3"], root: Root) -> Float[np.ndarray, "n k 3"]:
    """Moves hair in front of the face to its sides, except a fringe."""
    flat = points.reshape(-1, 3)
    half = np.interp(flat[:, 1], _FACE_Y, _FACE_X)
    inside = (flat[:, 2] > 2.5) & (above_hairline(flat, 0.0) < 0) & (np.abs(flat[:, 0]) < half)
    inside &= np.repeat(root.fringe < 0.5, points.shape[1])
    side = np.repeat(np.where(root.place[:, 0] > root.parting, 1, -1), points.shape[1])
    moved = flat.copy()
    moved[inside, 0] = (side * half)[inside]
    return moved.reshape(points.shape)


def floor(look: Look, number: int, rng: np.random.Generator) -> Float[np.ndarray, " n"]:
    """The height at which falling hair has been cut."""
    level = max(16.0 - look.hair_length, _LOWEST)
    spread = 0.35 if look.hair_style == "bob" else 2.0
    return (level + np.abs(rng.normal(0, spread, number))).astype(np.float32)
