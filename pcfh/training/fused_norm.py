"""Instance normalisation in bfloat16 with statistics in 32 bits, with the activation that follows it.

Autocast makes the maps of a normalisation 32 bits wide and those of the next convolution 16 again, and
PyTorch's own kernels want channels first while convolutions on a GPU want them last: two fifths of a step.
Here bfloat16 comes and goes, and with Triton's kernels in one layout throughout. In 32 bits, and on a
processor, a layer computes what PyTorch's does.

Axis letters: b batch, c channels, h and w pixels.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeGuard

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pcfh.training.capture import warm_up

# Maps, weight, bias, epsilon, slope below zero.
Kernel = Callable[[Tensor, Tensor | None, Tensor | None, float, float], Tensor]
_SHAPES = ((3, 24, 37, 29), (2, 256, 16, 16))  # on which kernels are compared; the first fits no tile
# Of a result's norm: bfloat16 has three digits; PyTorch's way rounds the weights too, which moves the bend.
_MOST_ERROR, _MOST_ROUNDED = 0.01, 0.05
_TIMED, _REPEATS = (64, 32, 128, 128), 5


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How a device normalises best.

    Attributes:
        kernel: for maps in bfloat16; None leaves PyTorch's layers as they are.
        channels_last: whether convolutions shall have their channels last.
        why: one line for the user.
    """

    kernel: Kernel | None
    channels_last: bool
    why: str


class FusedNorm(nn.Module):
    """Takes the place of an instance normalisation and the activation after it, with the same parameters.

    Args:
        norm: ``GroupNorm`` with a channel per group, or ``InstanceNorm2d`` without running statistics.
        slope: of the activation below zero; 1 where there is none.
        kernel: for maps in bfloat16.
    """

    weight: Tensor | None
    bias: Tensor | None

    def __init__(self, norm: nn.GroupNorm | nn.InstanceNorm2d, slope: float, kernel: Kernel) -> None:
        super().__init__()
        self.register_parameter("weight", norm.weight)
        self.register_parameter("bias", norm.bias)
        self.eps, self.slope, self.kernel = norm.eps, slope, kernel

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Normalises each map of each image by itself, and activates."""
        if x.dtype == torch.bfloat16:
            return self.kernel(x, self.weight, self.bias, self.eps, self.slope)
        return plain(x, self.weight, self.bias, self.eps, self.slope)

    def extra_repr(self) -> str:
        """What a print of the network says."""
        return f"slope={self.slope}, kernel={self.kernel.__module__}.{self.kernel.__qualname__}"


def plain(
    x: Float[Tensor, "b c h w"], weight: Tensor | None, bias: Tensor | None, eps: float, slope: float
) -> Float[Tensor, "b c h w"]:
    """What PyTorch's layers do; the reference."""
    y = F.group_norm(x, x.shape[1], weight, bias, eps)
    return y if slope == 1 else F.leaky_relu(y, slope, inplace=True)


def lean(
    x: Float[Tensor, "b c h w"], weight: Tensor | None, bias: Tensor | None, eps: float, slope: float
) -> Float[Tensor, "b c h w"]:
    """The same by PyTorch's kernels, whose statistics have 32 bits, without widening the maps."""
    with torch.autocast(x.device.type, enabled=False):
        weight, bias = (p if p is None else p.to(x.dtype) for p in (weight, bias))
        return plain(x, weight, bias, eps, slope)


def fuse(network: nn.Module, kernel: Kernel) -> int:
    """Replaces the instance normalisations in all sequences of a network, with the activations after them.

    Names, order and objects of the parameters stay.

    Returns:
        How many were replaced.
    """
    count = 0
    for sequence in [m for m in network.modules() if isinstance(m, nn.Sequential)]:
        for place, norm in enumerate(sequence):
            if not _normalises_instances(norm):
                continue
            slope = _slope(sequence[place + 1]) if place + 1 < len(sequence) else None
            if slope is not None:
                sequence[place + 1] = nn.Identity()
            sequence[place] = FusedNorm(norm, 1.0 if slope is None else slope, kernel)
            count += 1
    return count


def _normalises_instances(layer: nn.Module) -> TypeGuard[nn.GroupNorm | nn.InstanceNorm2d]:
    if isinstance(layer, nn.GroupNorm):
        return layer.num_groups == layer.num_channels
    return isinstance(layer, nn.InstanceNorm2d) and not layer.track_running_stats


