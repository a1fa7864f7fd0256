"""The geometry of one moment: head with expression on a still neck, brows, beard, glasses, clothes.

Everything stays in head coordinates, so that the hair of the scalp, the largest part, is built once for many
captures; what turns with the head is the camera, the lamps and the shoulders. Centimetres. Axis letters:
v vertices, t triangles.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int, Int32, UInt8

from pcfh_render.camera import turn
from pcfh_render.facemodel import FaceModel
from pcfh_render.headspace import vertex_normals
from pcfh_render.params import Shot
from pcfh_render.strands import Ribbons, triangle_normals, unit

PIVOT = np.array([0.0, -5.0, -1.5])  # where the head turns on the neck
MIDDLE = np.array([0.0, 2.0, 3.0])  # what the camera looks at, in a head that looks straight ahead
_STILL, _FREE = -15.5, -8.0  # heights between which the neck follows the head


class Stuff(IntEnum):
    """What a triangle is made of."""

    SKIN = 0
    EYE = 1
    MOUTH = 2
    TEETH = 3
    STRAND = 4
    FRAME = 5
    CLOTH = 6
    STRIPE = 7
    THIN = 8  # strands with skin close below: brows, lashes, beard
    IRIS = 9  # what is found to be one of what is an ``EYE``


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Head coordinates to camera coordinates and back: c = turn (p - pivot) + pivot - middle."""

    turn: Float[np.ndarray, "3 3"]

    def to_body(self, points: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k 3"]:
        """Points of the head in coordinates of the body, on which it is turned."""
        return (points - PIVOT) @ self.turn.T + PIVOT

    def from_body(self, points: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k 3"]:
        """Points of the body in coordinates of the head."""
        return (points - PIVOT) @ self.turn + PIVOT

    def to_camera(self, points: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k 3"]:
        """Points of the head as the camera sees them."""
        return self.to_body(points) - MIDDLE

    def to_head(self, points: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k 3"]:
        """Points given in camera coordinates as the head sees them."""
        return self.from_body(points + MIDDLE)

    def direction_to_head(self, directions: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k 3"]:
        """Directions given in camera coordinates as the head sees them."""
        return directions @ self.turn


@dataclass(frozen=True, kw_only=True)
class Solid:
    """A mesh that joins the scene.

    Attributes:
        vertices: in head coordinates.
        normals: of the vertices; zeros where the triangle's own normal counts.
        triangles: indices of vertices.
        stuff: of each triangle.
        tangent: of each triangle, along the hair; zeros elsewhere.
        tint: of each triangle, a factor on its colour.
    """

    vertices: Float[np.ndarray, "v 3"]
    normals: Float[np.ndarray, "v 3"]
    triangles: Int[np.ndarray, "t 3"]
    stuff: UInt8[np.ndarray, " t"]
    tangent: Float[np.ndarray, "t 3"]
    tint: Float[np.ndarray, " t"]

    @cached_property
    def flat(self) -> Float[np.ndarray, "t 3"]:
        """The normal of each triangle."""
        return unit(triangle_normals(self.vertices, self.triangles))


def pose_of(shot: Shot) -> Pose:
    """The pose of a capture."""
    return Pose(turn=turn((shot.yaw, shot.pitch, shot.roll)))


def bent_neck(head: Float[np.ndarray, "v 3"], pose: Pose) -> Float[np.ndarray, "v 3"]:
    """Turns the neck back as far down as the shoulders, which do not follow the head."""
    still = np.clip((_FREE - head[:, 1]) / (_FREE - _STILL), 0, 1)
    still = (still * still * (3 - 2 * still))[:, None]
    return (head + still * (pose.from_body(head) - head)).astype(np.float32)


def head_triangles(
    model: FaceModel,
) -> tuple[Int32[np.ndarray, "t 3"], UInt8[np.ndarray, " t"], Int[np.ndarray, " t"]]:
    """The triangles of the head that are seen, what they are made of, and their numbers in the model."""
    groups = (
        (Stuff.SKIN, ("face", "head")),
        (Stuff.EYE, ("left_sclera", "right_sclera")),
        (Stuff.MOUTH, ("mouth_socket", "left_eye_socket", "right_eye_socket", "gums_tongue")),
        (Stuff.TEETH, ("teeth",)),
    )
    chosen = [(model.triangles_of(*parts), stuff) for stuff, parts in groups]
    number = np.concatenate([triangles for triangles, _ in chosen])
    stuff = np.concatenate([np.full(len(triangles), kind, np.uint8) for triangles, kind in chosen])
    return model.triangles[number], stuff, number


def smooth(
    vertices: Float[np.ndarray, "v 3"], triangles: Int[np.ndarray, "t 3"], stuff: UInt8[np.ndarray, " t"]
) -> Solid:
    """A solid with normals that run smoothly over its triangles."""
    return Solid(
        vertices=vertices,
        normals=vertex_normals(vertices, triangles).astype(np.float32),
        triangles=triangles,
        stuff=stuff,
        tangent=np.zeros((len(triangles), 3), np.float32),
        tint=np.ones(len(triangles), np.float32),
    )


def hairy(ribbons: Ribbons, tint: Float[np.ndarray, " n"], stuff: Stuff = Stuff.STRAND) -> Solid:
    """Strands of hair as a solid; their colour is scaled strand by strand."""
    return Solid(
        vertices=ribbons.vertices,
        normals=np.zeros_like(ribbons.vertices),
        triangles=ribbons.triangles,
        stuff=np.full(len(ribbons.triangles), stuff, np.uint8),
        tangent=ribbons.tangent,
        tint=tint[ribbons.strand],
    )


def joined(solids: Sequence[Solid]) -> Solid:
    """All solids as one."""
    starts = np.cumsum([0, *(len(solid.vertices) for solid in solids[:-1])])
    return Solid(
        vertices=np.concatenate([solid.vertices for solid in solids]),
        normals=np.concatenate([solid.normals for solid in solids]),
        triangles=np.concatenate(
            [solid.triangles + start for solid, start in zip(solids, starts, strict=True)]
        ).astype(np.int32),
        stuff=np.concatenate([solid.stuff for solid in solids]),
        tangent=np.concatenate([solid.tangent for solid in solids]),
        tint=np.concatenate([solid.tint for solid in solids]),
    )
