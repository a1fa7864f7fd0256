"""How much light of each lamp reaches the seen surfaces, and what they mirror of it.

Everything is in head coordinates, centimetres. Irradiance is relative: a white matt patch that faces a
lamp of colour 1 has radiance 1. Axis letters: k seen samples of the image, b bands, n tiled samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from pcfh_render.body import Pose
from pcfh_render.params import Lamp
from pcfh_render.strands import crossed, dot, picked, unit
from pcfh_render.trace import Scene

Field = Float[np.ndarray, " k"]
_PATTERN = 4  # samples, a power of two: a tile of 4 x 4 shares 16 directions among its samples
_CLEAR = 0.03  # how far shadow rays start off the surface


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The surface behind each sample that shows the person.

    Attributes:
        sample: number of the sample in the image.
        place: where it is.
        normal: of length one, turned to the camera; the hair's direction is in ``tangent``.
        flat: the triangle's own normal, turned to the camera.
        view: direction to the camera.
        hair: whether it is hair; that stands behind all else.
        tangent: direction of hair.
        albedo: diffuse reflectance, four bands.
        gloss: strength of the mirrored light relative to a refractive index of 1.4.
        sharpness: exponent of the mirrored lobe.
        lender: of each sample, the one whose answer to what stands in the light it takes; None where each
            has its own.
    """

    sample: Int[np.ndarray, " k"]
    place: Float[np.ndarray, "k 3"]
    normal: Float[np.ndarray, "k 3"]
    flat: Float[np.ndarray, "k 3"]
    view: Float[np.ndarray, "k 3"]
    hair: Bool[np.ndarray, " k"]
    tangent: Float[np.ndarray, "k 3"]
    albedo: Float[np.ndarray, "k 4"]
    gloss: Field
    sharpness: Field
    lender: Int[np.ndarray, " k"] | None = None

    @cached_property
    def surfaces(self) -> int:
        """How many are no hair."""
        return int(np.count_nonzero(~self.hair))


