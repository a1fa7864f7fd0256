"""Rays: what is seen from a point, and what stands between a point and a lamp. Embree does the work.

Lengths are centimetres; directions have length one. Axis letters: v vertices, t triangles, r rays.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Int32

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
            from embreex.mesh_construction import TriangleMesh  # noqa: PLC0415 - an optional extra
            from embreex.rtcore_scene import EmbreeScene  # noqa: PLC0415 - the same
        self._scene = EmbreeScene()
        self._mesh = TriangleMesh(
            self._scene, np.ascontiguousarray(vertices, np.float32), np.ascontiguousarray(triangles, np.int32)
        )

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
