"""The renderer: a person, a look and shots in, pictures with exact landmarks and the true VIS image out.

Per person and session the skin is painted and the hair of the scalp is grown once. Per shot the rays of the
camera are followed once; a NIR capture and its truth differ in the lamps only. Axis letters: k seen samples,
r rays, s side of the image.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy.ndimage import gaussian_filter

from pcfh_render import camera, materials
from pcfh_render.accessories import Mesh, clothes, glasses
from pcfh_render.atlas import build_atlas
from pcfh_render.bands import BANDS
from pcfh_render.body import (
    Pose,
    Solid,
    Stuff,
    bent_neck,
    hairy,
    head_triangles,
    joined,
    pose_of,
    smooth,
)
from pcfh_render.complexion import Complexion, complexion, regions
from pcfh_render.eyes import eye_albedo, eye_centres
from pcfh_render.facemodel import LANDMARKS, FaceModel
from pcfh_render.hair import beard_hair, brow_hair, lash_hair, scalp_hair
from pcfh_render.lenses import LENS_CLEAR, Lenses, see_lenses
from pcfh_render.light import Lit, Seen, illuminate, surroundings_seen
from pcfh_render.params import Lamp, Look, Person, Shot
from pcfh_render.skin import SkinTable, blur_width_mm, skin_albedo
from pcfh_render.strands import Roots, Strands, follow, ribbons, unit
from pcfh_render.streams import generator
from pcfh_render.trace import Hits, Scene

# What the truth is lit by: an even room with one broad lamp in front and above.
_STUDIO = (
    Lamp(kind="ambient", position=(0.0, 0.0, 0.0), colour=(0.55, 0.55, 0.55, 0.0), radius=0.0),
    Lamp(kind="distant", position=(0.35, 0.45, 1.0), colour=(0.5, 0.5, 0.5, 0.0), radius=0.5),
)

Field = Float[np.ndarray, " k"]
Field4 = Float[np.ndarray, "k 4"]
Rays = tuple[Float[np.ndarray, "r 3"], Float[np.ndarray, "r 3"]]  # origins and directions
Glare = tuple[Int[np.ndarray, " l"], Float[np.ndarray, "l 4"]]  # samples behind lenses, what those mirror
# Per kind of stuff, in the order of ``Stuff``: strength of the mirrored light and exponent of its lobe.
_GLOSS = np.array([1, 1.0, 1.2, 1.5, 1, 1.5, 0.15, 0.15], np.float32)
_SHARPNESS = np.array([16, 2500, 60, 120, 1, 90, 6, 6], np.float32)
_STUDIO_WALL = 0.8
_STRIPE = 2.2  # width of the stripes of clothes, in centimetres


@dataclass(frozen=True, kw_only=True)
class Portrait:
    """One rendered capture.

    Attributes:
        image: as the camera took it, before JPEG; NIR as three equal channels.
        landmarks: the 68 points, exact, in pixels.
        truth: for NIR captures the VIS image of the same moment in studio light, else None.
    """

    image: UInt8[np.ndarray, "s s 3"]
    landmarks: Float[np.ndarray, "68 2"]
    truth: UInt8[np.ndarray, "s s 3"] | None


@dataclass(frozen=True, kw_only=True)
class _Sitter:
    """A person on one day, ready for captures.

    Attributes:
        person: who.
        look: how they look.
        head: neutral.
        skin: painted.
        hair: colour of all hair.
        scalp: the hair of the scalp and the scene of it, None for none.
        short: brows, lashes and beard with their roots.
        glasses: frame and lenses, where the person has some.
    """

    person: Person
    look: Look
    head: Float[np.ndarray, "v 3"]
    skin: Complexion
    hair: Float[np.ndarray, " 4"]
    scalp: tuple[Solid, Scene] | None
    short: tuple[tuple[Strands, Roots], ...]
    glasses: tuple[Mesh, Mesh] | None


class Renderer:
    """Renders people of one face model.

    Args:
        model: the face model.
        size: side of the pictures in pixels.
    """

    def __init__(self, model: FaceModel, *, size: int = 256) -> None:
        self._model, self._size = model, size
        self._atlas = build_atlas(model)
        self._regions = regions(model, self._atlas)
        self._table = SkinTable()
        self._triangles, self._stuff, self._number = head_triangles(model)
        self._centres = eye_centres(model)
        self._spread_mm = [blur_width_mm(band) for band in BANDS]

    def portraits(
        self, person: Person, look: Look, shots: Sequence[Shot], *, truth: bool = True
    ) -> Iterator[Portrait]:
        """Renders captures of one session, NIR ones with their true VIS image if ``truth``."""
        sitter = self._sitter(person, look)
        for shot in shots:
            yield self._portrait(sitter, shot, truth=truth)

    def _sitter(self, person: Person, look: Look) -> _Sitter:
        model = self._model
        head = model.shape(np.array(person.shape)).astype(np.float32)
        skin = complexion(self._atlas, self._regions, model, person=person, look=look, table=self._table)
        strands = scalp_hair(model, head, person, look)
        scalp = hairy(ribbons(strands, look.seed), strands.tint)
        short = (
            brow_hair(model, head, person),
            lash_hair(model, head, person),
            beard_hair(model, head, person, look),
        )
        return _Sitter(
            person=person,
            look=look,
            head=head,
            skin=skin,
            hair=materials.hair(person.hair_eumelanin, person.hair_pheomelanin, look.grey).astype(np.float32),
            scalp=(scalp, Scene(scalp.vertices, scalp.triangles)) if len(strands) else None,
            short=tuple(pair for pair in short if len(pair[0])),
            glasses=None if look.glasses is None else glasses(look.glasses, model, head),
        )

    def _portrait(self, sitter: _Sitter, shot: Shot, *, truth: bool) -> Portrait:
        pose = pose_of(shot)
        expressed = self._model.expressed(sitter.head, dict(shot.weights))
        moved = bent_neck(expressed, pose)
        body = self._body(sitter, expressed, moved, shot, pose)
        scene = Scene(body.vertices, body.triangles)
        rays = self._rays(shot, pose)
        seen, kinds = self._look(sitter, body, scene, shot, rays)
        lenses = see_lenses(sitter.glasses[1], *rays) if sitter.glasses and shot.glasses else None
        scenes = [scene] if sitter.scalp is None else [scene, sitter.scalp[1]]
        width = self._size * camera.SAMPLES
        around = surroundings_seen(seen, pose, scenes=scenes, width=width)
        lit = illuminate(seen, shot.lamps, pose, scenes=scenes, width=width, surroundings=around)
        landmarks = camera.project(
            pose.to_camera(moved[LANDMARKS].astype(np.float64)), shot.camera, self._size
        )
        if shot.modality == "VIS":
            light = self._light(seen, kinds, lit, shot, bands=(0, 1, 2), glare=_glare(lenses, shot, pose))
            return Portrait(image=camera.visible_picture(light, shot), landmarks=landmarks, truth=None)
        light = self._light(seen, kinds, lit, shot, bands=(3,), glare=_glare(lenses, shot, pose))
        infrared = camera.infrared_picture(light[..., 0], shot)
        if not truth:
            return Portrait(image=infrared, landmarks=landmarks, truth=None)
        studio = illuminate(seen, _STUDIO, pose, scenes=scenes, width=width, surroundings=around)
        in_studio = replace(shot, lamps=_STUDIO, background_light=_STUDIO_WALL)
        glare = _glare(lenses, in_studio, pose)
        true = self._light(seen, kinds, studio, in_studio, bands=(0, 1, 2), glare=glare)
        clean = camera.clean_picture(true, _truth_exposure(sitter))
        return Portrait(image=infrared, landmarks=landmarks, truth=clean)

    def _body(
        self,
        sitter: _Sitter,
        expressed: Float[np.ndarray, "v 3"],
        moved: Float[np.ndarray, "v 3"],
        shot: Shot,
        pose: Pose,
    ) -> Solid:
        """All that is seen but the hair of the scalp."""
        solids = [smooth(moved, self._triangles, self._stuff)]
        for strands, roots in sitter.short:
            there = follow(strands, roots, sitter.head, expressed)
            solids.append(hairy(ribbons(there, sitter.person.seed), there.tint))
        cloth = clothes(sitter.look.clothes, self._model, pose.to_body(moved).astype(np.float32))
        striped = cloth.along[cloth.triangles[:, 0]] % (2 * _STRIPE) > _STRIPE
        stuff = np.where(striped, Stuff.STRIPE, Stuff.CLOTH).astype(np.uint8)
        beside = pose.from_body(cloth.vertices).astype(np.float32)
        solids.append(smooth(beside, cloth.triangles, stuff))
        if shot.glasses and sitter.glasses is not None:
            frame = sitter.glasses[0]
            stuff = np.full(len(frame.triangles), Stuff.FRAME, np.uint8)
            solids.append(smooth(frame.vertices, frame.triangles, stuff))
        return joined(solids)

    def _look(
        self, sitter: _Sitter, body: Solid, scene: Scene, shot: Shot, rays: Rays
    ) -> tuple[Seen, UInt8[np.ndarray, " k"]]:
        """Finds what is seen along the camera's rays, and what it is made of."""
        hits = scene.nearest(*rays)
        shown = hits.triangle >= 0
        if sitter.scalp is None:
            return self._surface(sitter, body, hits, np.flatnonzero(shown), shot, rays)
        scalp, hair_scene = sitter.scalp
        hair = hair_scene.nearest(*rays)
        before = (hair.triangle >= 0) & (~shown | (hair.distance < hits.distance))
        parts = [self._surface(sitter, body, hits, np.flatnonzero(shown & ~before), shot, rays)]
        if before.any():
            strands, kind = self._surface(sitter, scalp, hair, np.flatnonzero(before), shot, rays)
            parts.append((_rounded(strands), kind))
        return _together([seen for seen, _ in parts]), np.concatenate([kind for _, kind in parts])

    def _surface(
        self, sitter: _Sitter, solid: Solid, hits: Hits, sample: Int[np.ndarray, " k"], shot: Shot, rays: Rays
    ) -> tuple[Seen, UInt8[np.ndarray, " k"]]:
        """What some samples see of a solid, and what it is made of there."""
        origins, directions = rays
        triangle, weights = hits.triangle[sample], hits.weights[sample]
        place = origins[sample] + hits.distance[sample, None] * directions[sample]
        view = -directions[sample]
        flat = _towards_viewer(solid.flat[triangle], view)
        normal = np.einsum("kw,kwc->kc", weights, solid.normals[solid.triangles[triangle]])
        normal = np.where((normal**2).sum(1, keepdims=True) > 0, normal, flat)
        stuff = solid.stuff[triangle]
        albedo, gloss, sharpness, relief = self._materials(sitter, stuff, triangle, weights, shot)
        normal = unit(normal - (relief - (relief * normal).sum(1, keepdims=True) * normal))
        seen = Seen(
            sample=sample,
            place=place,
            normal=_facing(normal, view),
            flat=flat,
            view=view,
            hair=stuff == Stuff.STRAND,
            tangent=solid.tangent[triangle],
            albedo=albedo * solid.tint[triangle][:, None],
            gloss=gloss,
            sharpness=sharpness,
        )
        return seen, stuff

    def _materials(
        self,
        sitter: _Sitter,
        stuff: UInt8[np.ndarray, " k"],
        triangle: Int[np.ndarray, " k"],
        weights: Float[np.ndarray, "k 3"],
        shot: Shot,
    ) -> tuple[Field4, Field, Field, Float[np.ndarray, "k 3"]]:
        """Albedo, gloss, sharpness of the gloss, and relief."""
        colours = np.zeros((len(Stuff), 4), np.float32)
        colours[Stuff.MOUTH], colours[Stuff.TEETH] = materials.gums(), materials.teeth()
        worn = sitter.look.clothes
        colours[Stuff.STRAND] = sitter.hair
        colours[Stuff.CLOTH], colours[Stuff.STRIPE] = worn.cloth, worn.second
        if sitter.look.glasses is not None:
            colours[Stuff.FRAME] = sitter.look.glasses.frame
        albedo = colours[stuff]
        gloss, sharpness = _GLOSS[stuff], _SHARPNESS[stuff]
        relief = np.zeros((len(stuff), 3), np.float32)
        skin = np.flatnonzero(stuff == Stuff.SKIN)
        number = self._number[triangle[skin]]
        texel = self._atlas.texels(np.einsum("kw,kwc->kc", weights[skin], self._model.uv[number]))
        albedo[skin], gloss[skin] = sitter.skin.albedo[texel], sitter.skin.gloss[texel]
        relief[skin] = sitter.skin.relief[texel]
        eye = np.flatnonzero(stuff == Stuff.EYE)
        rest = np.einsum("kw,kwc->kc", weights[eye], self._model.mean[self._triangles[triangle[eye]]])
        albedo[eye] = eye_albedo(rest, self._centres, sitter.person, modality=shot.modality)
        return albedo, gloss, sharpness, relief

    def _rays(self, shot: Shot, pose: Pose) -> Rays:
        """All rays of the camera in head coordinates."""
        directions = pose.direction_to_head(unit(camera.rays(shot.camera, self._size))).astype(np.float32)
        eye = pose.to_head(np.array([[0.0, 0.0, shot.camera.distance]]))[0].astype(np.float32)
        return np.tile(eye, (len(directions), 1)), directions

    def _light(
        self,
        seen: Seen,
        kinds: UInt8[np.ndarray, " k"],
        lit: Lit,
        shot: Shot,
        *,
        bands: tuple[int, ...],
        glare: Glare | None,
    ) -> Float[np.ndarray, "s s c"]:
        """The light that reaches the camera in some bands, pixel by pixel."""
        width = self._size * camera.SAMPLES
        picture = np.empty((width * width, len(bands)), np.float32)
        scale = width * 0.1 / shot.camera.height  # samples per millimetre
        wall = _wall(shot, width)
        for channel, band in enumerate(bands):
            matt = lit.matt[:, band].copy()
            for member, spread in (
                (kinds == Stuff.SKIN, max(1.2, self._spread_mm[band] * scale)),
                ((kinds != Stuff.SKIN) & (kinds != Stuff.STRAND), 1.2),
            ):
                matt[member] = _spread(matt[member], seen.sample[member], width, spread)
            picture[:, channel] = wall[band]
            picture[seen.sample, channel] = seen.albedo[:, band] * matt + lit.mirrored[:, band]
        if glare is not None:
            sample, mirrored = glare
            picture[sample] = LENS_CLEAR * picture[sample] + mirrored[:, bands]
        return camera.averaged(picture, self._size)


