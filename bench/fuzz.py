"""Damages pictures in every way and sees what becomes of them.

    python -m bench fuzz --pictures 10000 --seed 0

A small picture is written in each format and then damaged: bits turned, cut off, header fields set to extreme
numbers, random EXIF, giant sizes, two formats in one file. Some stay intact and get odd metadata only. Each
goes through the reader, what ``translate`` and ``prepare`` do, and the page's upload, all in this process and
with a small generator of random weights. It ends with 1 where something does not hold:

    no exception but UserError      a traceback is a fault of the program
    intact pictures are read        whatever their metadata say, with the same pixels
    every good neighbour is written, in each folder
    memory is bounded               the peak of this process stays below LIMIT
"""

import argparse
import random
import struct
import traceback
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from starlette.testclient import TestClient

from bench.memory import peak_mebibytes
from pcfh.batches import Way, run_work
from pcfh.databases.records import Database, Protocol, Record
from pcfh.databases.rendered import SAMPLE
from pcfh.errors import UserError
from pcfh.files import sha256_of
from pcfh.hallucinate import Hallucinator
from pcfh.images import read_image
from pcfh.landmarks.base import Face
from pcfh.landmarks.given import read_landmarks, write_landmarks
from pcfh.methods.files import save_generator
from pcfh.methods.pcfh.generator import Generator
from pcfh.preparation.align_capture import PrepareOptions
from pcfh.preparation.align_database import prepare
from pcfh.preparation.face_reader import ReaderOptions
from pcfh.recognisers.registry import open_recognizer
from pcfh.shipped import shipped
from pcfh.translate import translation
from pcfh.web.app import create_app
from pcfh.web.engine import Engine
from pcfh.web.limits import Limits

