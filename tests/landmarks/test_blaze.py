import csv
import math
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from pcfh.errors import UserError
from pcfh.geometry.align import align_image, crop_of, similarity, transform_points
from pcfh.geometry.scheme import MIRRORED
from pcfh.landmarks import open_backend
from pcfh.landmarks.blaze import (
    MESH_PAIRS,
    Blaze,
    Region,
    _quiet,
    anchors,
    decode,
    merge,
    mirror_points,
    overlap,
    points_of_mesh,
    region_of_mesh,
    region_of_row,
    row_to_image,
    shrink,
    tile_centres,
    tiles,
)
from pcfh.landmarks.fetch import DETECTOR, MESH, cache_folder

SKETCH = Path(__file__).parents[3] / "shared" / "databases" / "sketch60" / "NIR-VIS-2.0"


def distance(points, others):
    return np.linalg.norm(points - others, axis=1).mean()


def outer_eye_distance(points):
    return np.linalg.norm(points[36] - points[45])


def a_row(x, y, width, height=None, angle=0.0):
    """A detector row whose eyes are 20 pixels apart."""
    row = np.zeros(16)
    row[:4] = x, y, width, height or width
    row[4:6] = x - 10 * math.cos(angle), y - 10 * math.sin(angle)
    row[6:8] = x + 10 * math.cos(angle), y + 10 * math.sin(angle)
    return row


class TestRegion:
    def test_corner_pixels_of_an_upright_region_at_its_own_scale_map_to_themselves(self):
        region = Region(centre=(1.5, 1.5), side=4.0)
        np.testing.assert_allclose(region.matrix(4), [[1, 0, 0], [0, 1, 0]], atol=1e-12)

    def test_pixel_edges_and_not_centres_are_scaled(self):
        region = Region(centre=(1.5, 1.5), side=4.0)  # 4 pixels drawn with 8: first centre lies at 1/4 pixel
        np.testing.assert_allclose(region.to_image(np.array([[0.0, 0.0]]), 8), [[-0.25, -0.25]])

    def test_a_quarter_turn_sends_the_regions_right_to_the_images_bottom(self):
        region = Region(centre=(10.0, 20.0), side=8.0, angle=math.pi / 2)
        np.testing.assert_allclose(region.to_image(np.array([[7.5, 3.5]]), 8), [[10, 24]], atol=1e-12)

    def test_to_image_undoes_the_matrix(self):
        region = Region(centre=(31.2, -7.5), side=77.0, angle=0.4)
        points = np.array([[3.0, 4.0], [-5.5, 60.0]])
        drawn = transform_points(region.matrix(192), points)
        np.testing.assert_allclose(region.to_image(drawn, 192), points)


class TestRows:
    def test_the_fine_grids_second_cell_has_anchors_two_and_three(self):
        np.testing.assert_allclose(anchors()[2:4], [[1.5 / 16, 0.5 / 16]] * 2)

    def test_the_last_six_anchors_are_the_coarse_grids_last_cell(self):
        np.testing.assert_allclose(anchors()[-6:], [[7.5 / 8, 7.5 / 8]] * 6)

    def test_zero_regressors_decode_to_the_anchor_in_pixel_centres(self):
        first = decode(np.zeros((896, 16), np.float32))[0]
        np.testing.assert_allclose(first, [3.5, 3.5, 0, 0] + [3.5] * 12)

    def test_sizes_are_not_relative_to_the_anchor(self):
        regressors = np.zeros((896, 16), np.float32)
        regressors[:, 2:4] = (40, 50)
        np.testing.assert_allclose(decode(regressors)[895, 2:4], [40, 50])

    def test_a_shrunken_region_is_carried_back_to_whole_pixels(self):
        region = Region(centre=(63.5, 63.5), side=128.0)
        row = row_to_image(a_row(10, 20, 8)[None], region, 2)[0]
        np.testing.assert_allclose(row[:8], [20.5, 40.5, 16, 16, 0.5, 40.5, 40.5, 40.5])

    def test_overlap_of_half_shifted_equal_boxes_is_one_half(self):
        assert overlap(a_row(0, 0, 10), a_row(5, 0, 10)[None])[0] == pytest.approx(0.5)

    def test_rows_of_one_face_merge_to_their_mean_weighted_by_score(self):
        merged = merge(np.stack([a_row(0, 0, 40), a_row(4, 0, 40)]), np.array([0.6, 0.9]))
        assert [(row[0], score) for row, score in merged] == [(pytest.approx(4 * 0.9 / 1.5), 0.9)]

    def test_two_faces_stay_two_best_first(self):
        merged = merge(np.stack([a_row(0, 0, 40), a_row(100, 0, 40)]), np.array([0.6, 0.9]))
        assert [row[0] for row, _ in merged] == [100, 0]

    def test_an_upside_down_reading_of_a_face_does_not_blend_into_the_better_one(self):
        rows = np.stack([a_row(0, 0, 40), a_row(2, 0, 40, angle=math.pi)])
        [(row, _)] = merge(rows, np.array([0.9, 0.6]))
        np.testing.assert_allclose(row, rows[0])

    def test_hair_read_as_an_upside_down_face_above_the_eyes_is_dropped(self):
        rows = np.stack([a_row(0, 0, 40), a_row(0, -24, 40, angle=math.pi)])
        [(row, _)] = merge(rows, np.array([0.9, 0.6]))
        np.testing.assert_allclose(row, rows[0])

    def test_two_upright_faces_that_overlap_as_much_stay_two(self):
        rows = np.stack([a_row(0, 0, 40), a_row(0, -24, 40)])
        assert len(merge(rows, np.array([0.9, 0.6]))) == 2

    def test_a_part_taken_for_a_face_inside_a_face_is_dropped(self):
        rows = np.stack([a_row(0, 0, 100), a_row(10, 10, 40)])
        [(row, _)] = merge(rows, np.array([0.9, 0.6]))
        np.testing.assert_allclose(row, rows[0])

    def test_no_rows_are_no_faces(self):
        assert merge(np.zeros((0, 16)), np.zeros(0)) == []


