import re

import numpy as np
import pytest

from pcfh.errors import UserError
from pcfh.landmarks.given import COORDINATES, landmark_key, read_landmarks, write_landmarks

POINTS = np.arange(136, dtype=float).reshape(68, 2) + 0.25
CELLS = [f"{value}" for value in POINTS.ravel()]
HEADER = ["path", "subject", "modality", *COORDINATES]


def table(path, *rows, end="\n", header=HEADER, encoding="utf-8"):
    path.write_bytes("".join(",".join(row) + end for row in (header, *rows)).encode(encoding))
    return path


@pytest.fixture
def file(tmp_path):
    return tmp_path / "landmarks.csv"


@pytest.mark.parametrize(
    "name", ["s1/NIR/00001/001", "s1/NIR/00001/001.jpg", r"s1\NIR\00001\001.bmp", "S1/nir/00001/001.JPG"]
)
def test_extension_case_and_kind_of_slash_do_not_count(name):
    assert landmark_key(name) == "s1/nir/00001/001"


def test_points_are_read_as_x_and_y(file):
    assert read_landmarks(table(file, ["a.jpg", "1", "vis", *CELLS]))["a"][1].tolist() == [2.25, 3.25]


def test_columns_may_stand_in_any_order(file):
    header = [*COORDINATES[::-1], "path"]
    found = read_landmarks(table(file, [*CELLS[::-1], "a.jpg"], header=header))
    np.testing.assert_array_equal(found["a"], POINTS)


def test_a_table_from_windows_is_read(file):
    found = read_landmarks(table(file, [r"s1\a.jpg", "1", "vis", *CELLS], end="\r\n", encoding="utf-8-sig"))
    assert list(found) == ["s1/a"]


def test_empty_lines_are_skipped(file):
    table(file, ["a.jpg", "1", "vis", *CELLS])
    file.write_text(file.read_text() + "\n\n")
    assert list(read_landmarks(file)) == ["a"]


def test_a_path_with_a_comma_survives_writing_and_reading(file):
    write_landmarks(file, {"a, b/c": POINTS})
    np.testing.assert_array_equal(read_landmarks(file)["a, b/c"], POINTS)


def test_writing_rounds_to_a_thousandth_of_a_pixel(file):
    write_landmarks(file, {"a": POINTS / 3})
    error = np.abs(read_landmarks(file)["a"] - POINTS / 3)
    assert 0 < error.max() <= 0.0005 + 1e-12


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["a.jpg", "1", "vis", *CELLS[:-1]], "line 2: expected 139 columns as in line 1, found 138"),
        (["a.jpg", "1", "vis", *CELLS[:-1], "12,5"], "line 2: expected 139 columns as in line 1, found 140"),
        (
            ["a.jpg", "1", "vis", *CELLS[:-1], "low"],
            "line 2: expected a finite number in column y67, found 'low'",
        ),
        (
            ["a.jpg", "1", "vis", "nan", *CELLS[1:]],
            "line 2: expected a finite number in column x0, found 'nan'",
        ),
        (
            ["a.jpg", "1", "vis", "inf", *CELLS[1:]],
            "line 2: expected a finite number in column x0, found 'inf'",
        ),
        (["", "1", "vis", *CELLS], "line 2: expected a new image path, found '', which is empty"),
    ],
)
def test_a_bad_line_is_named_with_what_was_expected_and_found(file, row, message):
    table(file, row)
    with pytest.raises(UserError, match=re.escape(f"{file}, {message}")):
        read_landmarks(file)


def test_an_image_named_twice_is_refused(file):
    table(file, ["a.jpg", "1", "vis", *CELLS], ["A.bmp", "1", "vis", *CELLS])
    with pytest.raises(
        UserError, match=r"line 3: expected a new image path, found 'A.bmp', which is named twice"
    ):
        read_landmarks(file)


def test_five_points_are_refused_because_68_are_needed(file):
    table(file, ["a.jpg", *CELLS[:10]], header=["path", *COORDINATES[:10]])
    with pytest.raises(
        UserError, match=r"68 landmarks are needed\), found 11 columns with 5 points; 'x5' is absent"
    ):
        read_landmarks(file)


def test_a_table_without_paths_is_refused(file):
    table(file, CELLS, header=list(COORDINATES))
    with pytest.raises(UserError, match="'path' is absent"):
        read_landmarks(file)


def test_an_empty_file_is_refused(file):
    file.write_bytes(b"")
    with pytest.raises(UserError, match="found 0 columns"):
        read_landmarks(file)


def test_an_absent_file_is_named(file):
    with pytest.raises(UserError, match=re.escape(str(file))):
        read_landmarks(file)


def test_a_file_that_is_no_text_is_refused(file):
    file.write_bytes(b"\xff\xd8\xff\xe0 jpeg")
    with pytest.raises(UserError, match="expected a readable CSV table in UTF-8"):
        read_landmarks(file)
