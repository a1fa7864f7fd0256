"""The person's own detail in a generated face."""

import pytest
import torch

from pcfh.methods.blur import gaussian_blur
from pcfh.methods.files import load_generator, save_generator
from pcfh.methods.pcfh.detail import SPREAD, with_own_detail
from pcfh.methods.pcfh.generator import Generator
from pcfh.ranges import luma_weights


@pytest.fixture
def images():
    draw = torch.Generator().manual_seed(0)
    painted = 0.6 * torch.rand(2, 3, 64, 64, generator=draw) - 0.3
    nir = (0.6 * torch.rand(2, 1, 64, 64, generator=draw) - 0.3).expand(-1, 3, -1, -1)
    return painted, nir


def luma(images):
    return (images * luma_weights(images).view(1, 3, 1, 1)).sum(1, keepdim=True)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_luminance_is_that_of_the_formula_and_chromaticity_the_painted_one(images, share):
    painted, nir = images
    made = with_own_detail(painted, nir, share)
    y, x, spread = luma(painted), nir[:, :1], SPREAD * 64
    coarse, coarse_x = (gaussian_blur(grey, spread, 6) for grey in (y, x))
    expected = coarse + (1 - share) * (y - coarse) + share * (x - coarse_x)
    torch.testing.assert_close(luma(made), expected)
    torch.testing.assert_close(made - luma(made), painted - y)


def test_what_is_finer_than_the_painted_pixels_is_the_inputs_alone():
    painted = torch.zeros(1, 3, 32, 32)
    stripes = torch.tensor([0.1, -0.1]).repeat(32).expand(1, 3, 64, 64)
    torch.testing.assert_close(with_own_detail(painted, stripes, 0.25), stripes.contiguous())


def test_a_blur_keeps_the_mean_and_spreads_a_dot_by_its_standard_deviation():
    dot = torch.zeros(1, 1, 65, 65)
    dot[..., 32, 32] = 1
    spread = gaussian_blur(dot, 3.0, 9)[0, 0]
    place = torch.arange(65.0) - 32
    assert float(spread.sum()) == pytest.approx(1, abs=1e-5)
    assert float((spread.sum(0) * place**2).sum()) == pytest.approx(9, rel=0.02)


def test_a_generator_of_larger_images_paints_the_smaller_ones_and_its_file_says_so(tmp_path):
    torch.manual_seed(0)
    sizes = {"width": 4, "blocks": 1, "local_blocks": 1}
    small = Generator(size=64, **sizes).eval()
    large = Generator(size=128, detail=0.5, zoom=2, **sizes).eval()
    large.load_state_dict(small.state_dict())
    nir = torch.rand(1, 1, 128, 128).expand(-1, 3, -1, -1)
    points = 20 + 80 * torch.rand(1, 68, 2)
    with torch.no_grad():
        painted = small(torch.nn.functional.avg_pool2d(nir, 2), (points + 0.5) / 2 - 0.5)
        made = large(nir, points)
        torch.testing.assert_close(made, with_own_detail(painted, nir, 0.5))
        save_generator(tmp_path / "generator.safetensors", large, {"step": 1})
        again, _ = load_generator(tmp_path / "generator.safetensors")
        assert torch.equal(again(nir, points), made)
    assert again.size == 128
    assert "detail" not in small.arguments
