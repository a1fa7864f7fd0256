"""Uploaded bytes to pixels.

Pictures are 8-bit RGB arrays of (row, column, channel). Uploads are decoded from a file without a name, in
memory where the system has a file system there: nobody can list it, and it ends with the process.
"""

import tempfile
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, UnidentifiedImageError

from pcfh.errors import UserError
from pcfh.images import Picture, read_picture
from pcfh.web.limits import MEGAPIXEL

PREVIEW_SIDE = 720  # pixels of the longer side
_IN_MEMORY = Path("/dev/shm")
_FORMATS = ("JPEG", "BMP", "PNG", "TIFF", "WEBP", "GIF", "PPM")


def decode(data: bytes, *, megapixels: int) -> Picture:
    """Decodes an uploaded picture as ``read_picture`` does a file.

    Args:
        data: what was uploaded, of any kind.
        megapixels: that it may have; judged by its header before anything is decoded.

    Raises:
        UserError: it is no whole picture, too large, or one that would have to be guessed at.
    """
    if not data:
        raise UserError("the file is empty; choose a picture")
    _require_small(data, megapixels)
    with tempfile.TemporaryFile(dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None) as file:
        file.write(data)
        file.seek(0)
        path = Path(f"/dev/fd/{file.fileno()}")
        try:
            return read_picture(path)
        except UserError as error:
            raise UserError(str(error).removeprefix(f"{path}: ")) from error


def preview(
    image: UInt8[np.ndarray, "h w 3"], points: Float[np.ndarray, "n 2"]
) -> tuple[UInt8[np.ndarray, "h2 w2 3"], Float[np.ndarray, "n 2"]]:
    """Shrinks a photograph to what the page shows, and its points with it; a small one stays as it is."""
    height, width = image.shape[:2]
    scale = min(1.0, PREVIEW_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    shrunk = Image.fromarray(image).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    factor = np.array(size) / (width, height)
    return np.asarray(shrunk), (points + 0.5) * factor - 0.5


def _require_small(data: bytes, megapixels: int) -> None:
    """Refuses a picture by the size that its header names; what has no such header is left to the decoder."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(BytesIO(data), formats=_FORMATS) as opened:
                width, height = opened.size
    except Image.DecompressionBombError as error:
        raise UserError(f"has far more than {megapixels} million pixels; shrink it") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        return
    if width * height > megapixels * MEGAPIXEL:
        raise UserError(f"has {width} x {height} pixels; the limit is {megapixels} million; shrink it")
