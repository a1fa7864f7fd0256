"""Folders full of trouble: good ones are translated, each bad one gets a line, nothing is half-written."""

import struct
import zlib
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pcfh.batches import Progress, Way, Work, run_work
from pcfh.errors import UserError
from pcfh.hallucinate import Hallucinator
from pcfh.landmarks.base import Face
from pcfh.landmarks.given import read_landmarks, write_landmarks
from pcfh.methods.pcfh.generator import Generator
from pcfh.preparation.face_reader import ReaderOptions, read_faces, start_reader
from pcfh.preparation.training_range import shipped_range
from pcfh.sources import Picture, check_sources, find_pictures
from pcfh.translate import write_faces

SIZE = 64
EXIF_ORIENTATION, TURN_RIGHT = 0x0112, 6


class Finder:
    """Finds the one face it knows in every picture that is not black."""

    name = "fake"

    def __init__(self, landmarks) -> None:
        self.face = Face(box=(0.0, 0.0, 1.0, 1.0), score=1.0, landmarks=landmarks)
        self.seen = []

    def detect(self, image):
        self.seen.append(image)
        return [self.face] if image.any() else []


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Generator(size=SIZE, width=4, blocks=1, local_blocks=1).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def photograph(drawn_database):
    """A NIR photograph of 96 x 96 pixels, one channel, and its landmarks."""
    points = read_landmarks(drawn_database / "landmarks68.csv")
    with Image.open(drawn_database / "s1/NIR/00001/001.png") as image:
        return image.copy(), points["s1/nir/00001/001"]


@pytest.fixture
def finder(photograph):
    return Finder(photograph[1])


@pytest.fixture
def hallucinator(network, finder):
    return Hallucinator(network, about={"model": "ab12"}, backend=finder)


@pytest.fixture
def nir(tmp_path, photograph):
    """A folder with one good picture."""
    (tmp_path / "nir").mkdir()
    photograph[0].save(tmp_path / "nir" / "good.png")
    return tmp_path / "nir"


def work_of(hallucinator, *, model="ab12", batch=8, **options) -> Work:
    """What ``pcfh translate`` does, with a detector and a model that tests have at hand."""
    reading = ReaderOptions(size=SIZE, **options)

    def reader():
        if reading.landmarks:
            return start_reader(reading)
        return partial(read_faces, reading, hallucinator._backend, None, shipped_range())

    return Work(
        name="translation",
        settings=f"{model} {reading.settings()}",
        start_reader=reader,
        start_writer=lambda: partial(write_faces, hallucinator),
        ending=".png",
        batch=batch,
    )


def translate(hallucinator, sources, out, **options):
    """Translates in this process; sources and reasons of what failed."""
    return run_work(work_of(hallucinator, **options), sources, out, Way(workers=1)).failures


def files(folder: Path) -> set[str]:
    """All results below a folder."""
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return found - {"manifest.csv", ".pcfh-work.sqlite", ".pcfh-work.lock"}


