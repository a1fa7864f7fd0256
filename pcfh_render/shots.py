"""Draws captures: pose, expression, light and camera."""

import math
from dataclasses import replace

import numpy as np

from pcfh.databases.records import Modality
from pcfh.nir_cameras import draw_capture
from pcfh_render.difficulty import Difficulty
from pcfh_render.expressions import draw_expression, draw_eyes, merged
from pcfh_render.lamps import Light, draw_flash, draw_lamps, draw_room, white_balance
from pcfh_render.materials import curtain, paint
from pcfh_render.params import Bands, Camera, Look, Person, Real, Shot
from pcfh_render.skin import skin_albedo
from pcfh_render.streams import generator

_GREY_CARD = 0.33  # albedo of a face that a camera exposes as it is


def draw_shots(person: Person, look: Look, *, difficulty: Difficulty, nir: int, vis: int) -> tuple[Shot, ...]:
    """Draws the captures of one person in one session, the NIR ones first.

    The first VIS capture is a calm one, which makes a fair gallery; the others are as the difficulty says.

    Args:
        person: who.
        look: of the session.
        difficulty: ranges.
        nir: number of NIR captures.
        vis: number of VIS captures.
    """
    counts: tuple[tuple[Modality, int], ...] = (("NIR", nir), ("VIS", vis))
    return tuple(
        _draw_shot(person, look, modality, number=number, difficulty=difficulty)
        for modality, count in counts
        for number in range(count)
    )


def departure(shot: Shot) -> float:
    """How far a capture is from a neutral frontal one; 0 is just that.

    The angle of the pose in degrees, plus ten for each full weight among the four strongest shapes.
    """
    strengths = sorted((weight for name, weight in shot.weights if "Look" not in name), reverse=True)
    return math.hypot(shot.yaw, 1.3 * shot.pitch, 0.5 * shot.roll) + 10 * sum(strengths[:4])


def _draw_shot(
    person: Person, look: Look, modality: Modality, *, number: int, difficulty: Difficulty
) -> Shot:
    """Draws one capture."""
    nir = modality == "NIR"
    rng = generator("shot", person.seed, look.session, int(nir), number)
    calm = number == 0 and not nir
    yaw, pitch, roll = _pose(rng, difficulty, calm=calm)
    expression, weights = draw_expression(rng, difficulty, calm=calm)
    eyes = draw_eyes(rng, difficulty, yaw=yaw, pitch=pitch, calm=calm)
    distance = float(rng.uniform(*(difficulty.nir_distance if nir else difficulty.vis_distance)))
    light = (
        draw_flash(rng, difficulty, session=look.session, distance=distance)
        if nir
        else draw_room(rng, difficulty)
    )
    shot = Shot(
        modality=modality,
        seed=int(rng.integers(1 << 32)),
        expression=expression,
        weights=merged(weights, eyes),
        yaw=yaw,
        pitch=pitch,
        roll=roll,
        glasses=look.glasses is not None and bool(rng.uniform() < difficulty.wearing),
        light=light.name,
        kelvin=light.kelvin,
        lamps=light.lamps,
        background=_wall(rng),
        background_light=float(rng.uniform(0.005, 0.05) if nir else rng.uniform(0.45, 1.1)),
        camera=_camera(rng, difficulty, light, distance=distance, skin=_skin(person, look, nir=nir)),
    )
    return _as_real(shot, person, look, number=number, difficulty=difficulty) if difficulty.real else shot


def _as_real(shot: Shot, person: Person, look: Look, *, number: int, difficulty: Difficulty) -> Shot:
    """The same capture as some real camera takes it; what it shows of the person stays."""
    nir = shot.modality == "NIR"
    rng = generator("real", person.seed, look.session, int(nir), number)
    real = draw_real(rng)
    if not nir:
        return replace(shot, real=real)
    light = draw_lamps(rng, difficulty, distance=shot.camera.distance)
    # Half of all real surroundings are black: nothing stands within reach of the lamps.
    level = rng.uniform(0.0, 0.03) if rng.uniform() < 0.4 else rng.uniform(0.03, 1.0)
    return replace(shot, real=real, light=light.name, lamps=light.lamps, background_light=float(level))


