"""The gallery on the embedded store, against the scores of all pairs; and on a server where there is one."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clusters import KEY, clustered, new_faces

from pcfh.errors import UserError
from pcfh.gallery import store
from pcfh.gallery.entries import Probe
from pcfh.gallery.store import Gallery

EACH = 3
FEATURES = clustered(40, EACH)


@pytest.fixture
def gallery(uri):
    with Gallery.open(uri) as opened:
        opened.enrol(new_faces(FEATURES, EACH), KEY, "net")
        yield opened


def best_people(vector, features=FEATURES, each=EACH):
    """People by the best of their photographs, from all scores."""
    best = (features @ vector).reshape(-1, each).max(1)
    return [f"person {i}" for i in np.argsort(-best)], -np.sort(-best)


def found(gallery, probe, **options):
    return gallery.search(probe, KEY, **options)


def test_people_come_in_the_order_of_their_best_photograph_by_each_score(gallery):
    generated = (
        0.8 * FEATURES[50] + 0.6 * FEATURES[30]
    )  # of one photograph alone it would tie with the original
    generated /= np.linalg.norm(generated)
    probe = Probe(original=FEATURES[4], generated=generated)
    both = FEATURES[4] + generated
    vectors = {"original": FEATURES[4], "generated": generated, "fused": both / np.linalg.norm(both)}
    for by, vector in vectors.items():
        people, scores = best_people(vector)
        matches = found(gallery, probe, top=25, by=by)
        assert [match.entry.person for match in matches] == people[:25]
        np.testing.assert_allclose([match.score for match in matches], scores[:25], atol=1e-6)


def test_a_person_is_known_by_the_name_in_any_spelling_but_not_in_another_case(uri):
    one, two = "Zo\u00eb", "Zoe\u0308"
    with Gallery.open(uri) as gallery:
        faces = new_faces(FEATURES[:3], 1)
        names = (f"{two} ", one, "zo\u00eb")
        renamed = [replace(face, person=name) for face, name in zip(faces, names, strict=True)]
        gallery.enrol(renamed, KEY, "net")
        assert {person.name: person.faces for person in gallery.people()} == {one: 2, "zo\u00eb": 1}
        for name in names[:2]:
            assert len(list(gallery.entries(name))) == 2
            assert gallery.verify(Probe(original=FEATURES[0]), name, KEY, by="original").entry.person == one
        gallery.remove([two], "test")
        assert [person.name for person in gallery.people()] == ["zo\u00eb"]


def test_each_match_has_all_scores_of_its_photograph(gallery):
    probe = Probe(original=FEATURES[4], generated=FEATURES[50])
    match = found(gallery, probe, top=1)[0]
    feature = FEATURES[int(match.entry.source.removesuffix(".png"))]
    assert match.scores["original"] == pytest.approx(FEATURES[4] @ feature, abs=1e-6)
    assert match.scores["generated"] == pytest.approx(FEATURES[50] @ feature, abs=1e-6)
    mean = (match.scores["original"] + match.scores["generated"]) / 2
    assert match.score == pytest.approx(2 * mean / np.linalg.norm(FEATURES[4] + FEATURES[50]), abs=1e-6)


@pytest.mark.parametrize("index", ["HNSW", "IVF_FLAT"])
def test_an_approximate_index_finds_the_same_where_it_tries_hard_enough(uri, monkeypatch, index):
    monkeypatch.setattr(
        store, "_PARAMETERS", {"HNSW": {"M": 8, "efConstruction": 64}, "IVF_FLAT": {"nlist": 4}}
    )
    with Gallery.open(uri, index=index) as gallery:
        gallery.enrol(new_faces(FEATURES, EACH), KEY)
        matches = found(gallery, Probe(original=FEATURES[4]), top=10, by="original")
    assert [match.entry.person for match in matches] == best_people(FEATURES[4])[0][:10]


def test_people_with_many_photographs_do_not_push_others_out(uri):
    features = np.concatenate([np.repeat(FEATURES[:1], 100, 0), FEATURES[3:15]])
    faces = new_faces(features, 100)[:100] + new_faces(features, EACH)[100:]
    with Gallery.open(uri) as gallery:
        gallery.enrol(faces, KEY)
        assert len(found(gallery, Probe(original=FEATURES[0]), top=4, by="original")) == 4


def test_a_probe_without_a_generated_face_has_no_fused_score(gallery):
    with pytest.raises(UserError, match="search by the original score"):
        found(gallery, Probe(original=FEATURES[0]))


def test_a_face_is_compared_with_one_person_alone(gallery):
    probe = Probe(original=FEATURES[0])
    match = gallery.verify(probe, "person 7", KEY, by="original")
    assert match.entry.person == "person 7"
    assert match.score == pytest.approx((FEATURES[21:24] @ FEATURES[0]).max(), abs=1e-6)
    with pytest.raises(UserError, match="'nobody' is not enrolled"):
        gallery.verify(probe, "nobody", KEY, by="original")


def test_a_photograph_enrolled_twice_is_there_once(gallery):
    gallery.enrol(new_faces(FEATURES, EACH)[:5], KEY)
    assert len(gallery) == len(FEATURES)
    assert len(list(gallery.entries("person 0"))) == EACH


def test_features_of_another_recogniser_are_refused(gallery):
    for use in (lambda: gallery.enrol(new_faces(FEATURES, EACH), "other"), lambda: gallery.require("other")):
        with pytest.raises(UserError, match="holds features of the recogniser net"):
            use()
    with pytest.raises(UserError, match="holds features of the recogniser net"):
        gallery.search(Probe(original=FEATURES[0]), "other", by="original")


def test_features_of_another_length_or_norm_are_refused(gallery):
    with pytest.raises(UserError, match="expected features of length 32, got 16"):
        gallery.enrol(new_faces(clustered(1, 1, dimension=16), 1), KEY)
    with pytest.raises(UserError, match="norm 1"):
        gallery.enrol(new_faces(2 * FEATURES, EACH), KEY)


def test_any_name_is_a_name(uri):
    names = ["a\"b'c\\", 'x" or id > "0', "Jürgen 小明", "{p} %s"]
    faces = [
        type(face)(**{**vars(face), "person": name})
        for face, name in zip(new_faces(FEATURES, 1), names, strict=False)
    ]
    with Gallery.open(uri) as gallery:
        gallery.enrol(faces, KEY)
        assert [[entry.person for entry in gallery.entries(name)] for name in names] == [[n] for n in names]
        gallery.remove([names[1]], "me")
        assert {person.name for person in gallery.people()} == set(names) - {names[1]}


def remains(folder, face):
    """Whether any file of a store holds a face's id, person or feature; tables are read as such."""
    from pyarrow import parquet

    raw = b"".join(path.read_bytes() for path in Path(folder).rglob("*") if path.is_file())
    faces = [path for path in Path(folder).rglob("*.parquet") if "_log" not in str(path)]
    tables = [parquet.read_table(path) for path in faces]
    ids = {value for table in tables if "id" in table.column_names for value in table["id"].to_pylist()}
    people = {v for table in tables if "person" in table.column_names for v in table["person"].to_pylist()}
    return face.feature.tobytes() in raw or face.id in ids or face.person in people


