"""The crops of one training packed into one file, for a machine that has neither pictures nor a detector.

A pack is a zip file that any program can open:

    about.json       what it holds: captures, protocol, coding and its loss, digests of all below
    landmarks.bin    68 points of each capture in thousandths of a pixel of its picture, int32, little-endian
    pictures.bin     the coded crops of one size, one after the other

Unpacked, it is a prepared folder with one protocol. Its manifest names the preparation that it comes from and
the people of it, so that what is trained there is refused as soon as it is to be tested on one of them.

A pack may come from anywhere: sizes are bounded before anything is read, and names of files are made here.

Axis letters: h rows, w columns, c channels, n captures.
"""

import hashlib
import json
import math
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import accumulate, pairwise
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import Literal
from zipfile import ZIP_DEFLATED, ZIP_LZMA, BadZipFile, ZipFile

import msgspec
import numpy as np
from jaxtyping import Int32, UInt8
from PIL import Image

from pcfh.databases.records import (
    Database,
    Modality,
    Points,
    Protocol,
    Record,
    require_disjoint,
    spaced,
    union,
)
from pcfh.errors import UserError
from pcfh.files import atomic_path, sha256_of
from pcfh.geometry.align import crop_of
from pcfh.images import grey, read_image
from pcfh.preparation.align_database import crop_names
from pcfh.preparation.manifest import (
    MANIFEST,
    Manifest,
    Origin,
    crops_folder,
    read_manifest,
    write_manifest,
)

Coding = Literal["webp", "jpeg"]
Progress = Callable[[int, int], None]

_ABOUT, _LANDMARKS, _PICTURES = "about.json", "landmarks.bin", "pictures.bin"
_SUFFIX: Mapping[Coding, str] = {"webp": ".webp", "jpeg": ".jpg"}
_PER_PIXEL = 1000  # landmarks are kept to a thousandth of a pixel
_POINTS = 68
_MOST_CAPTURES, _MOST_ABOUT, _MOST_PICTURE = 500_000, 150_000_000, 4_000_000
_SAME = 99.0  # dB; where a crop comes back as it was


