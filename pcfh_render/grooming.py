"""What is done to hair that has grown: it is cut, drawn together into locks, curled, tied, kept off the face.

Centimetres, head coordinates of the mean head (``params.py``). Axis letters: n strands, k points from root
to tip.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import cKDTree

from pcfh_render.hairstyles import TIE_STEPS, Cut, Root
from pcfh_render.headspace import above_hairline
from pcfh_render.params import Look
from pcfh_render.strands import cross, unit

_LOWEST = -20.0
_BROWS = 6.9
# Half of the face's width over its height: hair that is no fringe stays outside.
_FACE_Y = np.array([-9, -6, -3, 0, 4, 7, 9, 10.5, 12], np.float32)
_AHEAD_Y = np.array([-12, -9, 0, 6, 10, 12], np.float32)
_AHEAD_Z = np.array([9.0, 6.0, 4.5, 5.5, 9.5, 11.0], np.float32)
_FACE_X = np.array([5.6, 6.4, 7.0, 7.3, 7.3, 6.9, 6.2, 4.6, 0], np.float32)


def trim(points: Float[np.ndarray, "n k 3"], level: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n k 3"]:
    """Cuts strands where they fall below a level, keeping the number of points."""
    number, count = points.shape[:2]
    below = points[..., 1] < level[:, None]
    below[:, 0] = False
    first = np.where(below.any(1), below.argmax(1), count - 1)
    rows = np.arange(number)
    upper, lower = points[rows, first - 1, 1], points[rows, first, 1]
    part = np.clip((upper - level) / np.maximum(upper - lower, 1e-3), 0.05, 1)
    end = np.where(below.any(1), first - 1 + part, count - 1)
    places = np.linspace(0, 1, count) * end[:, None]
    left = np.minimum(places.astype(int), count - 2)
    part = (places - left)[..., None].astype(np.float32)
    return points[rows[:, None], left] * (1 - part) + points[rows[:, None], left + 1] * part


def lock(
    points: Float[np.ndarray, "n k 3"], fringe: Float[np.ndarray, " n"], cut: Cut, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "n k 3"], Int[np.ndarray, " n"]]:
    """Draws hairs together into locks towards their tips.

    Args:
        points: of the strands.
        fringe: 1 for strands of a fringe, which make locks of their own.
        cut: how much they draw together.
        rng: which ones.

    Returns:
        The points, and the number of each strand's lock.
    """
    number, count = points.shape[:2]
    guides = rng.choice(number, max(1, number // 22), replace=False)
    apart = 50 * fringe[:, None]
    near = points[:, 0] + rng.normal(0, 0.25, (number, 3))
    own = cKDTree(points[guides, 0] + apart[guides]).query(near + apart)[1]
    guide = points[guides[own]]
    beside = 0.4 * (points[:, :1] - guide[:, :1])
    share = cut.lock * rng.uniform(0.4, 1, (number, 1, 1)) * np.linspace(0, 1, count)[:, None] ** 0.7
    share = np.where(rng.uniform(size=(number, 1, 1)) < cut.loose, 0, share)
    return (points + share * (guide + beside - points)).astype(np.float32), own


def curl(
    points: Float[np.ndarray, "n k 3"], own: Int[np.ndarray, " n"], cut: Cut, rng: np.random.Generator
) -> Float[np.ndarray, "n k 3"]:
    """Winds hairs about their course, hairs of one lock together."""
    if cut.wave < 0.02:
        return points
    along = unit(np.gradient(points, axis=1))
    side = unit(cross(along, np.broadcast_to(np.array([0.3, 0.5, 0.8], np.float32), along.shape)))
    travelled = np.cumsum(np.linalg.norm(np.diff(points, axis=1, prepend=points[:, :1]), axis=-1), 1)
    phase = rng.uniform(0, 2 * np.pi, own.max() + 1)[own] + rng.normal(0, 0.3, len(own))
    pace = rng.uniform(0.8, 1.25, own.max() + 1)[own]
    turn = (phase[:, None] + 2 * np.pi * travelled * (pace / cut.wavelength)[:, None])[..., None]
    radius = cut.wave * np.clip(travelled / 1.5, 0, 1)[..., None]
    return (points + radius * (np.cos(turn) * side + np.sin(turn) * cross(along, side))).astype(np.float32)


def off_the_face(points: Float[np.ndarray, "n k 3"], root: Root) -> Float[np.ndarray, "n k 3"]:
    """Moves long hair in front of the face to its sides, except a fringe."""
    flat = points.reshape(-1, 3)
    free = (above_hairline(flat, 0.0) < -0.8) & np.repeat(root.fringe < 0.5, points.shape[1])
    half = np.interp(flat[:, 1], _FACE_Y, _FACE_X)
    ahead = np.interp(flat[:, 1], _AHEAD_Y, _AHEAD_Z)
    inside = free & (flat[:, 2] > 2.5) & (np.abs(flat[:, 0]) < half)
    side = np.repeat(np.where(root.place[:, 0] > root.parting, 1, -1), points.shape[1])
    moved = flat.copy()
    moved[inside, 0] = (side * (half + 0.25 * (half - np.abs(flat[:, 0])).clip(0, 3)))[inside]
    before = free & (flat[:, 2] > ahead)
    moved[before, 2] = (ahead + 0.15 * (flat[:, 2] - ahead))[before]
    return moved.reshape(points.shape)


def levels(look: Look, root: Root, rng: np.random.Generator) -> Float[np.ndarray, " n"]:
    """The height at which each strand has been cut; a fringe ends above the eyes."""
    number = len(root.place)
    level = max(16.0 - look.hair_length, _LOWEST)
    spread = 0.35 if look.hair_style == "bob" else 1.8
    cut = level + np.abs(rng.normal(0, spread, number))
    fringe = _BROWS + rng.normal(0, 0.3, number) - 0.02 * root.place[:, 0] ** 2
    return np.where(root.fringe > 0.5, fringe, cut).astype(np.float32)


def tail(
    points: Float[np.ndarray, "n k 3"], look: Look, rng: np.random.Generator
) -> Float[np.ndarray, "n k 3"]:
    """Ends tied hair behind the point where it is tied, in a bun or in a ponytail."""
    count = points.shape[1]
    tied, steps = points[:, TIE_STEPS], np.arange(1, count - TIE_STEPS)
    free = _bun(tied, steps, rng) if rng.uniform() < 0.5 else _ponytail(tied, steps, look, rng)
    return np.concatenate([points[:, : TIE_STEPS + 1], free], 1).astype(np.float32)


def _bun(
    tied: Float[np.ndarray, "n 3"], steps: Int[np.ndarray, " s"], rng: np.random.Generator
) -> Float[np.ndarray, "n s 3"]:
    """Strands wound around a ball."""
    number = len(tied)
    middle = tied.mean(0) + np.array([0, 0.2, -1.1])
    start = unit(rng.normal(0, 1, (number, 3)))
    aside = unit(cross(start, unit(rng.normal(0, 1, (number, 3)))))
    turn = (0.75 * (steps - 1))[None, :, None]
    radius = rng.uniform(2.0, 2.5, (number, 1, 1))
    return middle + radius * (np.cos(turn) * start[:, None] + np.sin(turn) * aside[:, None])


def _ponytail(
    tied: Float[np.ndarray, "n 3"], steps: Int[np.ndarray, " s"], look: Look, rng: np.random.Generator
) -> Float[np.ndarray, "n s 3"]:
    """Strands that leave the head backwards and fall."""
    share = (steps / steps[-1])[None, :, None]
    long = 0.6 * look.hair_length * rng.uniform(0.75, 1, (len(tied), 1, 1))
    aside = rng.normal(0, 1, (len(tied), 1, 3)) * [0.9, 0.5, 0.6]
    fall = np.array([0, -1, 0]) * share * long + np.array([0, 0.5, -1.8]) * np.sqrt(share)
    spread = aside * np.sin(np.pi * (0.15 + 0.7 * share))
    return tied[:, None] + fall + spread
