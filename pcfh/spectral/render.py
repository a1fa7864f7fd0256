"""The renderer: a person, a look and shots in, pictures with exact landmarks and the true VIS image out.

Per person and session the skin is painted and the hair of the scalp is grown once. Per shot the rays of the
camera are followed once; a NIR capture and its truth differ in the lamps only. Axis letters: k seen samples,
r rays, s side of the image.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from scipy.ndimage import gaussian_filter

from pcfh.spectral import camera, materials
from pcfh.spectral.atlas import build_atlas
from pcfh.spectral.bands import BANDS
from pcfh.spectral.body import (
    MIDDLE,
    Pose,
    Solid,
    Stuff,
    bent_neck,
    beside,
    hairy,
    head_triangles,
    joined,
    pose_of,
    smooth,
)
from pcfh.spectral.complexion import Complexion, complexion, regions
from pcfh.spectral.eyes import eye_albedo, eye_centres
from pcfh.spectral.facemodel import LANDMARKS, FaceModel
from pcfh.spectral.hair import beard_hair, brow_hair, follow, lash_hair, ribbons, scalp_hair
from pcfh.spectral.light import Lit, Seen, illuminate
from pcfh.spectral.params import Lamp, Look, Person, Shot
from pcfh.spectral.skin import SkinTable, blur_width_mm, skin_albedo
from pcfh.spectral.strands import Roots, Strands, unit
from pcfh.spectral.streams import generator
from pcfh.spectral.trace import Scene

# What the truth is lit by: an even room with one broad lamp in front and above.
_STUDIO = (
    Lamp(kind="ambient", position=(0.0, 0.0, 0.0), colour=(0.55, 0.55, 0.55, 0.0), radius=0.0),
    Lamp(kind="distant", position=(0.35, 0.45, 1.0), colour=(0.5, 0.5, 0.5, 0.0), radius=0.5),
)


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
        scalp: the hair of the scalp, None for none.
        scene: of that hair.
        short: brows, lashes and beard with their roots.
    """

    person: Person
    look: Look
    head: Float[np.ndarray, "v 3"]
    skin: Complexion
    hair: Float[np.ndarray, " 4"]
    scalp: Solid | None
    scene: Scene | None
    short: tuple[tuple[Strands, Roots], ...]


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

    def portraits(self, person: Person, look: Look, shots: Sequence[Shot]) -> Iterator[Portrait]:
        """Renders captures of one session."""
        sitter = self._sitter(person, look)
        for shot in shots:
            yield self._portrait(sitter, shot)

    def _sitter(self, person: Person, look: Look) -> _Sitter:
        model = self._model
        head = model.shape(np.array(person.shape)).astype(np.float32)
        skin = complexion(
            self._atlas, self._regions, model, person=person, look=look, table=self._table
        )
        strands = scalp_hair(model, head, person, look)
        scalp = hairy(ribbons(strands, look.seed), strands.tint) if len(strands) else None
        short = (brow_hair(model, head, person), lash_hair(model, head, person), beard_hair(model, head, person, look))
        return _Sitter(
            person=person,
            look=look,
            head=head,
            skin=skin,
            hair=materials.hair(person.hair_eumelanin, person.hair_pheomelanin, look.grey).astype(np.float32),
            scalp=scalp,
            scene=None if scalp is None else Scene(scalp.vertices, scalp.triangles),
            short=tuple(pair for pair in short if len(pair[0])),
        )

    def _portrait(self, sitter: _Sitter, shot: Shot) -> Portrait:
        pose = pose_of(shot)
        expressed = self._model.expressed(sitter.head, dict(shot.weights))
        moved = bent_neck(expressed, pose)
        body = self._body(sitter, expressed, moved, shot, pose)
        scene = Scene(body.vertices, body.triangles)
        seen, kinds = self._look(sitter, body, scene, shot, pose)
        scenes = [scene] if sitter.scene is None else [scene, sitter.scene]
        width = self._size * camera.SAMPLES
        lit = illuminate(seen, shot.lamps, pose, scenes=scenes, width=width)
        landmarks = camera.project(pose.to_camera(moved[LANDMARKS].astype(np.float64)), shot.camera, self._size)
        if shot.modality == "VIS":
            light = self._light(seen, kinds, lit, shot, bands=(0, 1, 2))
            return Portrait(image=camera.visible_picture(light, shot), landmarks=landmarks, truth=None)
        light = self._light(seen, kinds, lit, shot, bands=(3,))
        studio = illuminate(seen, _STUDIO, pose, scenes=scenes, width=width)
        true = self._light(seen, kinds, studio, shot, bands=(0, 1, 2))
        return Portrait(
            image=camera.infrared_picture(light[..., 0], shot),
            landmarks=landmarks,
            truth=camera.clean_picture(true, _truth_exposure(sitter)),
        )

    def _body(
        self, sitter: _Sitter, expressed: Float[np.ndarray, "v 3"], moved: Float[np.ndarray, "v 3"], shot: Shot, pose: Pose
    ) -> Solid:
        """All that is seen but the hair of the scalp."""
        solids = [smooth(moved, self._triangles, self._stuff)]
        for strands, roots in sitter.short:
            there = follow(strands, roots, sitter.head, expressed)
            solids.append(hairy(ribbons(there, sitter.person.seed), there.tint))
        return joined(solids)

    def _look(
        self, sitter: _Sitter, body: Solid, scene: Scene, shot: Shot, pose: Pose
    ) -> tuple[Seen, UInt8[np.ndarray, " k"]]:
        """Follows the camera's rays to the surfaces and finds what they are like."""
        there = camera.rays(shot.camera, self._size)
        directions = pose.direction_to_head(unit(there)).astype(np.float32)
        eye = pose.to_head(np.array([[0.0, 0.0, shot.camera.distance]]))[0].astype(np.float32)
        origins = np.tile(eye, (len(directions), 1))
        hits = scene.nearest(origins, directions)
        distance = np.where(hits.triangle >= 0, hits.distance, np.inf)
        behind = np.zeros(len(distance), bool)
        if sitter.scene is not None and sitter.scalp is not None:
            hair = sitter.scene.nearest(origins, directions)
            behind = (hair.triangle >= 0) & (hair.distance < distance)
        solid = np.flatnonzero((hits.triangle >= 0) & ~behind)
        parts = [self._surface(sitter, body, hits, solid, origins, directions, shot)]
        if behind.any() and sitter.scalp is not None:
            parts.append(self._strands(sitter, sitter.scalp, hair, np.flatnonzero(behind), origins, directions))
        return _together([seen for seen, _ in parts]), np.concatenate([kind for _, kind in parts])
