"""The suite of shifts: rows from hand-made outcomes, and databases that are none."""

import sys
from pathlib import Path

import numpy as np
import pytest

from pcfh.databases.layouts import open_database
from pcfh.databases.rendered import SAMPLE
from pcfh.errors import UserError
from pcfh.evaluation.intervals import Bootstrap
from pcfh.evaluation.outcomes import MethodOutcome
from pcfh.recipes.shift_suite import ShiftSuite, markdown, read_suite, shift_rows, shifts_of
from pcfh.typed_json import to_json_text
from pcfh_render.database import render_database
from pcfh_render.recipes import Recipe
from pcfh_render.shifts import SHIFTS

sys.path.insert(0, str(Path(__file__).parents[1] / "render"))
from standin import studio

PEOPLE = np.repeat(np.arange(10), 2)


def outcome(hits):
    return MethodOutcome(
        people=PEOPLE, hits=np.array(hits, bool), rates=np.full(3, np.nan), draws=np.full((3, 5), np.nan)
    )


@pytest.fixture
def rows():
    methods = {
        "original": outcome([1, 0] * 10),
        "generated": outcome([0, 1] * 10),
        "fusion": outcome([1, 1] * 10),
        "truth": outcome([1, 1] * 9 + [0, 0]),
    }
    return shift_rows("some", {"1": "blur"}, {"1": methods}, Bootstrap(resamples=200, seed=0))


def test_a_row_has_the_rank_1_of_each_score_and_what_the_fusion_gains(rows):
    (row,) = rows
    assert (row.shift, row.probes, row.people) == ("blur", 20, 10)
    assert {name: interval.estimate for name, interval in row.rank1.items()} == {
        "original": 0.5,
        "generated": 0.5,
        "fusion": 1.0,
        "truth": 0.9,
    }
    assert (row.gain.estimate, row.gain.low, row.gain.high) == (0.5, 0.5, 0.5)


def test_the_results_are_read_back_and_the_table_has_a_line_for_each_shift(rows, tmp_path):
    suite = ShiftSuite(format="pcfh-shifts-1", version="1", generator="g", resamples=200, rows=tuple(rows))
    (tmp_path / "shifts.json").write_text(to_json_text(suite))
    assert read_suite(tmp_path / "shifts.json") == suite
    assert "+50.00 [+50.00, +50.00]" in markdown(suite)
    assert markdown(suite).count("blur") == 1


def test_the_folds_of_a_rendered_suite_are_named_by_their_shifts(tmp_path):
    recipe = Recipe(identities=3, seed=1, nir=1, vis=2, folds=0, size=16, difficulty="close", shifts=True)
    home = render_database(studio(), tmp_path, recipe).home
    assert tuple(shifts_of(open_database(home)).values()) == tuple(SHIFTS)


def test_a_database_without_shifts_is_refused_with_what_makes_one():
    with pytest.raises(UserError, match="expected a column shift; make the database with pcfh render"):
        shifts_of(open_database(SAMPLE))
