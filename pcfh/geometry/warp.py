"""Global inverse-distance-weighted warping (Ruprecht and Müller 1995), the W of the paper's Eq. 6.

Conventions: points are (x, y) in pixels, whole numbers at pixel centres; a field holds, for each pixel
of the result, the place in the source where its value is read (a backward warp); images are sampled
bilinearly and go on with their edge pixels beyond the border. Axis letters: b batch, n control points,
h and w pixels, c channels.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

# Square pixels added to squared distances: keeps the weight of a control point at that point finite.
# The others' weights there are 1e-8 of it and less, so the map is exact to a millionth of a pixel and
# its gradient is finite.
_SOFTENING = 1e-8

# Weights held at once, 2 MB: strips of rows that stay in the processor's caches are several times
# faster.
_STRIP_ELEMENTS = 1 << 19


def inverse_distance_field(
    to_points: Float[Tensor, "b n 2"], from_points: Float[Tensor, "b n 2"], size: tuple[int, int]
) -> Float[Tensor, "b h w 2"]:
    """The map f of a global inverse-distance-weighted warp with exponent 2 (paper Eq. 6, the field of W).

        f(p) = p + sum_i w_i(p) (q_i - p_i),   w_i(p) = |p - p_i|^-2 / sum_j |p - p_j|^-2

    f(p_i) = q_i always; far from the face the displacement tends to the mean one.

    Args:
        to_points: control points p_i in the result (the NIR landmarks).
        from_points: control points q_i in the source (the VIS landmarks).
        size: height and width of the result.

    Reference: D. Ruprecht and H. Müller, "Image warping with scattered data interpolation", IEEE CG&A
        1995.
    """
    return _rescaled_field(to_points, from_points, size, (to_points.new_ones(2), to_points.new_zeros(2)))


def sample(image: Float[Tensor, "b c h1 w1"], field: Float[Tensor, "b h w 2"]) -> Float[Tensor, "b c h w"]:
    """Reads an image bilinearly at the places of a field, in pixels."""
    scale, shift = _to_unit_square((image.shape[-2], image.shape[-1]), field)
    return _sample(image, torch.addcmul(shift, field, scale))


def inverse_distance_warp(
    image: Float[Tensor, "b c h w"], from_points: Float[Tensor, "b n 2"], to_points: Float[Tensor, "b n 2"]
) -> Float[Tensor, "b c h w"]:
    """Warps images so that their control points come to lie where wanted (paper Eq. 6: I_Warp = W(I_N, I_V)).

    Args:
        image: source images (I_V), any range.
        from_points: where the control points are in the source (landmarks of I_V).
        to_points: where they shall be (landmarks of I_N).
    """
    size = image.shape[-2], image.shape[-1]
    return _sample(image, _rescaled_field(to_points, from_points, size, _to_unit_square(size, to_points)))


def _to_unit_square(size: tuple[int, int], like: Tensor) -> tuple[Float[Tensor, "2"], Float[Tensor, "2"]]:
    """Scale and shift from pixels to the units of ``grid_sample``: -1 to 1 between the outer edges."""
    height, width = size
    # One by one: a tensor of both would be a copy from the host.
    scale = torch.stack([like.new_full((), 2 / width), like.new_full((), 2 / height)])
    return scale, scale / 2 - 1


def _sample(image: Float[Tensor, "b c h1 w1"], grid: Float[Tensor, "b h w 2"]) -> Float[Tensor, "b c h w"]:
    """Reads an image at places in the units of ``grid_sample``."""
    return F.grid_sample(image, grid.to(image.dtype), padding_mode="border", align_corners=False)


def _rescaled_field(
    p: Float[Tensor, "b n 2"],
    q: Float[Tensor, "b n 2"],
    size: tuple[int, int],
    unit: tuple[Float[Tensor, "2"], Float[Tensor, "2"]],
) -> Float[Tensor, "b h w 2"]:
    """The field of ``inverse_distance_field`` times a scale plus a shift, in as few passes over the pixels.

    Args:
        p: control points in the result.
        q: control points in the source.
        size: height and width of the result.
        unit: scale and shift, for x and y.
    """
    scale, shift = unit
    x = torch.arange(size[1], dtype=p.dtype, device=p.device)
    y = torch.arange(size[0], dtype=p.dtype, device=p.device)
    pixel = torch.stack(torch.broadcast_tensors(x, y[:, None]))  # 2 h w
    start = torch.addcmul(shift[:, None, None], pixel, scale[:, None, None])
    values = F.pad(scale * (q - p), (0, 1), value=1.0).mT.contiguous()  # b 3 n; the last row sums the weights
    dx2 = (x - p[..., 0, None]).square() + _SOFTENING  # b n w
    dy2 = (y - p[..., 1, None]).square()  # b n h
    # Kernels are dear to start on a GPU, and memory is plenty.
    field = _strips if p.device.type == "cpu" else _all_at_once
    return field(values, dx2, dy2, start)


def _strips(
    values: Float[Tensor, "b 3 n"],
    dx2: Float[Tensor, "b n w"],
    dy2: Float[Tensor, "b n h"],
    start: Float[Tensor, "2 h w"],
) -> Float[Tensor, "b h w 2"]:
    """The fields, one image and one strip of rows after the other."""
    rows = max(1, _STRIP_ELEMENTS // dx2[0].numel())
    strips = []
    for values_one, dx2_one, dy2_one in zip(values, dx2, dy2, strict=True):
        for dy2_strip, start_strip in zip(dy2_one.split(rows, dim=1), start.split(rows, dim=1), strict=True):
            sums = _weighted_sums(values_one, dx2_one, dy2_strip)
            strips.append(torch.addcdiv(start_strip.flatten(1), sums[:-1], sums[-1:]))
    return torch.cat(strips, 1).view(2, len(values), *start.shape[1:]).permute(1, 2, 3, 0)


def _all_at_once(
    values: Float[Tensor, "b 3 n"],
    dx2: Float[Tensor, "b n w"],
    dy2: Float[Tensor, "b n h"],
    start: Float[Tensor, "2 h w"],
) -> Float[Tensor, "b h w 2"]:
    """The fields of all images in one product, without strips."""
    sums = values @ (dy2[..., None] + dx2[:, :, None]).reciprocal_().flatten(2)
    field = torch.addcdiv(start.flatten(1), sums[:, :-1], sums[:, -1:])
    return field.view(len(values), *start.shape).permute(0, 2, 3, 1)


def _weighted_sums(
    values: Float[Tensor, "3 n"], dx2: Float[Tensor, "n w"], dy2: Float[Tensor, "n h"]
) -> Float[Tensor, "3 h*w"]:
    """Sums of the values weighted by 1 / squared distance.

    A function of its own, so that the weights are freed before the next strip asks for the same memory.
    """
    return values @ (dy2[:, :, None] + dx2[:, None]).reciprocal_().flatten(1)
