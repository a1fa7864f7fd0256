import numpy as np
import pytest
from jaxtyping import TypeCheckError
from scipy.spatial import Delaunay

from pcfh.errors import UserError
from pcfh.evaluation.image_metrics import (
    colour_difference,
    face_mask,
    landmark_distance,
    mean_absolute_error,
    psnr,
    ssim,
    yaw,
    yaw_error,
)


def repeated(points):
    """68 points with the given ones for corners."""
    return np.resize(np.array(points, dtype=float), (68, 2))


def face(seed=0, centre=32.0):
    return np.random.default_rng(seed).normal(centre, 9.0, (68, 2))


def picture(seed=0, shape=(40, 50, 3)):
    return np.random.default_rng(seed).random(shape)


def smooth(seed=0):
    rows, columns = np.mgrid[:40, :50] / 10
    phase = np.random.default_rng(seed).random(3) * 6
    return 0.5 + 0.4 * np.sin(rows[..., None] + phase) * np.cos(columns[..., None] - phase)


def everywhere(image):
    return np.ones(image.shape[:2], dtype=bool)


def half(image):
    mask = everywhere(image)
    mask[:, image.shape[1] // 2 :] = False
    return mask


class TestFaceMask:
    def test_of_a_square_on_pixel_centres_holds_its_border(self):
        expected = np.zeros((9, 9), dtype=bool)
        expected[3:7, 2:6] = True
        assert np.array_equal(face_mask(repeated([(2, 3), (5, 3), (5, 6), (2, 6)]), 9), expected)

    def test_of_a_square_between_pixel_centres_holds_the_centres_inside(self):
        expected = np.zeros((9, 9), dtype=bool)
        expected[3:6, 3:6] = True
        assert np.array_equal(
            face_mask(repeated([(2.1, 2.1), (5.9, 2.1), (5.9, 5.9), (2.1, 5.9)]), 9), expected
        )

    def test_of_a_triangle_by_hand(self):
        rows, columns = np.mgrid[:9, :9]
        assert np.array_equal(face_mask(repeated([(0, 0), (8, 0), (0, 8)]), 9), rows + columns <= 8)

    def test_counts_x_along_columns(self):
        mask = face_mask(repeated([(1, 1), (7, 1), (7, 3), (1, 3)]), 9)
        assert np.array_equal(np.nonzero(mask.any(0))[0], [1, 2, 3, 4, 5, 6, 7])

    @pytest.mark.parametrize("seed", range(5))
    def test_equals_a_triangulation_of_the_points(self, seed):
        points = face(seed)
        rows, columns = np.mgrid[:64, :64]
        expected = Delaunay(points).find_simplex(np.stack([columns, rows], -1)) >= 0
        assert np.array_equal(face_mask(points, 64), expected)

    def test_does_not_depend_on_the_order_of_the_points(self):
        points = face()
        assert np.array_equal(face_mask(points[::-1], 64), face_mask(points, 64))

    def test_moves_with_the_points_by_whole_pixels(self):
        points = face()
        moved = face_mask(points + np.array([3, -2]), 64)
        assert np.array_equal(moved[:-2, 3:], face_mask(points, 64)[2:, :-3])

    def test_of_points_that_are_nearly_on_one_side_is_still_bounded_there(self):
        side = np.stack([np.linspace(10.0, 50.0, 66), np.linspace(20.0, 20.0 + 1e-12, 66)], 1)
        mask = face_mask(np.concatenate([side, [(30.0, 50.0), (31.0, 50.0)]]), 64)
        assert np.nonzero(mask.any(1))[0][0] == 20

    def test_of_a_face_partly_outside_ends_at_the_border(self):
        mask = face_mask(repeated([(-5, -5), (3, -5), (3, 3), (-5, 3)]), 9)
        assert mask.sum() == 16

    def test_of_points_on_one_line_is_empty(self):
        assert not face_mask(repeated([(1, 1), (4, 4), (7, 7)]), 9).any()

    def test_of_points_in_space_is_refused(self):
        with pytest.raises(TypeCheckError, match="parameter 'landmarks'"):
            face_mask(np.zeros((68, 3)), 9)


MEASURES = (mean_absolute_error, psnr, ssim, colour_difference)


class TestAllMeasures:
    @pytest.mark.parametrize("measure", MEASURES)
    def test_do_not_see_what_is_far_outside_the_mask(self, measure):
        a, b = picture(0), picture(1)
        changed = b.copy()
        changed[:, 30:] = 0  # five columns beyond the half; the window of SSIM reaches that far
        assert measure(a, changed, half(a)) == pytest.approx(measure(a, b, half(a)), abs=1e-12)

    @pytest.mark.parametrize("measure", MEASURES)
    def test_are_symmetric(self, measure):
        a, b = smooth(0), smooth(1)
        assert measure(a, b, half(a)) == pytest.approx(measure(b, a, half(a)), abs=1e-9)

    @pytest.mark.parametrize(
        ("measure", "best"), [*zip(MEASURES, (0, float("inf"), pytest.approx(1), 0), strict=True)]
    )
    def test_of_equal_images_are_the_best_there_is(self, measure, best):
        assert measure(picture(), picture(), half(picture())) == best

    @pytest.mark.parametrize("measure", MEASURES)
    def test_over_an_empty_mask_are_refused(self, measure):
        with pytest.raises(UserError, match="at least one pixel"):
            measure(picture(), picture(), ~everywhere(picture()))


class TestWhatIsNoPairOfImages:
    @pytest.mark.parametrize("measure", [psnr, ssim])
    @pytest.mark.parametrize(
        ("a", "b", "said"),
        [
            (np.zeros((40, 50, 3), np.uint8), picture(), "got uint8; divide by 255"),
            (picture()[..., 0], picture()[..., 0], "repeat the channel of a grey one"),
            (picture(), picture(shape=(40, 49, 3)), "of one size"),
            (picture(), 255 * picture(), r"expected values in \[0, 1\]"),
            (picture() * np.nan, picture(), r"expected values in \[0, 1\]"),
        ],
    )
    def test_is_refused_with_what_to_do(self, measure, a, b, said):
        with pytest.raises(UserError, match=said):
            measure(a, b, np.ones((40, 50), dtype=bool))

    @pytest.mark.parametrize("mask", [np.ones((50, 40), dtype=bool), np.ones((40, 50))])
    def test_a_mask_of_another_size_or_kind_is_refused(self, mask):
        with pytest.raises(UserError, match="a mask of booleans of one size"):
            psnr(picture(), picture(1), mask)

    def test_ssim_of_images_smaller_than_its_window_is_refused(self):
        small = picture(shape=(10, 50, 3))
        with pytest.raises(UserError, match="got 10 x 50"):
            ssim(small, small, everywhere(small))


class TestMeanAbsoluteError:
    def test_of_a_constant_difference_is_that_difference(self):
        image = picture() * 0.5
        assert mean_absolute_error(image, image + 0.25, everywhere(image)) == pytest.approx(0.25)

    def test_counts_a_difference_in_one_channel_for_a_third(self):
        a = picture() * 0.5
        assert mean_absolute_error(a, a + np.array([0, 0.3, 0]), everywhere(a)) == pytest.approx(0.1)


class TestPsnr:
    def test_of_a_constant_difference_of_a_tenth_is_20_db(self):
        image = picture() * 0.5
        assert psnr(image, image + 0.1, everywhere(image)) == pytest.approx(20)


class TestSsim:
    def test_of_two_constant_images_is_the_luminance_term(self):
        a, b = np.full((20, 20, 3), 0.2), np.full((20, 20, 3), 0.6)
        expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
        assert ssim(a, b, everywhere(a)) == pytest.approx(expected)

    def test_of_an_inverted_checkerboard_is_the_structure_term_of_opposite_pixels(self):
        board = np.indices((30, 30)).sum(0)[..., None] % 2 * np.ones(3)
        centre = np.zeros((30, 30), dtype=bool)
        centre[10:20, 10:20] = True
        expected = (-2 * 0.25 + 9e-4) / (2 * 0.25 + 9e-4)  # 0.25 is the variance of both
        assert ssim(board, 1 - board, centre) == pytest.approx(expected, abs=1e-6)

    def test_sees_what_is_five_pixels_outside_the_mask(self):
        a, b = picture(0), picture(1)
        changed = b.copy()
        changed[:, 29:] = 0
        assert abs(ssim(a, changed, half(a)) - ssim(a, b, half(a))) > 1e-6

    def test_of_single_precision_images_equals_that_of_their_values_in_double(self):
        a, b = smooth(0).astype(np.float32), smooth(1).astype(np.float32)
        assert ssim(a, b, half(a)) == ssim(a.astype(np.float64), b.astype(np.float64), half(a))


class TestColourDifference:
    def test_of_greys_near_the_middle_is_nearly_the_difference_in_lightness(self):
        grey = np.full((4, 4, 3), 0.466)  # L* = 50
        found = colour_difference(grey, grey + 0.01, everywhere(grey))
        assert found == pytest.approx(1.0, abs=0.05)


class TestLandmarkDistance:
    def test_of_equal_points_is_zero(self):
        assert landmark_distance(face(), face()) == 0

    def test_of_a_shift_is_its_length_over_the_eye_distance(self):
        points = face()
        points[36], points[45] = (10, 20), (40, 60)
        assert landmark_distance(points, points + np.array([6, 8])) == pytest.approx(10 / 50)

    def test_of_one_moved_point_is_a_sixty_eighth_of_its_way(self):
        points = face()
        points[36], points[45] = (10, 20), (50, 20)
        moved = points.copy()
        moved[8] += (0, 6.8)
        assert landmark_distance(points, moved) == pytest.approx(0.1 / 40)

    def test_of_a_part_is_that_of_its_points_alone(self):
        points = face()
        points[36], points[45] = (10, 20), (50, 20)
        moved = points.copy()
        moved[[8, 40]] += (0, 6)
        assert landmark_distance(points, moved, slice(36, 48)) == pytest.approx(6 / 12 / 40)

    def test_does_not_change_when_both_are_turned_scaled_and_moved(self):
        a, b = face(0), face(1)
        turn = 3 * np.array([[np.cos(0.4), np.sin(0.4)], [-np.sin(0.4), np.cos(0.4)]])
        assert landmark_distance(a @ turn + 7, b @ turn + 7) == pytest.approx(landmark_distance(a, b))

    def test_is_measured_by_the_first_face(self):
        a, b = face(0), face(1)
        eyes_a, eyes_b = (np.linalg.norm(points[36] - points[45]) for points in (a, b))
        assert landmark_distance(a, b) * eyes_a == pytest.approx(landmark_distance(b, a) * eyes_b)

    def test_of_another_number_of_points_is_refused(self):
        with pytest.raises(TypeCheckError, match="parameter 'b'"):
            landmark_distance(face(), face()[:67])


def turned(degrees, pitch=0.0, roll=0.0, nose=1.0):
    """A face in space, (x right, y down, z towards the camera) in cm, seen from afar.

    The eyes are 6.5 cm apart, the mouth's corners 7 cm below them and 1 cm nearer; the tip of the nose is in
    the middle between in height. Turned by yaw first, then by pitch, then in the image.
    """
    points = np.zeros((68, 3))
    points[36:42], points[42:48] = (-3.25, -3.5, -0.5), (3.25, -3.5, -0.5)
    points[48], points[54] = (-2.5, 3.5, 0.5), (2.5, 3.5, 0.5)
    points[30] = (0, 0, nose * 6.5 / 1.94)
    a, b, c = np.radians([degrees, pitch, roll])
    about_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
    in_image = np.array([[np.cos(c), -np.sin(c)], [np.sin(c), np.cos(c)]])
    return (points @ about_y.T @ about_x.T)[:, :2] @ in_image.T * 20 + 64


class TestYaw:
    @pytest.mark.parametrize("degrees", [-60, -30, -5, 0, 10, 45, 80])
    def test_of_projected_points_is_their_turn(self, degrees):
        assert yaw(turned(degrees)) == pytest.approx(degrees, abs=1e-9)

    @pytest.mark.parametrize("roll", [-40, 25, 180])
    def test_does_not_change_with_roll(self, roll):
        assert yaw(turned(30, roll=roll)) == pytest.approx(30, abs=1e-9)

    @pytest.mark.parametrize("pitch", [-15, 15])
    def test_changes_little_with_pitch(self, pitch):
        assert yaw(turned(30, pitch=pitch)) == pytest.approx(30, abs=4)

    def test_of_a_nose_ten_percent_longer_has_a_tangent_ten_percent_larger(self):
        ratio = np.tan(np.radians(yaw(turned(30, nose=1.1)))) / np.tan(np.radians(30))
        assert ratio == pytest.approx(1.1)

    def test_changes_sign_when_the_image_is_mirrored(self):
        points = turned(25)
        mirrored = points * (-1, 1)
        mirrored[[48, 54]] = mirrored[[54, 48]]
        mirrored[36:42], mirrored[42:48] = mirrored[42:48].copy(), mirrored[36:42].copy()
        assert yaw(mirrored) == pytest.approx(-25)

    def test_error_is_the_difference_of_both_turns(self):
        assert yaw_error(turned(-10), turned(20)) == pytest.approx(30)

    def test_error_is_symmetric(self):
        assert yaw_error(face(0), face(1)) == yaw_error(face(1), face(0))
