"""What this machine's convolutions can do at best, and how much work a piece of code asks of it.

Work is counted in FLOP, a multiply-add being two. Speeds are in GFLOP/s: per second of wall time, which is
what a user waits for, and per second of processor time over all threads, which a busy machine falsifies less.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

Precision = Literal["fp32", "bf16"]

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """Speed of convolutions.

    Attributes:
        precision: of images and weights.
        threads: that torch used.
        wall: GFLOP per second of wall time.
        cpu: GFLOP per second of processor time; with several threads, the speed of one of them.
    """

    precision: Precision
    threads: int
    wall: float
    cpu: float


def conv_ceiling(precision: Precision, seconds: float) -> Ceiling:
    """Measures a convolution that suits machines: 3 x 3, 256 to 256 channels, 8 maps of 64 x 64.

    Args:
        precision: of images and weights.
        seconds: to repeat it for, three times at least; the median counts.
    """
    x, weight = (
        torch.randn(shape).to(_DTYPES[precision], memory_format=torch.channels_last)
        for shape in ((8, 256, 64, 64), (256, 256, 3, 3))
    )

    def convolve() -> object:
        return F.conv2d(x, weight, padding=1)

    with torch.no_grad():
        gflop = flops_of(convolve) / 1e9
        wall, cpu = median_times(convolve, seconds)
    return Ceiling(precision=precision, threads=torch.get_num_threads(), wall=gflop / wall, cpu=gflop / cpu)


def median_times(fn: Callable[[], object], seconds: float, *, least: int = 3) -> tuple[float, float]:
    """Median wall and processor seconds of one call, after one call to warm up.

    Args:
        fn: what to time.
        seconds: to repeat it for.
        least: number of calls that are timed in any case.
    """
    fn()
    times: list[tuple[float, float]] = []
    end = time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        wall, cpu = time.perf_counter(), time.process_time()
        fn()
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
    walls, cpus = zip(*times, strict=True)
    return statistics.median(walls), statistics.median(cpus)


class FlopCounter(TorchDispatchMode):
    """Counts the FLOP of matrix products and convolutions, those of backward passes of any order included.

    PyTorch's FlopCounterMode follows modules by hooks, which a backward pass towards chosen leaves refuses.

    Attributes:
        flop: counted so far.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flop = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Does the operation; counts it if its FLOP are known, else what it is made of."""
        kwargs = kwargs or {}
        count = flop_registry.get(func._overloadpacket)
        if count is None:
            with self:  # a handler runs with its own mode off
                result = func.decompose(*args, **kwargs)
            return func(*args, **kwargs) if result is NotImplemented else result
        result = func(*args, **kwargs)
        self.flop += count(*args, **kwargs, out_val=result)
        return result


def flops_of(fn: Callable[[], object]) -> int:
    """FLOP of the matrix products and convolutions in a call, backward passes included."""
    with FlopCounter() as counter:
        fn()
    return counter.flop