@dataclass(frozen=True, kw_only=True)
class PackOptions:
    """What to pack, and how.

    Attributes:
        protocol: whose training list.
        size: side of the crops; None where the folder has one size.
        coding: of the crops: webp is the smaller one, jpeg leaves colours at full resolution.
        quality: of the coding, 1 to 100.
        probes: how many of the protocol's probes go in too, with its whole gallery, evenly spaced; 0 packs
            nobody who is tested.
    """

    protocol: str = "1"
    size: int | None = None
    coding: Coding = "webp"
    quality: int = 92
    probes: int = 0


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What coding the crops of one modality cost.

    Attributes:
        crops: how many.
        size: of all in bytes.
        mean: peak signal-to-noise ratio in dB.
        least: of the worst crop.
    """

    crops: int
    size: int
    mean: float
    least: float

    def __str__(self) -> str:
        return (
            f"{self.crops:,} crops, {self.size / self.crops:,.0f} bytes each, "
            f"PSNR {self.mean:.1f} dB (least {self.least:.1f})"
        )


@dataclass(frozen=True)
class _Capture:
    """A capture as the file holds it; ``size`` is that of its coded crop in bytes."""

    subject: str
    modality: Modality
    session: str
    path: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Pack:
    """What a pack holds.

    Attributes:
        format: of the file.
        layout: name of the source database's layout.
        source: name of the source database's folder.
        backend: where the landmarks come from.
        protocol: name of the only one.
        size: side of the crops.
        coding: of the crops.
        quality: of the coding.
        loss: by modality.
        captures: in the order of the pictures.
        parts: places in ``captures`` by part of the protocol.
        origin: the preparation that was packed; of its people, those of ``captures``.
        landmarks: SHA-256 of the landmarks' bytes.
        pictures: SHA-256 of the pictures' bytes.
    """

    format: Literal["pcfh-pack-1"] = "pcfh-pack-1"
    layout: str
    source: str
    backend: str
    protocol: str
    size: int
    coding: Coding
    quality: int
    loss: dict[str, Loss]
    captures: tuple[_Capture, ...]
    parts: dict[str, tuple[int, ...]]
    origin: Origin
    landmarks: str
    pictures: str

    @property
    def people(self) -> int:
        """How many people it holds."""
        return len({capture.subject for capture in self.captures})


def pack(
    prepared: Path, file: Path, options: PackOptions, on_progress: Progress = lambda done, total: None
) -> Pack:
    """Packs what the training on a protocol needs.

    Args:
        prepared: folder that ``pcfh prepare`` made.
        file: to write, whole or not at all.
        options: what, and how.
        on_progress: called with the numbers of crops that are coded and of all.

    Raises:
        UserError: nothing was prepared there, options do not fit, people are in training and test, or a crop
            cannot be read.
    """
    manifest = read_manifest(prepared)
    size = _size_of(prepared, manifest, options)
    protocol = thinned(manifest.source.protocol(options.protocol), options.probes)
    records = union([protocol])
    if not records:
        raise UserError(f"{prepared}: protocol {protocol.name!r} lists nobody to train on; name another")
    root = crops_folder(prepared, size)
    points = np.array([record.landmarks for record in records], np.float64)
    landmarks = np.rint(points * _PER_PIXEL).astype("<i4").tobytes()
    sizes, ratios, digest = list[int](), list[float](), hashlib.sha256()
    with atomic_path(file) as temporary, ZipFile(temporary, "w") as archive:
        with archive.open(_PICTURES, "w", force_zip64=True) as pictures:
            for done, record in enumerate(records):
                on_progress(done, len(records))
                data, ratio = coded(read_image(root / manifest.crops[record.path]), record.modality, options)
                pictures.write(data)
                digest.update(data)
                sizes.append(len(data))
                ratios.append(ratio)
        on_progress(len(records), len(records))
        archive.writestr(_LANDMARKS, landmarks, ZIP_LZMA)
        place = {record.path: i for i, record in enumerate(records)}
        loss = _losses(records, sizes, ratios)
        about = Pack(
            layout=manifest.layout,
            source=manifest.source.root.name,
            backend=manifest.backend,
            protocol=protocol.name,
            size=size,
            coding=options.coding,
            quality=options.quality,
            loss=loss,
            captures=tuple(
                _Capture(r.subject, r.modality, r.session, r.path, length)
                for r, length in zip(records, sizes, strict=True)
            ),
            parts={name: tuple(place[r.path] for r in part) for name, part in protocol.parts.items()},
            origin=_origin(prepared, manifest, records, _words(options, loss)),
            landmarks=hashlib.sha256(landmarks).hexdigest(),
            pictures=digest.hexdigest(),
        )
        # The standard library writes names of files that are no UTF-8, too.
        archive.writestr(_ABOUT, json.dumps(msgspec.to_builtins(about)), ZIP_DEFLATED)
    return about


def thinned(protocol: Protocol, probes: int) -> Protocol:
    """A protocol with some of its probes, evenly spaced, and with nobody who is tested where there are none.

    Raises:
        UserError: people are in training and test.
    """
    require_disjoint(protocol)
    if not probes:
        return replace(protocol, gallery=(), probe=())
    return replace(protocol, probe=spaced(protocol.probe, probes))


def coded(image: UInt8[np.ndarray, "h w 3"], modality: Modality, options: PackOptions) -> tuple[bytes, float]:
    """A crop as a small file, NIR in grey, and what came of it against the crop: PSNR in dB."""
    pixels = grey(image)[..., 0] if modality == "NIR" else image
    buffer = BytesIO()
    if options.coding == "webp":
        Image.fromarray(pixels).save(buffer, "WEBP", quality=options.quality, use_sharp_yuv=True)
    else:
        Image.fromarray(pixels).save(
            buffer, "JPEG", quality=options.quality, subsampling=0, optimize=True, progressive=True
        )
    with Image.open(buffer) as again:
        back = np.asarray(again.convert("RGB"))
    if modality == "NIR":
        back = grey(back)[..., 0]
    error = float(np.square(back.astype(np.float64) - pixels).mean())
    return buffer.getvalue(), 10 * math.log10(255**2 / error) if error else _SAME


def read_pack(file: Path) -> Pack:
    """What a pack holds, checked against the sizes of what lies beside it.

    Raises:
        UserError: it is absent, damaged or something else.
    """
    with _opened(file) as archive:
        return _about(file, archive)


def unpack(file: Path, out: Path, on_progress: Progress = lambda done, total: None) -> Pack:
    """Makes a prepared folder of a pack, whole or not at all.

    Args:
        file: that ``pack`` wrote.
        out: folder to make; it must not be there, or be empty.
        on_progress: called with the numbers of crops that are written and of all.

    Raises:
        UserError: the file is absent, damaged or something else, or the folder is not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: is not empty; name a new folder to unpack {file} into")
    with _opened(file) as archive:
        about = _about(file, archive)
        landmarks = _landmarks(file, archive, about)
        records = [
            Record(subject=c.subject, modality=c.modality, session=c.session, path=c.path, landmarks=points)
            for c, points in zip(about.captures, landmarks, strict=True)
        ]
        names = [str(PurePosixPath(name).with_suffix(_SUFFIX[about.coding])) for name in crop_names(records)]
        # Beside the folder, so that it appears at once; what a killed call left there is of no use.
        part = out.with_name(f".{out.name}.unpacked")
        shutil.rmtree(part, ignore_errors=True)
        try:
            root = crops_folder(part, about.size)
            for done, (name, data) in enumerate(zip(names, _pictures(file, archive, about), strict=True)):
                on_progress(done, len(names))
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_bytes(data)
            on_progress(len(names), len(names))
            write_manifest(part, _manifest(about, records, names))
            if out.is_dir():
                out.rmdir()
            part.replace(out)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return about