def wide_png(path: Path, width: int) -> None:
    """A valid PNG of one row, far too wide to be drawn by Pillow first."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, 1, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" + bytes(width))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def truncated_jpeg(path: Path, image: Image.Image) -> None:
    image.save(path, quality=95)
    path.write_bytes(path.read_bytes()[:-500])


BAD = {
    "faceless.png": (lambda path, image: Image.new("L", (96, 96)).save(path), "no face was found"),
    "truncated.jpg": (truncated_jpeg, "not a whole image"),
    "fractions.tif": (
        lambda path, image: Image.fromarray(np.asarray(image) / np.float32(255)).save(path),
        "numbers with fractions",
    ),
    "cmyk.jpg": (lambda path, image: image.convert("CMYK").save(path), "is CMYK"),
    "wide.png": (lambda path, image: wide_png(path, 40_000), "has 40000 x 1 pixels; the limits are 16384"),
    "text.jpg": (lambda path, image: path.write_text("a letter to my aunt"), "not a whole image"),
    "empty.png": (lambda path, image: path.write_bytes(b""), "not a whole image"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_picture_gets_one_line_with_its_reason_and_the_rest_goes_on(
    hallucinator, nir, tmp_path, photograph, name
):
    make, reason = BAD[name]
    make(nir / name, photograph[0])
    failures = translate(hallucinator, [nir], tmp_path / "out")
    assert [source for source, _ in failures] == [str(nir / name)]
    assert reason in failures[0][1]
    assert "\n" not in failures[0][1]
    assert not failures[0][1].startswith(str(nir))
    assert files(tmp_path / "out") == {"good.png"}


class Told(Progress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.all, self.counts = [], []

    def total(self, pictures):
        self.all.append(pictures)

    def passed(self, pictures):
        self.counts.append(("passed", pictures))

    def done(self, pictures):
        self.counts.append(("done", pictures))


def test_progress_counts_failed_pictures_too_and_tells_what_was_done_before(hallucinator, nir, tmp_path):
    (nir / "bad.png").write_bytes(b"")
    work, first, second = work_of(hallucinator, batch=1), Told(), Told()
    run_work(work, [nir], tmp_path / "out", Way(workers=1), progress=first)
    run_work(work, [nir], tmp_path / "out", Way(workers=1), progress=second)
    assert first.counts == [("done", 1), ("done", 1)]
    assert second.counts == [("passed", 1), ("passed", 1)]


def test_a_translated_picture_is_the_hallucinators_own_and_marked(hallucinator, nir, tmp_path, photograph):
    assert translate(hallucinator, [nir], tmp_path / "out") == ()
    with Image.open(tmp_path / "out" / "good.png") as image:
        assert image.text["Synthetic"] == "true"
        assert image.text["Model"] == "ab12"
        assert image.mode == "RGB"
        rgb = np.asarray(photograph[0].convert("RGB"))
        np.testing.assert_array_equal(np.asarray(image), hallucinator(rgb, photograph[1]))


def test_one_picture_cannot_be_written_and_the_rest_goes_on(hallucinator, nir, tmp_path, photograph):
    photograph[0].save(nir / "other.png")
    (tmp_path / "out" / "good.png").mkdir(parents=True)
    failures = translate(hallucinator, [nir], tmp_path / "out")
    assert [Path(source).name for source, _ in failures] == ["good.png"]
    assert failures[0][1].startswith(f"cannot write {tmp_path / 'out' / 'good.png'}: ")
    assert files(tmp_path / "out") == {"other.png"}


def test_a_file_in_the_place_of_an_output_subfolder_fails_those_pictures_only(
    hallucinator, nir, tmp_path, photograph
):
    (nir / "person").mkdir()
    photograph[0].save(nir / "person" / "1.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "person").write_text("in the way")
    failures = translate(hallucinator, [nir], tmp_path / "out")
    assert [Path(source).name for source, _ in failures] == ["1.png"]
    assert files(tmp_path / "out") == {"good.png", "person"}


def test_folders_keep_their_structure(hallucinator, nir, tmp_path, photograph):
    (nir / "a" / "b").mkdir(parents=True)
    photograph[0].save(nir / "a" / "b" / "1.JPG")
    assert translate(hallucinator, [nir], tmp_path / "new" / "out") == ()
    assert files(tmp_path / "new" / "out") == {"good.png", "a/b/1.png"}


def targets(sources, out: Path) -> list[str]:
    check_sources(sources, out)
    return [found.result for found in find_pictures(sources, out, ".png") if isinstance(found, Picture)]


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("a.jpg", "b.png"), ["a.png", "b.png"]),
        (("a.jpg", "a.png", "b.bmp"), ["a.jpg.png", "a.png.png", "b.png"]),
        (("A.png", "a.jpg"), ["A.png.png", "a.jpg.png"]),
        (("x/a.jpg", "y/a.png"), ["x/a.png", "y/a.png"]),
        (("a.b.jpg", "a.c.jpg"), ["a.b.png", "a.c.png"]),
        (("a.jpg", "notes.txt", "Thumbs.db", "._a.jpg", ".hidden.png"), ["a.png"]),
    ],
)
def test_every_picture_of_a_folder_gets_a_name_of_its_own(tmp_path, names, expected):
    assert targets([touched(tmp_path / "in", *names)], tmp_path / "out") == expected


def test_a_named_file_is_taken_whatever_its_ending(tmp_path):
    folder = touched(tmp_path, "scan.dat", "b.jpg")
    assert targets([folder / "scan.dat", folder / "b.jpg"], tmp_path / "out") == ["scan.png", "b.png"]


def test_names_that_clash_after_all_get_another_ending(tmp_path):
    folder = touched(tmp_path / "in", "a.jpg", "a.jpg.png", "a.png", "a.png.png")
    assert targets([folder], tmp_path / "out") == [
        *("a.jpg.png", "a.jpg.png.png", "a.png.png", "a.png.png.png")
    ]


def test_a_picture_does_not_get_the_name_of_a_folder(tmp_path):
    folder = touched(tmp_path / "in", "a.jpg", "a.png/b.jpg")
    assert targets([folder], tmp_path / "out") == ["a.jpg.png", "a.png/b.png"]


def test_of_several_sources_each_folder_keeps_a_folder_of_its_own(tmp_path):
    first, second = touched(tmp_path / "1" / "nir", "a.jpg"), touched(tmp_path / "2" / "nir", "a.jpg")
    file = touched(tmp_path, "a.jpg") / "a.jpg"
    assert targets([first, second, file], tmp_path / "out") == ["a.png", "nir/a.png", "nir-2/a.png"]


def test_files_of_one_name_get_different_results(tmp_path):
    first, second = touched(tmp_path / "1", "a.jpg"), touched(tmp_path / "2", "a.jpg")
    assert targets([first / "a.jpg", second / "a.jpg"], tmp_path / "out") == ["a.jpg.png", "a.jpg-2.png"]


@pytest.mark.parametrize("name", ["in", "in/../in", "./in"])
def test_the_output_folder_must_not_be_the_input_folder(tmp_path, monkeypatch, name):
    touched(tmp_path / "in", "a.jpg")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="is a folder of inputs; choose another output folder"):
        targets([tmp_path / "in"], Path(name))


def test_an_input_is_never_replaced(tmp_path):
    folder = touched(tmp_path / "in", "a.png")
    with pytest.raises(UserError, match=r"a\.png is an input and would be replaced"):
        targets([folder / "a.png"], folder)


def test_what_lies_in_an_output_folder_inside_of_the_input_is_no_input(tmp_path, monkeypatch):
    touched(tmp_path, "a.jpg", "out/a.png", "out/sub/b.png")
    monkeypatch.chdir(tmp_path)
    assert targets([Path()], Path("out")) == ["a.png"]


def test_an_input_folder_inside_of_the_output_folder_is_one(tmp_path):
    touched(tmp_path / "photos" / "nir", "a.jpg")
    assert targets([tmp_path / "photos" / "nir"], tmp_path / "photos") == ["a.png"]


def test_an_output_folder_that_is_a_file_is_refused(tmp_path):
    touched(tmp_path, "in/a.jpg", "out")
    with pytest.raises(UserError, match="out is a file; expected a folder to write to"):
        targets([tmp_path / "in"], tmp_path / "out")


def test_an_empty_folder_is_refused_and_the_known_endings_listed(hallucinator, tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(UserError, match=r"no pictures in .*in; known endings: \.jpg \.jpeg"):
        translate(hallucinator, [tmp_path / "in"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_absent_source_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere: no such file or folder"):
        targets([tmp_path / "nowhere"], tmp_path / "out")


def test_with_landmarks_given_nothing_is_detected(hallucinator, nir, tmp_path, photograph, finder):
    write_landmarks(tmp_path / "points.csv", {"GOOD.bmp": photograph[1]})
    assert translate(hallucinator, [nir], tmp_path / "out", landmarks=tmp_path / "points.csv") == ()
    assert files(tmp_path / "out") == {"good.png"}
    assert finder.seen == []


def test_landmarks_are_looked_up_by_the_path_below_the_folder(hallucinator, nir, tmp_path, photograph):
    (nir / "p").mkdir()
    (nir / "good.png").rename(nir / "p" / "1.png")
    write_landmarks(tmp_path / "points.csv", {"p/1.png": photograph[1]})
    assert translate(hallucinator, [nir], tmp_path / "out", landmarks=tmp_path / "points.csv") == ()


def test_a_picture_without_a_line_in_the_landmarks_file_gets_a_failure(
    hallucinator, nir, tmp_path, photograph
):
    photograph[0].save(nir / "other.png")
    write_landmarks(tmp_path / "points.csv", {"good.png": photograph[1]})
    failures = translate(hallucinator, [nir], tmp_path / "out", landmarks=tmp_path / "points.csv")
    assert [(Path(source).name, reason) for source, reason in failures] == [
        ("other.png", "the landmarks file has no line for other.png")
    ]


def test_landmarks_of_a_larger_version_of_a_picture_are_a_failure(hallucinator, nir, tmp_path, photograph):
    write_landmarks(tmp_path / "points.csv", {"good.png": photograph[1] * 10})
    failures = translate(hallucinator, [nir], tmp_path / "out", landmarks=tmp_path / "points.csv")
    assert "do not lie inside the picture of 96 x 96" in failures[0][1]


def test_aligned_crops_are_translated_as_they_are(network, nir, tmp_path, photograph):
    face = Hallucinator(network, about={}).align(np.asarray(photograph[0].convert("RGB")), photograph[1])
    Image.fromarray(face.crop).save(nir / "good.png")
    hallucinator = Hallucinator(network, about={}, backend=Finder(face.landmarks))
    assert translate(hallucinator, [nir], tmp_path / "out", aligned=True) == ()
    with Image.open(tmp_path / "out" / "good.png") as image:
        expected = hallucinator.translate_batch(face.crop[None], face.landmarks[None])[0]
        np.testing.assert_array_equal(np.asarray(image), expected)


def test_a_photograph_taken_for_an_aligned_crop_is_a_failure(hallucinator, nir, tmp_path):
    failures = translate(hallucinator, [nir], tmp_path / "out", aligned=True)
    assert failures[0][1].startswith("expected an aligned crop of 64 x 64 pixels, got 96 x 96")


def test_beside_processes_that_read_this_one_generates_the_same(network, nir, tmp_path, photograph):
    points = {}
    for number in range(3):
        photograph[0].save(nir / f"{number}.png")
        points[f"{number}.png"] = photograph[1]
    write_landmarks(tmp_path / "points.csv", points)
    hallucinator = Hallucinator(network, about={"model": "ab12"})
    alone = work_of(hallucinator, landmarks=tmp_path / "points.csv")
    reading = ReaderOptions(size=SIZE, landmarks=tmp_path / "points.csv")
    beside = replace(alone, here=True, start_reader=partial(start_reader, reading))
    for name, work, workers in (("alone", alone, 1), ("beside", beside, 2)):
        summary = run_work(work, [nir], tmp_path / name, Way(workers=workers))
        assert (summary.done, summary.failed) == (3, 1)
    for name in ("0.png", "1.png", "2.png", "manifest.csv"):
        assert (tmp_path / "beside" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
