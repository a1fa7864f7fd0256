import numpy as np
import pytest
from PIL import Image

from pcfh.recognisers.training import augment
from pcfh.recognisers.training.augment import (
    augmented,
    random_detail,
    random_geometry,
    random_light,
    random_response,
    random_surroundings,
    random_tones,
)

SEEDS = range(200)


def rng(seed):
    return np.random.default_rng(seed)


def face():
    y, x = np.mgrid[:144, :144] / 144
    wave = np.sin(9 * x + 5 * y) * np.cos(6 * x * y)
    return np.round(127.5 + 100 * wave[..., None] * [1, 0.7, 0.4]).astype(np.uint8)


def corners(matrix):
    turn, shift = matrix.reshape(2, 3)[:, :2], matrix.reshape(2, 3)[:, 2]
    return np.array([[0, 0], [128, 0], [64, 64], [0, 128], [128, 128]]) @ turn.T + shift


def test_equal_generators_give_equal_faces():
    first, second = (augmented(face(), rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_other_generators_give_other_faces():
    faces = {augmented(face(), rng(seed)).tobytes() for seed in range(5)}
    assert len(faces) == 5


def test_the_middle_moves_by_four_pixels_at_most():
    middles = np.array([corners(random_geometry(rng(seed)))[2] for seed in SEEDS])
    assert 3 < np.abs(middles - 72).max() <= 4


def test_half_of_the_faces_are_mirrored():
    mirrored = [random_geometry(rng(seed))[0] < 0 for seed in range(400)]
    assert 160 < sum(mirrored) < 240


def test_size_changes_by_six_percent_at_most():
    matrices = [random_geometry(rng(seed)) for seed in SEEDS]
    scales = [np.sqrt(abs(np.linalg.det(matrix.reshape(2, 3)[:, :2]))) for matrix in matrices]
    assert 0.94 <= min(scales) < 0.96
    assert 1.04 < max(scales) < 1.062


def test_tones_never_fall():
    tables = [random_tones(rng(seed)).astype(int) for seed in range(50)]
    assert min(np.diff(table).min() for table in tables) >= 0


def test_every_response_leaves_grey_as_it_is():
    np.testing.assert_allclose([random_response(rng(seed)).sum() for seed in SEEDS], 1)


def test_some_responses_look_beyond_red():
    responses = np.array([random_response(rng(seed)) for seed in SEEDS])
    beyond = (responses[:, 0] > 1) & (responses[:, 1] < 0)
    assert 0.1 < beyond.mean() < 0.6


def test_light_is_positive_and_even_within_an_eighth_of_the_face():
    for seed in range(50):
        light = random_light(rng(seed))
        assert light.min() >= 0
        steps = np.abs(np.diff(light, axis=0)).max() / light.max()
        assert steps < 0.12


def test_half_of_the_lights_fall_off_to_every_corner():
    lights = [random_light(rng(seed)) for seed in range(300)]
    corner = np.array([light[[0, 0, -1, -1], [0, -1, 0, -1]].mean() for light in lights])
    middle = np.array([light[48:80, 48:80].mean() for light in lights])
    assert 0.3 < (corner < 0.6 * middle).mean() < 0.7


def test_detail_leaves_an_even_face_as_it_is():
    even = np.full((128, 128), 90, np.float32)
    np.testing.assert_allclose(random_detail(even, rng(0)), even, atol=1e-3)


def test_detail_keeps_the_mean_tone_and_changes_the_contrast():
    image = face()[8:136, 8:136, 0].astype(np.float32)
    changed = [random_detail(image, rng(seed)) for seed in range(40)]
    assert max(abs(float(c.mean() - image.mean())) for c in changed) < 12
    assert (
        min(float(c.std()) for c in changed) < 0.9 * image.std() < 1.02 * max(float(c.std()) for c in changed)
    )


def test_surroundings_leave_the_middle_and_make_the_corners_even():
    image = Image.fromarray(face()[8:136, 8:136, 0])
    for seed in range(30):
        changed = np.asarray(random_surroundings(image, rng(seed))).astype(int)
        assert np.abs(changed[58:72, 58:72] - np.asarray(image)[58:72, 58:72]).max() <= 12
        assert np.ptp(changed[:3, :3]) <= 40


def test_a_face_without_changes_is_the_middle_of_the_crop(monkeypatch):
    monkeypatch.setattr(augment, "random_geometry", lambda rng: np.array([1, 0, 8, 0, 1, 8.0]))
    monkeypatch.setattr(augment, "random_tones", lambda rng: np.arange(256, dtype=np.uint8))
    monkeypatch.setattr(augment, "_exposed", lambda lit, rng: Image.fromarray(lit.astype(np.uint8)))
    for name in ("_RESPONSE", "_LIGHT", "_DETAIL", "_SURROUNDINGS", "_BLUR", "_NOISE", "_JPEG"):
        monkeypatch.setattr(augment, name, 0)
    luma = face() @ np.float32([0.299, 0.587, 0.114])
    np.testing.assert_array_equal(augmented(face(), rng(0)), luma.round()[8:136, 8:136])


@pytest.mark.parametrize("grey", [20, 128, 230])
def test_an_even_face_is_exposed_between_its_own_grey_and_the_drawn_one(grey):
    means = [
        float(np.asarray(augment._exposed(np.full((128, 128), grey, np.float32), rng(seed))).mean())
        for seed in SEEDS
    ]
    assert min(means) >= min(grey, 70) - 1
    assert max(means) <= max(grey, 205) + 1
    assert np.std(means) > 10
