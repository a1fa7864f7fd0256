"""A tiny database of drawn faces, so that everything can be tried without any real one.

Shaded cartoons with exact landmarks, in visible and in near-infrared light by rule: in the latter skin is
bright whatever its tone, lips are hardly darker than skin, irises are light, the background is dark,
and the light is a frontal flash that falls off to the sides.

Faces are laid out in their own plane: (x, y), x to the right, y down, the origin between the eyes, in half
widths of the face; a third coordinate points to the camera. Landmarks of a drawing are in its pixels. Colours
are in [0, 1], angles in radians.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageChops, ImageDraw

from pcfh.databases.records import LANDMARKS_FILE
from pcfh.files import write_atomically
from pcfh.images import write_png
from pcfh.landmarks.given import write_landmarks

CAPTURES = 3  # of each person in each light
_FINER = 3  # samples per pixel and axis
_LEFT, _RIGHT = slice(36, 42), slice(42, 48)

Colour = tuple[float, float, float]
Point = Float[np.ndarray, "2"]
Line = Float[np.ndarray, "_ 2"]  # points of the plane, one after the other
Landmarks = Float[np.ndarray, "68 2"]
Placement = Float[np.ndarray, "2 3"]  # from the plane to pixels
Grid = Float[np.ndarray, "s s 2"]  # where in the plane each pixel's centre lies
Layer = Float[np.ndarray, "s s"]
Picture = Float[np.ndarray, "s s 3"]


class Paint(NamedTuple):
    """What a surface looks like in visible and near-infrared light, and whether it is skin or hair."""

    rgb: Colour
    nir: float
    skin: float = 0.0
    hair: float = 0.0


_WALL = Paint((0.62, 0.66, 0.70), 0.16)


@dataclass(frozen=True, kw_only=True)
class DrawnFace:
    """A person: lengths in half widths of the face, weights in [0, 1], and paints."""

    jaw: float
    chin: float
    eye_gap: float
    eye_size: float
    eye_slant: float
    brow_height: float
    brow_weight: float
    nose_length: float
    nose_width: float
    mouth_height: float
    mouth_width: float
    lip_weight: float
    hairline: float
    hair_volume: float
    hair_length: float
    parting: float
    stubble: float
    skin: Paint
    hair: Paint
    iris: Paint
    lips: Paint
    clothes: Paint


@dataclass(frozen=True, kw_only=True)
class Capture:
    """How a person was recorded.

    Attributes:
        yaw: positive turns the face to the right of the image.
        roll: positive turns it clockwise.
        smile: in [0, 1].
        opening: of the mouth, in [0, 1].
        raised: brows, in [0, 1].
        light: colour of the visible light.
        light_from: direction to it, (x, y, towards the camera).
        background: behind the person.
        grain: seed of the near-infrared noise.
    """

    yaw: float = 0.0
    roll: float = 0.0
    smile: float = 0.0
    opening: float = 0.0
    raised: float = 0.0
    light: Colour = (1.0, 1.0, 1.0)
    light_from: tuple[float, float, float] = (0.0, -0.35, 1.0)
    background: Paint = _WALL
    grain: int = 0


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """One scene in both lights; the landmarks hold for both."""

    vis: UInt8[np.ndarray, "s s 3"]
    nir: UInt8[np.ndarray, "s s 1"]
    landmarks: Float[np.ndarray, "68 2"]


def draw(face: DrawnFace, capture: Capture, size: int) -> Drawing:
    """Draws a person.

    Args:
        face: the person.
        capture: pose, expression and light.
        size: side of the square images in pixels.
    """
    points = _turned(_landmarks(face, capture), capture.yaw)
    place = _placement(capture.roll, size)
    canvas = _Canvas(size, place, capture.background)
    _paint_person(canvas, face, capture, points)
    rgb, (nir, skin, hair) = canvas.layers()
    plane = _plane_grid(place, size)
    gloss = hair * _strands(plane)
    rgb = _tinted(rgb, face, plane, points, skin)
    slope = _slopes(_relief(plane, points, capture), place)
    vis = rgb * (_shading(slope, capture.light_from, skin) + gloss)[..., None] * capture.light
    flash = _shading(slope, (0.0, 0.0, 1.0), skin) * _fall_off(size) + gloss
    grain = np.random.default_rng(capture.grain).normal(0, 0.012, nir.shape)
    pixels = points @ place[:, :2].T + place[:, 2]
    return Drawing(vis=_bytes(vis), nir=_bytes((nir * flash + grain)[..., None]), landmarks=pixels)


def draw_database(root: Path, *, identities: int, seed: int, size: int = 160) -> None:
    """Draws people and writes them in the layout of CASIA NIR-VIS 2.0, one protocol, "1".

    The first half of them trains, the others test. ``landmarks68.csv`` comes last and says that all is there;
    ``truth/s1/NIR/<id>/<n>.png`` is the neutrally lit VIS image of the very moment of each NIR capture.

    Args:
        root: folder to write to.
        identities: how many people.
        seed: equal seeds give equal files.
        size: side of the images in pixels.
    """
    people = [f"{number:05d}" for number in range(1, identities + 1)]
    landmarks: dict[str, Landmarks] = {}
    for number, person in enumerate(people):
        rng = np.random.default_rng((seed, number))
        face = random_face(rng)
        for shot in range(1, CAPTURES + 1):
            name = f"{person}/{shot:03d}.png"
            lit = draw(face, random_capture(rng, neutral=False), size)
            flashed = draw(face, random_capture(rng, neutral=True), size)
            images = {
                f"s1/VIS/{name}": lit.vis,
                f"s1/NIR/{name}": flashed.nir,
                f"truth/s1/NIR/{name}": flashed.vis,
            }
            for path, image in images.items():
                write_png(root / path, image, {})
            landmarks |= {f"s1/VIS/{name}": lit.landmarks, f"s1/NIR/{name}": flashed.landmarks}
    half = identities // 2
    _write_lists(root / "protocols", people[:half], people[half:])
    write_landmarks(root / LANDMARKS_FILE, landmarks)


def _write_lists(folder: Path, train: Sequence[str], test: Sequence[str]) -> None:
    """The four lists with the backslashes and line ends of the original."""
    shots = range(1, CAPTURES + 1)
    lists = {
        "vis_train_1.txt": [rf"s1\VIS\{person}\{shot:03d}.png" for person in train for shot in shots],
        "nir_train_1.txt": [rf"s1\NIR\{person}\{shot:03d}.png" for person in train for shot in shots],
        "vis_gallery_1.txt": [rf"s1\VIS\{person}\001.png" for person in test],
        "nir_probe_1.txt": [rf"s1\NIR\{person}\{shot:03d}.png" for person in test for shot in shots],
    }
    for name, lines in lists.items():
        write_atomically(folder / name, "".join(f"{line}\r\n" for line in lines).encode())


def random_face(rng: np.random.Generator) -> DrawnFace:
    """A person; dark skin goes with dark hair and eyes, as it mostly does."""
    tone = rng.uniform() ** 1.5
    skin = _between(((0.97, 0.83, 0.75), (0.87, 0.66, 0.52), (0.62, 0.42, 0.30), (0.36, 0.23, 0.17)), tone)
    dark = min(1.0, 0.9 * tone + rng.uniform(0, 0.5))
    hair = _between(((0.86, 0.70, 0.42), (0.56, 0.33, 0.17), (0.27, 0.17, 0.11), (0.08, 0.07, 0.07)), dark)
    iris = _between(((0.42, 0.62, 0.78), (0.40, 0.52, 0.36), (0.42, 0.27, 0.14), (0.24, 0.14, 0.08)), dark)
    red = rng.uniform(0.2, 0.7)
    lips = _mixed(_mixed(skin, (0.55, 0.28, 0.28), 0.35), (0.72, 0.22, 0.26), red)
    return DrawnFace(
        jaw=rng.uniform(0.0, 1.0),
        chin=rng.uniform(1.28, 1.58),
        eye_gap=rng.uniform(0.39, 0.46),
        eye_size=rng.uniform(0.165, 0.205),
        eye_slant=rng.uniform(-0.03, 0.13),
        brow_height=rng.uniform(0.22, 0.30),
        brow_weight=rng.uniform(0.03, 0.085),
        nose_length=rng.uniform(0.46, 0.60),
        nose_width=rng.uniform(0.14, 0.21),
        mouth_height=rng.uniform(0.82, 0.94),
        mouth_width=rng.uniform(0.29, 0.37),
        lip_weight=rng.uniform(0.055, 0.10),
        hairline=rng.uniform(-0.86, -0.60),
        hair_volume=rng.uniform(0.06, 0.22),
        hair_length=rng.choice([0.1, rng.uniform(0.9, 2.2)]),
        parting=rng.uniform(-0.6, 0.6),
        stubble=max(0.0, rng.uniform(-0.8, 0.6)),
        skin=Paint(skin, 0.84 - 0.14 * tone, skin=1.0),
        hair=Paint(hair, 0.52 - 0.36 * dark, hair=1.0),
        iris=Paint(iris, 0.52 - 0.14 * dark),
        lips=Paint(lips, 0.76 - 0.14 * tone, skin=1.0),
        clothes=Paint(_muted(rng), rng.uniform(0.2, 0.5)),
    )


def random_capture(rng: np.random.Generator, *, neutral: bool) -> Capture:
    """Pose and expression, and the light too if it shall not be neutral."""
    moment = Capture(
        yaw=rng.uniform(-0.38, 0.38),
        roll=rng.normal(0, 0.06),
        smile=rng.uniform(),
        opening=max(0.0, rng.uniform(-0.6, 1.0)),
        raised=rng.uniform(),
        grain=int(rng.integers(1 << 31)),
    )
    if neutral:
        return moment
    warm, bright = rng.uniform(-0.08, 0.08), rng.uniform(0.9, 1.06)
    return replace(
        moment,
        light=(bright + warm, bright, bright - warm),
        light_from=(rng.uniform(-0.5, 0.5), rng.uniform(-0.6, -0.1), 1.0),
        background=Paint(_muted(rng), _WALL.nir),
    )


def _muted(rng: np.random.Generator) -> Colour:
    """A colour of walls and clothes."""
    red, green, blue = rng.uniform(0.25, 0.8) + rng.uniform(-0.14, 0.14, 3)
    return float(red), float(green), float(blue)


def _mixed(a: Colour, b: Colour, share: float) -> Colour:
    red, green, blue = ((1 - share) * x + share * y for x, y in zip(a, b, strict=True))
    return red, green, blue


def _between(scale: Sequence[Colour], place: float) -> Colour:
    """The colour at a place in [0, 1] of a scale of colours."""
    position = place * (len(scale) - 1)
    step = min(int(position), len(scale) - 2)
    return _mixed(scale[step], scale[step + 1], position - step)


def _landmarks(face: DrawnFace, capture: Capture) -> Float[np.ndarray, "68 3"]:
    """The 68 points in space before the head is turned."""
    brows, eyes = _brows(face, capture), _eyes(face, capture)
    return np.concatenate([_jaw(face, capture), brows, _nose(face), eyes, _mouth(face, capture)])


def _jaw(face: DrawnFace, capture: Capture) -> Float[np.ndarray, "17 3"]:
    angle = np.linspace(0, np.pi, 17)
    down = np.sin(angle)
    x = -np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** (1.08 - 0.3 * face.jaw)
    y = face.chin * down + 0.14 * capture.opening * down**3
    return np.stack([x, y, 0.7 * down - 0.6], 1)


def _brows(face: DrawnFace, capture: Capture) -> Float[np.ndarray, "10 3"]:
    outward = np.linspace(1, 0, 5)
    x = face.eye_gap - 0.25 + 0.54 * outward
    y = -face.brow_height - 0.09 * capture.raised - 0.08 * np.sin(np.pi * (0.1 + 0.7 * outward))
    side = np.stack([x, y, 0.25 - 0.3 * outward], 1)
    return np.concatenate([side * (-1, 1, 1), side[::-1]])


def _nose(face: DrawnFace) -> Float[np.ndarray, "9 3"]:
    down = np.linspace(0, 1, 4)
    ridge = np.stack([0 * down, 0.02 + (face.nose_length - 0.1) * down, 0.2 + 0.4 * down], 1)
    across = np.linspace(-1, 1, 5)
    y = face.nose_length + 0.05 * (1 - across**2)
    base = np.stack([face.nose_width * across, y, 0.42 - 0.2 * across**2], 1)
    return np.concatenate([ridge, base])


def _eyes(face: DrawnFace, capture: Capture) -> Float[np.ndarray, "12 3"]:
    half = face.eye_size
    x = half * np.array([-1, -0.4, 0.4, 1, 0.4, -0.4])
    lids = half * np.array([0, -0.55, -0.55, 0, 0.36, 0.36]) * (1.05 - 0.2 * capture.smile)
    eyes = [
        np.stack([side * face.eye_gap + x, lids - side * face.eye_slant * x, 0.08 - 0.3 * side * x], 1)
        for side in (-1, 1)
    ]
    return np.concatenate(eyes)


def _mouth(face: DrawnFace, capture: Capture) -> Float[np.ndarray, "20 3"]:
    outer_x = np.array([-1, -0.65, -0.25, 0, 0.25, 0.65, 1, 0.65, 0.25, 0, -0.25, -0.65])
    outer_y = np.array([0, -0.7, -1, -0.8, -1, -0.7, 0, 0.85, 1.25, 1.3, 1.25, 0.85])
    inner_x = np.array([-0.88, -0.3, 0, 0.3, 0.88, 0.3, 0, -0.3])
    inner_y = np.array([0, -0.06, 0, -0.06, 0, 0.06, 0.08, 0.06])
    across = np.concatenate([outer_x, inner_x])
    y = face.lip_weight * np.concatenate([outer_y, inner_y])
    opened = 0.17 * capture.opening * (1 - across**2) * (y > 0)
    x = face.mouth_width * (1 + 0.2 * capture.smile - 0.12 * capture.opening) * across
    y = face.mouth_height + y + opened - 0.09 * capture.smile * across**2
    return np.stack([x, y, 0.32 - 0.25 * across**2], 1)


def _turned(points: Float[np.ndarray, "n 3"], yaw: float) -> Line:
    """Points of the plane after the head is turned."""
    return np.stack([points[:, 0] * math.cos(yaw) + points[:, 2] * math.sin(yaw), points[:, 1]], 1)


def _placement(roll: float, size: int) -> Placement:
    """From the plane to pixels."""
    cos, sin = 0.25 * size * math.cos(roll), 0.25 * size * math.sin(roll)
    return np.array([[cos, -sin, 0.5 * size - 0.5], [sin, cos, 0.46 * size - 0.5]])


def _curve(points: Line) -> Line:
    """A smooth line through points (Catmull-Rom), eight steps from one to the next."""
    p = np.concatenate([points[:1], points, points[-1:]])
    t = np.linspace(0, 1, 8, endpoint=False)[:, None, None]
    a, b, c, d = p[:-3], p[1:-2], p[2:-1], p[3:]
    steps = b + 0.5 * t * ((c - a) + t * ((2 * a - 5 * b + 4 * c - d) + t * (3 * (b - c) + d - a)))
    return np.concatenate([steps.transpose(1, 0, 2).reshape(-1, 2), points[-1:]])


def _almond(points: Line) -> Line:
    """The outline of an eye or a mouth: smooth, with corners at the first point and the one half way."""
    half = len(points) // 2
    return np.concatenate([_curve(points[: half + 1]), _curve(np.concatenate([points[half:], points[:1]]))])


def _stroke(points: Line, start: float, end: float, *, middle: float) -> Line:
    """The outline of a line with the given widths at its start, middle and end."""
    line = _curve(points)
    along = np.gradient(line, axis=0)
    normal = along[:, ::-1] * (-1, 1) / np.linalg.norm(along, axis=1, keepdims=True)
    width = np.interp(np.linspace(0, 1, len(line)), (0, 0.5, 1), (start, middle, end))[:, None]
    return np.concatenate([line + normal * width / 2, (line - normal * width / 2)[::-1]])


def _ellipse(centre: Point, across: float, down: float | None = None) -> Line:
    """The outline of an ellipse, or of a circle."""
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    return centre + np.stack([across * np.cos(angle), (down or across) * np.sin(angle)], 1)


def _moved(points: Float[np.ndarray, "*n 2"], right: float, down: float) -> Float[np.ndarray, "*n 2"]:
    return points + np.array([right, down])


def _arch(across: float, up: float, depth: float, yaw: float) -> Line:
    """Half an ellipse over the head, from the right temple to the left one."""
    angle = np.linspace(0, np.pi, 33)
    over = np.stack([across * np.cos(angle), -up * np.sin(angle), depth + 0.3 * np.sin(angle)], 1)
    return _turned(over, yaw)


def _cap(face: DrawnFace, yaw: float) -> Line:
    """The outer line of the hair on the head."""
    return _arch(1.0 + 0.6 * face.hair_volume, 1.1 + face.hair_volume, -0.5, yaw)


class _Canvas:
    """Flat paints, finer than pixels.

    Args:
        size: side in pixels.
        place: from the plane to pixels.
        ground: what it is primed with.
    """

    def __init__(self, size: int, place: Placement, ground: Paint) -> None:
        shape = (size * _FINER, size * _FINER)
        self._place = place
        self._rgb = Image.new("RGB", shape, _whole(ground.rgb))
        self._rest = Image.new("RGB", shape, _whole((ground.nir, ground.skin, ground.hair)))

    def fill(self, outline: Line, paint: Paint, *, within: Line | None = None) -> None:
        """Paints the inside of an outline of the plane, or what of it lies in another one."""
        mask = self._mask(outline)
        if within is not None:
            mask = ImageChops.darker(mask, self._mask(within))
        box = mask.getbbox()
        if box is not None:
            self._rgb.paste(_whole(paint.rgb), box, mask.crop(box))
            self._rest.paste(_whole((paint.nir, paint.skin, paint.hair)), box, mask.crop(box))

    def layers(self) -> tuple[Picture, Float[np.ndarray, "3 s s"]]:
        """Visible colour of each pixel; and its near-infrared brightness, share of skin and share of hair."""
        rgb, rest = (np.asarray(image.reduce(_FINER)) / 255 for image in (self._rgb, self._rest))
        return rgb, np.moveaxis(rest, -1, 0)

    def _mask(self, outline: Line) -> Image.Image:
        pixels = outline @ self._place[:, :2].T + self._place[:, 2]
        samples = pixels * _FINER + (_FINER - 1) / 2
        mask = Image.new("L", self._rgb.size)
        ImageDraw.Draw(mask).polygon(samples.ravel().tolist(), fill=255)
        return mask


def _whole(colour: Colour) -> tuple[int, int, int]:
    red, green, blue = (round(255 * min(1.0, max(0.0, value))) for value in colour)
    return red, green, blue


def _scaled(paint: Paint, rgb: float, nir: float) -> Paint:
    """A darker or lighter paint of the same kind."""
    return paint._replace(rgb=_mixed((0.0, 0.0, 0.0), paint.rgb, rgb), nir=paint.nir * nir)


def _paint_person(canvas: _Canvas, face: DrawnFace, capture: Capture, points: Landmarks) -> None:
    """Everything from the back to the front."""
    _paint_body(canvas, face, capture.yaw)
    _paint_head(canvas, face, capture.yaw, points)
    _paint_mouth(canvas, face, points)
    for nostril in (points[32], points[34]):
        canvas.fill(_ellipse(_moved(nostril, 0.0, -0.012), 0.042, 0.02), _scaled(face.skin, 0.4, 0.45))
    for eye in (points[_LEFT], points[_RIGHT]):
        _paint_eye(canvas, face, eye)
    brow = _scaled(face.hair, 0.8, 0.85)._replace(skin=1.0, hair=0.0)
    heavy = face.brow_weight
    canvas.fill(_stroke(points[17:22], 0.3 * heavy, 0.8 * heavy, middle=1.1 * heavy), brow)
    canvas.fill(_stroke(points[22:27], 0.8 * heavy, 0.3 * heavy, middle=1.1 * heavy), brow)
    _paint_hair(canvas, face, capture.yaw)


def _paint_body(canvas: _Canvas, face: DrawnFace, yaw: float) -> None:
    """Hair behind the head, neck and clothes."""
    if face.hair_length > 0.5:
        wide, long = 1.05 + face.hair_volume, face.hair_length
        lock = np.array([[-wide, 0.2], [-1.1 * wide, 0.7 * long], [-wide, long], [-0.5, long + 0.05]])
        locks = _moved(_curve(np.concatenate([lock, lock[::-1] * (-1, 1)])), -0.5 * math.sin(yaw), 0.0)
        back = np.concatenate([_arch(wide, 1.1 + face.hair_volume, -0.5, yaw), locks])
        canvas.fill(back, _scaled(face.hair, 0.7, 0.7))
    half = np.array([[-0.55, 0.6], [-0.55, 1.75], [-0.75, 2.4]])
    neck = np.concatenate([half, half[::-1] * (-1, 1)])
    canvas.fill(neck, _scaled(face.skin, 0.78, 0.7)._replace(skin=0.0))
    left = np.array([[-3.0, 2.7], [-1.6, 2.05], [-0.68, 1.75], [-0.35, 2.05], [0.0, 2.12]])
    shoulders = _curve(np.concatenate([left, left[-2::-1] * (-1, 1)]))
    canvas.fill(np.concatenate([shoulders, [[4, 4], [-4, 4]]]), face.clothes)


def _paint_head(canvas: _Canvas, face: DrawnFace, yaw: float, points: Landmarks) -> None:
    for ear, side in ((points[1], -1), (points[15], 1)):
        canvas.fill(_ellipse(_moved(ear, 0.03 * side, -0.03), 0.13, 0.26), _scaled(face.skin, 0.9, 0.85))
    canvas.fill(_cap(face, yaw), face.hair)  # seen past the temple of a head that is turned
    skull = _arch(1.0, 1.1, -0.6, yaw)
    canvas.fill(np.concatenate([_curve(points[:17]), skull]), face.skin)


def _paint_mouth(canvas: _Canvas, face: DrawnFace, points: Landmarks) -> None:
    outer, inner = _almond(points[48:60]), _almond(points[60:68])
    canvas.fill(outer, face.lips)
    upper = np.concatenate([_curve(points[48:55]), _curve(points[64:59:-1])])
    canvas.fill(upper, _scaled(face.lips, 0.88, 0.94))
    canvas.fill(inner, Paint((0.25, 0.08, 0.08), 0.2))
    middle = points[62]
    canvas.fill(_ellipse(middle, 0.2, 0.055), Paint((0.93, 0.91, 0.86), 0.75), within=inner)
    canvas.fill(_stroke(points[60:65], 0.012, 0.012, middle=0.018), _scaled(face.lips, 0.5, 0.6))


def _paint_eye(canvas: _Canvas, face: DrawnFace, eye: Float[np.ndarray, "6 2"]) -> None:
    lids = _almond(eye)
    centre, size = eye.mean(0), face.eye_size
    canvas.fill(lids, Paint((0.94, 0.93, 0.91), 0.66))
    canvas.fill(_ellipse(centre, 0.54 * size), _scaled(face.iris, 0.6, 0.75), within=lids)
    canvas.fill(_ellipse(centre, 0.46 * size), face.iris, within=lids)
    canvas.fill(_ellipse(centre, 0.22 * size), Paint((0.03, 0.03, 0.03), 0.04), within=lids)
    canvas.fill(_ellipse(_moved(centre, 0.03, -0.035), 0.022), Paint((1.0, 1.0, 1.0), 1.0), within=lids)
    lash = _scaled(face.hair, 0.35, 0.4)._replace(hair=0.0)
    canvas.fill(_stroke(eye[:4], 0.022, 0.022, middle=0.036), lash)
    canvas.fill(
        _stroke(_moved(eye[:4], 0.0, -0.05), 0.008, 0.008, middle=0.016), _scaled(face.skin, 0.72, 0.85)
    )
    canvas.fill(_stroke(eye[[3, 4, 5, 0]], 0.008, 0.012, middle=0.01), _scaled(face.skin, 0.6, 0.75))


def _paint_hair(canvas: _Canvas, face: DrawnFace, yaw: float) -> None:
    """Hair over forehead and temples."""
    low, part = face.hairline, face.parting
    left = np.array([[-1.0, 0.22, -0.6], [-0.94, -0.2, -0.4], [-0.8, 0.6 * low, -0.1], [-0.45, low, 0.1]])
    crest = np.array([[0.5 * part, low - 0.08, 0.15]])
    line = np.concatenate([left, crest, left[::-1] * (-1, 1, 1)])
    line[[3, 5], 1] += (0.1 * part, -0.1 * part)
    canvas.fill(np.concatenate([_curve(_turned(line, yaw)), _cap(face, yaw)]), face.hair)


def _plane_grid(place: Placement, size: int) -> Float[np.ndarray, "{size} {size} 2"]:
    """Where in the plane each pixel's centre lies."""
    rows, columns = np.mgrid[:size, :size]
    pixels = np.stack([columns, rows], -1) - place[:, 2]
    return pixels @ np.linalg.inv(place[:, :2]).T


