"""After ADFL, first stage: the eye path, the luminance, and whom the losses teach."""

import pytest
import torch
from runs import CPU
from smooth import batch
from torch import nn

from pcfh.geometry.parts import part_corner
from pcfh.methods.adfl.adfl_trainer import ADFLTrainer, TwoPathGenerator, luminance_distance
from pcfh.methods.find import overridden, preset

SMALL = (
    *("training.size=64", "training.precision=fp32", "baseline.width=4", "baseline.blocks=1"),
    "baseline.pool=0",
)


def method(*settings) -> ADFLTrainer:
    torch.manual_seed(0)
    return ADFLTrainer(overridden(preset("adfl-cpu"), (*SMALL, *settings)), CPU)


class Same(nn.Module):
    """A generator that changes nothing."""

    def __init__(self):
        super().__init__()
        self.one = nn.Parameter(torch.ones(()))

    def forward(self, images, landmarks=None):
        return images * self.one


def test_generators_that_change_nothing_cost_no_cycle_and_no_luminance():
    m = method()
    m.networks.to_vis, m.networks.to_nir = Same(), Same()
    terms = m.compute_gradients(batch())
    for name in ("cycle_vis", "cycle_nir", "luminance_vis", "luminance_nir"):
        assert terms[f"loss/{name}"].item() == pytest.approx(0, abs=1e-7)


def test_colour_of_the_same_luminance_costs_nothing():
    image = torch.rand(1, 3, 8, 8) - 0.5
    shift = 0.2 * torch.tensor([1, -0.299 / 0.587, 0]).view(1, 3, 1, 1)
    assert luminance_distance(image + shift, image).item() == pytest.approx(0, abs=1e-6)
    assert luminance_distance(image + 0.2, image).item() == pytest.approx(0.2, abs=1e-6)


def test_the_eye_path_is_seen_near_the_eyes_alone():
    network, images = TwoPathGenerator(size=64, width=4, blocks=1), batch().nir
    landmarks = torch.full((2, 68, 2), 30.0)
    with torch.no_grad():
        before = network(images, landmarks)
        for parameter in network.eyes.parameters():
            parameter.add_(1)
        changed = (network(images, landmarks) != before).any(1)
    x, y = part_corner(landmarks, network.part, 64)[0].tolist()
    near = torch.zeros(64, 64, dtype=torch.bool)
    near[y - 3 : y + network.part.height + 3, x - 3 : x + network.part.width + 3] = True  # last layer: 7 x 7
    assert changed[:, near].any() and not changed[:, ~near].any()


def test_without_landmarks_the_eyes_are_where_the_alignment_puts_them():
    network, images = TwoPathGenerator(size=128, width=2, blocks=0), torch.rand(1, 3, 128, 128)
    aligned = torch.tensor([63.5, 39.5]).expand(1, 68, 2)
    assert torch.equal(network(images), network(images, aligned))


def test_every_network_learns_and_generators_do_not_learn_from_the_critics_loss():
    m = method()
    m.compute_gradients(batch())
    n = m.networks
    for network in (n.to_vis.whole, n.to_vis.eyes, n.to_nir.eyes, n.is_vis, n.is_nir):
        assert any(p.grad is not None and p.grad.abs().max() > 0 for p in network.parameters())
    quiet = method("baseline.lambda_cycle=0", "baseline.lambda_luminance=0")
    with torch.no_grad():  # critics of fakes that are constant pass no gradient on
        for critic in (quiet.networks.is_vis, quiet.networks.is_nir):
            critic[-1].weight.zero_()
    quiet.compute_gradients(batch())
    assert all(p.grad is None or p.grad.abs().max() == 0 for p in quiet.networks.to_vis.parameters())
    assert quiet.networks.is_vis[-1].weight.grad.abs().max() > 0
