"""Glasses and clothes that fit a head.

Glasses are in head coordinates and turn with the head; clothes are in the same coordinates of a head that
looks straight ahead and stay where the body is. Centimetres. Angles around the neck are in degrees, 0 in
front, 90 at the person's left, 180 behind. Axis letters: m vertices, t triangles, v vertices of the face
model, k points of a path, a angles.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int32
from scipy.spatial import cKDTree

from pcfh_render.facemodel import LANDMARKS, PARTS, FaceModel
from pcfh_render.headspace import head_space
from pcfh_render.params import Clothes, ClothesKind, Glasses, GlassesKind
from pcfh_render.strands import cross, unit
from pcfh_render.torso import AXIS_Z, torso_profile

Path3 = Float[np.ndarray, "k 3"]
Head = Float[np.ndarray, "v 3"]
_SKIN = PARTS["head"] + 1


@dataclass(frozen=True, kw_only=True)
class Mesh:
    """Triangles.

    Attributes:
        vertices: in centimetres.
        triangles: vertices of each triangle.
        along: a length in centimetres per vertex, for stripes: on cloth from the neckline downwards.
    """

    vertices: Float[np.ndarray, "m 3"]
    triangles: Int32[np.ndarray, "t 3"]
    along: Float[np.ndarray, " m"]


def joined_mesh(parts: Sequence[Mesh]) -> Mesh:
    """Puts meshes together, none of their vertices shared."""
    starts = np.cumsum([0, *(len(part.vertices) for part in parts[:-1])])
    triangles = [part.triangles + start for part, start in zip(parts, starts, strict=True)]
    return Mesh(
        vertices=np.concatenate([part.vertices for part in parts]),
        triangles=np.concatenate(triangles).astype(np.int32),
        along=np.concatenate([part.along for part in parts]),
    )


def _sheet(grid: Float[np.ndarray, "r c 3"], *, closed: bool) -> Mesh:
    """A mesh over rows of points; ``closed`` joins the last column to the first."""
    rows, columns = grid.shape[:2]
    row, column = np.meshgrid(
        np.arange(rows - 1), np.arange(columns if closed else columns - 1), indexing="ij"
    )
    after = (column + 1) % columns
    a, b = row * columns + column, row * columns + after
    c, d = a + columns, b + columns
    triangles = np.stack([np.stack([a, c, b], -1), np.stack([b, c, d], -1)], 2).reshape(-1, 3)
    steps = np.linalg.norm(np.diff(grid, axis=0, prepend=grid[:1]), axis=-1)
    return Mesh(
        vertices=grid.reshape(-1, 3).astype(np.float32),
        triangles=triangles.astype(np.int32),
        along=np.cumsum(steps, 0).reshape(-1).astype(np.float32),
    )


def _tube(
    path: Path3, tall: Float[np.ndarray, " k"], deep: Float[np.ndarray, " k"], up: tuple[float, float, float]
) -> Mesh:
    """A tube of elliptic section along an open path; ``tall`` is half its size towards ``up``."""
    along = unit(np.gradient(path, axis=0))
    side = unit(cross(along, np.broadcast_to(np.array(up), path.shape)))
    over = cross(side, along)
    turn = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    tall, deep = (np.broadcast_to(size, len(path))[:, None, None] for size in (tall, deep))
    ring = tall * np.sin(turn)[:, None] * over[:, None] + deep * np.cos(turn)[:, None] * side[:, None]
    ends = np.concatenate([path[:1, None], path[:1, None], path[-1:, None], path[-1:, None]])
    grid = path[:, None] + ring
    capped = np.concatenate([np.repeat(ends[:1], 8, 1), grid, np.repeat(ends[-1:], 8, 1)])
    return _sheet(capped, closed=True)


# Exponent of the lens's outline (2 an ellipse, more a rounded rectangle) and how far its lower half narrows.
_OUTLINE: Mapping[GlassesKind, tuple[float, float]] = {
    "rectangular": (4.5, 0.06),
    "round": (2.0, 0.0),
    "oval": (2.3, 0.05),
    "half_rim": (3.6, 0.1),
}
_EAR_TOP = np.array([7.9, 4.3, 0.6])
_TILT, _WRAP, _CURVE = 0.12, 0.10, 0.035
_FROM_EYE = 1.35


def glasses(worn: Glasses, model: FaceModel, head: Head) -> tuple[Mesh, Mesh]:
    """Puts glasses on a face: the frame and both lenses.

    Args:
        worn: the pair.
        model: the face model.
        head: the head that wears them, neutral, so that raised cheeks do not move them.

    Returns:
        The frame (rims, bridge, temples) and the lenses, which are thin sheets.
    """
    place = _Seat.of(worn, head)
    outlines = [place.on_front(side, *_outline(worn, np.linspace(0, 2 * np.pi, 49))) for side in (-1, 1)]
    ahead = _lacking(np.concatenate(outlines), head, 0.18 + worn.rim / 2)
    place = _Seat(middle=place.middle + np.array([0, 0, ahead]), apart=place.apart)
    frame = [_rim(worn, place, side) for side in (-1, 1)]
    frame += [_temple(worn, place, side, model, head) for side in (-1, 1)]
    frame.append(_bridge(worn, place, head))
    return joined_mesh(frame), joined_mesh([_lens(worn, place, side) for side in (-1, 1)])


@dataclass(frozen=True, kw_only=True)
class _Seat:
    """Where glasses sit: the middle between the lenses, and half the distance of their middles."""

    middle: Float[np.ndarray, "3"]
    apart: float

    @classmethod
    def of(cls, worn: Glasses, head: Head) -> "_Seat":
        eyes = np.stack([head[LANDMARKS[36:42]].mean(0), head[LANDMARKS[42:48]].mean(0)])
        middle = eyes.mean(0) + np.array([0, -0.25, 0])
        middle[2] = head[PARTS["teeth"] + 1 : PARTS["right_iris"] + 1, 2].max() + _FROM_EYE
        least = worn.width / 2 + 0.85
        return cls(middle=middle, apart=float(max((eyes[1, 0] - eyes[0, 0]) / 2, least)))

    def on_front(self, side: int, x: Float[np.ndarray, " k"], y: Float[np.ndarray, " k"]) -> Path3:
        """Places on the front of the glasses from outwards and upwards offsets in a lens."""
        out = self.apart + x
        deep = _TILT * y - _WRAP * (out - self.apart) - _CURVE * (x * x + y * y)
        return np.stack([self.middle[0] + side * out, self.middle[1] + y, self.middle[2] + deep], -1)


def _outline(
    worn: Glasses, angle: Float[np.ndarray, " k"]
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """Outwards and upwards offsets of the edge of a lens; angle 0 is outwards, a quarter turn up."""
    power, narrow = _OUTLINE[worn.kind]
    c, s = np.cos(angle), np.sin(angle)
    radius = (np.abs(c) ** power + np.abs(s) ** power) ** (-1 / power)
    return worn.width / 2 * radius * c * (1 + narrow * np.minimum(s, 0)), worn.height / 2 * radius * s


def _lacking(front: Path3, head: Head, least: float) -> float:
    """How far a front has to move forwards to keep a distance from the skin behind and before it."""
    face = head[: PARTS["face"] + 1]
    face = face[
        (face[:, 1] > front[:, 1].min() - 1) & (face[:, 1] < front[:, 1].max() + 1) & (face[:, 2] > 4)
    ]
    _, near = cKDTree(face[:, :2]).query(front[:, :2], 6)
    return float(np.maximum(face[near, 2].max(1) + least - front[:, 2], 0).max())


def _rim(worn: Glasses, place: _Seat, side: int) -> Mesh:
    """The rim around one lens, or above it."""
    first, last = (-0.08, np.pi + 0.08) if worn.kind == "half_rim" else (0, 2 * np.pi)
    path = place.on_front(side, *_outline(worn, np.linspace(first, last, 49)))
    size = np.full(49, worn.rim / 2)
    return _tube(path, np.minimum(size, 0.09 + 0.2 * size), size, (0.0, 0.0, 1.0))


def _lens(worn: Glasses, place: _Seat, side: int) -> Mesh:
    """One lens as a slightly curved sheet."""
    x, y = _outline(worn, np.linspace(0, 2 * np.pi, 48, endpoint=False))
    shares = np.array([0.01, 0.35, 0.7, 1.0])[:, None]
    grid = place.on_front(side, (shares * x).reshape(-1), (shares * y).reshape(-1)).reshape(4, 48, 3)
    grid[..., 2] -= 0.02
    return _sheet(grid, closed=True)


def _bridge(worn: Glasses, place: _Seat, head: Head) -> Mesh:
    """The bow over the nose from rim to rim."""
    x, y = _outline(worn, np.array([np.pi - 0.35]))
    ends = [place.on_front(side, x, y)[0] for side in (-1, 1)]
    share = np.linspace(0, 1, 13)
    path = ends[0] + share[:, None] * (ends[1] - ends[0])
    arch = 4 * share * (1 - share)
    path[:, 1] += 0.25 * arch
    path[:, 2] += arch * max(0.1, _lacking(path[3:-3], head, 0.12 + worn.rim / 2))
    half = np.full(13, max(worn.rim / 2, 0.08))
    return _tube(path, half, 0.7 * half, (0.0, 1.0, 0.0))


def _temple(worn: Glasses, place: _Seat, side: int, model: FaceModel, head: Head) -> Mesh:
    """One temple from the rim's outer end over the ear and down behind it."""
    x, y = _outline(worn, np.array([0.42]))
    hinge = place.on_front(side, x + worn.rim / 4, y)[0]
    target = _EAR_TOP * [side, 1, 1]
    ear = head[np.linalg.norm(model.mean[:_SKIN] - target, axis=1).argmin()]
    share = np.linspace(0, 1, 14)[:, None]
    end = ear + np.array([0.1 * side, 0.25, 0])
    straight = hinge + share * (end - hinge)
    straight[:, 0] = side * np.maximum(side * straight[:, 0], _beside(straight, side, head))
    bend = np.array([[-0.1 * side, -0.35, -1.0], [-0.35 * side, -1.3, -1.8], [-0.7 * side, -2.6, -2.3]])
    path = np.concatenate([hinge[None] - np.array([0.25 * side, 0, -0.02]), straight, end + bend])
    tall = np.full(len(path), 0.12 + 0.35 * worn.rim)
    return _tube(path, tall, np.full(len(path), 0.08), (0.0, 1.0, 0.0))


