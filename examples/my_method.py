"""Template of a method of your own: a small network that learns the VIS image of a pair by its mean error.

From the folder of this file:

    pcfh train DATA RUN --preset cpu --set training.method=my_method:MyMethod mine.width=16
    PCFH_METHODS=my_method:MyMethod pcfh translate PICTURES --model RUN/generator.safetensors --out OUT

A generator file never makes the program import anything, so whoever uses it names the method once more. As a
file of pcfh/methods/ with METHOD = MyMethod and a name, it would be found by itself.
"""

from dataclasses import dataclass, field

from torch import Tensor, nn

from pcfh.config import Count, Weight
from pcfh.methods.base import Config, Method
from pcfh.methods.batch import Batch, Values
from pcfh.methods.trainer import Trainer
from pcfh.runtime import Runtime


@dataclass(frozen=True, kw_only=True)
class Mine:
    """Settings of the method: mine.width and mine.lambda_l1."""

    width: Count = 8
    lambda_l1: Weight = 1.0


@dataclass(frozen=True, kw_only=True)
class MyConfig(Config):
    """The groups of settings: these, and training.*, which all methods share."""

    mine: Mine = field(default_factory=Mine)


class MyGenerator(nn.Module):
    """What generator files hold: ``arguments`` build it again, ``size`` is the side of its images."""

    def __init__(self, *, size: int, width: int) -> None:
        super().__init__()
        self.size, self.arguments = size, {"size": size, "width": width}
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 3, 3, padding=1), nn.Tanh()
        )

    def forward(self, nir: Tensor, landmarks: Tensor | None = None) -> Tensor:
        """VIS images, in [-1, 1] as the NIR ones."""
        return self.layers(nir)


class MyTrainer(Trainer):
    """Builds the networks, and computes their gradients for a batch; the loop does all else."""

    def __init__(self, config: MyConfig, runtime: Runtime, recognizer: nn.Module | None) -> None:
        network = MyGenerator(size=config.training.size, width=config.mine.width)
        self.networks, self.lambda_l1 = network.to(runtime.device), config.mine.lambda_l1

    @property
    def generator(self) -> MyGenerator:
        """The network whose moving average is saved."""
        return self.networks

    def compute_gradients(self, batch: Batch) -> Values:
        """Fills ``grad`` of all networks; the numbers are logged."""
        loss = self.lambda_l1 * (self.networks(batch.nir) - batch.vis).abs().mean()
        loss.backward()
        return {"loss/l1": loss.detach()}


class MyMethod(Method):
    """Joins the parts."""

    Settings, network, trainer = MyConfig, MyGenerator, MyTrainer
