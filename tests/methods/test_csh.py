"""After CSH, first stage: channels, patches, blending."""

import numpy as np
import torch
from runs import CPU
from smooth import batch

from pcfh.methods.csh.csh_trainer import (
    PATCH,
    CSHTrainer,
    YCbCrGenerator,
    alike,
    blended,
    patches_at,
    places_in_faces,
    to_rgb,
    to_ycbcr,
)
from pcfh.methods.find import overridden, preset


def weights(network):
    return sum(p.numel() for name, p in network.named_parameters() if p.numel() > 1 or "bias" in name)


def test_the_networks_have_the_planned_number_of_weights():
    generator = YCbCrGenerator(size=128)
    assert [weights(one) for one in (generator.luma, generator.blue, generator.red)] == [
        78_529,
        28_865,
        28_865,
    ]


def test_colours_come_back_and_grey_has_none():
    images = torch.rand(2, 3, 8, 8) * 2 - 1
    assert torch.allclose(to_rgb(*to_ycbcr(images)), images, atol=1e-6)
    assert to_ycbcr(images[:, :1].expand(-1, 3, -1, -1))[1].abs().max() < 1e-6
    assert torch.allclose(to_ycbcr(torch.tensor([1.0, -1, -1]).view(1, 3, 1, 1))[1][0, 1], torch.ones(1, 1))


def test_blending_leaves_the_luma_at_alpha_0_and_the_nir_image_where_they_agree():
    y, nir = torch.rand(1, 1, 16, 16), torch.rand(1, 1, 16, 16)
    assert torch.equal(blended(y, nir, 0.0, 1.0), y)
    assert torch.allclose(blended(nir, nir, 0.6, 2.0), nir)
    assert torch.allclose(blended(nir + 0.5, nir, 0.6, 1.0), nir + 0.2, atol=1e-6)  # a shift is low


def test_networks_without_weights_give_the_nir_image_in_grey():
    generator, images = YCbCrGenerator(size=64, channels=2), batch().nir
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.zero_()
        assert torch.allclose(generator(images, None), images, atol=1e-6)


def test_patches_are_cut_at_their_places_inside_the_image():
    images = torch.arange(2 * 64 * 64.0).view(2, 1, 64, 64)
    corners = places_in_faces(torch.rand(2, 68, 2) * 200 - 60, 5, 64, np.random.default_rng(0))
    assert corners.min() >= 0 and corners.max() <= 64 - PATCH
    patches = patches_at(images, corners)
    x, y = corners[1, 2].tolist()
    assert torch.equal(patches[5 + 2], images[1, :, y : y + PATCH, x : x + PATCH])


def test_equal_patches_are_alike_and_half_is_kept_whatever_they_are():
    torch.manual_seed(0)
    patches = torch.rand(6, 1, PATCH, PATCH)
    assert alike(patches, patches, 0.3).all()
    mixed = torch.cat([patches[:4], torch.rand(2, 1, PATCH, PATCH)])
    assert alike(patches, mixed, 0.3).tolist() == [True] * 4 + [False] * 2
    assert alike(patches, torch.rand(6, 1, PATCH, PATCH), 0.3).sum() >= 3


def test_all_three_networks_learn_and_a_step_draws_other_patches():
    torch.manual_seed(0)
    settings = ("training.size=64", "training.precision=fp32", "hallucination.channels=2")
    trainer = CSHTrainer(overridden(preset("csh"), settings), CPU)
    first, second = (trainer.compute_gradients(batch())["loss/luma"].item() for _ in range(2))
    assert first != second
    for network in (trainer.generator.luma, trainer.generator.blue, trainer.generator.red):
        assert all(p.grad.abs().max() > 0 for p in network.parameters() if p.ndim > 1)