def _beside(path: Path3, side: int, head: Head) -> Float[np.ndarray, " k"]:
    """How far outwards the skin beside a path reaches, the ears left out, plus a little."""
    face = head[:_SKIN]
    face = face[(side * face[:, 0] > 2) & (face[:, 1] > 2) & (face[:, 1] < 7) & (side * face[:, 0] < 8.0)]
    far, near = cKDTree(face[:, 1:]).query(path[:, 1:], 5)
    reach = np.where(far < 0.8, side * face[near, 0], 0).max(1) + 0.14
    return np.maximum(reach, 0)


# Where along the profile a garment begins, in the same five angles; above 0 it climbs the neck (centimetres).
_NECKLINE: Mapping[ClothesKind, tuple[float, ...]] = {
    "crew": (0.4, 0.05, 0.15, 0.0, 0.0),
    "v_neck": (1.75, 0.35, 0.15, 0.0, 0.0),
    "collar": (1.0, 0.1, 0.05, 0.0, 0.0),
    "turtleneck": (0.0, 0.0, 0.0, 0.0, 0.0),
    "hood": (0.1, 0.1, 0.2, 0.1, 0.0),
}
_ROUND = np.arange(0.0, 360.0, 5.0)


def clothes(worn: Clothes, model: FaceModel, head: Head) -> Mesh:
    """Dresses shoulders and chest, closed around the neck.

    Args:
        worn: the clothes.
        model: the face model.
        head: in coordinates of the body; with a neck that is turned already, if it is.
    """
    mesh = _garment(worn.kind, model)
    vertices = head_space(model).carry(mesh.vertices, head)
    return Mesh(vertices=vertices.astype(np.float32), triangles=mesh.triangles, along=mesh.along)


