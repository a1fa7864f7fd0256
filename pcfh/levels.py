"""One exposure for all: a gain that brings the skin of every NIR face to the same grey.

A generator learns what a face of a certain brightness looks like; real cameras differ by five stops.
Brightness is measured where skin is known to be, at places between the landmarks, and there by the median:
lamps, glints on glasses, surroundings, margins and hair do not move it.

Images are in [-1, 1]. Axis letters: b batch, s side of the image.
"""

from functools import cache

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

SKIN = 0.68  # grey of the skin after the gain, from 0 for black to 1 for white
MOST_GAIN = 10.0
_CELL = 1 / 32  # of the side: skin is looked at in cells of this size, so that noise does not matter

# Pairs of landmarks and how far from the first to the second: cheeks, below the eyes, nose, chin.
_LEFT = [
    *((jaw, 31, share) for jaw in (1, 2, 3) for share in (0.35, 0.5, 0.65, 0.8)),
    *((jaw, 48, share) for jaw in (3, 4, 5) for share in (0.4, 0.6)),
    *((eye, 48, share) for eye in (40, 41) for share in (0.35, 0.5)),
    *((57, 7, share) for share in (0.5, 0.7)),
]
_MIRROR = {1: 15, 2: 14, 3: 13, 4: 12, 5: 11, 7: 9, 31: 35, 48: 54, 40: 47, 41: 46, 57: 57}
_MIDDLE = [(27, 28, 0.5), (28, 29, 0.5), (29, 30, 0.3), (57, 8, 0.5), (57, 8, 0.7)]
_PLACES = [*_LEFT, *((_MIRROR[a], _MIRROR[b], share) for a, b, share in _LEFT), *_MIDDLE]


def skin_grey(nir: Float[Tensor, "b 3 s s"], landmarks: Float[Tensor, "b 68 2"]) -> Float[Tensor, " b"]:
    """Median grey of the skin, from 0 for black to 1 for white.

    Args:
        nir: aligned faces, three equal channels.
        landmarks: (x, y) in pixels of ``nir``.
    """
    side = nir.shape[-1]
    cell = max(1, round(side * _CELL))
    cells = F.avg_pool2d((nir[:, :1].float() + 1) / 2, cell, ceil_mode=True, count_include_pad=False)
    first, second, share = _places(nir.device)
    points = torch.lerp(landmarks[:, first].float(), landmarks[:, second].float(), share)
    grid = (2 * points + 1) / side - 1
    found = F.grid_sample(cells, grid[:, None], padding_mode="border", align_corners=False)
    return found.flatten(1).sort(1).values[:, len(_PLACES) // 2]  # the median, in a form that ONNX has


def levelled(nir: Float[Tensor, "b 3 s s"], landmarks: Float[Tensor, "b 68 2"]) -> Float[Tensor, "b 3 s s"]:
    """The images times a gain each, so that the skin's grey is ``SKIN``; white is the brightest."""
    gain = gain_of(skin_grey(nir, landmarks))
    light = (nir + 1) / 2 * gain[:, None, None, None].to(nir.dtype)
    return 2 * light.clamp(max=1) - 1


def gain_of(skin: Float[Tensor, " *b"]) -> Float[Tensor, " *b"]:
    """What brings skin of some grey, from 0 for black to 1 for white, to ``SKIN``."""
    return (SKIN / skin.clamp(min=1e-3)).clamp(max=MOST_GAIN)


def put_levels_before(generator: nn.Module) -> None:
    """Lets a generator level what it is given, in training and in use; its file says so (``has_levels``).

    Args:
        generator: called with NIR images and landmarks; images without landmarks are taken as levelled.
    """
    if not has_levels(generator):
        generator.has_levels = True  # type: ignore[assignment]
        generator.register_forward_pre_hook(_level_input)


def has_levels(generator: nn.Module) -> bool:
    """Whether ``put_levels_before`` was called for a generator, or for the one that it is a copy of."""
    return getattr(generator, "has_levels", False)


def _level_input(_: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
    return (levelled(given[0], given[1]), *given[1:]) if len(given) > 1 else None


@cache
def _places(device: torch.device) -> tuple[Tensor, Tensor, Float[Tensor, "n 1"]]:
    first, second, share = zip(*_PLACES, strict=True)
    with torch.inference_mode(False):
        return (
            torch.tensor(first, device=device),
            torch.tensor(second, device=device),
            torch.tensor(share, device=device)[:, None],
        )
