"""Hairs as chains of points, and the ribbons of triangles that a renderer of triangles sees.

Centimetres, head coordinates (``params.py``). Axis letters: n strands, k points from root to tip, m vertices,
t triangles, v vertices of the face model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Int32, Integer, Shaped

Points = Float[np.ndarray, "n 3"]


@dataclass(frozen=True, kw_only=True)
class Strands:
    """Some hairs.

    Attributes:
        points: of each strand, root first.
        width: of each strand at its points.
        tint: brightness of each strand, about 1.
    """

    points: Float[np.ndarray, "n k 3"]
    width: Float[np.ndarray, "n k"]
    tint: Float[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True, kw_only=True)
class Roots:
    """Where strands stand on the skin.

    Attributes:
        corners: vertices of the face model around each root.
        weights: of these corners, with sum 1.
    """

    corners: Int32[np.ndarray, "n 3"]
    weights: Float[np.ndarray, "n 3"]

    def on(self, values: Float[np.ndarray, "v c"]) -> Float[np.ndarray, "n c"]:
        """What is given per vertex, at the roots."""
        found: Float[np.ndarray, "n c"] = np.einsum("nw,nwc->nc", self.weights, values[self.corners])
        return found


@dataclass(frozen=True, kw_only=True)
class Ribbons:
    """Strands as triangles.

    Attributes:
        vertices: of the ribbons.
        triangles: vertices of each triangle.
        strand: number of the strand of each triangle.
        tangent: direction of the hair at each triangle, root to tip, of length 1.
    """

    vertices: Float[np.ndarray, "m 3"]
    triangles: Int32[np.ndarray, "t 3"]
    strand: Int32[np.ndarray, " t"]
    tangent: Float[np.ndarray, "t 3"]


def unit(vectors: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """Vectors scaled to length 1; zeros stay."""
    return vectors / np.maximum(np.sqrt(dot(vectors, vectors)), 1e-9)[..., None]


def dot(a: Float[np.ndarray, "*n 3"], b: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n"]:
    """Product of pairs of vectors; several times faster on many short vectors than numpy's einsum.

    It adds in the order of einsum, so that recipes keep their bytes.
    """
    x, y, z = (a[..., axis] * b[..., axis] for axis in range(3))
    return np.asarray((x + y) + z if x.dtype == np.float32 else (x + z) + y)


def picked(rows: Shaped[np.ndarray, "n c"], numbers: Integer[np.ndarray, " k"]) -> Shaped[np.ndarray, "k c"]:
    """Some rows in any order, each column in one piece of memory: what follows is several times faster."""
    return np.stack([column.take(numbers) for column in rows.T]).T


def between(weights: Float[np.ndarray, "k 3"], corners: Sequence[Float[np.ndarray, "k c"]]) -> np.ndarray:
    """The weighted sum of what is given at the three corners of triangles, added as einsum does."""
    first, second, third = corners
    return (weights[:, :1] * first + weights[:, 1:2] * second) + weights[:, 2:] * third


def cross(a: Float[np.ndarray, "*n 3"], b: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """Cross product; several times faster on many short vectors than numpy's."""
    return np.ascontiguousarray(np.moveaxis(crossed(a, b), 0, -1))


def triangle_normals(
    vertices: Float[np.ndarray, "v 3"], triangles: Int[np.ndarray, "t 3"]
) -> Float[np.ndarray, "t 3"]:
    """The normal of each triangle, twice as long as its area; columns in one piece of memory."""
    a, b, c = (picked(vertices, corner) for corner in triangles.T)
    return crossed(b - a, c - a).T


def crossed(a: Float[np.ndarray, "*n 3"], b: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, " 3 *n"]:
    """Cross product, coordinates first."""
    ax, ay, az = a[..., 0], a[..., 1], a[..., 2]
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


def join(*parts: Strands) -> Strands:
    """Puts groups of strands of equally many points together."""
    return Strands(
        points=np.concatenate([part.points for part in parts]),
        width=np.concatenate([part.width for part in parts]),
        tint=np.concatenate([part.tint for part in parts]),
    )


def follow(
    strands: Strands, roots: Roots, head: Float[np.ndarray, "v 3"], moved: Float[np.ndarray, "v 3"]
) -> Strands:
    """Moves strands with the skin under their roots, stiff, turned as the skin turns.

    Args:
        strands: on ``head``.
        roots: of these strands.
        head: the head on which they were grown.
        moved: the same head with an expression, or in another pose.
    """
    before, after = _frames(roots, head), _frames(roots, moved)
    turn = np.einsum("nac,nbc->nab", after, before)
    relative = strands.points - roots.on(head)[:, None]
    points = np.einsum("nab,nkb->nka", turn, relative) + roots.on(moved)[:, None]
    return Strands(points=points.astype(np.float32), width=strands.width, tint=strands.tint)


def _frames(roots: Roots, head: Float[np.ndarray, "v 3"]) -> Float[np.ndarray, "n 3 3"]:
    """A right-handed frame on each root's triangle, its axes as columns."""
    a, b, c = (head[roots.corners[:, corner]] for corner in range(3))
    along = unit(b - a)
    normal = unit(cross(b - a, c - a))
    return np.stack([along, normal, cross(along, normal)], -1)


def ribbons(strands: Strands, seed: int = 0) -> Ribbons:
    """Makes each strand a ribbon that faces outwards, give or take 50 degrees.

    Args:
        strands: at least two points each.
        seed: of the turns about the strands, so that no direction sees all ribbons edge on.
    """
    points = strands.points
    number, count = points.shape[:2]
    twist = np.random.default_rng(seed).uniform(-0.9, 0.9, (number, 1, 1)).astype(np.float32)
    steps = np.diff(points, axis=1)
    along = unit(np.concatenate([steps[:, :1], steps[:, :-1] + steps[:, 1:], steps[:, -1:]], 1))
    out = unit(points - np.array([0, 3, 0], np.float32))
    side = unit(cross(along, out))
    across = (np.cos(twist) * side + np.sin(twist) * cross(along, side)) * (strands.width[..., None] / 2)
    vertices = np.stack([points - across, points + across], 2).reshape(-1, 3)
    first = (np.arange(number)[:, None] * count + np.arange(count - 1)).reshape(-1, 1) * 2
    quads = np.array([[0, 1, 2], [1, 3, 2]])
    triangles = (first[:, :, None] + quads[None]).reshape(-1, 3)
    return Ribbons(
        vertices=vertices.astype(np.float32),
        triangles=triangles.astype(np.int32),
        strand=_per_triangle(np.arange(number, dtype=np.int32), 2 * (count - 1)),
        tangent=_per_triangle(unit(steps).reshape(-1, 3).astype(np.float32), 2),
    )


def _per_triangle(values: Shaped[np.ndarray, " n *c"], times: int) -> Shaped[np.ndarray, " m *c"]:
    """Repeats each value for the triangles that share it."""
    return np.repeat(values, times, 0)
