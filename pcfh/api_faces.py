"""Faces, as a notebook uses the package: paths may be text, what is not given is what comes with the program.

``import pcfh`` offers these names and those of ``pcfh.api_databases``. Images are 8-bit RGB arrays (row,
column, channel); landmarks are the 68 points (x, y) in pixels, whole numbers at pixel centres.

Axis letters: d features, h and w pixels of an image, n faces.
"""

import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from pcfh.checks import require_landmarks, require_path, require_picture
from pcfh.errors import UserError
from pcfh.geometry.align import align_face
from pcfh.geometry.warp import inverse_distance_warp as warp
from pcfh.hallucinate import AlignedFace, Hallucinator
from pcfh.images import read_picture
from pcfh.landmarks import Face, LandmarkBackend, open_backend
from pcfh.recognisers.alignment import realign
from pcfh.recognisers.base import Recognizer
from pcfh.recognisers.registry import open_recognizer
from pcfh.shipped import generator_at, shipped


def load_image(path: str | Path) -> UInt8[np.ndarray, "h w 3"]:
    """Reads a picture upright, grey ones as three equal channels.

    Raises:
        UserError: it is absent, damaged, or of a kind that would have to be guessed at.

    Warns:
        UserWarning: it has more than 8 bits, and what was taken for white.
    """
    picture = read_picture(require_path(path))
    if picture.note:
        warnings.warn(f"{path}: {picture.note}", stacklevel=2)
    return picture.pixels


def load_hallucinator(path: str | Path | None = None, *, device: str = "auto") -> Hallucinator:
    """Opens a generator with all that it needs to translate a photograph.

    Args:
        path: generator.safetensors of a training run, or "generator" for the first shipped one; the one for
            photographs if not given.
        device: auto, cpu, cuda or cuda:1.

    Raises:
        UserError: the file is absent, damaged or something else, or the device is not usable.
    """
    return Hallucinator.from_file(generator_at(path), device=device)


def load_recognizer(path: str | Path | None = None, *, device: str = "auto") -> Recognizer:
    """Opens a recogniser.

    Args:
        path: Light CNN checkpoint, recognizer.safetensors, ONNX model, or a class of yours as
            my_module:MyRecogniser; the shipped one if not given.
        device: where it computes, if it leaves the choice.

    Raises:
        UserError: the file is absent, damaged or something else, or the device is not usable.
    """
    return open_recognizer(shipped("recognizer") if path is None else str(require_path(path)), device=device)


def find_faces(image: UInt8[np.ndarray, "h w 3"] | Any) -> list[Face]:
    """Finds faces and their landmarks with the default detector, best first.

    Raises:
        UserError: the detector or its files are not installed.
    """
    return _detector().detect(require_picture(image))


def align(
    image: UInt8[np.ndarray, "h w 3"] | Any, landmarks: Float[np.ndarray, "68 2"] | Any, size: int = 128
) -> AlignedFace:
    """Cuts a face out so that eyes and mouth lie where generators and recognisers expect them.

    Args:
        image: of any size, colours are kept.
        landmarks: in pixels of ``image``.
        size: side of the crop: 64, 128, 144 or 256.

    Raises:
        UserError: there is no such crop, or the landmarks are not a face's, or not of this picture.
    """
    crop, points = align_face(require_picture(image), require_landmarks(landmarks), size)
    return AlignedFace(crop=crop, landmarks=points)


def features(recognizer: Recognizer | Any, faces: Sequence[AlignedFace] | Any) -> Float32[np.ndarray, "n d"]:
    """Unit features of aligned faces of one size; the product of two is their similarity, 1 at most.

    Args:
        recognizer: see ``load_recognizer``.
        faces: crops of 64, 128, 144 or 256 pixels.

    Raises:
        UserError: there are no faces, or their crops are of several sizes or of another one.
    """
    if not (hasattr(recognizer, "features") and hasattr(recognizer, "alignment")):
        raise UserError(
            f"expected a recogniser, got {type(recognizer).__name__}; give pcfh.load_recognizer()"
        )
    if isinstance(faces, AlignedFace) or not all(isinstance(face, AlignedFace) for face in faces):
        raise UserError(
            "expected a list of faces as pcfh.align gives them; put one face into brackets: [face]"
        )
    sizes = {face.crop.shape[0] for face in faces}
    if len(sizes) != 1:
        found = ", ".join(map(str, sorted(sizes))) or "no faces"
        raise UserError(f"expected faces of one size, got {found}; give all the size of one crop")
    crops, points = np.stack([face.crop for face in faces]), np.stack([face.landmarks for face in faces])
    return recognizer.features(realign(crops, points, recognizer.alignment))


def inverse_distance_warp(
    image: Float[Tensor, "b c h w"] | Any,
    from_points: Float[Tensor, "b n 2"] | Any,
    to_points: Float[Tensor, "b n 2"] | Any,
) -> Float[Tensor, "b c h w"]:
    """Warps images so that their control points come to lie where wanted (paper Eq. 6: I_Warp = W(I_N, I_V)).

    Args:
        image: source images (I_V), any range.
        from_points: where the control points are in the source (landmarks of I_V).
        to_points: where they shall be (landmarks of I_N).

    Raises:
        UserError: these are no tensors of such shapes.
    """
    given = (image, from_points, to_points)
    if not (all(map(_is_real, given)) and _fit(image.shape, from_points.shape, to_points.shape)):
        kinds = ", ".join(f"{type(one).__name__} of {tuple(getattr(one, 'shape', ()))}" for one in given)
        raise UserError(
            f"expected tensors of floats of b x c x h x w, b x n x 2 and b x n x 2, got {kinds}; add the "
            "batch by [None], and make tensors by torch.from_numpy"
        )
    return warp(image, from_points, to_points)


def _is_real(tensor: Any) -> bool:
    return isinstance(tensor, Tensor) and tensor.is_floating_point()


def _fit(image: Sequence[int], start: Sequence[int], end: Sequence[int]) -> bool:
    """Whether these are the shapes of images and of as many points in source and result."""
    return len(image) == 4 and len(start) == 3 and start == end and (start[0], start[2]) == (image[0], 2)


@cache
def _detector() -> LandmarkBackend:
    return open_backend("blaze")
