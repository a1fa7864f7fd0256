"""Brings each near-infrared picture into the range that a generator knows, before the generator sees it.

    c(x) = blur(x)^gamma

A generator is at a loss with grain, sharpening and contrasts that it has never seen, but it does well on
c(x). Of a few blurs and curves each picture gets the mildest that brings it about as near to the range of
the training as any does (``familiar_input`` finds one for all pictures of a camera). A picture that lies in
the range, or near it, stays as it is, bit by bit.

Images are in [-1, 1]. Axis letters: b batch, k candidates, s side of the image, t that of what is measured.
"""

import math
from collections.abc import Mapping
from itertools import product

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from pcfh.levels import gain_of, has_levels, levelled, skin_grey
from pcfh.methods.blur import gaussian_blur
from pcfh.preparation.training_range import Range, face_box

# Of ``pcfh.preparation.training_range``; a blur and a curve move them.
MEASURES = ("brightness", "contrast", "sharpness")
BLURS = (0.0, 0.5, 0.75, 1.0, 1.5)  # standard deviations in pixels of 128, mildest first
GAMMAS = (1.0, 0.7, 1.4, 0.5, 2.0)  # mildest first
ALIKE = 0.02  # difference of distances that is not worth a stronger change
SIDE = 128  # that the range is measured at
_CANDIDATES = tuple(product(BLURS, GAMMAS))  # mildest first; the first changes nothing
FAR = 0.3  # widths of a range; pictures that are nearer stay as they are
_DARKEST = 1e-6


