"""Smooth random pairs for the tests of training methods, and gradients by name."""

import torch
import torch.nn.functional as F
from torch import nn

from pcfh.methods.batch import Batch


def batch(count: int = 2, size: int = 64, seed: int = 1) -> Batch:
    torch.manual_seed(seed)
    coarse = torch.rand(count, 4, 8, 8) * 2 - 1
    fine = F.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=False)
    vis = fine[:, 1:]
    return Batch(
        nir=fine[:, :1].expand(-1, 3, -1, -1),
        vis=vis,
        warped=vis,
        landmarks=torch.rand(count, 68, 2) * size,
        mix=torch.rand(count),
    )


def gradients(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


def assert_close(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for name, expected in theirs.items():
        torch.testing.assert_close(ours[name], expected, atol=1e-6, rtol=1e-3, msg=name)
