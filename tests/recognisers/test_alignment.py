import numpy as np
import pytest

from pcfh.errors import UserError
from pcfh.geometry.align import CROPS, align_image, similarity, transform_points
from pcfh.recognisers.alignment import (
    ARCFACE_POINTS,
    LIGHTCNN,
    Alignment,
    between_crops,
    fit_similarity,
    five_points,
    realign,
)

ARCFACE = Alignment(convention="arcface", size=112)


def face_landmarks():
    points = np.full((68, 2), 250.0)
    points[36:42], points[42:48] = (190, 200), (310, 215)
    points[30], points[48], points[54] = (251, 268), (205, 330), (285, 340)
    return points


def smooth_picture():
    y, x = np.mgrid[:500, :500] / 500
    waves = [np.sin(9 * x + 5 * y), np.cos(7 * x - 8 * y), np.sin(6 * x * y + 3 * x)]
    return np.round(127.5 + 110 * np.stack(waves, -1)).astype(np.uint8)


def prepared(size):
    matrix = similarity(face_landmarks(), CROPS[size])
    return align_image(smooth_picture(), matrix, size), transform_points(matrix, face_landmarks())


def realigned(size, alignment):
    crop, landmarks = prepared(size)
    return realign(crop[None], landmarks[None], alignment)[0].astype(int)


def turned(points, scale, degrees, shift):
    angle = np.radians(degrees)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return points @ turn.T + shift


def residual(matrix, points, targets):
    return np.square(transform_points(matrix, points) - targets).sum()


def test_the_arcface_points_of_a_moved_template_come_back_to_the_template():
    template = np.array(ARCFACE_POINTS)
    matrix = fit_similarity(turned(template, 2.5, 20, (40, -7)), template)
    moved = transform_points(matrix, turned(template, 2.5, 20, (40, -7)))
    np.testing.assert_allclose(moved, template, atol=1e-9)


def test_no_other_similarity_is_closer_to_the_template():
    template, points = np.array(ARCFACE_POINTS), five_points(face_landmarks())
    best = fit_similarity(points, template)
    least = residual(best, points, template)
    rng = np.random.default_rng(0)
    for a, b, *shift in 1e-3 * rng.standard_normal((50, 4)):
        other = best + np.array([[a, -b, shift[0]], [b, a, shift[1]]])
        assert residual(other, points, template) > least


def test_the_fit_does_not_mirror():
    template = np.array(ARCFACE_POINTS)
    matrix = fit_similarity(template * (-1, 1), template)
    assert np.linalg.det(matrix[:, :2]) > 0


def test_landmarks_that_fall_together_are_refused():
    with pytest.raises(UserError, match="fall together"):
        fit_similarity(np.ones((5, 2)), np.array(ARCFACE_POINTS))


def test_five_points_are_eyes_nose_and_mouth_from_left_to_right():
    expected = [(190, 200), (310, 215), (251, 268), (205, 330), (285, 340)]
    assert five_points(face_landmarks()).tolist() == [list(map(float, p)) for p in expected]


@pytest.mark.parametrize(("size", "levels"), [(64, 6), (144, 0), (256, 3)])
def test_a_crop_of_any_size_becomes_the_crop_of_128_that_the_picture_gives(size, levels):
    assert np.abs(realigned(size, LIGHTCNN) - prepared(128)[0]).max() <= levels


def test_a_crop_cut_one_pixel_off_would_differ_by_more_than_that():
    crop = prepared(128)[0].astype(int)
    assert np.abs(crop[:, 1:] - crop[:, :-1]).max() > 6


def test_a_crop_of_the_size_wanted_stays_as_it_is():
    assert np.array_equal(realigned(128, LIGHTCNN), prepared(128)[0])


def test_between_equal_sizes_nothing_moves():
    assert np.array_equal(between_crops(144, 144), np.eye(2, 3))


@pytest.mark.parametrize("size", [128, 144, 256])
def test_an_arcface_crop_is_the_one_that_the_picture_gives(size):
    points = five_points(face_landmarks())
    direct = align_image(smooth_picture(), fit_similarity(points, np.array(ARCFACE_POINTS)), 112)
    inside = np.s_[24:, 8:-8]  # of the prepared crop; beyond it, its edge goes on
    assert np.abs(realigned(size, ARCFACE)[inside] - direct[inside]).max() <= 3


def test_at_twice_the_size_the_arcface_template_is_twice_as_large():
    large = Alignment(convention="arcface", size=224)
    crop_points = prepared(144)[1]
    np.testing.assert_allclose(large.matrix(crop_points, 144), 2 * ARCFACE.matrix(crop_points, 144))


def test_no_crops_give_no_crops():
    none = np.zeros((0, 144, 144, 3), np.uint8)
    assert realign(none, np.zeros((0, 68, 2)), ARCFACE).shape == (0, 112, 112, 3)


def test_an_unknown_convention_lists_the_known_ones():
    with pytest.raises(UserError, match="'dlib'; known: lightcnn, arcface"):
        Alignment(convention="dlib", size=112)


def test_the_lightcnn_convention_has_no_crop_of_112_pixels():
    with pytest.raises(UserError, match="no alignment for crops of 112 pixels"):
        Alignment(convention="lightcnn", size=112)


def test_crops_that_a_recogniser_takes_as_they_are_stay_what_they_are():
    crops = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3), np.uint8)
    matrix = LIGHTCNN.matrix(np.zeros((68, 2)), 128)
    cut = np.stack([align_image(crop, matrix, 128) for crop in crops])
    np.testing.assert_array_equal(realign(crops, np.zeros((2, 68, 2)), LIGHTCNN), cut)