_GARMENTS: dict[tuple[str, ClothesKind], Mesh] = {}


def _garment(kind: ClothesKind, model: FaceModel) -> Mesh:
    """A garment on the mean head; the same object for the same model and kind."""
    key = model.fingerprint, kind
    if key not in _GARMENTS:
        skin = _Skin.of(model)
        extra = {"collar": _collar, "turtleneck": _roll, "hood": _hood}.get(kind)
        body = _body(kind, skin)
        _GARMENTS[key] = joined_mesh([body] if extra is None else [body, extra(skin)])
    return _GARMENTS[key]


@dataclass(frozen=True, kw_only=True)
class _Skin:
    """Neck and shoulders of the mean head; clothes are cut for it, then carried to a person."""

    vertices: Float[np.ndarray, "s 3"]
    normals: Float[np.ndarray, "s 3"]
    tree: cKDTree

    @classmethod
    def of(cls, model: FaceModel) -> "_Skin":
        low = np.flatnonzero(model.mean[:_SKIN, 1] < -6.5)
        normals = head_space(model).normals
        return cls(vertices=model.mean[low], normals=normals[low], tree=cKDTree(model.mean[low]))

    def over(self, places: Float[np.ndarray, "*n 3"]) -> tuple[np.ndarray, np.ndarray]:
        """Height of places over the skin, and the direction away from it."""
        _, near = self.tree.query(places, 3)
        normal = self.normals[near]
        height = np.einsum("...kc,...kc->...k", places[..., None, :] - self.vertices[near], normal)
        return height.mean(-1), unit(normal.mean(-2))

    def at(self, places: Float[np.ndarray, "*n 3"], height: float) -> Float[np.ndarray, "*n 3"]:
        """Places moved along the skin's normals to a height over it."""
        for _ in range(3):
            found, away = self.over(places)
            places = places + (height - found)[..., None] * away
        return places

    def above(self, places: Float[np.ndarray, "*n 3"], least: float) -> Float[np.ndarray, "*n 3"]:
        """Places moved outwards where they are lower than a height over the skin."""
        for _ in range(3):
            found, away = self.over(places)
            near = self.tree.query(places)[0] < 2.5
            places = places + (np.clip(least - found, 0, 1.5) * near)[..., None] * away
        return places


