"""The product: NIR face in, VIS face of the same person, pose and expression out.

    hallucinator = Hallucinator.from_file("generator.safetensors")
    vis = hallucinator(nir)

Images are 8-bit RGB arrays (row, column, channel); landmarks are (x, y) in pixels, whole numbers at
pixel centres. Axis letters: b batch, s side of the model's images.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8

from pcfh import __version__
from pcfh.checks import require_crops, require_landmarks, require_path, require_picture
from pcfh.devices import usable_device
from pcfh.errors import UserError
from pcfh.files import sha256_of
from pcfh.landmarks import LandmarkBackend, open_backend
from pcfh.methods.files import load_generator
from pcfh.preparation.face_reader import NoFaceError, as_it_is, crop_of_photograph, largest, require_aligned
from pcfh.provenance import TRAINED, xmp
from pcfh.ranges import from_bytes, to_bytes

__all__ = ["AlignedFace", "Hallucinator", "NoFaceError"]


@dataclass(frozen=True, kw_only=True)
class AlignedFace:
    """A face as the generator takes it."""

    crop: UInt8[np.ndarray, "s s 3"]
    landmarks: Float[np.ndarray, "68 2"]


class Hallucinator:
    """A trained generator with what surrounds it: landmarks, alignment, ranges.

    Args:
        generator: the network, in evaluation mode.
        about: where it comes from, plain data.
        device: where it computes.
        backend: finds landmarks where none are given; None opens the default one when first needed.
    """

    def __init__(
        self,
        generator: Any,
        *,
        about: Mapping[str, Any],
        device: str | torch.device = "cpu",
        backend: LandmarkBackend | None = None,
    ) -> None:
        self._device = torch.device(device)
        self._generator = generator.to(self._device)
        self._backend = backend
        self.about = about

    @classmethod
    def from_file(
        cls, path: str | Path, *, device: str = "auto", backend: LandmarkBackend | None = None
    ) -> "Hallucinator":
        """Opens the ``generator.safetensors`` of a training run, whatever its method.

        Args:
            path: of the file.
            device: "auto" takes a GPU if there is one.
            backend: see the class.

        Raises:
            UserError: the file is absent, damaged or something else, or the device is not usable.
        """
        chosen = usable_device(device)
        place = require_path(path)
        generator, about = load_generator(place)
        about = {**about, "model": sha256_of(place)}
        return cls(generator, about=about, device=chosen, backend=backend)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self._device

    @property
    def size(self) -> int:
        """Side of the generated images in pixels."""
        size: int = self._generator.size
        return size

    def __call__(
        self, image: UInt8[np.ndarray, "h w 3"] | Any, landmarks: Float[np.ndarray, "68 2"] | Any = None
    ) -> UInt8[np.ndarray, "s s 3"]:
        """Translates the largest face of a NIR photograph.

        Args:
            image: of any size; grey as three equal channels, colour is reduced to its luma.
            landmarks: in pixels of ``image``; found where not given.

        Raises:
            NoFaceError: none was found.
            UserError: the landmarks are not a face's, or not of this picture.
        """
        face = self.align(image, landmarks)
        return self.translate_batch(face.crop[None], face.landmarks[None])[0]

    def align(
        self, image: UInt8[np.ndarray, "h w 3"] | Any, landmarks: Float[np.ndarray, "68 2"] | Any = None
    ) -> AlignedFace:
        """Finds a face and cuts it out as the generator takes it; see ``__call__``."""
        require_picture(image)
        given = self.locate(image) if landmarks is None else require_landmarks(landmarks)
        crop, points = crop_of_photograph(image, given, self.size, nir=True)
        return AlignedFace(crop=crop, landmarks=points)

    def as_aligned(
        self, image: UInt8[np.ndarray, "h w 3"] | Any, landmarks: Float[np.ndarray, "68 2"] | Any = None
    ) -> AlignedFace:
        """Takes an image that is an aligned crop already; its landmarks are still needed for the local paths.

        Raises:
            NoFaceError: no landmarks were given and no face was found.
            UserError: the image has another size than the model's, or the landmarks are not of it.
        """
        require_aligned(require_picture(image), self.size)
        points = self.locate(image) if landmarks is None else require_landmarks(landmarks)
        return AlignedFace(crop=as_it_is(image, points, nir=True), landmarks=points)

    def locate(self, image: UInt8[np.ndarray, "h w 3"] | Any) -> Float[np.ndarray, "68 2"]:
        """Landmarks of the largest face.

        Raises:
            NoFaceError: there is none.
        """
        require_picture(image)
        if self._backend is None:
            self._backend = open_backend("blaze")
        return largest(self._backend.detect(image)).landmarks

    @torch.inference_mode()
    def translate_batch(
        self, crops: UInt8[np.ndarray, "b s s 3"] | Any, landmarks: Float[np.ndarray, "b 68 2"] | Any
    ) -> UInt8[np.ndarray, "b s s 3"]:
        """Translates aligned NIR crops, all at once.

        Args:
            crops: three equal channels.
            landmarks: in pixels of the crops.

        Raises:
            UserError: they do not fit the model or each other, or what the model gives is not finite.
        """
        require_crops(crops, landmarks, self.size)
        nir = from_bytes(torch.from_numpy(np.array(crops)).to(self._device).permute(0, 3, 1, 2))
        points = torch.from_numpy(np.array(landmarks)).to(self._device, torch.float32)
        made = self._generator(nir, points)
        if not torch.isfinite(made).all():
            raise UserError(
                "the model gives numbers that are not finite; its file is damaged, take another copy"
            )
        vis = to_bytes(made)
        return np.ascontiguousarray(vis.permute(0, 2, 3, 1).cpu().numpy())

    def provenance(self) -> dict[str, str]:
        """Text for the metadata of generated pictures: synthetic, by which model and version."""
        return {
            "Software": f"pcfh {__version__}",
            "Synthetic": "true",
            "Description": "Synthetic visible-light face, generated from a near-infrared one; no photograph.",
            "Model": str(self.about.get("model", "unknown")),
            "XML:com.adobe.xmp": xmp(TRAINED),
        }
