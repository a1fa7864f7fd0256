"""Facts about the skin's texture, lamps and glasses."""

from dataclasses import replace

import numpy as np
import pytest
from test_render import shot

from pcfh_render import trace
from pcfh_render.accessories import Mesh
from pcfh_render.atlas import build_atlas
from pcfh_render.body import Pose, bent_neck, pose_of
from pcfh_render.camera import turn
from pcfh_render.complexion import Skin, regions
from pcfh_render.eyes import eye_albedo, eye_centres
from pcfh_render.facemodel import LANDMARKS
from pcfh_render.lenses import see_lenses
from pcfh_render.light import Seen, illuminate
from pcfh_render.params import Lamp, Mole
from pcfh_render.sampling import draw_look, draw_person
from pcfh_render.skin import SkinTable
from pcfh_render.trace import Scene

STRAIGHT = Pose(turn=np.eye(3))


@pytest.fixture(scope="module")
def atlas(face_model):
    return build_atlas(face_model)


@pytest.fixture(scope="module")
def parts(face_model, atlas):
    return regions(face_model, atlas)


@pytest.fixture(scope="module")
def paint(face_model, atlas, parts):
    table = SkinTable()

    def paint(person, look):
        skin = Skin(atlas, parts, face_model, person=person, look=look, table=table)
        return skin.at(np.arange(len(atlas.place)))

    return paint


def test_the_atlas_carries_what_is_given_per_vertex(face_model, atlas):
    assert np.allclose(atlas.carried(face_model.mean[:, 1]), atlas.place[:, 1], atol=1e-3)


def test_the_slope_of_a_height_is_its_gradient_along_the_surface(atlas):
    front = (np.abs(atlas.place[:, 0]) < 1.5) & (atlas.place[:, 2] > 9) & (atlas.place[:, 1] > 8)
    slope = atlas.slope((0.1 * atlas.place[:, 0]).astype(np.float32), np.flatnonzero(front))
    assert np.median(slope, 0) == pytest.approx([0.1, 0, 0], abs=0.02)


def test_lips_are_where_the_mouth_is(face_model, atlas, parts):
    middle = face_model.mean[LANDMARKS[48:60]].mean(0)
    inside = atlas.place[parts.lips > 0.5]
    assert len(inside) > 50
    assert np.allclose(inside.mean(0)[:2], middle[:2], atol=0.3)


def test_a_mole_darkens_its_place_only(face_model, atlas, paint):
    person = replace(draw_person(7, 1), moles=(), freckles=0.0)
    look = draw_look(person, 1)
    vertex = int(LANDMARKS[2])
    spotted = replace(person, moles=(Mole(vertex=vertex, radius=0.3, melanin=0.3),))
    change = (paint(spotted, look).albedo - paint(person, look).albedo)[:, 1]
    near = np.linalg.norm(atlas.place - face_model.mean[vertex], axis=1) < 0.15
    far = np.linalg.norm(atlas.place - face_model.mean[vertex], axis=1) > 1
    assert change[near].max() < 0
    assert np.abs(change[far]).max() < 1e-4  # its soft edge ends nowhere


