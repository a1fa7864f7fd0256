"""The space around the mean head: how far a place is from the skin, and where hair grows.

Hair is grown around the mean head and then carried to a person's head by ``HeadSpace.carry``, so that
distances to the skin are computed once for all people. Centimetres, head coordinates (``params.py``).
Axis letters: n places, v vertices of the face model.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree

from pcfh_render.facemodel import PARTS, FaceModel
from pcfh_render.strands import Roots, cross, triangle_normals, unit
from pcfh_render.torso import torso_profile

_LOW = np.array([-20.0, -24.0, -18.0], np.float32)
_CELLS = (41, 45, 40)  # of 1 cm
_SKIN = PARTS["head"] + 1
_NECK = -12.0  # the skin below it is under clothes
# Ears stand off: hair of some styles lies under them, so they are left out of the skull.
_EAR = (7.85, -2.6, 5.2, -2.6, 3.0)  # least |x|, y from and to, z from and to

# The hairline of the mean head: height over the angle from the front, degrees about the vertical axis.
_ANGLE = np.array([0, 20, 34, 44, 52, 58, 63, 70, 76, 81, 86, 100, 107, 113, 122, 140, 180], np.float32)
_HEIGHT = np.array(
    [11.0, 11.0, 10.6, 9.4, 8.0, 6.6, 4.0, 1.6, 1.0, 4.3, 5.0, 4.8, 3.4, 0.2, -2.4, -3.8, -4.0], np.float32
)
_RECEDED = np.array([0.9, 2.2, 3.2, 2.6, 1.6, 0.7, 0.3, 0.1, 0, 0, 0, 0, 0, 0, 0, 0, 0], np.float32)
_CROWN = np.array([0.0, 14.0, -3.2], np.float32)


@dataclass(frozen=True, kw_only=True)
class HeadSpace:
    """A grid around the mean head.

    Attributes:
        skull: distance from the skin without ears, negative inside, and its gradient, per grid point.
        skin: the same with ears.
        nearest: vertex of the face model nearest to each grid point.
        normals: of the mean head's vertices.
        mean: vertices of the mean head.
    """

    skull: Float[np.ndarray, "p 4"]
    skin: Float[np.ndarray, "p 4"]
    nearest: Int[np.ndarray, " p"]
    normals: Float[np.ndarray, "v 3"]
    mean: Float[np.ndarray, "v 3"]

    def clearance(
        self, places: Float[np.ndarray, "n 3"], *, ears: bool
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n 3"]]:
        """Distance from the skin, negative inside the head, and the direction away from it."""
        found = _sample(self.skin if ears else self.skull, places)
        return found[:, 0], unit(found[:, 1:])

    def carry(
        self, places: Float[np.ndarray, "*n 3"], head: Float[np.ndarray, "v 3"]
    ) -> Float[np.ndarray, "*n 3"]:
        """Moves places around the mean head to the same places around another head."""
        shift = (head - self.mean).take(self.nearest, 0).reshape(*_CELLS, 3)
        for axis in range(3):
            shift = _smoothed(shift, axis)
        flat = places.reshape(-1, 3).astype(np.float32)
        moved = flat + _sample(np.ascontiguousarray(shift.reshape(-1, 3)), flat)
        return moved.reshape(places.shape)


_SPACES: dict[str, HeadSpace] = {}


def head_space(model: FaceModel) -> HeadSpace:
    """The space around a model's mean head; the same object for the same model."""
    if model.fingerprint not in _SPACES:
        _SPACES[model.fingerprint] = _built(model)
    return _SPACES[model.fingerprint]