def with_lenders(seen: Seen, width: int) -> Seen:
    """Lets every other sample, as on a chessboard, take its left neighbour's answer: half of the rays.

    Args:
        seen: by the camera.
        width: of a row of samples.
    """
    number = np.full(width * width + 1, -1)
    number[seen.sample] = np.arange(len(seen.sample))
    column = seen.sample % width
    left = number[seen.sample - 1]
    borrows = ((seen.sample // width + column) % 2 == 1) & (column > 0) & (left >= 0)
    borrows &= seen.hair == seen.hair[left]
    return replace(seen, lender=np.where(borrows, left, np.arange(len(left))))


@dataclass(frozen=True, kw_only=True)
class Lit:
    """Light on the seen surfaces, in the bands that were asked for.

    Attributes:
        matt: irradiance, to be spread in the skin and multiplied by the albedo.
        mirrored: radiance of what is mirrored.
    """

    matt: Float[np.ndarray, "k b"]
    mirrored: Float[np.ndarray, "k b"]


def illuminate(
    seen: Seen,
    lamps: Sequence[Lamp],
    pose: Pose,
    *,
    scenes: Sequence[Scene],
    width: int,
    surroundings: Field | None = None,
    bands: Sequence[int] = (0, 1, 2, 3),
) -> Lit:
    """Lights what is seen by all lamps.

    Args:
        seen: by the camera.
        lamps: in camera coordinates.
        pose: of the head.
        scenes: what can stand in the light.
        width: of a row of samples.
        surroundings: what ``surroundings_seen`` says, where it is known already.
        bands: numbers of the bands that are wanted.
    """
    matt, mirrored = (np.zeros((len(bands), len(seen.sample)), np.float32).T for _ in range(2))
    cell = _cell(seen, width)
    albedo = seen.albedo.T[list(bands)].T
    points = [lamp for lamp in lamps if lamp.kind == "point"]
    open_to_points = None
    if surroundings is None and any(lamp.kind == "ambient" for lamp in lamps):
        surroundings = surroundings_seen(seen, pose, scenes=scenes, width=width)
    for lamp in lamps:
        colour = np.array(lamp.colour, np.float32)[list(bands)]
        if lamp.kind == "ambient":
            assert surroundings is not None
            matt += _coloured(surroundings, colour)
            mirrored += _coloured(_sheen(seen) * surroundings, colour)
            continue
        towards, strength = _towards(seen.place, lamp, pose, cell)
        if lamp.kind == "distant":
            visible = _visible(seen, towards, scenes)
        else:
            # Lamps around one lens throw all but the same shadow: each sample asks one of them.
            if open_to_points is None:
                open_to_points = _open(seen, points, pose, cell, scenes)
            visible = open_to_points
        strength = strength * visible
        matt += _coloured(_matt(seen, towards) * strength, colour)
        mirrored += _mirror(seen, towards, albedo) * _coloured(strength, colour)
    return Lit(matt=matt, mirrored=mirrored)


def _coloured(light: Field, colour: Float[np.ndarray, " b"]) -> Float[np.ndarray, "k b"]:
    """Light of a colour, each band in one piece of memory."""
    return (colour[:, None] * light).T


def _open(
    seen: Seen, lamps: Sequence[Lamp], pose: Pose, cell: Int[np.ndarray, " k"], scenes: Sequence[Scene]
) -> Field:
    """Which samples one of several lamps reaches, another one for each sample of a tile."""
    towards = np.zeros_like(seen.place)
    for turn, lamp in enumerate(lamps):
        mine = np.flatnonzero((cell % len(lamps)) == turn)
        towards[mine] = _towards(picked(seen.place, mine), lamp, pose, cell.take(mine))[0]
    return _visible(seen, towards, scenes)


def _towards(
    place: Float[np.ndarray, "n 3"], lamp: Lamp, pose: Pose, cell: Int[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "n 3"], Field]:
    """Direction to some place on the lamp, and the strength of its light."""
    centre = np.array(lamp.position)
    disc = _disc() * lamp.radius
    if lamp.kind == "distant":
        spread = pose.direction_to_head(unit(unit(centre) + disc)).astype(np.float32)
        return picked(spread, cell), np.ones(len(cell), np.float32)
    away = picked(pose.to_head(centre + disc), cell) - place
    x, y, z = away.T
    distance = np.sqrt((x * x + y * y) + z * z)
    strength = (np.linalg.norm(centre) / distance) ** 2
    return (away / distance[:, None]).astype(np.float32), strength.astype(np.float32)


def _disc() -> Float[np.ndarray, "16 3"]:
    """16 places in a ball of radius one, spread by the golden angle."""
    number = np.arange(_PATTERN**2)
    order = (number * 7) % _PATTERN**2  # neighbours in the tile get places far apart
    radius, angle = np.sqrt((order + 0.5) / _PATTERN**2), order * 2.399963
    height = np.sin(order * 1.7) * 0.5
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), height], 1)


def _hemisphere() -> Float[np.ndarray, "16 3"]:
    """16 directions about +z, as many per solid angle as its cosine asks for."""
    disc = _disc()
    return np.stack([disc[:, 0], disc[:, 1], np.sqrt(1 - (disc[:, :2] ** 2).sum(1))], 1)


def _visible(seen: Seen, towards: Float[np.ndarray, "k 3"], scenes: Sequence[Scene]) -> Field:
    """1 where the way is free, 0 where something stands in it or the surface itself turns away."""
    bare = seen.surfaces
    faces = np.ones(len(seen.hair), bool)
    faces[:bare] = dot(seen.normal[:bare], towards[:bare]) > 0
    free, lender = faces.copy(), seen.lender
    if lender is not None:
        free &= (lender == np.arange(len(lender))) | ~faces[lender]
    asked = free.copy()
    left = np.flatnonzero(free)
    ahead = picked(towards, left)
    start, cut = picked(seen.place, left), int(np.searchsorted(left, bare))
    start[:cut] += _CLEAR * picked(seen.flat, left[:cut])
    start[cut:] += 0.09 * ahead[cut:]
    first, *others = scenes
    passed = np.flatnonzero(~first.blocked(start, ahead))
    for scene in others:
        passed = passed[~scene.blocked(picked(start, passed), picked(ahead, passed))]
    free[:] = False
    free[left.take(passed)] = True
    if lender is not None:
        free = np.where(asked, free, faces & free[lender])
    return free.astype(np.float32)