def made_familiar(
    nir: Float[Tensor, "b 3 s s"], landmarks: Float[Tensor, "b 68 2"], known: Range, *, levels: bool
) -> Float[Tensor, "b 3 s s"]:
    """The pictures, each blurred and under another curve where that makes it more like the training.

    Args:
        nir: aligned faces, three equal channels.
        landmarks: (x, y) in pixels of ``nir``.
        known: the range of the training, of ``MEASURES`` at least.
        levels: whether the generator levels what it is given; then what is changed is level, too.
    """
    seen = levelled(nir, landmarks) if levels else nir
    choice = mildest(distances(seen, landmarks, known, levels=levels))
    side = nir.shape[-1]
    blurs = _blurred((seen[:, :1] + 1) / 2, side)
    place = (choice // len(GAMMAS)).view(-1, 1, 1, 1).expand(-1, 1, side, side)
    gamma = torch.tensor(GAMMAS, device=nir.device)[choice % len(GAMMAS)].view(-1, 1, 1, 1)
    changed = _shown(blurs.gather(1, place) ** gamma).to(nir.dtype)
    return torch.where(choice.view(-1, 1, 1, 1) == 0, nir, changed)


def distances(
    seen: Float[Tensor, "b 3 s s"], landmarks: Float[Tensor, "b 68 2"], known: Range, *, levels: bool
) -> Float[Tensor, "b k"]:
    """How far each picture lies from the range under each blur and curve, by its largest measure; 0 inside.

    A picture that is less sharp than the range is not far for that.
    """
    side = seen.shape[-1]
    light = _at_128((seen[:, :1].float() + 1) / 2)
    blurs, gammas = _blurred(light, SIDE), torch.tensor(GAMMAS, device=seen.device)
    rows, columns = face_box(SIDE)
    faces = blurs[:, :, None, rows, columns] ** gammas.view(-1, 1, 1)
    if levels:
        points = (landmarks.float() + 0.5) * (SIDE / side) - 0.5
        # A curve keeps the order of greys, and so their median.
        skin = torch.stack([skin_grey(_shown(light), points) for light in blurs.split(1, 1)], 1)
        gain = gain_of(skin[:, :, None] ** gammas)
        faces = (faces * gain[..., None, None]).clamp(max=1)
    measured = measures(faces.flatten(0, 2)).view(len(MEASURES), -1, len(_CANDIDATES))
    ranges = torch.tensor([known[name] for name in MEASURES], device=seen.device).view(len(MEASURES), 2, 1, 1)
    low, high = ranges.expand(-1, -1, seen.shape[0], 1).unbind(1)  # len() would fix the batch in an export
    width = (high - low).clamp(min=1e-9)
    # No picture is asked to be sharper than it is: a curve would only pretend to it.
    sharpest = torch.tensor([name == "sharpness" for name in MEASURES], device=seen.device)[:, None, None]
    low = torch.where(sharpest, torch.minimum(low, measured[:, :, :1]), low)
    return (torch.maximum(low - measured, measured - high) / width).amax(0).clamp(min=0)


def measures(face: Float[Tensor, "n h w"]) -> Float[Tensor, "3 n"]:
    """``MEASURES`` of faces.

    Args:
        face: grey, from 0 for black to 1 for white: the ``face_box`` of crops of 128 pixels.
    """
    bend = (
        4 * face[:, 1:-1, 1:-1]
        - face[:, :-2, 1:-1]
        - face[:, 2:, 1:-1]
        - face[:, 1:-1, :-2]
        - face[:, 1:-1, 2:]
    )
    sharpness = _variance(bend).clamp(min=_DARKEST).log10()
    return torch.stack([face.mean((1, 2)), _variance(face).sqrt(), sharpness])


def mildest(distances: Float[Tensor, "b k"]) -> Int[Tensor, " b"]:
    """The first candidate that is about as near as any; the very first where that is not far away."""
    near = distances <= distances.amin(1, keepdim=True) + ALIKE
    near[:, 0] |= distances[:, 0] <= FAR
    places = torch.arange(distances.shape[1], device=distances.device)
    return torch.where(near, places, distances.shape[1]).amin(1)


def put_familiar_before(generator: nn.Module, known: Range) -> None:
    """Lets a generator bring what it is given into a range; its file says so (``known_range``).

    Args:
        generator: called with NIR images and landmarks; images without landmarks are taken as they are.
        known: the range of its training.
    """
    if known_range(generator) is None:
        generator.register_forward_pre_hook(_make_familiar, prepend=True)  # before levels are set
    generator.known_range = {name: known[name] for name in MEASURES}  # type: ignore[assignment]


def known_range(generator: nn.Module) -> Range | None:
    """The range that a generator brings its pictures into; None for one that takes them as they are."""
    found: Mapping[str, tuple[float, float]] | None = getattr(generator, "known_range", None)
    return found


def _make_familiar(generator: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
    known = known_range(generator)
    if len(given) < 2 or known is None:
        return None
    return (made_familiar(given[0], given[1], known, levels=has_levels(generator)), *given[1:])


def _at_128(light: Float[Tensor, "b 1 s s"]) -> Float[Tensor, "b 1 t t"]:
    """Resized as Pillow does it with bilinear weights; halves written out, as ONNX needs it."""
    if light.shape[-1] == 2 * SIDE:
        weights = light.new_tensor([1, 3, 3, 1]) / 8
        light = F.pad(light, [1] * 4, mode="replicate")
        down = F.conv2d(light, weights.view(1, 1, -1, 1), stride=(2, 1))
        return F.conv2d(down, weights.view(1, 1, 1, -1), stride=(1, 2))
    if light.shape[-1] == SIDE:
        return light
    return F.interpolate(light, size=SIDE, mode="bilinear", align_corners=False)


def _shown(light: Float[Tensor, "b 1 s s"]) -> Float[Tensor, "b 3 s s"]:
    return (2 * light - 1).expand(-1, 3, -1, -1)


def _blurred(light: Float[Tensor, "b 1 s s"], side: int) -> Float[Tensor, "b k s s"]:
    """All blurs, the least first."""
    sigmas = [blur * side / SIDE for blur in BLURS]
    whole = [gaussian_blur(light, s, math.ceil(3 * s)) if s else light for s in sigmas]
    return torch.cat(whole, 1).clamp(min=0)


def _variance(values: Float[Tensor, "b h w"]) -> Float[Tensor, " b"]:
    return (values - values.mean((1, 2), keepdim=True)).square().mean((1, 2))
