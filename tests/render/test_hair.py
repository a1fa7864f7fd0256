"""Hair: where it stands and lies, what it costs, how it follows the skin."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from scipy.spatial import cKDTree

from pcfh_render.facemodel import LANDMARKS, PARTS
from pcfh_render.hair import beard_hair, beard_mask, brow_hair, lash_hair, scalp_hair, scalp_mask
from pcfh_render.headspace import above_hairline, head_space, vertex_normals
from pcfh_render.params import HairStyle
from pcfh_render.sampling import draw_look, draw_person
from pcfh_render.strands import Roots, Strands, cross, follow, join, ribbons, unit

STYLES = get_args(HairStyle)
LENGTH = {"bald": 0.1, "cropped": 1.0, "short": 4.0, "bob": 22.0, "long": 40.0, "tied": 35.0}
SKIN = PARTS["head"] + 1


def someone(number=2, **changes):
    return replace(draw_person(0, number), hairline=0.1, beard_growth=1.0, **changes)


def look(person, style="short", seed=3, **changes):
    length = LENGTH.get(style, 7.0)
    return replace(draw_look(person, 1), hair_style=style, hair_length=length, seed=seed, **changes)


def head_of(model, person):
    return model.shape(np.array(person.shape)).astype(np.float32)


def height_over(head, triangles, places):
    """Distance of places from the planes of the nearest vertices of the skin."""
    normals = vertex_normals(head, triangles)[:SKIN]
    _, near = cKDTree(head[:SKIN]).query(places, 4)
    return np.einsum("nkc,nkc->nk", places[:, None] - head[near], normals[near]).mean(1)


@pytest.mark.parametrize("style", STYLES)
def test_a_style_stays_within_100000_triangles(model, style):
    person = someone()
    strands = scalp_hair(model, head_of(model, person), person, look(person, style))
    assert 20_000 < len(ribbons(strands).triangles) <= 100_000


@pytest.mark.parametrize("style", STYLES)
def test_hair_of_every_style_stands_on_the_skin_of_the_person(model, style):
    person = someone()
    head = head_of(model, person)
    roots = scalp_hair(model, head, person, look(person, style)).points[:, 0]
    assert np.abs(height_over(head, model.triangles, roots)).max() < 0.3


@pytest.mark.parametrize("style", STYLES)
def test_hair_of_no_style_enters_the_skull(model, style):
    person = someone()
    head = head_of(model, person)
    points = scalp_hair(model, head, person, look(person, style)).points[:, 1:].reshape(-1, 3)
    skull = points[points[:, 1] > 5]
    deep = height_over(head, model.triangles, skull) < -0.25
    assert deep.mean() < 0.002


@pytest.mark.parametrize("style", ["bob", "long", "side_part"])
def test_hair_without_a_fringe_leaves_the_face_free(model, style):
    person = someone()
    today = next(
        candidate
        for candidate in (look(person, style, seed) for seed in range(40))
        if not _fringed(model, person, candidate)
    )
    points = scalp_hair(model, head_of(model, person), person, today).points.reshape(-1, 3)
    over = (np.abs(points[:, 0]) < 4.5) & (points[:, 2] > 6) & (points[:, 1] < 7.5) & (points[:, 1] > -6)
    assert over.mean() < 0.001


def _fringed(model, person, today):
    points = scalp_hair(model, head_of(model, person), person, today).points
    tips = points[:, -1]
    return ((np.abs(tips[:, 0]) < 3) & (tips[:, 2] > 7) & (tips[:, 1] > 5)).sum() > 100


def test_the_same_seed_grows_the_same_hair(face_model):
    person = someone()
    head = head_of(face_model, person)
    first, second = (scalp_hair(face_model, head, person, look(person, "curly")) for _ in range(2))
    assert np.array_equal(first.points, second.points)
    assert np.array_equal(first.tint, second.tint)


def test_another_seed_grows_other_hair(face_model):
    person = someone()
    head = head_of(face_model, person)
    first, second = (scalp_hair(face_model, head, person, look(person, "short", seed)) for seed in (1, 2))
    assert np.abs(first.points - second.points).max() > 1


def test_brows_are_the_same_in_every_session(face_model):
    person = someone()
    head = head_of(face_model, person)
    assert np.array_equal(*(brow_hair(face_model, head, person)[0].points for _ in range(2)))


def test_long_hair_ends_below_a_bob_and_a_bob_at_the_chin(model):
    person = someone()
    head = head_of(model, person)
    bob, long = (scalp_hair(model, head, person, look(person, style)).points for style in ("bob", "long"))
    assert long[..., 1].min() < bob[..., 1].min() - 5
    assert -10 < np.median(bob[:, -1, 1]) < 0


def test_a_receded_hairline_is_higher_at_the_temples(model):
    temple = np.array([[5.2, 9.5, 7.0]], np.float32)
    assert above_hairline(temple, 0.8)[0] < above_hairline(temple, 0.0)[0] - 1.5


def test_a_bald_head_has_no_hair_on_top(model):
    person = someone()
    density = scalp_mask(model, person, look(person, "bald"))
    assert density[model.mean[:, 1] > 11].max() == 0
    assert density.max() > 0.8


def test_hair_grows_on_the_head_and_nowhere_else(model):
    person = someone()
    density = scalp_mask(model, person, look(person))
    marks = density[LANDMARKS]
    assert marks[17:].max() == 0
    assert density[SKIN:].max() == 0
    assert density[np.argmax(model.mean[:SKIN, 1])] == 1


def test_who_shaves_has_no_strands(face_model):
    person = someone()
    strands, roots = beard_hair(face_model, head_of(face_model, person), person, look(person, beard="none"))
    assert len(strands) == len(roots.corners) == 0


def test_a_moustache_grows_between_nose_and_mouth(model):
    person = someone()
    head = head_of(model, person)
    strands, _ = beard_hair(model, head, person, look(person, beard="moustache", beard_length=0.8))
    marks, root = head[LANDMARKS], strands.points[:, 0]
    assert np.median(root[:, 1]) < marks[33, 1]
    assert np.median(root[:, 1]) > marks[62, 1]


def test_a_full_beard_covers_the_chin_and_spares_the_lips(model):
    density = beard_mask(model, "full")
    marks = density[LANDMARKS]
    assert marks[[6, 7, 8, 9, 10]].min() > 0.5
    assert marks[[50, 51, 52, 56, 57, 58, 61, 62, 63, 65, 66, 67]].max() == 0


def test_a_longer_beard_reaches_lower(face_model):
    person = someone()
    head = head_of(face_model, person)
    short, long = (
        beard_hair(face_model, head, person, look(person, beard="full", beard_length=length))[0].points
        for length in (0.8, 3.2)
    )
    assert long[..., 1].min() < short[..., 1].min() - 0.5


def test_brows_rise_with_the_skin_under_them(model):
    person = someone()
    head = head_of(model, person)
    names = ("browInnerUp_L", "browInnerUp_R", "browOuterUp_L", "browOuterUp_R")
    raised = model.expressed(head, dict.fromkeys(names, 1.0)).astype(np.float32)
    strands, roots = brow_hair(model, head, person)
    rise = (follow(strands, roots, head, raised).points - strands.points)[..., 1].mean()
    assert rise == pytest.approx((roots.on(raised) - roots.on(head))[:, 1].mean(), abs=0.05)
    assert rise > 0.15


def test_brows_lie_on_both_sides_near_their_landmarks(model):
    person = someone()
    head = head_of(model, person)
    root = brow_hair(model, head, person)[0].points[:, 0]
    line = head[LANDMARKS[17:27]]
    far = np.linalg.norm(root[:, None] - line[None], axis=-1).min(1)
    assert np.quantile(far, 0.95) < 1.5
    assert 0.4 < (root[:, 0] > 0).mean() < 0.6


def test_lashes_stand_at_the_lids_and_point_forwards(model):
    person = someone()
    head = head_of(model, person)
    points = lash_hair(model, head, person)[0].points
    lids = head[LANDMARKS[36:48]]
    assert np.linalg.norm(points[:, :1] - lids[None], axis=-1).min(1).max() < 1.2
    assert (points[:, -1] - points[:, 0])[:, 2].mean() > 0.1


def test_strands_turn_with_a_head_that_turns():
    rng = np.random.default_rng(0)
    head = rng.normal(size=(9, 3)).astype(np.float32)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    weights = rng.dirichlet((1, 1, 1), 5).astype(np.float32)
    corners = np.array([rng.permutation(9)[:3] for _ in range(5)], np.int32)
    strands = Strands(
        points=rng.normal(size=(5, 4, 3)).astype(np.float32),
        width=np.ones((5, 4), np.float32),
        tint=np.ones(5, np.float32),
    )
    moved = (head @ turn.T + [1, 2, 3]).astype(np.float32)
    found = follow(strands, Roots(corners=corners, weights=weights), head, moved).points
    assert found == pytest.approx(strands.points @ turn.T + [1, 2, 3], abs=1e-4)


def straight(number=3, count=4):
    points = np.zeros((number, count, 3), np.float32)
    points[..., 0] = np.arange(number)[:, None]
    points[..., 2] = 5 + np.arange(count)
    width = np.full((number, count), 0.2, np.float32)
    return Strands(points=points, width=width, tint=np.ones(number, np.float32))


def test_a_ribbon_is_as_wide_as_its_hair_and_runs_along_it():
    made = ribbons(straight())
    edges = made.vertices.reshape(-1, 2, 3)
    assert np.linalg.norm(edges[:, 0] - edges[:, 1], axis=1) == pytest.approx(0.2, abs=1e-5)
    assert edges.mean(1) == pytest.approx(straight().points.reshape(-1, 3), abs=1e-5)
    assert made.tangent == pytest.approx(np.tile([0.0, 0.0, 1.0], (18, 1)))


def test_the_triangles_of_a_ribbon_belong_to_its_hair():
    made = ribbons(straight())
    owner = made.triangles // 8
    assert np.array_equal(owner, np.repeat(made.strand[:, None], 3, 1))
    assert np.array_equal(np.bincount(made.strand), [6, 6, 6])


def test_joined_strands_keep_their_order():
    assert np.array_equal(join(straight(2), straight(3)).points[2:], straight(3).points)


def test_cross_is_the_cross_product():
    a, b = np.random.default_rng(0).normal(size=(2, 7, 3))
    assert cross(a, b) == pytest.approx(np.cross(a, b))


def test_unit_leaves_zeros_alone():
    assert np.array_equal(unit(np.array([[0.0, 0.0, 0.0], [0.0, 3.0, 4.0]])), [[0, 0, 0], [0, 0.6, 0.8]])


def test_clearance_is_the_distance_from_the_skin(model):
    space = head_space(model)
    vertex = np.linalg.norm(model.mean[:SKIN] - [0, 7, -9], axis=1).argmin()
    normal = space.normals[vertex]
    way = np.array([-2, 0, 1.5, 3], np.float32)
    clear, away = space.clearance(model.mean[vertex] + way[:, None] * normal, ears=False)
    assert clear == pytest.approx(way, abs=0.35)
    assert away[2] @ normal > 0.9


def test_space_is_carried_with_the_head(face_model):
    shifted = (face_model.mean + np.array([1, 2, 3])).astype(np.float32)
    places = np.random.default_rng(0).uniform(-10, 10, (20, 3)).astype(np.float32)
    assert head_space(face_model).carry(places, shifted) == pytest.approx(
        places + np.array([1, 2, 3]), abs=1e-4
    )
