"""What a training run can be resumed from, and the check that it is the same run.

A checkpoint holds weights, buffers, moving average, optimizer, step and random state. The place in the data
is the step, because what a step sees is a function of it. Files are written whole or not at all.
"""

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pcfh import __version__
from pcfh.errors import UserError
from pcfh.files import atomic_path
from pcfh.journal import require_same
from pcfh.typed_json import from_json_text
from pcfh.weight_files import CHECKPOINT as FORMAT

STEPS = "steps"  # in an identity: the planned end, past which a run may be extended
_KEYS = frozenset(("version", "identity", "step", "best", "networks", "average", "optimizer", "rng"))


@dataclass(kw_only=True)
class State:
    """Everything that a step changes.

    Attributes:
        networks: all that learn.
        average: moving average of the one that the run is for.
        optimizer: of all networks.
        step: how many steps are done.
        best: the best score so far on the people held out; none yet where empty.
    """

    networks: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0
    best: tuple[float, ...] = ()


def save_checkpoint(path: Path, state: State, identity: Mapping[str, Any]) -> None:
    """Writes a checkpoint.

    Args:
        path: to write.
        state: what to keep.
        identity: what must be the same when the run is resumed: settings, data, ...; plain data.
    """
    content = {
        "format": FORMAT,
        "version": __version__,
        "identity": json.dumps(identity),
        "step": state.step,
        "best": list(state.best),
        "networks": state.networks.state_dict(),
        "average": state.average.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "rng": torch.get_rng_state(),
    }
    # To a file object: torch would write the temporary name into the file, and tell of a full disk otherwise.
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        torch.save(_plain(content), file)


def _plain(value: Any) -> Any:
    """Equal content in equal objects: which of them are one object shows in the file's bytes."""
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value))
    return sys.intern(value) if isinstance(value, str) else value


def load_checkpoint(path: Path, state: State, identity: Mapping[str, Any], *, extend: bool = False) -> None:
    """Restores a state that was built from the same settings.

    Args:
        path: of the checkpoint.
        state: to restore.
        identity: of the run that is resumed.
        extend: whether its planned end may be later than the checkpoint's.

    Raises:
        UserError: the file is damaged, of another format, or belongs to another run (the text lists
            what differs).
    """
    content = _read(path)
    _require_same(path, content["identity"], identity, extend=extend)
    try:
        state.networks.load_state_dict(content["networks"])
        state.average.load_state_dict(content["average"])
        state.optimizer.load_state_dict(content["optimizer"])
        _lay_out_as_parameters(state.optimizer)
        torch.set_rng_state(content["rng"])
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise UserError(
            f"{path}: written by pcfh {content['version']}, whose networks were others; start in a new "
            "run folder"
        ) from error
    if not _is_whole(state, content):
        raise UserError(f"{path}: its numbers cannot be those of a training; start in a new run folder")
    state.step, state.best = content["step"], tuple(content["best"])


def _is_whole(state: State, content: Mapping[str, Any]) -> bool:
    """Whether the numbers that were loaded are of the kind that ``save_checkpoint`` writes, and finite."""
    weights = (*state.networks.state_dict().values(), *state.average.state_dict().values())
    moments = (v for values in state.optimizer.state.values() for v in values.values() if torch.is_tensor(v))
    rates = (group.get("full_rate") for group in state.optimizer.param_groups)
    return (
        isinstance(content["step"], int)
        and 0 <= content["step"] <= content["identity"].get(STEPS, 0)
        and isinstance(content["best"], list)
        and all(isinstance(value, int | float) and math.isfinite(value) for value in content["best"])
        and all(isinstance(rate, int | float) and math.isfinite(rate) for rate in rates)
        and all(bool(torch.isfinite(tensor).all()) for tensor in (*weights, *moments))
    )


def _lay_out_as_parameters(optimizer: torch.optim.Optimizer) -> None:
    """Gives what belongs to a parameter its layout in memory, which differs from device to device."""
    for parameter, kept in optimizer.state.items():
        for name, value in kept.items():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape and value.ndim:
                kept[name] = torch.empty_like(parameter).copy_(value)


def _read(path: Path) -> dict[str, Any]:
    """What ``save_checkpoint`` wrote; nothing in the file is run."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises half a dozen unrelated types for a damaged file
        # Its text is left out: it would advise to switch the protection off.
        raise UserError(
            f"{path}: not a readable checkpoint, it is damaged or of another program; start in a new run "
            "folder"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT or not content.keys() >= _KEYS:
        raise UserError(f"{path}: not a checkpoint of this version of pcfh; start in a new run folder")
    try:
        return {
            **content,
            "identity": from_json_text(content["identity"].encode(), dict, "the identity of a run"),
        }
    except (UserError, AttributeError) as error:
        raise UserError(f"{path}: is damaged ({error}); start in a new run folder") from error


def _require_same(path: Path, found: Mapping[str, Any], expected: Mapping[str, Any], *, extend: bool) -> None:
    """Refuses to resume another run, or to end this one elsewhere where nobody asked for it."""
    before, now = found.get(STEPS, 0), expected[STEPS]
    require_same(path, {**found, STEPS: now}, expected, work="training")
    if before != now and not (extend and before < now):
        raise UserError(
            f"{path}: this run was planned to end at step {before}, and is now to end at {now}; repeat its "
            "steps, or give more and --extend"
        )
