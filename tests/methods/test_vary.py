import torch

from pcfh.methods.vary import varied


def faces(batch=64, side=16):
    grey = torch.rand(batch, 1, side, side, generator=torch.Generator().manual_seed(0)) * 1.6 - 0.8
    return grey.expand(-1, 3, -1, -1)


def test_channels_stay_equal_and_values_in_range():
    torch.manual_seed(0)
    changed = varied(faces())
    assert changed.shape == faces().shape
    assert torch.equal(changed[:, 0], changed[:, 1]) and torch.equal(changed[:, 0], changed[:, 2])
    assert changed.min() >= -1 and changed.max() <= 1


def test_each_image_has_an_exposure_of_its_own_and_the_mean_stays():
    torch.manual_seed(0)
    even = torch.zeros(256, 3, 16, 16)
    levels = varied(even).mean((1, 2, 3))
    assert 0.05 < levels.std() < 0.2
    assert abs(levels.mean()) < 0.03
    # Grey 0.5 under gamma exp(+-0.2) and gain exp(+-0.15).
    least, most = (2 * 0.5 ** torch.tensor(s).exp() * torch.tensor(-0.75 * s).exp() - 1 for s in (0.2, -0.2))
    assert least - 0.02 < levels.min() and levels.max() < most + 0.02


def test_the_noise_is_new_at_each_pixel_and_at_most_four_percent():
    torch.manual_seed(0)
    spread = varied(torch.zeros(256, 3, 32, 32))[:, 0].flatten(1).std(1) / 2
    assert spread.min() < 0.002 and 0.036 < spread.max() < 0.044


def test_a_seed_gives_the_same_change_again():
    torch.manual_seed(5)
    first = varied(faces())
    torch.manual_seed(5)
    assert torch.equal(varied(faces()), first)
    assert not torch.equal(varied(faces()), first)
