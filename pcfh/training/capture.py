"""A step's gradients as one CUDA graph: thousands of kernels that one call starts.

Small kernels are over sooner than a processor can start them. A graph is recorded once and replayed: it reads
the same memory each time, so a batch is copied there first, and writes gradients and numbers to the same
memory, assigned and not added up. The optimizer stays outside, because its rates change.
"""

import dataclasses
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

Compute = Callable[[Any], Mapping[str, Tensor]]
_WARM = 3  # eager steps before: libraries choose their kernels, compilers compile


class CapturedStep:
    """The gradients of a batch by replaying a graph; called as the eager function is.

    What is drawn at random is drawn anew at each replay, from PyTorch's generator of the device.

    Args:
        networks: whose ``grad`` is filled; their ``grad`` empty, their buffers are left as they were.
        compute: fills ``grad`` and gives numbers; looks at nothing on the host.
        batch: a dataclass of tensors (or None), as all batches will be.

    Raises:
        RuntimeError: the step cannot be captured.
    """

    def __init__(self, networks: nn.Module, compute: Compute, batch: Any) -> None:
        self._batch = dataclasses.replace(batch, **{name: _room_for(t) for name, t in _tensors(batch)})
        buffers = [(buffer, buffer.clone()) for buffer in networks.buffers()]
        device = next(networks.parameters()).device

        def forgotten() -> None:
            compute(self._batch)
            networks.zero_grad(set_to_none=True)

        warm_up(forgotten, device)
        torch.cuda.empty_cache()
        self._graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(self._graph):
                self._values = dict(compute(self._batch))
        finally:
            # Kept here, so that emptying ``grad`` outside takes no memory from the graph.
            self._gradients = [(p, p.grad) for p in networks.parameters() if p.grad is not None]
            networks.zero_grad(set_to_none=True)
            for buffer, before in buffers:
                buffer.copy_(before)

    def __call__(self, batch: Any) -> dict[str, Tensor]:
        """Fills ``grad``; gives numbers, which the next call overwrites."""
        for name, tensor in _tensors(batch):
            getattr(self._batch, name).copy_(tensor, non_blocking=True)
        self._graph.replay()
        for parameter, gradient in self._gradients:
            parameter.grad = gradient
        return self._values


def warm_up(call: Callable[[], object], device: torch.device) -> None:
    """Calls on a stream beside the current one, as a capture wants it, and waits."""
    side = torch.cuda.Stream(device)
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):
        for _ in range(_WARM):
            call()
    torch.cuda.current_stream(device).wait_stream(side)
    torch.cuda.synchronize(device)


def _room_for(tensor: Tensor) -> Tensor:
    """A copy with memory for each element, which an expanded tensor has not."""
    return torch.empty(tensor.shape, dtype=tensor.dtype, device=tensor.device).copy_(tensor)


def _tensors(batch: Any) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a batch by name."""
    for field in dataclasses.fields(batch):
        value = getattr(batch, field.name)
        if value is not None:
            yield field.name, value


def captured(networks: nn.Module, compute: Compute, batch: Any) -> tuple[Compute, str]:
    """The step as a graph, or as it was where it cannot be one; and one line that says which."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a capture that fails: said below
            return CapturedStep(networks, compute, batch), "the step is replayed as one CUDA graph"
    except RuntimeError as error:
        torch.cuda.synchronize()
        networks.zero_grad(set_to_none=True)
        why = (str(error).strip().splitlines() or [repr(error)])[0][:120]
        return compute, f"the step is not captured as a CUDA graph ({why}); it goes on without"