def _spread(values: Field, sample: Int[np.ndarray, " k"], width: int, spread: float) -> Field:
    """Blurs values among the samples that have one."""
    if not len(values):
        return values
    picture = np.zeros((2, width * width), np.float32)
    picture[0, sample], picture[1, sample] = values, 1
    blurred = gaussian_filter(picture.reshape(2, width, width), (0, spread, spread), truncate=2.5)
    total, weight = blurred.reshape(2, -1)[:, sample]
    return total / np.maximum(weight, 1e-6)


def _wall(shot: Shot, width: int) -> Float[np.ndarray, "4 r"]:
    """The wall behind the person, unevenly lit and out of focus."""
    rng = generator("wall", shot.seed)
    colour = np.sum([lamp.colour for lamp in shot.lamps], 0) * np.array(shot.background)
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, width))
    slope = rng.normal(0, 0.18, 2)
    shade = 1 + slope[0] * x + slope[1] * y
    for _ in range(5):
        waves, phase = rng.normal(0, 2.2, 2), rng.uniform(0, 6.3)
        shade = shade + 0.05 * np.sin(waves[0] * x + waves[1] * y + phase)
    light = shot.background_light * np.clip(shade, 0.1, 2).reshape(-1)
    return (colour[:, None] * light).astype(np.float32)


