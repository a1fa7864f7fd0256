"""A Light CNN as a recogniser."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8

from pcfh.databases.records import Modality
from pcfh.devices import usable_device
from pcfh.errors import UserError
from pcfh.files import sha256_of
from pcfh.ranges import from_bytes
from pcfh.recognisers.alignment import LIGHTCNN
from pcfh.recognisers.base import l2_normalize
from pcfh.recognisers.lightcnn.network import ARCHITECTURES, LightCNN, to_lightcnn_input
from pcfh.recognisers.lightcnn.weights import load_recognizer, read_about

_VERSION = "lightcnn-1"  # the number changes with the way features are made of the same weights


class LightCNNRecognizer:
    """A Light CNN; it takes aligned crops of 64, 144 and 256 pixels too, and NIR like VIS.

    Args:
        network: in evaluation mode.
        name: what reports call it.
        key: text that stands for its weights.
        device: where it computes.
        about: where it comes from, plain data.
    """

    alignment = LIGHTCNN

    def __init__(
        self,
        network: LightCNN,
        *,
        name: str,
        key: str,
        device: str | torch.device = "cpu",
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self._device = torch.device(device)
        # Twice as fast as channels first on processors.
        self._network = network.to(self._device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.name, self.key, self.about = name, key, about or {}

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Every file: asked last."""
        return True

    @classmethod
    def from_file(
        cls, path: Path, *, device: str = "auto", settings: Mapping[str, Any] | None = None
    ) -> "LightCNNRecognizer":
        """Opens a published checkpoint or a recognizer.safetensors.

        Raises:
            UserError: the file is absent, damaged, unsafe or something else, the device is not usable, or
                settings are given.
        """
        if settings:
            raise UserError(f"{path}: settings of an ONNX model were given for a file that is none (.onnx)")
        chosen, network = usable_device(device), load_recognizer(path)
        arch = next(name for name, kind in ARCHITECTURES.items() if type(network) is kind)
        key = f"{_VERSION}-{sha256_of(path)}"
        return cls(network, name=f"{arch} ({path.name})", key=key, device=chosen, about=read_about(path))

    @torch.inference_mode()
    def features(
        self, crops: UInt8[np.ndarray, "b s s 3"], modality: Modality = "VIS"
    ) -> Float32[np.ndarray, "b 256"]:
        """Embeddings of aligned crops.

        Raises:
            UserError: the crops have another size, or a feature is not finite.
        """
        images = from_bytes(torch.from_numpy(np.array(crops)).to(self._device).permute(0, 3, 1, 2))
        return network_features(self._network, to_lightcnn_input(images), self.name)


def network_features(
    network: LightCNN, faces: Float[torch.Tensor, "b 1 128 128"], name: str
) -> Float32[np.ndarray, "b 256"]:
    """Embeddings of grey faces in [0, 1]; see ``l2_normalize`` for what is refused."""
    return l2_normalize(network(faces).float().cpu().numpy(), name)
