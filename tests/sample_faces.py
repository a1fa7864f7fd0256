"""Near-infrared faces of the sample, as several tests look at them."""

from dataclasses import dataclass

import numpy as np
import torch

from pcfh.databases.rendered import SAMPLE
from pcfh.images import read_image
from pcfh.landmarks.given import read_landmarks
from pcfh.preparation.face_reader import crop_of_photograph
from pcfh.ranges import from_bytes


@dataclass(frozen=True)
class SampleFaces:
    nir: torch.Tensor  # b 3 128 128, in [-1, 1]
    in_crop: np.ndarray  # b 68 2
    in_photograph: np.ndarray  # b 68 2


def four_faces() -> SampleFaces:
    points = read_landmarks(SAMPLE / "landmarks68.csv")
    names = [
        f"{path.relative_to(SAMPLE).with_suffix('')}" for path in sorted(SAMPLE.glob("s1/NIR/*/001.jpg"))
    ][:4]
    photographed = np.stack([points[name.lower()] for name in names])
    found = [
        crop_of_photograph(read_image(SAMPLE / f"{name}.jpg"), landmarks, 128, nir=True)
        for name, landmarks in zip(names, photographed, strict=True)
    ]
    crops, landmarks = (np.stack(column) for column in zip(*found, strict=True))
    return SampleFaces(from_bytes(torch.from_numpy(crops).permute(0, 3, 1, 2)), landmarks, photographed)


def grainy(nir: torch.Tensor, strength: float) -> torch.Tensor:
    torch.manual_seed(0)
    return (nir + strength * torch.randn_like(nir[:, :1])).clamp(-1, 1)
