"""Hair of the scalp: how each style lets strands grow, fall and lie around the mean head.

A strand grows step by step: each step turns it towards where its style combs it and gravity pulls it, then
pushes it out of the head. Locks, curls and loose hairs come after. Centimetres, head coordinates of the
mean head (``params.py``). Axis letters: n strands, k points from root to tip.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from pcfh_render.headspace import HeadSpace, above_hairline
from pcfh_render.params import HairStyle, Look, Person
from pcfh_render.strands import unit

_CROWN = np.array([0.0, 13.6, -3.5], np.float32)
_TIES = (1.0, 7.5)  # lowest and highest place where hair is tied
_BACK = -9.3
TIE_STEPS = 8

Places = Float[np.ndarray, "n 3"]
Beside = tuple[Float[np.ndarray, " n"], Places]  # distance from the skin, direction away from it


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
    "bald": Cut(number=4500, points=5, lift=0.4, fall=0.5, volume=0.2, width=0.1, bend=0.5),
    "cropped": Cut(number=7000, points=5, lift=0.8, volume=0.2, lock=0.15, sides=0.7, width=0.1),
    "short": Cut(number=6500, points=7, lift=0.9, fall=0.35, volume=0.8, sides=0.4, press=0.3),
    "side_part": Cut(
        points=9, comb="part", lift=0.9, fall=0.25, volume=1.3, sides=0.33, press=0.9, bend=0.55, lock=0.55
    ),
    "swept_back": Cut(
        points=8, comb="back", lift=1.1, fall=0.1, volume=1.4, sides=0.36, press=0.6, bend=0.45
    ),
    "curly": Cut(
        number=4500,
        points=12,
        comb="curls",
        width=0.15,
        lift=1.2,
        fall=0.3,
        volume=1.3,
        press=0.45,
        lock=0.8,
        wave=0.42,
        wavelength=2.6,
        loose=0.05,
        sides=0.6,
    ),
    "afro": Cut(
        number=5000,
        points=11,
        comb="out",
        width=0.15,
        lift=3.0,
        fall=0.03,
        bend=0.1,
        volume=0.3,
        lock=0.4,
        wave=0.32,
        wavelength=1.6,
        loose=0.05,
    ),
    "bob": Cut(
        number=4500,
        points=12,
        comb="part",
        width=0.14,
        lift=0.5,
        fall=1.2,
        bend=0.65,
        press=0.9,
        volume=1.2,
        lock=0.45,
        loose=0.03,
        ears=True,
    ),
    "long": Cut(
        number=4500,
        points=12,
        comb="part",
        width=0.15,
        lift=0.5,
        fall=1.2,
        bend=0.65,
        press=0.9,
        volume=1.2,
        lock=0.6,
        loose=0.03,
        ears=True,
    ),
    "tied": Cut(
        number=4500, points=12, comb="tie", width=0.14, lift=0.1, fall=0.0, bend=1.0, volume=0.5, lock=0.3
    ),
}


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
    """What strands know of themselves when they grow, most of it one row per strand.

    Attributes:
        place: on the skin.
        normal: of the skin there, not quite even.
        layer: how far from the skin each strand lies on the head.
        length: of each strand.
        parting: where hair is parted, to the person's left of the middle.
        front: direction of short hair over the forehead.
        tie: where hair is tied.
        fringe: 1 for strands that fall over the forehead, 0 for others.
    """

    place: Places
    normal: Places
    layer: Float[np.ndarray, " n"]
    length: Float[np.ndarray, " n"]
    parting: float
    front: Float[np.ndarray, "3"]
    tie: Float[np.ndarray, "3"]
    fringe: Float[np.ndarray, " n"]


def grow(space: HeadSpace, root: Root, cut: Cut) -> Float[np.ndarray, "n k 3"]:
    """Lets strands grow from the skin, each step combed, pulled down and pushed out of the head."""
    place, clear, away = root.place, np.zeros(len(root.place), np.float32), root.normal
    heading = unit(cut.lift * root.normal + _comb(cut, root, place))
    chain = [place]
    for number in range(1, cut.points):
        wanted = _wanted(cut, root, place, number / (cut.points - 1))
        wanted = _lain(cut, root.layer, place, wanted, (clear, away))
        heading = unit((1 - cut.bend) * heading + cut.bend * wanted)
        step = _step(cut, root, place, number)
        least = root.layer * min(1, 3 * number / (cut.points - 1))
        place, clear, away = _outside(space, place + step[:, None] * heading, least, cut.ears)
        heading = unit(place - chain[-1])
        chain.append(place)
    return np.stack(chain, 1)


def _wanted(cut: Cut, root: Root, place: Places, share: float) -> Places:
    """Where the comb and gravity pull hair at a place."""
    wanted = _comb(cut, root, place)
    wanted[:, 1] -= cut.fall * (0.3 + share)
    return wanted


def _lain(cut: Cut, layer: Float[np.ndarray, " n"], place: Places, wanted: Places, beside: Beside) -> Places:
    """Bends a direction so that hair keeps to the head; heavy hair below the ears hangs free."""
    clear, away = beside
    leaving = np.einsum("nc,nc->n", wanted, away) + cut.press * np.clip(clear - layer, 0, 1)
    hold = np.minimum(1.5 * cut.press, 1) * (1 if cut.fall < 1 else np.clip((place[:, 1] - 1) / 5, 0, 1))
    return wanted - (hold * np.maximum(leaving, 0))[:, None] * away


def _step(cut: Cut, root: Root, place: Places, number: int) -> Float[np.ndarray, " n"]:
    """Length of one step: short ones first, where hair bends; tied hair arrives at the tie."""
    if cut.comb == "tie":
        left = np.linalg.norm(place - root.tie, axis=1)
        return (left / max(TIE_STEPS + 1 - number, 1)).astype(np.float32)
    steps = cut.points - 1
    return (root.length / steps * (0.6 + 0.8 * (number - 1) / (steps - 1))).astype(np.float32)


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
    forward = np.array([0, -0.6, 1], np.float32) + 0.35 * unit(root.place)
    return combed + root.fringe[:, None] * (forward - combed)


def _from_crown(root: Root, place: Places) -> Places:
    """Natural growth: away from the crown, at the sides downwards, on the forehead as it is combed."""
    away = unit(place - _CROWN) * np.array([1, 0.4, 1], np.float32)
    down = _low(place)[:, None] * np.array([0, -0.9, -0.2], np.float32)
    front = np.clip((root.place[:, 2] - 3) / 4, 0, 1) * np.clip((root.place[:, 1] - 8) / 2, 0, 1)
    return away + down + front[:, None] * (root.front - away)


def _from_parting(root: Root, place: Places) -> Places:
    """Away from the parting to both sides, backwards at the forehead; behind the crown from it."""
    side = np.where(root.place[:, 0] > root.parting, 1, -1).astype(np.float32)
    down = _low(place)
    front = np.clip((place[:, 2] - 1) / 7, 0, 1)
    parted = np.stack([side * (1 - 0.6 * down), -0.9 * down, -0.15 - 0.65 * front], -1)
    behind = np.clip((1.5 - root.place[:, 2]) / 4, 0, 1)[:, None]
    return parted + behind * (_from_crown(root, place) - parted)


def _backwards(root: Root, place: Places) -> Places:
    """Back over the head, at its back downwards."""
    behind = np.clip((-place[:, 2] - 2) / 5, 0, 1)
    return np.stack([-0.04 * place[:, 0], -0.9 * behind - 0.35 * _low(place), behind * 0.6 - 1], -1)


def _to_tie(root: Root, place: Places) -> Places:
    """Towards the point at the back of the head where hair is tied."""
    return unit(root.tie - place)


def _in_curls(root: Root, place: Places) -> Places:
    """Curls stand off as they grow, and lean away from the crown."""
    return 0.5 * _from_crown(root, place) + 0.5 * root.normal


def _outwards(root: Root, place: Places) -> Places:
    """Straight away from the head."""
    return 0.4 * root.normal + 0.6 * unit(place - np.array([0, 6, -0.5], np.float32))


def _low(place: Places) -> Float[np.ndarray, " n"]:
    """0 on top of the head, 1 at the sides and below."""
    return np.clip((11 - place[:, 1]) / 5, 0, 1)


_COMBS = {
    "crown": _from_crown,
    "part": _from_parting,
    "back": _backwards,
    "tie": _to_tie,
    "curls": _in_curls,
    "out": _outwards,
}


def strand_roots(place: Places, normal: Places, *, cut: Cut, look: Look, rng: np.random.Generator) -> Root:
    """Decides what the strands of a look are like.

    Args:
        place: where strands stand on the mean head.
        normal: of the skin there.
        cut: the style.
        look: length and style of the day.
        rng: the rest.
    """
    number = len(place)
    height = np.clip((place[:, 1] + 4) / 18, 0, 1)
    layer = cut.volume * (0.1 + 0.4 * height + 0.5 * rng.uniform(size=number) * height)
    parting = rng.choice([-3.2, 3.2]) if look.hair_style == "side_part" else rng.normal(0, 1.2)
    front = np.array([rng.normal(0, 0.6), rng.uniform(-0.2, 0.5), rng.uniform(0.2, 0.7)])
    falls = look.hair_style in ("bob", "long")
    edge = above_hairline(place, 0.0)
    fringed = falls and rng.uniform() < 0.4
    fringe = fringed & (np.abs(place[:, 0]) < 6.4) & (edge < 3.2) & (place[:, 2] > 4)
    return Root(
        place=place,
        normal=unit(normal + rng.normal(0, 0.15, (number, 3))).astype(np.float32),
        layer=np.where(fringe, 0.25 * rng.uniform(0.6, 1.6, number), layer).astype(np.float32),
        length=_lengths(place, edge, cut=cut, look=look, rng=rng),
        parting=float(parting),
        front=front.astype(np.float32),
        tie=np.array([0.0, rng.uniform(*_TIES), _BACK], np.float32),
        fringe=fringe.astype(np.float32),
    )


def _lengths(
    place: Places, edge: Float[np.ndarray, " n"], *, cut: Cut, look: Look, rng: np.random.Generator
) -> Float[np.ndarray, " n"]:
    """Length of each strand by where it stands; falling hair is cut at its level later."""
    uneven = rng.uniform(0.75, 1.0, len(place))
    if look.hair_style in ("bob", "long"):
        return np.full(len(place), min(1.3 * look.hair_length, 42.0), np.float32)
    if look.hair_style == "bald":
        return (0.7 * uneven).astype(np.float32)
    top = np.clip((place[:, 1] - 3) / 8, 0, 1)
    share = cut.sides + (1 - cut.sides) * top * top
    share = share * np.clip(0.6 + 0.2 * edge, 0.4 if look.hair_style == "afro" else 0.6, 1)
    shrunk = {"afro": 0.6, "curly": 0.75}.get(look.hair_style, 1.0)
    return (max(shrunk * look.hair_length, 0.5) * share * uneven).astype(np.float32)
