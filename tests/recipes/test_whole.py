"""All four tables from raw folders to the finished files, tiny."""

import json
import re
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from pcfh.recipes.order import Run, Watch
from pcfh.recipes.report import write_table
from pcfh.recipes.table import read_table
from pcfh.recipes.texts import ABSENT, NOT_RUN, markdown, parts
from pcfh.recipes.training import cost_file, generator_file, read_cost


class Killed(BaseException):
    """What takes the place of a kill."""


def without_cost(table, *keys):
    """Rows of a table without what depends on the clock."""
    return [replace(table.row(key), processor_seconds=0.0, wall_seconds=0.0) for key in keys]


def cells(table, title, name):
    """A row of a part of the table, without its name."""
    (part,) = (part for part in parts(table) if part.title == title)
    (row,) = (row for row in part.rows if row[0] == name)
    return row[1:]


def killed_at(stage, done):
    """A watch that dies at some point of the work."""

    def on_progress(name, now, total):
        if stage in name and now >= done:
            raise Killed

    return Watch(on_progress=on_progress)


def test_table_1_has_a_number_in_each_of_its_six_rows(finished):
    _, table = finished
    assert [row.key for row in table.rows] == [
        *("pix2pix", "cyclegan", "light-cnn", "pcfh-no-awm", "pcfh-no-mic", "pcfh")
    ]
    assert NOT_RUN not in markdown(table)


def test_a_row_is_the_mean_over_its_seeds_with_their_deviation(finished):
    _, table = finished
    assert table.row("pcfh").seeds == (0, 1)
    assert table.row("pcfh").figures.rank1.deviation is not None
    assert table.row("pix2pix").figures.rank1.deviation is None


def test_a_far_that_needs_more_impostor_pairs_is_no_number(finished):
    _, table = finished  # 16 probes x 7 other people
    assert table.row("pcfh").figures.vr1 is not None
    assert table.row("pcfh").figures.vr01 is None
    assert cells(table, "Result", "PCFH")[5] == "n/a"


def test_all_rows_see_the_same_number_of_images(finished):
    work, table = finished
    for row in ("pix2pix", "cyclegan", "pcfh", "pcfh-no-awm"):
        run = generator_file(Run(row=row, seed=0, fold="1"), work).parent
        training = json.loads((run / "config.json").read_text())["config"]["training"]
        assert training["steps"] * training["batch"] == table.images


def test_the_truth_is_measured_on_rendered_faces(finished):
    _, table = finished
    names = {figure.name for figure in table.row("pcfh").images}
    assert names == {"MAE", "SSIM", "skin ΔE2000"}
    assert table.row("light-cnn").truth.rank1.mean > 0


def test_the_cost_of_each_training_is_kept_and_summed(finished):
    work, table = finished
    costs = [read_cost(cost_file(Run(row="pcfh", seed=seed, fold="1"), work)) for seed in (0, 1)]
    assert table.row("pcfh").processor_seconds == pytest.approx(sum(c.processor_seconds for c in costs))
    assert min(c.processor_seconds for c in costs) > 0
    assert table.row("light-cnn").processor_seconds == 0


def test_rows_trained_one_by_one_equal_those_trained_together(finished, begun, order, carry_out):
    _, together = finished
    table = carry_out(order(begun, rows=("pix2pix",)))
    assert without_cost(table, "light-cnn", "pix2pix") == without_cost(together, "light-cnn", "pix2pix")


def test_a_finished_table_is_made_again_without_any_work(finished, order, carry_out):
    work, before = finished
    said = []
    table = carry_out(order(work, seeds=(0, 1), rows=("light-cnn", "pcfh")), Watch(say=said.append))
    assert (said, table) == ([], before)