class TestSearch:
    @pytest.mark.parametrize(("length", "side"), [(300, 128.0), (128, 128.0), (1000, 250.0), (257, 64.25)])
    def test_anything_of_half_a_tile_lies_within_one_tile(self, length, side):
        lows = np.array(tile_centres(length, side)) + 0.5 - side / 2
        starts = np.linspace(0, length - side / 2, 500)[:, None]
        inside = (lows <= starts + 1e-9) & (starts + side / 2 <= lows + side + 1e-9)
        assert inside.any(1).all()

    def test_a_side_shorter_than_the_tile_is_covered_from_its_middle(self):
        assert tile_centres(100, 128.0) == [49.5]

    def test_the_number_of_tiles_is_bounded_for_a_long_strip(self):
        assert len(tiles(40, 40_000, 4)) == 7

    def test_shrinking_averages_blocks(self):
        image = np.zeros((4, 6, 3), np.uint8)
        image[:2, :2] = [[[10], [20]], [[30], [40]]]
        small, block = shrink(image, 3)
        assert (block, small.shape, small[0, 0, 0]) == (2, (2, 3, 3), 25)

    def test_the_face_region_turns_with_the_eyes(self):
        region = region_of_row(a_row(50, 60, 40, 30, angle=0.3))
        assert (region.centre, region.side) == ((50, 60), 60)
        assert region.angle == pytest.approx(0.3)


class TestMesh:
    def test_there_are_68_points_on_vertices_of_the_mesh(self):
        vertices = np.hstack(MESH_PAIRS)
        assert len(MESH_PAIRS) == 68
        assert 0 <= vertices.min() <= vertices.max() < 468

    def test_a_pair_gives_the_point_half_way(self):
        mesh = np.zeros((468, 2))
        mesh[132], mesh[58] = (2, 0), (4, 8)
        np.testing.assert_allclose(points_of_mesh(mesh)[3], [3, 4])

    def test_mirroring_sends_the_left_mouth_corner_to_the_right_one(self):
        points = np.zeros((68, 2))
        points[48] = (10, 70)
        np.testing.assert_allclose(mirror_points(points)[54], [181, 70])

    def test_the_region_of_a_turned_mesh_is_the_turned_region(self):
        mesh = np.random.default_rng(0).uniform(0, 100, (468, 2))
        turn = Region(centre=(0.0, 0.0), side=1.0, angle=-0.7)
        upright, turned = region_of_mesh(mesh), region_of_mesh(transform_points(turn.matrix(1), mesh))
        assert turned.side == pytest.approx(upright.side)
        assert math.remainder(turned.angle - upright.angle - 0.7, math.tau) == pytest.approx(0, abs=1e-9)


