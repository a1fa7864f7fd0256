"""What lies beside the captures of a rendered database (``pcfh render``), and only there.

NIR-VIS-2.0/truth/<path of a NIR capture>    the VIS image of the same moment
NIR-VIS-2.0/masks/<path, but .png>           what each pixel shows, where the recipe asks for it
NIR-VIS-2.0/parameters.csv                   how every capture was taken

Axis letters: h and w of a mask.
"""

from enum import IntEnum
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8

from pcfh.databases.records import Record
from pcfh.errors import UserError
from pcfh.geometry.align import align_image, align_labels, crop_of, similarity
from pcfh.images import read_image

HOME = "NIR-VIS-2.0"
TRUTH = "truth"
MASKS = "masks"
PARAMETERS = "parameters.csv"
SAMPLE = Path(__file__).parents[2] / "samples" / HOME  # of a clone of the repository

BEHIND_GLASS = 64  # is added to a region that is seen through a lens


class Region(IntEnum):
    """What a pixel of a mask shows."""

    SURROUNDINGS = 0
    SKIN = 1
    HAIR = 2
    THIN_HAIR = 3  # brows, lashes, beard
    EYE_WHITE = 4
    IRIS = 5  # with the pupil
    MOUTH = 6  # teeth, tongue and gums
    CLOTH = 7
    FRAME = 8  # of glasses


def mask_path(capture: str) -> str:
    """Where the mask of a capture lies, relative to the database's root."""
    return f"{MASKS}/{capture.removesuffix('.jpg')}.png"


def shows(regions: UInt8[np.ndarray, "h w"], region: Region) -> Bool[np.ndarray, "h w"]:
    """Which pixels of a mask show a region, through a lens or not."""
    return regions % BEHIND_GLASS == region


def truth_crop(home: Path, capture: Record, size: int) -> UInt8[np.ndarray, "{size} {size} 3"]:
    """The true VIS image of a NIR capture, aligned by the capture's landmarks as its own crop is.

    Args:
        home: root of the rendered database.
        capture: with landmarks.
        size: side of the crop.

    Raises:
        UserError: it is absent or cannot be read.
    """
    path = _kept(home / TRUTH / capture.path, "true VIS image")
    return align_image(read_image(path), _to_crop(capture, size), size)


def mask_crop(home: Path, capture: Record, size: int) -> UInt8[np.ndarray, "{size} {size}"]:
    """What each pixel of the crop of a NIR capture shows, aligned as ``truth_crop`` is.

    Args:
        home: root of the rendered database.
        capture: with landmarks.
        size: side of the crop.

    Returns:
        A ``Region``, ``BEHIND_GLASS`` more where it is seen through a lens.

    Raises:
        UserError: it is absent or cannot be read.
    """
    path = _kept(home / mask_path(capture.path), "mask")
    return align_labels(read_image(path)[..., 0], _to_crop(capture, size), size)


def _kept(path: Path, name: str) -> Path:
    """The path of a file that lies beside a NIR capture.

    Raises:
        UserError: it is absent.
    """
    if not path.is_file():
        raise UserError(
            f"{path}: the {name} of a NIR capture is absent; name the very database that was prepared, whole"
        )
    return path


def _to_crop(capture: Record, size: int) -> Float[np.ndarray, "2 3"]:
    """From pixels of a capture to those of its crop."""
    return similarity(np.array(capture.landmarks), crop_of(size))
