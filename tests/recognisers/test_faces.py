from dataclasses import replace

import numpy as np
import pytest

from pcfh.databases.records import Record, subjects
from pcfh.errors import UserError
from pcfh.preparation.manifest import open_prepared
from pcfh.recognisers.training.faces import TrainingFaces, gallery_and_probes, open_faces, split_people


def records(people, captures=3):
    return [
        Record(subject=f"p{p}", modality="VIS", path=f"{p}/{c}.png")
        for p in range(people)
        for c in range(captures)
    ]


def faces(count=5):
    images = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 144, 144, 3))
    return TrainingFaces(images=images, labels=np.arange(count), seed=0)


def test_people_for_validation_are_not_trained_on():
    training, validation = split_people(records(20), 0.2, 0)
    assert not set(subjects(training)) & set(subjects(validation))
    assert (len(subjects(training)), len(subjects(validation))) == (16, 4)


def test_no_capture_is_lost_between_training_and_validation():
    training, validation = split_people(records(20), 0.2, 0)
    assert sorted(r.path for r in training + validation) == sorted(r.path for r in records(20))


def test_at_least_two_people_validate():
    assert len(subjects(split_people(records(5), 0.0, 0)[1])) == 2


def test_a_person_with_one_capture_does_not_validate():
    one = [Record(subject="single", modality="VIS", path="s.png")]
    for seed in range(5):
        assert "single" not in subjects(split_people([*one, *records(3)], 0.9, seed)[1])


def test_another_seed_chooses_other_people():
    chosen = {subjects(split_people(records(40), 0.1, seed)[1]) for seed in range(3)}
    assert len(chosen) == 3


def test_too_few_people_are_refused():
    with pytest.raises(
        UserError, match="at least 3 people with VIS captures, two of them with several; got 2"
    ):
        split_people(records(2), 0.1, 0)


def test_every_face_comes_once_in_an_epoch():
    labels = [faces().batch(start, 1)[1][0] for start in range(5, 10)]
    assert sorted(labels) == [0, 1, 2, 3, 4]


def test_a_batch_is_a_stretch_of_the_stream():
    images, labels = faces().batch(3, 9)
    parts = [faces().batch(3, 4), faces().batch(7, 5)]
    np.testing.assert_array_equal(images, np.concatenate([part[0] for part in parts]))
    np.testing.assert_array_equal(labels, np.concatenate([part[1] for part in parts]))


def test_the_first_face_of_each_person_is_enrolled():
    gallery, probes = gallery_and_probes(np.array(["b", "a", "b", "a", "c"]))
    assert (gallery.tolist(), probes.tolist()) == ([1, 0, 4], [2, 3])


def test_a_protocol_gives_its_training_people_only(drawn_prepared):
    training, validation = open_faces(drawn_prepared, "1", share=0.1, seed=0)
    people = subjects(open_prepared(drawn_prepared, 64).protocol("1").train)
    assert set(validation.people) < set(people)
    assert training.classes + len(set(validation.people)) == len(people)


def test_all_takes_everyone(drawn_prepared):
    training, validation = open_faces(drawn_prepared, "all", share=0.1, seed=0)
    everyone = [r for r in open_prepared(drawn_prepared, 64).records if r.modality == "VIS"]
    assert len(training.labels) + len(validation.people) == len(everyone)


def test_an_unknown_protocol_lists_the_known_ones(drawn_prepared):
    with pytest.raises(UserError, match="no protocol '11'"):
        open_faces(drawn_prepared, "11", share=0.1, seed=0)


def mixed_faces(share):
    """Five VIS faces with labels 0 to 4, then three NIR ones with labels 0 to 2."""
    return TrainingFaces(
        images=np.zeros((8, 144, 144, 3), np.uint8),
        labels=np.array([0, 1, 2, 3, 4, 0, 1, 2]),
        seed=0,
        nir=3,
        nir_share=share,
    )


def chosen(faces, count):
    return np.array([faces._face(place) for place in range(count)])


@pytest.mark.parametrize("share", [0.0, 0.25, 0.9])
def test_the_share_of_near_infrared_faces_is_the_one_asked_for(share):
    nir = chosen(mixed_faces(share), 4000) >= 5
    assert nir.mean() == pytest.approx(share, abs=4 * np.sqrt(0.25 / 4000))


def test_near_infrared_faces_take_places_of_the_visible_stream_and_change_no_other():
    alone, mixed = chosen(mixed_faces(0.0), 200), chosen(mixed_faces(0.3), 200)
    np.testing.assert_array_equal(mixed[mixed < 5], alone[mixed < 5])
    assert set(mixed[mixed >= 5]) == {5, 6, 7}


def test_near_infrared_faces_have_the_labels_of_their_people(drawn_prepared):
    records = [r for r in open_prepared(drawn_prepared, 64).records if r.modality == "NIR"]
    training, validation = open_faces(drawn_prepared, "all", share=0.1, seed=0, nir_share=0.5)
    kept = set(validation.people)
    assert training.nir == sum(r.subject not in kept for r in records)
    assert validation.nir.sum() == sum(r.subject in kept for r in records)
    alone, _ = open_faces(drawn_prepared, "all", share=0.1, seed=0)
    np.testing.assert_array_equal(training.labels[: -training.nir], alone.labels)
    people = sorted({r.subject for r in records} - kept)
    expected = [people.index(r.subject) for r in records if r.subject not in kept]
    np.testing.assert_array_equal(training.labels[-training.nir :], expected)


def test_visible_light_alone_is_what_comes_unasked(drawn_prepared):
    training, validation = open_faces(drawn_prepared, "all", share=0.1, seed=0)
    assert training.nir == 0
    assert not validation.nir.any()


def test_a_share_of_near_infrared_needs_near_infrared_captures(drawn_prepared, monkeypatch):
    database = open_prepared(drawn_prepared, 64)
    visible = replace(database, records=tuple(r for r in database.records if r.modality == "VIS"))
    monkeypatch.setattr("pcfh.recognisers.training.faces.open_prepared", lambda *_: visible)
    with pytest.raises(UserError, match="no training person has NIR captures"):
        open_faces(drawn_prepared, "all", share=0.1, seed=0, nir_share=0.5)
