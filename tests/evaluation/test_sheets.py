from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from blocks import Blocks, evaluate, hallucinator, made_results
from PIL import Image

from pcfh.evaluation.evaluation_data import EvaluationData, EvaluationJob
from pcfh.evaluation.report import face_sheets, write_report
from pcfh.evaluation.sheets import FaceSheets, sheet


@pytest.fixture
def job(drawn_prepared, tmp_path):
    return EvaluationJob(prepared=drawn_prepared, protocols=("1",), cache=tmp_path / "cache", resamples=20)


def sheets_of(job, generators, raw=None):
    material = EvaluationData(job, generators, Blocks.alignment)
    return face_sheets(evaluate(job, Blocks(), generators), material)


def flat(value):
    return np.full((16, 16, 3), value, np.uint8)


def test_every_picture_is_on_the_sheet_at_its_full_size():
    columns = [(str(i), [flat(10 * i + 5), flat(10 * i + 10)]) for i in range(9)]
    drawn = sheet(columns, ("above", "below"))
    for i in range(9):
        assert (drawn == 10 * i + 10).all(2).sum() >= 16 * 16
        x = np.flatnonzero((drawn == 10 * i + 10).all(2).sum(0) >= 16)
        assert x[-1] - x[0] == 15


def test_a_ninth_face_goes_below_the_first():
    drawn = sheet([(str(i), [flat(100 + i)]) for i in range(9)], ("NIR",))
    rows, columns = (np.flatnonzero((drawn == 108).all(2).sum(axis) >= 16) for axis in (1, 0))
    first_rows, first_columns = (np.flatnonzero((drawn == 100).all(2).sum(axis) >= 16) for axis in (1, 0))
    assert (rows[0] > first_rows[-1], columns.tolist()) == (True, first_columns.tolist())


def test_text_of_several_lines_moves_all_faces_down():
    one, two = (sheet([("a", [flat(5)]), (text, [flat(9)])], ("NIR",)) for text in ("b", "b\nc"))
    first, second = (np.flatnonzero((drawn == 5).all(2).sum(1) >= 16) for drawn in (one, two))
    assert (second - first).tolist() == [16] * 16
    assert len(two) == len(one) + 16


def test_a_sheet_has_a_row_for_each_image_that_is_known(job, drawn_database):
    generators = {"1": hallucinator()}
    assert sheets_of(job, {}).rows == ("NIR", "gallery VIS", "other's VIS")
    assert sheets_of(replace(job, raw=drawn_database), generators).rows == (
        "NIR",
        "generated",
        "true VIS",
        "gallery VIS",
        "other's VIS",
    )


def test_a_sheet_with_generated_faces_says_that_they_are_synthetic(job):
    made = sheets_of(job, {"1": hallucinator()})
    assert b"trainedAlgorithmicMedia" in made.random and b"trainedAlgorithmicMedia" in made.worst
    assert b"trainedAlgorithmicMedia" not in sheets_of(job, {}).random


def test_sheets_are_files_and_on_the_page(tmp_path):
    buffer = BytesIO()
    Image.fromarray(flat(9)).save(buffer, "JPEG")
    sheets = FaceSheets(random=buffer.getvalue(), worst=buffer.getvalue(), rows=("NIR", "gallery VIS"))
    write_report(made_results(), tmp_path, sheets)
    assert (tmp_path / "worst.jpg").read_bytes() == sheets.worst
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "drawn at random (seed 0), not chosen" in page
    assert "do not publish it" in page


def test_sheets_of_a_former_evaluation_do_not_stay(tmp_path):
    (tmp_path / "random.jpg").write_bytes(b"old")
    write_report(made_results(), tmp_path)
    assert not (tmp_path / "random.jpg").exists()
