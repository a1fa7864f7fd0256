"""Facial parts: where they lie, cutting them out and putting them back (paper Sec. 3.2 and 4.2).

Boxes are whole pixels at each face's own landmarks, so what is put back lands exactly where it was cut,
for any pose. Axis letters: b batch, c channels, s side of the image, h and w sides of the part.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pcfh.errors import UserError
from pcfh.geometry.scheme import LEFT_EYE, MOUTH, NOSE, RIGHT_EYE


@dataclass(frozen=True)
class Part:
    """One facial part: the landmarks whose mean is its middle, and the patch's height and width in pixels."""

    name: str
    landmarks: slice
    height: int
    width: int


def _parts(eye: tuple[int, int], nose: tuple[int, int], mouth: tuple[int, int]) -> tuple[Part, ...]:
    return (
        Part("left_eye", LEFT_EYE, *eye),
        Part("right_eye", RIGHT_EYE, *eye),
        Part("nose", NOSE, *nose),
        Part("mouth", MOUTH, *mouth),
    )


# Paper Sec. 4.2 gives 144 and 256. The face has the same scale at 128 as at 144, and half of it at 64.
PARTS: Mapping[int, tuple[Part, ...]] = {
    64: _parts((16, 16), (20, 16), (16, 28)),
    128: _parts((32, 32), (40, 32), (28, 52)),
    144: _parts((32, 32), (40, 32), (28, 52)),
    256: _parts((52, 52), (60, 52), (36, 72)),
}


def parts_of(size: int) -> tuple[Part, ...]:
    """Looks up the parts of one image size.

    Raises:
        UserError: no patches are defined for that size.
    """
    if size not in PARTS:
        raise UserError(
            f"no facial parts for images of {size} pixels; known sizes: {', '.join(map(str, PARTS))}"
        )
    return PARTS[size]


def part_corner(landmarks: Float[Tensor, "b 68 2"], part: Part, size: int) -> Int[Tensor, "b 2"]:
    """Top left pixel (x, y) of a part's box, moved inside the image where the part lies at the border.

    Args:
        landmarks: in pixels of the image.
        part: whose box.
        size: side of the image.
    """
    # Axis by axis with plain numbers: a tensor of both sides would be a copy from the host at every step.
    x, y = landmarks[:, part.landmarks].mean(1).unbind(1)
    return torch.stack([_corner(x, part.width, size), _corner(y, part.height, size)], 1)


def _corner(middle: Float[Tensor, " b"], side: int, size: int) -> Int[Tensor, " b"]:
    """First pixel of a box around a middle, along one axis."""
    corner = (middle - side / 2 + 1).floor()  # rounds halves upwards: round() would depend on the place
    return corner.clamp(min=0).clamp(max=size - side).long()


def cut(images: Float[Tensor, "b c s s"], corner: Int[Tensor, "b 2"], part: Part) -> Float[Tensor, "b c h w"]:
    """Cuts each image's own box out, all images at once."""
    index = _pixel_index(corner, part, images.shape[-1]).expand(-1, images.shape[1], -1)
    return images.flatten(2).gather(2, index).unflatten(2, (part.height, part.width))


def paste(
    images: Float[Tensor, "b c s s"],
    patches: Float[Tensor, "b c h w"],
    corner: Int[Tensor, "b 2"],
    part: Part,
) -> Float[Tensor, "b c s s"]:
    """Puts patches into each image's own box; the images given are left as they are."""
    index = _pixel_index(corner, part, images.shape[-1]).expand(-1, images.shape[1], -1)
    return images.flatten(2).scatter(2, index, patches.flatten(2)).view_as(images)


def max_out(
    features: Float[Tensor, "b c s s"],
    patches: Float[Tensor, "b c h w"],
    corner: Int[Tensor, "b 2"],
    part: Part,
    *,
    ramp: int = 0,
) -> Float[Tensor, "b c s s"]:
    """Fuses a part's feature map with the whole face's: their maximum, inside its box (Sec. 3.2).

    Args:
        features: of the whole faces.
        patches: of the part.
        corner: of its boxes, (x, y).
        part: which.
        ramp: pixels from the box's border over which the maximum takes the place of the whole face's features
            step by step, so that no border is seen; 0, as in the paper, takes the maximum everywhere.
    """
    own = cut(features, corner, part)
    fused = torch.maximum(own, patches)
    if ramp:
        fused = own + ramp_window(part, ramp, own.device).to(own.dtype) * (fused - own)
    return paste(features, fused, corner, part)


def ramp_window(part: Part, ramp: int, device: torch.device | None = None) -> Float[Tensor, "h w"]:
    """Weights of a part's box: near 0 at its border, 1 from ``ramp`` pixels inwards."""
    return _rise(part.height, ramp, device)[:, None] * _rise(part.width, ramp, device)


def _rise(length: int, ramp: int, device: torch.device | None) -> Float[Tensor, " n"]:
    """Rises from both ends, symmetric; made on the device, so that no forward pass waits for a copy."""
    place = torch.arange(length, device=device) + 0.5
    return torch.minimum(place, length - place).div(ramp).clamp(max=1)


def _pixel_index(corner: Int[Tensor, "b 2"], part: Part, size: int) -> Int[Tensor, "b 1 hw"]:
    """Places of the box's pixels in the flattened image, row by row."""
    x = corner[:, 0, None] + torch.arange(part.width, device=corner.device)
    y = corner[:, 1, None] + torch.arange(part.height, device=corner.device)
    return (y[:, :, None] * size + x[:, None, :]).flatten(1)[:, None]
