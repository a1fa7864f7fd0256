"""Light CNN-9, -29 and -29v2: a grey face in, 256 numbers out that tell people apart.

Images are grey in [0, 1], 128 x 128; the eyes' middle lies 64 pixels from the left edge and 40 from the
top, the mouth 48 below it. Any other alignment ruins the accuracy. Features are compared by their cosine.
Modules carry the names of the published checkpoints, so that those load key by key; the one of "29v2" has
80,013 classes, the others 79,077.

Axis letters: b batch, c, c1, c2 channels, d features, h and w pixels, k classes, s side of an image.

Reference:
    Wu, He, Sun and Tan, "A Light CNN for Deep Face Representation with Noisy Labels", IEEE TIFS 2018,
    https://arxiv.org/abs/1511.02683
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pcfh.errors import UserError
from pcfh.ranges import luma_weights

FEATURES = 256
LAST_MAP = 128 * 8 * 8


def max_feature_map(x: Float[Tensor, "b c1 *rest"]) -> Float[Tensor, "b c2 *rest"]:
    """The larger of the two halves of the channels, element by element."""
    if x.requires_grad:
        y: Tensor = _MaxFeatureMap.apply(x)  # type: ignore[no-untyped-call]
        return y
    first, second = x.chunk(2, 1)
    return torch.maximum(first, second)


class _MaxFeatureMap(torch.autograd.Function):
    """``torch.maximum`` of the halves with a cheaper gradient; a training step takes two thirds of the time.

    Where both halves are equal, the second one gets the gradient.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """The larger half."""
        first, second = x.chunk(2, 1)
        ctx.save_for_backward(first - second)
        return torch.maximum(first, second)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """The gradient goes to whichever half was larger."""
        (lead,) = ctx.saved_tensors
        first = torch.ops.aten.threshold_backward(gradient, lead, 0.0)  # the gradient of a rectifier
        return torch.cat([first, gradient - first], 1)