LIMIT = 2 << 30  # bytes: the largest picture that is read with its copies, and the program
SIDE = 48
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "PPM", "GIF")
FACE = read_landmarks(SAMPLE / "landmarks68.csv")["s2/nir/00185/002"]  # in a picture of 256 pixels
_EXTREME = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_EXIF_TAGS = (
    0x100,
    0x101,
    0x103,
    0x10F,
    0x110,
    0x11A,
    0x128,
    0x131,
    0x132,
    0x201,
    0x8769,
    0x8825,
    0x9286,
    0xC4A5,
)
_KINDS = (0, 1, 2, 3, 4, 5, 7, 9, 10, 12, 13, 99)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A file to be read.

    Attributes:
        how: it was made.
        data: its content.
        pixels: what has to come out, where it is intact.
    """

    how: str
    data: bytes
    pixels: UInt8[np.ndarray, "h w 3"] | None = None


@dataclass(kw_only=True)
class Report:
    """What came of it."""

    pictures: int = 0
    read: int = 0
    refused: int = 0
    intact: int = 0
    peak: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def weigh(self) -> None:
        """Notes the memory that this process has taken at most."""
        self.peak = round(peak_mebibytes() * 2**20)
        if self.peak > LIMIT:
            self.faults.append(f"memory: {self.peak:,} bytes at most, over {LIMIT:,}")

    @contextmanager
    def watching(self, what: str) -> Iterator[None]:
        """Notes whatever is raised meanwhile; nothing may be."""
        try:
            yield
        except Exception:
            self.faults.append(f"{what}: {traceback.format_exc()}")


def picture(rng: random.Random) -> UInt8[np.ndarray, "h w 3"]:
    """A smooth picture, grey or coloured, in which nothing is plain."""
    small = np.array([[[rng.randrange(256) for _ in range(3)] for _ in range(5)] for _ in range(5)], np.uint8)
    image = np.array(Image.fromarray(small).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    return image if rng.random() < 0.5 else np.repeat(image[..., :1], 3, axis=2)


def encoded(image: UInt8[np.ndarray, "h w 3"], form: str, **options: Any) -> bytes:
    """A file of some format, a grey picture with one channel."""
    buffer = BytesIO()
    grey = bool((image == image[..., :1]).all())
    Image.fromarray(image[..., 0] if grey else image).save(buffer, form, **options)
    return buffer.getvalue()


def exif(rng: random.Random, turn: int) -> bytes:
    """An EXIF block of odd entries, among them the orientation, which alone is as it should be."""
    order = rng.choice("<>")
    entries = [
        struct.pack(
            f"{order}HHII",
            rng.choice(_EXIF_TAGS),
            rng.choice(_KINDS),
            rng.choice((0, 1, 5, 70_000)),
            rng.randrange(2**32),
        )
        for _ in range(rng.randrange(6))
    ]
    entries.insert(rng.randrange(len(entries) + 1), struct.pack(f"{order}HHIHH", 0x112, 3, 1, turn, 0))
    head = b"II*\0" if order == "<" else b"MM\0*"
    return b"".join((head, struct.pack(f"{order}IH", 8, len(entries)), *entries, rng.randbytes(40)))


def upright(image: UInt8[np.ndarray, "h w 3"], turn: int) -> UInt8[np.ndarray, "h2 w2 3"]:
    """A picture as its orientation wants it shown, by the meaning of the eight numbers."""
    if turn >= 5:
        image = image.swapaxes(0, 1)
    if turn in (3, 4, 7, 8):
        image = image[::-1]
    return image[:, ::-1] if turn in (2, 3, 6, 7) else image


def with_metadata(rng: random.Random) -> Case:
    """An intact picture with odd metadata."""
    image, form, turn = picture(rng), rng.choice(("JPEG", "PNG", "WEBP")), rng.randrange(1, 9)
    every: dict[str, dict[str, Any]] = {"WEBP": {"lossless": True}, "JPEG": {"quality": 90}}
    options = every.get(form, {})
    pixels = read_back(encoded(image, form, **options))
    data = encoded(image, form, exif=exif(rng, turn), **options)
    if form == "PNG" and rng.random() < 0.3:  # a text that a decoder would refuse for its size
        text = b"zTXtComment\0\0" + zlib.compress(bytes(2_000_000))
        data = (
            data[:33]
            + struct.pack(">I", len(text) - 4)
            + text
            + struct.pack(">I", zlib.crc32(text))
            + data[33:]
        )
    return Case(how=f"{form}, odd metadata", data=data, pixels=upright(pixels, turn))


def read_back(data: bytes) -> UInt8[np.ndarray, "h w 3"]:
    """The pixels of an intact file without metadata, as Pillow reads them."""
    return np.array(Image.open(BytesIO(data)).convert("RGB"))


def bits_turned(rng: random.Random) -> Case:
    """Some bytes of a file, mostly of its beginning, are others."""
    form = rng.choice(FORMATS)
    data = bytearray(encoded(picture(rng), form))
    reach = len(data) if rng.random() < 0.3 else min(len(data), 200)
    for _ in range(rng.choice((1, 3, 12, 60))):
        data[rng.randrange(reach)] = rng.randrange(256)
    return Case(how=f"{form}, bits turned", data=bytes(data))


def cut(rng: random.Random) -> Case:
    """A file that ends early, or has something else behind it or in its middle."""
    form = rng.choice(FORMATS)
    data = encoded(picture(rng), form)
    place = rng.randrange(len(data))
    match rng.randrange(3):
        case 0:
            data = data[:place]
        case 1:
            data = data[:place] + rng.randbytes(rng.randrange(1, 300)) + data[place:]
        case _:
            data = data[:place] + data[place + rng.randrange(1, 60) :]
    return Case(how=f"{form}, cut", data=data)


def header_edited(rng: random.Random) -> Case:
    """Numbers of the header are extreme ones; sizes above all."""
    form = rng.choice(FORMATS)
    data = bytearray(encoded(picture(rng), form))
    for _ in range(rng.choice((1, 1, 2, 4))):
        kind = rng.choice(("B", "<H", ">H", "<I", ">I"))
        place = rng.randrange(min(len(data), 140) - 4)
        value = rng.choice(_EXTREME) & (256 ** struct.calcsize(kind) - 1)
        struct.pack_into(kind, data, place, value)
    return Case(how=f"{form}, header edited", data=bytes(data))


def giant(rng: random.Random) -> Case:
    """A small file that says it is very large."""
    width, height = rng.choice(
        ((60_000, 60_000), (16_384, 16_384), (16_385, 2), (9_000, 7_000), (2**31 - 1, 1))
    )
    header = struct.pack(">IIBBBBB", width, height, rng.choice((8, 16)), rng.choice((0, 2, 3, 4, 6)), 0, 0, 0)
    rows = zlib.compress(bytes(1000))
    parts = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    png = b"".join(struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in parts)
    bmp = struct.pack(
        "<2sIHHIIiiHHIIiiII", b"BM", 62, 0, 0, 54, 40, width, height % 2**31, 1, 24, 0, 8, 0, 0, 0, 0
    )
    pgm = b"P5\n%d %d\n%d\n" % (width, height, rng.choice((1, 255, 65_535, 99_999)))
    return Case(how="giant", data=rng.choice((b"\x89PNG\r\n\x1a\n" + png, bmp + bytes(8), pgm + bytes(100))))


def polyglot(rng: random.Random) -> Case:
    """One format's beginning and another's rest, or a foreign file with a picture in it."""
    first, second = (encoded(picture(rng), rng.choice(FORMATS)) for _ in range(2))
    foreign = (
        b"%PDF-1.7\n",
        b"PK\3\4",
        b"<svg xmlns='http://www.w3.org/2000/svg'>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"\x7fELF",
    )
    place = rng.randrange(2, 60)
    return Case(
        how="polyglot", data=rng.choice((first[:place] + second, rng.choice(foreign) + first, first + second))
    )


MAKERS: Sequence[Callable[[random.Random], Case]] = (
    with_metadata, with_metadata, bits_turned, bits_turned, cut, header_edited, header_edited, giant, polyglot
)  # fmt: skip


def case_of(seed: int, number: int) -> Case:
    """The case of a number; the same for everybody."""
    rng = random.Random(f"{seed} {number}")
    return rng.choice(MAKERS)(rng)


def check_reader(case: Case, path: Path, report: Report) -> None:
    """Reads a case, which is written to a path."""
    path.write_bytes(case.data)
    report.pictures += 1
    report.kinds[case.how] += 1
    report.intact += case.pixels is not None
    try:
        pixels = read_image(path)
    except UserError as error:
        report.refused += 1
        if case.pixels is not None:
            report.faults.append(f"{case.how}: an intact picture is refused: {error}")
        if not str(error).startswith(f"{path}: ") or "\n" in str(error):
            report.faults.append(f"{case.how}: a message that is not one line with the file's name: {error}")
    except BaseException:
        report.faults.append(f"{case.how}: {traceback.format_exc()}")
    else:
        report.read += 1
        if case.pixels is not None and not np.array_equal(pixels, case.pixels):
            report.faults.append(f"{case.how}: other pixels than the picture has")


@dataclass(frozen=True, kw_only=True)
class Program:
    """What pictures go through besides the reader; of random weights, so that it is quick.

    Attributes:
        hallucinator: a small generator.
        model: its file.
        page: asks the web page's server, where its extra is installed.
    """

    hallucinator: Hallucinator
    model: Path
    page: Any = None


class SameFace:
    """A landmark backend that finds the same face in every picture, in proportion to its size."""

    name = "same"

    def detect(self, image: UInt8[np.ndarray, "h w 3"]) -> list[Face]:
        """One face."""
        height, width, _ = image.shape
        scale = np.array([width, height]) / 256
        return [
            Face(box=(0.0, 0.0, float(width), float(height)), score=1.0, landmarks=np.array(FACE) * scale)
        ]


@contextmanager
def program(scratch: Path) -> Iterator[Program]:
    """Opens all that is tried."""
    model = scratch / "generator.safetensors"
    torch.manual_seed(0)
    save_generator(model, Generator(size=64, width=4, blocks=1, local_blocks=1), {})
    hallucinator = Hallucinator.from_file(model, device="cpu", backend=SameFace())
    app = create_app(Engine(hallucinator, open_recognizer(shipped("recognizer"))), Limits(), {"127.0.0.1"})
    with TestClient(app, base_url="http://127.0.0.1:8765", raise_server_exceptions=False) as page:
        yield Program(hallucinator=hallucinator, model=model, page=page)


def check_folder(folder: Path, good: Sequence[str], tried: Program, report: Report) -> None:
    """Translates and prepares a folder; each good picture in it has to be there afterwards."""
    names = sorted(path.name for path in folder.iterdir())
    table = folder.parent / "landmarks.csv"
    write_landmarks(table, dict.fromkeys(names, np.array(FACE) * (SIDE / 256)))
    reading = ReaderOptions(size=64, landmarks=table)
    work = translation(tried.model, sha256_of(tried.model), "cpu", reading, here=False, batch=8)
    with report.watching("translate"):
        run_work(work, [folder], folder.parent / "faces", Way(workers=1))
    points = tuple((x * SIDE / 256, y * SIDE / 256) for x, y in FACE)
    records = tuple(Record(subject="a", modality="NIR", path=name, landmarks=points) for name in names)
    database = Database(root=folder, records=records, protocols={"all": Protocol(name="all", train=records)})
    prepared = folder.parent / "prepared"
    with report.watching("prepare"):
        prepare(database, prepared, PrepareOptions(sizes=(64,), backend="given"))
    for place in (folder.parent / "faces", prepared / "crops" / "64" / "NIR" / "a"):
        absent = [name for name in good if not (place / name).with_suffix(".png").is_file()]
        if absent:
            report.faults.append(f"{place.name}: {len(absent)} good pictures not written, e.g. {absent[0]}")


def check_page(case: Case, tried: Program, report: Report) -> None:
    """Uploads a case; the answer is a face, or a line that says what is wrong."""
    with report.watching(f"page, {case.how}"):
        answer = tried.page.post("/api/faces", content=case.data, headers={"X-File-Name": "a.png"})
        wrong = {403, 404, 405} if case.pixels is None else {400, 403, 404, 405, 413, 415, 422}
        if answer.status_code >= 500 or answer.status_code in wrong:
            report.faults.append(f"page, {case.how}: {answer.status_code} {answer.text[:200]}")


def run(pictures: int, seed: int, *, lot: int = 50) -> Report:
    """Tries pictures, so many at a time in one folder with two good ones."""
    report = Report()
    with TemporaryDirectory() as name, program(Path(name)) as tried:
        for start in range(0, pictures, lot):
            with TemporaryDirectory(dir=name) as place:
                folder = Path(place) / "in"
                folder.mkdir()
                for number in range(start, min(start + lot, pictures)):
                    case = case_of(seed, number)
                    check_reader(case, folder / f"{number:06}.png", report)
                    check_page(case, tried, report)
                good = [f"good{n}.png" for n in range(2)]
                for path in good:
                    rng = random.Random(f"{seed} {start} {path}")
                    (folder / path).write_bytes(encoded(picture(rng), "PNG"))
                check_folder(folder, good, tried, report)
    report.weigh()
    return report


def run_reader(pictures: int, seed: int) -> Report:
    """Tries pictures on the reader alone."""
    report = Report()
    with TemporaryDirectory() as name:
        for number in range(pictures):
            check_reader(case_of(seed, number), Path(name) / "a.png", report)
    report.weigh()
    return report


def main(arguments: Sequence[str]) -> int:
    """Runs it and prints what came of it; 1 where anything is not as it must be."""
    parser = argparse.ArgumentParser(prog="python -m bench fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--reader-only", action="store_true", help="leave translate, prepare and the page out"
    )
    options = parser.parse_args(arguments)
    chosen = run_reader if options.reader_only else run
    report = chosen(options.pictures, options.seed)
    for kind, count in sorted(report.kinds.items()):
        print(f"{count:6,}  {kind}")
    print(
        f"{report.pictures:,} pictures (seed {options.seed}), {report.intact:,} of them intact: "
        f"{report.read:,} read, {report.refused:,} refused with a line; {len(report.faults)} faults; "
        f"{report.peak / 2**20:,.0f} MiB at most"
    )
    for fault in report.faults[:20]:
        print(fault)
    return 1 if report.faults else 0
