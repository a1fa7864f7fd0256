"""Files of generators: the network's weights in safetensors, with what is needed to build and describe it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from pcfh import __version__
from pcfh.errors import UserError
from pcfh.levels import has_levels, put_levels_before
from pcfh.methods.base import VARIABLE, kind_of, known_methods, resolved
from pcfh.methods.familiar import MEASURES, known_range, put_familiar_before
from pcfh.preparation.training_range import Range, range_in
from pcfh.weight_files import GENERATOR, read_weights, refuse_other, write_weights

_MOST = 4096  # of anything that a generator's description counts
LEVELS = "skin"  # the one kind of levels there is, see ``pcfh.levels``


def save_generator(path: Path, generator: nn.Module, about: Mapping[str, Any], *, half: bool = False) -> None:
    """Writes a generator with what is needed to build and describe it.

    Args:
        path: to write.
        generator: of a known method.
        about: where it comes from (step, data, ...), plain data; ``before`` lists what it had learnt from
            when its training began, see ``training_history``.
        half: in 16 bits: half as large, and no more for a training to start from.
    """
    metadata = {
        "format": GENERATOR,
        "version": __version__,
        "kind": kind_of(generator),
        "arguments": json.dumps(generator.arguments),
        "about": json.dumps(about),
    }
    if has_levels(generator):
        metadata["levels"] = LEVELS
    if known := known_range(generator):
        metadata["familiar"] = json.dumps(known)
    weights = generator.state_dict()
    if half:
        weights = {name: weight.half() for name, weight in weights.items()}
    write_weights(path, weights, metadata)


def fits_16_bits(generator: nn.Module) -> bool:
    """Whether its weights lose nothing in 16 bits, as those from such a file."""
    return all(bool((w == w.half()).all()) for w in generator.state_dict().values())


def load_generator(path: Path) -> tuple[Any, Mapping[str, Any]]:
    """Reads what ``save_generator`` wrote: the network in evaluation mode, and what is known about it.

    Raises:
        UserError: absent, damaged, or not a generator of this program, this version or a known method.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected the generator.safetensors of a training run")
    refuse_other(path, GENERATOR)
    try:
        weights, metadata = read_weights(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: not a readable safetensors file ({error})") from error
    if metadata.get("format") != GENERATOR:
        raise UserError(
            f"{path}: expected a generator ({GENERATOR}), got "
            f"{metadata.get('format', 'no format mark')}; use the generator.safetensors of a training run"
        )
    network = _network_of(path, metadata)
    try:
        about = {"version": metadata["version"], **json.loads(metadata["about"])}
        training_history(about)  # raises where ``before`` is not as it should be
        arguments = json.loads(metadata["arguments"])
        _require_bounded(arguments)
        with torch.device("meta"):  # a false description may ask for more memory than there is
            generator = network(**arguments)
        generator.load_state_dict({name: w.to(torch.float32) for name, w in weights.items()}, assign=True)
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{path}: its weights do not fit its own description; the file is damaged, take another copy"
        ) from error
    if not all(bool(torch.isfinite(tensor).all()) for tensor in generator.state_dict().values()):
        raise UserError(f"{path}: holds weights that are not finite (NaN); take another copy, or train anew")
    levels = metadata.get("levels")
    if levels not in (None, LEVELS):
        raise UserError(f"{path}: wants levels {levels!r}, which this version does not know; update pcfh")
    if levels:
        put_levels_before(generator)
    if "familiar" in metadata:
        put_familiar_before(generator, _range_of(path, metadata["familiar"]))
    return generator.eval().requires_grad_(False), about


def _range_of(path: Path, text: str) -> Range:
    """The range that a file's generator brings its pictures into."""
    try:
        return range_in(json.loads(text), MEASURES)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path}: says no range of its training ({error}); the file is damaged, take another copy"
        ) from error


def as_trained(generator: Any) -> Any:
    """What a training goes on with: the generator without what was put on top of it afterwards.

    Args:
        generator: of any method; one that can be more than was trained has a method of this name.
    """
    own = getattr(generator, "as_trained", None)
    return generator if own is None else own()


def _require_bounded(arguments: Mapping[str, Any]) -> None:
    """Refuses numbers that no network has: a description may ask for more layers than can ever be made.

    Raises:
        ValueError: one is too large, or they are no numbers.
    """
    values = [value for item in arguments.values() for value in (item if isinstance(item, list) else [item])]
    if len(values) > _MOST or any(
        isinstance(value, int | float) and not abs(value) <= _MOST for value in values
    ):
        raise ValueError("more than a network can have")


def _network_of(path: Path, metadata: Mapping[str, str]) -> Any:
    """The class of a file's network; nothing is imported because a file says so."""
    kind = metadata.get("kind", "pcfh")  # the first versions knew no other and did not write it
    methods = known_methods()
    if kind in methods:
        return resolved(methods[kind].network)
    if ":" in kind:
        raise UserError(
            f"{path}: a generator of the method {kind}, which is not part of this program. If you trust that "
            f"code, name it: {VARIABLE}={kind} in the environment"
        )
    raise UserError(
        f"{path}: expected a generator of one of the methods {', '.join(methods)}, got {kind!r}; it was "
        f"written by pcfh {metadata.get('version')}, take that version"
    )


def training_history(about: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """All that a generator has learnt from: its own training, and those of the weights it began with.

    Each is named by its ``training_data`` and ``protocol``, and by its ``people`` where the file says them
    (see ``pcfh.preparation.manifest.learnt_from``); a mean has learnt what its parts have.

    Args:
        about: what ``load_generator`` says of it.

    Raises:
        KeyError: ``before`` is not such a list.
        TypeError: likewise.
    """
    keys = ("training_data", "protocol")
    own = [about] if all(key in about for key in keys) else []
    return [
        {key: str(training[key]) for key in keys}
        | ({"people": [*map(str, training["people"])]} if "people" in training else {})
        for training in (*about.get("before", ()), *own)
    ]
