"""What is ours in the step: two terms against NumPy, and the changes of what F sees."""

import numpy as np
import pytest
import torch

from pcfh.methods.pcfh.ours import augment_faces, blurred, near_eyes, people_loss, shifted, truth_loss

RNG = np.random.default_rng(0)


def t(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array)


def test_the_term_against_all_people_is_the_cross_entropy_of_their_cosines():
    f, people, person = RNG.normal(size=(4, 8)), RNG.normal(size=(3, 8)), np.array([2, 0, 0, 1])
    unit_f, unit_p = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (f, people))
    shares = np.exp(30 * unit_f @ unit_p.T)
    shares /= shares.sum(1, keepdims=True)
    expected = -np.log(shares[range(4), person]).mean()
    assert people_loss(t(f), t(people), t(person)).item() == pytest.approx(expected)
    assert people_loss(5 * t(f), 0.1 * t(people), t(person)).item() == pytest.approx(expected)


def test_the_margin_of_that_term_is_taken_off_the_own_cosine():
    f, people, person = RNG.normal(size=(4, 8)), RNG.normal(size=(3, 8)), np.array([2, 0, 0, 1])
    unit_f, unit_p = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (f, people))
    cosines = unit_f @ unit_p.T
    cosines[range(4), person] -= 0.2
    shares = np.exp(30 * cosines)
    expected = -np.log(shares[range(4), person] / shares.sum(1)).mean()
    assert people_loss(t(f), t(people), t(person), 0.2).item() == pytest.approx(expected)


def test_the_distance_to_the_truth_is_a_weighted_mean():
    A, B = RNG.uniform(-1, 1, (2, 3, 3, 6, 5))
    w = RNG.uniform(0, 3, (3, 1, 6, 5))
    assert truth_loss(t(A), t(B), t(w)).item() == pytest.approx((w * np.abs(A - B)).mean())


def test_the_weight_at_the_eyes_is_a_gaussian_as_wide_as_a_third_of_each_eye():
    points = np.full((2, 68, 2), -1000.0)
    hexagon = np.array([[-1, 0], [-0.5, -0.4], [0.5, -0.4], [1, 0], [0.5, 0.4], [-0.5, 0.4]])
    middles, halves = RNG.uniform(10, 50, (2, 2, 2)), RNG.uniform(3, 6, (2, 2))
    for eye, part in enumerate((slice(36, 42), slice(42, 48))):
        points[:, part] = middles[:, eye, None] + halves[:, eye, None, None] * hexagon
    rows, columns = np.mgrid[:64, :64]
    expected = np.zeros((2, 64, 64))
    for face, eye in np.ndindex(2, 2):
        x, y = middles[face, eye]
        sigma = 2 * halves[face, eye] / 3
        bump = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
        expected[face] = np.maximum(expected[face], bump)
    assert near_eyes(t(points), 64)[:, 0].numpy() == pytest.approx(expected, abs=1e-5)


def test_an_eye_whose_corners_meet_has_a_finite_weight():
    weight = near_eyes(torch.full((1, 68, 2), 5.0), 16)
    assert weight.isfinite().all() and weight[0, 0, 5, 5] == 1


def faces(batch=2, side=16):
    return torch.rand(batch, 1, side, side, generator=torch.Generator().manual_seed(0))


def test_no_shift_and_no_blur_leave_faces_as_they_are():
    torch.testing.assert_close(shifted(faces(), torch.tensor([0, 0])), faces(), rtol=0, atol=0)
    torch.testing.assert_close(blurred(faces(), torch.tensor(0.0)), faces())


def test_a_shift_goes_to_the_right_and_down_and_repeats_the_border():
    moved = shifted(faces(), torch.tensor([2, 1]))
    torch.testing.assert_close(moved[..., 1:, 2:], faces()[..., :-1, :-2], rtol=0, atol=0)
    torch.testing.assert_close(moved[..., 5, 0], faces()[..., 4, 0], rtol=0, atol=0)


def test_a_blurred_point_is_the_gaussian():
    point = torch.zeros(1, 1, 17, 17)
    point[..., 8, 8] = 1
    x = torch.arange(-4.0, 5.0)
    gauss = torch.exp(-(x**2) / 2 / 1.2**2)
    gauss /= gauss.sum()
    torch.testing.assert_close(blurred(point, torch.tensor(1.2))[0, 0, 4:13, 4:13], gauss[:, None] * gauss)


def test_an_even_face_stays_even():
    torch.testing.assert_close(
        augment_faces(torch.full((3, 1, 16, 16), 0.3)), torch.full((3, 1, 16, 16), 0.3)
    )


def test_a_seed_gives_the_same_change_again():
    torch.manual_seed(5)
    first = augment_faces(faces())
    torch.manual_seed(5)
    torch.testing.assert_close(augment_faces(faces()), first, rtol=0, atol=0)
    assert not torch.equal(augment_faces(faces()), first)


def test_stripes_of_two_pixels_vanish_under_the_strongest_blur():
    stripes = torch.ones(1, 1, 16, 16)
    stripes[..., ::2] = 0
    assert blurred(stripes, torch.tensor(1.5))[..., 4:-4].std() < 0.01 * stripes.std()