class TestNetworkInput:
    """What goes into the networks and comes out, with stand-ins in their place."""

    RED = np.full((200, 200, 3), (255, 0, 0), np.uint8)

    @pytest.fixture
    def seen(self, blaze, monkeypatch):
        """Lists what the stand-ins were shown; the mesh's says that all points lie in its input's middle."""
        shown = []

        def detector(pixels):
            shown.append(pixels)
            return [np.zeros((1, 896, 16), np.float32), np.full((1, 896, 1), -9, np.float32)]

        def mesh(pixels):
            shown.append(pixels)
            return [np.full((1, 1, 1, 1404), 96, np.float32), np.full((1, 1, 1, 1), 9, np.float32)]

        monkeypatch.setattr(blaze, "_detector", detector)
        monkeypatch.setattr(blaze, "_mesh", mesh)
        return shown

    def test_the_detector_sees_red_first_from_minus_one_to_one(self, blaze, seen):
        blaze.detect(self.RED)
        np.testing.assert_allclose(seen[0], np.broadcast_to([1, -1, -1], (128, 128, 3)))

    def test_the_mesh_sees_red_first_from_zero_to_one(self, blaze, seen):
        blaze._mesh_in(self.RED[:192, :192])
        np.testing.assert_allclose(seen[0], np.broadcast_to([1, 0, 0], (192, 192, 3)))

    def test_the_middle_of_the_meshs_input_lies_between_its_two_middle_pixels(self, blaze, seen):
        mesh, _ = blaze._mesh_in(self.RED[:192, :192])
        np.testing.assert_allclose(mesh, np.full((468, 2), 95.5))


class TestPhotograph:
    # Read off the enlarged photograph by eye: pupils, mouth corners, tip of the nose, chin.
    @pytest.mark.parametrize(
        ("points", "place", "tolerance"),
        [
            (slice(36, 42), (203, 100.5), 2),
            (slice(42, 48), (246, 103), 2),
            (slice(48, 49), (201.5, 138.5), 3),
            (slice(54, 55), (245.5, 140.5), 3),
            (slice(30, 31), (223, 127), 3),
            (slice(8, 9), (220.5, 177), 4),
        ],
    )
    def test_features_lie_where_one_sees_them(self, astronaut_points, points, place, tolerance):
        assert np.linalg.norm(astronaut_points[points].mean(0) - place) < tolerance

    def test_one_face_is_found(self, blaze, astronaut):
        assert len(blaze.detect(astronaut)) == 1

    def test_the_box_holds_the_inner_face(self, blaze, astronaut):
        face = blaze.detect(astronaut)[0]
        left, top, right, bottom = face.box
        inner = face.landmarks[36:]
        assert (inner > (left, top)).all()
        assert (inner < (right, bottom)).all()

    def test_grey_gives_the_points_of_colour(self, blaze, astronaut_grey, astronaut_points):
        [face] = blaze.detect(astronaut_grey)
        assert distance(face.landmarks, astronaut_points) < 1

    def test_a_shifted_image_shifts_the_points(self, blaze, astronaut, astronaut_points):
        [face] = blaze.detect(np.roll(astronaut, (7, 13), (0, 1)))
        assert distance(face.landmarks - (13, 7), astronaut_points) < 1

    def test_a_mirrored_image_mirrors_the_points(self, blaze, astronaut, astronaut_points):
        [face] = blaze.detect(np.ascontiguousarray(astronaut[:, ::-1]))
        mirrored = face.landmarks[MIRRORED] * (-1, 1) + (511, 0)
        assert distance(mirrored, astronaut_points) < 0.75
        np.testing.assert_allclose((mirrored - astronaut_points).mean(0), 0, atol=0.3)

    @pytest.mark.parametrize("quarters", [1, 2, 3])
    def test_a_turned_image_turns_the_points(self, blaze, astronaut, astronaut_points, quarters):
        [face] = blaze.detect(np.rot90(astronaut, quarters).copy())
        expected = astronaut_points
        for _ in range(quarters):
            expected = np.stack([expected[:, 1], 511 - expected[:, 0]], 1)
        assert distance(face.landmarks, expected) < 0.5

    def test_a_magnified_image_magnifies_the_points_about_the_pixel_edge(
        self, blaze, astronaut, astronaut_points
    ):
        part = np.ascontiguousarray(astronaut[:256, 96:352])
        [face] = blaze.detect(part.repeat(4, 0).repeat(4, 1))
        expected = (astronaut_points - (96, 0) + 0.5) * 4 - 0.5
        assert distance(face.landmarks, expected) < 4

    def test_two_faces_are_two(self, blaze, astronaut):
        face = astronaut[0:256, 96:352]
        assert len(blaze.detect(np.concatenate([face, face[:, ::-1]], axis=1))) == 2

    def test_a_minimum_score_above_the_faces_finds_none(self, blaze, astronaut):
        assert Blaze(min_score=0.99).detect(astronaut) == []

    def test_a_pickled_copy_finds_the_same(self, blaze, astronaut, astronaut_points):
        [face] = pickle.loads(pickle.dumps(blaze)).detect(astronaut)
        np.testing.assert_array_equal(face.landmarks, astronaut_points)


