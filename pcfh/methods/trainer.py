"""Who teaches the networks of a method: the gradients of a batch, and nothing else.

For every batch a trainer fills the gradients of all its networks and moves nothing; the loop then averages
the gradients over the processes, takes one step of Adam and lets the moving average of the generator follow.
So all networks of a method move at once, away from the same weights. What a trainer draws at random in a step
it draws from PyTorch's generator, which is seeded for each step and process; what a step changes besides
weights lies in buffers of the networks. That is why a run can be resumed bit for bit, whatever its method.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from pcfh.methods.batch import Batch, Image, Values
from pcfh.runtime import Runtime


class Trainer(ABC):
    """Builds the networks of a method with new weights, and computes their gradients; subclass it.

    Args:
        config: of the run.
        runtime: this process among the others, and its device.
        recognizer: F, for methods that need one.

    Attributes:
        networks: all networks in one module; a checkpoint keeps its weights and buffers.
    """

    networks: nn.Module

    @abstractmethod
    def __init__(self, config: Any, runtime: Runtime, recognizer: nn.Module | None) -> None: ...

    @property
    @abstractmethod
    def generator(self) -> nn.Module:
        """The network that turns NIR into VIS images: its moving average is what the run is for.

        It is called with NIR images in [-1, 1], three equal channels, and their 68 landmarks in pixels. Its
        ``size`` is the side of its images, its ``arguments`` are those with which its class builds it again.
        """

    @property
    def critics(self) -> Sequence[nn.Module]:
        """Those networks that learn at the critics' rate; all others learn at the generators'."""
        return ()

    @property
    def differentiated_once(self) -> Sequence[nn.Module]:
        """Those networks, fixed ones too, whose gradients no gradient penalty differentiates again.

        Compilers and kernels that know one derivative can take them.
        """
        return ()

    @property
    def on_device(self) -> bool:
        """Whether ``compute_gradients`` looks at nothing on the host, so that a GPU can replay it."""
        return False

    @property
    def bounds(self) -> Mapping[str, float]:
        """Numbers of a step above which the training is lost, by name."""
        return {}

    @abstractmethod
    def compute_gradients(self, batch: Batch) -> Values:
        """Puts the gradient of every network into its parameters' ``grad``; updates nothing.

        Returns:
            Detached numbers by name, to be logged: ``loss/...`` are terms with their weights.
        """

    def on_held_out(self, batch: Batch, output: Image) -> Values:
        """Numbers on pairs of people held out, to be logged beside those of recognition, by name."""
        return {}

    def pictures(self, batch: Batch, output: Image) -> Mapping[str, Image]:
        """What else is worth a look beside input, VIS capture and output, by title, in [-1, 1]."""
        return {}
