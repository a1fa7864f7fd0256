"""Glasses and clothes as meshes around the head of one person.

Centimetres, head coordinates (``params.py``) of the neutral head; clothes belong to the body and do not turn with
the head. Axis letters: v vertices, t triangles, p points of a line.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int32

from pcfh.spectral.facemodel import LANDMARKS, PARTS
from pcfh.spectral.params import Clothes, Glasses
from pcfh.spectral.strands import cross, unit

Head = Float[np.ndarray, "v 3"]
Line = Float[np.ndarray, "p 3"]
_SKIN = PARTS["head"] + 1
_EXPONENT = {"rectangular": 4.5, "round": 2.0, "oval": 2.2, "half_rim": 3.5}
_OUTLINE = 48
_AROUND, _DOWN = 96, 40
_HEM = -42.0
# Height of the neckline at the back and in front, and how much wider than the neck it is.
_NECKLINES = {
    "crew": (-12.4, -15.2, 0.4),
    "v_neck": (-12.4, -19.5, 0.4),
    "collar": (-11.0, -14.6, 0.4),
    "turtleneck": (-9.6, -11.2, 0.45),
    "hood": (-12.2, -15.4, 0.7),
}


@dataclass(frozen=True, kw_only=True)
class Mesh:
    """Triangles with what they are painted with.

    Attributes:
        vertices: in centimetres.
        triangles: indices of vertices.
        second: of each triangle, whether it has the second colour.
    """

    vertices: Float[np.ndarray, "v 3"]
    triangles: Int32[np.ndarray, "t 3"]
    second: np.ndarray


def glasses_meshes(glasses: Glasses, head: Head) -> tuple[Mesh, Mesh]:
    """Puts glasses on a nose: the frame, and the two lenses."""
    lenses = [_lens_outline(glasses, head, side) for side in (1.0, -1.0)]
    tubes = [_tube(_rim(outline, glasses), glasses.rim / 2) for outline in lenses]
    tubes.append(_tube(_bridge(lenses, head), glasses.rim / 2))
    tubes += [_tube(_temple(outline, head, side), 0.13) for outline, side in zip(lenses, (1.0, -1.0), strict=True)]
    return _together(tubes), _together([_lens(outline) for outline in lenses])


def clothes_mesh(clothes: Clothes, head: Head) -> Mesh:
    """Dresses the shoulders, around the neck of this head, down to the middle of the chest."""
    angle = np.linspace(0, 2 * np.pi, _AROUND, endpoint=False)  # 0 is the front, a quarter the person's left
    back, front, wide = _NECKLINES[clothes.kind]
    towards_front = (0.5 + 0.5 * np.cos(angle)) ** (5.0 if clothes.kind == "v_neck" else 2.0)
    top = back + (front - back) * towards_front
    share = np.linspace(0, 1, _DOWN)[:, None] ** 1.5
    height = top + (_HEM - top) * share
    radius = np.maximum(_radius(head, height, angle) + wide, _torso(height, angle))
    radius = radius + 0.10 * np.sin(7 * angle + 0.35 * height) * np.clip((-16 - height) / 8, 0, 1)
    rings = _placed(radius, height, angle)
    inner = _placed(radius[0] - 0.35, top - 0.1, angle)
    sheets = [np.concatenate([(inner - [0, 0.9, 0])[None], inner[None], rings])]
    if clothes.kind == "collar":
        sheets.append(_collar(radius[0], top, angle))
    if clothes.kind == "hood":
        sheets.append(_hood(radius[0], top, angle))
    if clothes.kind == "turtleneck":
        sheets.append(_fold(radius[0], top, angle))
    return _together([_sheet(sheet) for sheet in sheets])


def _lens_outline(glasses: Glasses, head: Head, side: float) -> Line:
    """The border of one lens, before the eye of one side."""
    marks = head[LANDMARKS]
    eye = marks[42:48].mean(0) if side > 0 else marks[36:42].mean(0)
    centre = max(abs(float(eye[0])) + 0.1, glasses.width / 2 + 0.85)
    angle = np.linspace(0, 2 * np.pi, _OUTLINE, endpoint=False)
    power = 2 / _EXPONENT[glasses.kind]
    x = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** power * glasses.width / 2
    y = np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** power * glasses.height / 2
    if glasses.kind in ("rectangular", "half_rim"):
        x = x * (1 + 0.10 * y / glasses.height)
    x, y = centre + x, float(eye[1]) - 0.25 + y
    front = float(marks[17:27, 2].max()) + 0.35
    depth = front - 0.018 * x**2 + 0.04 * (y - float(eye[1]))
    return np.stack([side * x, y, np.maximum(depth, _surface(head, side * x, y) + 0.15)], 1)


def _surface(head: Head, x: Float[np.ndarray, " p"], y: Float[np.ndarray, " p"]) -> Float[np.ndarray, " p"]:
    """How far out the face reaches behind points of the glasses, but for the nose, which they sit beside."""
    skin = head[: PARTS["face"] + 1]
    skin = skin[(np.abs(skin[:, 0]) > 1.4) & (skin[:, 2] > 0)]
    near = np.hypot(skin[:, 0] - x[:, None], skin[:, 1] - y[:, None]) < 0.45
    return np.where(near, skin[:, 2], -np.inf).max(1).clip(0)


def _rim(outline: Line, glasses: Glasses) -> Line:
    """The part of a lens' border that the frame follows."""
    if glasses.kind == "half_rim":
        return outline[: _OUTLINE // 2 + 1]
    return np.concatenate([outline, outline[:2]])


def _bridge(lenses: list[Line], head: Head) -> Line:
    """From lens to lens over the nose."""
    inner = [outline[np.argmin(np.abs(outline[:, 0]) - 0.08 * outline[:, 1])] for outline in lenses]
    nose = head[LANDMARKS[27]]
    share = np.linspace(0, 1, 9)[:, None]
    line = inner[0] * (1 - share) + inner[1] * share
    arc = np.sin(np.pi * share[:, 0])
    line[:, 1] += 0.25 * arc
    over = np.maximum(line[:, 2], float(nose[2]) + 0.25)
    line[:, 2] += arc * (over - line[:, 2])
    return line


def _temple(outline: Line, head: Head, side: float) -> Line:
    """From the outer border of a lens to behind the ear."""
    hinge = outline[np.argmax(np.abs(outline[:, 0]) + 0.3 * outline[:, 1])]
    ear = head[LANDMARKS[16 if side > 0 else 0]]
    away = abs(float(ear[0])) + 0.35
    corner = np.array([side * max(away - 0.6, abs(float(hinge[0])) + 0.25), hinge[1], hinge[2] - 0.8])
    over_ear = np.array([side * away, float(ear[1]) + 1.6, float(ear[2]) - 1.2])
    behind = over_ear + [side * 0.1, -1.6, -1.8]
    return np.stack([hinge, corner, (corner + over_ear) / 2, over_ear, behind])


def _lens(outline: Line) -> Mesh:
    """A lens as a fan around its middle, which stands out a little."""
    middle = outline.mean(0) + [0, 0, 0.18]
    half = (outline + middle) / 2 + [0, 0, 0.045]
    count = len(outline)
    number = np.arange(count)
    following = (number + 1) % count
    inner = np.stack([np.full(count, 2 * count), number + count, following + count], 1)
    rim = np.stack([number + count, number, following], 1)
    rim_two = np.stack([number + count, following, following + count], 1)
    triangles = np.concatenate([inner, rim, rim_two])
    return _mesh(np.concatenate([outline, half, middle[None]]), triangles)


def _tube(line: Line, radius: float, sides: int = 6) -> Mesh:
    """A round bar along a line."""
    along = unit(np.gradient(line, axis=0))
    helper = np.where(np.abs(along[:, 2:]) < 0.8, [[0.0, 0, 1]], [[0.0, 1, 0]])
    across = unit(cross(along, helper))
    up = cross(across, along)
    turn = np.linspace(0, 2 * np.pi, sides, endpoint=False)[:, None, None]
    rings = line + radius * (np.cos(turn) * across + np.sin(turn) * up)
    return _sheet(np.moveaxis(rings, 0, 1))


def _radius(
    head: Head, height: Float[np.ndarray, "rows cols"], angle: Float[np.ndarray, " cols"]
) -> Float[np.ndarray, "rows cols"]:
    """How far the neck and bust reach from the body's axis, by height and direction."""
    skin = head[:_SKIN]
    low = skin[skin[:, 1] < -7.0]
    away = np.hypot(low[:, 0], low[:, 2] - _axis(low[:, 1]))
    turned = np.arctan2(low[:, 0], low[:, 2] - _axis(low[:, 1]))
    levels = np.arange(-19.0, -7.0, 0.75)
    table = np.empty((len(levels), len(angle)))
    for row, level in enumerate(levels):
        near = np.abs(low[:, 1] - level) < 0.9
        apart = np.abs((turned[near] - angle[:, None] + np.pi) % (2 * np.pi) - np.pi)
        table[row] = np.where(apart < 0.2, away[near], 0).max(1)
    row = np.clip((height - levels[0]) / 0.75, 0, len(levels) - 1.001)
    first = row.astype(int)
    column = np.broadcast_to(np.arange(len(angle)), height.shape)
    return table[first, column] * (first + 1 - row) + table[first + 1, column] * (row - first)


def _axis(height: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """The depth of the body's axis: the neck leans forwards."""
    return -2.5 + 0.12 * np.clip(height + 16, 0, 10)


def _torso(height: Float[np.ndarray, "rows cols"], angle: Float[np.ndarray, " cols"]) -> Float[np.ndarray, "rows cols"]:
    """The radius of shoulders and chest that the face model has no more."""
    levels = [-42.0, -30.0, -24.0, -20.0, -17.5, -15.0, -12.5, -9.0]
    across = np.interp(height, levels, [21.5, 22.0, 21.5, 18.5, 13.5, 8.5, 5.0, 0.0])
    deep = np.interp(height, levels, [12.5, 12.0, 11.0, 9.5, 8.0, 6.5, 5.0, 0.0])
    return across * deep / np.sqrt((deep * np.sin(angle)) ** 2 + (across * np.cos(angle)) ** 2 + 1e-9)


def _placed(
    radius: Float[np.ndarray, "*rows cols"], height: Float[np.ndarray, "*rows cols"], angle: Float[np.ndarray, " cols"]
) -> Float[np.ndarray, "*rows cols 3"]:
    """Rings around the body's axis as points."""
    return np.stack([radius * np.sin(angle), height, _axis(height) + radius * np.cos(angle)], -1)


def _collar(radius: Float[np.ndarray, " c"], top: Float[np.ndarray, " c"], angle: Float[np.ndarray, " c"]) -> Float[np.ndarray, "r c 3"]:
    """A turned-down collar with two points in front."""
    points = np.exp(-(((np.abs((angle + np.pi) % (2 * np.pi) - np.pi) - 0.45) / 0.3) ** 2))
    fall = 2.2 + 2.2 * points
    rows = [(0.0, 0.0), (0.25, -0.35), (0.65, 0.4), (1.2, 1.0)]
    return np.stack([_placed(radius + out, top + 0.35 - fall * down, angle) for out, down in rows])


def _hood(radius: Float[np.ndarray, " c"], top: Float[np.ndarray, " c"], angle: Float[np.ndarray, " c"]) -> Float[np.ndarray, "r c 3"]:
    """A hood that lies on the shoulders: a thick roll, thickest behind."""
    thick = 1.0 + 1.3 * (0.5 - 0.5 * np.cos(angle))
    turns = np.linspace(-np.pi / 2, 1.2 * np.pi, 9)
    return np.stack(
        [_placed(radius + thick * (1.0 + np.cos(t)), top + thick * (0.1 + np.sin(t)), angle) for t in turns]
    )


def _fold(radius: Float[np.ndarray, " c"], top: Float[np.ndarray, " c"], angle: Float[np.ndarray, " c"]) -> Float[np.ndarray, "r c 3"]:
    """The folded part of a high collar."""
    rows = [(0.0, 0.0), (0.2, 0.15), (0.45, 0.0), (0.5, -1.5), (0.5, -2.8), (0.2, -3.1)]
    return np.stack([_placed(radius + out, top + up, angle) for out, up in rows])


def _sheet(rings: Float[np.ndarray, "r c 3"]) -> Mesh:
    """Closed rings joined one to the next; every third row in the second colour."""
    rows, columns = rings.shape[:2]
    first = (np.arange(rows - 1)[:, None] * columns + np.arange(columns)).reshape(-1)
    right = (np.arange(rows - 1)[:, None] * columns + (np.arange(columns) + 1) % columns).reshape(-1)
    triangles = np.concatenate(
        [np.stack([first, first + columns, right], 1), np.stack([right, first + columns, right + columns], 1)]
    )
    row = np.tile(np.repeat(np.arange(rows - 1), columns), 2)
    return _mesh(rings.reshape(-1, 3), triangles, row % 4 >= 2)


def _mesh(vertices: Float[np.ndarray, "v 3"], triangles: np.ndarray, second: np.ndarray | None = None) -> Mesh:
    return Mesh(
        vertices=vertices.astype(np.float32),
        triangles=triangles.astype(np.int32),
        second=np.zeros(len(triangles), bool) if second is None else second,
    )


def _together(meshes: list[Mesh]) -> Mesh:
    """Several meshes as one."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    return Mesh(
        vertices=np.concatenate([mesh.vertices for mesh in meshes]),
        triangles=np.concatenate(
            [mesh.triangles + start for mesh, start in zip(meshes, starts, strict=True)]
        ).astype(np.int32),
        second=np.concatenate([mesh.second for mesh in meshes]),
    )
