"""What brings the pictures of a camera into the range that a generator knows."""

import numpy as np
import pytest
import torch
from sample_faces import four_faces, grainy

from pcfh.methods.familiar import BLURS, GAMMAS
from pcfh.methods.familiar_input import (
    LEAST,
    Correction,
    corrected,
    distances,
    familiarity,
    find_correction,
    mildest,
)


@pytest.fixture(scope="module")
def faces():
    """Four near-infrared faces of the sample at 128 pixels, and their landmarks in the photographs."""
    found = four_faces()
    return found.nir, [tuple(map(tuple, points)) for points in found.in_photograph.tolist()]


def test_no_blur_and_a_gamma_of_1_change_nothing():
    nir = (2 * torch.rand(2, 1, 64, 64) - 1).expand(-1, 3, -1, -1)
    torch.testing.assert_close(corrected(nir, Correction()), nir)


def test_a_gamma_of_2_squares_the_grey_and_black_and_white_stay():
    nir = torch.tensor([-1.0, 0.0, 1.0]).view(1, 1, 1, 3).expand(1, 3, 3, 3)
    found = corrected(nir, Correction(gamma=2.0))
    torch.testing.assert_close(found[0, 0, 0], torch.tensor([-1.0, -0.5, 1.0]))


def test_a_blur_keeps_flat_grey_and_takes_most_of_the_grain_away():
    flat = torch.full((1, 3, 64, 64), 0.2)
    torch.testing.assert_close(corrected(flat, Correction(blur=1.5)), flat)
    assert corrected(grainy(flat, 0.25), Correction(blur=1.5)).std() < 0.5 * grainy(flat, 0.25).std()


def test_faces_of_the_training_range_are_left_as_they_are(faces):
    assert find_correction(*faces) == Correction()


def test_grain_is_blurred_until_the_faces_are_familiar(faces):
    nir, landmarks = faces
    found = find_correction(grainy(nir, 0.25), landmarks)
    assert found.blur > 0
    before, after = (
        np.mean(distances(images, landmarks))
        for images in (grainy(nir, 0.25), corrected(grainy(nir, 0.25), found))
    )
    assert after < 0.5 * before


def test_of_corrections_that_do_alike_the_mildest_is_taken():
    means = {Correction(blur=0.0): 0.5, Correction(blur=0.5): 0.11, Correction(blur=1.0): 0.10}
    assert mildest(means) == Correction(blur=0.5)


def test_the_mildest_candidates_come_first():
    assert (BLURS[0], GAMMAS[0]) == (Correction().blur, Correction().gamma)
    assert list(BLURS) == sorted(BLURS)


@pytest.mark.parametrize(("distance", "expected"), [(0.0, 1.0), (0.25, 0.75), (1.0, LEAST), (7.0, LEAST)])
def test_what_lies_in_the_range_counts_in_full_and_what_is_far_a_little(distance, expected):
    assert familiarity(distance) == expected
