"""Landmarks, generator and recogniser together: what is computed from one photograph.

Photographs are 8-bit RGB arrays; points and boxes are (x, y) in pixels of the picture they belong to, whole
numbers at pixel centres. Features have norm one. Axis letters: s side of a crop, d features.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8

from pcfh.databases.records import Modality
from pcfh.gallery.entries import Probe
from pcfh.geometry.align import align_face
from pcfh.geometry.parts import part_corner, parts_of
from pcfh.hallucinate import Hallucinator, NoFaceError
from pcfh.images import png_bytes
from pcfh.preparation.training_range import face_measures, shipped_range, unlikeness
from pcfh.recognisers.alignment import realign
from pcfh.recognisers.base import Recognizer


@dataclass(frozen=True, kw_only=True)
class Box:
    """A facial part as PCFH's local paths see it: top left pixel and size, in pixels of the crop."""

    name: str
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Generated:
    """A near-infrared face and the one generated from it.

    Attributes:
        landmarks: in pixels of the photograph.
        crop: the aligned near-infrared face.
        crop_landmarks: in its pixels.
        generated: the visible-light face.
        unlike: how it differs from the faces of the training, worst first.
    """

    landmarks: Float[np.ndarray, "68 2"]
    crop: UInt8[np.ndarray, "s s 3"]
    crop_landmarks: Float[np.ndarray, "68 2"]
    generated: UInt8[np.ndarray, "s s 3"]
    unlike: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Translation(Generated):
    """What became of a near-infrared photograph.

    Attributes:
        boxes: of the four parts, in pixels of the crop.
        probe: to be searched for.
    """

    boxes: tuple[Box, ...]
    probe: Probe


@dataclass(frozen=True, kw_only=True)
class Enrolled:
    """An entry of a gallery: a name, the photograph's, the face as a PNG file, and its features."""

    name: str
    source: str
    picture: bytes
    feature: Float32[np.ndarray, " d"]

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        return len(self.picture) + self.feature.nbytes


class Engine:
    """A generator with its landmark backend, and a recogniser; one thread at a time.

    Args:
        hallucinator: the generator.
        recognizer: compares faces.
    """

    def __init__(self, hallucinator: Hallucinator, recognizer: Recognizer) -> None:
        self.hallucinator, self.recognizer = hallucinator, recognizer

    def translate(self, image: UInt8[np.ndarray, "h w 3"]) -> Translation:
        """Translates the largest face of a near-infrared photograph.

        Raises:
            NoFaceError: there is none.
            UserError: it cannot be aligned.
        """
        face = self.generate(image)
        return Translation(
            **vars(face),
            boxes=boxes(face.crop_landmarks, self.hallucinator.size),
            probe=Probe(
                original=self._feature(face.crop, face.crop_landmarks, "NIR"),
                generated=self._feature(face.generated, face.crop_landmarks, "VIS"),
            ),
        )

    def generate(self, image: UInt8[np.ndarray, "h w 3"]) -> Generated:
        """The visible-light face alone; see ``translate``."""
        landmarks = self._locate(image)
        face = self.hallucinator.align(image, landmarks)
        return Generated(
            landmarks=landmarks,
            crop=face.crop,
            crop_landmarks=face.landmarks,
            generated=self.hallucinator.translate_batch(face.crop[None], face.landmarks[None])[0],
            unlike=unlikeness(face_measures(face.crop, landmarks), shipped_range()).words,
        )

    def enrol(self, name: str, source: str, image: UInt8[np.ndarray, "h w 3"]) -> Enrolled:
        """Aligns the largest face of a visible-light photograph, in colour, and computes its features.

        Raises:
            NoFaceError: there is none.
            UserError: it cannot be aligned.
        """
        crop, points = align_face(image, self._locate(image), self.hallucinator.size)
        feature = self._feature(crop, points, "VIS")
        return Enrolled(name=name, source=source, picture=png_bytes(crop, {}), feature=feature)

    def _locate(self, image: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "68 2"]:
        """Landmarks of the largest face; the text of the error is for somebody who has the page alone."""
        try:
            return self.hallucinator.locate(image)
        except NoFaceError as error:
            raise NoFaceError(
                "no face was found; choose a picture with a larger, upright face that looks into the camera"
            ) from error

    def _feature(
        self, crop: UInt8[np.ndarray, "s s 3"], landmarks: Float[np.ndarray, "68 2"], modality: Modality
    ) -> Float32[np.ndarray, " d"]:
        """What a face is recognised by."""
        cut = realign(crop[None], landmarks[None], self.recognizer.alignment)
        return self.recognizer.features(cut, modality)[0]


def boxes(landmarks: Float[np.ndarray, "68 2"], size: int) -> tuple[Box, ...]:
    """The boxes of the four facial parts on an aligned face."""
    points = torch.from_numpy(landmarks[None].astype(np.float32))
    corners = [(part, *part_corner(points, part, size)[0].tolist()) for part in parts_of(size)]
    return tuple(
        Box(name=part.name, x=x, y=y, width=part.width, height=part.height) for part, x, y in corners
    )