def _truth_exposure(sitter: _Sitter) -> float:
    """The exposure of the truth: part of the way towards the skin, as a camera's automatic goes."""
    albedo = skin_albedo(np.array(sitter.person.melanin * sitter.look.tan), np.array(sitter.person.blood))
    return float((0.33 / albedo[:3].mean()) ** 0.4)


def _glare(lenses: Lenses | None, shot: Shot, pose: Pose) -> Glare | None:
    """What the glasses mirror of a shot's lamps, where some are worn."""
    return None if lenses is None else (lenses.sample, lenses.mirrored(shot.lamps, pose))


def _rounded(strands: Seen) -> Seen:
    """The hair of the scalp as a whole faces outwards, whatever way its ribbons are turned."""
    outwards = unit(strands.place - np.array([0, 3, 0], np.float32))
    return replace(strands, normal=unit(strands.flat + outwards))


def _towards_viewer(
    normal: Float[np.ndarray, "k 3"], view: Float[np.ndarray, "k 3"]
) -> Float[np.ndarray, "k 3"]:
    """Turns normals that look away."""
    away = (normal * view).sum(1, keepdims=True) < 0
    return np.where(away, -normal, normal)


def _facing(normal: Float[np.ndarray, "k 3"], view: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k 3"]:
    """Bends normals that look away, at the rim of smooth surfaces, until they do not."""
    short = np.clip(-(normal * view).sum(1, keepdims=True), 0, None)
    return unit(normal + (short + 1e-3) * view)


def _together(parts: Sequence[Seen]) -> Seen:
    """All seen samples as one."""
    names = [field.name for field in fields(Seen)]
    return Seen(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})
