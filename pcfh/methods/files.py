"""Files of generators: the network's weights in safetensors, with what is needed to build and describe it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from pcfh import __version__
from pcfh.errors import UserError
from pcfh.files import write_atomically
from pcfh.methods.translators import KINDS, Translator, kind_of

_GENERATOR_FORMAT = "pcfh-generator-1"


def save_generator(path: Path, average: Translator, about: Mapping[str, Any]) -> None:
    """Writes a translator alone, in safetensors, with what is needed to build and describe it.

    Args:
        path: to write.
        average: its weights.
        about: where it comes from (step, data, ...), plain data; ``before`` lists what it had learnt from
            when its training began, see ``lessons``.
    """
    metadata = {
        "format": _GENERATOR_FORMAT,
        "version": __version__,
        "kind": kind_of(average),
        "arguments": json.dumps(average.arguments),
        "about": json.dumps(about),
    }
    # Not safetensors' own writing of files, which lets nobody else read them.
    write_atomically(path, save({k: v.contiguous() for k, v in average.state_dict().items()}, metadata))


def load_generator(path: Path) -> tuple[Translator, Mapping[str, Any]]:
    """Reads what ``save_generator`` wrote: the network in evaluation mode, and what is known about it.

    Raises:
        UserError: absent, damaged, or not a generator of this program or of this version.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected the generator.safetensors of a training run")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            # Copies, because the file's own tensors lie in the file.
            weights = {key: file.get_tensor(key).to(torch.float32, copy=True) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: not a readable safetensors file ({error})") from error
    if metadata.get("format") != _GENERATOR_FORMAT:
        raise UserError(
            f"{path}: expected a generator ({_GENERATOR_FORMAT}), got "
            f"{metadata.get('format', 'no format mark')}; use the generator.safetensors of a training run"
        )
    kind = metadata.get("kind", "pcfh")  # the first versions knew no other and did not write it
    if kind not in KINDS:
        raise UserError(
            f"{path}: expected a generator of one of the kinds {', '.join(KINDS)}, got {kind!r}; it was "
            f"written by pcfh {metadata.get('version')}, take that version"
        )
    try:
        about = {"version": metadata["version"], **json.loads(metadata["about"])}
        lessons(about)  # raises where ``before`` is no list of lessons
        with torch.device("meta"):  # a false description may ask for more memory than there is
            generator = KINDS[kind](**json.loads(metadata["arguments"]))
        generator.load_state_dict(weights, assign=True)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(
            f"{path}: its weights do not fit its own description; the file is damaged, take another copy"
        ) from error
    return generator.eval().requires_grad_(False), about


def lessons(about: Mapping[str, Any]) -> list[Mapping[str, str]]:
    """All that a generator has learnt from: its own training, and those of the weights it began with.

    Each is named by its ``training_data`` and ``protocol``; a mean has learnt what its parts have.

    Args:
        about: what ``load_generator`` says of it.

    Raises:
        KeyError: ``before`` is not such a list.
        TypeError: likewise.
    """
    keys = ("training_data", "protocol")
    own = [about] if all(key in about for key in keys) else []
    return [{key: str(lesson[key]) for key in keys} for lesson in (*about.get("before", ()), *own)]
