import json
import re

import numpy as np
import pytest
from drawn import draw_database
from PIL import Image

from pcfh.data.casia import read_casia
from pcfh.data.prepared import open_prepared
from pcfh.data.records import subjects
from pcfh.demo import SAMPLE, run_demo
from pcfh.errors import UserError
from pcfh.spectral.checksums import changes_since

SIDE, HEADER, GAP = 128, 24, 8


@pytest.fixture(scope="module")
def four_people(tmp_path_factory):
    root = tmp_path_factory.mktemp("faces")
    draw_database(root, identities=4, seed=0, size=96)
    return root


@pytest.fixture(scope="module")
def demo(four_people, tmp_path_factory):
    """A demo of two steps, and the lines it said."""
    out, lines = tmp_path_factory.mktemp("demo"), list[str]()
    run_demo(out, faces=four_people, steps=2, say=lines.append)
    return out, lines


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


def column(sheet, block, place):
    left = block * (3 * SIDE + GAP) + place * SIDE
    return sheet[HEADER:, left : left + SIDE]


def test_the_sheet_has_two_people_side_by_side_under_a_header(demo):
    assert pixels(demo[0] / "sheet.png").shape == (HEADER + SIDE, 2 * 3 * SIDE + GAP, 3)


def test_near_infrared_columns_of_the_sheet_are_grey_and_true_ones_in_colour(demo):
    sheet = pixels(demo[0] / "sheet.png")
    colour = [[np.ptp(column(sheet, block, place), axis=-1).mean() for place in (0, 2)] for block in (0, 1)]
    assert np.all(np.array(colour)[:, 0] == 0)
    assert np.all(np.array(colour)[:, 1] > 20)


def test_the_last_line_gives_the_error_of_the_grey_input_beside_that_of_the_output(demo):
    match = re.search(
        r"6 pictures of 2 unseen people.* face ([\d.]+), that of the grey input ([\d.]+)", demo[1][-1]
    )
    assert match
    assert 0 < float(match[1]) < 1
    assert 0.2 < float(match[2]) < 0.4


def test_the_people_of_the_sheet_were_not_trained_on(demo):
    protocol = open_prepared(demo[0] / "prepared", 64).protocol("1")
    assert not {r.subject for r in protocol.train} & {r.subject for r in protocol.probe}


def test_called_again_it_trains_no_further(demo, four_people):
    out, _ = demo
    before, lines = (out / "sheet.png").read_bytes(), list[str]()
    run_demo(out, faces=four_people, steps=2, say=lines.append)
    assert not [line for line in lines if line.startswith("step")]
    assert (out / "sheet.png").read_bytes() == before


def test_another_demo_in_the_same_folder_starts_afresh_and_leaves_foreign_files_alone(tmp_path, four_people):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoint.pt").write_bytes(b"of another demo")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "demo.json").write_text('{"format": "pcfh-demo", "version": "0.0.1"}')
    run_demo(tmp_path, faces=four_people, steps=1)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert json.loads((tmp_path / "run" / "config.json").read_text())["config"]["training"]["steps"] == 1


def test_a_folder_with_other_things_is_refused(tmp_path, four_people):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(UserError, match="new or empty folder, or an earlier demo's"):
        run_demo(tmp_path, faces=four_people, steps=1)


def test_what_is_called_as_the_demos_files_but_is_not_is_refused(tmp_path, four_people):
    (tmp_path / "demo.json").write_text('{"slides": 12}')
    (tmp_path / "run").mkdir()
    with pytest.raises(UserError, match="new or empty folder, or an earlier demo's"):
        run_demo(tmp_path, faces=four_people, steps=1)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path, four_people):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UserError, match="new or empty folder, or an earlier demo's"):
        run_demo(tmp_path / "out", faces=four_people, steps=1)


def test_the_sheet_says_that_its_faces_are_synthetic(demo):
    with Image.open(demo[0] / "sheet.png") as image:
        assert image.text["Synthetic"] == "true"


def test_without_faces_it_says_where_they_are_had(tmp_path):
    with pytest.raises(UserError, match="a clone of the repository, or give --faces"):
        run_demo(tmp_path / "out", faces=tmp_path, steps=1)


def test_the_sample_of_the_repository_is_whole():
    assert not changes_since(SAMPLE)
    database = read_casia(SAMPLE)
    assert len(subjects(database.records)) == 48
    assert not database.notes
