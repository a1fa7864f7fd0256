"""Instance normalisation with leaky ReLU as Triton kernels, two forward and two backward.

One pass sums, one writes; maps are read in the layout that convolutions like on a GPU, channels last, in
whatever type they have, and summed in 32 bits. A program sums one stretch of one image's pixels; the second
pass adds the stretches up in a fixed order, so a step gives the same bits each time.

Axis letters: b batch, c channels, h and w pixels. Imported only where Triton is.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from typing import Any

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

_TILE = 4096  # numbers that a program holds at once
_MOST_STRETCHES = 32
_PROGRAMS = 2048  # that keep a large GPU busy


@triton.jit
def _tile(pixels, channels, length, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr):
    """Where the stretch of this program begins and ends, its channels and which of them there are."""
    image = tl.program_id(0).to(tl.int64)
    first = tl.program_id(1) * length
    last = tl.minimum(first + length, pixels)
    c = tl.program_id(2) * BLOCK_C + tl.arange(0, BLOCK_C)
    return image, first, last, c, c < channels


@triton.jit
def _affine(weight, bias, c, there, AFFINE: tl.constexpr, BLOCK_C: tl.constexpr):
    """Weight and bias of the channels."""
    if AFFINE:
        w = tl.load(weight + c, mask=there, other=0.0).to(tl.float32)
        b = tl.load(bias + c, mask=there, other=0.0).to(tl.float32)
    else:
        w = tl.full((BLOCK_C,), 1.0, tl.float32)
        b = tl.full((BLOCK_C,), 0.0, tl.float32)
    return w, b


@triton.jit
def _both_sums(sums, image, stretches, channels, c, there, BLOCK_C: tl.constexpr):
    """The two sums of an image over all its stretches."""
    first = tl.zeros((BLOCK_C,), tl.float32)
    second = tl.zeros((BLOCK_C,), tl.float32)
    for s in range(stretches):
        place = sums + (image * stretches + s) * 2 * channels + c
        first += tl.load(place, mask=there, other=0.0)
        second += tl.load(place + channels, mask=there, other=0.0)
    return first, second


@triton.jit
def _sum_forward(
    x,
    sums,
    pixels,
    channels,
    length,
    BLOCK_P: tl.constexpr,
    BLOCK_C: tl.constexpr,
):
    """Sums of x - x_0 and of its square, x_0 being the first pixel: near the mean, so no digits are lost."""
    image, first, last, c, there = _tile(pixels, channels, length, BLOCK_P, BLOCK_C)
    x += image * pixels * channels
    shift = tl.load(x + c, mask=there, other=0.0).to(tl.float32)
    total = tl.zeros((BLOCK_C,), tl.float32)
    square = tl.zeros((BLOCK_C,), tl.float32)
    for start in range(first, last, BLOCK_P):
        p = start + tl.arange(0, BLOCK_P)
        inside = (p < last)[:, None] & there[None, :]
        value = tl.load(x + p[:, None] * channels + c[None, :], mask=inside, other=0.0).to(tl.float32)
        value = tl.where(inside, value - shift[None, :], 0.0)
        total += tl.sum(value, 0)
        square += tl.sum(value * value, 0)
    place = sums + (image * tl.num_programs(1) + tl.program_id(1)) * 2 * channels + c
    tl.store(place, total, mask=there)
    tl.store(place + channels, square, mask=there)


@triton.jit
def _write_forward(
    x,
    y,
    weight,
    bias,
    sums,
    mean_out,
    rstd_out,
    pixels,
    channels,
    length,
    eps,
    slope,
    AFFINE: tl.constexpr,
    BLOCK_P: tl.constexpr,
    BLOCK_C: tl.constexpr,
):
    """The activation of (x - mean) / deviation * weight + bias; keeps mean and 1 / deviation."""
    image, first, last, c, there = _tile(pixels, channels, length, BLOCK_P, BLOCK_C)
    x += image * pixels * channels
    y += image * pixels * channels
    total, square = _both_sums(sums, image, tl.num_programs(1), channels, c, there, BLOCK_C)
    shift = tl.load(x + c, mask=there, other=0.0).to(tl.float32)
    off = total / pixels
    mean = shift + off
    rstd = 1.0 / tl.sqrt(tl.maximum(square / pixels - off * off, 0.0) + eps)
    if tl.program_id(1) == 0:
        tl.store(mean_out + image * channels + c, mean, mask=there)
        tl.store(rstd_out + image * channels + c, rstd, mask=there)
    w, b = _affine(weight, bias, c, there, AFFINE, BLOCK_C)
    for start in range(first, last, BLOCK_P):
        p = start + tl.arange(0, BLOCK_P)
        inside = (p < last)[:, None] & there[None, :]
        place = p[:, None] * channels + c[None, :]
        value = tl.load(x + place, mask=inside, other=0.0).to(tl.float32)
        value = (value - mean[None, :]) * (rstd * w)[None, :] + b[None, :]
        value = tl.where(value > 0, value, value * slope)
        tl.store(y + place, value.to(y.dtype.element_ty), mask=inside)


@triton.jit
def _sum_backward(
    x,
    dy,
    weight,
    bias,
    mean_in,
    rstd_in,
    sums,
    pixels,
    channels,
    length,
    slope,
    AFFINE: tl.constexpr,
    BLOCK_P: tl.constexpr,
    BLOCK_C: tl.constexpr,
):
    """Sums of g and of g z: z is the normalised x, g the gradient on weight * z + bias."""
    image, first, last, c, there = _tile(pixels, channels, length, BLOCK_P, BLOCK_C)
    x += image * pixels * channels
    dy += image * pixels * channels
    mean = tl.load(mean_in + image * channels + c, mask=there, other=0.0)
    rstd = tl.load(rstd_in + image * channels + c, mask=there, other=0.0)
    w, b = _affine(weight, bias, c, there, AFFINE, BLOCK_C)
    total = tl.zeros((BLOCK_C,), tl.float32)
    product = tl.zeros((BLOCK_C,), tl.float32)
    for start in range(first, last, BLOCK_P):
        p = start + tl.arange(0, BLOCK_P)
        inside = (p < last)[:, None] & there[None, :]
        place = p[:, None] * channels + c[None, :]
        z = (tl.load(x + place, mask=inside, other=0.0).to(tl.float32) - mean[None, :]) * rstd[None, :]
        g = tl.load(dy + place, mask=inside, other=0.0).to(tl.float32)
        g = tl.where(z * w[None, :] + b[None, :] > 0, g, g * slope)
        total += tl.sum(g, 0)
        product += tl.sum(g * z, 0)
    place_of_sums = sums + (image * tl.num_programs(1) + tl.program_id(1)) * 2 * channels + c
    tl.store(place_of_sums, total, mask=there)
    tl.store(place_of_sums + channels, product, mask=there)


@triton.jit
def _write_backward(
    x,
    dy,
    dx,
    weight,
    bias,
    mean_in,
    rstd_in,
    sums,
    pixels,
    channels,
    length,
    slope,
    AFFINE: tl.constexpr,
    BLOCK_P: tl.constexpr,
    BLOCK_C: tl.constexpr,
):
    """Writes weight / deviation * (g - mean g - z mean(g z))."""
    image, first, last, c, there = _tile(pixels, channels, length, BLOCK_P, BLOCK_C)
    x += image * pixels * channels
    dy += image * pixels * channels
    dx += image * pixels * channels
    total, product = _both_sums(sums, image, tl.num_programs(1), channels, c, there, BLOCK_C)
    mean = tl.load(mean_in + image * channels + c, mask=there, other=0.0)
    rstd = tl.load(rstd_in + image * channels + c, mask=there, other=0.0)
    w, b = _affine(weight, bias, c, there, AFFINE, BLOCK_C)
    mean_g = total / pixels
    mean_gz = product / pixels
    for start in range(first, last, BLOCK_P):
        p = start + tl.arange(0, BLOCK_P)
        inside = (p < last)[:, None] & there[None, :]
        place = p[:, None] * channels + c[None, :]
        z = (tl.load(x + place, mask=inside, other=0.0).to(tl.float32) - mean[None, :]) * rstd[None, :]
        g = tl.load(dy + place, mask=inside, other=0.0).to(tl.float32)
        g = tl.where(z * w[None, :] + b[None, :] > 0, g, g * slope)
        value = (w * rstd)[None, :] * (g - mean_g[None, :] - z * mean_gz[None, :])
        tl.store(dx + place, value.to(dx.dtype.element_ty), mask=inside)


class _InstanceNorm(torch.autograd.Function):
    """Not to be differentiated twice."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, slope: float
    ) -> Tensor:
        """Normalises; keeps x, means and deviations."""
        x = x.contiguous(memory_format=torch.channels_last)
        b, channels, h, w = x.shape
        grid, cut = _cut(b, channels, h * w)
        y = torch.empty_like(x)
        sums = x.new_empty(b, grid[1], 2, channels, dtype=torch.float32)
        mean, rstd = (x.new_empty(b, channels, dtype=torch.float32) for _ in range(2))
        affine = {"AFFINE": weight is not None}
        size = (h * w, channels, cut.pop("length"))
        _sum_forward[grid](x, sums, *size, **cut)
        _write_forward[grid](x, y, weight, bias, sums, mean, rstd, *size, eps, slope, **affine, **cut)
        ctx.save_for_backward(x, weight, bias, mean, rstd)
        ctx.slope = slope
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of x, weight and bias."""
        x, weight, bias, mean, rstd = ctx.saved_tensors
        dy = dy.contiguous(memory_format=torch.channels_last)
        b, channels, h, w = x.shape
        grid, cut = _cut(b, channels, h * w)
        dx = torch.empty_like(x)
        sums = x.new_empty(b, grid[1], 2, channels, dtype=torch.float32)
        affine = {"AFFINE": weight is not None}
        size = (h * w, channels, cut.pop("length"))
        known = (weight, bias, mean, rstd, sums, *size, ctx.slope)
        _sum_backward[grid](x, dy, *known, **affine, **cut)
        _write_backward[grid](x, dy, dx, *known, **affine, **cut)
        if weight is None:
            return dx, None, None, None, None
        db, dw = sums.sum((0, 1))
        return dx, dw.to(weight.dtype), db.to(bias.dtype), None, None


def _cut(images: int, channels: int, pixels: int) -> tuple[tuple[int, int, int], dict[str, int]]:
    """How the work is cut into programs: the grid, and the sizes of a tile and of a stretch."""
    block_c = min(64, triton.next_power_of_2(channels))
    block_p = max(16, min(_TILE // block_c, triton.next_power_of_2(pixels)))
    of_channels = triton.cdiv(channels, block_c)
    wanted = triton.cdiv(_PROGRAMS, images * of_channels)
    stretches = max(1, min(wanted, _MOST_STRETCHES, triton.cdiv(pixels, block_p)))
    length = triton.cdiv(triton.cdiv(pixels, stretches), block_p) * block_p
    grid = (images, triton.cdiv(pixels, length), of_channels)
    return grid, {"length": length, "BLOCK_P": block_p, "BLOCK_C": block_c}


def instance_norm(
    x: Float[Tensor, "b c h w"],
    weight: Float[Tensor, " c"] | None,
    bias: Float[Tensor, " c"] | None,
    eps: float,
    slope: float,
) -> Float[Tensor, "b c h w"]:
    """Instance normalisation and leaky ReLU; a slope of 1 is none, of 0 is ReLU. The result is channels last.

    Args:
        x: maps.
        weight: of each channel, or None.
        bias: of each channel; None where there is no weight.
        eps: added to the variance.
        slope: of the activation below zero.
    """
    y: Tensor = _InstanceNorm.apply(x, weight, bias, eps, slope)  # type: ignore[no-untyped-call]
    return y
