"""All four tables from raw folders to the finished files, tiny."""

import json
import re
import shutil
from dataclasses import replace

import pytest
from PIL import Image

from pcfh.config import read_toml
from pcfh.errors import UserError
from pcfh.files import sha256_of
from pcfh.methods.files import load_generator, save_generator
from pcfh.methods.train import GENERATOR, kept_generators
from pcfh.preparation.pack import PackOptions, pack, unpack
from pcfh.recipes import runner
from pcfh.recipes.comparison import Cost
from pcfh.recipes.curve import Point, curve_rows, read_points
from pcfh.recipes.experiment import RecipeCallbacks, Run, TrainingBudget
from pcfh.recipes.table_report import ABSENT, NOT_RUN, markdown, parts, write_table
from pcfh.shipped import shipped


def run_folder(work, row, seed=0):
    return Run(row=row, seed=seed, fold="1").folder(work) / "run"


class Killed(BaseException):
    """What takes the place of a kill."""


class Blind:
    """A detector that finds nobody."""

    name = "blind"

    def detect(self, image):
        return []


def without_cost(table, *keys):
    """Rows of a table without what depends on the clock."""
    return [replace(table.row(key), cost=Cost()) for key in keys]


def cells(table, title, name):
    """A row of a part of the table, without its name."""
    (row,) = (row for row in parts(table)[title].rows if row[0] == name)
    return row[1:]


def killed_at(stage, done):
    """Callbacks that die at some point of the work."""

    def on_progress(name, now, total):
        if stage in name and now >= done:
            raise Killed

    return RecipeCallbacks(on_progress=on_progress)


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
        settings = read_toml(run_folder(work, row) / "config.toml")
        assert settings["training.steps"] * settings["training.batch"] == table.images


def test_the_truth_is_measured_on_rendered_faces(finished):
    _, table = finished
    names = {figure.name for figure in table.row("pcfh").images}
    assert names == {"MAE", "SSIM", "skin ΔE2000"}
    assert table.row("light-cnn").truth.rank1.mean > 0


def test_the_cost_of_each_training_is_kept_and_summed(finished):
    _, table = finished
    assert table.row("pcfh").cost.processor_seconds > 0
    assert table.row("light-cnn").cost == Cost()
    assert table.cost.wall_seconds == pytest.approx(sum(row.cost.wall_seconds for row in table.rows))


def test_rows_trained_one_by_one_equal_those_trained_together(finished, begun, experiment, carry_out):
    _, together = finished
    table = carry_out(experiment(begun, rows=("pix2pix",)))
    assert without_cost(table, "light-cnn", "pix2pix") == without_cost(together, "light-cnn", "pix2pix")


def test_a_finished_table_is_made_again_without_any_work(finished, experiment, carry_out):
    work, before = finished
    said = []
    table = carry_out(
        experiment(work, seeds=(0, 1), rows=("light-cnn", "pcfh")), RecipeCallbacks(say=said.append)
    )
    assert (said, table) == ([], before)


@pytest.mark.parametrize(("stage", "done"), [("seed 0, fold 1", 2), ("generated", 8)])
def test_after_a_kill_the_numbers_are_the_same(finished, begun, experiment, carry_out, stage, done):
    _, whole = finished
    with pytest.raises(Killed):
        carry_out(experiment(begun, rows=("pcfh-no-awm",)), killed_at(stage, done))
    table = carry_out(experiment(begun, rows=("pcfh-no-awm",)))
    assert without_cost(table, "pcfh-no-awm") == without_cost(whole, "pcfh-no-awm")


def test_a_stopped_training_goes_on(begun, experiment, carry_out):
    asked = iter([True])
    stopped = RecipeCallbacks(should_stop=lambda: next(asked, False))
    assert carry_out(experiment(begun, rows=("pcfh",)), stopped) is None
    done = []
    going_on = RecipeCallbacks(on_progress=lambda stage, now, total: done.append(now))
    carry_out(experiment(begun, rows=("pcfh",), until="trained"), going_on)
    assert done == [2]  # the first of two steps is not done again


def test_a_generator_of_another_training_is_not_evaluated(finished, experiment, carry_out, tmp_path):
    work = shutil.copytree(finished[0], tmp_path / "work")
    shutil.copy(run_folder(work, "cyclegan") / GENERATOR, run_folder(work, "pcfh") / GENERATOR)
    with pytest.raises(UserError, match="is not what the training in this folder left; delete"):
        carry_out(experiment(work, rows=("pcfh",)))