def test_of_a_person_removed_nothing_remains_on_the_disk_but_a_line_of_the_log(uri):
    faces = new_faces(FEATURES, EACH)
    with Gallery.open(uri) as gallery:
        gallery.enrol(faces, KEY)
        enrolled = min(entry.enrolled for entry in gallery.entries("person 2"))
    assert remains(uri, faces[6])  # the store has written its files
    with Gallery.open(uri) as gallery:
        gallery.remove(["person 2", "person 9"], "the clerk")
        assert found(gallery, Probe(original=FEATURES[6]), by="original")[0].entry.person != "person 2"
    assert not remains(uri, faces[6])
    assert remains(uri, faces[0])
    with Gallery.open(uri) as gallery:
        first = gallery.removals()[0]
        assert (first.person, first.faces, first.by) == ("person 2", EACH, "the clerk")
        assert (first.enrolled, len(gallery)) == (enrolled, len(FEATURES) - 2 * EACH)
        assert first.removed > enrolled


def test_nobody_is_removed_where_one_of_the_names_is_unknown(gallery):
    with pytest.raises(UserError, match="'person 99' is not enrolled"):
        gallery.remove(["person 1", "person 99"], "me")
    assert len(gallery) == len(FEATURES)


@pytest.mark.parametrize("step", ["delete", "insert", "drop_collection", "rename_collection"])
def test_a_removal_that_was_interrupted_is_finished_when_the_gallery_is_opened(uri, monkeypatch, step):
    faces = new_faces(FEATURES, EACH)

    def killed(*arguments, **options):
        raise KeyboardInterrupt

    with Gallery.open(uri) as gallery:
        gallery.enrol(faces, KEY)
        if step == "insert":  # the note of what is begun is an insertion, too
            monkeypatch.setattr(gallery, "_rewrite", killed)
        else:
            monkeypatch.setattr(gallery._client, step, killed)
        with pytest.raises(KeyboardInterrupt):
            gallery.remove(["person 2"], "me")
    with Gallery.open(uri) as gallery:
        assert [person.name for person in gallery.people() if person.name == "person 2"] == []
        assert (len(gallery), [r.person for r in gallery.removals()]) == (len(FEATURES) - EACH, ["person 2"])
    assert not remains(uri, faces[6])


