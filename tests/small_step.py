"""A small step for tests: weights, networks, a recogniser and a batch of noise."""

import torch
from torch import nn

from pcfh.methods.batch import Batch
from pcfh.methods.pcfh.networks import PCFH
from pcfh.methods.pcfh.statistics_network import Estimator
from pcfh.methods.pcfh.terms import LossWeights

WEIGHTS = LossWeights(
    lambda_rec=2.5e-5,
    lambda_id=0.002,
    lambda_y=0.1,
    lambda_awm=2.5e-5,
    lambda_mic=0.1,
    alpha_fit=3.0,
    alpha_rank=0.003,
    alpha_sparse=1e-6,
    penalty=10.0,
    group=2,
)


class Recognizer(nn.Module):
    """A frozen F that is small: 16 features of the grey image."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.AvgPool2d(16), nn.Flatten(), nn.Linear(64, 16))
        self.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def model(awm: bool = True, mic: bool = True, estimator: Estimator = "bilinear") -> PCFH:
    torch.manual_seed(0)
    return PCFH(
        size=64,
        generator_width=4,
        generator_blocks=1,
        local_blocks=1,
        critic_width=4,
        attention_width=4 if awm else 0,
        dependence_width=4 if mic else 0,
        mi_estimator=estimator,
    )


def batch(size: int = 4) -> Batch:
    torch.manual_seed(1)
    nir = (torch.rand(size, 1, 64, 64) * 2 - 1).expand(-1, 3, -1, -1)
    vis = torch.rand(size, 3, 64, 64) * 2 - 1
    return Batch(
        nir=nir,
        vis=vis,
        warped=vis.flip(-1),
        landmarks=torch.rand(size, 68, 2) * 64,
        mix=torch.rand(size),
        vis_features=torch.randn(size, 16),
        person=torch.arange(size) % 3,
        people=torch.randn(3, 16),
    )
