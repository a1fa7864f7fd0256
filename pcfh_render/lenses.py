"""What the lenses of glasses mirror: lamps as small bright spots, and a veil of the surroundings.

Head coordinates, centimetres. Axis letters: k samples that look through a lens, r rays.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from pcfh_render.accessories import Mesh
from pcfh_render.body import Pose
from pcfh_render.headspace import vertex_normals
from pcfh_render.params import Lamp, Real
from pcfh_render.strands import unit
from pcfh_render.trace import Scene

LENS_CLEAR = 0.92  # share of the light that passes
_REFLECTANCE = 0.05  # of both faces of a lens together
_POINT_SPOT = 2500.0  # sharpness of the image of a small lamp, and of a window
_WINDOW_SPOT = 120.0
_POINT_GAIN, _WINDOW_GAIN = 160.0, 5.0  # radiance of a lamp against the irradiance that it gives


@dataclass(frozen=True, kw_only=True)
class Lenses:
    """What the camera sees of the lenses.

    Attributes:
        sample: numbers of the samples that look through a lens.
        place: where on the lens.
        normal: of the lens, turned to the camera.
        view: direction to the camera.
    """

    sample: Int[np.ndarray, " k"]
    place: Float[np.ndarray, "k 3"]
    normal: Float[np.ndarray, "k 3"]
    view: Float[np.ndarray, "k 3"]

    def mirrored(
        self, lamps: Sequence[Lamp], pose: Pose, real: Real | None = None
    ) -> Float[np.ndarray, "k 4"]:
        """Radiance in four bands that the lenses mirror towards the camera.

        Light is mirrored by both faces of a lens, which are curved differently: each lamp gives two spots.
        """
        total = np.zeros((len(self.sample), 4))
        sharpness = _POINT_SPOT if real is None else real.spot
        for bend in (1.0, 0.25) if real is None else real.bends:
            face = unit(self.normal * [bend, bend, 1.0])
            back = 2 * (face * self.view).sum(1, keepdims=True) * face - self.view
            for lamp in lamps:
                spot = _REFLECTANCE / 2 * _spot(lamp, self.place, back, pose, sharpness)
                total += spot[:, None] * np.array(lamp.colour)
        return total if real is None else total * [1, 1, 1, real.coating]


def see_lenses(
    lenses: Mesh, origins: Float[np.ndarray, "r 3"], directions: Float[np.ndarray, "r 3"]
) -> Lenses:
    """Follows the camera's rays to the lenses."""
    asked = _beside(lenses.vertices, origins[0], directions)
    hits = Scene(lenses.vertices, lenses.triangles).nearest(origins[asked], directions[asked])
    found = np.flatnonzero(hits.triangle >= 0)
    weights, sample = np.ascontiguousarray(hits.weights(found)), asked[found]
    corners = lenses.triangles[hits.triangle[found]]
    normal = np.einsum("kw,kwc->kc", weights, vertex_normals(lenses.vertices, lenses.triangles)[corners])
    view = -directions[sample]
    return Lenses(
        sample=sample,
        place=np.einsum("kw,kwc->kc", weights, lenses.vertices[corners]),
        normal=np.where((normal * view).sum(1, keepdims=True) < 0, -normal, normal),
        view=view,
    )


def _beside(
    vertices: Float[np.ndarray, "m 3"], eye: Float[np.ndarray, " 3"], directions: Float[np.ndarray, "r 3"]
) -> Int[np.ndarray, " k"]:
    """Which rays of an eye may meet a mesh: those in a cone, somewhat wider than the mesh is seen."""
    ways = unit(vertices - eye)
    axis = unit(ways.mean(0))
    return np.flatnonzero(directions @ axis > (ways @ axis).min() - 1e-4)


def _spot(
    lamp: Lamp,
    place: Float[np.ndarray, "k 3"],
    back: Float[np.ndarray, "k 3"],
    pose: Pose,
    point_spot: float,
) -> Float[np.ndarray, " k"]:
    """Radiance of a lamp in the mirrored direction, against its irradiance."""
    if lamp.kind == "ambient":
        return np.full(len(place), 0.6)
    if lamp.kind == "distant":
        towards = np.broadcast_to(pose.direction_to_head(unit(np.array([lamp.position]))), place.shape)
        sharpness, gain = _WINDOW_SPOT, _WINDOW_GAIN
    else:
        towards = unit(pose.to_head(np.array([lamp.position])) - place)
        sharpness, gain = point_spot, _POINT_GAIN
    return gain * np.clip((towards * back).sum(1), 0, 1) ** sharpness
