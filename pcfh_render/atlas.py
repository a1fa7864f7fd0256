"""Where on the head each texel of the skin's texture lies.

The face model's texture coordinates are used: tile 0 is the face with ears and throat, tile 1 the back of the
head. Both are laid side by side in one atlas; only texels with skin are kept, as one flat list.

Axis letters: n texels with skin, k points on the surface, v vertices.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import distance_transform_edt

from pcfh_render.facemodel import FaceModel
from pcfh_render.strands import picked
from pcfh_render.trace import Scene

SIDE = 512  # texels across a tile, half a millimetre each
_STEEPEST = 0.35


@dataclass(frozen=True, kw_only=True)
class Places:
    """Some places on the skin.

    Attributes:
        place: position on the mean head, in centimetres.
        corners: vertices of the triangle that a place lies in.
        weights: of these corners.
    """

    place: Float[np.ndarray, "n 3"]
    corners: Int[np.ndarray, "n 3"]
    weights: Float[np.ndarray, "n 3"]

    def carried(self, values: Float[np.ndarray, " v"]) -> Float[np.ndarray, " n"]:
        """Carries a number per vertex to the places."""
        first, second, third = (values.take(self.corners) * self.weights).T
        return np.asarray(first + second + third)

    def part(self, numbers: Int[np.ndarray, " k"]) -> "Places":
        """Some of them."""
        place, corners, weights = (of.take(numbers, 0) for of in (self.place, self.corners, self.weights))
        return Places(place=place, corners=corners, weights=weights)


@dataclass(frozen=True, kw_only=True)
class Atlas(Places):
    """Texels with skin.

    Attributes:
        lookup: of every place of the atlas (row, column), the nearest texel with skin.
        beside: of each texel, the nearest ones with skin to its right, to its left, below and above.
        across: gradient in space of the texel coordinate that grows to the right.
        down: gradient in space of the texel coordinate that grows downwards.
    """

    lookup: Int[np.ndarray, "rows columns"]
    beside: Int[np.ndarray, "4 n"]
    across: Float[np.ndarray, "n 3"]
    down: Float[np.ndarray, "n 3"]

    def texels(self, uv: Float[np.ndarray, "k 2"]) -> Int[np.ndarray, " k"]:
        """The texels at some texture coordinates."""
        rows, columns = self.lookup.shape
        column = np.clip(uv[:, 0] * SIDE, 0, columns - 1).astype(np.int32)
        row = np.clip((1 - uv[:, 1]) * SIDE, 0, rows - 1).astype(np.int32)
        return np.asarray(self.lookup[row, column])

    def slope(
        self, height: Float[np.ndarray, " n"], texels: Int[np.ndarray, " k"]
    ) -> Float[np.ndarray, "k 3"]:
        """The gradient in space, along the surface, of a height given per texel (cm per cm); at some."""
        right, left, below, above = (height.take(beside.take(texels)) for beside in self.beside)
        across, down = picked(self.across, texels), picked(self.down, texels)
        found = ((right - left) / 2)[:, None] * across + ((below - above) / 2)[:, None] * down
        # At seams of the atlas, neighbours are strangers.
        steep = np.linalg.norm(found, axis=1, keepdims=True)
        return found * np.minimum(1, _STEEPEST / np.maximum(steep, 1e-9))


def build_atlas(model: FaceModel) -> Atlas:
    """Lays the face model's skin out."""
    triangles = model.triangles_of("face", "head")
    uv, corners = model.uv[triangles], model.triangles[triangles]
    rows, columns = np.mgrid[:SIDE, : 2 * SIDE]
    centres = np.stack([(columns + 0.5) / SIDE, 1 - (rows + 0.5) / SIDE], -1).reshape(-1, 2)
    flat = np.concatenate([uv.reshape(-1, 2), np.zeros((uv.size // 2, 1), np.float32)], 1)
    scene = Scene(flat, np.arange(len(flat), dtype=np.int32).reshape(-1, 3))
    origins = np.concatenate([centres, np.ones((len(centres), 1))], 1).astype(np.float32)
    hits = scene.nearest(origins, np.tile(np.array([0, 0, -1], np.float32), (len(origins), 1)))
    there = hits.triangle >= 0
    triangle = hits.triangle[there]
    weights = np.ascontiguousarray(hits.weights(np.flatnonzero(there)))
    across, down = _gradients(uv, model.mean[corners])
    lookup = _nearest_of(there.reshape(rows.shape))
    steps = ((-1, 1), (1, 1), (-1, 0), (1, 0))  # of the picture, which brings the neighbour to the texel
    return Atlas(
        place=np.einsum("nk,nkc->nc", weights, model.mean[corners[triangle]]),
        corners=corners[triangle],
        weights=weights,
        lookup=lookup,
        beside=np.stack([np.roll(lookup, step, axis).reshape(-1)[there] for step, axis in steps]),
        across=picked(across, triangle),
        down=picked(down, triangle),
    )


def _nearest_of(there: Bool[np.ndarray, "rows columns"]) -> Int[np.ndarray, "rows columns"]:
    """Of each cell the number, among those that are true in reading order, of the nearest one."""
    number = (np.cumsum(there) - 1).reshape(there.shape)
    row, column = distance_transform_edt(~there, return_distances=False, return_indices=True)
    return np.asarray(number[row, column], dtype=np.int32)


def _gradients(
    uv: Float[np.ndarray, "t 3 2"], place: Float[np.ndarray, "t 3 3"]
) -> tuple[Float[np.ndarray, "t 3"], Float[np.ndarray, "t 3"]]:
    """Per triangle, the gradients in space of the column and of the row of a texel."""
    texel = (uv * (1, -1)).astype(np.float64) * SIDE
    edges, steps = place[:, 1:] - place[:, :1], texel[:, 1:] - texel[:, :1]
    tangents = np.linalg.pinv(steps) @ edges  # two tangents: what a step right, and one down, is in space
    dual = np.linalg.pinv(tangents).astype(np.float32)  # their dual basis
    return dual[..., 0], dual[..., 1]