def test_other_settings_in_a_folder_are_refused_with_what_differs(finished, experiment, carry_out):
    other = experiment(finished[0], rows=("pcfh",), until="trained")
    budget = replace(other.budget, settings=("training.checkpoint_every=1", "training.learning_rate=0.5"))
    with pytest.raises(UserError, match="learning_rate"):
        carry_out(replace(other, budget=budget))


def test_other_draws_of_people_are_evaluated_anew(begun, experiment, carry_out):
    said = []
    callbacks = RecipeCallbacks(say=said.append)
    table = carry_out(experiment(begun, rows=("light-cnn",), resamples=51), callbacks)
    assert (said, table.resamples) == (["Evaluating light-cnn, fold 1"], 51)


def test_the_files_of_a_table_are_whole(finished, experiment, tmp_path):
    work, table = finished
    write_table(experiment(tmp_path, work=work), table)
    assert json.loads((tmp_path / "results.json").read_text())["results"]["preset"] == "tiny"
    assert {path.name for path in tmp_path.iterdir()} == {
        *("table.md", "table.tex", "table.html", "results.json")
    }


def test_the_page_shows_faces_and_loads_nothing(finished, experiment, tmp_path):
    work, table = finished
    page = write_table(experiment(tmp_path, work=work), table).read_text()
    assert page.count("<img ") == 1  # a sheet
    assert set(re.findall(r'(?:src|href)="(\w+):', page)) == {"data"}


def test_table_2_is_the_mean_over_folds(begun, experiment, carry_out):
    table = carry_out(experiment(begun, "table2", protocols=("all",), rows=("light-cnn,pcfh",)))
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
    finished, experiment, carry_out, tmp_path, name, probes, gallery
):
    work = shutil.copytree(finished[0], tmp_path / "work")
    said = []
    rows = ("light-cnn", "pcfh")
    table = carry_out(experiment(work, name, rows=rows), RecipeCallbacks(say=said.append))
    assert not any("Training" in line for line in said)  # shared with Table 1
    assert (table.probes, table.gallery, table.rendered) == (probes, gallery, False)
    assert [row.key for row in table.rows] == ["light-cnn", "pcfh"]
    assert "Who is tested was drawn with seed 0: there is no official list." in table.notes


def test_a_tuned_row_stands_beside_the_others_and_is_tuned_once(begun, experiment, carry_out):
    said = []
    tuned = experiment(begun, "table2", rows=("light-cnn,minus-mean",), recognizer=shipped("recognizer"))
    table, again = (carry_out(tuned, RecipeCallbacks(say=said.append)) for _ in range(2))
    assert table == again
    assert sum("Tuning" in line for line in said) == 1
    row = table.row("minus-mean")
    assert (row.tuned, row.seeds, row.original) == (True, (0,), row.figures)
    assert row.reference is not None and row.figures != table.row("light-cnn").figures
    assert cells(table, "Result", "Light CNN less each modality's mean")[-3:] == ("yes", "no", "0")
    assert cells(table, "Result", "TRIVET")[:2] == ("95.7±0.52", NOT_RUN)


def test_the_papers_figures_are_drawn_of_what_is_trained(finished, tmp_path, run):
    work, _ = finished
    for number, columns in ((4, 3), (5, 2)):  # a person has two probes
        code, _, said = run("figures", work, tmp_path / "f.jpg", "--number", number, "--columns", 3)
        assert code == 0
        assert ("after ADFL is not trained" in said) == (number == 4)
        with Image.open(
            tmp_path / "f.jpg"
        ) as drawn:  # NIR, three rows, truth; names at the left, people above
            assert drawn.size == (76 + columns * 66, 18 + 5 * 66)
    code, _, said = run("figures", tmp_path, tmp_path / "g.jpg")
    assert code == 2 and "no row of figure 4 is trained" in said
    assert not (tmp_path / "g.jpg").exists()


def test_the_detectors_noise_is_measured_where_pose_is(blaze, begun, experiment, carry_out):
    table = carry_out(experiment(begun, rows=("light-cnn",), pose=True))
    alone = {figure.name: figure.figure.mean for figure in table.row("light-cnn").images}
    noise = alone["landmark distance, NIR to generated"]
    assert 0 < noise < 0.2


def test_a_table_without_pose_takes_what_one_with_pose_has_measured(blaze, begun, experiment, carry_out):
    said = []
    for pose in (True, False, True):
        asked = experiment(begun, rows=("light-cnn",), pose=pose)
        carry_out(asked, RecipeCallbacks(say=said.append))
    assert said == ["Evaluating light-cnn, fold 1"]


def test_a_row_in_whose_faces_no_landmarks_are_found_is_measured_all_the_same(
    begun, experiment, carry_out, monkeypatch
):
    monkeypatch.setattr(runner, "open_backend", lambda name: Blind())
    table = carry_out(experiment(begun, rows=("light-cnn",), pose=True))
    assert [row.key for row in table.rows] == ["light-cnn"]


