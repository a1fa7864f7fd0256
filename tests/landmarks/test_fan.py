import pickle
import sys
from types import ModuleType, SimpleNamespace
from urllib.error import URLError

import numpy as np
import pytest

from pcfh.errors import UserError
from pcfh.landmarks import open_backend

IMAGE = np.zeros((100, 200, 3), np.uint8)
BOXES = [[10.0, 20.0, 30.0, 40.0, 0.75], [110.0, 20.0, 130.0, 40.0, 0.875]]


class FaceAlignment:
    """Stands in for the package's class: two faces, each with all points at its box's corner."""

    boxes = BOXES

    def __init__(self, kind, **options):
        self.kind, self.options = kind, options
        self.face_detector = SimpleNamespace(detect_from_image=lambda image: self.boxes)

    def get_landmarks_from_image(self, image, detected_faces):
        return [np.full((68, 2), box[:2], np.float32) for box in detected_faces]


class Offline(FaceAlignment):
    def __init__(self, kind, **options):
        raise URLError("Name or service not known")


def install(monkeypatch, alignment):
    module = ModuleType("face_alignment")
    module.FaceAlignment = alignment
    module.LandmarksType = SimpleNamespace(TWO_D="two d")
    monkeypatch.setitem(sys.modules, "face_alignment", module)


@pytest.fixture
def fan(monkeypatch):
    install(monkeypatch, FaceAlignment)
    return open_backend("fan", device="cuda:1")


def test_faces_come_best_first(fan):
    assert [face.score for face in fan.detect(IMAGE)] == [0.875, 0.75]


def test_points_stay_with_their_box(fan):
    assert all((face.landmarks == face.box[:2]).all() for face in fan.detect(IMAGE))


def test_no_face_is_an_empty_list(fan, monkeypatch):
    monkeypatch.setattr(FaceAlignment, "boxes", [])
    assert fan.detect(IMAGE) == []


def test_the_package_is_opened_in_two_dimensions_uncompiled_on_the_device_asked_for(fan):
    assert fan._net.kind == "two d"
    assert fan._net.options == {
        "device": "cuda:1",
        "compile": False,
        "flip_input": False,
        "face_detector": "sfd",
    }


def test_a_pickled_copy_opens_its_own_network_on_the_same_device(fan):
    copy = pickle.loads(pickle.dumps(fan))
    assert copy._net is not fan._net
    assert copy._net.options["device"] == "cuda:1"


@pytest.mark.parametrize("weights", ["s3fd-619a316812.pth", "2DFAN4-11f355bf06.pth.tar", "/checkpoints"])
def test_without_network_the_files_to_place_are_named(monkeypatch, weights):
    install(monkeypatch, Offline)
    with pytest.raises(UserError, match=weights):
        open_backend("fan")