def draw_real(rng: np.random.Generator) -> Real:
    """Draws what real cameras' captures show."""
    bright = rng.uniform()  # pupils: mostly dark, some grey, some brighter than the skin
    pupil = 0.0 if bright < 0.6 else rng.uniform(0.1, 0.5) if bright < 0.8 else rng.uniform(0.5, 2.0)
    return Real(
        hair=float(math.exp(rng.uniform(math.log(0.12), 0.0))),
        thickness=float(math.exp(rng.uniform(math.log(1.0), math.log(40.0)))),
        pupil=float(pupil),
        pupil_size=float(rng.uniform(0.14, 0.34)),
        shine=float(math.exp(rng.normal(0.15, 0.45))),
        pores=float(rng.uniform(0.8, 1.6)),
        coating=float(math.exp(rng.uniform(0.0, math.log(4.0)))),
        spot=float(math.exp(rng.uniform(math.log(300.0), math.log(12000.0)))),
        bends=(float(rng.uniform(0.3, 1.3)), float(rng.uniform(0.02, 0.5))),
        panels=0 if rng.uniform() < 0.35 else int(rng.integers(1, 14)),
        wall_blur=float(math.exp(rng.uniform(math.log(0.002), math.log(0.03)))),
        lamp=float(rng.uniform(3.0, 30.0)) if rng.uniform() < 0.06 else 0.0,
        capture=draw_capture(rng),
    )


def _pose(rng: np.random.Generator, difficulty: Difficulty, *, calm: bool) -> tuple[float, float, float]:
    """Yaw, pitch and roll: mostly towards the camera, some turned far."""
    spreads = np.array([difficulty.yaw, difficulty.pitch, difficulty.roll])
    most = np.array([difficulty.yaw_most, difficulty.pitch_most, difficulty.roll_most])
    angles = rng.normal(0, spreads)
    turned = rng.uniform() < difficulty.turned
    far = rng.uniform(-1, 1, 3) * most * ((1.0, 0.4, 0.6) if rng.uniform() < 0.7 else (0.4, 1.0, 0.6))
    if calm:
        angles *= 0.5
    elif turned:
        angles = far
    yaw, pitch, roll = np.clip(angles, -most, most).tolist()
    return yaw, pitch, roll


def _skin(person: Person, look: Look, *, nir: bool) -> float:
    """Albedo of the person's skin as the camera sees it."""
    bands = skin_albedo(np.array(person.melanin * look.tan), np.array(person.blood))
    return float(bands[3] if nir else bands[:3].mean())


def _camera(
    rng: np.random.Generator, difficulty: Difficulty, light: Light, *, distance: float, skin: float
) -> Camera:
    """A camera whose automatic exposure goes part of the way towards the skin that is before it."""
    nir = light.kelvin == 0
    noise = rng.uniform(*difficulty.noise) * (2.0 if nir else 1.0)
    across, down = np.clip(rng.normal(0, difficulty.shift, 2), -0.07, 0.07).tolist()
    # The flash is the same at any distance, and its camera's gain makes up for most of the fall-off.
    reach = (75 / distance) ** 0.6 if nir else 1.0
    quality = int(rng.integers(difficulty.jpeg[0], difficulty.jpeg[1], endpoint=True))
    return Camera(
        distance=distance,
        height=float(rng.uniform(*difficulty.height)),
        shift=(across, down),
        exposure=float(reach * (_GREY_CARD / skin) ** 0.3 * math.exp(rng.normal(0, difficulty.exposure))),
        balance=(1.0, 1.0, 1.0) if nir else white_balance(rng, difficulty, light.kelvin),
        blur=float(rng.uniform(*difficulty.blur) + (0.15 if nir else 0.0)),
        read_noise=float(0.0015 * noise),
        shot_noise=float(0.010 * noise),
        jpeg=quality,
    )


def _wall(rng: np.random.Generator) -> Bands:
    """The wall or curtain behind the person."""
    behind = paint(rng) if rng.uniform() < 0.6 else curtain(rng)
    red, green, blue, nir = (behind * rng.uniform(0.35, 1.0)).tolist()
    return red, green, blue, nir
