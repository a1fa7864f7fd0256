"""The person's own detail: what is fine in a generated face comes in part from the near-infrared image.

A generator paints what it has learnt; where a camera, a beard or glasses are unlike the training, it paints
somebody else. What is coarse (colour, shading) it knows well. So the generated luminance is kept at coarse
scales, and at fine ones mixed with that of the input:

    Y = B(Y_P) + (1 - a) (Y_P - B(Y_P)) + a (X - B(X))

P is the painted face, Y_P its luminance, X the near-infrared image, B a Gaussian blur, a the input's share.
Chromaticity is P's. Where X is larger than P, what is finer than P's pixels is X's alone.

Images are in [-1, 1]. Axis letters: b batch, s and t sides of the painted face and of the input.
"""

import math

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pcfh.methods.blur import gaussian_blur
from pcfh.ranges import luma_weights

SPREAD = 1 / 32  # standard deviation of the blur, of the side


def with_own_detail(
    painted: Float[Tensor, "b 3 s s"], nir: Float[Tensor, "b 3 t t"], share: float
) -> Float[Tensor, "b 3 t t"]:
    """The painted face with some of the input's detail, as large as the input.

    Args:
        painted: faces.
        nir: what they were painted from, as large or a whole number of times larger; three equal channels.
        share: a, from 0 for the painted face to 1 for no painted detail.
    """
    side = nir.shape[-1]
    seen = own = nir[:, :1]
    if side != painted.shape[-1]:
        seen = _enlarged(F.avg_pool2d(own, side // painted.shape[-1]), side)
        painted = _enlarged(painted, side)
    luma = (painted * luma_weights(painted).view(1, 3, 1, 1)).sum(1, keepdim=True)
    sigma, other = SPREAD * side, seen - luma
    other_detail = other - gaussian_blur(other, sigma, math.ceil(3 * sigma))  # of X less that of Y_P
    return (painted + share * other_detail + (own - seen)).clamp(-1, 1)


def _enlarged(images: Float[Tensor, "b c s s"], side: int) -> Float[Tensor, "b c t t"]:
    return F.interpolate(images, size=side, mode="bilinear", align_corners=False)