def _neckline(kind: ClothesKind) -> Float[np.ndarray, " a"]:
    """Where the garment begins along the profile, at every angle; a V has straight edges."""
    turn = np.minimum(_ROUND, 360 - _ROUND)
    smooth = (1 - np.cos(np.pi * (turn % 45) / 45)) / 2
    left = np.clip(turn // 45, 0, 3).astype(int)
    smooth = np.where(turn >= 180, 1, smooth)
    start = np.array(_NECKLINE[kind])
    if kind == "v_neck":
        smooth = (turn - 45 * left) / 45
    return start[left] * (1 - smooth) + start[left + 1] * smooth


def _body(kind: ClothesKind, skin: _Skin) -> Mesh:
    """The main part of a garment, from its hem under the skin at the neck to below the picture."""
    start = _neckline(kind)
    share = np.concatenate([[0], np.linspace(0, 1, 26) ** 1.3])[:, None]
    grid = skin.above(torso_profile(start + share * (5 - start), _ROUND), 0.45)
    grid[1] = skin.at(grid[1], 0.22)
    grid[0] = skin.at(grid[1], -0.4)
    if kind == "turtleneck":
        grid = np.concatenate([[_ring(skin, 1.0, -0.3), _ring(skin, 1.0, 0.2)], grid[2:]])
    return _sheet(grid, closed=True)


def _ring(skin: _Skin, rise: float | Float[np.ndarray, " a"], height: float) -> Float[np.ndarray, "a 3"]:
    """A ring around the neck, so far up it from the shoulders and so far over the skin."""
    radians = np.radians(_ROUND)
    foot = torso_profile(np.zeros((1, len(_ROUND))), _ROUND)[0, :, 1]
    y = foot + rise
    ring = np.stack([6 * np.sin(radians), y, 6 * np.cos(radians) + 0.25 * (y + 11) - 0.8], -1)
    for _ in range(5):
        found, away = skin.over(ring)
        ring = ring + (height - found)[:, None] * unit(away * [1, 0, 1])
    return ring


def _roll(skin: _Skin) -> Mesh:
    """The folded tube of a turtleneck."""
    levels = [(3.5, -0.3), (3.7, 0.15), (3.6, 0.45), (2.6, 0.75)]
    levels += [(1.4, 0.8), (0.6, 0.7), (0.3, 0.3), (0.1, -0.3)]
    return _sheet(np.stack([_ring(skin, *level) for level in levels]), closed=True)


def _collar(skin: _Skin) -> Mesh:
    """A shirt's collar: a band around the neck and two flaps folded over it, open in front."""
    turn = np.minimum(_ROUND, 360 - _ROUND)
    rise = 0.7 + 1.5 * (1 - np.cos(np.radians(turn))) / 2
    fold = _ring(skin, rise, 0.4)
    reach = np.interp(turn, [10, 32, 60, 180], [0.8, 1.5, 0.85, 0.8])
    hem = torso_profile(reach[None], _ROUND)[0]
    hem = hem + 0.6 * skin.over(hem)[1]
    out = unit((fold - [0, 0, AXIS_Z]) * [1, 0, 1])
    share = np.array([0.08, 0.3, 0.6, 1.0])[:, None, None]
    flap = fold + 0.25 * out + share * (hem - fold - 0.25 * out) + 0.35 * np.sin(np.pi * share) * out
    grid = np.stack([_ring(skin, 0.1, 0.05), _ring(skin, 0.8 * rise, 0.3), fold, *flap, hem - 0.4 * out])
    return _sheet(grid[:, turn >= 10], closed=False)


def _hood(skin: _Skin) -> Mesh:
    """A hood that lies behind the neck as a thick roll and runs out in front."""
    angle = np.linspace(28, 332, 49)
    behind = (1 - np.cos(np.radians(angle))) / 2
    path = torso_profile(np.full((1, 49), 0.35), angle)[0]
    radius = 0.45 + 1.75 * behind**1.5
    path = path + np.stack([0 * radius, 0.55 * radius, 0 * radius], -1)
    out = unit((path - [0, 0, AXIS_Z]) * [1, 0, 1])
    return _tube(path + 0.5 * radius[:, None] * out, 1.15 * radius, radius, (0.0, 1.0, 0.0))
