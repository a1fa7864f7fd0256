import json
import re

import numpy as np
import pytest
import torch
from PIL import Image
from small_database import write_small_database

from pcfh.databases.casia import read_casia
from pcfh.databases.records import subjects
from pcfh.databases.rendered import SAMPLE
from pcfh.demo import run_demo
from pcfh.errors import UserError
from pcfh.evaluation.results import read_results
from pcfh.methods.files import save_generator
from pcfh.methods.pcfh.generator import Generator
from pcfh.recognisers.lightcnn.network import build_lightcnn
from pcfh.recognisers.lightcnn.weights import save_recognizer
from pcfh_render.checksums import changes_since


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A generator of 64 pixels and a recogniser, both untrained."""
    folder = tmp_path_factory.mktemp("weights")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = Generator(size=64, width=4, blocks=1, local_blocks=1)
        save_generator(folder / "generator.safetensors", generator, {"step": 0})
        save_recognizer(folder / "recognizer.safetensors", build_lightcnn("lightcnn9"), {})
    return {name: folder / f"{name}.safetensors" for name in ("generator", "recognizer")}


@pytest.fixture(scope="module")
def four_people(tmp_path_factory):
    root = tmp_path_factory.mktemp("faces")
    write_small_database(root, people=4)
    return root


@pytest.fixture(scope="module")
def demo(four_people, weights, tmp_path_factory):
    """The folder of a demo, the report that it gave, and the lines it said."""
    out, lines = tmp_path_factory.mktemp("demo"), list[str]()
    report = run_demo(out, faces=four_people, resamples=10, say=lines.append, **weights)
    return out, report, lines


def test_every_probe_becomes_a_picture_that_says_it_is_synthetic(demo, four_people):
    pictures = sorted((demo[0] / "faces").rglob("*.png"))
    assert len(pictures) == len(read_casia(four_people).protocol("1").probe)
    for path in pictures:
        with Image.open(path) as image:
            assert image.size == (64, 64)
            assert image.text["Synthetic"] == "true"


def test_the_last_line_gives_the_figures_of_the_report(demo):
    figures = re.search(
        r"found first among 2 people: ([\d.]+) % as they are, ([\d.]+) % generated", demo[2][-1]
    )
    fold = read_results(demo[0] / "report" / "results.json").folds[0]
    rank1 = {row.method: 100 * row.cmc[0] for row in fold.methods}
    assert figures
    assert float(figures[1]) == pytest.approx(rank1["original"], abs=0.06)
    assert float(figures[2]) == pytest.approx(rank1["generated"], abs=0.06)


def test_the_report_is_one_page_with_the_faces_in_it(demo):
    text = demo[1].read_text()
    assert demo[1] == demo[0] / "report" / "report.html"
    assert text.count("data:image/") > 4
    assert not re.search(r'(src|href)="(?!data:|#)', text)


def test_called_again_it_translates_nothing_and_reports_the_same(demo, four_people, weights):
    before, lines = (demo[0] / "report" / "results.json").read_bytes(), list[str]()
    run_demo(demo[0], faces=four_people, resamples=10, say=lines.append, **weights)
    assert any(line.startswith("translating 0 ") for line in lines)
    assert (demo[0] / "report" / "results.json").read_bytes() == before


def test_another_demo_in_the_same_folder_starts_afresh_and_leaves_foreign_files_alone(
    tmp_path, four_people, weights
):
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / "old.png").write_bytes(b"of another demo")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "demo.json").write_text('{"format": "pcfh-demo", "version": "0.0.1"}')
    run_demo(tmp_path, faces=four_people, resamples=10, **weights)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert not (tmp_path / "faces" / "old.png").exists()


def test_a_folder_with_other_things_is_refused(tmp_path, four_people, weights):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(UserError, match="new or empty folder, or an earlier demo's"):
        run_demo(tmp_path, faces=four_people, **weights)


def test_what_is_called_as_the_demos_files_but_is_not_is_refused(tmp_path, four_people, weights):
    (tmp_path / "demo.json").write_text('{"slides": 12}')
    (tmp_path / "faces").mkdir()
    with pytest.raises(UserError, match="new or empty folder, or an earlier demo's"):
        run_demo(tmp_path, faces=four_people, **weights)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path, four_people, weights):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UserError, match="new or empty folder, or an earlier demo's"):
        run_demo(tmp_path / "out", faces=four_people, **weights)


def test_without_faces_it_says_where_they_are_had(tmp_path, weights):
    with pytest.raises(UserError, match="a clone of the repository, or give --faces"):
        run_demo(tmp_path / "out", faces=tmp_path, **weights)


def test_the_mark_names_the_weights(demo, weights):
    mark = json.loads((demo[0] / "demo.json").read_text())
    assert len(mark["generator"]) == len(mark["recognizer"]) == 64


def test_the_sample_of_the_repository_is_whole():
    assert not changes_since(SAMPLE)
    database = read_casia(SAMPLE)
    assert len(subjects(database.records)) == 48
    assert not database.notes


def test_the_sample_is_small_enough_for_a_repository():
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) < 8e6
    with Image.open(next((SAMPLE / "truth").rglob("*.jpg"))) as image:
        assert np.asarray(image).shape == (256, 256, 3)
