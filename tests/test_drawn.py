import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from drawn import Capture, draw, draw_database, random_capture, random_face
from PIL import Image

from pcfh.databases.casia import read_casia
from pcfh.databases.records import subjects
from pcfh.geometry.mirror import mirror_points
from pcfh.preparation.prepared import read_manifest

SIZE = 96
STILL = Capture()


@pytest.fixture(scope="module")
def face():
    return replace(random_face(np.random.default_rng(5)), stubble=0.0)


def captures(count):
    return [random_capture(np.random.default_rng(seed), neutral=True) for seed in range(count)]


def people(count):
    return [random_face(np.random.default_rng(seed)) for seed in range(count)]


def level(image, point, radius=1):
    """Mean of each channel around a point."""
    x, y = np.round(point).astype(int)
    part = image[y - radius : y + radius + 1, x - radius : x + radius + 1]
    return part.reshape(-1, image.shape[2]).mean(0)


def forehead(drawing):
    return drawing.landmarks[[21, 22]].mean(0) - (0, 0.05 * len(drawing.vis))


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def digests(root):
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_equal_seeds_give_equal_files(tmp_path):
    for name in ("a", "b"):
        draw_database(tmp_path / name, identities=2, seed=3, size=48)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def test_another_seed_gives_other_pictures(tmp_path):
    for seed in (3, 4):
        draw_database(tmp_path / str(seed), identities=2, seed=seed, size=48)
    a, b = digests(tmp_path / "3"), digests(tmp_path / "4")
    assert not [path for path in a if path.endswith(".png") and a[path] == b[path]]


def test_the_casia_reader_finds_nothing_odd(drawn_database):
    assert read_casia(drawn_database).notes == ()


def test_half_of_the_people_train_and_the_others_test(drawn_database):
    protocol = read_casia(drawn_database).protocol("1")
    assert subjects(protocol.train) == ("00001", "00002", "00003")
    assert subjects(protocol.probe) == subjects(protocol.gallery) == ("00004", "00005", "00006")


def test_each_training_person_has_three_captures_in_each_light(drawn_database):
    train = read_casia(drawn_database).protocol("1").train
    for light in ("NIR", "VIS"):
        assert [r.subject for r in train if r.modality == light] == ["00001"] * 3 + ["00002"] * 3 + [
            "00003"
        ] * 3


def test_lists_have_the_backslashes_and_line_ends_of_the_original(drawn_database):
    lines = (drawn_database / "protocols" / "vis_gallery_1.txt").read_bytes()
    assert lines == b"s1\\VIS\\00004\\001.png\r\ns1\\VIS\\00005\\001.png\r\ns1\\VIS\\00006\\001.png\r\n"


def test_near_infrared_files_have_one_channel(drawn_database):
    assert {pixels(path).ndim for path in drawn_database.glob("s1/NIR/*/*.png")} == {2}


def test_every_near_infrared_capture_has_its_truth(drawn_database):
    names = {
        path.relative_to(drawn_database / "truth" / "s1" / "NIR")
        for path in drawn_database.glob("truth/s1/NIR/*/*.png")
    }
    folder = drawn_database / "s1" / "NIR"
    assert names == {path.relative_to(folder) for path in folder.glob("*/*.png")}


def test_truth_shows_the_moment_of_the_near_infrared_capture(drawn_database):
    for record in read_casia(drawn_database).protocol("1").probe:
        points = np.array(record.landmarks)[17:48]  # brows and eyes are dark in both lights
        (left, top), (right, bottom) = points.min(0).astype(int), points.max(0).astype(int)
        part = (slice(top, bottom), slice(left, right))
        nir = pixels(drawn_database / record.path)[part]
        truths = sorted((drawn_database / "truth" / "s1" / "NIR" / record.subject).iterdir())
        likeness = [np.corrcoef(pixels(path)[part].mean(-1).ravel(), nir.ravel())[0, 1] for path in truths]
        assert truths[int(np.argmax(likeness))].name == record.path.rpartition("/")[2]


def test_every_capture_can_be_aligned(drawn_prepared):
    manifest = read_manifest(drawn_prepared)
    assert (len(manifest.crops), manifest.dropped) == (30, ())


