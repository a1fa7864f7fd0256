"""How much work a piece of code asks of a machine, and what its convolutions can do at best.

Work is counted in FLOP of convolutions and matrix products, a multiply-add being two.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

Precision = Literal["fp32", "bf16"]
DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}


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


def best_speed(precision: Precision, repeats: int = 5) -> float:
    """GFLOP per second of processor time of a convolution that suits machines; the median of some calls.

    It is 3 x 3, from 256 to 256 channels, on 8 maps of 64 x 64.
    """
    x, weight = (
        torch.randn(shape).to(DTYPES[precision], memory_format=torch.channels_last)
        for shape in ((8, 256, 64, 64), (256, 256, 3, 3))
    )
    with torch.no_grad():
        with FlopCounter() as counter:
            F.conv2d(x, weight, padding=1)
        return counter.flop / 1e9 / processor_seconds(lambda: F.conv2d(x, weight, padding=1), repeats)


def processor_seconds(call: Callable[[], object], repeats: int) -> float:
    """Median processor seconds of a call."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds)
