"""Brings the weights of a trained Light CNN to their usual size without changing its unit features.

A cosine loss leaves the length of features free: in training it may grow to 10^5, and then no published
learning rate means anything, and float16 overflows. The max-feature-map, pooling by maximum and by mean are
positively homogeneous: f(a x) = a f(x) for a > 0. So each layer's weights may be divided by a number of their
own and its bias by the product of all numbers up to there; features are divided by the last product, and keep
their direction. The numbers are powers of two, so nothing is rounded.

Within a residual block, x + f(x), the number is one: both summands must shrink alike.
"""

import math
from copy import deepcopy

import torch
from torch import nn

from pcfh.recognisers.lightcnn.network import LightCNN, Residual


@torch.no_grad()
def rescaled(network: LightCNN) -> LightCNN:
    """A copy whose weights have a root mean square of about 1 / sqrt(inputs); its unit features are the same.

    Its head is left out, whose features those were.
    """
    copy = deepcopy(network)
    copy.fc2 = None
    inside = {
        id(layer) for block in copy.modules() if isinstance(block, Residual) for layer in block.modules()
    }
    whole = 1.0
    for layer in copy.modules():  # in the order of the layers, see the networks' constructors
        if isinstance(layer, nn.Conv2d | nn.Linear):
            own = 1.0 if id(layer) in inside else _power_of_two(layer)
            whole *= own
            layer.weight.div_(own)
            if layer.bias is not None:
                layer.bias.div_(whole)
    return copy


def _power_of_two(layer: nn.Conv2d | nn.Linear) -> float:
    """How many times larger the weights are than they should be, rounded to a power of two."""
    weight = layer.weight
    size = float(weight.square().mean().sqrt()) * math.sqrt(weight[0].numel())
    return 2.0 ** round(math.log2(size)) if size > 0 else 1.0
