"""Steps at the borders of the facial parts: 1 where there are none, more where boxes were pasted."""

import numpy as np
import pytest

from pcfh.evaluation.part_borders import border_ratio
from pcfh.geometry.parts import parts_of
from pcfh.web.engine import boxes


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(0).uniform(40, 90, (68, 2))


def test_a_slope_without_boxes_has_equal_steps_everywhere(points):
    ramp = np.repeat(np.arange(128, dtype=np.uint8)[:, None], 128, 1)
    face = np.stack([ramp, ramp.T, ramp], -1)
    assert border_ratio([face], [points]) == pytest.approx(1)


def test_noise_has_no_borders(points):
    faces = np.random.default_rng(1).integers(0, 256, (20, 128, 128, 3), dtype=np.uint8)
    assert border_ratio(faces, [points] * 20) == pytest.approx(1, abs=0.02)


def test_brighter_boxes_are_seen(points):
    slope = np.arange(128, dtype=np.uint8)
    face = np.repeat((slope[:, None] + slope)[..., None] // 2, 3, 2)
    assert parts_of(128)
    for box in boxes(points, 128):
        face[box.y : box.y + box.height, box.x : box.x + box.width] += 20
    assert border_ratio([face], [points]) > 5