def _ridge(plane: Grid, start: Point, end: Point, width: float) -> Layer:
    """A bell-shaped wall along a segment, 1 on it."""
    along = end - start
    reach = ((plane - start) @ along / max(float(along @ along), 1e-9)).clip(0, 1)
    away = plane - start - reach[..., None] * along
    return np.exp(-(away**2).sum(-1) / (2 * width**2))


def _relief(plane: Grid, points: Landmarks, capture: Capture) -> Layer:
    """How far the face comes forward."""
    left, right = points[_LEFT].mean(0), points[_RIGHT].mean(0)
    below = points[8] - (0, 0.16)
    walls = [
        (points[27], points[30], 0.08, 0.10),
        (points[30], points[33], 0.09, 0.13),
        (points[18], points[20], 0.09, 0.05),
        (points[23], points[25], 0.09, 0.05),
        (points[49], points[53], 0.06, 0.035),
        (points[58], points[56], 0.06, 0.045),
        (below, below, 0.16, 0.07),
    ]
    for side, eye, wing, corner in ((-1, left, points[31], points[48]), (1, right, points[35], points[54])):
        cheek, beside = _moved(eye, 0.1 * side, 0.46), 0.06 * side
        walls += [
            (wing, wing, 0.06, 0.05),
            (eye, eye, 0.20, -0.09),
            (eye, eye, 0.10, 0.05),
            (cheek, cheek, 0.22, 0.06 + 0.03 * capture.smile),
            (_moved(wing, beside, 0.0), _moved(corner, beside, 0.0), 0.04, -0.012 - 0.025 * capture.smile),
        ]
    middle = (points[0] + points[16]) / 2
    x, y = np.moveaxis(plane - middle, -1, 0)
    dome = -0.42 * x**2 - 0.22 * (y - 0.1) ** 2
    return dome + sum(height * _ridge(plane, start, end, width) for start, end, width, height in walls)