def test_a_skin_painted_bit_by_bit_is_that_painted_at_once(face_model, atlas, parts, paint):
    person = replace(draw_person(7, 2), freckles=0.8, age=60.0)
    look = draw_look(person, 1)
    skin = Skin(atlas, parts, face_model, person=person, look=look, table=SkinTable())
    texels = np.random.default_rng(0).permutation(len(atlas.place))
    for some in np.array_split(texels[: len(texels) // 2], 3):
        skin.at(some)
    found, whole = skin.at(texels), paint(person, look)
    for name in ("albedo", "gloss", "relief"):
        assert np.array_equal(getattr(found, name), getattr(whole, name)[texels])


def test_albedo_stays_a_reflectance(paint):
    for subject in range(4):
        person = draw_person(9, subject)
        albedo = paint(person, draw_look(person, 1)).albedo
        assert albedo.min() > 0
        assert albedo.max() < 1


def test_the_pupil_is_dark_and_the_white_is_lighter_than_the_iris(face_model):
    centres = eye_centres(face_model)
    ahead = np.array([[0.0, 0, 1.4], [0.45, 0, 1.3], [1.0, 0, 1.0]])
    pupil, iris, white = eye_albedo(centres[0] + ahead, centres, draw_person(7, 2), modality="VIS")[:, 1]
    assert pupil < 0.02 < iris < white


def test_the_pose_goes_there_and_back():
    pose = Pose(turn=turn((30.0, -10.0, 5.0)))
    points = np.random.default_rng(0).normal(size=(5, 3)) * 10
    assert np.allclose(pose.to_head(pose.to_camera(points)), points)


def test_the_neck_ends_where_it_was(face_model):
    """Seen from the camera, the lower end of the neck does not turn with the head."""
    pose = pose_of(shot(yaw=35.0))
    low, high = face_model.mean[:, 1] < -16.5, face_model.mean[:, 1] > -7.5
    moved = bent_neck(face_model.mean, pose)
    still = STRAIGHT.to_camera(face_model.mean[low].astype(float))
    assert np.allclose(pose.to_camera(moved[low].astype(float)), still, atol=1e-3)
    assert np.allclose(moved[high], face_model.mean[high])


def patch(normal=(0.0, 0.0, 1.0)):
    """One matt sample at the origin that faces along its normal."""
    row = np.array([normal], np.float32)
    return Seen(
        sample=np.array([0]),
        place=np.zeros((1, 3), np.float32),
        normal=row,
        flat=row,
        view=np.array([[0.0, 0.0, 1.0]], np.float32),
        hair=np.array([False]),
        tangent=np.zeros((1, 3), np.float32),
        albedo=np.ones((1, 4), np.float32),
        gloss=np.zeros(1, np.float32),
        sharpness=np.ones(1, np.float32),
    )


def far_away():
    return Scene(
        np.array([[900, 0, 0], [901, 0, 0], [900, 1, 0]], np.float32), np.array([[0, 1, 2]], np.int32)
    )


def lamp(kind="distant", position=(0.0, 0.0, 1.0)):
    return Lamp(kind=kind, position=position, colour=(1.0, 0.5, 0.25, 2.0), radius=0.0)


def test_a_patch_that_faces_a_distant_lamp_gets_its_colour():
    lit = illuminate(patch(), [lamp()], STRAIGHT, scenes=[far_away()], width=1)
    assert lit.matt[0] == pytest.approx([1.0, 0.5, 0.25, 2.0], rel=1e-3)


def test_light_falls_with_the_cosine():
    slanted = (0.0, float(np.sin(1.0)), float(np.cos(1.0)))
    lit = illuminate(patch(), [lamp(position=slanted)], STRAIGHT, scenes=[far_away()], width=1)
    assert lit.matt[0, 0] == pytest.approx(np.cos(1.0), rel=1e-3)


def test_what_stands_before_a_lamp_throws_a_shadow():
    wall = Scene(np.array([[-9, -9, 5], [9, -9, 5], [0, 20, 5]], np.float32), np.array([[0, 1, 2]], np.int32))
    lit = illuminate(patch(), [lamp()], STRAIGHT, scenes=[far_away(), wall], width=1)
    assert lit.matt.max() == 0


def test_rays_meet_the_same_triangles_however_embree_is_given_them(face_model, monkeypatch):
    """It takes numbers as Python objects in half of the time, where its binding reads these."""
    rng = np.random.default_rng(0)
    origins = np.tile(np.array([[0, 2, 80]], np.float32), (2000, 1))
    directions = (rng.uniform(-12, 12, (2000, 3)) * [1, 1, 0] - origins).astype(np.float32)
    hits = []
    for reads_objects in (True, False):
        monkeypatch.setattr(trace, "_reads_objects", lambda answer=reads_objects: answer)
        hits.append(Scene(face_model.mean, face_model.triangles).nearest(origins, directions))
    assert (hits[0].triangle >= 0).any()
    for name in ("triangle", "u", "v", "distance"):
        assert np.array_equal(getattr(hits[0], name), getattr(hits[1], name))


def test_a_lens_mirrors_a_lamp_beside_the_camera_as_a_bright_spot():
    square = np.array([[-2, -2, 0], [2, -2, 0], [2, 2, 0], [-2, 2, 0]], np.float32)
    mesh = Mesh(
        vertices=square, triangles=np.array([[0, 1, 2], [0, 2, 3]], np.int32), along=np.zeros(4, np.float32)
    )
    x = np.linspace(-1.9, 1.9, 41, dtype=np.float32)
    directions = np.stack([x / 80, 0 * x, np.full_like(x, -1)], 1)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    camera = np.array([[0, 2.0, 78.0 - 3.0]], np.float32)
    origins = np.repeat(STRAIGHT.to_head(camera).astype(np.float32), 41, 0) * [0, 0, 1]
    led = Lamp(kind="point", position=(0.0, 0.0, 75.0), colour=(0.0, 0.0, 0.0, 1.0), radius=0.5)
    lenses = see_lenses(mesh, origins.astype(np.float32), directions)
    mirrored = lenses.mirrored([led], STRAIGHT)[:, 3]
    assert mirrored.max() > 1
    assert mirrored.min() < 0.1 * mirrored.max()