# Recognisers that no training has seen


def test_every_row_is_scored_by_a_recogniser_from_outside_too(
    finished, experiment, carry_out, outsider, recognizer, tmp_path
):
    work, before = shutil.copytree(finished[0], tmp_path / "work"), finished[1]
    said = []
    asked = experiment(work, rows=("light-cnn",), outside=(str(outsider),))
    carry_out(asked, RecipeCallbacks(say=said.append))
    assert said == ["Evaluating light-cnn, fold 1, by coarse.onnx"]
    table = carry_out(experiment(work, rows=("light-cnn", "pcfh"), outside=(str(outsider),)))
    (view,) = table.outside
    assert [row.key for row in view.rows] == ["light-cnn", "pcfh"]
    assert without_cost(table, "light-cnn") == without_cost(before, "light-cnn")
    swapped = carry_out(experiment(tmp_path / "other", work=work, rows=("light-cnn",), recognizer=outsider))
    assert view.row("light-cnn").figures == swapped.row("light-cnn").figures
    assert view.row("light-cnn").figures != table.row("light-cnn").figures
    text = parts(table)
    assert "Result by coarse.onnx" in text and "Paired tests by coarse.onnx" in text
    assert cells(table, "By every recogniser", "PCFH")[2] == cells(table, "Result by coarse.onnx", "PCFH")[0]


def test_two_recognisers_of_one_name_are_refused(begun, experiment, carry_out, recognizer):
    with pytest.raises(UserError, match="two recognisers are called blocks"):
        carry_out(experiment(begun, rows=("light-cnn",), outside=(str(recognizer),)))


# Rows that were trained elsewhere


@pytest.fixture(scope="session")
def trained_elsewhere(ready, experiment, carry_out, tmp_path_factory):
    """The run of Pix2Pix of a machine that had the packed crops only; read only."""
    home = tmp_path_factory.mktemp("elsewhere")
    pack(ready / "prepared" / "casia", home / "fold1.zip", PackOptions())
    unpack(home / "fold1.zip", home / "work" / "prepared" / "casia")
    carry_out(experiment(home / "work", rows=("pix2pix",), databases={}, until="trained"))
    return run_folder(home / "work", "pix2pix")


def brought(run, work, row="pix2pix", names=(GENERATOR, "config.toml", "metrics.csv")):
    """Puts some files of a run where a row's are looked for."""
    target = run_folder(work, row)
    target.mkdir(parents=True)
    for name in names:
        shutil.copy(run / name, target / name)
    return target


@pytest.fixture(scope="session")
def with_guest(trained_elsewhere, ready, experiment, carry_out, tmp_path_factory):
    """A folder in which it was evaluated, the table, and what was said; read only."""
    work, said = shutil.copytree(ready, tmp_path_factory.mktemp("guest") / "work"), []
    brought(trained_elsewhere, work)
    table = carry_out(experiment(work, rows=("pix2pix",)), RecipeCallbacks(say=said.append))
    return work, table, said


def notes_on_pix2pix(table):
    return [n.removeprefix("pix2pix, seed 0, fold 1 ") for n in table.notes if n.startswith("pix2pix")]


def test_a_row_that_was_trained_elsewhere_on_packed_crops_is_evaluated_as_it_is(
    with_guest, trained_elsewhere
):
    work, table, said = with_guest
    assert said == ["Evaluating pix2pix, seed 0, fold 1"]
    generators = (run / GENERATOR for run in (run_folder(work, "pix2pix"), trained_elsewhere))
    assert len({path.read_bytes() for path in generators}) == 1
    assert table.row("pix2pix").cost.wall_seconds > 0
    assert notes_on_pix2pix(table) == ["was trained elsewhere by the same settings."]


def test_other_settings_and_another_budget_of_a_row_trained_elsewhere_are_said(
    with_guest, experiment, carry_out, tmp_path
):
    work = shutil.copytree(with_guest[0], tmp_path / "work")
    settings = run_folder(work, "pix2pix") / "config.toml"
    settings.write_text(settings.read_text().replace("flip = true", "flip = false"))
    asked = experiment(work, rows=("pix2pix",))
    table = carry_out(replace(asked, budget=replace(asked.budget, steps=4)))
    assert notes_on_pix2pix(table) == [
        "was trained elsewhere by other settings: training.flip was True and is False.",
        "has seen 8 images, the plan is 16.",
    ]
    settings.unlink()
    (said,) = notes_on_pix2pix(carry_out(asked))
    assert "its settings are not known" in said


