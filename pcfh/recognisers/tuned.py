"""Recognisers that were tuned to NIR and VIS faces: a Light CNN, or LBP, and what stands behind it.

    tuned.safetensors    the network's weights, in 16 bits where that loses nothing, and the projections of
                         each modality; it says what it has learnt from, as other recognisers do

Axis letters: b batch, d features, s side of a crop.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from safetensors import SafetensorError
from torch import Tensor

from pcfh import __version__
from pcfh.databases.records import Modality
from pcfh.devices import usable_device
from pcfh.errors import UserError
from pcfh.files import sha256_of
from pcfh.ranges import from_bytes
from pcfh.recognisers.alignment import LIGHTCNN
from pcfh.recognisers.base import l2_normalize
from pcfh.recognisers.lbp import lbp_features
from pcfh.recognisers.lightcnn.network import ARCHITECTURES, LightCNN, build_lightcnn, to_lightcnn_input
from pcfh.recognisers.projections import KINDS, Projection
from pcfh.weight_files import TUNED, format_of, read_weights, write_weights

Front = Literal["lightcnn", "lbp"]
MODALITIES: tuple[Modality, ...] = ("NIR", "VIS")
_VERSION = "tuned-1"  # the number changes with the way features are made of the same file
_MOST_NUMBERS = 400_000_000  # of a file; a false one may ask for more memory than there is


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """What a tuning leaves.

    Attributes:
        front: what makes the first features: the network, or local binary patterns.
        network: of the former; None of the latter.
        chains: projections behind it for each modality, one after the other, on unit features.
    """

    front: Front = "lightcnn"
    network: LightCNN | None = None
    chains: Mapping[Modality, tuple[Projection, ...]] = field(
        default_factory=lambda: dict.fromkeys(MODALITIES, ())
    )

    def features(
        self, faces: Float[Tensor, "b 1 128 128"], modality: Modality, name: str
    ) -> Float32[np.ndarray, "b d"]:
        """Unit embeddings of grey faces in [0, 1]."""
        if self.network is not None:
            first = self.network(faces).float().cpu().numpy()
        else:
            first = lbp_features((faces[:, 0] * 255).round().byte().cpu().numpy())
        return self.projected(l2_normalize(first, name), modality, name)

    def projected(
        self, features: Float32[np.ndarray, "b d"], modality: Modality, name: str = "the tuned recogniser"
    ) -> Float32[np.ndarray, "b k"]:
        """Unit embeddings, from unit features of the front."""
        found: np.ndarray = features
        for projection in self.chains[modality]:
            found = projection(found)
        return l2_normalize(np.asarray(found, np.float32), name) if self.chains[modality] else features


class TunedRecognizer:
    """A tuned recogniser from its file.

    Args:
        tuned: what makes the features.
        name: what reports call it.
        key: text that stands for its weights.
        device: where its network computes.
        about: what it has learnt from, plain data.
    """

    alignment = LIGHTCNN

    def __init__(
        self, tuned: Tuned, *, name: str, key: str, device: str | torch.device, about: Mapping[str, Any]
    ) -> None:
        self._tuned, self._device = tuned, torch.device(device)
        self.name, self.key, self.about = name, key, about
        if tuned.network is not None:
            tuned.network.to(self._device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Whether the file's mark says so."""
        return path.suffix == ".safetensors" and path.is_file() and format_of(path) == TUNED

    @classmethod
    def from_file(
        cls, path: Path, *, device: str = "auto", settings: Mapping[str, Any] | None = None
    ) -> "TunedRecognizer":
        """Opens what ``save_tuned`` wrote.

        Raises:
            UserError: the file is damaged or something else, the device is not usable, or settings are given.
        """
        if settings:
            raise UserError(f"{path}: settings of an ONNX model were given for a file that is none (.onnx)")
        chosen, (tuned, about) = usable_device(device), load_tuned(path)
        name = f"{about.get('rival', 'tuned')} ({path.name})"
        return cls(tuned, name=name, key=f"{_VERSION}-{sha256_of(path)}", device=chosen, about=about)

    @torch.inference_mode()
    def features(
        self, crops: UInt8[np.ndarray, "b s s 3"], modality: Modality = "VIS"
    ) -> Float32[np.ndarray, "b d"]:
        """Embeddings of aligned crops.

        Raises:
            UserError: the crops have another size, or a feature is zero or not finite.
        """
        images = from_bytes(torch.from_numpy(np.array(crops)).to(self._device).permute(0, 3, 1, 2))
        return self._tuned.features(to_lightcnn_input(images), modality, self.name)