@pytest.mark.parametrize("name", ["coins", "chelsea", "gravel"])
def test_a_picture_without_people_has_no_faces(blaze, name):
    pixels = getattr(skimage.data, name)()
    assert blaze.detect(np.asarray(Image.fromarray(pixels).convert("RGB"))) == []


def test_noise_has_no_faces(blaze):
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    assert blaze.detect(noise) == []


def test_a_single_pixel_has_no_faces(blaze):
    assert blaze.detect(np.zeros((1, 1, 3), np.uint8)) == []


@pytest.mark.parametrize("height", [300, 180])
def test_a_face_of_a_tenth_of_a_large_photograph_or_less_is_found(blaze, astronaut, astronaut_points, height):
    scale = height / 130  # hair to chin
    face = Image.fromarray(astronaut).resize((round(512 * scale),) * 2, Image.Resampling.LANCZOS)
    photograph = np.full((3000, 4000, 3), 120, np.uint8)
    photograph[1500 : 1500 + face.height, 2300 : 2300 + face.width] = face
    expected = (astronaut_points + 0.5) * face.width / 512 - 0.5 + (2300, 1500)
    [found] = blaze.detect(photograph)
    assert distance(found.landmarks, expected) < 0.03 * outer_eye_distance(expected)


def test_a_crop_from_brows_to_chin_is_found(blaze, astronaut, astronaut_points):
    [face] = blaze.detect(astronaut[91:157, 190:256].copy())
    inner = slice(27, 68)
    error = distance(face.landmarks[inner] + (190, 91), astronaut_points[inner])
    assert error < 0.1 * outer_eye_distance(astronaut_points)


def sketch_sample():
    if not SKETCH.is_dir():
        return []
    with (SKETCH / "landmarks68.csv").open(encoding="utf-8") as file:
        return list(csv.reader(file))[1::40]


def sketch_image(row):
    return np.asarray(Image.open(SKETCH / row[0]).convert("RGB"))


def sketch_points(row):
    return np.array(row[3:], dtype=float).reshape(68, 2)


@pytest.mark.skipif(not SKETCH.is_dir(), reason="needs the rendered database sketch60")
class TestRenderedFaces:
    def test_points_come_close_to_the_exact_ones(self, blaze):
        errors = []
        for row in sketch_sample():
            exact = sketch_points(row)
            errors.append(
                distance(blaze.detect(sketch_image(row))[0].landmarks, exact) / outer_eye_distance(exact)
            )
        assert np.mean(errors) <= 0.055

    @pytest.mark.parametrize("size", [128, 256])
    def test_aligned_crops_are_all_found_and_as_exact(self, blaze, size):
        errors = []
        for row in sketch_sample():
            matrix = similarity(sketch_points(row), crop_of(size))
            exact = transform_points(matrix, sketch_points(row))
            [face] = blaze.detect(align_image(sketch_image(row), matrix, size))
            errors.append(distance(face.landmarks, exact) / outer_eye_distance(exact))
        assert np.mean(errors) <= 0.055


class TestOpening:
    def test_an_unknown_name_lists_the_known_ones(self):
        with pytest.raises(UserError, match=r"blaze, fan; got 'dlib'"):
            open_backend("dlib")

    def test_absent_models_name_the_command(self, tmp_path):
        with pytest.raises(UserError, match="pcfh models fetch"):
            open_backend("blaze", folder=tmp_path)

    def test_the_model_files_of_a_folder_are_used(self, blaze, tmp_path, astronaut, astronaut_points):
        for file in (DETECTOR, MESH):
            (tmp_path / file.name).write_bytes((cache_folder() / file.name).read_bytes())
        [face] = open_backend("blaze", folder=tmp_path).detect(astronaut)
        np.testing.assert_array_equal(face.landmarks, astronaut_points)


def test_what_the_interpreter_tells_of_itself_stays_off_the_terminal(capfd):
    with _quiet():
        os.write(2, b"INFO: a faster way")
    os.write(2, b"a real error")
    assert capfd.readouterr().err == "a real error"
