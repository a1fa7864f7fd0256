"""Pix2Pix: its layers, its losses against NumPy, and whom each loss teaches."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from runs import CPU
from smooth import assert_close, batch, gradients
from torch import nn

from pcfh.errors import UserError
from pcfh.methods.find import overridden, preset
from pcfh.methods.pix2pix.pix2pix_trainer import Pix2PixTrainer, UNetGenerator, cross_entropy, levels_of


def method(*settings) -> Pix2PixTrainer:
    small = ("training.size=64", "training.precision=fp32", "baseline.width=4")
    torch.manual_seed(0)
    return Pix2PixTrainer(overridden(preset("pix2pix-cpu"), (*small, *settings)), CPU)


def channels(layers: nn.ModuleList) -> list[int]:
    return [layer[0].out_channels for layer in layers]


def test_the_layers_at_256_are_the_published_ones():
    with torch.device("meta"):
        network = UNetGenerator(size=256)
    assert channels(network.down) == [64, 128, 256, 512, 512, 512, 512, 512]
    assert channels(network.up) == [512, 512, 512, 512, 256, 128, 64]
    assert [layer[0].in_channels for layer in network.up] == [512, 1024, 1024, 1024, 1024, 512, 256]
    assert network.to_image[0].in_channels == 128


def test_at_128_it_has_one_layer_of_512_less():
    with torch.device("meta"):
        network = UNetGenerator(size=128)
    assert channels(network.down) == [64, 128, 256, 512, 512, 512, 512]
    assert channels(network.up) == [512, 512, 512, 256, 128, 64]


@pytest.mark.parametrize("size", [64, 128, 256])
def test_the_three_innermost_decoder_layers_have_dropout(size):
    with torch.device("meta"):
        network = UNetGenerator(size=size, width=4)
    dropouts = [[m.p for m in layer if isinstance(m, nn.Dropout)] for layer in network.up]
    assert dropouts == [[0.5]] * 3 + [[]] * (len(dropouts) - 3)


@pytest.mark.parametrize("size", [64, 128, 144, 256])
def test_an_image_becomes_an_image_of_its_size_within_the_range(size):
    image = UNetGenerator(size=size, width=2)(torch.rand(2, 3, size, size), torch.rand(2, 68, 2))
    assert image.shape == (2, 3, size, size)
    assert image.abs().max() <= 1 and image.std() > 0


@pytest.mark.parametrize(("size", "levels"), [(64, 6), (128, 7), (144, 4), (256, 8), (512, 8), (200, 3)])
def test_it_halves_while_the_side_is_even_and_eight_times_at_most(size, levels):
    assert levels_of(size) == levels


def test_a_size_that_cannot_be_halved_three_times_is_refused():
    with pytest.raises(UserError, match="at 100 pixels: expected a multiple of 8"):
        UNetGenerator(size=100)


def test_fine_detail_reaches_the_output_past_the_deep_layers():
    network = UNetGenerator(size=64, width=4).eval()
    with torch.no_grad():
        for parameter in network.up.parameters():
            parameter.zero_()
        a, b = torch.rand(2, 1, 3, 64, 64)
        assert not torch.equal(network(a), network(b))


def test_only_training_has_dropout():
    network, nir = UNetGenerator(size=64, width=4), batch().nir
    assert not torch.equal(network(nir), network(nir))
    network.eval()
    assert torch.equal(network(nir), network(nir))


def test_landmarks_change_nothing():
    network, b = UNetGenerator(size=64, width=4).eval(), batch()
    assert torch.equal(network(b.nir, b.landmarks), network(b.nir))


def test_the_cross_entropy_is_that_of_the_sigmoid():
    scores = np.array([-3.0, 0.0, 2.0, 5.0])
    probability = 1 / (1 + np.exp(-scores))
    x = torch.tensor(scores, dtype=torch.float32).reshape(1, 1, 2, 2)
    assert cross_entropy(x, 1.0).item() == pytest.approx(-np.log(probability).mean(), rel=1e-5)
    assert cross_entropy(x, 0.0).item() == pytest.approx(-np.log(1 - probability).mean(), rel=1e-5)


def test_the_values_are_the_papers_terms():
    m, b = method(), batch()
    torch.manual_seed(5)
    values = m.compute_gradients(b)
    torch.manual_seed(5)
    with torch.no_grad():
        fake = m.networks.generator(b.nir)
        on_fake, on_real = (
            m.networks.discriminator(torch.cat([b.nir, vis], 1)).double().numpy() for vis in (fake, b.vis)
        )
    softplus = np.logaddexp
    expected = {
        "loss/gan": softplus(0, -on_fake).mean(),
        "loss/l1": 100 * np.abs(fake.numpy() - b.vis.numpy()).mean(),
        "critic/loss": (softplus(0, -on_real).mean() + softplus(0, on_fake).mean()) / 2,
    }
    assert {name: value.item() for name, value in values.items()} == pytest.approx(expected, rel=1e-4)


def test_each_network_gets_the_gradient_of_its_own_loss_and_of_no_other():
    m, b = method("baseline.lambda_l1=7"), batch()
    torch.manual_seed(5)
    m.compute_gradients(b)
    ours = gradients(m.networks)
    m.networks.zero_grad()
    torch.manual_seed(5)
    G, D = m.networks.generator, m.networks.discriminator
    fake = G(b.nir)
    D.requires_grad_(False)
    loss = F.softplus(-D(torch.cat([b.nir, fake], 1))).mean() + 7 * (fake - b.vis).abs().mean()
    loss.backward()
    D.requires_grad_(True)
    real, false = D(torch.cat([b.nir, b.vis], 1)), D(torch.cat([b.nir, fake.detach()], 1))
    ((F.softplus(-real).mean() + F.softplus(false).mean()) / 2).backward()
    assert_close(ours, gradients(m.networks))
    assert len(ours) == len(list(m.networks.parameters()))


def test_the_discriminator_learns_to_tell_when_it_alone_moves():
    m, b = method(), batch()
    optimizer = torch.optim.Adam(m.networks.discriminator.parameters(), 2e-3)
    losses = []
    for _ in range(15):
        losses.append(m.compute_gradients(b)["critic/loss"].item())
        optimizer.step()
        m.networks.zero_grad()
    assert losses[-1] < 0.5 * losses[0]


def test_the_generator_learns_a_pair_when_it_alone_moves():
    m, b = method(), batch(1)
    optimizer = torch.optim.Adam(m.networks.generator.parameters(), 5e-3)
    losses = []
    for _ in range(30):
        losses.append(m.compute_gradients(b)["loss/l1"].item())
        optimizer.step()
        m.networks.zero_grad()
    assert losses[-1] < 0.6 * losses[0]


def test_mixed_precision_stays_close_to_full_precision():
    torch.manual_seed(5)
    exact = method().compute_gradients(batch())
    torch.manual_seed(5)
    mixed = method("training.precision=bf16").compute_gradients(batch())
    for name, value in exact.items():
        assert mixed[name].item() == pytest.approx(value.item(), rel=0.02), name
