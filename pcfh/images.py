"""Pictures in and out: 8-bit RGB arrays of (row, column, channel), value range 0 to 255.

What a file holds is judged by its header before anything is decoded; of its metadata only the orientation is
read. Whatever would need a guess (16 bits and no known scale, CMYK without its profile, a palette, several
frames) is refused with its remedy.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import TiffImageFile

from pcfh.errors import UserError
from pcfh.files import write_atomically
from pcfh.picture_bytes import pixels_and_turn
from pcfh.provenance import TRAINED, xmp

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".bmp", ".png", ".tif", ".tiff", ".webp")
MAX_SIDE = 16_384
MAX_PIXELS = 64_000_000
MAX_BYTES = 1_000_000_000

# GIF only to say what is wrong with it; the many other formats of Pillow are no face database's.
_FORMATS = ("JPEG", "BMP", "PNG", "TIFF", "WEBP", "GIF")
_CHANNELS: Mapping[str, int] = {"L": 1, "LA": 1, "RGB": 3, "RGBA": 3}
_REFUSED: Mapping[str, str] = {
    "1": "has one bit per pixel; convert it to 8-bit grey",
    "P": "has a colour palette; convert it to RGB",
    "PA": "has a colour palette; convert it to RGB",
    "CMYK": "is CMYK; convert it to RGB with its colour profile",
}
_BITS_PER_SAMPLE = 258  # TIFF
_DEEP = "has more than 8 bits per channel and no known scale; convert it to 8-bit"


def read_image(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """Reads a picture upright (EXIF orientation applied), grey ones as three equal channels, without alpha.

    Raises:
        UserError: there is no such file, it is no whole image, or one that would have to be guessed at
            (see the module); the text names the file and what to do.
    """
    with _as_user_errors(path):
        data, turn = pixels_and_turn(_bytes_of(path))
        with Image.open(BytesIO(data), formats=_FORMATS) as opened:
            _require_usable(path, opened)
            pixels = np.array(opened)
    pixels = pixels.reshape(*pixels.shape[:2], -1)[..., : _CHANNELS[opened.mode]]
    pixels = _upright(pixels, turn)
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def _bytes_of(path: Path) -> bytes:
    """The content of a file; a device or pipe would have no end."""
    if path.exists() and not path.is_file():
        raise OSError("not a file")
    if path.stat().st_size > MAX_BYTES:
        raise UserError(f"{path}: is too large to be a face image (over {MAX_BYTES:,} bytes); shrink it")
    return path.read_bytes()


def _upright(pixels: UInt8[np.ndarray, "h w c"], turn: int) -> UInt8[np.ndarray, "u v c"]:
    """A picture as its EXIF orientation, 1 to 8, wants it shown."""
    if turn >= 5:
        pixels = pixels.swapaxes(0, 1)
    if turn in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if turn in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def grey(image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 1"]:
    """The luma of an RGB image (ITU-R BT.601); three equal channels come back as they were."""
    return np.asarray(Image.fromarray(image).convert("L"))[..., None]


def write_png(path: Path, image: UInt8[np.ndarray, "h w c"], text: Mapping[str, str]) -> None:
    """Writes a PNG whole or not at all; see ``png_bytes``. Its folder is made if need be."""
    write_atomically(path, png_bytes(image, text))


def png_bytes(image: UInt8[np.ndarray, "h w c"], text: Mapping[str, str]) -> bytes:
    """A PNG file.

    Args:
        image: one channel (grey) or three (RGB).
        text: keyword and value of the text chunks; iTXt where the value is not Latin-1.
    """
    chunks = PngInfo()
    for keyword, value in text.items():
        chunks.add_text(keyword, value)
    buffer = BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(buffer, "PNG", pnginfo=chunks)
    return buffer.getvalue()


def jpeg_bytes(image: UInt8[np.ndarray, "h w 3"], *, trained: bool = False, quality: int = 92) -> bytes:
    """A JPEG file; one with a generated face says that it is synthetic."""
    buffer = BytesIO()
    marks = {"comment": b"Synthetic face, no photograph.", "xmp": xmp(TRAINED).encode()} if trained else {}
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, **marks)
    return buffer.getvalue()


@contextmanager
def _as_user_errors(path: Path) -> Iterator[None]:
    """Turns what Pillow raises over a bad file into one line that names the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except Image.DecompressionBombError as error:
        raise UserError(f"{path}: is too large to be a face image ({error}); shrink it") from error
    except Exception as error:  # of a dozen unrelated types, whatever Pillow raises over a damaged file
        reason = "of no known format" if isinstance(error, UnidentifiedImageError) else error
        raise UserError(
            f"{path}: not a whole image ({reason}); replace it by an intact JPEG, PNG, BMP, TIFF or WebP file"
        ) from error


def _require_usable(path: Path, opened: ImageFile) -> None:
    """Refuses by the header what is too large or would have to be guessed at."""
    width, height = opened.size
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise UserError(
            f"{path}: has {width} x {height} pixels; the limits are {MAX_SIDE} a side and "
            f"{MAX_PIXELS // 1_000_000} million in all; shrink it"
        )
    if getattr(opened, "is_animated", False):
        raise UserError(f"{path}: holds several frames; save the one you mean as a file of its own")
    if _is_deep(opened):
        raise UserError(f"{path}: {_DEEP}")
    if opened.mode not in _CHANNELS:
        remedy = _REFUSED.get(opened.mode, f"has pixels of the kind {opened.mode}; convert it to RGB")
        raise UserError(f"{path}: {remedy}")


def _is_deep(opened: ImageFile) -> bool:
    """Whether the file has over 8 bits per channel, also where Pillow would silently drop the lower ones."""
    if opened.mode.startswith(("I", "F")):
        return True
    if isinstance(opened, TiffImageFile):
        return max(opened.tag_v2.get(_BITS_PER_SAMPLE, (8,))) > 8
    kinds = (tile.args if isinstance(tile.args, str) else (tile.args or ("",))[0] for tile in opened.tile)
    return opened.format == "PNG" and any(";16" in str(kind) for kind in kinds)
