import torch

from pcfh.methods.pcfh.shake import blurred, shaken, shifted


def faces(batch=2, side=16):
    return torch.rand(batch, 1, side, side, generator=torch.Generator().manual_seed(0))


def test_no_shift_and_no_blur_leave_faces_as_they_are():
    torch.testing.assert_close(shifted(faces(), 0, 0), faces(), rtol=0, atol=0)
    torch.testing.assert_close(blurred(faces(), 0.0), faces())


def test_a_shift_goes_to_the_right_and_down_and_repeats_the_border():
    moved = shifted(faces(), 2, 1)
    torch.testing.assert_close(moved[..., 1:, 2:], faces()[..., :-1, :-2], rtol=0, atol=0)
    torch.testing.assert_close(moved[..., 5, 0], faces()[..., 4, 0], rtol=0, atol=0)


def test_a_blurred_point_is_the_gaussian():
    point = torch.zeros(1, 1, 17, 17)
    point[..., 8, 8] = 1
    x = torch.arange(-4.0, 5.0)
    gauss = torch.exp(-(x**2) / 2 / 1.2**2)
    gauss /= gauss.sum()
    torch.testing.assert_close(blurred(point, 1.2)[0, 0, 4:13, 4:13], gauss[:, None] * gauss)


def test_an_even_face_stays_even():
    torch.testing.assert_close(shaken(torch.full((3, 1, 16, 16), 0.3)), torch.full((3, 1, 16, 16), 0.3))


def test_a_seed_gives_the_same_change_again():
    torch.manual_seed(5)
    first = shaken(faces())
    torch.manual_seed(5)
    torch.testing.assert_close(shaken(faces()), first, rtol=0, atol=0)
    assert not torch.equal(shaken(faces()), first)


def test_stripes_of_two_pixels_vanish_under_the_strongest_blur():
    stripes = torch.ones(1, 1, 16, 16)
    stripes[..., ::2] = 0
    assert blurred(stripes, 1.5)[..., 4:-4].std() < 0.01 * stripes.std()