def test_a_folder_that_was_unpacked_in_another_size_is_refused(ready, experiment, carry_out):
    asked = experiment(ready, rows=("pcfh",), databases={}, until="trained")
    with pytest.raises(UserError, match="has crops of 64 pixels, and the preset wants 128"):
        carry_out(replace(asked, budget=TrainingBudget(preset="cpu")))


def test_a_generator_of_another_row_is_refused(trained_elsewhere, finished, begun, experiment, carry_out):
    brought(trained_elsewhere, begun, "cyclegan")
    with pytest.raises(UserError, match="expected a generator of cyclegan for 64 pixels, got one of pix2pix"):
        carry_out(experiment(begun, rows=("cyclegan",)))
    brought(run_folder(finished[0], "pcfh-no-mic"), begun, "pcfh")
    with pytest.raises(UserError, match=r"objective\.mic=true"):
        carry_out(experiment(begun, rows=("pcfh",)))


def test_a_generator_of_other_people_is_refused(trained_elsewhere, begun, experiment, carry_out):
    target = brought(trained_elsewhere, begun, names=())
    network, about = load_generator(trained_elsewhere / GENERATOR)
    other = {"training_data": "0" * 64}
    people = about["people"][:-1]
    save_generator(target / GENERATOR, network, {**about, **other, "people": [*people, "0" * 16]})
    with pytest.raises(UserError, match="was trained on 1 people whom protocol '1' does not train on"):
        carry_out(experiment(begun, rows=("pix2pix",)))
    save_generator(target / GENERATOR, network, {**about, "protocol": "2"})
    with pytest.raises(UserError, match="expected a generator trained on protocol '1', and its file says 2"):
        carry_out(experiment(begun, rows=("pix2pix",)))
    save_generator(target / GENERATOR, network, {**about, **other, "people": people})
    table = carry_out(experiment(begun, rows=("pix2pix",)))
    assert "pix2pix, seed 0, fold 1 has learnt from 3 of the 4 people of the training." in table.notes


# Along the way


def test_generators_kept_along_the_way_are_scored_and_the_last_is_the_tables(
    begun, experiment, carry_out, outsider, tmp_path
):
    asked = experiment(begun, rows=("pcfh",), outside=(str(outsider),))
    asked = replace(asked, budget=replace(asked.budget, curve=2))
    table = carry_out(asked)
    assert [(row.row, row.images, row.probes) for row in table.curve] == [("pcfh", 4, 16), ("pcfh", 8, 16)]
    last, row = table.curve[-1], table.row("pcfh")
    by_outsider = table.outside[0].row("pcfh")
    assert last.fusion == (row.figures.rank1.mean, by_outsider.figures.rank1.mean)
    assert last.alone == (row.generated.rank1.mean, by_outsider.generated.rank1.mean)
    assert last.error == {figure.name: figure.figure.mean for figure in row.images}["MAE"]
    page = write_table(replace(asked, out=tmp_path / "out"), table).read_text()
    assert (tmp_path / "out" / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert page.count("<picture>") == 1
    kept = kept_generators(run_folder(begun, "pcfh"))
    faces = {folder.name.rpartition("-")[2] for folder in begun.rglob("generated/*")}
    assert sha256_of(run_folder(begun, "pcfh") / "generator.safetensors") in faces
    assert sha256_of(kept[0]) not in faces
    # Its points alone are enough, e.g. from another machine; and what is there is not made again.
    assert [path.name for path in kept] == ["generator-000004.safetensors"]
    kept[0].unlink()
    points = next(begun.rglob("curve.json"))
    before = points.stat().st_mtime_ns
    assert (carry_out(asked).curve, points.stat().st_mtime_ns) == (table.curve, before)


def test_points_on_other_probes_are_not_set_beside_each_other():
    def point(images, data, fusion, key="k"):
        usual = {"model": "m", "recognizer": key, "probes": 10, "alone": 0.5, "error": None}
        return Point(images=images, data=data, fusion=fusion, key=key, **usual)

    here = [point(10, "a", 0.5), point(10, "a", 0.7), point(20, "a", 0.9), point(30, "b", 1.0)]
    rows = curve_rows({"pcfh": here}, ["k"])
    assert [(row.images, row.fusion) for row in rows] == [(10, (0.6,)), (20, (0.9,))]
    assert curve_rows({"pcfh": here}, ["k", "another"]) == ()


def test_a_damaged_curve_is_named(tmp_path):
    (tmp_path / "curve.json").write_text("{")
    with pytest.raises(UserError, match=r"curve\.json: expected the points of a curve .* delete it"):
        read_points(tmp_path / "curve.json")
