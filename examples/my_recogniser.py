"""A recogniser of your own, to copy and change; no file of pcfh is edited.

    PYTHONPATH=examples pcfh evaluate prepared out --recognizer my_recogniser:MyRecognizer
    PYTHONPATH=examples pcfh evaluate prepared out --tuned mine=my_recogniser:MyRecognizer

With a file after the name (my_recogniser:MyRecognizer@weights.npz), ``from_file`` opens it; {protocol} in its
path stands for the protocol. If the recogniser was trained on a prepared database, its ``about`` should say
which, so that nobody is tested who was in the training: {"data": {"manifest": SHA-256 of manifest.json,
"protocol": "1"}}.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pcfh.recognisers.alignment import Alignment
from pcfh.recognisers.base import l2_normalize


class MyRecognizer:
    """Compares coarse contrasts of brightness; NIR and VIS may go different ways."""

    name = "coarse contrasts"  # what reports call it
    key = "coarse-1"  # change it with whatever changes the features: the cache goes by it
    alignment = Alignment(convention="lightcnn", size=128)  # or arcface, size 112

    def __init__(self, weights: np.ndarray | None = None) -> None:
        self.weights = np.ones(256, np.float32) if weights is None else weights

    @classmethod
    def from_file(cls, path: Path, *, device: str, settings: Mapping[str, object]) -> "MyRecognizer":
        """Only needed where there is a file of weights."""
        return cls(np.load(path)["weights"])

    def features(self, crops: np.ndarray, modality: str = "VIS") -> np.ndarray:
        """One row of numbers, of norm one, for each face of 128 x 128 pixels (8-bit RGB)."""
        grey = crops.mean(3, dtype=np.float32)
        blocks = grey.reshape(len(crops), 16, 8, 16, 8).mean((2, 4)).reshape(len(crops), -1)
        strength = 0.5 if modality == "NIR" else 1.0  # a place for what differs between the two
        contrasts = np.tanh(strength * (blocks - blocks.mean(1, keepdims=True)) / 32)
        return l2_normalize(contrasts * self.weights, self.name)
