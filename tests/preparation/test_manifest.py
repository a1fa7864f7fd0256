import json

import numpy as np
import pytest

from pcfh.databases.records import Database, Protocol, Record
from pcfh.errors import UserError
from pcfh.preparation.manifest import (
    MANIFEST,
    Drop,
    Manifest,
    crop_landmarks,
    open_prepared,
    read_manifest,
    write_manifest,
)


def record(subject, modality, points):
    path = f"s1/{modality}/{subject}/001.jpg"
    return Record(subject=subject, modality=modality, path=path, session="s1", landmarks=points)


@pytest.fixture
def manifest(tmp_path, face):
    """Two people in training, one in test; the pictures in half and double size."""
    records = tuple(
        record(subject, modality, tuple(map(tuple, face((50.0, 60.0), scale, turn).tolist())))
        for subject, scale, turn in (("1", 1.0, 0.2), ("2", 0.5, -0.1), ("3", 2.0, 0.0))
        for modality in ("NIR", "VIS")
    )
    protocol = Protocol(name="1", train=records[:4], gallery=records[5:], probe=records[4:5])
    return Manifest(
        layout="casia",
        backend="given",
        sizes=(64, 128),
        source=Database(root=tmp_path / "source", records=records, protocols={"1": protocol}),
        crops={r.path: f"{r.modality}/{r.subject}/s1_001.png" for r in records},
        dropped=(Drop(path="s1/NIR/9/001.jpg", reason="is CMYK – convert it"),),
    )


@pytest.fixture
def out(tmp_path, manifest):
    write_manifest(tmp_path, manifest)
    for size in manifest.sizes:
        for crop in manifest.crops.values():
            path = tmp_path / "crops" / str(size) / crop
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return tmp_path


def test_a_manifest_comes_back_as_it_was(out, manifest):
    assert read_manifest(out) == manifest


def test_the_opened_database_lies_at_the_crops_of_its_size(out, manifest):
    database = open_prepared(out, 128)
    assert database.root == out / "crops" / "128"
    assert [record.path for record in database.records] == list(manifest.crops.values())


def test_the_opened_protocols_are_the_sources(out):
    protocol = open_prepared(out, 64).protocol("1")
    assert [
        [(record.subject, record.modality) for record in part]
        for part in (protocol.train, protocol.gallery, protocol.probe)
    ] == [[("1", "NIR"), ("1", "VIS"), ("2", "NIR"), ("2", "VIS")], [("3", "VIS")], [("3", "NIR")]]


PUBLISHED = [(64, 20, 44), (128, 40, 88), (144, 48, 96), (256, 80, 176)]


@pytest.mark.parametrize(("size", "eyes_y", "mouth_y"), PUBLISHED)
def test_landmarks_in_a_crop_are_where_the_alignment_puts_them(face, size, eyes_y, mouth_y):
    points = crop_landmarks(tuple(map(tuple, face((33.0, 44.0), 1.7, 0.3).tolist())), size)
    eyes = (points[36:42].mean(0) + points[42:48].mean(0)) / 2
    mouth = points[[48, 54]].mean(0)
    assert np.allclose([*eyes, mouth[1]], [size / 2 - 0.5, eyes_y - 0.5, mouth_y - 0.5])


def test_opened_landmarks_are_those_of_the_crop(out, manifest):
    for new, old in zip(open_prepared(out, 128).records, manifest.source.records, strict=True):
        assert np.array_equal(new.landmarks, crop_landmarks(old.landmarks, 128))


def test_landmarks_at_half_the_size_are_halved_about_the_corner(out):
    half, whole = (np.array(open_prepared(out, size).records[0].landmarks) for size in (64, 128))
    assert np.allclose(half + 0.5, (whole + 0.5) / 2)


def test_a_folder_without_manifest_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no manifest\.json\); run pcfh prepare first"):
        open_prepared(tmp_path, 128)


def test_a_size_that_was_not_prepared_is_refused_with_those_that_were(out):
    with pytest.raises(UserError, match="has no crops of 256 pixels, only of 64, 128"):
        open_prepared(out, 256)


def test_absent_crops_are_counted_and_the_first_named(out, manifest):
    for crop in list(manifest.crops.values())[:2]:
        (out / "crops" / "64" / crop).unlink()
    with pytest.raises(UserError, match=r"2 of 6 crops are gone, e\.g\. NIR/1/s1_001\.png; run pcfh prepare"):
        open_prepared(out, 64)


def test_another_version_is_refused(out):
    content = json.loads((out / MANIFEST).read_text())
    (out / MANIFEST).write_text(json.dumps({**content, "version": 2}))
    with pytest.raises(UserError, match="expected pcfh-prepared version 1, got pcfh-prepared version 2"):
        read_manifest(out)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '"a"', "\\xff"])
def test_what_is_no_manifest_is_refused(tmp_path, text):
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(UserError, match=r"manifest\.json: is damaged .* run pcfh prepare again"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("key", ["records", "protocols", "sizes", "dropped"])
def test_a_manifest_without_a_part_is_refused(out, key):
    content = json.loads((out / MANIFEST).read_text())
    del content[key]
    (out / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(UserError, match=rf"is damaged .*missing required field `{key}`"):
        read_manifest(out)
