"""Global inverse-distance-weighted warping (Ruprecht and Müller 1995), the W of the paper's Eq. 6.

Conventions: points are (x, y) in pixels, whole numbers at pixel centres; a field holds, for each pixel
of the result, the place in the source where its value is read (a backward warp); images are sampled
bilinearly and go on with their edge pixels beyond the border. Axis letters: b batch, n control points,
h and w pixels, c channels, k columns of values.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Approximant = Literal["identity", "affine"]

# Square pixels added to squared distances: keeps the weight of a control point at that point finite.
# The others' weights there are 1e-8 of it and less, so the map is exact to a millionth of a pixel and
# its gradient is finite.
_SOFTENING = 1e-8

# Weights held at once, 2 MB: strips of rows that stay in the processor's caches are several times
# faster.
_STRIP_ELEMENTS = 1 << 19


def inverse_distance_field(
    to_points: Float[Tensor, "b n 2"],
    from_points: Float[Tensor, "b n 2"],
    size: tuple[int, int],
    *,
    approximant: Approximant = "identity",
    border: bool = False,
) -> Float[Tensor, "b h w 2"]:
    """The map f of a global inverse-distance-weighted warp with exponent 2 (paper Eq. 6, the field of W).

        f(p) = sum_i w_i(p) f_i(p),   w_i(p) = |p - p_i|^-2 / sum_j |p - p_j|^-2,   f_i(p) = q_i + T_i
        (p - p_i)

    T_i is the identity, or the affine map that fits the neighbouring control points best. f(p_i) = q_i
    always.

    Args:
        to_points: control points p_i in the result (the NIR landmarks).
        from_points: control points q_i in the source (the VIS landmarks).
        size: height and width of the result.
        approximant: which T_i.
        border: adds eight control points on the image's border that stay where they are; without them
            the displacement far from the face tends to the mean one.

    Reference: D. Ruprecht and H. Müller, "Image warping with scattered data interpolation", IEEE CG&A
        1995.
    """
    same = to_points.new_ones(2), to_points.new_zeros(2)
    return _rescaled_field(to_points, from_points, size, same, approximant=approximant, border=border)


def sample(image: Float[Tensor, "b c h1 w1"], field: Float[Tensor, "b h w 2"]) -> Float[Tensor, "b c h w"]:
    """Reads an image bilinearly at the places of a field, in pixels."""
    scale, shift = _to_unit_square((image.shape[-2], image.shape[-1]), field)
    return _sample(image, torch.addcmul(shift, field, scale))


def inverse_distance_warp(
    image: Float[Tensor, "b c h w"],
    from_points: Float[Tensor, "b n 2"],
    to_points: Float[Tensor, "b n 2"],
    *,
    approximant: Approximant = "identity",
    border: bool = False,
) -> Float[Tensor, "b c h w"]:
    """Warps images so that their control points come to lie where wanted (paper Eq. 6: I_Warp = W(I_N, I_V)).

    Args:
        image: source images (I_V), any range.
        from_points: where the control points are in the source (landmarks of I_V).
        to_points: where they shall be (landmarks of I_N).
        approximant: see ``inverse_distance_field``.
        border: see ``inverse_distance_field``.
    """
    size = image.shape[-2], image.shape[-1]
    unit = _to_unit_square(size, to_points)
    grid = _rescaled_field(to_points, from_points, size, unit, approximant=approximant, border=border)
    return _sample(image, grid)


def _to_unit_square(size: tuple[int, int], like: Tensor) -> tuple[Float[Tensor, "2"], Float[Tensor, "2"]]:
    """Scale and shift from pixels to the units of ``grid_sample``: -1 to 1 between the outer edges."""
    height, width = size
    scale = like.new_tensor([2 / width, 2 / height])
    return scale, scale / 2 - 1


def _sample(image: Float[Tensor, "b c h1 w1"], grid: Float[Tensor, "b h w 2"]) -> Float[Tensor, "b c h w"]:
    """Reads an image at places in the units of ``grid_sample``."""
    return F.grid_sample(image, grid.to(image.dtype), padding_mode="border", align_corners=False)


def _rescaled_field(
    p: Float[Tensor, "b n 2"],
    q: Float[Tensor, "b n 2"],
    size: tuple[int, int],
    unit: tuple[Float[Tensor, "2"], Float[Tensor, "2"]],
    *,
    approximant: Approximant,
    border: bool,
) -> Float[Tensor, "b h w 2"]:
    """The field of ``inverse_distance_field`` times a scale plus a shift, in as few passes over the pixels.

    Args:
        p: control points in the result.
        q: control points in the source.
        size: height and width of the result.
        unit: scale and shift, for x and y.
        approximant: see there.
        border: see there.
    """
    scale, shift = unit
    if border:
        fixed = _border_points(size, p)
        p, q = torch.cat([p, fixed], 1), torch.cat([q, fixed], 1)
    x = torch.arange(size[1], dtype=p.dtype, device=p.device)
    y = torch.arange(size[0], dtype=p.dtype, device=p.device)
    pixel = torch.stack(torch.broadcast_tensors(x, y[:, None]))  # 2 h w
    if approximant == "identity":
        start = torch.addcmul(shift[:, None, None], pixel, scale[:, None, None])
        return _inverse_distance_mean(p, scale * (q - p), start).permute(1, 2, 3, 0)
    T = _local_affine_maps(p, q)
    offset = q - (T @ p[..., None]).squeeze(-1)
    values = torch.cat([(scale[:, None] * T).flatten(2), scale * offset], -1)
    mean = _inverse_distance_mean(p, values, pixel.new_zeros(6, *size))
    T_mean, offset_mean = mean[:4].unflatten(0, (2, 2)), mean[4:]
    return torch.einsum("rcbhw,chw->bhwr", T_mean, pixel) + offset_mean.permute(1, 2, 3, 0) + shift


def _inverse_distance_mean(
    points: Float[Tensor, "b n 2"], values: Float[Tensor, "b n k"], start: Float[Tensor, "k h w"]
) -> Float[Tensor, "k b h w"]:
    """Means of the points' values, weighted at each pixel by 1 / squared distance, added to ``start``."""
    k, height, width = start.shape
    x = torch.arange(width, dtype=points.dtype, device=points.device)
    y = torch.arange(height, dtype=points.dtype, device=points.device)
    rows_of_values = F.pad(values, (0, 1), value=1.0).mT.contiguous()  # the last row sums the weights
    dx2 = (x - points[..., 0, None]).square() + _SOFTENING  # b n w
    dy2 = (y - points[..., 1, None]).square()  # b n h
    strip = max(1, _STRIP_ELEMENTS // (dx2.shape[1] * width))
    starts = start.split(strip, dim=1)
    means = []
    for dx2_one, dy2_one, rows_one in zip(dx2, dy2, rows_of_values, strict=True):
        for dy2_strip, start_strip in zip(dy2_one.split(strip, dim=1), starts, strict=True):
            sums = _weighted_sums(rows_one, dx2_one, dy2_strip)
            means.append(torch.addcdiv(start_strip.flatten(1), sums[:-1], sums[-1:]))
    return torch.cat(means, 1).view(k, len(points), height, width)


def _weighted_sums(
    rows_of_values: Float[Tensor, "k n"], dx2: Float[Tensor, "n w"], dy2: Float[Tensor, "n h"]
) -> Float[Tensor, "k h*w"]:
    """Sums of the values weighted by 1 / squared distance.

    A function of its own, so that the weights are freed before the next strip asks for the same memory.
    """
    return rows_of_values @ (dy2[:, :, None] + dx2[:, None]).reciprocal_().flatten(1)


def _local_affine_maps(p: Float[Tensor, "b n 2"], q: Float[Tensor, "b n 2"]) -> Float[Tensor, "b n 2 2"]:
    """For each control point the T_i that carries its neighbours best, by weighted least squares.

    T_i = argmin_T sum_j |q_j - q_i - T (p_j - p_i)|^2 / (|p_j - p_i|^2 + 1). The added square pixel
    keeps lips that touch in one image and not in the other from making T_i arbitrarily steep.
    """
    dp = p[:, None] - p[:, :, None]  # b i j 2
    dq = q[:, None] - q[:, :, None]
    weight = 1 / (dp.square().sum(-1, keepdim=True) + 1)
    normal = (weight * dp).mT @ dp  # b i 2 2
    moment = (weight * dq).mT @ dp
    return moment @ torch.linalg.inv(normal)


def _border_points(size: tuple[int, int], like: Float[Tensor, "b n 2"]) -> Float[Tensor, "b 8 2"]:
    """The corners and the middles of the sides."""
    right, bottom = size[1] - 1, size[0] - 1
    at = [
        (x, y)
        for y in (0, bottom / 2, bottom)
        for x in (0, right / 2, right)
        if (x, y) != (right / 2, bottom / 2)
    ]
    return like.new_tensor(at).expand(len(like), -1, -1)
