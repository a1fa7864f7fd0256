"""Recognisers behind one interface: aligned faces in, embeddings out.

    recognizer = open_recognizer("recognizer.safetensors")
    crops = realign(prepared_crops, landmarks, recognizer.alignment)
    embeddings = recognizer.features(crops, "NIR")

Crops are 8-bit RGB (grey ones have three equal channels). Embeddings (features) have Euclidean norm one, so
their product is the cosine similarity; they do not depend on what else is in a batch, up to rounding.

A kind of recogniser is one module or package beside this one that defines ``RECOGNISER``, see
``pcfh.recognisers.registry``.

Axis letters: b batch, d features, s side of a crop.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from pcfh.databases.records import Modality
from pcfh.errors import UserError
from pcfh.recognisers.alignment import Alignment


@runtime_checkable
class Recognizer(Protocol):
    """What turns aligned faces into embeddings.

    One that was trained on a prepared database says so in ``about``, see ``trained_on``; it may be left
    out.
    """

    @property
    def name(self) -> str:
        """What reports call it."""

    @property
    def key(self) -> str:
        """Text that changes with weights and settings, and with nothing else: the cache goes by it."""

    @property
    def alignment(self) -> Alignment:
        """The crop it wants."""

    def features(
        self, crops: UInt8[np.ndarray, "b s s 3"], modality: Modality = "VIS"
    ) -> Float32[np.ndarray, "b d"]:
        """Embeddings of crops cut as ``alignment`` says.

        Args:
            crops: of one modality.
            modality: "NIR" or "VIS"; generated images are VIS. A recogniser may treat both alike.
        """


@runtime_checkable
class RecognizerKind(Protocol):
    """The class of a recogniser that lies in files: what ``RECOGNISER`` is."""

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Whether a file is one of this kind."""

    @classmethod
    def from_file(cls, path: Path, *, device: str, settings: Mapping[str, Any]) -> Recognizer:
        """Opens a file.

        Args:
            path: of the file.
            device: auto, cpu, cuda or cuda:1.
            settings: what the user says of it beside the file; unknown ones are refused.
        """


def trained_on(recognizer: Recognizer) -> list[tuple[str, str]]:
    """What a recogniser has learnt from: SHA-256 of the prepared database's manifest, and the protocol."""
    return training_history(getattr(recognizer, "about", {}))


def training_history(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The same by what a file says: its own training, and those of the weights that it began with."""
    trainings = (*about.get("before", ()), about.get("data", {}))
    return [(str(t["manifest"]), str(t["protocol"])) for t in trainings if t.get("manifest")]


def l2_normalize(features: Float32[np.ndarray, "b d"], name: str) -> Float32[np.ndarray, "b d"]:
    """Divides each row by its Euclidean norm.

    Args:
        features: as the recogniser puts them out.
        name: of the recogniser, for the message.

    Raises:
        UserError: a row is zero or not finite.
    """
    norms = np.sqrt(np.square(features.astype(np.float64)).sum(1))
    wrong = np.flatnonzero(~np.isfinite(norms) | (norms == 0))
    if len(wrong):
        raise UserError(
            f"{name}: the features of {len(wrong)} of {len(features)} faces are zero or not finite (NaN); "
            "the weights are damaged, or the settings (mean, std, channels) are not the model's"
        )
    return (features / norms[:, None]).astype(np.float32)
