"""What brings the pictures of a camera into the range that a generator knows."""

import numpy as np
import pytest
import torch

from pcfh.databases.rendered import SAMPLE
from pcfh.images import read_image
from pcfh.landmarks.given import read_landmarks
from pcfh.methods.familiar_input import (
    BLURS,
    GAMMAS,
    LEAST,
    Correction,
    corrected,
    distances,
    familiarity,
    find_correction,
    mildest,
)
from pcfh.preparation.face_reader import crop_of_photograph
from pcfh.ranges import from_bytes


@pytest.fixture(scope="module")
def faces():
    """Four near-infrared faces of the sample at 128 pixels, and their landmarks in the photographs."""
    points = read_landmarks(SAMPLE / "landmarks68.csv")
    names = [
        f"{path.relative_to(SAMPLE).with_suffix('')}" for path in sorted(SAMPLE.glob("s1/NIR/*/001.jpg"))
    ]
    crops = [
        crop_of_photograph(read_image(SAMPLE / f"{name}.jpg"), points[name.lower()], 128, nir=True)[0]
        for name in names[:4]
    ]
    landmarks = [tuple(map(tuple, points[name.lower()].tolist())) for name in names[:4]]
    return from_bytes(torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)), landmarks


def grainy(nir, strength=0.25):
    torch.manual_seed(0)
    return (nir + strength * torch.randn_like(nir[:, :1])).clamp(-1, 1)


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
    assert corrected(grainy(flat), Correction(blur=1.5)).std() < 0.5 * grainy(flat).std()


def test_faces_of_the_training_range_are_left_as_they_are(faces):
    assert find_correction(*faces) == Correction()


def test_grain_is_blurred_until_the_faces_are_familiar(faces):
    nir, landmarks = faces
    found = find_correction(grainy(nir), landmarks)
    assert found.blur > 0
    before, after = (
        np.mean(distances(images, landmarks)) for images in (grainy(nir), corrected(grainy(nir), found))
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
