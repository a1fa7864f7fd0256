"""Glasses and clothes: where they sit on many heads, and that they leave no gaps."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from scipy.spatial import cKDTree

from pcfh_render.accessories import Mesh, clothes, glasses, joined_mesh
from pcfh_render.facemodel import LANDMARKS, PARTS
from pcfh_render.headspace import vertex_normals
from pcfh_render.params import Clothes, ClothesKind, Glasses, GlassesKind
from pcfh_render.sampling import draw_person

KINDS = get_args(ClothesKind)
SKIN = PARTS["head"] + 1
GREY = (0.3, 0.3, 0.3, 0.3)
AROUND = 72


@pytest.fixture(scope="module")
def heads(model):
    return [model.shape(np.array(draw_person(0, number).shape)).astype(np.float32) for number in range(6)]


def pair(kind="rectangular", **changes):
    return replace(Glasses(kind=kind, width=5.2, height=3.3, rim=0.25, frame=GREY), **changes)


def wear(kind):
    return Clothes(kind=kind, cloth=GREY, second=GREY)


def height_over(head, triangles, places):
    normals = vertex_normals(head, triangles)[:SKIN]
    _, near = cKDTree(head[:SKIN]).query(places, 3)
    return np.einsum("nkc,nkc->nk", places[:, None] - head[near], normals[near]).mean(1)


@pytest.mark.parametrize("kind", get_args(GlassesKind))
def test_lenses_lie_before_both_eyes_of_six_heads(model, heads, kind):
    for head in heads:
        _, lenses = glasses(pair(kind), model, head)
        eyes = head[PARTS["teeth"] + 1 : PARTS["right_iris"] + 1]
        assert lenses.vertices[:, 2].min() > eyes[:, 2].max() + 0.3
        for lids in (LANDMARKS[36:42], LANDMARKS[42:48]):
            middle = head[lids].mean(0)
            side = lenses.vertices[np.sign(lenses.vertices[:, 0]) == np.sign(middle[0])]
            assert side[:, 0].min() + 0.8 < middle[0] < side[:, 0].max() - 0.8
            assert side[:, 1].min() + 0.8 < middle[1] < side[:, 1].max() - 0.8


@pytest.mark.parametrize("kind", get_args(GlassesKind))
def test_frame_and_lenses_do_not_enter_the_face_of_six_heads(model, heads, kind):
    for head in heads:
        frame, lenses = glasses(pair(kind), model, head)
        places = np.concatenate([frame.vertices, lenses.vertices])
        front = places[places[:, 2] > head[LANDMARKS[0], 2] + 2]
        assert height_over(head, model.triangles, front).min() > -0.05


def test_temples_reach_back_to_the_ears(model, heads):
    frame, _ = glasses(pair(), model, heads[0])
    behind = frame.vertices[frame.vertices[:, 2] < 1.0]
    assert (behind[:, 0] > 6).any()
    assert (behind[:, 0] < -6).any()


def test_lenses_are_as_wide_and_high_as_the_pair_says(face_model):
    _, lenses = glasses(pair("round", width=4.8, height=4.4), face_model, face_model.mean)
    left = lenses.vertices[lenses.vertices[:, 0] > 0]
    assert np.ptp(left[:, 0]) == pytest.approx(4.8, abs=0.02)
    assert np.ptp(left[:, 1]) == pytest.approx(4.4, abs=0.02)


def test_half_rims_leave_the_lower_edge_free(face_model):
    frame, lenses = glasses(pair("half_rim"), face_model, face_model.mean)
    front = frame.vertices[frame.vertices[:, 2] > lenses.vertices[:, 2].min()]
    assert front[:, 1].min() > lenses.vertices[:, 1].min() + 1


@pytest.mark.parametrize("kind", KINDS)
def test_clothes_close_around_the_neck_of_six_heads(model, heads, kind):
    for head in heads:
        hem = clothes(wear(kind), model, head).vertices[: 2 * AROUND]
        over = height_over(head, model.triangles, hem)
        assert over[:AROUND].max() < 0
        assert over[AROUND:].min() > 0


@pytest.mark.parametrize("kind", KINDS)
def test_clothes_go_all_around_and_below_the_picture(face_model, kind):
    made = clothes(wear(kind), face_model, face_model.mean).vertices
    turn = np.degrees(np.arctan2(made[:, 0], made[:, 2] + 1.8))
    assert np.diff(np.sort(turn)).max() < 8
    assert made[:, 1].min() < -30


def test_clothes_follow_a_neck_that_moved(face_model):
    moved = (face_model.mean + np.array([0.5, 0, 0.2])).astype(np.float32)
    still, carried = (clothes(wear("crew"), face_model, head).vertices for head in (face_model.mean, moved))
    assert carried - still == pytest.approx(np.tile([0.5, 0, 0.2], (len(still), 1)), abs=1e-3)


def test_the_chest_faces_forwards(face_model):
    made = clothes(wear("crew"), face_model, face_model.mean)
    normals = vertex_normals(made.vertices, made.triangles)
    chest = (np.abs(made.vertices[:, 0]) < 3) & (made.vertices[:, 1] < -22) & (made.vertices[:, 2] > 0)
    assert normals[chest, 2].min() > 0.8


def test_a_turtleneck_climbs_higher_than_a_crew_neck(model, heads):
    tops = {
        kind: clothes(wear(kind), model, heads[0]).vertices[:, 1].max() for kind in ("crew", "turtleneck")
    }
    assert tops["turtleneck"] > tops["crew"] + 2


def test_a_v_neck_opens_lower_in_front_than_a_crew_neck(face_model):
    lows = {}
    for kind in ("crew", "v_neck"):
        hem = clothes(wear(kind), face_model, face_model.mean).vertices[AROUND : 2 * AROUND]
        lows[kind] = hem[hem[:, 2] > 0, 1].min()
    assert lows["v_neck"] < lows["crew"] - 1.5


def test_joined_meshes_keep_their_own_triangles():
    one = Mesh(
        vertices=np.eye(3, dtype=np.float32),
        triangles=np.array([[0, 1, 2]], np.int32),
        along=np.zeros(3, np.float32),
    )
    assert np.array_equal(joined_mesh([one, one]).triangles, [[0, 1, 2], [3, 4, 5]])
