"""How far a face lies from the training: nothing inside of the range, in widths of it outside."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from pcfh.databases.records import LANDMARKS_FILE
from pcfh.databases.rendered import SAMPLE
from pcfh.geometry.scheme import NOSE_TIP
from pcfh.images import read_image
from pcfh.landmarks.given import read_landmarks
from pcfh.preparation.face_reader import crop_of_photograph
from pcfh.preparation.training_range import face_measures, ranges_of, shipped_range, unlikeness

RANGE = {
    "brightness": (0.4, 0.8),
    "contrast": (0.1, 0.2),
    "sharpness": (-3.0, -2.0),
    "size": (40.0, 60.0),
    "turn": (0.0, 0.5),
}
INSIDE = {"brightness": 0.5, "contrast": 0.15, "sharpness": -2.5, "size": 50.0, "turn": 0.1}


@pytest.fixture(scope="module")
def face():
    """A rendered photograph inside of the range, and its landmarks."""
    points = read_landmarks(SAMPLE / LANDMARKS_FILE)["s1/nir/00168/001"]
    return read_image(SAMPLE / "s1/NIR/00168/001.jpg"), points


def told(image, points):
    crop, _ = crop_of_photograph(image, points, 128, nir=True)
    return unlikeness(face_measures(crop, points), shipped_range())


def test_inside_of_the_range_the_distance_is_nothing():
    assert unlikeness(INSIDE, RANGE) == unlikeness({**INSIDE, "brightness": 0.8}, RANGE)
    assert unlikeness(INSIDE, RANGE).distance == 0


@pytest.mark.parametrize(
    ("change", "distance", "words"),
    [
        ({"brightness": 0.2}, 0.5, ("too dark",)),
        ({"brightness": 1.2}, 1.0, ("too bright",)),
        ({"size": 20.0}, 1.0, ("too small",)),
        ({"size": 200.0}, 0.0, ()),
        ({"turn": 1.0}, 1.0, ("turned too far",)),
        ({"contrast": 0.05, "sharpness": -4.0}, 1.0, ("blurred", "flat")),
    ],
)
def test_outside_it_is_counted_in_widths_of_the_range_and_the_worst_comes_first(change, distance, words):
    found = unlikeness({**INSIDE, **change}, RANGE)
    assert (pytest.approx(found.distance), found.words) == (distance, words)


def test_a_rendered_face_lies_inside(face):
    assert told(*face).distance == 0


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda image: image.point(lambda value: value // 4), "too dark"),
        (lambda image: image.point(lambda value: min(255, value * 2)), "too bright"),
        (lambda image: image.filter(ImageFilter.GaussianBlur(4)), "blurred"),
    ],
)
def test_a_spoilt_face_is_called_what_was_done_to_it(face, spoil, word):
    image, points = face
    assert word in told(np.asarray(spoil(Image.fromarray(image))), points).words


def test_a_small_and_a_turned_face_are_told_by_the_landmarks(face):
    _, points = face
    crop = np.zeros((128, 128, 3), np.uint8)
    small = face_measures(crop, points / 4)
    assert small["size"] == pytest.approx(face_measures(crop, points)["size"] / 4)
    assert small["turn"] == pytest.approx(face_measures(crop, points)["turn"])
    aside = points.copy()
    aside[NOSE_TIP, 0] += small["size"] * 4  # one distance between the eyes
    assert face_measures(crop, aside)["turn"] > 0.9


def test_the_range_goes_from_the_first_to_the_last_percentile():
    faces = [dict.fromkeys(INSIDE, float(value)) for value in range(101)]
    assert set(ranges_of(faces).values()) == {(1.0, 99.0)}