def _cell(seen: Seen, width: int) -> Int[np.ndarray, " k"]:
    """Where in its tile each sample lies."""
    row = seen.sample // width
    column = seen.sample - row * width
    return (column & (_PATTERN - 1)) + _PATTERN * (row & (_PATTERN - 1))


def surroundings_seen(seen: Seen, pose: Pose, *, scenes: Sequence[Scene], width: int) -> Field:
    """Share of the surroundings that each sample sees, somewhat more of it from above."""
    cell = _cell(seen, width)
    bare = seen.surfaces
    normal = seen.normal.copy(order="K")
    normal[bare:] = unit(seen.view[bare:] + seen.flat[bare:])
    # The direction across the normal: its cross product with y where it leans to x, else with x.
    x, y, z = normal.astype(np.float64).T
    none = np.zeros_like(x)
    steep = np.abs(normal[:, 0]) < 0.8
    across = unit(np.stack([np.where(steep, none, z), np.where(steep, -z, none), np.where(steep, y, -x)]).T)
    local = picked(_hemisphere(), cell)
    direction = (
        local[:, :1] * across + local[:, 1:2] * crossed(normal, across).T + local[:, 2:] * normal
    ).astype(np.float32)
    up = np.ascontiguousarray(direction) @ pose.direction_to_head(np.array([[0.0, 1.0, 0.0]]))[0]
    share = _visible(seen, direction, scenes) * (1 + 0.3 * up)
    return np.concatenate([0.06 + 0.94 * share[:bare], 0.25 + 0.6 * share[bare:]]).astype(np.float32)


def _matt(seen: Seen, towards: Float[np.ndarray, "k 3"]) -> Field:
    """Cosine for surfaces; for hair the sine to its direction (Kajiya and Kay 1989)."""
    cosine = dot(seen.normal, towards)
    matt = np.clip(cosine, 0, None)
    bare = seen.surfaces
    along = dot(seen.tangent[bare:], towards[bare:])
    around = 0.55 + 0.45 * np.clip(cosine[bare:], -1, 1)
    matt[bare:] = 0.8 * (np.sqrt(np.clip(1 - along**2, 0, 1)) * around)
    return matt.astype(np.float32)


def _mirror(
    seen: Seen, towards: Float[np.ndarray, "k 3"], albedo: Float[np.ndarray, "k b"]
) -> Float[np.ndarray, "k b"]:
    """Mirrored share per unit of light: normalised Blinn-Phong with Fresnel's rim; hair along its strands."""
    half = unit(towards + seen.view)
    bare = seen.surfaces
    normal, sharpness = seen.normal[:bare], seen.sharpness[:bare]
    facing = np.clip(dot(normal, half[:bare]), 0, 1)
    cosine = np.clip(dot(normal, towards[:bare]), 0, 1)
    slant = np.clip(1 - dot(seen.view[:bare], half[:bare]), 0, 1)
    fresnel = 0.028 + 0.3 * slant**5  # rough skin mirrors less at the rim than a smooth surface
    lobe = (sharpness + 8) / 8 * facing**sharpness
    mirrored = np.empty(albedo.T.shape, np.float32).T
    mirrored[:bare] = (seen.gloss[:bare] * fresnel * lobe * cosine)[:, None]
    along = dot(seen.tangent[bare:], half[bare:])
    sine = np.sqrt(np.clip(1 - along**2, 0, 1))[:, None]
    mirrored[bare:] = 0.05 * sine**90 + 0.35 * albedo[bare:] * sine**18
    return mirrored


def _sheen(seen: Seen) -> Field:
    """What a surface mirrors of even surroundings."""
    slant = 1 - np.clip(dot(seen.normal, seen.view), 0, 1)
    share = seen.gloss * (0.02 + 0.10 * slant**5)
    return np.where(seen.hair, 0.01, np.minimum(share, 0.5)).astype(np.float32)
