"""Devices by name."""

import torch

from pcfh.errors import UserError


def usable_device(name: str, local_rank: int = 0) -> torch.device:
    """Looks a device up and tries it.

    Args:
        name: "auto" (a GPU if there is one), or a device as PyTorch names it.
        local_rank: of this process on its machine: which GPU "cuda" means.

    Raises:
        UserError: it is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        name = f"cuda:{local_rank}"
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise UserError(
            f"device {name!r} is not usable here; expected auto, cpu, cuda or cuda:1 where there is a GPU"
        ) from error