def _slope(layer: nn.Module) -> float | None:
    """Of an activation below zero; None where it is another layer."""
    if isinstance(layer, nn.LeakyReLU):
        return float(layer.negative_slope)
    return 0.0 if isinstance(layer, nn.ReLU) else None


def choose(device: torch.device, *, triton: bool = True) -> Choice:
    """The fastest way of a device that gives the right numbers; tried there, in a few seconds.

    Args:
        device: a GPU.
        triton: whether Triton's kernels come into question; a compiler does better without.
    """
    reference = milliseconds(autocast, device)
    try:
        if not triton:
            raise ImportError("not wanted")
        from pcfh.training.norm_kernels import instance_norm  # noqa: PLC0415 - Triton is not everywhere

        found = largest_error(instance_norm, device)
        taken = milliseconds(instance_norm, device, channels_last=True)
    except Exception as error:  # a compiler of kernels fails in many ways, and none of them may stop a run
        missing = f"no Triton kernels ({str(error).strip().splitlines()[0][:80] if str(error) else error!r})"
    else:
        times = f"{taken:.2f} ms, PyTorch's {reference:.2f} ms"
        if found <= _MOST_ERROR and taken < reference:
            return Choice(kernel=instance_norm, channels_last=True, why=f"normalisation by Triton: {times}")
        missing = f"Triton's normalisation is left out (error {found:.1g}, {times})"
    found, taken = largest_error(lean, device), milliseconds(lean, device)
    if found <= _MOST_ROUNDED and taken < reference:
        why = f"{missing}; in bfloat16 by PyTorch: {taken:.2f} ms, in 32 bits {reference:.2f} ms"
        return Choice(kernel=lean, channels_last=False, why=why)
    return Choice(kernel=None, channels_last=False, why=f"{missing}; normalisation in 32 bits by PyTorch")


def largest_error(kernel: Kernel, device: torch.device, dtype: torch.dtype = torch.bfloat16) -> float:
    """Largest error of a kernel's value and gradients, as a share of their norm, to those in 64 bits."""
    errors = []
    for shape in _SHAPES:
        for slope in (0.2, 0.0, 1.0):
            x, weight, bias, towards = _made_up(shape, device, dtype)
            exact = _with_gradients(plain, [t.double() for t in (x, weight, bias)], slope, towards.double())
            found = _with_gradients(kernel, [x, weight, bias], slope, towards)
            errors += [float((f.double() - e).norm() / e.norm()) for f, e in zip(found, exact, strict=True)]
    return max(errors)


def _made_up(shape: tuple[int, ...], device: torch.device, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Maps far from the mean 0, weights, biases, and a gradient on the result."""
    draw = torch.Generator().manual_seed(0)
    x, towards = (torch.randn(shape, generator=draw) for _ in range(2))
    weight, bias = (torch.randn(shape[1], generator=draw) for _ in range(2))
    return (3 * x + 2).to(device, dtype), weight.to(device), bias.to(device), towards.to(device, dtype)


def _with_gradients(kernel: Kernel, values: list[Tensor], slope: float, towards: Tensor) -> list[Tensor]:
    """A kernel's result, and the gradients of maps, weight and bias."""
    x, weight, bias = (t.detach().requires_grad_() for t in values)
    y = kernel(x, weight, bias, 1e-5, slope)
    return [y.detach(), *torch.autograd.grad(y, (x, weight, bias), towards)]


def autocast(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, slope: float
) -> Float[Tensor, "b c h w"]:
    """What PyTorch's layers do under autocast, the type of the next convolution included."""
    with torch.autocast(x.device.type, torch.bfloat16):
        return plain(x, weight, bias, eps, slope).to(torch.bfloat16)


def milliseconds(
    kernel: Kernel, device: torch.device, shape: tuple[int, ...] = _TIMED, *, channels_last: bool = False
) -> float:
    """Median time forward and backward, by default on maps of a usual size.

    A GPU replays a graph, as in training: it takes less time for a layer than a processor to start it.
    """
    x, weight, bias, towards = _made_up(shape, device, torch.bfloat16)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    x, towards = (t.contiguous(memory_format=layout) for t in (x, towards))

    def call() -> object:
        return _with_gradients(kernel, [x, weight, bias], 0.2, towards)

    if device.type == "cuda":
        warm_up(call, device)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            call()
        call = graph.replay
    times = []
    for _ in range(8):
        start = _now(device)
        for _ in range(_REPEATS):
            call()
        times.append((_now(device) - start) / _REPEATS)
    return 1e3 * sorted(times[3:])[2]


def _now(device: torch.device) -> float:
    """The time at which a device has done its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
