"""Embeddings of folders: the file holds what the recogniser says of each face, and where it came from."""

from functools import partial

import numpy as np
import pytest
from PIL import Image

from pcfh.batches import Way, run_work
from pcfh.feature_files import crop_size, embedding, write_features
from pcfh.images import read_image
from pcfh.landmarks.given import read_landmarks, write_landmarks
from pcfh.preparation.face_reader import ReaderOptions, crop_of_photograph
from pcfh.recognisers.alignment import LIGHTCNN, Alignment, realign

ARCFACE = Alignment(convention="arcface", size=112)


class Means:
    """A recogniser: four means of a face, of length one."""

    name, key = "means", "means 1"

    def __init__(self, alignment=LIGHTCNN):
        self.alignment, self.calls = alignment, 0

    def features(self, crops, modality="VIS"):
        self.calls += 1
        half = crops.shape[1] // 2
        low, high = slice(half), slice(half, None)
        rows = np.stack([crops[:, y, x].mean((1, 2, 3)) for y in (low, high) for x in (low, high)], axis=1)
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def photos(tmp_path, drawn_database):
    """Three photographs in two folders, one of them no picture, and their landmarks."""
    given, named = read_landmarks(drawn_database / "landmarks68.csv"), {}
    for name, number in (("a/1.png", 1), ("b/2.png", 2)):
        (tmp_path / "photos" / name).parent.mkdir(parents=True)
        with Image.open(drawn_database / f"s1/NIR/00004/00{number}.png") as image:
            image.save(tmp_path / "photos" / name)
        named[name] = given[f"s1/nir/00004/00{number}"]
    (tmp_path / "photos" / "a" / "bad.png").write_text("a letter")
    write_landmarks(tmp_path / "points.csv", named)
    return tmp_path / "photos"


def extract(photos, out, recognizer, kind="npz"):
    """What ``pcfh features`` does."""
    reading = ReaderOptions(
        size=crop_size(recognizer.alignment), nir=False, landmarks=photos.parent / "points.csv"
    )
    work = embedding(recognizer, lambda: recognizer, reading, modality="NIR", here=False, batch=2)
    about = {"recognizer": recognizer.key, "modality": "NIR"}
    finish = partial(write_features, out / f"features.{kind}", kind, about, work.settings)
    return run_work(work, [photos], out, Way(workers=1), finish=finish)


def expected(photos, name, recognizer):
    points = read_landmarks(photos.parent / "points.csv")[name.removesuffix(".png")]
    crop, placed = crop_of_photograph(
        read_image(photos / name), points, crop_size(recognizer.alignment), nir=False
    )
    return recognizer.features(realign(crop[None], placed[None], recognizer.alignment), "NIR")[0]


@pytest.mark.parametrize("alignment", [LIGHTCNN, ARCFACE])
def test_the_file_holds_what_the_recogniser_says_of_each_face(photos, tmp_path, alignment):
    recognizer = Means(alignment)
    summary = extract(photos, tmp_path / "out", recognizer)
    with np.load(tmp_path / "out" / "features.npz") as found:
        assert found["paths"].tolist() == ["a/1.png", "b/2.png"]
        assert found["sources"].tolist() == [str(photos / "a/1.png"), str(photos / "b/2.png")]
        assert (found["recognizer"][()], found["modality"][()]) == ("means 1", "NIR")
        rows = [expected(photos, name, recognizer) for name in ("a/1.png", "b/2.png")]
        np.testing.assert_array_equal(found["features"], np.stack(rows))
    assert (summary.done, summary.failed) == (2, 1)


def test_called_again_it_writes_the_same_bytes_and_computes_nothing(photos, tmp_path):
    extract(photos, tmp_path / "out", Means())
    before = (tmp_path / "out" / "features.npz").read_bytes()
    recognizer = Means()
    assert (extract(photos, tmp_path / "out", recognizer).before, recognizer.calls) == (2, 0)
    assert (tmp_path / "out" / "features.npz").read_bytes() == before


def test_a_parquet_file_holds_the_same(photos, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra parquet")
    extract(photos, tmp_path / "out", Means(), kind="parquet")
    table = parquet.read_table(tmp_path / "out" / "features.parquet")
    assert table["path"].to_pylist() == ["a/1.png", "b/2.png"]
    np.testing.assert_array_equal(
        np.array(table["feature"].to_pylist(), np.float32)[0], expected(photos, "a/1.png", Means())
    )
    assert table.schema.metadata[b"recognizer"] == b"means 1"


def test_the_command_writes_embeddings_of_the_shipped_recogniser(photos, tmp_path, run):
    out = tmp_path / "out"
    code, said, err = run("features", photos, "--out", out, "--landmarks", tmp_path / "points.csv")
    assert (code, said.splitlines()[0]) == (
        1,
        f"2 of 3 pictures have an embedding in {out / 'features.npz'}",
    )
    assert "bad.png: not a whole image" in err
    with np.load(out / "features.npz") as found:
        np.testing.assert_allclose(np.linalg.norm(found["features"], axis=1), 1, rtol=1e-5)
        assert found["features"].shape == (2, 256)
