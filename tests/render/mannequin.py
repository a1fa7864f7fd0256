"""A face model for tests: an egg with 68 landmarks, numbered as ICT-FaceKit, made of nothing but formulas.

It has the parts that are seen (face, back of the head, eyes); the vertices of the others lie in the middle.
"""

import hashlib

import numpy as np

from pcfh_render.facemodel import COMPONENTS, LANDMARKS, PARTS, FaceModel

# Millimetres, from the right of the person (the left of the image).
_MARKS = """-74 37 37 -73 15 39 -69 -5 45 -66 -24 52 -57 -45 61 -43 -62 73 -31 -69 88 -15 -73 103 0 -76 104
15 -73 103 31 -69 88 43 -62 73 57 -45 61 66 -24 52 69 -5 45 73 15 39 74 37 37 -58 52 79 -49 60 90 -38 63 98
-24 62 105 -12 59 107 12 59 107 24 62 105 38 63 98 49 60 90 58 52 79 0 37 107 0 26 115 0 16 123 0 4 131
-13 -11 109 -6 -11 114 0 -12 116 6 -11 114 13 -11 109 -45 34 86 -39 39 94 -28 39 95 -18 33 92 -27 31 94
-39 31 92 18 33 92 28 39 95 39 39 94 45 34 86 39 31 92 27 31 94 -25 -35 102 -17 -28 112 -7 -24 117 0 -25 118
7 -24 117 17 -28 112 25 -35 102 18 -41 109 10 -43 114 0 -44 115 -10 -43 114 -18 -41 109 -22 -35 101
-10 -33 111 0 -33 113 10 -33 111 22 -35 101 11 -34 110 0 -34 113 -11 -34 110"""
_MIRRORED = [
    "browDown", "browInnerUp", "browOuterUp", "cheekPuff", "cheekSquint", "eyeBlink", "eyeLookDown",
    "eyeLookIn", "eyeLookOut", "eyeLookUp", "eyeSquint", "eyeWide", "mouthDimple", "mouthFrown",
    "mouthLowerDown", "mouthPress", "mouthSmile", "mouthStretch", "mouthUpperUp", "noseSneer",
]  # fmt: skip
_SINGLE = [
    "jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose", "mouthFunnel", "mouthLeft",
    "mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
]  # fmt: skip
NAMES = (*(f"{name}_{side}" for name in _MIRRORED for side in "LR"), *_SINGLE)


def mannequin() -> FaceModel:
    marks = np.array(_MARKS.split(), float).reshape(68, 3) / 10
    mean = np.tile(np.array([0.0, 0.0, 3.0]), (PARTS["right_lashes"] + 1, 1))
    triangles, uv = [], []
    for place, start, number, tile in _sheets():
        rows, columns = place.shape[:2]
        order = np.arange(start, start + rows * columns)
        flat = place.reshape(-1, 3).copy()
        if start == 0:
            order = _with_landmarks(flat, order, marks)
        mean[order] = flat
        mean[start + rows * columns : start + number] = flat[0]
        cells = _cells(rows, columns)
        triangles.append(order[cells])
        across, down = np.meshgrid(np.linspace(0.02, 0.98, columns), np.linspace(0.98, 0.02, rows))
        uv.append(np.stack([across + tile, down], -1).reshape(-1, 2)[cells])
    joined = np.concatenate(triangles).astype(np.int32)
    mean = mean.astype(np.float32)
    return FaceModel(
        mean=mean,
        identity=_identity(mean),
        expressions=_expressions(mean),
        triangles=joined,
        uv=np.concatenate(uv).astype(np.float32),
        part=np.searchsorted(np.array(list(PARTS.values())), joined[:, 0]).astype(np.uint8),
        fingerprint=hashlib.sha256(mean.tobytes()).hexdigest(),
    )


def _sheets():
    """Grids of points with their first vertex, their number of vertices and the tile of their texture."""
    turn, height = np.meshgrid(np.linspace(-1.65, 1.65, 97), np.linspace(1.25, -1.0, 97))
    yield _egg(turn, height), 0, 9409, 0
    turn, height = np.meshgrid(np.linspace(1.6, 4.7, 45), np.linspace(1.5, -1.1, 40))
    yield _egg(turn, height), 9409, 1839, 1
    for start, side in ((21451, 1), (23021, -1)):
        around, away = np.meshgrid(np.linspace(0, 2 * np.pi, 35), np.linspace(0, np.pi, 22))
        ball = np.stack([np.sin(away) * np.cos(around), np.sin(away) * np.sin(around), np.cos(away)], -1)
        yield np.array([3.1 * side, 3.5, 8.0]) + 1.45 * ball, start, 770, 2


def _egg(turn, height):
    """A head with a neck, by direction around the axis and height (1.5 the crown, -1 the neck's end)."""
    y = np.where(height > 0, 2 + 12.5 * np.sin(np.minimum(height, 1.57)), 2 + 19 * height)
    wide = np.where(
        height > 0,
        np.cos(np.minimum(height, 1.57)),
        np.interp(height, [-1, -0.62, -0.4, 0], [0.9, 0.6, 0.75, 1]),
    )
    x, z = 7.6 * wide * np.sin(turn), wide * np.where(np.cos(turn) > 0, 10.5, 9.0) * np.cos(turn)
    return np.stack([x, y, z], -1)


def _cells(rows, columns):
    first = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1)
    below = first + columns
    return np.concatenate(
        [np.stack([first, below, first + 1], 1), np.stack([first + 1, below, below + 1], 1)]
    )


def _with_landmarks(flat, order, marks):
    """Moves the nearest grid points to the landmarks, and gives them the landmarks' numbers."""
    order, free = order.copy(), np.ones(len(flat), bool)
    for number, mark in zip(LANDMARKS, marks, strict=True):
        distance = np.where(free, np.linalg.norm((flat - mark) * [1, 1, 0.3], axis=1), np.inf)
        cell = int(distance.argmin())
        other = int(np.flatnonzero(order == number)[0])
        order[cell], order[other] = order[other], order[cell]
        flat[cell], free[cell] = mark, False
    return order


def _identity(mean):
    shapes = np.zeros((COMPONENTS, *mean.shape), np.float32)
    for component, (axis, share) in enumerate(((0, 0.04), (1, 0.03), (2, 0.04))):
        shapes[component, :, axis] = share * mean[:, axis]
    return shapes


def _expressions(mean):
    """Each shape moves the skin around one place a little; the blink and the jaw are made of more."""
    shapes = {}
    for name in NAMES:
        side = {"L": 1.0, "R": -1.0}.get(name[-1], 0.0) if "_" in name else 0.0
        place = np.array([3.0 * side, {"b": 6.0, "e": 3.5, "c": 0.5}.get(name[0], -3.5), 10.0])
        push = {"browInnerUp": 0.5, "browOuterUp": 0.5, "jawOpen": -1.5, "browDown": -0.4}
        near = np.exp(-((mean - place) ** 2).sum(1) / 4)
        shape = np.zeros_like(mean)
        shape[: PARTS["head"] + 1, 1] = (push.get(name.split("_")[0], 0.1) * near)[: PARTS["head"] + 1]
        shapes[name] = shape
    return shapes
