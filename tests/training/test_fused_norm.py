"""Normalisation in bfloat16 with its activation: the same names, the same numbers."""

import copy

import pytest
import torch
from torch import nn

from pcfh.devices import mixed_precision
from pcfh.methods.cyclegan.cyclegan_trainer import ResidualGenerator
from pcfh.methods.pcfh.attention import Attention
from pcfh.methods.pcfh.generator import AuxiliaryGenerator, Generator
from pcfh.methods.pix2pix.pix2pix_trainer import UNetGenerator
from pcfh.training.checkpoint import State, load_checkpoint, save_checkpoint
from pcfh.training.fused_norm import FusedNorm, autocast, fuse, largest_error, lean, plain

CPU = torch.device("cpu")
NETWORKS = {
    "G_A": lambda: Generator(size=64, width=8, blocks=1, local_blocks=1),
    "G_B": lambda: AuxiliaryGenerator(width=8, blocks=1),
    "Att": lambda: Attention(width=8),
    "CycleGAN": lambda: ResidualGenerator(size=64, width=4, blocks=1),
    "Pix2Pix": lambda: UNetGenerator(size=64, width=4),
}


def inputs(name: str) -> tuple[torch.Tensor, ...]:
    noise = torch.Generator().manual_seed(1)
    image, other = (torch.rand(2, 3, 64, 64, generator=noise) * 2 - 1 for _ in range(2))
    if name == "Att":
        return image, other
    return (image, torch.rand(2, 68, 2, generator=noise) * 64) if name == "G_A" else (image,)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_fused_network_has_the_same_weights_and_in_32_bits_the_same_output(name):
    torch.manual_seed(0)
    network = NETWORKS[name]().eval()
    fused = copy.deepcopy(network)
    layers = sum(isinstance(m, nn.GroupNorm | nn.InstanceNorm2d) for m in network.modules())
    assert fuse(fused, lean) == layers > 0
    assert not any(isinstance(m, nn.GroupNorm | nn.InstanceNorm2d) for m in fused.modules())
    assert [n for n, _ in fused.named_parameters()] == [n for n, _ in network.named_parameters()]
    fused.load_state_dict(network.state_dict())
    expected, found = (n(*inputs(name)) for n in (network, fused))
    assert torch.allclose(found, expected, atol=1e-5)


def test_in_mixed_precision_maps_stay_in_16_bits_and_the_output_is_near():
    torch.manual_seed(0)
    network = NETWORKS["G_B"]().eval()
    fused = copy.deepcopy(network)
    fuse(fused, lean)
    types = []
    for module in fused.modules():
        if isinstance(module, FusedNorm):
            module.register_forward_hook(lambda _, __, y: types.append(y.dtype))
    (image,) = inputs("G_B")
    with torch.no_grad(), mixed_precision(True, image):
        expected, found = network(image).float(), fused(image).float()
    assert set(types) == {torch.bfloat16}
    assert (found - expected).norm() < 0.05 * expected.norm()


def test_the_comparison_of_kernels_sees_a_wrong_one():
    def off(x, weight, bias, eps, slope):
        return plain(x, weight, bias, eps + 0.3, slope)

    assert largest_error(autocast, CPU) < 0.01
    assert largest_error(lean, CPU) < 0.05
    assert largest_error(off, CPU) > 0.01


def test_a_checkpoint_moves_between_layouts_of_memory(tmp_path):
    def state(layout: torch.memory_format) -> State:
        torch.manual_seed(0)
        network = nn.Conv2d(3, 4, 3).to(memory_format=layout)
        group = {"params": list(network.parameters()), "full_rate": 1e-3}
        optimizer = torch.optim.Adam([group], fused=True)
        return State(networks=network, average=copy.deepcopy(network), optimizer=optimizer)

    def step(s: State, seed: int) -> None:
        torch.manual_seed(seed)
        s.networks(torch.randn(2, 3, 8, 8)).square().mean().backward()
        s.optimizer.step()
        s.optimizer.zero_grad(set_to_none=True)
        s.step += 1

    last, first = state(torch.channels_last), state(torch.contiguous_format)
    step(last, 1)
    save_checkpoint(tmp_path / "checkpoint.pt", last, {"steps": 5})
    load_checkpoint(tmp_path / "checkpoint.pt", first, {"steps": 5})
    for s in (last, first):
        step(s, 2)
    for p, q in zip(last.networks.parameters(), first.networks.parameters(), strict=True):
        assert torch.allclose(p, q, atol=1e-6)
    assert first.networks.weight.is_contiguous()