def _built(model: FaceModel) -> HeadSpace:
    mean = model.mean
    normals = vertex_normals(mean, model.triangles)
    axes = [low + np.arange(cells, dtype=np.float32) for low, cells in zip(_LOW, _CELLS, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    every = np.flatnonzero(mean[:_SKIN, 1] > _NECK)
    skull = every[~_in_ear(mean[every])]
    _, nearest = cKDTree(mean[:_SKIN]).query(grid)
    body, facing = _clothed()
    return HeadSpace(
        skull=_distances(grid, np.concatenate([mean[skull], body]), np.concatenate([normals[skull], facing])),
        skin=_distances(grid, np.concatenate([mean[every], body]), np.concatenate([normals[every], facing])),
        nearest=nearest,
        normals=normals,
        mean=mean,
    )


def _clothed() -> tuple[Float[np.ndarray, "s 3"], Float[np.ndarray, "s 3"]]:
    """Shoulders and chest in clothes, and which way they face; hair comes to lie on them."""
    rows = np.linspace(0, 5, 26)[:, None]
    grid = torso_profile(np.repeat(rows, 60, 1), np.arange(0.0, 360.0, 6.0))
    down, around = np.gradient(grid, axis=0), np.roll(grid, -1, 1) - np.roll(grid, 1, 1)
    facing = unit(cross(down, around)).reshape(-1, 3)
    return grid.reshape(-1, 3) + 0.9 * facing, facing


def _in_ear(places: Float[np.ndarray, "n 3"]) -> Bool[np.ndarray, " n"]:
    side, bottom, top, back, front = _EAR
    x, y, z = np.abs(places[:, 0]), places[:, 1], places[:, 2]
    return (x > side) & (y > bottom) & (y < top) & (z > back) & (z < front)


def _distances(
    grid: Float[np.ndarray, "p 3"], surface: Float[np.ndarray, "s 3"], normals: Float[np.ndarray, "s 3"]
) -> Float[np.ndarray, "p 4"]:
    """Signed distance by the tangent planes of the nearest surface points, and its gradient."""
    far, near = cKDTree(surface).query(grid, 4)
    over = np.einsum("pkc,pkc->pk", grid[:, None] - surface[near], normals[near]).mean(1)
    # Near the skin the planes are exact; far from it the way to the nearest point is what counts.
    distance = np.where(np.abs(over) < 0.7 * far[:, 0], np.sign(over) * far[:, 0], over)
    field = np.gradient(distance.reshape(_CELLS))
    return np.stack([distance, *(part.reshape(-1) for part in field)], -1).astype(np.float32)


def _sample(values: Float[np.ndarray, "p c"], places: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n c"]:
    """Trilinear interpolation between grid points; places outside take the border's value."""
    limit = np.array(_CELLS, np.float32) - 1.001
    scaled = np.clip(places - _LOW, 0, limit).astype(np.float32)
    cell = scaled.astype(np.int32)
    part = scaled - cell
    strides = (_CELLS[1] * _CELLS[2], _CELLS[2], 1)
    base = cell @ np.array(strides, np.int32)
    total = np.zeros((len(places), values.shape[1]), np.float32)
    for corner in range(8):
        bits = [(corner >> axis) & 1 for axis in range(3)]
        weight = np.ones(len(places), np.float32)
        for axis, bit in enumerate(bits):
            weight *= part[:, axis] if bit else 1 - part[:, axis]
        index = base + sum(b * s for b, s in zip(bits, strides, strict=True))
        total += weight[:, None] * values.take(index, 0)
    return total


def _smoothed(field: Float[np.ndarray, "a b c 3"], axis: int) -> Float[np.ndarray, "a b c 3"]:
    """A running mean of three along one axis; the border stays."""
    moved = np.moveaxis(field, axis, 0)
    middle = (moved[:-2] + moved[1:-1] + moved[2:]) / 3
    return np.moveaxis(np.concatenate([moved[:1], middle, moved[-1:]]), 0, axis)


def vertex_normals(
    vertices: Float[np.ndarray, "v 3"], triangles: Int[np.ndarray, "t 3"]
) -> Float[np.ndarray, "v 3"]:
    """Normals at the vertices, the mean of their triangles' weighted by area."""
    face = triangle_normals(vertices, triangles).astype(np.float64)
    corner = triangles.T.reshape(-1).astype(np.intp)
    total = [np.bincount(corner, np.tile(along, 3), len(vertices)) for along in face.T]
    return np.ascontiguousarray(unit(np.stack(total).T), np.float32)


def above_hairline(places: Float[np.ndarray, "n 3"], hairline: float) -> Float[np.ndarray, " n"]:
    """How many centimetres places on the mean head lie above the hairline, negative below.

    Args:
        places: near the skin of the mean head.
        hairline: how far it has receded, 0 to 1.
    """
    angle = np.degrees(np.arctan2(np.abs(places[:, 0]), places[:, 2]))
    height = np.interp(angle, _ANGLE, _HEIGHT + hairline * _RECEDED)
    return (places[:, 1] - height).astype(np.float32)


def thinning(places: Float[np.ndarray, "n 3"], hairline: float) -> Float[np.ndarray, " n"]:
    """What the crown and the top have kept of their hair, 0 to 1, as the hairline recedes."""
    reach = 11.0 * max(0.0, hairline - 0.45) - 1.0
    from_crown = np.linalg.norm(places - _CROWN, axis=1)
    return _ramp(from_crown, reach - 1.5, reach + 1.0).astype(np.float32)


def _ramp(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 up to ``low``, 1 from ``high``, smooth between."""
    part = np.clip((values - low) / (high - low), 0, 1)
    return part * part * (3 - 2 * part)


def scalp_density(places: Float[np.ndarray, "n 3"], hairline: float) -> Float[np.ndarray, " n"]:
    """How thick hair grows at places on the mean head, 0 to 1."""
    edge = _ramp(above_hairline(places, hairline), -0.3, 0.9)
    return (edge * thinning(places, hairline) * ~_in_ear(places)).astype(np.float32)


def spread_roots(
    model: FaceModel, density: Float[np.ndarray, " v"], number: int, rng: np.random.Generator
) -> Roots:
    """Spreads roots over the skin of the mean head, evenly where the density is even.

    Args:
        model: the face model.
        density: per vertex, any scale, not all zero.
        number: of roots.
        rng: where they fall.
    """
    triangles = model.triangles[model.triangles_of("face", "head")]
    corners = model.mean[triangles]
    area = np.linalg.norm(cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    total = np.cumsum(area * density[triangles].mean(1))
    places = (np.arange(number) + rng.uniform(size=number)) / number * total[-1]
    chosen = np.minimum(np.searchsorted(total, places, side="right"), len(triangles) - 1)
    first, second = np.sqrt(rng.uniform(size=number)), rng.uniform(size=number)
    weights = np.stack([1 - first, first * (1 - second), first * second], -1)
    return Roots(corners=triangles[chosen].astype(np.int32), weights=weights.astype(np.float32))
