"""What generated faces keep: closed forms on pictures made by hand."""

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, lab2rgb

from pcfh.evaluation.region_metrics import (
    away_from_borders,
    frame_kept,
    painted_skin,
    skin_coloured,
    unequal_eyes,
)

SIZE = 64
SKIN, DARK_SKIN, BLUE = (65, 16, 20), (25, 14, 18), (60, 0, -40)  # CIELAB


def plain(colour):
    return np.full((SIZE, SIZE, 3), lab2rgb(np.array(colour, float)[None, None])[0, 0])


def box(top, bottom, left, right):
    mask = np.zeros((SIZE, SIZE), bool)
    mask[top:bottom, left:right] = True
    return mask


def painted(image, mask, colour):
    return np.where(mask[..., None], plain(colour), image)


FACE, AROUND = box(16, 64, 16, 48), box(0, 12, 0, 64)
FRAME = box(30, 33, 16, 48)


class TestUnequalEyes:
    left, right = box(20, 26, 20, 26), box(20, 26, 40, 46)

    def test_are_as_far_apart_as_their_colours(self):
        image = painted(painted(plain(SKIN), self.left, BLUE), self.right, DARK_SKIN)
        expected = deltaE_ciede2000(np.array(BLUE, float), np.array(DARK_SKIN, float))
        assert unequal_eyes(image, self.left, self.right) == pytest.approx(expected, abs=1e-3)

    def test_of_one_colour_are_equal_whatever_else_the_image_shows(self):
        image = painted(np.random.default_rng(0).random((SIZE, SIZE, 3)), self.left | self.right, BLUE)
        assert unequal_eyes(image, self.left, self.right) == 0

    def test_a_glint_in_one_of_them_is_no_matter(self):
        image = painted(painted(plain(SKIN), self.left | self.right, BLUE), box(20, 23, 20, 25), (100, 0, 0))
        assert unequal_eyes(image, self.left, self.right) == 0


class TestFrameKept:
    truth = painted(plain(SKIN), FRAME, (20, 0, 0))

    def test_a_copy_of_the_truth_has_all_of_it(self):
        assert frame_kept(self.truth, self.truth, FRAME) == 1

    def test_an_erased_frame_is_gone(self):
        assert frame_kept(plain(SKIN), self.truth, FRAME) == pytest.approx(0, abs=1e-9)

    def test_it_is_gone_on_a_face_of_another_tone_too(self):
        assert frame_kept(plain(DARK_SKIN), self.truth, FRAME) == pytest.approx(0, abs=1e-9)

    def test_half_of_the_contrast_is_four_fifths(self):
        half = painted(plain(SKIN), FRAME, np.mean([SKIN, (20, 0, 0)], axis=0))
        assert frame_kept(half, self.truth, FRAME) == pytest.approx(0.8, abs=1e-3)

    def test_half_of_the_frame_is_two_thirds(self):
        broken = painted(plain(SKIN), FRAME & box(0, 64, 0, 32), (20, 0, 0))
        assert frame_kept(broken, self.truth, FRAME) == pytest.approx(2 / 3, abs=1e-3)

    def test_bright_in_the_place_of_dark_is_less_than_nothing(self):
        away = painted(plain((50, 0, 0)), FRAME, (80, 0, 0))
        dark = painted(plain((50, 0, 0)), FRAME, (20, 0, 0))
        assert frame_kept(away, dark, FRAME) == pytest.approx(-1, abs=1e-3)

    def test_a_frame_that_nobody_sees_in_the_truth_is_kept_by_showing_none(self):
        assert frame_kept(np.zeros((SIZE, SIZE, 3)), np.zeros((SIZE, SIZE, 3)), FRAME) == 1


class TestSkinColoured:
    def test_skin_is_and_blue_and_every_grey_are_not(self):
        image = painted(plain(BLUE), FACE, SKIN)
        for column, grey in enumerate(range(0, 101, 10)):
            image = painted(image, box(0, 2, 4 * column, 4 * column + 4), (grey, 0, 0))
        assert np.array_equal(skin_coloured(image, FACE), FACE)

    def test_its_shade_is_whatever_its_lightness(self):
        image = painted(painted(plain(BLUE), FACE, SKIN), AROUND, (40, 16, 20))
        assert np.array_equal(skin_coloured(image, FACE), FACE | AROUND)

    def test_the_bound_is_half_of_the_way_to_grey(self):
        image = painted(plain(BLUE), FACE, SKIN)
        image = painted(image, box(0, 2, 0, 64), (65, 16 * 0.52, 20 * 0.52))
        image = painted(image, box(2, 4, 0, 64), (65, 16 * 0.48, 20 * 0.48))
        found = skin_coloured(image, FACE)
        assert (found[:2].all(), found[2:4].any()) == (True, False)

    def test_nothing_is_where_the_face_has_no_colour(self):
        grey = np.repeat(np.random.default_rng(0).random((SIZE, SIZE, 1)), 3, axis=2)
        assert skin_coloured(np.zeros_like(grey), FACE).sum() == 0


class TestPaintedSkin:
    truth = painted(plain((50, 0, 0)), FACE, SKIN)

    def test_a_copy_of_the_truth_paints_nothing(self):
        assert painted_skin(self.truth, self.truth, FACE, AROUND) == 0

    def test_the_share_is_that_of_the_surroundings_alone(self):
        made = painted(self.truth, box(0, 3, 0, 64), SKIN)
        assert painted_skin(made, self.truth, FACE, AROUND) == 3 / 12
        assert painted_skin(painted(self.truth, box(12, 16, 0, 64), SKIN), self.truth, FACE, AROUND) == 0

    def test_what_has_the_colour_in_truth_is_not_painted(self):
        wooden = painted(self.truth, box(0, 3, 0, 64), SKIN)
        assert painted_skin(wooden, wooden, FACE, AROUND) == 0

    def test_another_tone_of_the_whole_face_is_no_matter_but_its_surroundings_are(self):
        made = painted(plain((50, 0, 0)), FACE | box(0, 6, 0, 64), DARK_SKIN)
        assert painted_skin(made, self.truth, FACE, AROUND) == 6 / 12


def test_borders_are_left_out_but_not_those_of_the_image():
    expected = box(0, 31, 0, 64)
    assert np.array_equal(away_from_borders(box(0, 32, 0, 64)), expected)
