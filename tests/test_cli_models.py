"""``pcfh models detail``."""

import pytest
import torch

from pcfh.cli.models_detail import models_detail
from pcfh.errors import UserError
from pcfh.methods.cyclegan.cyclegan_trainer import ResidualGenerator
from pcfh.methods.files import load_generator, save_generator
from pcfh.methods.pcfh.detail import with_own_detail
from pcfh.shipped import shipped


def test_the_shipped_generator_with_detail_paints_the_same_and_is_twice_as_large(tmp_path):
    plain, about = load_generator(shipped("generator"))
    out = tmp_path / "new" / "detail.safetensors"
    assert models_detail(out, shipped("generator"), share=0.5, zoom=2) == 0
    found, told = load_generator(out)
    assert (found.size, told) == (2 * plain.size, about)
    torch.manual_seed(0)
    nir = torch.rand(1, 1, 256, 256).expand(-1, 3, -1, -1)
    points = 60 + 140 * torch.rand(1, 68, 2)
    levelled: list[torch.Tensor] = []
    found.register_forward_pre_hook(lambda _, given: levelled.append(given[0]))
    with torch.no_grad():
        made = found(nir, points)
        small = torch.nn.functional.avg_pool2d(levelled[0], 2)
        painted = plain._painted(small, (points + 0.5) / 2 - 0.5)
    torch.testing.assert_close(made, with_own_detail(painted, levelled[0], 0.5), atol=1e-4, rtol=0)


def test_without_a_share_the_detail_is_taken_off_again(tmp_path):
    plain, _ = load_generator(shipped("generator"))
    with_it, without = tmp_path / "detail.safetensors", tmp_path / "plain.safetensors"
    models_detail(with_it, shipped("generator"))
    models_detail(without, with_it, share=0.0, zoom=1)
    found, _ = load_generator(without)
    assert found.arguments == plain.arguments
    assert all(torch.equal(a, b) for a, b in zip(found.parameters(), plain.parameters(), strict=True))


def test_what_cannot_be_is_refused(tmp_path):
    out = tmp_path / "detail.safetensors"
    with pytest.raises(UserError, match=r"expected 0\.01 to 1"):
        models_detail(out, shipped("generator"), share=0.0)
    with pytest.raises(UserError, match="no alignment for crops of 384 pixels"):
        models_detail(out, shipped("generator"), zoom=3)
    assert not out.exists()


def test_a_generator_of_another_method_is_refused(tmp_path):
    other = tmp_path / "cyclegan.safetensors"
    save_generator(other, ResidualGenerator(size=64, width=4, blocks=1), {})
    with pytest.raises(UserError, match="expected a generator of the method pcfh"):
        models_detail(tmp_path / "out.safetensors", other)
