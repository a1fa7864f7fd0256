"""Hair as strands: scalp, beard, brows and lashes of a person on one day.

Everything is grown around the mean head, where distances to the skin are known, and carried to the
person's head. Centimetres, head coordinates (``params.py``). Axis letters: n strands, k points from root
to tip, v vertices of the face model.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import cKDTree

from pcfh_render.facemodel import LANDMARKS, PARTS, FaceModel
from pcfh_render.grooming import curl, levels, lock, off_the_face, tail, trim
from pcfh_render.hairstyles import Cut, cut_of, grow, strand_roots
from pcfh_render.headspace import HeadSpace, head_space, scalp_density, spread_roots
from pcfh_render.params import BeardStyle, Look, Person
from pcfh_render.strands import Roots, Strands, cross, unit
from pcfh_render.streams import generator

_SKIN = PARTS["head"] + 1
Head = Float[np.ndarray, "v 3"]


def scalp_mask(model: FaceModel, person: Person, look: Look) -> Float[np.ndarray, " v"]:
    """How thick the hair of the scalp grows at each vertex, 0 to 1, shaved or not.

    Args:
        model: the face model.
        person: whose hairline may have receded.
        look: of that day; a bald one has hair at the sides only.
    """
    density = np.zeros(len(model.mean), np.float32)
    density[:_SKIN] = scalp_density(model.mean[:_SKIN], person.hairline)
    if look.hair_style == "bald":
        top = 8.0 - 1.0 * model.mean[:, 2].clip(-6, 3) / 3 + 0.6 * np.sin(2.1 * model.mean[:, 0])
        low = np.clip((top - model.mean[:, 1]) / 3.0, 0, 1)
        behind = np.clip((4.5 - model.mean[:, 2]) / 1.5, 0, 1)
        density *= low * behind
    return density.astype(np.float32)


def scalp_hair(model: FaceModel, head: Head, person: Person, look: Look) -> Strands:
    """Grows the hair of the scalp.

    Args:
        model: the face model.
        head: the person's neutral head.
        person: whose hair it is.
        look: style, length and seed of the day.
    """
    rng = generator("scalp hair", look.seed)
    space, cut = head_space(model), cut_of(person, look)
    roots = spread_roots(model, scalp_mask(model, person, look), cut.number, rng)
    place, normal = roots.on(space.mean), unit(roots.on(space.normals))
    root = strand_roots(place.astype(np.float32), normal, cut=cut, look=look, rng=rng)
    points, own = lock(grow(space, root, cut), root.fringe, cut, rng)
    points = curl(points, own, cut, rng)
    if look.hair_style in ("bob", "long"):
        points = trim(off_the_face(points, root), levels(look, root, rng))
    if look.hair_style == "tied":
        points = tail(points, look, rng)
    points = _pushed(space, points, cut)
    points[:, 0] = root.place
    points = space.carry(points, head)
    # The space bends more smoothly than the skin: the strands' lower ends make up for it.
    points += (roots.on(head) - points[:, 0])[:, None] * np.linspace(1, 0, cut.points)[:, None] ** 2
    tint = rng.normal(1, 0.10, own.max() + 1)[own] * rng.normal(1, 0.12, len(own))
    return Strands(
        points=points.astype(np.float32),
        width=_taper(cut, rng),
        tint=np.clip(tint, 0.6, 1.5).astype(np.float32),
    )


def _pushed(space: HeadSpace, points: Float[np.ndarray, "n k 3"], cut: Cut) -> Float[np.ndarray, "n k 3"]:
    """Moves points out of the head."""
    flat = points.reshape(-1, 3)
    clear, away = space.clearance(flat, ears=cut.ears)
    return (flat + np.maximum(0.06 - clear, 0)[:, None] * away).reshape(points.shape)


def _taper(cut: Cut, rng: np.random.Generator) -> Float[np.ndarray, "n k"]:
    """Width of strands: full over most of their length, thin at the tip."""
    share = np.linspace(0, 1, cut.points)
    profile = np.minimum(1, 0.7 + share * 2) * (1 - 0.8 * share**3)
    return (cut.width * rng.uniform(0.7, 1.2, (cut.number, 1)) * profile).astype(np.float32)


_CHEEK_X = np.array([0, 2.2, 3.5, 5, 6.5, 7.6], np.float32)
_CHEEK_Y = np.array([-1.0, -1.2, -2.6, -2.0, -0.4, 1.4], np.float32)


def beard_mask(model: FaceModel, style: BeardStyle) -> Float[np.ndarray, " v"]:
    """Where a beard grows, 0 to 1 per vertex; stubble as a full beard.

    Args:
        model: the face model.
        style: of the beard.
    """
    density = np.zeros(len(model.mean), np.float32)
    place = model.mean[:_SKIN]
    side = np.abs(place[:, 0])
    full = _step(np.interp(side, _CHEEK_X, _CHEEK_Y) - place[:, 1], 0.5)
    full *= _step(place[:, 1] + 9.2, 0.8) * _step(place[:, 2] - 2.6 + 0.25 * np.minimum(place[:, 1], 0), 0.6)
    mouth = (place[:, 0] / 2.75) ** 2 + ((place[:, 1] + 3.45) / 1.25) ** 2
    full *= _step(mouth - 1.0, 0.25) * (place[:, 2] > 0)
    upper = _step(3.4 - side, 0.5) * _step(place[:, 1] + 3.6, 0.4)
    chin = _step(2.6 - side, 0.6) * _step(-4.4 - place[:, 1], 0.5) * _step(place[:, 2] - 6, 0.5)
    round_mouth = _step(3.5 - side, 0.5) * _step(-place[:, 1] - 0.5, 0.2) * _step(place[:, 2] - 7, 0.5)
    chosen = {
        "none": 0 * full,
        "stubble": full,
        "moustache": full * upper,
        "goatee": full * np.maximum(chin, round_mouth),
        "full": full,
    }
    density[:_SKIN] = chosen[style]
    return density


def _step(values: Float[np.ndarray, " n"], soft: float) -> Float[np.ndarray, " n"]:
    """0 below 0, 1 above ``soft``."""
    return np.clip(values / soft, 0, 1)


_NONE = Strands(
    points=np.zeros((0, 5, 3), np.float32),
    width=np.zeros((0, 5), np.float32),
    tint=np.zeros(0, np.float32),
)
_NO_ROOTS = Roots(corners=np.zeros((0, 3), np.int32), weights=np.zeros((0, 3), np.float32))
_BEARDS = {"moustache": 900, "goatee": 1800, "full": 4200}


def beard_hair(model: FaceModel, head: Head, person: Person, look: Look) -> tuple[Strands, Roots]:
    """Grows moustache, goatee or full beard; nothing for other styles.

    Args:
        model: the face model.
        head: the person's neutral head.
        person: whose beard it is.
        look: style, length and seed of the day.
    """
    if look.beard not in _BEARDS:
        return _NONE, _NO_ROOTS
    rng = generator("beard", look.seed)
    number = int(_BEARDS[look.beard] * (0.4 + 0.6 * person.beard_growth))
    roots = spread_roots(model, beard_mask(model, look.beard), number, rng)
    normals = head_space(model).normals
    normal, place = unit(roots.on(normals)), roots.on(head)
    outwards = np.sign(place[:, :1]) * np.array([[0.25, 0, 0]]) * (np.abs(place[:, :1]) > 0.4)
    course = unit(np.array([0, -1, 0.05]) + outwards + rng.normal(0, 0.18, (number, 3)))
    length = look.beard_length * rng.uniform(0.55, 1, number)
    points = _short(place, normal, course, length, lift=0.5, sag=0.25)
    return _hairs(points, 0.085, 0.16, rng), roots


def _short(
    place: Float[np.ndarray, "n 3"],
    normal: Float[np.ndarray, "n 3"],
    course: Float[np.ndarray, "n 3"],
    length: Float[np.ndarray, " n"],
    *,
    lift: float,
    sag: float,
) -> Float[np.ndarray, "n 5 3"]:
    """Short hairs that leave the skin along a course and bend on in it."""
    flat = unit(course - np.einsum("nc,nc->n", course, normal)[:, None] * normal)
    start = unit(flat + lift * normal)
    share = np.linspace(0, 1, 5)[:, None]
    bent = start[:, None] * share + (course - start)[:, None] * (sag * share**2)
    return (place[:, None] + length[:, None, None] * bent).astype(np.float32)


def _hairs(
    points: Float[np.ndarray, "n 5 3"], width: float, tint: float, rng: np.random.Generator
) -> Strands:
    """Short hairs with pointed tips."""
    profile = np.array([0.8, 1, 0.9, 0.65, 0.2])
    return Strands(
        points=points,
        width=(width * rng.uniform(0.7, 1.2, (len(points), 1)) * profile).astype(np.float32),
        tint=np.clip(rng.normal(1, tint, len(points)), 0.6, 1.5).astype(np.float32),
    )


def brow_hair(model: FaceModel, head: Head, person: Person) -> tuple[Strands, Roots]:
    """Grows both brows, the same at every session.

    Args:
        model: the face model.
        head: the person's neutral head.
        person: width and density of the brows, and the seed.
    """
    rng = generator("brows", person.seed)
    number = int(240 + 360 * person.brow_density)
    density, along = _brow_line(model, person.brow_width)
    roots = spread_roots(model, density, 2 * number, rng)
    normal, place = unit(roots.on(head_space(model).normals)), roots.on(head)
    share = roots.on(along[:, None])[:, 0]
    above = roots.on(_brow_height(model)[:, None])[:, 0]
    side = np.sign(place[:, 0])
    rise = 1.3 - 1.9 * share - 1.2 * np.clip(above / person.brow_width, -1, 1) * share
    course = np.stack([side * (0.35 + 0.9 * share), rise, -0.3 * share], -1)
    course = unit(course + rng.normal(0, 0.15, course.shape))
    length = (0.45 + 0.5 * (1 - np.abs(2 * share - 0.8)).clip(0, 1)) * rng.uniform(0.7, 1.1, len(share))
    points = _short(place + 0.01 * normal, normal, course, length, lift=0.22, sag=0.1)
    return _hairs(points, 0.05, 0.12, rng), roots


def _brow_points(model: FaceModel) -> Float[np.ndarray, "s 3"]:
    """Points along the left brow from the nose outwards, at most 0.1 cm apart."""
    marks = model.mean[LANDMARKS[22:27]]
    marks = np.concatenate([marks, marks[-1:] + 0.35 * (marks[-1:] - marks[-2:-1])])
    at = np.linspace(0, len(marks) - 1, 70)
    return np.stack([np.interp(at, np.arange(len(marks)), marks[:, axis]) for axis in range(3)], -1)


def _brow_line(model: FaceModel, width: float) -> tuple[Float[np.ndarray, " v"], Float[np.ndarray, " v"]]:
    """Density of the brows at each vertex, and the way along them from the nose, 0 to 1."""
    line, place = _brow_points(model), np.abs(model.mean[:_SKIN]) * [1, 0, 1] + model.mean[:_SKIN] * [0, 1, 0]
    far, near = cKDTree(line).query(place)
    share = near / (len(line) - 1)
    half = width * np.interp(share, [0, 0.1, 0.5, 0.8, 1], [0.7, 1, 1, 0.7, 0.3])
    density, along = np.zeros((2, len(model.mean)), np.float32)
    density[:_SKIN] = np.clip(2.2 * (1 - far / (half + 0.15)), 0, 1)
    along[:_SKIN] = share
    return density, along


def _brow_height(model: FaceModel) -> Float[np.ndarray, " v"]:
    """How far vertices lie above the middle line of the brows."""
    line = _brow_points(model)
    height = model.mean[:, 1] - np.interp(np.abs(model.mean[:, 0]), line[:, 0], line[:, 1])
    return height.astype(np.float32)


def lash_hair(model: FaceModel, head: Head, person: Person) -> tuple[Strands, Roots]:
    """Grows the lashes of both eyes: long ones on the upper lids, few and short ones below.

    Args:
        model: the face model.
        head: the person's neutral head.
        person: whose seed decides.
    """
    rng = generator("lashes", person.seed)
    parts = [_lashes(model, head, marks, upper, rng) for marks, upper in _LIDS]
    points = np.concatenate([part[0] for part in parts])
    corners = np.concatenate([part[1].corners for part in parts])
    weights = np.concatenate([part[1].weights for part in parts])
    return _hairs(points, 0.028, 0.1, rng), Roots(corners=corners, weights=weights)


# Landmarks along each lid, and whether it is the upper one.
_LIDS = (
    ((36, 37, 38, 39), True),
    ((42, 43, 44, 45), True),
    ((39, 40, 41, 36), False),
    ((45, 46, 47, 42), False),
)


def _lashes(
    model: FaceModel, head: Head, marks: tuple[int, ...], upper: bool, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "n 5 3"], Roots]:
    """Lashes along one lid: they fan out from the middle of the eye and turn up or down."""
    number = 80 if upper else 40
    at = np.sort(rng.uniform(0.12, len(marks) - 1.12, number))
    line = model.mean[LANDMARKS[list(marks)]]
    place = np.stack([np.interp(at, np.arange(len(marks)), line[:, axis]) for axis in range(3)], -1)
    roots = _nearest(model, place)
    start = roots.on(head)
    middle = head[LANDMARKS[list(marks)]].mean(0)
    fan = np.stack([start[:, 0] - middle[0], np.zeros(number), np.zeros(number)], -1)
    turn = np.array([0, 0.9, 0.5]) if upper else np.array([0, -0.7, 0.4])
    ahead = unit(np.array([0, -0.15 if upper else -0.3, 1.0]) + 0.22 * fan)
    length = (0.85 if upper else 0.4) * rng.uniform(0.7, 1.05, number)
    share = np.linspace(0, 1, 5)[:, None]
    bent = ahead[:, None] * share + (turn - 0.5 * ahead)[:, None] * (0.5 * share**2)
    return (start[:, None] + length[:, None, None] * bent).astype(np.float32), roots


_FACES: dict[str, tuple[Int[np.ndarray, "t 3"], cKDTree]] = {}


def _face(model: FaceModel) -> tuple[Int[np.ndarray, "t 3"], cKDTree]:
    """The triangles of the face, and a tree of their middles; the same objects for the same model."""
    if model.fingerprint not in _FACES:
        triangles = model.triangles[model.triangles_of("face")]
        _FACES[model.fingerprint] = triangles, cKDTree(model.mean[triangles].mean(1))
    return _FACES[model.fingerprint]


def _nearest(model: FaceModel, places: Float[np.ndarray, "n 3"]) -> Roots:
    """The skin's triangles whose middles are nearest to some places, with weights that meet the places."""
    triangles, tree = _face(model)
    _, found = tree.query(places)
    a, b, c = (model.mean[triangles[found, corner]] for corner in range(3))
    normal = cross(b - a, c - a)
    scale = np.einsum("nc,nc->n", normal, normal)
    second = np.einsum("nc,nc->n", cross(places - a, c - a), normal) / scale
    third = np.einsum("nc,nc->n", cross(b - a, places - a), normal) / scale
    weights = np.clip(np.stack([1 - second - third, second, third], -1), 0, 1)
    weights /= weights.sum(1, keepdims=True)
    return Roots(corners=triangles[found].astype(np.int32), weights=weights.astype(np.float32))