class MFMConv(nn.Module):
    """Convolution that keeps the size, followed by the max-feature-map."""

    def __init__(self, c1: int, c2: int, kernel: int = 3) -> None:
        super().__init__()
        self.filter = nn.Conv2d(c1, 2 * c2, kernel, padding=kernel // 2)

    def forward(self, x: Float[Tensor, "b c1 h w"]) -> Float[Tensor, "b c2 h w"]:
        """Filters, then keeps the stronger of each pair of channels."""
        return max_feature_map(self.filter(x))


class MFMLinear(nn.Module):
    """Fully connected layer followed by the max-feature-map."""

    def __init__(self, c1: int, c2: int) -> None:
        super().__init__()
        self.filter = nn.Linear(c1, 2 * c2)

    def forward(self, x: Float[Tensor, "b c1"]) -> Float[Tensor, "b c2"]:
        """Filters, then keeps the stronger of each pair of features."""
        return max_feature_map(self.filter(x))


class Group(nn.Module):
    """A 1 x 1 and a 3 x 3 max-feature-map convolution."""

    def __init__(self, c1: int, c2: int) -> None:
        super().__init__()
        self.conv_a = MFMConv(c1, c1, 1)
        self.conv = MFMConv(c1, c2)

    def forward(self, x: Float[Tensor, "b c1 h w"]) -> Float[Tensor, "b c2 h w"]:
        """Selects among the channels, then among the filters."""
        y: Tensor = self.conv(self.conv_a(x))
        return y


class Residual(nn.Module):
    """x + f(x) with two max-feature-map convolutions."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.conv1 = MFMConv(c, c)
        self.conv2 = MFMConv(c, c)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Adds the convolutions' output to their input."""
        y: Tensor = x + self.conv2(self.conv1(x))
        return y


class LightCNN(nn.Module):
    """What the three networks share: a head for the classes of their training, or none.

    Args:
        classes: people the head tells apart; None leaves the head out, for use as a recogniser.
        bias: whether the head has one.
    """

    def __init__(self, classes: int | None, *, bias: bool = True) -> None:
        super().__init__()
        self.fc2 = None if classes is None else nn.Linear(FEATURES, classes, bias=bias)

    def logits(self, features: Float[Tensor, "b 256"]) -> Float[Tensor, "b k"]:
        """Scores of the classes, from features with half of them dropped in training."""
        assert self.fc2 is not None, "this Light CNN was built without classes"
        scores: Tensor = self.fc2(F.dropout(features, 0.5, self.training))
        return scores

    @property
    def last_layer(self) -> nn.Module:
        """The layer that turns the last map into features; most of the weights are its."""
        raise NotImplementedError

    def last_map(self, x: Float[Tensor, "b 1 128 128"]) -> Float[Tensor, "b 8192"]:
        """What all layers before the last one make of faces."""
        raise NotImplementedError

    def forward(self, x: Float[Tensor, "b 1 128 128"]) -> Float[Tensor, "b 256"]:
        """Features of faces, before dropout."""
        y: Tensor = self.last_layer(self.last_map(x))
        return y


class LightCNN9(LightCNN):
    """Light CNN-9: nine convolutions, no residual blocks."""

    def __init__(self, classes: int | None = None) -> None:
        super().__init__(classes)
        self.features = nn.Sequential(
            MFMConv(1, 48, 5),
            nn.MaxPool2d(2),
            Group(48, 96),
            nn.MaxPool2d(2),
            Group(96, 192),
            nn.MaxPool2d(2),
            Group(192, 128),
            Group(128, 128),
            nn.MaxPool2d(2),
        )
        self.fc1 = MFMLinear(LAST_MAP, FEATURES)
        initialise(self)

    @property
    def last_layer(self) -> nn.Module:
        """See ``LightCNN``."""
        return self.fc1

    def last_map(self, x: Float[Tensor, "b 1 128 128"]) -> Float[Tensor, "b 8192"]:
        """See ``LightCNN``."""
        y: Tensor = self.features(x).flatten(1)
        return y


class LightCNN29(LightCNN):
    """Light CNN-29: ten residual blocks between the groups.

    Args:
        classes: people the head tells apart; None leaves the head out.
        bias: whether the head has one.
    """

    def __init__(self, classes: int | None = None, *, bias: bool = True) -> None:
        super().__init__(classes, bias=bias)
        self.conv1 = MFMConv(1, 48, 5)
        self.block1, self.group1 = residuals(1, 48), Group(48, 96)
        self.block2, self.group2 = residuals(2, 96), Group(96, 192)
        self.block3, self.group3 = residuals(3, 192), Group(192, 128)
        self.block4, self.group4 = residuals(4, 128), Group(128, 128)
        self.fc = self.feature_layer()
        initialise(self)

    def feature_layer(self) -> nn.Module:
        """The layer behind the last map."""
        return MFMLinear(LAST_MAP, FEATURES)

    def pool(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h//2 w//2"]:
        """Halves a map: the largest of 2 x 2 pixels."""
        return F.max_pool2d(x, 2)

    @property
    def last_layer(self) -> nn.Module:
        """See ``LightCNN``."""
        return self.fc

    def last_map(self, x: Float[Tensor, "b 1 128 128"]) -> Float[Tensor, "b 8192"]:
        """See ``LightCNN``."""
        x = self.pool(self.conv1(x))  # b 48 64 64
        x = self.pool(self.group1(self.block1(x)))  # b 96 32 32
        x = self.pool(self.group2(self.block2(x)))  # b 192 16 16
        x = self.group3(self.block3(x))  # b 128 16 16
        x = self.pool(self.group4(self.block4(x)))  # b 128 8 8
        return x.flatten(1)


class LightCNN29v2(LightCNN29):
    """Light CNN-29v2: pools by maximum plus mean, plain linear features, a head without bias."""

    def __init__(self, classes: int | None = None) -> None:
        super().__init__(classes, bias=False)
        self._make_up_for_pooling()

    @torch.no_grad()
    def _make_up_for_pooling(self) -> None:
        """Halves what goes into each pool, since maximum plus mean is about twice the maximum."""
        for layer in (self.conv1, self.group1.conv, self.group2.conv, self.group4.conv):
            for parameter in layer.parameters():
                parameter.mul_(0.5)

    def feature_layer(self) -> nn.Module:
        """The layer behind the last map."""
        return nn.Linear(LAST_MAP, FEATURES)

    def pool(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h//2 w//2"]:
        """Halves a map: the largest of 2 x 2 pixels plus their mean."""
        return F.max_pool2d(x, 2) + F.avg_pool2d(x, 2)


ARCHITECTURES: Mapping[str, type[LightCNN9 | LightCNN29 | LightCNN29v2]] = {
    "lightcnn9": LightCNN9,
    "lightcnn29": LightCNN29,
    "lightcnn29v2": LightCNN29v2,
}


def build_lightcnn(arch: str, classes: int | None = None) -> LightCNN:
    """Builds a Light CNN by name: "lightcnn9", "lightcnn29" or "lightcnn29v2".

    Raises:
        UserError: there is none of that name.
    """
    if arch not in ARCHITECTURES:
        raise UserError(f"no recogniser {arch!r}; known: {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[arch](classes)


def residuals(count: int, c: int) -> nn.Sequential:
    """A row of residual blocks."""
    return nn.Sequential(*(Residual(c) for _ in range(count)))


@torch.no_grad()
def initialise(model: LightCNN) -> None:
    """Draws weights with which signals keep their strength through the depth, so that training starts.

    The larger of two independent numbers, symmetric about 0 with mean square s, has mean square s itself.
    So weights of variance 1 / fan_in keep the mean square, where rectifiers need He's 2 / fan_in. The last
    convolution of each residual block starts at a tenth, or ten sums would multiply the signal by a
    thousand; the head too, so that all classes start equal. The first layer sees grey as (grey - 1/2) /
    (1/4), about the mean and spread of faces.
    """
    if next(model.parameters()).is_meta:
        return  # its weights will be read; to draw none costs a second of imports inside torch
    for name, weight in model.named_parameters():
        gain = 0.1 if name.endswith(("conv2.filter.weight", "fc2.weight")) else 1.0
        if weight.ndim == 1:
            weight.zero_()
        else:
            weight.normal_(0, gain / math.sqrt(weight[0].numel()))
    first = next(layer for layer in model.modules() if isinstance(layer, nn.Conv2d))
    first.weight.mul_(4)
    assert first.bias is not None
    first.bias.copy_(-0.5 * first.weight.sum((1, 2, 3)))


def to_lightcnn_input(images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b 1 128 128"]:
    """Turns aligned colour crops into what a Light CNN reads: grey in [0, 1], the aligned crop of 128 pixels.

    The crops fit into each other: 144 is cut, 256 halved by averaging, 64 (for tests only) doubled.

    Args:
        images: RGB in [-1, 1], aligned crops of 64, 128, 144 or 256 pixels.

    Raises:
        UserError: the crops have another size.
    """
    grey = (images * luma_weights(images).view(1, 3, 1, 1)).sum(1, keepdim=True) / 2 + 0.5
    match images.shape[-1]:
        case 64:
            return F.interpolate(grey, scale_factor=2.0, mode="bilinear", align_corners=False)
        case 128:
            return grey
        case 144:
            return grey[..., 8:136, 8:136]
        case 256:
            return F.avg_pool2d(grey, 2)
    raise UserError(
        f"recognisers read aligned crops of 64, 128, 144 or 256 pixels, got {images.shape[-1]}; align them so"
    )
