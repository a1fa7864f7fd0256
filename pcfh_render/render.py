"""The renderer: a person, a look and shots in, pictures with exact landmarks and the true VIS image out.

Per person and session the skin is painted and the hair of the scalp is grown once. Per shot the rays of the
camera are followed once; a NIR capture and its truth differ in the lamps only. Axis letters: k seen samples,
r rays, s side of the image.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from scipy.ndimage import gaussian_filter

from pcfh.databases.rendered import BEHIND_GLASS, Region
from pcfh.nir_cameras import Capture
from pcfh_render import camera, materials
from pcfh_render.accessories import Mesh, clothes, glasses
from pcfh_render.atlas import build_atlas
from pcfh_render.backdrop import Backdrop, backdrop
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
from pcfh_render.complexion import Skin, regions
from pcfh_render.eyes import eye_albedo, eye_centres, iris_at
from pcfh_render.facemodel import LANDMARKS, FaceModel
from pcfh_render.hair import beard_hair, brow_hair, lash_hair, scalp_hair
from pcfh_render.lenses import LENS_CLEAR, Lenses, see_lenses
from pcfh_render.light import Lit, Seen, illuminate, surroundings_seen, with_lenders
from pcfh_render.params import Lamp, Look, Person, Real, Shot
from pcfh_render.skin import SkinTable, blur_width_mm, skin_albedo
from pcfh_render.strands import Roots, Strands, between, dot, follow, picked, ribbons, unit
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
_GLOSS = np.array([1, 1.0, 1.2, 1.5, 1, 1.5, 0.15, 0.15, 1], np.float32)
_SHARPNESS = np.array([16, 2500, 60, 120, 1, 90, 6, 6, 1], np.float32)
_HAIR = (Stuff.STRAND, Stuff.THIN)
_STUDIO_WALL = 0.8
_UNDER_HAIR = 0.72  # of the skin's albedo: hair mirrors the rest, and would be lighter than skin otherwise
_NO_CAMERA = Capture()
# In the order of ``Stuff``, too.
_REGION = np.array(
    [
        Region.SKIN, Region.EYE_WHITE, Region.MOUTH, Region.MOUTH, Region.HAIR,
        Region.FRAME, Region.CLOTH, Region.CLOTH, Region.THIN_HAIR, Region.IRIS,
    ],
    np.uint8,
)  # fmt: skip
_COLOURS, _INFRARED = (0, 1, 2), (3,)  # numbers of bands
_STRIPE = 2.2  # width of the stripes of clothes, in centimetres


@dataclass(frozen=True, kw_only=True)
class Portrait:
    """One rendered capture.

    Attributes:
        image: as the camera took it, before JPEG; NIR as three equal channels.
        landmarks: the 68 points, exact, in pixels.
        truth: for NIR captures the VIS image of the same moment in studio light, else None.
        regions: what each pixel shows, as ``pcfh.databases.rendered.Region`` numbers it.
    """

    image: UInt8[np.ndarray, "s s 3"]
    landmarks: Float[np.ndarray, "68 2"]
    truth: UInt8[np.ndarray, "s s 3"] | None
    regions: UInt8[np.ndarray, "s s"]


@dataclass(frozen=True, kw_only=True)
class _Moment:
    """A portrait before the camera does its part: its light, linear, in the bands of the camera."""

    light: Float[np.ndarray, "s s c"]
    landmarks: Float[np.ndarray, "68 2"]
    truth: UInt8[np.ndarray, "s s 3"] | None
    regions: UInt8[np.ndarray, "s s"]


@dataclass(frozen=True, kw_only=True)
class _Sitter:
    """A person on one day, ready for captures.

    Attributes:
        person: who.
        look: how they look.
        head: neutral.
        skin: as it is on that day.
        hair: colour of all hair.
        scalp: the hair of the scalp and the scene of it, None for none.
        short: brows, lashes and beard with their roots.
        glasses: frame and lenses, where the person has some.
    """

    person: Person
    look: Look
    head: Float[np.ndarray, "v 3"]
    skin: Skin
    hair: Float[np.ndarray, " 4"]
    scalp: tuple[Solid, Scene] | None
    short: tuple[tuple[Strands, Roots], ...]
    glasses: tuple[Mesh, Mesh] | None


class _Blur:
    """Blurs values among some of the seen samples; what depends on their places alone is done once.

    Args:
        member: which of the seen samples, at least one.
        sample: their numbers in the picture.
        width: of a row of samples.
        spreads: how far, in samples, in each band.
    """

    def __init__(
        self,
        member: Int[np.ndarray, " m"],
        sample: Int[np.ndarray, " m"],
        width: int,
        spreads: Sequence[float],
    ) -> None:
        self.member, self._spreads = member, spreads
        row = sample // width
        column = sample - row * width
        reach = int(2.5 * max(spreads) + 0.5)  # as far as the filter goes; nothing beyond has a value
        top, left = max(0, int(row.min()) - reach), max(0, int(column.min()) - reach)
        self._shape = (
            min(width, int(row.max()) + reach + 1) - top,
            min(width, int(column.max()) + reach + 1) - left,
        )
        self._place = (row - top) * self._shape[1] + (column - left)
        self._weights: dict[float, Field] = {}

    def __call__(self, values: Field, band: int) -> Field:
        """Blurs a value for each member as far as light of a band goes."""
        spread = self._spreads[band]
        if spread not in self._weights:
            ones = np.ones(len(self.member), np.float32)
            self._weights[spread] = np.maximum(self._filtered(ones, spread), 1e-6)
        return self._filtered(values, spread) / self._weights[spread]

    def _filtered(self, values: Field, spread: float) -> Field:
        """The filter's answer at the members, zeros between them."""
        picture = np.zeros(math.prod(self._shape), np.float32)
        picture[self._place] = values
        blurred = gaussian_filter(picture.reshape(self._shape), spread, truncate=2.5)
        return np.asarray(blurred.reshape(-1).take(self._place))


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
        self._uv = [np.ascontiguousarray(model.uv[self._number, corner]) for corner in range(3)]
        self._centres = eye_centres(model)
        self._spread_mm = [blur_width_mm(band) for band in BANDS]

    def portraits(
        self, person: Person, look: Look, shots: Sequence[Shot], *, truth: bool = True
    ) -> Iterator[Portrait]:
        """Renders captures of one session, NIR ones with their true VIS image if ``truth``."""
        sitter = self._sitter(person, look)
        before: tuple[Shot, _Moment] | None = None
        for shot in shots:  # what differs in the camera's part alone is one moment
            if before is None or _scene_of(before[0]) != _scene_of(shot):
                before = shot, self._moment(sitter, shot, truth=truth)
            yield _taken(before[1], shot)

    def _sitter(self, person: Person, look: Look) -> _Sitter:
        model = self._model
        head = model.shape(np.array(person.shape)).astype(np.float32)
        skin = Skin(self._atlas, self._regions, model, person=person, look=look, table=self._table)
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
        return _taken(self._moment(sitter, shot, truth=truth), shot)

    def _moment(self, sitter: _Sitter, shot: Shot, *, truth: bool) -> _Moment:
        """Follows the light of a capture to its camera."""
        pose = pose_of(shot)
        expressed = self._model.expressed(sitter.head, dict(shot.weights))
        moved = bent_neck(expressed, pose)
        body = self._body(sitter, expressed, moved, shot, pose)
        scene = Scene(body.vertices, body.triangles)
        width = round(self._size * (camera.SAMPLES if shot.real is None else camera.REAL_SAMPLES))
        rays = self._rays(shot, pose, width)
        seen, kinds = self._look(sitter, body, scene, shot, rays)
        if shot.real is not None:
            seen = with_lenders(seen, width)
        lenses = see_lenses(sitter.glasses[1], *rays) if sitter.glasses and shot.glasses else None
        scenes = [scene] if sitter.scalp is None else [scene, sitter.scalp[1]]
        around = surroundings_seen(seen, pose, scenes=scenes, width=width)
        own_bands = _COLOURS if shot.modality == "VIS" else _INFRARED
        with_truth = truth and shot.modality == "NIR"
        empty = np.ones(width * width, bool)
        empty[seen.sample] = False
        behind = backdrop(
            shot, width, np.flatnonzero(empty), (*own_bands, *_COLOURS) if with_truth else own_bands
        )
        blurs = self._blurs(seen, kinds, shot, width)

        def light(taken: Shot, bands: tuple[int, ...]) -> Float[np.ndarray, "s s c"]:
            lit = illuminate(
                seen, taken.lamps, pose, scenes=scenes, width=width, surroundings=around, bands=bands
            )
            return self._light(
                seen, lit, taken, behind, blurs, bands=bands, glare=_glare(lenses, taken, pose)
            )

        own = light(shot, own_bands)
        true = None
        if with_truth:
            studio = light(replace(shot, lamps=_STUDIO, background_light=_STUDIO_WALL), _COLOURS)
            true = camera.clean_picture(studio, _truth_exposure(sitter))
        points = pose.to_camera(moved[LANDMARKS].astype(np.float64))
        return _Moment(
            light=own,
            landmarks=camera.project(points, shot.camera, self._size),
            truth=true,
            regions=_regions(seen, kinds, lenses, width=width, size=self._size),
        )

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
        short = Stuff.STRAND if shot.real is None else Stuff.THIN
        for strands, roots in sitter.short:
            there = follow(strands, roots, sitter.head, expressed)
            solids.append(hairy(ribbons(there, sitter.person.seed), there.tint, short))
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
            return self._surface(sitter, body, hits, _hair_last(body, hits, shown), shot, rays)
        scalp, hair_scene = sitter.scalp
        # Rays end at the body: looking for the strands behind it would cost half of all time with long hair.
        hair = hair_scene.nearest(*rays, np.where(shown, 1.001 * hits.distance, np.float32(np.inf)))
        before = (hair.triangle >= 0) & (~shown | (hair.distance < hits.distance))
        parts = [self._surface(sitter, body, hits, _hair_last(body, hits, shown & ~before), shot, rays)]
        if before.any():
            strands, kind = self._surface(sitter, scalp, hair, np.flatnonzero(before), shot, rays)
            parts.append((_rounded(strands), kind))
        return _together([seen for seen, _ in parts]), np.concatenate([kind for _, kind in parts])

    def _surface(
        self, sitter: _Sitter, solid: Solid, hits: Hits, sample: Int[np.ndarray, " k"], shot: Shot, rays: Rays
    ) -> tuple[Seen, UInt8[np.ndarray, " k"]]:
        """What some samples see of a solid, and what it is made of there."""
        origins, directions = rays
        triangle, weights = hits.triangle.take(sample), hits.weights(sample)
        towards = picked(directions, sample)
        place = origins[:1] + hits.distance.take(sample)[:, None] * towards
        view = -towards
        flat = _towards_viewer(picked(solid.flat, triangle), view)
        corners = picked(solid.triangles, triangle)
        normal = between(weights, [picked(solid.normals, corner) for corner in corners.T])
        bare = np.flatnonzero(~(dot(normal, normal) > 0))
        normal[bare] = flat[bare]
        stuff = solid.stuff[triangle]
        albedo, gloss, sharpness, relief = self._materials(sitter, stuff, triangle, weights, shot)
        normal = unit(normal - (relief - dot(relief, normal)[:, None] * normal))
        seen = Seen(
            sample=sample,
            place=place,
            normal=_facing(normal, view),
            flat=flat,
            view=view,
            hair=np.isin(stuff, _HAIR),
            tangent=picked(solid.tangent, triangle),
            albedo=albedo * solid.tint.take(triangle)[:, None],
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
        """Albedo, gloss, its sharpness, and relief; points on an iris are noted as such in ``stuff``."""
        colours = np.zeros((len(Stuff), 4), np.float32)
        colours[Stuff.MOUTH], colours[Stuff.TEETH] = materials.gums(), materials.teeth()
        worn = sitter.look.clothes
        colours[Stuff.STRAND] = sitter.hair
        colours[Stuff.CLOTH], colours[Stuff.STRIPE] = worn.cloth, worn.second
        if sitter.look.glasses is not None:
            colours[Stuff.FRAME] = sitter.look.glasses.frame
        if shot.real is not None:
            colours[Stuff.THIN] = sitter.hair
            colours[[Stuff.STRAND, Stuff.THIN], 3] = _real_hair(sitter, shot.real)
        albedo = picked(colours, stuff)
        gloss, sharpness = _GLOSS.take(stuff), _SHARPNESS.take(stuff)
        relief = np.zeros((3, len(stuff)), np.float32).T
        skin = np.flatnonzero(stuff == Stuff.SKIN)
        if len(skin):
            corners = [picked(uv, triangle.take(skin)) for uv in self._uv]
            texel = self._atlas.texels(between(picked(weights, skin), corners))
            shine, pores = (1.0, 1.0) if shot.real is None else (shot.real.shine, shot.real.pores)
            painted = sitter.skin.at(texel)
            gloss[skin] = painted.gloss * np.float32(shine)
            for column, values in zip(albedo.T, painted.albedo.T, strict=True):
                column[skin] = values
            for column, values in zip(relief.T, painted.relief.T, strict=True):
                column[skin] = values * np.float32(pores)
        eye = np.flatnonzero(stuff == Stuff.EYE)
        rest = between(weights[eye], [*self._model.mean[self._triangles[triangle[eye]].T]])
        stuff[eye[iris_at(rest, self._centres)]] = Stuff.IRIS
        albedo[eye] = eye_albedo(rest, self._centres, sitter.person, modality=shot.modality, real=shot.real)
        return albedo, gloss, sharpness, relief

    def _rays(self, shot: Shot, pose: Pose, width: int) -> Rays:
        """All rays of the camera in head coordinates."""
        ahead = np.ascontiguousarray(unit(camera.rays(shot.camera, width)))
        directions = pose.direction_to_head(ahead).astype(np.float32)
        eye = pose.to_head(np.array([[0.0, 0.0, shot.camera.distance]])).astype(np.float32)
        return np.broadcast_to(eye, directions.shape), directions

    def _blurs(self, seen: Seen, kinds: UInt8[np.ndarray, " k"], shot: Shot, width: int) -> tuple[_Blur, ...]:
        """How far light spreads in the skin, and in all other stuff but hair."""
        scale = width * 0.1 / shot.camera.height  # samples per millimetre
        skin = [max(1.2, spread_mm * scale) for spread_mm in self._spread_mm]
        return tuple(
            _Blur(member, seen.sample.take(member), width, spreads)
            for member, spreads in (
                (np.flatnonzero(kinds == Stuff.SKIN), skin),
                (np.flatnonzero((kinds != Stuff.SKIN) & ~seen.hair), [1.2] * len(BANDS)),
            )
            if len(member)
        )

    def _light(
        self,
        seen: Seen,
        lit: Lit,
        shot: Shot,
        behind: Backdrop,
        blurs: Sequence[_Blur],
        *,
        bands: tuple[int, ...],
        glare: Glare | None,
    ) -> Float[np.ndarray, "s s c"]:
        """The light that reaches the camera in some bands, pixel by pixel."""
        picture = np.empty((len(bands), len(seen.sample) + len(behind.sample)), np.float32)
        for plane, band, matt, mirrored in zip(picture, bands, lit.matt.T, lit.mirrored.T, strict=True):
            spread = matt.copy()
            for blur in blurs:
                spread[blur.member] = blur(matt.take(blur.member), band)
            plane[behind.sample] = behind.light(shot.lamps, shot.background_light, band)
            plane[seen.sample] = seen.albedo[:, band] * spread + mirrored
            if glare is not None:
                sample, spots = glare
                plane[sample] = LENS_CLEAR * plane[sample] + spots[:, band]
        return camera.averaged(picture, self._size)


def _scene_of(shot: Shot) -> Shot:
    """A capture without what a real camera does to it."""
    return shot if shot.real is None else replace(shot, real=replace(shot.real, capture=_NO_CAMERA))


def _taken(moment: _Moment, shot: Shot) -> Portrait:
    """What the capture's camera makes of a moment."""
    light = moment.light
    image = (
        camera.visible_picture(light, shot)
        if shot.modality == "VIS"
        else camera.infrared_picture(light[..., 0], shot)
    )
    return Portrait(image=image, landmarks=moment.landmarks, truth=moment.truth, regions=moment.regions)


def _regions(
    seen: Seen, kinds: UInt8[np.ndarray, " k"], lenses: Lenses | None, *, width: int, size: int
) -> UInt8[np.ndarray, "s s"]:
    """What the samples nearest to the pixels' centres show."""
    samples = np.full(width * width, Region.SURROUNDINGS, np.uint8)
    samples[seen.sample] = _REGION[kinds]
    if lenses is not None:
        samples[lenses.sample] += BEHIND_GLASS
    nearest = ((np.arange(size) + 0.5) * width / size).astype(int)
    return np.asarray(samples.reshape(width, width)[nearest[:, None], nearest])


def _real_hair(sitter: _Sitter, real: Real) -> tuple[float, float]:
    """Near-infrared albedo of the hair of the scalp, and of thin hair, through which the skin shines."""
    person, look = sitter.person, sitter.look
    pigments = person.hair_eumelanin * real.hair, person.hair_pheomelanin, look.grey
    hair = float(materials.hair(*pigments)[3])
    skin = float(skin_albedo(np.array(person.melanin * look.tan), np.array(person.blood))[3])
    through = materials.through_hair(*pigments, real.thickness)
    return hair, hair + through * (_UNDER_HAIR * skin - hair)


def _truth_exposure(sitter: _Sitter) -> float:
    """The exposure of the truth: part of the way towards the skin, as a camera's automatic goes."""
    albedo = skin_albedo(np.array(sitter.person.melanin * sitter.look.tan), np.array(sitter.person.blood))
    return float((0.33 / albedo[:3].mean()) ** 0.4)


def _glare(lenses: Lenses | None, shot: Shot, pose: Pose) -> Glare | None:
    """What the glasses mirror of a shot's lamps, where some are worn."""
    return None if lenses is None else (lenses.sample, lenses.mirrored(shot.lamps, pose, shot.real))


def _rounded(strands: Seen) -> Seen:
    """The hair of the scalp as a whole faces outwards, whatever way its ribbons are turned."""
    outwards = unit(strands.place - np.array([0, 3, 0], np.float32))
    return replace(strands, normal=unit(strands.flat + outwards))


def _towards_viewer(
    normal: Float[np.ndarray, "k 3"], view: Float[np.ndarray, "k 3"]
) -> Float[np.ndarray, "k 3"]:
    """Turns normals that look away."""
    return np.where(dot(normal, view) < 0, np.float32(-1), np.float32(1))[:, None] * normal


def _facing(normal: Float[np.ndarray, "k 3"], view: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k 3"]:
    """Bends normals that look away, at the rim of smooth surfaces, until they do not."""
    short = np.clip(-dot(normal, view)[:, None], 0, None)
    return unit(normal + (short + 1e-3) * view)


def _hair_last(solid: Solid, hits: Hits, shown: Bool[np.ndarray, " r"]) -> Int[np.ndarray, " k"]:
    """The numbers of the rays that show a solid, those that show its hair behind the others."""
    sample = np.flatnonzero(shown)
    hair = np.isin(solid.stuff.take(hits.triangle.take(sample)), _HAIR)
    return np.concatenate([sample[~hair], sample[hair]])


def _together(parts: Sequence[Seen]) -> Seen:
    """All seen samples as one."""
    names = [field.name for field in fields(Seen) if field.name != "lender"]
    return Seen(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})
