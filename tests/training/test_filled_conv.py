"""Convolutions filled up to eight channels: the same layers, outputs and derivatives of both orders."""

import copy

import pytest
import torch
from torch import nn

from pcfh.devices import mixed_precision
from pcfh.methods.pcfh.critic import Critic
from pcfh.methods.pcfh.generator import AuxiliaryGenerator
from pcfh.training.filled_conv import FilledConv2d, fill

NETWORKS = {"D_A": lambda: Critic(width=8), "G_B": lambda: AuxiliaryGenerator(width=8, blocks=1)}


def output_and_slopes(network: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    """Of a network in mixed precision; and what a gradient penalty would teach it."""
    with mixed_precision(True, x):
        y = network(x).float()
    (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    penalty = slope.float().square().mean()
    of_penalty = torch.autograd.grad(
        penalty, list(network.parameters()), retain_graph=True, allow_unused=True
    )
    of_sum = torch.autograd.grad(y.square().sum(), list(network.parameters()))
    return [y.detach(), slope.detach(), *of_sum, *(g for g in of_penalty if g is not None)]


@pytest.mark.parametrize("name", NETWORKS)
def test_filled_convolutions_give_the_same_values_and_derivatives(name):
    torch.manual_seed(0)
    network = NETWORKS[name]()
    filled = copy.deepcopy(network)
    assert fill(filled) == sum(isinstance(m, FilledConv2d) for m in filled.modules()) > 0
    assert filled.state_dict().keys() == network.state_dict().keys()
    x = (torch.rand(2, 3, 32, 32) * 2 - 1).requires_grad_()
    assert torch.equal(filled(x), network(x))
    found, expected = output_and_slopes(filled, x), output_and_slopes(network, x)
    scale = max(e.norm() for e in expected[2:])
    for f, e in zip(found, expected, strict=True):
        assert f.shape == e.shape
        # Sums of 16 bits in another order, through many layers; a wrong channel would be all of it.
        assert (f - e).norm() <= 0.15 * e.norm() + 1e-3 * scale
