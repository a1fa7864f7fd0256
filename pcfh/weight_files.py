"""Files of weights: written so that equal content gives equal bytes, and told from each other.

What there is:

    generator.safetensors, best.safetensors    a generator, to translate with
    recognizer.safetensors                     a recogniser
    tuned.safetensors                          a recogniser that was tuned to NIR and VIS faces
    checkpoint.pt                              a training, to resume; of either
"""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from pcfh.errors import UserError
from pcfh.files import write_atomically

TUNED = "pcfh-tuned-1"
GENERATOR, RECOGNIZER, CHECKPOINT = "pcfh-generator-1", "pcfh-recognizer-1", "pcfh-checkpoint-2"
_WORDS = {
    GENERATOR: "a generator, which turns NIR into VIS faces",
    RECOGNIZER: "a recogniser",
    TUNED: "a recogniser that was tuned to NIR and VIS faces, to be compared",
    CHECKPOINT: "the checkpoint of a training, to resume it",
}
_USUAL_NAME = {
    GENERATOR: "generator.safetensors",
    RECOGNIZER: "recognizer.safetensors",
    TUNED: "tuned.safetensors",
}


def write_weights(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Writes a .safetensors file whole or not at all; equal content gives equal bytes.

    Args:
        path: to write.
        tensors: by name.
        metadata: texts by name, "format" among them.
    """
    data = save({name: tensor.contiguous().cpu() for name, tensor in tensors.items()}, dict(metadata))
    # safetensors writes the metadata in another order each time, so the header is written anew.
    (length,) = struct.unpack("<Q", data[:8])
    header = json.dumps(json.loads(data[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    # Not safetensors' own writing of files, which lets nobody else read them.
    write_atomically(path, struct.pack("<Q", len(header)) + header + data[8 + length :])


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a .safetensors file; copies, which outlive it.

    Raises:
        SafetensorError: it is none, or damaged.
        OSError: it cannot be read.
    """
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name).clone() for name in file.keys()}, file.metadata() or {}  # noqa: SIM118


def refuse_other(path: Path, wanted: str) -> None:
    """Refuses a file that is known to hold something else than is wanted, and names the right one.

    Args:
        path: of an existing file.
        wanted: ``GENERATOR`` or ``RECOGNIZER``.

    Raises:
        UserError: it is something else of this program.
    """
    found = format_of(path)
    if found not in _WORDS or found == wanted:
        return
    name = _USUAL_NAME[wanted]
    beside = path.with_name(name)
    remedy = str(beside) if beside.is_file() and beside != path else f"a {name}"
    raise UserError(f"{path}: is {_WORDS[found]}; expected {_WORDS[wanted]}: give {remedy}")


def format_of(path: Path) -> Any:
    """The mark of a file's format, or None where it has none that can be read."""
    try:
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get("format")
    except (SafetensorError, OSError):
        pass
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)["format"]
    except Exception:  # whatever a file that is neither leads the reader into
        return None
