"""The colours of the eyes: pupil, iris with its dark rim, and the white, painted around the axis of the gaze.

Axis letters: k points on the eyes, v vertices.
"""

import numpy as np
from jaxtyping import Bool, Float

from pcfh_render import materials
from pcfh_render.facemodel import FaceModel
from pcfh_render.params import Person, Real
from pcfh_render.streams import generator

_IRIS, _RIM = 0.66, 0.10  # radius of the iris and width of its dark rim, in centimetres
_PUPIL = {"VIS": 0.21, "NIR": 0.27}  # wider in the dark


def eye_centres(model: FaceModel) -> Float[np.ndarray, "2 3"]:
    """The middles of the left and the right eyeball of the mean head."""
    return np.stack(
        [
            model.mean[np.unique(model.triangles[model.triangles_of(part)])].mean(0)
            for part in ("left_sclera", "right_sclera")
        ]
    )


def eye_albedo(
    rest: Float[np.ndarray, "k 3"],
    centres: Float[np.ndarray, "2 3"],
    person: Person,
    *,
    modality: str,
    real: Real | None = None,
) -> Float[np.ndarray, "k 4"]:
    """Colours of points on the eyeballs.

    Args:
        rest: the points on the mean head, whose eyes look straight ahead.
        centres: see ``eye_centres``.
        person: whose iris it is.
        modality: pupils are wide in near infrared.
        real: of the capture, with its own pupils, which throw the light of a lamp beside the lens back.
    """
    own = centres[(rest[:, 0] < 0).astype(int)]
    across, above = (rest - own)[:, 0], (rest - own)[:, 1]
    distance = np.hypot(across, above)
    front = rest[:, 2] > own[:, 2]
    angle = np.arctan2(above, across)
    rng = generator("iris", person.seed)
    fibres = sum(
        rng.normal(0, 0.10) * np.cos(count * angle + rng.uniform(0, 6.3)) for count in (5, 9, 14, 23, 31)
    )
    iris = materials.iris(person.iris) * (1 + fibres * np.clip(distance / _IRIS, 0, 1))[:, None]
    iris = iris * (1 - 0.55 * _over(distance, _IRIS - _RIM, _RIM))[:, None]
    veins = np.clip((distance - 0.8) / 0.8, 0, 1)
    white = 0.72 * materials.sclera(0.15) * (1 - veins[:, None] * np.array([0.10, 0.30, 0.32, 0.12]))
    colour = _mixed(white, iris, front & (distance < 3), 1 - _over(distance, _IRIS - 0.03, 0.06))
    pupil, size = materials.pupil(), _PUPIL[modality]
    if real is not None and modality == "NIR":
        pupil, size = np.array([*pupil[:3], max(pupil[3], real.pupil)]), real.pupil_size
    return _mixed(colour, pupil, front, 1 - _over(distance, size - 0.02, 0.04))


def iris_at(rest: Float[np.ndarray, "k 3"], centres: Float[np.ndarray, "2 3"]) -> Bool[np.ndarray, " k"]:
    """Which points of the eyeballs lie on the iris or the pupil; ``eye_albedo`` has the arguments."""
    own = centres[(rest[:, 0] < 0).astype(int)]
    return (rest[:, 2] > own[:, 2]) & (np.hypot(*(rest - own)[:, :2].T) < _IRIS)


def _over(distance: Float[np.ndarray, " k"], start: float, width: float) -> Float[np.ndarray, " k"]:
    """Rises from 0 to 1 over a width."""
    return np.clip((distance - start) / width, 0, 1)


def _mixed(
    below: Float[np.ndarray, "k 4"],
    above: Float[np.ndarray, "*k 4"],
    where: Bool[np.ndarray, " k"],
    share: Float[np.ndarray, " k"],
) -> Float[np.ndarray, "k 4"]:
    """Lays one colour over another."""
    cover = (share * where)[:, None]
    return below * (1 - cover) + above * cover
