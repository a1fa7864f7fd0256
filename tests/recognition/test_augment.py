import numpy as np

from pcfh.recognition.augment import augmented, random_geometry, random_tones


def face():
    y, x = np.mgrid[:144, :144] / 144
    return np.round(127.5 + 100 * np.sin(9 * x + 5 * y) * np.cos(6 * x * y)).astype(np.uint8)


def corners(matrix):
    turn, shift = matrix.reshape(2, 3)[:, :2], matrix.reshape(2, 3)[:, 2]
    return np.array([[0, 0], [128, 0], [64, 64], [0, 128], [128, 128]]) @ turn.T + shift


def test_equal_generators_give_equal_faces():
    first, second = (augmented(face(), np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_other_generators_give_other_faces():
    faces = {augmented(face(), np.random.default_rng(seed)).tobytes() for seed in range(5)}
    assert len(faces) == 5


def test_the_middle_moves_by_four_pixels_at_most():
    middles = np.array([corners(random_geometry(np.random.default_rng(seed)))[2] for seed in range(200)])
    assert 3 < np.abs(middles - 72).max() <= 4


def test_half_of_the_faces_are_mirrored():
    mirrored = [random_geometry(np.random.default_rng(seed))[0] < 0 for seed in range(400)]
    assert 160 < sum(mirrored) < 240


def test_size_changes_by_six_percent_at_most():
    matrices = [random_geometry(np.random.default_rng(seed)) for seed in range(200)]
    scales = [np.sqrt(abs(np.linalg.det(matrix.reshape(2, 3)[:, :2]))) for matrix in matrices]
    assert 0.94 <= min(scales) < 0.96
    assert 1.04 < max(scales) < 1.062


def test_tones_never_fall():
    tables = [random_tones(np.random.default_rng(seed)).astype(int) for seed in range(50)]
    assert min(np.diff(table).min() for table in tables) >= 0


def test_a_face_without_changes_is_the_middle_of_the_crop(monkeypatch):
    monkeypatch.setattr(
        "pcfh.recognition.augment.random_geometry", lambda rng: np.array([1, 0, 8, 0, 1, 8.0])
    )
    monkeypatch.setattr("pcfh.recognition.augment.random_tones", lambda rng: np.arange(256, dtype=np.uint8))
    for name in ("_BLUR", "_NOISE", "_JPEG"):
        monkeypatch.setattr(f"pcfh.recognition.augment.{name}", 0)
    np.testing.assert_array_equal(augmented(face(), np.random.default_rng(0)), face()[8:136, 8:136])
