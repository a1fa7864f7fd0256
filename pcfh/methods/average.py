"""One generator with the mean of the weights of several.

Trainings that begin with the same weights and see other data, in another order or with other terms end near
each other, each beside the best place by its own noise; their mean lies nearer to it than any of them.

Reference: Wortsman et al., "Model soups: averaging weights of multiple fine-tuned models improves accuracy
without increasing inference time", ICML 2022.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from pcfh.errors import UserError
from pcfh.files import sha256_of
from pcfh.levels import has_levels
from pcfh.methods.base import kind_of
from pcfh.methods.familiar import known_range
from pcfh.methods.files import load_generator, training_history


def mean_generator(paths: Sequence[Path]) -> tuple[Any, Mapping[str, Any]]:
    """The mean of the weights of generators of one kind and size; a file named twice counts twice.

    Args:
        paths: generator files, at least two.

    Returns:
        The network, and where it comes from.

    Raises:
        UserError: fewer than two, a file is absent or damaged, or they hold different networks.
    """
    if len(paths) < 2:
        raise UserError(f"the mean of {len(paths)} generator: expected two or more files")
    first, about = load_generator(paths[0])
    before = training_history(about)
    sums = {name: weight.double() for name, weight in first.state_dict().items()}
    for path in paths[1:]:
        other, about = load_generator(path)
        before += [training for training in training_history(about) if training not in before]
        if (kind_of(other), other.arguments) != (kind_of(first), first.arguments):
            raise UserError(
                f"{path}: holds the generator {kind_of(other)} {other.arguments}, and {paths[0]} "
                f"{kind_of(first)} {first.arguments}; only weights of one network have a mean"
            )
        if has_levels(other) != has_levels(first):
            raise UserError(f"{path}: only one of it and {paths[0]} was trained with training.levels")
        if known_range(other) != known_range(first):
            raise UserError(
                f"{path}: it and {paths[0]} bring pictures into different ranges; average them before "
                "pcfh models familiar"
            )
        for name, weight in other.state_dict().items():
            sums[name] += weight
    with torch.no_grad():
        first.load_state_dict({name: total / len(paths) for name, total in sums.items()})
    return first, {"mean_of": [sha256_of(path) for path in paths], "before": before}
