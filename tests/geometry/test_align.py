import numpy as np
import pytest

from pcfh.errors import UserError
from pcfh.geometry import align
from pcfh.geometry.align import (
    CROPS,
    align_face,
    align_image,
    align_labels,
    crop_of,
    similarity,
    transform_points,
)


def face(scale: float = 1.0, angle: float = 0.0, at: tuple[float, float] = (100.0, 80.0)) -> np.ndarray:
    """Landmarks whose eye centres are 60 apart and whose mouth corners are 50 below their middle."""
    points = np.zeros((68, 2))
    points[36:42], points[42:48] = (-30.0, 0.0), (30.0, 0.0)
    points[48], points[54] = (-20.0, 50.0), (20.0, 50.0)
    cos, sin = np.cos(angle), np.sin(angle)
    return scale * points @ np.array([[cos, sin], [-sin, cos]]) + at


@pytest.mark.parametrize("size", CROPS)
@pytest.mark.parametrize("angle", [0.0, 0.4, -0.7])
def test_eyes_and_mouth_come_to_the_heights_of_the_convention(size, angle):
    crop = crop_of(size)
    points = face(scale=1.7, angle=angle)
    aligned = transform_points(similarity(points, crop), points)
    left, right = aligned[36:42].mean(0), aligned[42:48].mean(0)
    np.testing.assert_allclose((left + right) / 2, (size / 2 - 0.5, crop.eyes_y - 0.5), atol=1e-9)
    assert left[1] == pytest.approx(right[1])
    assert (aligned[48, 1] + aligned[54, 1]) / 2 - left[1] == pytest.approx(crop.eyes_to_mouth)


def test_the_published_heights():
    assert (CROPS[144].eyes_y, CROPS[144].eyes_to_mouth) == (48, 48)
    assert (CROPS[128].eyes_y, CROPS[128].eyes_to_mouth) == (40, 48)
    assert (CROPS[256].eyes_y, CROPS[256].eyes_to_mouth) == (80, 96)


def test_the_middle_of_the_144_crop_is_the_128_crop():
    points = face(angle=0.2)
    by_144 = transform_points(similarity(points, crop_of(144)), points) - 8
    np.testing.assert_allclose(by_144, transform_points(similarity(points, crop_of(128)), points))


def test_the_256_crop_at_half_size_is_the_128_crop():
    points = face(angle=0.2)
    by_256 = (transform_points(similarity(points, crop_of(256)), points) + 0.5) / 2 - 0.5
    np.testing.assert_allclose(by_256, transform_points(similarity(points, crop_of(128)), points))


def test_the_crop_does_not_depend_on_how_the_face_lay_in_the_image():
    a, b = face(), face(scale=2.3, angle=0.9, at=(300.0, 10.0))
    np.testing.assert_allclose(
        transform_points(similarity(a, crop_of(128)), a), transform_points(similarity(b, crop_of(128)), b)
    )


def test_the_identity_gives_the_image_back():
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    np.testing.assert_array_equal(align_image(image, np.eye(3)[:2], 32), image)


def test_a_whole_shift_gives_whole_pixels_and_the_border_goes_on():
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 1), dtype=np.uint8)
    shifted = align_image(image, np.array([[1.0, 0.0, 5.0], [0.0, 1.0, 2.0]]), 32)
    np.testing.assert_array_equal(shifted[2:, 5:], image[:-2, :-5])
    np.testing.assert_array_equal(shifted[2:, :5], np.repeat(image[:-2, :1], 5, axis=1))


@pytest.mark.parametrize("scale", [0.5, 0.25, 1 / 7])
def test_a_ramp_stays_at_its_place_when_shrunk(scale):
    x = np.arange(224)
    image = np.repeat(np.broadcast_to(x, (224, 224))[..., None], 1, axis=2).astype(np.uint8)
    small = align_image(image, np.array([[scale, 0.0, 3.0], [0.0, scale, 1.0]]), 30)
    inside = np.arange(8, 28 if scale > 0.2 else 20)
    np.testing.assert_allclose(small[15, inside, 0], (inside - 3.0) / scale, atol=1.1)


def test_shrinking_averages_instead_of_picking():
    image = np.zeros((200, 200, 1), dtype=np.uint8)
    image[::2] = 200
    small = align_image(image, np.array([[0.2, 0.0, 0.0], [0.0, 0.2, 0.0]]), 30)
    assert np.abs(small[5:25, 5:25].astype(int) - 100).max() < 25


def test_eyes_that_coincide_are_refused():
    with pytest.raises(UserError, match="eye centres are"):
        similarity(np.zeros((68, 2)), crop_of(128))


def test_a_face_upside_down_is_refused():
    points = face()
    points[48:55, 1] = 20.0
    with pytest.raises(UserError, match="upside down"):
        similarity(points, crop_of(128))


def test_landmarks_that_are_not_numbers_are_refused():
    with pytest.raises(UserError, match="not a face"):
        similarity(np.full((68, 2), np.nan), crop_of(128))


def test_an_unknown_size_lists_the_known_ones():
    with pytest.raises(UserError, match="64, 128, 144, 256"):
        crop_of(112)


def test_a_crop_that_reaches_far_beyond_the_picture_is_cut_in_bands_of_the_same_bits(monkeypatch):
    image = np.random.default_rng(0).integers(0, 256, (300, 200, 3), dtype=np.uint8)
    matrix = np.array([[0.1, 0.02, 5.0], [-0.02, 0.1, 9.0]])
    whole = align_image(image, matrix, 64)
    monkeypatch.setattr(align, "_AT_ONCE", 5000)
    assert np.array_equal(align_image(image, matrix, 64), whole)


@pytest.mark.parametrize("shape", [(64, 6000), (6000, 64)])
def test_landmarks_along_a_narrow_picture_are_refused(shape):
    points = face()
    points = (points - points.min(0)) / np.ptp(points, axis=0).max() * (np.array(shape[::-1]) - 1)
    with pytest.raises(UserError, match=r"not a face's|do not lie inside|seen from above"):
        align_face(np.zeros((*shape, 3), np.uint8), points, 128)


def test_labels_lie_where_their_picture_lies():
    rows, columns = np.mgrid[:160, :200]
    labels = ((rows // 20 + columns // 20) % 3).astype(np.uint8)
    matrix = similarity(face(scale=0.9, angle=0.3), crop_of(128))
    picture = align_image(100 * labels[..., None], matrix, 128)[..., 0].astype(int)
    cut = align_labels(labels, matrix, 128)
    flat = np.abs(picture - 100 * cut.astype(int)) <= 2  # away from edges both say the same
    assert flat.mean() > 0.75
    assert (np.abs(picture - 100 * cut.astype(int)) < 100).mean() > 0.99  # and at edges within a pixel


def test_labels_are_never_mixed():
    labels = np.random.default_rng(0).choice(np.array([0, 200], np.uint8), (160, 200))
    assert set(np.unique(align_labels(labels, similarity(face(), crop_of(64)), 64))) == {0, 200}


def test_labels_turned_by_nothing_are_cut_out():
    labels = np.arange(60 * 70, dtype=np.int64).astype(np.uint8).reshape(60, 70)
    matrix = np.array([[1.0, 0.0, -3.0], [0.0, 1.0, -5.0]])
    assert np.array_equal(align_labels(labels, matrix, 32), labels[5:37, 3:35])


def test_labels_go_on_beyond_the_border():
    labels = np.arange(4, dtype=np.uint8).reshape(2, 2)
    cut = align_labels(labels, np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]]), 4)
    assert cut.tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]]
