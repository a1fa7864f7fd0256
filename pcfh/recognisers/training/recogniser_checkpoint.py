"""What the training of a recogniser keeps: a checkpoint to go on from, and the weights to recognise with.

Files are written whole or not at all. The place in the data is the step, because the stream of faces is a
function of it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from pcfh import __version__
from pcfh.errors import UserError
from pcfh.files import write_atomically
from pcfh.recognisers.lightcnn.network import LightCNN
from pcfh.training.checkpoint import restore, save_checkpoint

_FORMAT = "pcfh-recognizer-run-1"
_WEIGHTS_FORMAT = "pcfh-recognizer-1"


@dataclass(kw_only=True)
class RecognizerState:
    """Everything that a step changes.

    Attributes:
        model: with the head that tells the training people apart.
        average: moving average of its weights, which recognises.
        optimizer: of the model.
        step: how many steps are done.
    """

    model: LightCNN
    average: LightCNN
    optimizer: torch.optim.Optimizer
    step: int = 0


def save_state(path: Path, state: RecognizerState, identity: Mapping[str, Any]) -> None:
    """Writes a checkpoint.

    Args:
        path: to write.
        state: what to keep.
        identity: what must be the same when the run goes on: recipe and data; plain data.
    """
    save_checkpoint(path, state, identity, mark=_FORMAT)


def load_state(path: Path, state: RecognizerState, identity: Mapping[str, Any]) -> None:
    """Restores a state that was built from the same recipe.

    Raises:
        UserError: the file is damaged, of another format, or belongs to another run.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises half a dozen unrelated types for a damaged file
        raise UserError(f"{path}: damaged, or not a checkpoint; start in a new run folder") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise UserError(f"{path}: not a checkpoint of a recogniser's training; start in a new run folder")
    restore(path, content, state, identity)


def save_recognizer(path: Path, network: LightCNN, about: Mapping[str, Any]) -> None:
    """Writes a network without its head, in 16 bits, as ``pcfh.recognisers.lightcnn.weights`` reads it.

    Halving the numbers' bits turns features by less than a thousandth of a right angle and halves the file.

    Args:
        path: to write.
        network: its weights.
        about: where it comes from, plain data.
    """
    metadata = {"format": _WEIGHTS_FORMAT, "version": __version__, "about": json.dumps(about)}
    weights = {
        key: tensor.half().contiguous().cpu()
        for key, tensor in network.state_dict().items()
        if not key.startswith("fc2.")
    }
    write_atomically(path, save(weights, metadata))
