"""The discriminator that both baselines have."""

import torch
from torch import nn

from pcfh.methods.patchgan import PatchGAN, initialise


def test_its_layers_are_the_published_ones():
    convs = [layer for layer in PatchGAN() if isinstance(layer, nn.Conv2d)]
    assert [conv.out_channels for conv in convs] == [64, 128, 256, 512, 1]
    assert [conv.stride[0] for conv in convs] == [2, 2, 2, 1, 1]
    assert {conv.kernel_size for conv in convs} == {(4, 4)}


def test_a_score_sees_a_patch_of_70_by_70_pixels():
    """Without the normalisation, which looks at the whole image."""
    layers = [layer for layer in PatchGAN(width=2) if not isinstance(layer, nn.InstanceNorm2d)]
    image = torch.rand(1, 3, 128, 128, requires_grad=True)
    nn.Sequential(*layers)(image)[0, 0, 7, 7].backward()
    seen = image.grad.abs().sum((0, 1)).nonzero()
    assert (seen.max(0).values - seen.min(0).values + 1).tolist() == [70, 70]


def test_an_image_of_256_pixels_has_30_by_30_scores():
    assert PatchGAN(channels=6, width=2)(torch.rand(2, 6, 256, 256)).shape == (2, 1, 30, 30)


def test_weights_begin_small_and_biases_at_zero():
    torch.manual_seed(0)
    layer = nn.Conv2d(64, 64, 4)
    initialise(layer)
    assert abs(layer.weight.std().item() - 0.02) < 0.0005
    assert not layer.bias.any()