def test_a_random_share_of_the_faces_is_always_the_same_and_about_as_large(gallery):
    draws = [[entry.id for entry, _ in gallery.features(0.5)] for _ in range(2)]
    assert draws[0] == draws[1]
    assert 40 < len(draws[0]) < 80


def test_a_threshold_stays_until_the_next_calibration(gallery):
    made = gallery.calibrate(0.01)
    gallery.remove(["person 3"], "me")
    assert gallery.calibration(0.01) == made
    again = gallery.calibrate(0.01)
    assert (again.faces, gallery.calibration(0.01)) == (len(FEATURES) - EACH, again)


def test_a_threshold_that_was_never_found_is_asked_for(gallery):
    with pytest.raises(UserError, match=r"no threshold for FAR 0\.001.*pcfh gallery calibrate"):
        gallery.calibration(0.001)


def test_a_gallery_that_is_not_there_is_not_made_by_a_search(uri):
    with pytest.raises(UserError, match="no such gallery; make it by pcfh gallery enrol"):
        Gallery.open(uri, new=False)
    assert not Path(uri).exists()


def test_a_path_must_say_that_it_is_a_gallery(tmp_path):
    with pytest.raises(UserError, match=r"ends in \.db, or the address of a server"):
        Gallery.open(str(tmp_path / "people"))


def test_a_server_that_does_not_answer_is_named():
    pytest.importorskip("pymilvus")
    with pytest.raises(UserError, match=r"http://127\.0\.0\.1:9: no Milvus server answers there"):
        Gallery.open("http://127.0.0.1:9")


def test_a_second_process_is_told_that_the_gallery_is_open(gallery, uri):
    code = "import sys; from pcfh.gallery.store import Gallery; Gallery.open(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, uri], capture_output=True, text=True, check=False)
    assert "UserError" in done.stderr.splitlines()[-1]
    assert "another process has this gallery open" in done.stderr.splitlines()[-1]


def test_a_server_answers_as_the_embedded_store_does():
    address = os.environ.get("PCFH_TEST_MILVUS")
    if not address:
        pytest.skip(
            "PCFH_TEST_MILVUS names no Milvus server, so the calls are tried on the embedded store alone"
        )
    with Gallery.open(address, name="pcfh_test", index="FLAT") as gallery:
        try:
            gallery.enrol(new_faces(FEATURES, EACH), KEY, "net")
            matches = found(gallery, Probe(original=FEATURES[4]), top=10, by="original")
            assert [match.entry.person for match in matches] == best_people(FEATURES[4])[0][:10]
            gallery.remove(["person 1"], "me")
            assert len(gallery) == len(FEATURES) - EACH
        finally:
            for name in ("pcfh_test", "pcfh_test_log"):
                gallery._client.drop_collection(name)
