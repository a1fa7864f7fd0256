"""Pictures in and out: 8-bit RGB arrays of (row, column, channel), value range 0 to 255.

What a file holds is judged by its header before anything is decoded; of its metadata only the orientation is
read. Whatever would need a guess (CMYK without its profile, numbers below zero, several frames) is refused
with its remedy. One guess is made, and told: grey pictures of over 8 bits, as cameras write them, are scaled
by the value that the file declares to be white, or by their largest.
"""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
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
from pcfh.picture_bytes import declared_white, pixels_and_turn
from pcfh.provenance import TRAINED, xmp

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".bmp", ".png", ".tif", ".tiff", ".webp", ".jfif", ".jpe", ".pgm", ".ppm")
# Pictures, too, that are no photographs of a face database or cannot be read: named, so that none is left out
# in silence.
OTHER_SUFFIXES = (
    *(
        ".gif",
        ".heic",
        ".heif",
        ".avif",
        ".jp2",
        ".j2k",
        ".jpx",
        ".jxl",
        ".jxr",
        ".raw",
        ".dng",
        ".cr2",
        ".cr3",
    ),
    *(".nef", ".arw", ".orf", ".rw2", ".raf", ".pnm", ".pbm", ".pam", ".pfm", ".exr", ".hdr", ".psd", ".tga"),
)
MAX_SIDE = 16_384
MAX_PIXELS = 64_000_000
MAX_BYTES = 300_000_000

# GIF only where a file is named; the many other formats of Pillow are no face database's.
_FORMATS = ("JPEG", "BMP", "PNG", "TIFF", "WEBP", "GIF", "PPM")
_CHANNELS: Mapping[str, int] = {"L": 1, "LA": 1, "RGB": 3, "RGBA": 3}
_PALETTES = ("P", "PA")
_REFUSED: Mapping[str, str] = {
    "1": "has one bit per pixel; convert it to 8-bit grey",
    "CMYK": "is CMYK; convert it to RGB with its colour profile",
}
_BITS_PER_SAMPLE, _SAMPLE_FORMAT, _UNSIGNED = 258, 339, 1  # TIFF
_DEEP = "has colours of more than 8 bits per channel; convert it to 8-bit"
_DEEPEST = 65_535

# Pillow logs what is wrong with a file before it raises; the message that names the file is enough.
logging.getLogger("PIL").addHandler(logging.NullHandler())


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture as it was read.

    Attributes:
        pixels: upright, grey ones as three equal channels.
        note: what had to be assumed, for people; "" where nothing had.
    """

    pixels: UInt8[np.ndarray, "h w 3"]
    note: str = ""


def read_image(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """Reads a picture upright (EXIF orientation applied), grey ones as three equal channels, without alpha.

    Raises:
        UserError: there is no such file, it is no whole image, or one that would have to be guessed at
            (see the module); the text names the file and what to do.
    """
    return read_picture(path).pixels


def read_picture(path: Path) -> Picture:
    """Reads a picture as ``read_image`` does, and says what had to be assumed."""
    with _as_user_errors(path):
        content = _bytes_of(path)
        data, turn = pixels_and_turn(content)
        with Image.open(BytesIO(data), formats=_FORMATS) as opened:
            _require_usable(path, opened)
            pixels, note = _decoded(opened, declared_white(content))
    pixels = _upright(pixels, turn)
    # A copy: what broadcast_to gives must not be written to, and PyTorch warns of such arrays.
    return Picture(pixels=np.array(np.broadcast_to(pixels, (*pixels.shape[:2], 3)), order="C"), note=note)


def _decoded(opened: ImageFile, white: int | None) -> tuple[UInt8[np.ndarray, "h w c"], str]:
    """The pixels of one or three channels, and what was assumed.

    Args:
        opened: a usable picture.
        white: the value that the file declares, if it does; else the largest is taken for it.
    """
    if opened.mode in _PALETTES:
        return np.array(opened.convert("RGB")), ""
    pixels = np.array(opened)
    if opened.mode in _CHANNELS:
        return pixels.reshape(*pixels.shape[:2], -1)[..., : _CHANNELS[opened.mode]], ""
    if opened.format == "PPM":
        white = _DEEPEST  # Pillow has scaled it by the file's own
    top = white or int(pixels.max(initial=1))
    source = "as the file says" if white else f"whose largest value, {top:,}, was taken for white"
    shades = (np.arange(_DEEPEST + 1) * (255 / top)).round().clip(0, 255).astype(np.uint8)
    return shades[pixels.clip(0, _DEEPEST).astype(np.uint16)][..., None], f"has more than 8 bits, {source}"


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
            f"{path}: not a whole image ({reason}); replace it by an intact JPEG, PNG, BMP, TIFF, WebP or "
            "PGM file"
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
    if reason := _reason_to_refuse(opened):
        raise UserError(f"{path}: {reason}")


def _reason_to_refuse(opened: ImageFile) -> str:
    """What is wrong with a picture's kind of pixels, or ""."""
    samples = opened.tag_v2 if isinstance(opened, TiffImageFile) else {}
    if opened.mode == "F":
        return "has numbers with fractions and no known scale; convert it to 8-bit"
    if set(samples.get(_SAMPLE_FORMAT, ())) - {_UNSIGNED}:
        return "has numbers below zero and no known scale; convert it to 8-bit"
    if opened.mode == "I" and opened.format != "PPM":
        return "has 32 bits and no known scale; convert it to 8-bit"
    if opened.mode.startswith("I"):
        return ""
    return _reason_to_refuse_shallow(opened, max(samples.get(_BITS_PER_SAMPLE, (8,))))


def _reason_to_refuse_shallow(opened: ImageFile, bits: int) -> str:
    """The same of pictures that Pillow gives out with 8 bits, whatever the file's own are."""
    kinds = (tile.args if isinstance(tile.args, str) else (tile.args or ("",))[0] for tile in opened.tile)
    if bits > 8 or (opened.format == "PNG" and any(";16" in str(kind) for kind in kinds)):
        return _DEEP
    if opened.mode in (*_CHANNELS, *_PALETTES):
        return ""
    return _REFUSED.get(opened.mode, f"has pixels of the kind {opened.mode}; convert it to RGB")
