"""Devices by name."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from pcfh.config import Precision
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


def gpu_gigabytes(name: str) -> float | None:
    """Memory of the GPU that a name means, see ``usable_device``; None where it means none."""
    device = usable_device(name)
    return torch.cuda.get_device_properties(device).total_memory / 1e9 if device.type == "cuda" else None


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Moves a tensor of the host; a GPU fetches it by itself, while the host goes on."""
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def mixed_precision(bf16: bool, like: Tensor) -> AbstractContextManager[None]:
    """Autocast to bfloat16 on the device of a tensor, where that is asked for: mixed precision."""
    if not bf16:
        return nullcontext()
    return torch.autocast(like.device.type, torch.bfloat16)


def mixes(precision: Precision, device: torch.device) -> bool:
    """Whether to compute in bfloat16 on a device; "auto" does so where that is faster.

    PyTorch emulates bfloat16 on processors without instructions for it, ten times slower than 32 bits
    and more.

    Args:
        precision: "auto", "fp32" or "bf16".
        device: where it is computed.
    """
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # Older releases of PyTorch cannot tell; 32 bits are the safe choice.
    capabilities: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return device.type == "cpu" and bool(capabilities.get("avx512_bf16"))
