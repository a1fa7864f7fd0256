"""The suite of shifts: rows from hand-made outcomes, a small suite measured whole, what is none."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from blocks import Blocks, hallucinator
from PIL import Image
from small_database import write_small_database

from pcfh.databases.layouts import open_database
from pcfh.databases.rendered import PARAMETERS, SAMPLE, Region, mask_path
from pcfh.errors import UserError
from pcfh.evaluation.faithfulness import IRIS, SURROUNDINGS
from pcfh.evaluation.intervals import Bootstrap
from pcfh.evaluation.outcomes import MethodOutcome
from pcfh.files import write_atomically
from pcfh.images import png_bytes
from pcfh.recipes.shift_suite import SuiteJob, measure_shifts, read_suite, shifts_of
from pcfh.recipes.shift_tables import ALL_SHIFTS, hits_by_shift, kept_rows, shift_rows
from pcfh.typed_json import to_json_text
from pcfh_render.database import render_database
from pcfh_render.recipes import Recipe
from pcfh_render.shifts import SHIFTS

sys.path.insert(0, str(Path(__file__).parents[1] / "render"))
from standin import studio

PEOPLE = np.repeat(np.arange(10), 2)
BOOTSTRAP = Bootstrap(resamples=200, seed=0)


def outcome(hits):
    return MethodOutcome(
        people=PEOPLE, hits=np.array(hits, bool), rates=np.full(3, np.nan), draws=np.full((3, 5), np.nan)
    )


def outcomes(generated, fusion):
    return {
        "original": outcome([1, 0] * 10),
        "generated": outcome(generated),
        "fusion": outcome(fusion),
        "truth": outcome([1, 1] * 9 + [0, 0]),
    }


def rows_of(*generators):
    """Of a suite of one shift."""
    found = {
        f"g{i}": hits_by_shift({"1": "blur"}, {"1": outcomes(*hits)}) for i, hits in enumerate(generators)
    }
    return shift_rows("some", found, BOOTSTRAP)


def test_a_row_has_the_rank_1_of_each_score_and_what_the_fusion_gains():
    row, _ = rows_of(([0, 1] * 10, [1, 1] * 10))
    assert (row.shift, row.probes, row.people, row.change) == ("blur", 20, 10, None)
    assert {name: interval.estimate for name, interval in row.rank1.items()} == {
        "original": 0.5,
        "generated": 0.5,
        "fusion": 1.0,
        "truth": 0.9,
    }
    assert (row.gain.estimate, row.gain.low, row.gain.high) == (0.5, 0.5, 0.5)


def test_all_shifts_are_the_mean_of_each():
    parts = {
        "1": outcomes([0, 0] * 10, [0, 0] * 10),
        "2": outcomes([1, 1] * 10, [1, 0] * 10),
        "3": outcomes([1, 1] * 10, [1, 1] * 10),
    }
    shifts = {"1": "blur", "2": "lamp", "3": "margins"}
    rows = shift_rows("some", {"g": hits_by_shift(shifts, parts)}, BOOTSTRAP)
    assert [row.shift for row in rows] == ["blur", "lamp", "margins", ALL_SHIFTS]
    assert (rows[-1].probes, rows[-1].people) == (60, 10)
    assert rows[-1].rank1["generated"].estimate == pytest.approx(2 / 3)
    assert rows[-1].gain.estimate == pytest.approx(0)


def test_a_second_generator_is_compared_with_the_first():
    first, _, second, _ = rows_of(([0, 0] * 10, [1, 0] * 10), ([1, 1] * 10, [1, 1] * 5 + [0, 0] * 5))
    assert (first.change, second.generator) == (None, "g1")
    assert (second.gain.estimate, second.change.estimate) == (0.0, 0.0)
    assert second.change.low < 0 < second.change.high


def test_what_faces_keep_stands_by_shift_and_over_all():
    found = {
        "blur": [("a", {IRIS: (4.0, 1.0)}), ("b", {IRIS: (6.0, 1.0)})],
        "lamp": [("a", {}), ("b", {IRIS: (11.0, 1.0)})],
    }
    rows = kept_rows("g", found, BOOTSTRAP)
    measured = {row.shift: (row.measures[0].interval.estimate, row.measures[0].probes) for row in rows}
    assert measured == {"blur": (5.0, 2), "lamp": (11.0, 1), ALL_SHIFTS: (7.0, 3)}


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """Three people under one shift, their pictures with masks: a face of skin with two irises."""
    root = tmp_path_factory.mktemp("shifts")
    write_small_database(root, people=6)
    paths = sorted(path.relative_to(root).as_posix() for path in root.glob("s1/*/*/*.png"))
    for path in paths:
        regions = np.full((96, 96, 1), Region.SURROUNDINGS, np.uint8)
        regions[30:80, 30:66] = Region.SKIN
        regions[42:47, 36:41] = regions[42:47, 55:60] = Region.IRIS
        write_atomically(root / mask_path(path), png_bytes(regions, {}))
    columns = ("path", "shift", "fitzpatrick", "glasses", "yaw", "expression")
    with (root / PARAMETERS).open("w", encoding="utf-8", newline="") as file:
        rows = [(path, "blur", 3, "none", 0.0, "neutral") for path in paths]
        csv.writer(file).writerows([columns, *rows])
    return root


@pytest.fixture(scope="module")
def measured(database, tmp_path_factory):
    out = tmp_path_factory.mktemp("measured")
    generators = {"old": hallucinator("a" * 64), "new": hallucinator("b" * 64, size=128)}
    job = SuiteJob(database=database, out=out, resamples=20)
    return out, measure_shifts(job, [Blocks()], generators)


def test_the_results_are_read_back(measured):
    out, suite = measured
    assert read_suite(out / "shifts.json") == suite
    assert to_json_text(suite) == (out / "shifts.json").read_text(encoding="utf-8")


def test_the_table_has_generators_beside_each_other_and_what_each_keeps(measured):
    out, _ = measured
    text = (out / "shifts.md").read_text(encoding="utf-8")
    heads = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if "Shift" in line
    ]
    assert heads == [
        [
            *("Shift", "NIR", "generated (old)", "fusion (old)", "fusion less NIR (old)"),
            *("generated (new)", "fusion (new)", "fusion less NIR (new)", "fusion less the first's (new)"),
            "true VIS",
        ],
        *[
            [
                "Shift",
                "iris ΔE2000",
                "left, right iris ΔE2000",
                "the same in truth",
                "surroundings like skin, %",
            ]
        ]
        * 2,
    ]
    assert (text.count("| blur "), text.count(f"| {ALL_SHIFTS} ")) == (3, 3)


def test_what_faces_keep_is_measured_on_every_probe(measured):
    _, suite = measured
    kept = {(row.generator, row.shift): row.measures for row in suite.kept}
    assert kept.keys() == {(name, shift) for name in ("old", "new") for shift in ("blur", ALL_SHIFTS)}
    for measures in kept.values():
        taken = {(one.measure, one.images): one.probes for one in measures}
        assert (taken[IRIS], taken[SURROUNDINGS]) == (9, 9)


def test_sheets_show_every_generator_at_the_size_of_the_largest(measured):
    out, _ = measured
    for name in ("random.jpg", "worst.jpg"):
        with Image.open(out / name) as sheet:
            assert sheet.height == 2 * (2 + 2 * 16 + 4 * (128 + 2)) + 10  # nine probes: two bands of four
            assert sheet.width >= 8 * (128 + 2)
        assert b"trainedAlgorithmicMedia" in (out / name).read_bytes()


def test_the_result_file_of_the_documents_says_what_the_suite_says(measured, tmp_path):
    out, suite = measured
    program = Path(__file__).parents[2] / "docs" / "results" / "record.py"
    told = ("--data", "d", "--machine", "m", "--command", "pcfh a", "--into", tmp_path)
    subprocess.run([sys.executable, program, out / "shifts.json", "x", *told], check=True, timeout=300)
    rows, kept = (json.loads((tmp_path / name).read_text())["records"] for name in ("x.json", "x-kept.json"))
    assert (len(rows), len(kept)) == (len(suite.rows), len(suite.kept))
    for one, row in zip(rows, suite.rows, strict=True):
        assert one["fusion"]["value"] == pytest.approx(100 * row.rank1["fusion"].estimate, abs=0.05)
        assert one["shift"] in one["method"] and one["generator"] == row.generator
    own = [r for r in suite.rows if r.generator == suite.rows[0].generator and r.shift != ALL_SHIFTS]
    below = sum(r.gain.estimate < 0 for r in own)
    assert rows[0]["below"].split()[0] == str(below)


def test_two_generators_that_would_share_a_folder_are_refused(database, tmp_path):
    job = SuiteJob(database=database, out=tmp_path)
    with pytest.raises(UserError, match="two generators have one name \\(a b, a_b\\); give others"):
        measure_shifts(job, [Blocks()], {"a b": hallucinator(), "a_b": hallucinator()})


def test_the_folds_of_a_rendered_suite_are_named_by_their_shifts(tmp_path):
    recipe = Recipe(identities=3, seed=1, nir=1, vis=2, folds=0, size=16, difficulty="close", shifts=True)
    home = render_database(studio(), tmp_path, recipe).home
    assert tuple(shifts_of(open_database(home)).values()) == tuple(SHIFTS)


def test_a_database_without_shifts_is_refused_with_what_makes_one():
    with pytest.raises(UserError, match="expected a column shift; make the database with pcfh render"):
        shifts_of(open_database(SAMPLE))


def test_the_command_measures_and_prints_the_table(run, database, tmp_path):
    code, out, err = run("shifts", database, tmp_path, "--no-pose", "--resamples", "9", "--device", "cpu")
    assert (code, "Traceback" in err) == (0, False)
    assert out.startswith((tmp_path / "shifts.md").read_text(encoding="utf-8"))
    assert [one.name for one in read_suite(tmp_path / "shifts.json").generators] == ["first", "cameras"]


@pytest.mark.parametrize(
    ("generators", "said"),
    [
        (("a/generator.safetensors", "b/a.safetensors"), "two files are named 'a'; give each as NAME=FILE"),
        (("x=absent.safetensors",), "absent.safetensors: no such file"),
    ],
)
def test_generators_that_cannot_be_compared_are_said_in_one_line(run, database, tmp_path, generators, said):
    code, _, err = run("shifts", database, tmp_path, "--no-pose", "--generator", *generators)
    assert (code, "Traceback" in err) == (2, False)
    assert said in err.strip().splitlines()[-1]