@pytest.mark.parametrize(("stage", "done"), [("seed 0, fold 1", 2), ("generated", 8)])
def test_after_a_kill_the_numbers_are_the_same(finished, begun, order, carry_out, stage, done):
    _, whole = finished
    with pytest.raises(Killed):
        carry_out(order(begun, rows=("pcfh-no-awm",)), killed_at(stage, done))
    table = carry_out(order(begun, rows=("pcfh-no-awm",)))
    assert without_cost(table, "pcfh-no-awm") == without_cost(whole, "pcfh-no-awm")


def test_the_cost_adds_up_over_interrupted_calls(begun, order, carry_out):
    run = Run(row="pcfh", seed=0, fold="1")
    asked = iter([True])
    stopped = Watch(should_stop=lambda: next(asked, False))
    assert carry_out(order(begun, rows=("pcfh",)), stopped) is None
    first = read_cost(cost_file(run, begun))
    carry_out(order(begun, rows=("pcfh",), until="trained"))
    assert read_cost(cost_file(run, begun)).processor_seconds > first.processor_seconds > 0


def test_a_generator_that_is_not_the_one_trained_is_trained_again(finished, order, carry_out, tmp_path):
    work = shutil.copytree(finished[0], tmp_path / "work")
    generator = generator_file(Run(row="pcfh", seed=0, fold="1"), work)
    whole = {name: tensor.clone() for name, tensor in load_file(generator).items()}  # they lie in the file
    shutil.copy(generator_file(Run(row="pcfh", seed=1, fold="1"), work), generator)  # opens, but is another
    carry_out(order(work, rows=("pcfh",), until="trained"))
    torch.testing.assert_close(load_file(generator), whole, rtol=0, atol=0)


def test_the_files_of_a_table_are_whole(finished, order, tmp_path):
    work, table = finished
    write_table(order(tmp_path, work=work), table)
    assert read_table(tmp_path / "results.json") == table
    assert {path.name for path in tmp_path.iterdir()} == {
        *("table.md", "table.tex", "table.html", "results.json")
    }


def test_the_page_shows_faces_and_loads_nothing(finished, order, tmp_path):
    work, table = finished
    page = write_table(order(tmp_path, work=work), table).read_text()
    assert page.count("<img ") == 8 * 7  # NIR, five generators, the truth
    assert set(re.findall(r'(?:src|href)="(\w+):', page)) == {"data"}


def test_table_2_is_the_mean_over_folds(begun, order, carry_out):
    table = carry_out(order(begun, "table2", protocols=("all",)))
    assert table.folds == ("1", "2")
    assert [row.key for row in table.rows] == ["light-cnn", "pcfh"]
    assert table.row("light-cnn").figures.rank1.deviation is not None
    (found,) = table.comparisons
    assert (found.folds_won in (0, 1, 2), found.vr1) == (True, None)
    assert cells(table, "Result", "VGG (paper only)") == (
        *("62.1±1.88", ABSENT, "71.0±1.25", ABSENT, "39.7±2.85", ABSENT, ABSENT),
    )


@pytest.mark.parametrize(("name", "probes", "gallery"), [("table3", 8, 4), ("table4", 12, 12)])
def test_tables_3_and_4_test_the_first_folds_model_elsewhere(
    finished, order, carry_out, tmp_path, name, probes, gallery
):
    work = shutil.copytree(finished[0], tmp_path / "work")
    said = []
    table = carry_out(order(work, name), Watch(say=said.append))
    assert not any("Training" in line for line in said)  # shared with Table 1
    assert (table.probes, table.gallery, table.rendered) == (probes, gallery, False)
    assert [row.key for row in table.rows] == ["light-cnn", "pcfh"]
    assert "Who is tested was drawn with seed 0: there is no official list." in table.notes


def test_the_detectors_noise_is_measured_where_pose_is(blaze, begun, order, carry_out):
    table = carry_out(order(begun, rows=("light-cnn",), pose=True))
    alone = {figure.name: figure.figure.mean for figure in table.row("light-cnn").images}
    noise = alone["landmark distance, NIR to generated"]
    assert 0 < noise < 0.2
