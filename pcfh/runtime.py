"""Processes and devices: plain torch.distributed under torchrun, or one process without it.

    torchrun --nproc-per-node 4 -m pcfh train ...

Every process holds the whole model and sees its own part of each batch; gradients are averaged before
the optimizer's step, so all copies stay equal.
"""

import ctypes
import os
import platform
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from pcfh.devices import usable_device


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """This process among the others.

    Attributes:
        rank: number of this process; 0 writes files.
        processes: how many there are.
        device: where this one computes.
    """

    rank: int
    processes: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def mean(self, values: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Mean over the processes."""
        if self.processes == 1:
            return values
        total = values.clone()
        dist.all_reduce(total)
        return total / self.processes

    def gather(self, part: Float[Tensor, "b ..."]) -> Float[Tensor, "n ..."]:
        """Joins the parts of a batch that the processes have, in their order."""
        if self.processes == 1:
            return part
        parts = [torch.empty_like(part) for _ in range(self.processes)]
        dist.all_gather(parts, part.contiguous())
        return torch.cat(parts)

    def part(self, batch: Shaped[Tensor, "n ..."]) -> Shaped[Tensor, "b ..."]:
        """This process's part of a whole batch; undoes ``gather``."""
        return batch.chunk(self.processes)[self.rank]

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replaces every gradient by its mean over the processes."""
        if self.processes == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        mean = self.mean(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, part in zip(gradients, mean.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def wait(self) -> None:
        """Waits until every process is here."""
        if self.processes > 1:
            dist.barrier()


@contextmanager
def start_runtime(device: str = "auto") -> Iterator[Runtime]:
    """Joins the processes that torchrun started, or stands alone.

    Args:
        device: "auto" (a GPU if there is one), or a device as PyTorch names it.

    Raises:
        UserError: the device is not there.
    """
    processes, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    chosen = usable_device(device, int(os.environ.get("LOCAL_RANK", "0")))
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    if processes > 1:
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Runtime(rank=rank, processes=processes, device=chosen)
    finally:
        if processes > 1:
            dist.destroy_process_group()


def keep_freed_memory() -> None:
    """Tells glibc to keep freed blocks for reuse; large tensors on the CPU are up to a third faster.

    Without it every tensor over 32 MB is mapped anew and page-faulted. Does nothing where the C library
    is another one.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    m_trim_threshold, m_mmap_threshold, one_gib = -1, -3, 1 << 30
    libc = ctypes.CDLL("libc.so.6")
    libc.mallopt(m_mmap_threshold, one_gib)
    libc.mallopt(m_trim_threshold, (1 << 31) - 1)
