"""Recognisers behind one interface: aligned faces in, unit features out.

    recognizer = open_recognizer(Path("recognizer.safetensors"))
    crops = realign(prepared_crops, landmarks, recognizer.alignment)
    features = recognizer.features(crops)

Crops are 8-bit RGB (grey ones have three equal channels). Features have Euclidean norm one, so their product
is the cosine; they do not depend on what else is in a batch, up to rounding.

Axis letters: b batch, d features, s side of a crop.
"""

from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8

from pcfh.devices import usable_device
from pcfh.errors import UserError
from pcfh.files import sha256_of
from pcfh.ranges import from_bytes
from pcfh.recognisers.alignment import LIGHTCNN, Alignment
from pcfh.recognisers.lightcnn.network import ARCHITECTURES, LightCNN, to_lightcnn_input
from pcfh.recognisers.lightcnn.weights import load_recognizer
from pcfh.recognisers.onnx import OnnxRecognizer, OnnxSettings
from pcfh.recognisers.unit import unit_rows

_LIGHTCNN_KEY = "lightcnn-1"  # the number changes with the way features are made of the same weights


@runtime_checkable
class Recognizer(Protocol):
    """What turns aligned faces into features."""

    @property
    def name(self) -> str:
        """What reports call it."""

    @property
    def key(self) -> str:
        """Text that changes with weights and settings, and with nothing else."""

    @property
    def alignment(self) -> Alignment:
        """The crop it wants."""

    def features(self, crops: UInt8[np.ndarray, "b s s 3"]) -> Float32[np.ndarray, "b d"]:
        """Unit features of crops cut as ``alignment`` says."""


class LightCNNRecognizer:
    """A Light CNN; it takes aligned crops of 64, 144 and 256 pixels too.

    Args:
        network: in evaluation mode.
        name: what reports call it.
        key: text that stands for its weights.
        device: where it computes.
    """

    alignment = LIGHTCNN

    def __init__(self, network: LightCNN, *, name: str, key: str, device: str | torch.device = "cpu") -> None:
        self._device = torch.device(device)
        # Twice as fast as channels first on processors.
        self._network = network.to(self._device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.name, self.key = name, key

    @classmethod
    def from_file(cls, path: Path, *, device: str = "auto") -> "LightCNNRecognizer":
        """Opens a published checkpoint or a recognizer.safetensors.

        Raises:
            UserError: the file is absent, damaged, unsafe or something else, or the device is not usable.
        """
        chosen, network = usable_device(device), load_recognizer(path)
        arch = next(name for name, kind in ARCHITECTURES.items() if type(network) is kind)
        key = f"{_LIGHTCNN_KEY}-{sha256_of(path)}"
        return cls(network, name=f"{arch} ({path.name})", key=key, device=chosen)

    @torch.inference_mode()
    def features(self, crops: UInt8[np.ndarray, "b s s 3"]) -> Float32[np.ndarray, "b 256"]:
        """Unit features of aligned crops.

        Raises:
            UserError: the crops have another size, or a feature is not finite.
        """
        images = from_bytes(torch.from_numpy(np.array(crops)).to(self._device).permute(0, 3, 1, 2))
        return network_features(self._network, to_lightcnn_input(images), self.name)


def network_features(
    network: LightCNN, faces: Float[torch.Tensor, "b 1 128 128"], name: str
) -> Float32[np.ndarray, "b 256"]:
    """Unit features of grey faces in [0, 1]; see ``unit_rows`` for what is refused."""
    return unit_rows(network(faces).float().cpu().numpy(), name)


def open_recognizer(path: Path, *, settings: OnnxSettings | None = None, device: str = "auto") -> Recognizer:
    """Opens a recogniser by its file: ``.onnx`` is an ONNX model, anything else a Light CNN.

    Args:
        path: of the file.
        settings: of an ONNX model; read from ``<path>.json`` where not given.
        device: where a Light CNN computes; an ONNX model computes on the CPU.

    Raises:
        UserError: the file is absent, damaged, unsafe or something else, or the settings do not fit it.
    """
    if path.suffix.lower() == ".onnx":
        return OnnxRecognizer.from_file(path, settings=settings)
    if settings is not None:
        raise UserError(f"{path}: settings of an ONNX model were given for a file that is none (.onnx)")
    return LightCNNRecognizer.from_file(path, device=device)
