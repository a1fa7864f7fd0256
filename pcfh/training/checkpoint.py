"""What a training run keeps: a checkpoint to go on from, and the generator to translate with.

A checkpoint holds weights, buffers, moving average, optimizer, step and random state. The place in the data
is the step, because pairs are a function of it. Files are written whole or not at all.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn

from pcfh import __version__
from pcfh.config import completed
from pcfh.errors import UserError
from pcfh.files import atomic_path
from pcfh.methods.base import Method
from pcfh.methods.translators import Translator

_FORMAT = 1
_KEYS = frozenset(("version", "identity", "step", "model", "average", "optimizer", "rng"))


@runtime_checkable
class Resumable(Protocol):
    """What a training run can go on from; see ``State``."""

    optimizer: torch.optim.Optimizer
    step: int

    @property
    def model(self) -> nn.Module:
        """What is trained."""

    @property
    def average(self) -> nn.Module:
        """The moving average of what the run is for."""


@dataclass(kw_only=True)
class State:
    """Everything that a step changes.

    Attributes:
        method: with all networks.
        average: moving average of its translator.
        optimizer: of all networks.
        step: how many steps are done.
    """

    method: Method
    average: Translator
    optimizer: torch.optim.Optimizer
    step: int = 0

    @property
    def model(self) -> nn.Module:
        """All networks."""
        return self.method.networks


def save_checkpoint(
    path: Path, state: Resumable, identity: Mapping[str, Any], *, mark: str | int = _FORMAT
) -> None:
    """Writes a checkpoint.

    Args:
        path: to write.
        state: what to keep.
        identity: what must be the same when the run goes on: configuration, data, recogniser; plain
            data.
        mark: of this kind of checkpoint.
    """
    content = {
        "format": mark,
        "version": __version__,
        "identity": json.dumps(identity),
        "step": state.step,
        "model": state.model.state_dict(),
        "average": state.average.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "rng": torch.get_rng_state(),
    }
    with atomic_path(path) as temporary:
        torch.save(content, temporary)


def load_checkpoint(path: Path, state: State, identity: Mapping[str, Any]) -> None:
    """Restores a state that was built from the same configuration.

    Raises:
        UserError: the file is damaged, of another format, or belongs to another run (the text lists
            what differs).
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises half a dozen unrelated types for a damaged file
        # Its text is left out: it would advise to switch the protection off.
        raise UserError(
            f"{path}: not a readable checkpoint, it is damaged or of another program; start in a new run "
            "folder"
        ) from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT or not content.keys() >= _KEYS:
        raise UserError(f"{path}: not a checkpoint of this version of pcfh; start in a new run folder")
    restore(path, content, state, identity)


def restore(path: Path, content: Mapping[str, Any], state: Resumable, identity: Mapping[str, Any]) -> None:
    """Brings a state to what a checkpoint holds.

    Args:
        path: of the checkpoint, for messages.
        content: what ``save_checkpoint`` wrote there.
        state: built from the same configuration.
        identity: of the run that goes on.

    Raises:
        UserError: the checkpoint belongs to another run (the text lists what differs), or to other networks.
    """
    kept, wanted = json.loads(content["identity"]), json.loads(json.dumps(identity))
    different = _differences(completed(kept), completed(wanted))
    if different:
        raise UserError(
            f"{path} belongs to another run:\n  " + "\n  ".join(different) + "\nstart in a new run folder, "
            "or give the settings of that run to go on with it"
        )
    try:
        state.model.load_state_dict(content["model"])
        state.average.load_state_dict(content["average"])
        state.optimizer.load_state_dict(content["optimizer"])
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"{path}: written by pcfh {content['version']}, whose networks were others; start in a new "
            "run folder"
        ) from error
    state.step = content["step"]
    torch.set_rng_state(content["rng"])


def _differences(kept: Mapping[str, Any], wanted: Mapping[str, Any], prefix: str = "") -> list[str]:
    """One line for each value that is not the same."""
    lines = []
    for key in sorted({*kept, *wanted}):
        a, b = kept.get(key), wanted.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            lines += _differences(a, b, f"{prefix}{key}.")
        elif a != b:
            lines.append(f"{prefix}{key}: the run has {a!r}, now {b!r}")
    return lines
