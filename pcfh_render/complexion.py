"""The skin of one person on one day, texel by texel: colour in four bands, gloss, and small relief.

Masks are laid out once on the mean head; a person's seed, age and pigments fill them. Centimetres, head
coordinates (``params.py``). Axis letters: n texels (see ``Atlas``), p points of a line.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache, partial
from itertools import pairwise, product

import numpy as np
from jaxtyping import Bool, Float, Int

from pcfh_render import materials
from pcfh_render.atlas import Atlas, Places
from pcfh_render.facemodel import LANDMARKS, FaceModel
from pcfh_render.hair import beard_mask, scalp_mask
from pcfh_render.params import BeardStyle, Look, Person
from pcfh_render.skin import SkinTable, lip_skin
from pcfh_render.streams import generator

Field = Float[np.ndarray, " n"]
_CELLS = 32  # of the noise's lattice along each axis; a power of two
_CHUNK = 8192  # texels at a time, which stay in the processor's cache
_BEARDS: tuple[BeardStyle, ...] = ("full", "moustache", "goatee")
_BEARD_SHADOW = 0.45  # of the hair's colour that shows through where a thick beard was shaved


@dataclass(frozen=True, kw_only=True)
class Regions:
    """Where the parts of a face are: 0 outside, 1 inside, soft between.

    Attributes:
        lips: the red of the lips.
        cheeks: cheeks, nose and ears, where blood is near.
        eyes: the thin skin around the eyes.
        oily: forehead, nose and chin.
        sun: what the sun reaches: forehead, cheeks, nose.
        folds: lines that age draws; deep where 1.
        beards: where those of each style grow that has one.
    """

    lips: Field
    cheeks: Field
    eyes: Field
    oily: Field
    sun: Field
    folds: Field
    beards: Mapping[BeardStyle, Field]

    def part(self, texels: Int[np.ndarray, " k"]) -> "Regions":
        """The same at some texels."""
        plain = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "beards"}
        return Regions(
            **{name: values.take(texels) for name, values in plain.items()},
            beards={style: values.take(texels) for style, values in self.beards.items()},
        )


@dataclass(frozen=True, kw_only=True)
class Complexion:
    """What the renderer looks up at each of some texels.

    Attributes:
        albedo: diffuse reflectance in four bands.
        gloss: strength of the mirrored light, 1 for usual skin.
        relief: slope of the small relief, to be subtracted from the normal.
    """

    albedo: Float[np.ndarray, "n 4"]
    gloss: Field
    relief: Float[np.ndarray, "n 3"]


def regions(model: FaceModel, atlas: Atlas) -> Regions:
    """Lays the parts of the face out on the mean head."""
    marks, place = model.mean[LANDMARKS], atlas.place
    left, right = marks[42:48].mean(0), marks[36:42].mean(0)
    cheek = marks[[31, 35]] * 0.35 + marks[[2, 14]] * 0.65 + [[1.2, 0.3, 1], [-1.2, 0.3, 1]]
    ears = np.clip((np.abs(place[:, 0]) - 7.6) / 0.8, 0, 1)
    nose = _spot(place, marks[30], 1.3)
    forehead = _spot(place, marks[27] + [0, 4.0, 0.5], 3.0)
    cheeks = _spot(place, cheek[0], 1.8) + _spot(place, cheek[1], 1.8)
    return Regions(
        lips=_lips(marks, place),
        cheeks=np.clip(0.8 * cheeks + nose + 0.9 * ears, 0, 1.2),
        eyes=np.clip(_spot(place, left - [0, 0.6, 0], 1.0) + _spot(place, right - [0, 0.6, 0], 1.0), 0, 1),
        oily=np.clip(0.8 * forehead + nose + 0.6 * _spot(place, marks[8] + [0, 1.5, 0], 1.2), 0, 1),
        sun=np.clip(forehead + cheeks + nose, 0, 1) * (place[:, 2] > 4),
        folds=_folds(marks, place),
        beards={style: atlas.carried(beard_mask(model, style)) for style in _BEARDS},
    )


class Skin:
    """The skin of a person as it is on one day. Texels are painted when they are first asked for.

    Args:
        atlas: texels of the model.
        parts: of the same atlas.
        model: the face model.
        person: pigments, marks and seed.
        look: tan, age, hair and beard.
        table: from pigments to colours.
    """

    def __init__(
        self, atlas: Atlas, parts: Regions, model: FaceModel, *, person: Person, look: Look, table: SkinTable
    ) -> None:
        self._atlas, self._parts = atlas, parts
        scalp = scalp_mask(model, person, look)
        self._paint = partial(_painted, model=model, person=person, look=look, table=table, scalp=scalp)
        number = len(atlas.place)
        self._painted, self._done = np.zeros((2, number), bool)
        self._albedo, self._relief = np.empty((number, 4), np.float32), np.empty((number, 3), np.float32)
        self._gloss, self._height = np.empty((2, number), np.float32)

    def at(self, texels: Int[np.ndarray, " k"]) -> Complexion:
        """What is seen at some texels."""
        self._complete(texels)
        return Complexion(
            albedo=self._albedo.take(texels, 0),
            gloss=self._gloss.take(texels),
            relief=self._relief.take(texels, 0),
        )

    def _complete(self, texels: Int[np.ndarray, " k"]) -> None:
        """Paints what is not painted yet, and the texels beside it, whose height its relief asks for."""
        asked = np.zeros(len(self._done), bool)
        asked[texels] = True
        new = np.flatnonzero(asked & ~self._done)
        for beside in self._atlas.beside:
            asked[beside.take(new)] = True
        bare = np.flatnonzero(asked & ~self._painted)
        if len(bare):
            albedo, gloss, height = self._paint(self._atlas.part(bare), self._parts.part(bare))
            self._albedo[bare], self._gloss[bare], self._height[bare] = albedo, gloss, height
            self._painted[bare] = True
        self._relief[new] = self._atlas.slope(self._height, new)
        self._done[new] = True


def _painted(
    places: Places,
    parts: Regions,
    *,
    model: FaceModel,
    person: Person,
    look: Look,
    table: SkinTable,
    scalp: Float[np.ndarray, " v"],
) -> tuple[Float[np.ndarray, "n 4"], Field, Field]:
    """Albedo, gloss and height of some places; see ``Skin``."""
    place = places.place
    blotches, patches = _noise(place, 3.0, person.seed), _noise(place, 0.9, person.seed + 1)
    fine, pores = _noise(place, 0.25, person.seed + 2), _noise(place, 0.11, person.seed + 3)
    old = float(np.clip((look.age - 25) / 45, 0, 1.2))
    melanin = person.melanin * (1 + (look.tan - 1) * (0.6 + 0.4 * parts.sun))
    melanin = melanin * np.exp(0.07 * blotches + (0.03 + 0.04 * old) * patches + 0.05 * fine)
    melanin = melanin * (1 + 0.25 * parts.eyes) + _marks(place, model, person, parts, old)
    blood = person.blood * (1 + 0.75 * parts.cheeks + 0.25 * parts.eyes)
    blood = blood * np.exp(0.08 * patches + 0.10 * blotches + 0.05 * fine)
    lip_melanin, lip_blood = lip_skin(melanin, blood, person.lips)
    lips = np.flatnonzero(parts.lips)
    grooves = np.ones(len(place), np.float32)
    grooves[lips] += 0.12 * _noise(place[lips] * [3.0, 0.6, 1.0], 0.35, person.seed + 4)
    melanin += parts.lips * (lip_melanin - melanin)
    blood += parts.lips * (lip_blood * grooves - blood)
    albedo = table(melanin.astype(np.float32), blood.astype(np.float32))
    deep = parts.folds * (0.15 + 0.85 * old)
    albedo = albedo * (1 - 0.16 * deep)[:, None]
    albedo, cover = _haired(albedo, place, parts, places.carried(scalp), person=person, look=look)
    height = 0.004 * pores + 0.006 * fine + 0.010 * patches - 0.05 * deep
    height += 0.012 * parts.lips * (grooves - 1) / 0.12
    gloss = (0.75 + 0.7 * parts.oily + 0.9 * parts.lips) * np.exp(0.2 * patches + 0.1 * pores)
    gloss = gloss * (1 - cover)
    return albedo.astype(np.float32), gloss.astype(np.float32), height.astype(np.float32)


def _marks(
    place: Float[np.ndarray, "n 3"], model: FaceModel, person: Person, parts: Regions, old: float
) -> Field:
    """Melanin of freckles, age spots and moles."""
    added = np.zeros(len(place))
    sunny = np.flatnonzero(parts.sun)
    lit, sun = place.take(sunny, 0), parts.sun.take(sunny)
    dots = np.clip(_noise(lit, 0.17, person.seed + 5) - 1.0, 0, 0.8)
    dotted = np.flatnonzero(dots)
    dense = np.clip(0.7 + 0.5 * _noise(lit.take(dotted, 0), 1.6, person.seed + 8), 0, 1.5)
    freckles = np.zeros(len(lit))
    freckles[dotted] = dots.take(dotted) * dense * person.freckles * sun.take(dotted)
    added[sunny] = 0.10 * freckles
    if old > 0.4:
        spots = np.clip(_noise(lit, 0.9, person.seed + 6) - 1.25, 0, 0.5) * (old - 0.4) * sun
        added[sunny] += 0.12 * spots
    for mole in person.moles:
        middle = model.mean[mole.vertex]
        # Beyond, less than one part in 2^64 is left, whatever the noise of at most ten deviations says.
        near = np.flatnonzero(np.abs(place[:, 0] - middle[0]) < 20 * mole.radius)
        near = near[np.abs(place[:, 1].take(near) - middle[1]) < 20 * mole.radius]
        around = place.take(near, 0)
        distance = np.linalg.norm(around - middle, axis=1)
        uneven = np.exp(0.2 * _noise(around, 0.3, person.seed + 7))
        added[near] += mole.melanin * np.exp(-((distance * uneven / mole.radius) ** 4))
    return added


def _haired(
    albedo: Float[np.ndarray, "n 4"],
    place: Float[np.ndarray, "n 3"],
    parts: Regions,
    scalp: Field,
    *,
    person: Person,
    look: Look,
) -> tuple[Float[np.ndarray, "n 4"], Field]:
    """Darkens the skin where hair stands or was shaved; also says how much of it is covered."""
    colour = materials.hair(person.hair_eumelanin, person.hair_pheomelanin, look.grey)
    under = (0.45 if look.hair_style == "bald" else 0.85) * scalp
    style: BeardStyle = "full" if look.beard in ("none", "stubble") else look.beard
    strength = {"none": 0.35, "stubble": 1.0}.get(look.beard, 0.9)
    chin = parts.beards["full"] * 0.35 * person.beard_growth
    chin = np.maximum(chin, parts.beards[style] * strength * person.beard_growth)
    bearded = np.flatnonzero(chin)
    grain = np.clip(0.8 + 0.45 * _noise(place.take(bearded, 0), 0.12, look.seed), 0, 1.4)
    shadow = np.zeros_like(chin)
    shadow[bearded] = _BEARD_SHADOW * chin.take(bearded) * grain
    cover = np.clip(np.maximum(under, shadow), 0, 0.95)
    return albedo * (1 - cover)[:, None] + (colour[:, None] * cover).T, cover


def _lips(marks: Float[np.ndarray, "68 3"], place: Float[np.ndarray, "n 3"]) -> Field:
    """The red of the lips, inside the outer line of the mouth."""
    outline = np.vstack([marks[48:60], marks[48:49]])
    distance = _line_distance(place[:, :2], outline[:, :2])
    signed = np.where(_inside(place[:, :2], outline[:-1, :2]), distance, -distance)
    return np.clip(0.5 + signed / 0.16, 0, 1) * (place[:, 2] > 5)


def _folds(marks: Float[np.ndarray, "68 3"], place: Float[np.ndarray, "n 3"]) -> Field:
    """Lines of the forehead, beside the eyes and from the nose to the mouth."""
    x, y, z = place.T
    rows = np.cos((y + 0.05 * x**2 - 6.9) * 2 * np.pi / 0.95) ** 8
    forehead = rows * _spot(place, marks[27] + [0, 3.8, 0.5], 2.2) * (np.abs(x) < 4.5)
    total = 0.6 * forehead
    for wing, corner, eye, side in ((31, 48, 36, -1.0), (35, 54, 45, 1.0)):
        start, end = marks[wing] + [0.55 * side, 0.3, -0.5], marks[corner] + [0.75 * side, -0.3, -0.6]
        middle = (start + end) / 2 + [0.35 * side, 0, 0]
        line = np.stack([start, middle, end])[:, :2]
        total = total + np.exp(-((_line_distance(place[:, :2], line) / 0.13) ** 2)) * (z > 5)
        for angle in (-0.35, 0.0, 0.35):
            near = marks[eye] + [0.5 * side, 0, 0]
            far = near + 1.1 * np.array([side, np.tan(angle), 0])
            foot = _line_distance(place[:, :2], np.stack([near, far])[:, :2])
            total = total + 0.5 * np.exp(-((foot / 0.06) ** 2)) * (z > 3)
    return np.clip(total, 0, 1)


def _spot(place: Float[np.ndarray, "n 3"], centre: Float[np.ndarray, " 3"], radius: float) -> Field:
    """A soft round spot."""
    return np.exp(-((place - centre) ** 2).sum(1) / (2 * radius**2))


def _line_distance(place: Float[np.ndarray, "n 2"], line: Float[np.ndarray, "p 2"]) -> Field:
    """Distance to a line of several pieces."""
    nearest = np.full(len(place), np.inf)
    for start, end in pairwise(line):
        along = np.clip((place - start) @ (end - start) / ((end - start) @ (end - start)), 0, 1)
        nearest = np.minimum(nearest, np.linalg.norm(place - start - along[:, None] * (end - start), axis=1))
    return nearest


def _inside(place: Float[np.ndarray, "n 2"], corners: Float[np.ndarray, "p 2"]) -> Bool[np.ndarray, " n"]:
    """Whether points lie in a polygon: a ray from each crosses its border an odd number of times."""
    x, y = place.T
    odd = np.zeros(len(place), bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, 0), strict=True):
        crosses = (y0 > y) != (y1 > y)
        odd ^= crosses & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0 + 1e-12))
    return odd


def _noise(place: Float[np.ndarray, "n 3"], size: float, seed: int) -> Field:
    """Smooth noise of mean 0 and deviation about 1 with lumps of a given size in centimetres."""
    nodes, turned = _lattice(seed % 2**32)
    found = np.empty(len(place), np.float32)
    for start in range(0, len(place), _CHUNK):
        cells = turned @ place[start : start + _CHUNK].T / size
        whole = np.floor(cells)
        share = cells - whole
        eased = whole + share * share * (3 - 2 * share)
        found[start : start + _CHUNK] = _trilinear(nodes, eased)
    return 1.7 * found


@lru_cache(maxsize=16)  # a person has eleven
def _lattice(seed: int) -> tuple[Float[np.ndarray, " nodes"], Float[np.ndarray, "3 3"]]:
    """The nodes of a noise, the first of each axis behind its last too, and how they are turned in space."""
    rng = generator("noise", seed)
    lattice = rng.normal(size=(_CELLS, _CELLS, _CELLS)).astype(np.float32)
    turned = np.linalg.qr(rng.normal(size=(3, 3)))[0]  # or its cells would show as lines across the face
    return np.pad(lattice, (0, 1), mode="wrap").reshape(-1).astype(np.float64), turned


def _trilinear(nodes: Float[np.ndarray, " nodes"], at: Float[np.ndarray, "3 k"]) -> Float[np.ndarray, " k"]:
    """A lattice that goes on for ever, read between its nodes.

    The same to the bit as scipy's ``map_coordinates`` (order 1, "grid-wrap"), in a third of its time.
    """
    wrapped = at - _CELLS * np.floor(at * (1 / _CELLS))
    low = np.floor(wrapped)
    upper = wrapped - low
    shares = 1 - upper, upper
    steps = (_CELLS + 1) ** 2, _CELLS + 1, 1
    x, y, z = low.astype(np.intp) & (_CELLS - 1)
    corner = x * steps[0] + y * steps[1] + z
    total = np.zeros(at.shape[1])
    for sides in product((0, 1), repeat=3):
        value = nodes[sum(side * step for side, step in zip(sides, steps, strict=True)) :].take(corner)
        for axis, side in enumerate(sides):
            value *= shares[side][axis]
        total += value
    return total
