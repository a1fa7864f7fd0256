"""Several recognisers as one, for the identity terms of a training.

A generator that learns from one recogniser paints in part for that one alone. Several have fewer blind spots
in common. Their features stand side by side, each of norm one before the mean of the training's VIS captures
is taken away, and after it, so that the cosine of two faces is the mean of the recognisers' own; with the
means, a recogniser whose cosines are all large would hardly count.

Axis letters: b batch, d, d1 features, n captures.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pcfh.files import sha256_of
from pcfh.recognisers.dlib import LEFT, SCALE, TOP, DlibRecognizer, open_network
from pcfh.recognisers.dlib import NAME as DLIB
from pcfh.recognisers.dlib_network import CHIP
from pcfh.recognisers.lightcnn.weights import load_recognizer

_SIDE, _EDGE = 128, 8  # pixels of what a Light CNN reads, and by how many dlib's crop is wider on each side


def load_teacher(places: Sequence[Path]) -> nn.Module:
    """F: one Light CNN as it is, or several recognisers as one.

    Args:
        places: files of Light CNN's weights, or the word dlib.

    Raises:
        UserError: a file is absent, damaged or something else, or dlib's weights are not installed.
    """
    found = [
        DlibTeacher() if DlibRecognizer.recognises(place) else load_recognizer(place) for place in places
    ]
    return found[0] if len(found) == 1 else Teachers(found)


def key_of_teacher(place: Path) -> str:
    """What tells it from others: the SHA-256 of its file, or the word dlib, whose weights are known ones."""
    return DLIB if DlibRecognizer.recognises(place) else sha256_of(place)


class DlibTeacher(nn.Module):
    """dlib's network for what a Light CNN reads: grey in [0, 1], the aligned crop of 128 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.network = open_network()
        corner = torch.tensor([[LEFT], [TOP]]) - _EDGE
        place = (2 * (corner + SCALE * torch.arange(CHIP)) + 1) / _SIDE - 1
        x, y = place[0].expand(CHIP, -1), place[1][:, None].expand(-1, CHIP)
        self.register_buffer("grid", torch.stack([x, y], -1)[None], persistent=False)

    def forward(self, faces: Float[Tensor, "b 1 128 128"]) -> Float[Tensor, "b d"]:
        """Features, not of norm one."""
        grid = self.get_buffer("grid").to(faces.dtype).expand(len(faces), -1, -1, -1)
        chips = F.grid_sample(faces, grid, padding_mode="border", align_corners=False)
        features: Tensor = self.network(chips.expand(-1, 3, -1, -1))
        return features


class Teachers(nn.Module):
    """Recognisers side by side.

    Args:
        networks: each takes what a Light CNN reads.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.centres: list[Tensor] = []

    def forward(self, faces: Float[Tensor, "b 1 128 128"]) -> Float[Tensor, "b d"]:
        """Each one's features, centred, of norm one, side by side."""
        every = [F.normalize(network(faces).float()) for network in self.networks]
        if self.centres:
            every = [features - centre for features, centre in zip(every, self.centres, strict=True)]
        return torch.cat([F.normalize(features) for features in every], 1)

    @torch.no_grad()
    def centre_on(self, faces: Iterable[Float[Tensor, "_ 1 128 128"]]) -> None:
        """Takes the mean over some captures as the middle of each recogniser's features."""
        every = [[F.normalize(network(part).float()) for network in self.networks] for part in faces]
        self.centres = [torch.cat(own).mean(0) for own in zip(*every, strict=True)]
