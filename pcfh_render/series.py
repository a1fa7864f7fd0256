"""Captures in a fixed order, as BUAA-VisNir and Oulu-CASIA have them, in the layouts of these databases.

    buaa    <person>/<2k>.jpg      near infrared; nine moments: neutral, turned to four sides, expressions
            <person>/<2k - 1>.jpg  the VIS image of the same moment, as a camera of both lights takes it
    oulu    {NI,VL}/{Strong,Weak,Dark}/P<person>/<Expression>/<n>.jpg
            eight frames of each of six expressions, which grows, in three lights, blurred

Angles in degrees.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from pcfh.databases.records import Modality
from pcfh_render.difficulty import Difficulty
from pcfh_render.expressions import BASIC, draw_eyes, merged, symmetric
from pcfh_render.params import Look, Person, Shot
from pcfh_render.shots import draw_shots
from pcfh_render.streams import generator

FRAMES = 8  # of an Oulu film
# Expression, yaw and pitch of BUAA's moments.
_MOMENTS = (
    *(("neutral", 0.0, 0.0), ("neutral", -30.0, 0.0), ("neutral", 30.0, 0.0)),
    *(("neutral", 0.0, 18.0), ("neutral", 0.0, -18.0)),
    *((expression, 0.0, 0.0) for expression in ("happiness", "anger", "disgust", "surprise")),
)
_JITTER = 3.0  # spread of the pose around it
_BLUR = (0.9, 2.0)  # pixels, of Oulu's frames
# Of the visible light's three strengths: what is left of the light, and how much more the noise shows.
_LIGHTS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"Strong": (1.0, 1.0), "Weak": (0.45, 2.0), "Dark": (0.15, 4.0)}
)
LIGHTS = len(_LIGHTS)


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One capture of a series.

    Attributes:
        shot: what is seen.
        path: where it goes, relative to the database's root.
        session: what the tables call it.
        both: where the VIS image of the moment goes; "" where it is not kept.
    """

    shot: Shot
    path: str
    session: str
    both: str = ""


SERIES: Mapping[str, str] = MappingProxyType({"buaa": "BUAA-VisNir", "oulu": "Oulu-CASIA"})  # and folders


def captures_of(name: str, lights: int = 0) -> tuple[int, int]:
    """How many captures in near infrared and in visible light each person has; see ``series_of``."""
    films = len(BASIC) * (lights or LIGHTS)
    return (len(_MOMENTS), 0) if name == "buaa" else (films * FRAMES, films * FRAMES)


def series_of(
    name: str, person: Person, look: Look, difficulty: Difficulty, lights: int = 0
) -> Iterator[Planned]:
    """All captures of a person, in the order in which they are rendered: NIR ones first.

    Args:
        name: of ``SERIES``.
        person: whom.
        look: how the person looks on that day.
        difficulty: of poses and cameras.
        lights: of Oulu's, the strongest so many; 0 for all. The pictures are the same either way.
    """
    if name == "buaa":
        return _buaa(person, look, difficulty)
    return _oulu(person, look, difficulty, list(_LIGHTS)[: lights or None])


def _buaa(person: Person, look: Look, difficulty: Difficulty) -> Iterator[Planned]:
    drawn = draw_shots(person, look, difficulty=difficulty, nir=len(_MOMENTS), vis=0)
    for number, (shot, (expression, yaw, pitch)) in enumerate(zip(drawn, _MOMENTS, strict=True), start=1):
        rng = generator("moment", person.seed, number)
        posed = _posed(shot, rng, difficulty, yaw=yaw, pitch=pitch)
        folder = str(person.subject)
        yield Planned(
            shot=_expressing(posed, rng, difficulty, expression, float(rng.uniform(0.7, 1.0))),
            path=f"{folder}/{2 * number}.jpg",
            session="1",
            both=f"{folder}/{2 * number - 1}.jpg",
        )


def _oulu(person: Person, look: Look, difficulty: Difficulty, lights: Sequence[str]) -> Iterator[Planned]:
    films = [(light, expression) for light in _LIGHTS for expression in BASIC]
    modalities: tuple[tuple[str, Modality], ...] = (("NI", "NIR"), ("VL", "VIS"))
    for camera, modality in modalities:
        nir = modality == "NIR"
        drawn = draw_shots(
            person, look, difficulty=difficulty, nir=len(films) if nir else 0, vis=0 if nir else len(films)
        )
        for film, (shot, (light, expression)) in enumerate(zip(drawn, films, strict=True)):
            if light not in lights:
                continue
            rng = generator("film", person.seed, film)  # both cameras film the same faces
            posed = _posed(shot, rng, difficulty, yaw=0.0, pitch=0.0)
            strength = float(rng.uniform(0.7, 1.0))
            for frame in range(FRAMES):
                grown = strength * (0.3 + 0.7 * frame / (FRAMES - 1))
                own = _expressing(posed, rng, difficulty, expression, grown)
                own = replace(own, camera=replace(own.camera, blur=float(rng.uniform(*_BLUR))))
                yield Planned(
                    shot=own if nir else _dimmed(own, *_LIGHTS[light]),
                    path=f"{camera}/{light}/P{person.subject:03d}/{expression.capitalize()}/{frame:03d}.jpg",
                    session=f"{light}_{expression.capitalize()}",
                )


def _posed(shot: Shot, rng: np.random.Generator, difficulty: Difficulty, *, yaw: float, pitch: float) -> Shot:
    """Turned to about there; as upright as the draw had it."""
    around = rng.normal(0, _JITTER, 2)
    return replace(shot, yaw=float(yaw + around[0]), pitch=float(pitch + around[1] / 2))


def _expressing(
    shot: Shot, rng: np.random.Generator, difficulty: Difficulty, expression: str, strength: float
) -> Shot:
    """With an expression of some strength, the eyes mostly at the camera."""
    weights = {} if expression == "neutral" else symmetric(BASIC[expression], strength)
    eyes = draw_eyes(rng, difficulty, yaw=shot.yaw, pitch=shot.pitch, calm=True)
    return replace(shot, expression=expression, weights=merged(weights, eyes))


def _dimmed(shot: Shot, light: float, noise: float) -> Shot:
    """In less light, which the camera makes up for in part."""
    camera = shot.camera
    return replace(
        shot,
        camera=replace(
            camera,
            exposure=camera.exposure * light,
            read_noise=camera.read_noise * noise,
            shot_noise=camera.shot_noise * noise,
        ),
    )