def test_pupils_are_the_darkest_in_the_middle_of_the_eyes():
    for person, capture in zip(people(8), captures(8), strict=True):
        drawing = draw(person, capture, 160)
        for eye in (slice(36, 42), slice(42, 48)):
            pupil = level(drawing.nir, drawing.landmarks[eye].mean(0))
            assert pupil < 0.4 * level(drawing.nir, forehead(drawing))


def test_lips_begin_and_end_at_their_landmarks(face):
    drawing = draw(face, STILL, 240)
    p = drawing.landmarks
    lip, chin = p[[57, 66]].mean(0), p[57] + (0, 8)
    redness = [colour[0] / colour[1] for colour in (level(drawing.vis, lip), level(drawing.vis, chin))]
    assert redness[0] > 1.15 * redness[1]


def test_skin_ends_at_the_jaw_landmarks(face):
    drawing = draw(replace(face, hair_length=0.1), STILL, 160)
    nose = drawing.landmarks[30]
    for point in drawing.landmarks[3:14]:
        outward = 4 * (point - nose) / np.linalg.norm(point - nose)
        assert level(drawing.nir, point - outward) > 1.2 * level(drawing.nir, point + outward)


def test_brows_lie_under_their_landmarks(face):
    drawing = draw(replace(face, brow_weight=0.08), STILL, 160)
    for point in drawing.landmarks[[18, 19, 20, 23, 24, 25]]:
        assert level(drawing.nir, point, 0) < 0.7 * level(drawing.nir, forehead(drawing))


def test_landmarks_of_a_frontal_face_are_their_own_mirror_image(face):
    points = torch.from_numpy(draw(face, STILL, SIZE).landmarks)[None]
    torch.testing.assert_close(mirror_points(points, SIZE), points)


def test_roll_turns_the_landmarks_clockwise(face):
    angle = 0.1
    cos, sin = np.cos(angle), np.sin(angle)
    upright, rolled = (draw(face, replace(STILL, roll=a), SIZE).landmarks for a in (0.0, angle))
    turned = (upright - upright[27]) @ np.array([[cos, sin], [-sin, cos]])
    np.testing.assert_allclose(rolled - rolled[27], turned, atol=1e-9)


def test_yaw_moves_the_tip_of_the_nose_further_than_the_eyes(face):
    frontal, turned = (draw(face, replace(STILL, yaw=a), SIZE).landmarks for a in (0.0, 0.3))
    right = (turned - frontal)[:, 0]
    assert right[30] > right[36:48].mean() + 0.03 * SIZE


def test_opening_the_mouth_parts_the_inner_lips(face):
    shut, opened = (draw(face, replace(STILL, opening=o), SIZE).landmarks for o in (0.0, 1.0))
    assert opened[66, 1] - opened[62, 1] > shut[66, 1] - shut[62, 1] + 3


def test_landmarks_scale_with_the_size_from_the_edges_of_the_image(face):
    small, large = (draw(face, STILL, size).landmarks for size in (80, 160))
    np.testing.assert_allclose(large + 0.5, 2 * (small + 0.5))


def test_pictures_scale_with_the_size(face):
    small, large = (draw(face, STILL, size).vis for size in (80, 160))
    reduced = large.reshape(80, 2, 80, 2, 3).mean((1, 3))
    assert np.abs(reduced - small).mean() < 1.3  # half a pixel of shift gives 1.6


def test_visible_light_changes_nothing_else(face):
    lit = replace(STILL, light=(1.0, 0.8, 0.7), light_from=(0.6, -0.2, 1.0))
    a, b = draw(face, STILL, SIZE), draw(face, lit, SIZE)
    assert not np.array_equal(a.vis, b.vis)
    np.testing.assert_array_equal(a.nir, b.nir)


def test_random_people_differ_far_less_in_near_infrared_than_in_visible_skin():
    skins = [person.skin for person in people(50)]
    assert np.ptp([skin.nir for skin in skins]) < 0.25 * np.ptp([skin.rgb[1] for skin in skins])


def test_skin_is_bright_in_near_infrared_whatever_its_tone():
    for person in people(20):
        drawing = draw(person, STILL, SIZE)
        assert level(drawing.nir, forehead(drawing)) > 160


def test_the_background_is_dark_in_near_infrared_whatever_its_colour(face):
    drawing = draw(face, random_capture(np.random.default_rng(0), neutral=False), SIZE)
    assert level(drawing.nir, (4, 4)) < 50