def _slopes(relief: Layer, place: Placement) -> tuple[Layer, Layer]:
    """Rise of the relief to the right and downwards."""
    down, right = np.gradient(relief, 1 / math.hypot(*place[:, 0]))
    return right, down


def _shading(slopes: tuple[Layer, Layer], light_from: tuple[float, float, float], skin: Layer) -> Layer:
    """Brightness of the skin by its slope, 1 where there is none."""
    right, down = slopes
    x, y, z = np.array(light_from) / np.linalg.norm(light_from)
    facing = (z - x * right - y * down) / np.sqrt(1 + right**2 + down**2)
    lit = 0.38 + 0.66 * facing.clip(0) + 0.10 * facing.clip(0) ** 24
    return 1 + skin * (lit - 1)


def _tinted(rgb: Picture, face: DrawnFace, plane: Grid, points: Landmarks, skin: Layer) -> Picture:
    """Red cheeks and nose and a beard's shadow, all of which near-infrared does not see."""
    left, right = points[_LEFT].mean(0), points[_RIGHT].mean(0)
    spots = ((_moved(left, -0.1, 0.46), 0.2), (_moved(right, 0.1, 0.46), 0.2), (points[30], 0.1))
    red = sum(_ridge(plane, spot, spot, width) for spot, width in spots)
    beard = _ridge(plane, points[5], points[8], 0.2) + _ridge(plane, points[8], points[11], 0.2)
    beard += _ridge(plane, _moved(points[50], 0.0, -0.06), _moved(points[52], 0.0, -0.06), 0.08)
    tint = 1 - (skin * red)[..., None] * (0.0, 0.10, 0.09)
    return rgb * tint * (1 - face.stubble * (skin * beard.clip(0, 1))[..., None] * (0.55, 0.5, 0.45))


def _strands(plane: Grid) -> Layer:
    """Brightness of strands of hair from the crown down, and the shine across them."""
    x, y = np.moveaxis(plane - (0, -0.4), -1, 0)
    angle, away = np.arctan2(x, -y), np.hypot(x, y)
    strands = 0.10 * np.sin(46 * angle + 3 * np.sin(5 * away)) + 0.07 * np.sin(83 * angle)
    return strands * away.clip(0, 1) + 0.35 * np.exp(-((away - 0.62) ** 2) / 0.01) - 0.05


def _fall_off(size: int) -> Float[np.ndarray, "{size} {size}"]:
    """The flash: full in the middle, weaker to the sides."""
    rows, columns = (np.mgrid[:size, :size] + 0.5) / size - 0.5
    return 1.08 - 1.3 * (rows**2 + columns**2)


def _bytes(image: Float[np.ndarray, "s s c"]) -> UInt8[np.ndarray, "s s c"]:
    return (255 * image).round().clip(0, 255).astype(np.uint8)