# Packing


def _size_of(prepared: Path, manifest: Manifest, options: PackOptions) -> int:
    """The side of the crops to pack; refuses options that cannot work."""
    if not 1 <= options.quality <= 100:
        raise UserError(f"--quality {options.quality}: expected 1 to 100")
    if options.probes < 0:
        raise UserError(f"--probes {options.probes}: expected no negative number")
    if manifest.origin is not None:
        raise UserError(f"{prepared}: came packed itself; pack the preparation that it was packed from")
    sizes = ", ".join(map(str, manifest.sizes))
    if options.size is None and len(manifest.sizes) > 1:
        raise UserError(f"{prepared}: has crops of {sizes} pixels; say by --size which to pack")
    size = manifest.sizes[0] if options.size is None else options.size
    if size not in manifest.sizes:
        raise UserError(
            f"{prepared}: has no crops of {size} pixels, only of {sizes}; give --size one of them"
        )
    return size


def _losses(records: Sequence[Record], sizes: Sequence[int], ratios: Sequence[float]) -> dict[str, Loss]:
    """By modality."""
    losses = {}
    for modality in ("NIR", "VIS"):
        own = [i for i, record in enumerate(records) if record.modality == modality]
        if own:
            of_these = [ratios[i] for i in own]
            losses[modality] = Loss(
                crops=len(own),
                size=sum(sizes[i] for i in own),
                mean=round(math.fsum(of_these) / len(own), 2),
                least=round(min(of_these), 2),
            )
    return losses


def _words(options: PackOptions, loss: Mapping[str, Loss]) -> str:
    """The coding and its loss, for people."""
    each = ", ".join(f"{name} {one.mean:.1f} dB (least {one.least:.1f})" for name, one in loss.items())
    return f"{options.coding} of quality {options.quality}, PSNR {each}"


def _origin(prepared: Path, manifest: Manifest, records: Iterable[Record], coding: str) -> Origin:
    people = {record.subject: manifest.people[record.subject] for record in records}
    return Origin(manifest=sha256_of(prepared / MANIFEST), people=people, coding=coding)


# Unpacking


