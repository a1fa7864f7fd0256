"""What generated faces keep: faces painted by hand, with masks, and a detector that knows where to look."""

from dataclasses import replace

import numpy as np
import pytest

from pcfh.databases.rendered import BEHIND_GLASS, Region
from pcfh.evaluation.faithfulness import (
    EYES_FOUND,
    FACES_FOUND,
    FRAMES,
    IRIS,
    MEASURES,
    SURROUNDINGS,
    UNEQUAL,
    UNEQUAL_TRUTH,
    MaskedFace,
    face_parts,
    faithfulness_rows,
)
from pcfh.evaluation.intervals import Bootstrap
from pcfh.geometry.scheme import EYES, LEFT_EYE, RIGHT_EYE
from pcfh.landmarks.base import Face

SIZE = 64
COLOURS = {
    Region.SURROUNDINGS: (90, 90, 90),
    Region.SKIN: (200, 150, 120),
    Region.IRIS: (60, 90, 140),
    Region.FRAME: (10, 10, 10),
}


def landmarks():
    points = np.random.default_rng(0).uniform(20, 44, (68, 2))
    points[LEFT_EYE], points[RIGHT_EYE] = (22.0, 30.0), (42.0, 30.0)
    points[36], points[45] = (18.0, 30.0), (46.0, 30.0)
    return points


def regions(glass=BEHIND_GLASS):
    mask = np.full((SIZE, SIZE), Region.SURROUNDINGS, np.uint8)
    mask[12:60, 12:52] = Region.SKIN
    mask[26:34, 18:46] = Region.SKIN + glass
    mask[28:32, 20:24] = mask[28:32, 40:44] = Region.IRIS + glass
    if glass:
        mask[24:26, 12:52] = Region.FRAME
    return mask


def picture(mask):
    return np.array([COLOURS[Region(value)] for value in (mask % BEHIND_GLASS).flat], np.uint8).reshape(
        SIZE, SIZE, 3
    )


@pytest.fixture
def face():
    mask = regions()
    return MaskedFace(landmarks=landmarks(), regions=mask, generated=picture(mask), truth=picture(mask))


class Detector:
    """Finds in each image, by its sum, the points that it was told of."""

    name = "told"

    def __init__(self, *found):
        self.found = {int(image.sum()): points for image, points in found}

    def detect(self, image):
        points = self.found[int(image.sum())]
        return [] if points is None else [Face(box=(0.0, 0.0, 1.0, 1.0), score=1.0, landmarks=points)]


def moved(by, part=EYES):
    points = landmarks()
    points[part] += (by, 0)
    return points


def test_the_truth_keeps_all(face):
    parts = face_parts(face)
    assert {name: over / under for name, (over, under) in parts.items()} == {
        IRIS: 0,
        UNEQUAL: 0,
        UNEQUAL_TRUTH: 0,
        FRAMES: 1,
        SURROUNDINGS: 0,
    }


def test_a_milky_eye_is_an_error_and_unequal_to_the_other(face):
    made = face.generated.copy()
    made[28:32, 20:24] = (180, 190, 200)
    parts = face_parts(replace(face, generated=made))
    assert parts[IRIS][0] == pytest.approx(parts[UNEQUAL][0] / 2)  # half of the pixels, by as much
    assert (parts[UNEQUAL][0] > 20, parts[UNEQUAL_TRUTH][0]) == (True, 0)


def test_an_eye_that_is_hardly_seen_is_compared_with_no_other(face):
    mask = face.regions.copy()
    mask[28:32, 41:44] = Region.SKIN + BEHIND_GLASS
    assert face_parts(replace(face, regions=mask)).keys() == {IRIS, FRAMES, SURROUNDINGS}


def test_closed_eyes_and_no_glasses_leave_the_surroundings(face):
    mask = np.where(face.regions == Region.SURROUNDINGS, face.regions, Region.SKIN).astype(np.uint8)
    assert face_parts(replace(face, regions=mask), Detector()).keys() == {SURROUNDINGS}


def test_surroundings_in_skin_colour_count_away_from_borders(face):
    made = face.generated.copy()
    made[:6] = COLOURS[Region.SKIN]
    around = SIZE * SIZE - 48 * 40 - 2 * (48 + 40)  # without the face and the pixels beside it
    assert face_parts(replace(face, generated=made))[SURROUNDINGS][0] == pytest.approx(6 * SIZE / around)


def test_eyes_behind_glasses_are_measured_against_what_the_detector_does_in_the_truth(face):
    made = face.generated.copy()
    made[0, 0] = 0
    detector = Detector((made, moved(3.0)), (face.truth, moved(1.5)))
    over, under = face_parts(replace(face, generated=made), detector)[EYES_FOUND]
    assert (over, under) == pytest.approx((3 / 28, 1.5 / 28))


def test_errors_away_from_the_eyes_are_no_matter(face):
    detector = Detector((face.truth, moved(9.0, slice(0, 36))))
    assert face_parts(face, detector)[EYES_FOUND] == (0, 0)


def test_a_generated_face_that_is_not_found_counts_as_that_alone(face):
    made = face.generated.copy()
    made[0, 0] = 0
    lost = face_parts(replace(face, generated=made), Detector((made, None), (face.truth, landmarks())))
    assert (lost[FACES_FOUND], EYES_FOUND in lost) == ((0, 1), False)


def test_a_face_that_is_not_found_in_the_truth_says_nothing(face):
    assert FACES_FOUND not in face_parts(face, Detector((face.truth, None)))


def test_without_glasses_nobody_looks_for_landmarks(face):
    bare = replace(face, regions=regions(glass=0))
    assert face_parts(bare, Detector()).keys() == {IRIS, UNEQUAL, UNEQUAL_TRUTH, SURROUNDINGS}


def test_rows_are_means_over_the_probes_that_have_them_and_ratios_of_sums():
    faces = [{IRIS: (4.0, 1.0), EYES_FOUND: (3.0, 1.0)}, {IRIS: (8.0, 1.0)}, {EYES_FOUND: (1.0, 3.0)}]
    rows = faithfulness_rows(faces, ["a", "b", "b"], Bootstrap(resamples=50, seed=0))
    assert [(row.measure, row.images, row.probes, row.interval.estimate) for row in rows] == [
        (*IRIS, 2, 6.0),
        (*EYES_FOUND, 2, 1.0),
    ]
    assert (rows[0].interval.low, rows[0].interval.high) == (4.0, 8.0)


def test_rows_come_in_one_order():
    faces = [dict.fromkeys(reversed(MEASURES), (1.0, 1.0))]
    rows = faithfulness_rows(faces, ["a"], Bootstrap(resamples=5, seed=0))
    assert tuple((row.measure, row.images) for row in rows) == MEASURES
