"""What an adapted generator is worth beside the one it began with, found without knowing anybody.

Figures on near-infrared faces that were held back:

    own        mean cosine of F of the generated face to F of the near-infrared face itself: whether it is
               still the person
    colour     distance of the colours of generated faces from those of the portraits, in grey levels of 255:
               the mean over Y, Cb and Cr of the Wasserstein distance between all pixels from brows to mouth
    detail     how much smoother or grainier generated faces are than the portraits: the difference between
               the means of log10 of the variance of the Laplacian (``pcfh.preparation.training_range``)
    rebuilt    mean error of G_B's reconstruction of the near-infrared face, in grey levels: what Eq. 2 asks
               for. G_B learnt beside the new generator, so that this figure is for reading, not for deciding

Axis letters: n, m images, s side.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from pcfh.preparation.training_range import face_box, face_measures
from pcfh.ranges import LUMA, from_bytes, to_bytes
from pcfh.recognisers.lightcnn.network import to_lightcnn_input

_BATCH = 32
_QUANTILES = 256
# Differences that say nothing.
OWN_ALIKE, COLOUR_ALIKE, DETAIL_ALIKE = 0.02, 0.5, 0.05
_DRAWS, _CONFIDENCE = 40, 0.95


@dataclass(frozen=True, kw_only=True)
class Worth:
    """The figures of one generator."""

    own: float
    colour: float
    detail: float
    rebuilt: float


@dataclass(frozen=True, kw_only=True)
class Chance:
    """Distances from the portraits that so few faces have by chance, see ``chance_of``."""

    colour: float
    detail: float


def is_better(new: Worth, old: Worth, chance: Chance) -> bool:
    """Whether an adapted generator shall take the place of the old one.

    It does worse in none of own, colour and detail, and better in one of them; small differences do not
    count, nor do those between two distances that portraits of other people have, too.
    """
    gains = (
        (new.own - old.own) / OWN_ALIKE,
        (max(old.colour, chance.colour) - max(new.colour, chance.colour)) / COLOUR_ALIKE,
        (max(old.detail, chance.detail) - max(new.detail, chance.detail)) / DETAIL_ALIKE,
    )
    return min(gains) >= -1 and max(gains) > 1


def chance_of(portraits: UInt8[Tensor, "m 3 s s"], count: int) -> Chance:
    """How far some of the portraits lie from the others, as nineteen of twenty draws do at most.

    Args:
        portraits: of the user, at least two.
        count: of the generated faces; at most half of the portraits are drawn.
    """
    rng, some = np.random.default_rng(0), min(count, len(portraits) // 2)
    sharpness = _sharpness(portraits)
    pixels = _opponent(portraits).reshape(3, len(portraits), -1)
    colours, details = [], []
    for order in (rng.permutation(len(portraits)) for _ in range(_DRAWS)):
        drawn, others = order[:some], order[some:]
        colours.append(_wasserstein(*(pixels[:, part].reshape(3, -1) for part in (drawn, others))))
        details.append(abs(sharpness[drawn].mean() - sharpness[others].mean()))
    colour, detail = (float(np.quantile(found, _CONFIDENCE)) for found in (colours, details))
    return Chance(colour=colour, detail=detail)


@torch.no_grad()
def generate(
    generator: nn.Module, nir: UInt8[Tensor, "n 1 s s"], landmarks: Float[Tensor, "n 68 2"]
) -> UInt8[Tensor, "n 3 s s"]:
    """Faces as they are written."""
    made = [
        to_bytes(generator(from_bytes(some).expand(-1, 3, -1, -1), points))
        for some, points in zip(nir.split(_BATCH), landmarks.split(_BATCH), strict=True)
    ]
    return torch.cat(made)


@torch.no_grad()
def worth(
    generated: UInt8[Tensor, "n 3 s s"],
    nir: UInt8[Tensor, "n 1 s s"],
    portraits: UInt8[Tensor, "m 3 s s"],
    *,
    recognizer: nn.Module,
    G_B: nn.Module,
) -> Worth:
    """The figures of a generator.

    Args:
        generated: what it made of ``nir``.
        nir: near-infrared faces, held back.
        portraits: of the user.
        recognizer: F.
        G_B: as it has learnt.
    """
    owns, errors = [], []
    for made, seen in zip(generated.split(_BATCH), nir.split(_BATCH), strict=True):
        fake, real = from_bytes(made), from_bytes(seen).expand(-1, 3, -1, -1)
        first, second = (recognizer(to_lightcnn_input(images)).float() for images in (fake, real))
        owns += nn.functional.cosine_similarity(first, second).tolist()
        errors += (G_B(fake) - real).abs().mean((1, 2, 3)).tolist()
    return Worth(
        own=float(np.mean(owns)),
        colour=colour_distance(generated.cpu(), portraits.cpu()),
        detail=detail_distance(generated.cpu(), portraits.cpu()),
        rebuilt=127.5 * float(np.mean(errors)),
    )


def colour_distance(first: UInt8[Tensor, "n 3 s s"], second: UInt8[Tensor, "m 3 s s"]) -> float:
    """Distance between the colours of two sets of aligned faces, in grey levels; see the module."""
    return _wasserstein(_opponent(first), _opponent(second))


def detail_distance(first: UInt8[Tensor, "n 3 s s"], second: UInt8[Tensor, "m 3 s s"]) -> float:
    """Difference between the sharpness of two sets of aligned faces; see the module."""
    return float(abs(_sharpness(first).mean() - _sharpness(second).mean()))


def _sharpness(images: UInt8[Tensor, "n 3 s s"]) -> Float[np.ndarray, " n"]:
    greys = (np.tensordot(LUMA, image.numpy(), 1).round().astype(np.uint8) for image in images)
    return np.array([face_measures(grey[..., None], None)["sharpness"] for grey in greys])


def _wasserstein(first: Float[np.ndarray, "3 k"], second: Float[np.ndarray, "3 m"]) -> float:
    """The mean over the channels of the distance between their values."""
    places = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    quantiles = [np.quantile(values, places, axis=1) for values in (first, second)]
    return float(np.abs(quantiles[0] - quantiles[1]).mean())


def _opponent(images: UInt8[Tensor, "n 3 s s"]) -> Float[np.ndarray, "3 k"]:
    """Y, Cb and Cr of all pixels from brows to mouth, in grey levels; Cb and Cr are 0 for grey."""
    rows, columns = face_box(images.shape[-1])
    red, green, blue = images[..., rows, columns].numpy().astype(np.float32).transpose(1, 0, 2, 3)
    luma = LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue
    blueness, redness = (blue - luma) / (2 - 2 * LUMA[2]), (red - luma) / (2 - 2 * LUMA[0])
    return np.stack([luma.ravel(), blueness.ravel(), redness.ravel()])


def faces_in_rows(rows: Sequence[UInt8[Tensor, "n 3 s s"]], most: int) -> UInt8[Tensor, "3 h w"]:
    """A picture grid: a column for each of the first faces."""
    return torch.cat([torch.cat(list(row[:most]), 2) for row in rows], 1)
