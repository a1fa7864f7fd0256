"""From pictures to people: names, bad pictures, repetition, quality."""

import numpy as np
import pytest
from PIL import Image

from pcfh.errors import UserError
from pcfh.gallery.exchange import export_gallery, import_gallery
from pcfh.gallery.photographs import Photograph, enrol_photographs, photographs, quality_of
from pcfh.gallery.store import Gallery
from pcfh.geometry.align import crop_of


def picture(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (96, 96, 3), np.uint8)
    Image.fromarray(pixels if seed else np.zeros_like(pixels)).save(path)


@pytest.fixture
def photos(tmp_path):
    """Two photographs of Anna, one of Ben, one without a face, a text."""
    folder = tmp_path / "photos"
    for name, seed in {"Anna/1.png": 1, "Anna/2.png": 2, "Ben.png": 3, "plain.png": 0}.items():
        picture(folder / name, seed)
    (folder / "Anna" / "notes.jpg").write_text("no picture")
    (folder / "Anna" / "notes.txt").write_text("no picture")
    return folder


def named(*sources, **options):
    return {one.path.name: one.person for one in photographs(sources, **options)}


def test_a_name_comes_from_the_folder_else_from_the_file(photos):
    assert named(photos) == {
        "1.png": "Anna",
        "2.png": "Anna",
        "notes.jpg": "Anna",
        "Ben.png": "Ben",
        "plain.png": "plain",
    }
    assert named(photos / "Anna" / "1.png") == {"1.png": "1"}


def test_a_name_comes_from_a_table(photos):
    (photos / "people.csv").write_text(
        "person,path,more\nÉva,Anna\\1.png,x\nBen,Ben.png,y\n", encoding="utf-8-sig"
    )
    assert named(photos / "people.csv") == {"1.png": "Éva", "Ben.png": "Ben"}


def test_a_table_without_the_columns_is_refused(photos):
    (photos / "people.csv").write_text("a,b\n")
    (refused,) = photographs([photos / "people.csv"])
    assert "columns path and person" in refused.reason


def test_bad_pictures_are_listed_and_the_rest_goes_on(uri, reader, photos):
    with Gallery.open(uri) as gallery:
        done = enrol_photographs(gallery, reader, photographs([photos, photos / "none"]))
        assert {person.name: person.faces for person in gallery.people()} == {"Anna": 2, "Ben": 1}
    assert done.enrolled == 3
    assert {bad.path.name: bad.reason[:22] for bad in done.refused} == {
        "notes.jpg": "not a whole image (of ",
        "plain.png": "no face was found; giv",
        "none": "no such file or folder",
    }


def test_an_enrolment_that_was_stopped_goes_on_where_it_was_and_has_nothing_twice(uri, reader, photos):
    stopped = list(photographs([photos]))[:1]
    with Gallery.open(uri) as gallery:
        enrol_photographs(gallery, reader, stopped)
        seen = reader.recognizer.seen
        done = enrol_photographs(gallery, reader, photographs([photos]))
        assert (done.enrolled, done.known, len(gallery)) == (2, 1, 3)
        assert reader.recognizer.seen == seen + 2


def test_the_same_photograph_of_two_people_is_refused(uri, reader, photos):
    with Gallery.open(uri) as gallery:
        enrol_photographs(gallery, reader, [Photograph(path=photos / "Ben.png", person="Ben")])
        done = enrol_photographs(gallery, reader, [Photograph(path=photos / "Ben.png", person="Bob")])
        assert "is enrolled as 'Ben' already" in done.refused[0].reason
        assert [person.name for person in gallery.people()] == ["Ben"]


def test_a_name_in_two_spellings_is_one_person_and_one_in_another_case_is_another(uri, reader, photos):
    (photos / "people.csv").write_text(
        "path,person\nAnna/1.png,Zo\u00eb\nAnna/2.png,Zoe\u0308 \nBen.png,ZO\u00cb\n", encoding="utf-8"
    )
    with Gallery.open(uri) as gallery:
        enrol_photographs(gallery, reader, photographs([photos / "people.csv"]))
        assert {one.name: one.faces for one in gallery.people()} == {"Zo\u00eb": 2, "ZO\u00cb": 1}


def test_quality_is_the_share_of_the_crops_resolution(reader):
    points = reader.hallucinator._backend.points
    full = points * crop_of(128).eyes_to_mouth / (quality_of(points) * crop_of(128).eyes_to_mouth)
    assert quality_of(full / 2) == pytest.approx(0.5)
    assert quality_of(full * 3) == 1


def test_an_exported_gallery_is_the_same_in_another_store(uri, reader, photos, tmp_path):
    with Gallery.open(uri) as gallery:
        enrol_photographs(gallery, reader, photographs([photos]))
        assert export_gallery(gallery, tmp_path / "all.parquet") == 3
        before = {entry.id: (entry.person, feature.tobytes()) for entry, feature in gallery.features()}
    with Gallery.open(str(tmp_path / "other.db")) as other:
        assert import_gallery(other, tmp_path / "all.parquet") == 3
        assert {e.id: (e.person, f.tobytes()) for e, f in other.features()} == before
        assert other.recognizer == "blocks"


def test_another_file_is_no_exported_gallery(uri, tmp_path):
    from pyarrow import parquet, table

    parquet.write_table(table({"a": [1]}), tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_text("text")
    with Gallery.open(uri) as gallery:
        for name, reason in (
            ("a", "not an exported gallery"),
            ("b", "not a Parquet file"),
            ("c", "no such file"),
        ):
            with pytest.raises(UserError, match=reason):
                import_gallery(gallery, tmp_path / f"{name}.parquet")
