"""What of a picture file holds pixels, apart from what else it says.

Cameras, phones and programs write EXIF, profiles and texts of every kind, and a library that reads them all
refuses intact pictures for their sake. Here the file is reduced to what decoding needs, and of the rest two
numbers are read: how the picture is turned, and in TIFF files which value is white.
"""

import re
import struct
from collections.abc import Iterable, Iterator

_UPRIGHT = 1
_TURN = 0x0112  # EXIF and TIFF: Orientation
_EXIF = b"Exif\0\0"
_JPEG, _PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_TIFF = {b"II*\0": "<", b"MM\0*": ">"}
_XMP_TURN = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')
_WHITE, _DEPTH = 281, 258  # TIFF: MaxSampleValue, BitsPerSample
_WHOLE = {1: "B", 3: "H", 4: "I"}  # TIFF's kinds of whole numbers: byte, short, long
# Sizes, bits, compression, colours, rows, places, layout, predictor, palette, tiles, samples, JPEG, YCbCr.
_TIFF_PIXELS = frozenset(
    (
        *(256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325),
        *(338, 339, 347, 512, 513, 514, 529, 530, 531, 532),
    )
)
_PNG_FRAMES = (b"acTL", b"fcTL", b"fdAT")


def declared_white(data: bytes) -> int | None:
    """The value that a TIFF file of over 8 bits declares to be white; None where it declares none."""
    entries = dict(_entries(data))
    order = _TIFF.get(data[:4], "<")
    said = _number(order, entries.get(_WHITE))
    depth = _number(order, entries.get(_DEPTH)) or 16
    return said or (2**depth - 1 if 8 < depth < 16 else None)


def pixels_and_turn(data: bytes) -> tuple[bytes, int]:
    """A file without its metadata, and its EXIF orientation, 1 to 8; 1 where none that makes sense is there.

    Formats that are not known here come back as they are.
    """
    if data.startswith(_JPEG):
        return _of_jpeg(data)
    if data.startswith(_PNG):
        return _of_png(data)
    if data[:4] in _TIFF:
        return _of_tiff(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return data, _turn(body for kind, body in _riff_chunks(data) if kind in (b"EXIF", b"XMP "))
    return data, _UPRIGHT


def _of_jpeg(data: bytes) -> tuple[bytes, int]:
    """Without comments and applications' segments, but for two that say how colours are coded."""
    kept, told, place = [data[:2]], list[bytes](), 2
    while data[place : place + 1] == b"\xff" and data[place + 1 : place + 2] not in (b"\xda", b"\xd9", b""):
        marker, size = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if marker == 0xFF or size < 2:  # a byte of padding; what has no length
            kept.append(data[place : place + 1])
            place += 1
            continue
        segment = data[place : place + 2 + size]
        if marker == 0xE1:
            told.append(segment[4:])
        jfif = marker == 0xE0 and segment[4:9] == b"JFIF\0" and size >= 16
        if jfif or marker == 0xEE or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            kept.append(segment)
        place += 2 + size
    return b"".join((*kept, data[place:])), _turn(told)


def _of_png(data: bytes) -> tuple[bytes, int]:
    """Without the chunks that a decoder may pass over, but for those that tell of further frames."""
    kept, told, place = [data[:8]], list[bytes](), 8
    while place + 12 <= len(data):
        size, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        chunk = data[place : place + 12 + size]
        if kind[:1].isupper() or kind in _PNG_FRAMES:
            kept.append(chunk)
        elif kind in (b"eXIf", b"iTXt"):
            told.append(chunk[8:-4])
        place += 12 + size
    return b"".join((*kept, data[place:])), _turn(told)


def _of_tiff(data: bytes) -> tuple[bytes, int]:
    """Without the entries of the first directory that say nothing about pixels; the turn is one of them."""
    order = _TIFF[data[:4]]
    entries = dict(_entries(data))
    if not entries:
        return data, _UPRIGHT
    start = int.from_bytes(data[4:8], "little" if order == "<" else "big")
    after = start + 2 + 12 * struct.unpack_from(f"{order}H", data, start)[0]
    kept = [entry for tag, entry in entries.items() if tag in _TIFF_PIXELS]
    directory = struct.pack(f"{order}H", len(kept)) + b"".join(kept) + data[after : after + 4]
    return data[:start] + directory + data[start + len(directory) :], _turn([data])


def _turn(told: Iterable[bytes]) -> int:
    """The orientation that the first EXIF block tells, or else the first XMP one."""
    blocks = list(told)
    texts = (found for block in blocks if (found := _XMP_TURN.search(block)))
    return next(filter(None, map(_exif_turn, blocks)), None) or next((int(t[1]) for t in texts), _UPRIGHT)


def _exif_turn(block: bytes) -> int | None:
    """The orientation in a block that has the form of a TIFF file, and perhaps more than one head."""
    while block.startswith(_EXIF):
        block = block.removeprefix(_EXIF)
    entry = dict(_entries(block)).get(_TURN)
    turn = _number(_TIFF.get(block[:4], "<"), entry)
    return turn if turn in range(1, 9) else None


def _number(order: str, entry: bytes | None) -> int | None:
    """The one whole number of a directory's entry; None where it holds something else."""
    if entry is None:
        return None
    kind, count = struct.unpack_from(f"{order}HI", entry, 2)
    if kind not in _WHOLE or count != 1:
        return None
    number: int = struct.unpack_from(f"{order}{_WHOLE[kind]}", entry, 8)[0]
    return number


def _entries(block: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and bytes of the entries of the first directory; none where the block does not hold it whole."""
    order = _TIFF.get(block[:4])
    if order is None or len(block) < 8:
        return
    (start,) = struct.unpack_from(f"{order}I", block, 4)
    count = struct.unpack_from(f"{order}H", block, start)[0] if start + 2 <= len(block) else 0
    for place in range(start + 2, start + 2 + 12 * count, 12):
        if place + 12 > len(block):
            return
        yield struct.unpack_from(f"{order}H", block, place)[0], block[place : place + 12]


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of the chunks of a WebP file."""
    place = 12
    while place + 8 <= len(data):
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        yield data[place : place + 4], data[place + 8 : place + 8 + size]
        place += 8 + size + size % 2
