"""The numbers of the steps, as the host reads them.

Reading a number of a GPU waits for all that the GPU was told before. So the host reads a step's numbers after
it has started the next one: the GPU always has work. On a processor they are read at once.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pcfh.runtime import Runtime


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One step's numbers.

    Attributes:
        step: how many steps were done with it.
        values: means over the processes.
        stop: whether any process was asked to stop at it.
    """

    step: int
    values: Mapping[str, float]
    stop: bool


@dataclass(frozen=True)
class _Coming:
    step: int
    names: tuple[str, ...]
    means: Tensor
    ready: torch.cuda.Event | None


class Readings:
    """Numbers on their way to the host.

    Args:
        runtime: this process among the others; all put and take the same steps.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._coming: deque[_Coming] = deque()

    @property
    def late(self) -> int:
        """How many steps may be started before their numbers are read."""
        return 1 if self._runtime.device.type == "cuda" else 0

    def put(self, step: int, values: Mapping[str, Tensor], stop: bool) -> None:
        """Starts the transfer of a step's numbers; one for all of them."""
        flag = torch.full((), float(stop), device=self._runtime.device)
        means = self._runtime.mean(torch.stack([*(v.float() for v in values.values()), flag]))
        ready = None
        if means.is_cuda:
            host = torch.empty(means.shape, pin_memory=True)
            means = host.copy_(means, non_blocking=True)
            ready = torch.cuda.Event()
            ready.record()
        self._coming.append(_Coming(step, tuple(values), means, ready))

    def take(self, *, everything: bool) -> Iterator[Reading]:
        """The numbers of all steps but the last that may be late; ``everything`` waits for those too."""
        while len(self._coming) > (0 if everything else self.late):
            coming = self._coming.popleft()
            if coming.ready is not None:
                coming.ready.synchronize()
            means = coming.means.tolist()
            values = dict(zip(coming.names, means, strict=False))
            yield Reading(step=coming.step, values=values, stop=means[-1] > 0)
