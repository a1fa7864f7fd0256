"""Rays: what is seen from a point, and what stands between a point and a lamp. Embree does the work.

Lengths are centimetres; directions have length one. Axis letters: v vertices, t triangles, r rays.
"""

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int32, Shaped

from pcfh.extras import extra


@dataclass(frozen=True, kw_only=True)
class Hits:
    """The nearest surface along each ray.

    Attributes:
        triangle: that was hit, -1 for none.
        u: weight of the triangle's second corner.
        v: weight of its third corner.
        distance: along the ray; without meaning where nothing was hit.
    """

    triangle: Int32[np.ndarray, " r"]
    u: Float[np.ndarray, " r"]
    v: Float[np.ndarray, " r"]
    distance: Float[np.ndarray, " r"]

    def weights(self, rays: Int[np.ndarray, " k"]) -> Float[np.ndarray, "k 3"]:
        """Weights of the triangle's three corners, for some of the rays."""
        u, v = self.u.take(rays), self.v.take(rays)
        return np.stack([1 - u - v, u, v]).T


def _mesh(
    scene: Any, vertices: Float32[np.ndarray, "v 3"], triangles: Int32[np.ndarray, "t 3"], *, fast: bool
) -> Any:
    """Puts triangles into an Embree scene.

    Its binding reads them number by number as Python objects; ``fast`` hands it such, in half of the time.
    """
    from embreex.mesh_construction import TriangleMesh  # noqa: PLC0415 - an optional extra

    if not fast:
        return TriangleMesh(scene, vertices, triangles)
    return TriangleMesh(scene, vertices.astype(object), _tuples(triangles.tobytes()))


@lru_cache(maxsize=4)  # captures of one person share their triangles, with glasses and without
def _tuples(triangles: bytes) -> Shaped[np.ndarray, " t"]:
    """Triangles as an array of tuples."""
    corners = np.frombuffer(triangles, np.int32).reshape(-1, 3)
    return np.fromiter(zip(*corners.T.tolist(), strict=True), object, len(corners))


@cache
def _reads_objects() -> bool:
    """Whether the binding takes arrays of Python objects; versions that read typed memory would not."""
    from embreex.rtcore_scene import EmbreeScene  # noqa: PLC0415 - an optional extra

    scene, corners = EmbreeScene(), np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32)
    eye, ahead = np.array([[[0.2, 0.2, 1]], [[0, 0, -1]]], np.float32)
    try:
        mesh = _mesh(scene, corners, np.array([[0, 1, 2]], np.int32), fast=True)
    except (TypeError, ValueError):
        return False
    return mesh is not None and bool(scene.run(eye, ahead, query="OCCLUDED")[0] >= 0)


class Scene:
    """Triangles that rays can be sent at.

    Args:
        vertices: in centimetres.
        triangles: indices of vertices, at least one triangle.

    Raises:
        UserError: the renderer's extra is not installed.
    """

    def __init__(self, vertices: Float[np.ndarray, "v 3"], triangles: Int[np.ndarray, "t 3"]) -> None:
        with extra("render", "rendering"):
            from embreex.rtcore_scene import EmbreeScene  # noqa: PLC0415 - an optional extra
        self._scene = EmbreeScene()
        fast = _reads_objects()
        self._mesh = _mesh(self._scene, vertices.astype(np.float32), triangles.astype(np.int32), fast=fast)

    def nearest(
        self,
        origins: Float[np.ndarray, "r 3"],
        directions: Float[np.ndarray, "r 3"],
        within: Float[np.ndarray, " r"] | None = None,
    ) -> Hits:
        """Follows rays to the first surface, or only so far."""
        found = self._scene.run(origins, directions, dists=within, output=1)
        return Hits(
            triangle=found["primID"].astype(np.int32, copy=False),
            u=found["u"],
            v=found["v"],
            distance=found["tfar"],
        )

    def blocked(
        self, origins: Float[np.ndarray, "r 3"], directions: Float[np.ndarray, "r 3"]
    ) -> Bool[np.ndarray, " r"]:
        """Whether anything lies on each ray, however far."""
        answer = self._scene.run(origins, directions, query="OCCLUDED")
        return np.asarray(answer >= 0)
