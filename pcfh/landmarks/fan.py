"""The ``fan`` backend: the face alignment network through the package ``face-alignment``, an optional extra.

Boxes come from its S3FD detector. Points are handed on as that package gives them; to half a pixel it is open
whether its whole numbers lie at pixel centres or at pixel edges.

References:
    Bulat and Tzimiropoulos, "How far are we from solving the 2D & 3D Face Alignment problem?", ICCV 2017,
    https://arxiv.org/abs/1703.07332.
    Zhang et al., "S3FD: Single Shot Scale-invariant Face Detector", ICCV 2017, https://arxiv.org/abs/1708.05237.
"""

from typing import Any
from urllib.error import URLError

import numpy as np
from jaxtyping import UInt8

from pcfh.errors import UserError
from pcfh.extras import extra
from pcfh.landmarks.base import Face

WEIGHTS = ("s3fd-619a316812.pth", "2DFAN4-11f355bf06.pth.tar")
WEIGHTS_URL = "https://www.adrianbulat.com/downloads/python-fan/"


class Fan:
    """Finds faces and 68 landmarks as the paper did; seconds an image on a CPU."""

    name = "fan"

    def __init__(self, *, device: str = "cpu") -> None:
        """Loads both networks; their weights are downloaded by the package if they are not in its folder.

        Args:
            device: as torch names it.

        Raises:
            UserError: the extra is missing, or the weights are and cannot be downloaded.
        """
        self._device = device
        self._net = _open(device)

    def __getstate__(self) -> dict[str, Any]:
        return {"device": self._device}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._device = state["device"]
        self._net = _open(self._device)

    def detect(self, image: UInt8[np.ndarray, "h w 3"]) -> list[Face]:
        """Finds the faces of an RGB image, best first; an empty list where there is none."""
        boxes = self._net.face_detector.detect_from_image(image.copy())
        if len(boxes) == 0:  # the package would warn
            return []
        landmarks = self._net.get_landmarks_from_image(image, detected_faces=boxes)
        faces = [_face(box, points) for box, points in zip(boxes, landmarks, strict=True)]
        return sorted(faces, key=lambda face: -face.score)


def _face(box: Any, points: Any) -> Face:
    left, top, right, bottom, score = (float(value) for value in box)
    return Face(box=(left, top, right, bottom), score=score, landmarks=np.asarray(points, dtype=np.float64))


def _open(device: str) -> Any:
    with extra("fan", "the landmark detector 'fan'"):
        import face_alignment  # noqa: PLC0415 - an optional extra
    try:
        return face_alignment.FaceAlignment(
            face_alignment.LandmarksType.TWO_D,
            device=device,
            compile=False,
            flip_input=False,
            face_detector="sfd",
        )
    except URLError as error:
        raise UserError(
            f"the weights of 'fan' could not be downloaded ({error.reason}); on another machine download "
            f"{' and '.join(WEIGHTS)} from {WEIGHTS_URL} and put them into "
            "the folder hub/checkpoints of TORCH_HOME (~/.cache/torch)"
        ) from error
