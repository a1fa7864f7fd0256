"""Files of Light CNN weights: the published checkpoints and our own, read without running what is in them.

A file is .safetensors, or what ``torch.save`` wrote: a state dict, or a dict that holds one as "state_dict"
(so the published files). Keys may carry the prefix "module." that training on several GPUs leaves.
"""

import json
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from pcfh import __version__
from pcfh.errors import UserError
from pcfh.recognisers.lightcnn.network import LightCNN, build_lightcnn
from pcfh.weight_files import RECOGNIZER, refuse_other, write_weights

# The key by which each network is known from the others.
_MARKS: Mapping[str, str] = {
    "fc1.filter.weight": "lightcnn9",
    "fc.filter.weight": "lightcnn29",
    "fc.weight": "lightcnn29v2",
}


def load_recognizer(path: Path, *, head: bool = False) -> LightCNN:
    """Loads a Light CNN for recognition: in evaluation mode, its weights fixed, on the CPU in 32 bits.

    Args:
        path: of the weights; which of the three networks they belong to shows in their keys.
        head: whether to keep the layer that tells the people of the training apart.

    Raises:
        UserError: there is no such file, it is damaged, it holds things other than weights, or other weights.
    """
    tensors = _read(path)
    arch = next((arch for mark, arch in _MARKS.items() if mark in tensors), None)
    if arch is None:
        raise UserError(f"{path}: expected the weights of a Light CNN, got {_some(tensors)}")
    if not head:
        tensors = {key: tensor for key, tensor in tensors.items() if not key.startswith("fc2.")}
    classes = len(tensors["fc2.weight"]) if "fc2.weight" in tensors else None
    with torch.device("meta"):
        model = build_lightcnn(arch, classes)
    _require_fit(tensors, model.state_dict(), f"{path}: not the weights of {arch}")
    model.load_state_dict({key: tensor.float() for key, tensor in tensors.items()}, assign=True)
    return model.requires_grad_(False).eval()


def save_recognizer(path: Path, network: LightCNN, about: Mapping[str, Any]) -> None:
    """Writes a network without its head, in 16 bits.

    Halving the numbers' bits turns features by less than a thousandth of a right angle and halves the file.

    Args:
        path: to write.
        network: its weights.
        about: where it comes from, plain data.
    """
    metadata = {"format": RECOGNIZER, "version": __version__, "about": json.dumps(about)}
    weights = {k: tensor.half() for k, tensor in network.state_dict().items() if not k.startswith("fc2.")}
    write_weights(path, weights, metadata)


def read_about(path: Path) -> Mapping[str, Any]:
    """What a recognizer.safetensors says of its training, plain data; empty for other files.

    Raises:
        UserError: what it says is no JSON object.
    """
    if path.suffix != ".safetensors":
        return {}
    with safetensors.safe_open(path, framework="pt") as file:
        text = (file.metadata() or {}).get("about", "{}")
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: what it says of its training is damaged; take another copy") from error


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by key, without the prefix."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; give the path of a Light CNN's weights")
    refuse_other(path, RECOGNIZER)
    content: Any = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    if isinstance(content, dict):
        content = content.get("state_dict", content)
    if not _is_state_dict(content):
        raise UserError(f"{path}: expected a dict of tensors by name, or one under 'state_dict'")
    if all(key.startswith("module.") for key in content):
        content = {key.removeprefix("module."): tensor for key, tensor in content.items()}
    return dict(content)


def _is_state_dict(content: Any) -> bool:
    """Whether it is a dict of tensors by name."""
    return isinstance(content, dict) and all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()
    )


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    """Reads a .safetensors file."""
    try:
        return safetensors.torch.load_file(path)
    except safetensors.SafetensorError as error:
        raise UserError(f"{path}: damaged, or not a .safetensors file ({error}); fetch it again") from error


def _read_torch(path: Path) -> Any:
    """Reads what ``torch.save`` wrote, tensors and plain containers only; nothing in the file is run."""
    try:
        # Its warnings are about the pickle protocol, and what cannot be read is refused below anyway.
        with warnings.catch_warnings(action="ignore"):
            return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise UserError(
            f"{path}: refused, and nothing in it was run: it holds Python objects other than weights, or is "
            "no PyTorch file; save its state dict alone, best as .safetensors"
        ) from error
    except Exception as error:  # a damaged file leads the reader astray in any way
        raise UserError(f"{path}: damaged or cut short ({type(error).__name__}); fetch it again") from error


def _require_fit(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], text: str) -> None:
    """Refuses weights whose keys or shapes are not those of the network, naming the first few."""
    faults = {
        "missing": [key for key in expected if key not in tensors],
        "unexpected": [key for key in tensors if key not in expected],
        "of another shape": [
            f"{key} {tuple(tensors[key].shape)} for {tuple(tensor.shape)}"
            for key, tensor in expected.items()
            if key in tensors and tensors[key].shape != tensor.shape
        ],
    }
    found = [f"{kind}: {_some(keys)}" for kind, keys in faults.items() if keys]
    if found:
        raise UserError("; ".join([text, *found]))


def _some(names: Iterable[str]) -> str:
    """The first few names, and how many there are in all."""
    names = list(names)
    return ", ".join(names[:3]) + (f", ... ({len(names)} in all)" if len(names) > 3 else "")