@contextmanager
def _opened(file: Path) -> Iterator[ZipFile]:
    """The file as a zip file; what is wrong with it becomes one line that names it."""
    if not file.is_file():
        raise UserError(f"{file}: no such file; expected one that pcfh pack wrote")
    try:
        with ZipFile(file) as archive:
            yield archive
    except (BadZipFile, EOFError, LZMAError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise _damaged(file, error) from error


def _damaged(file: Path, what: object) -> UserError:
    return UserError(f"{file}: is no whole pack of pcfh pack ({what}); copy it again, or pack it again")


def _member(file: Path, archive: ZipFile, name: str, most: int) -> bytes:
    """A member of the file; no more is read than it may hold, whatever the file says of its size."""
    if name not in archive.namelist():
        raise _damaged(file, f"it has no {name}")
    with archive.open(name) as member:
        content = member.read(most + 1)
    if len(content) > most:
        raise _damaged(file, f"{name} is larger than {most:,} bytes")
    return content


def _about(file: Path, archive: ZipFile) -> Pack:
    """What the file says of itself; refuses what cannot be."""
    try:
        # Read by the standard library: names of files need be no UTF-8.
        content = json.loads(_member(file, archive, _ABOUT, _MOST_ABOUT))
        about = msgspec.convert(content, Pack)
    except (ValueError, RecursionError) as error:  # msgspec's is a ValueError, too
        raise _damaged(file, error) from error
    for fault in _faults(about):
        raise _damaged(file, fault)
    return about


def _faults(about: Pack) -> Iterator[str]:
    """What cannot be in a pack."""
    count = len(about.captures)
    if not 1 <= count <= _MOST_CAPTURES:
        yield f"{count:,} captures"
    if len({capture.path for capture in about.captures}) < count:
        yield "it names a capture twice"
    for capture in about.captures:
        if not 1 <= capture.size <= _MOST_PICTURE:
            yield f"a crop of {capture.size:,} bytes"
        if capture.subject not in about.origin.people:
            yield f"it has no digest of person {capture.subject}"
        path = PurePosixPath(capture.path)
        if path.is_absolute() or ".." in path.parts:
            yield f"a capture outside of the database: {capture.path}"
    if about.parts.keys() != Protocol(name="").parts.keys():
        yield f"expected the parts train, gallery and probe, got {', '.join(about.parts) or 'none'}"
    if any(not 0 <= place < count for part in about.parts.values() for place in part):
        yield "it lists a capture that it does not hold"
    try:
        crop_of(about.size)
    except UserError as error:
        yield str(error)


def _landmarks(file: Path, archive: ZipFile, about: Pack) -> list[Points]:
    """The landmarks of all captures, in pixels of their pictures."""
    content = _member(file, archive, _LANDMARKS, len(about.captures) * _POINTS * 2 * 4)
    if hashlib.sha256(content).hexdigest() != about.landmarks:
        raise _damaged(file, "the checksum of its landmarks is another")
    whole: Int32[np.ndarray, "n 68 2"] = np.frombuffer(content, "<i4").reshape(-1, _POINTS, 2)
    return [
        tuple((x / _PER_PIXEL, y / _PER_PIXEL) for x, y in points) for points in whole.astype(int).tolist()
    ]


def _pictures(file: Path, archive: ZipFile, about: Pack) -> Iterator[bytes]:
    """The coded crops one after the other; the last one only if the checksum of all is right."""
    ends = list(accumulate((capture.size for capture in about.captures), initial=0))
    if _PICTURES not in archive.namelist() or archive.getinfo(_PICTURES).file_size != ends[-1]:
        raise _damaged(file, "its crops are not all there")
    digest = hashlib.sha256()
    with archive.open(_PICTURES) as pictures:
        for start, end in pairwise(ends):
            data = pictures.read(end - start)
            digest.update(data)
            _require_crop(file, data, about)
            if end == ends[-1] and digest.hexdigest() != about.pictures:
                raise _damaged(file, "the checksum of its crops is another")
            yield data


def _require_crop(file: Path, data: bytes, about: Pack) -> None:
    """Refuses by the header what is no crop of the size; the pixels are decoded by whoever needs them."""
    try:
        with Image.open(BytesIO(data), formats=[about.coding.upper()]) as image:
            size = image.size
    except Exception as error:  # of a dozen unrelated types, whatever Pillow raises over a damaged file
        raise _damaged(file, f"a crop is no {about.coding}") from error
    if size != (about.size, about.size):
        raise _damaged(file, f"a crop has {size[0]} x {size[1]} pixels, not {about.size}")


def _manifest(about: Pack, records: Sequence[Record], names: Sequence[str]) -> Manifest:
    """The manifest of the unpacked folder."""
    parts = {part: tuple(records[i] for i in places) for part, places in about.parts.items()}
    protocol = Protocol(name=about.protocol, **parts)
    source = Database(root=Path(about.source), records=tuple(records), protocols={about.protocol: protocol})
    return Manifest(
        layout=about.layout,
        backend=about.backend,
        sizes=(about.size,),
        source=source,
        crops={record.path: name for record, name in zip(records, names, strict=True)},
        dropped=(),
        origin=about.origin,
    )