def save_tuned(path: Path, tuned: Tuned, about: Mapping[str, Any]) -> None:
    """Writes a tuned recogniser.

    Args:
        path: to write.
        tuned: what makes the features.
        about: what it has learnt from, plain data: data, before, people, rival, settings.
    """
    chains = {modality: [p.kind for p in tuned.chains[modality]] for modality in MODALITIES}
    arch = None
    tensors: dict[str, Tensor] = {}
    if tuned.network is not None:
        arch = next(name for name, kind in ARCHITECTURES.items() if type(tuned.network) is kind)
        state = tuned.network.state_dict()
        tensors = {f"network.{k}": _small(v) for k, v in state.items() if not k.startswith("fc2.")}
    for modality in MODALITIES:
        for number, projection in enumerate(tuned.chains[modality]):
            for name, array in projection.arrays.items():
                tensors[f"{modality}.{number}.{name}"] = torch.from_numpy(np.array(array, np.float32))
    metadata = {
        "format": TUNED,
        "version": __version__,
        "front": tuned.front,
        "arch": json.dumps(arch),
        "chains": json.dumps(chains),
        "about": json.dumps(about),
    }
    write_weights(path, tensors, metadata)


def load_tuned(path: Path) -> tuple[Tuned, Mapping[str, Any]]:
    """Reads what ``save_tuned`` wrote, its network in evaluation mode, and what the file says of itself.

    Raises:
        UserError: it is absent, damaged or something else.
    """
    damaged = f"{path}: no whole tuned recogniser; take another copy, or tune it again (pcfh tune)"
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected a tuned.safetensors of pcfh tune")
    try:
        tensors, metadata = read_weights(path)
        if metadata.get("format") != TUNED or sum(t.numel() for t in tensors.values()) > _MOST_NUMBERS:
            raise UserError(damaged)
        arch, chains = json.loads(metadata["arch"]), json.loads(metadata["chains"])
        found = {
            m: tuple(_projection(tensors, f"{m}.{i}.", k) for i, k in enumerate(chains[m]))
            for m in MODALITIES
        }
        network = None if arch is None else _network(arch, tensors)
        front: Front = "lightcnn" if metadata["front"] == "lightcnn" else "lbp"
        if (network is None) != (front == "lbp"):
            raise UserError(damaged)
        about = dict(json.loads(metadata["about"]))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError, IndexError) as error:
        raise UserError(damaged) from error
    return Tuned(front=front, network=network, chains=found), about


def _network(arch: str, tensors: Mapping[str, Tensor]) -> LightCNN:
    """The network with its weights; ``load_state_dict`` refuses what does not fit."""
    with torch.device("meta"):
        network = build_lightcnn(arch)
    own = {k.removeprefix("network."): t.float() for k, t in tensors.items() if k.startswith("network.")}
    network.load_state_dict(own, assign=True)
    return network.requires_grad_(False).eval()


def _projection(tensors: Mapping[str, Tensor], prefix: str, kind: str) -> Projection:
    names = [key.removeprefix(prefix) for key in tensors if key.startswith(prefix)]
    return KINDS[kind](**{name: tensors[prefix + name].numpy() for name in names})


def _small(tensor: Tensor) -> Tensor:
    """In 16 bits where that loses nothing."""
    half = tensor.half()
    return half if torch.equal(half.to(tensor.dtype), tensor) else tensor


RECOGNISER = TunedRecognizer
