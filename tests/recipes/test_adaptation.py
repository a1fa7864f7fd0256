"""``pcfh adapt`` from folders to a file, with a tiny generator: what it writes, refuses, and goes on from."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from runs import CPU, stop_after

from bench.adapt import halves, through_camera
from pcfh.config import assigned, changed
from pcfh.databases.records import LANDMARKS_FILE, Record
from pcfh.errors import UserError
from pcfh.hallucinate import Hallucinator
from pcfh.images import read_image
from pcfh.landmarks.given import read_landmarks, write_landmarks
from pcfh.levels import put_levels_before
from pcfh.methods.adapt import AdaptTask, AdaptTraining, hold_back
from pcfh.methods.base import find_method, resolved
from pcfh.methods.files import load_generator, save_generator, training_history
from pcfh.methods.find import preset
from pcfh.methods.pcfh.adaptation import AdaptConfig
from pcfh.methods.pcfh.generator import with_detail
from pcfh.methods.pcfh.pcfh_trainer import PCFHTrainer
from pcfh.methods.train import GENERATOR
from pcfh.recipes import adaptation
from pcfh.recipes.adaptation import PREPARED, RUN, AdaptJob, adapt
from pcfh.shipped import shipped
from pcfh.training.loop import Callbacks

STEPS = 4
SETTINGS = (
    "training.batch=2",
    "training.image_every=2",
    "training.log_every=1",
    "training.checkpoint_every=2",
)


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    """A tiny generator with levels and random weights, which says what it learnt from."""
    torch.manual_seed(5)
    network = PCFHTrainer(preset("tiny"), CPU, None).generator
    put_levels_before(network)
    path = tmp_path_factory.mktemp("generator") / GENERATOR
    save_generator(path, network, {"training_data": "a" * 64, "protocol": "1", "people": ["ab12"]})
    return path


@pytest.fixture(scope="module")
def pictures(drawn_database, tmp_path_factory):
    """Folders of NIR and VIS pictures of four people each, two of them others, and landmarks; read only."""
    home = tmp_path_factory.mktemp("pictures")
    given, points = read_landmarks(drawn_database / LANDMARKS_FILE), {}
    for modality, people in (("NIR", (1, 2, 3, 4)), ("VIS", (3, 4, 5, 6))):
        for person in people:
            for number in (1, 2, 3):
                source = f"s1/{modality}/{person:05d}/{number:03d}"
                name = f"{modality.lower()}/{person}_{number}.png"
                (home / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(drawn_database / f"{source}.png", home / name)
                points[name] = given[source.lower()]
    write_landmarks(home / LANDMARKS_FILE, points)
    return home


@pytest.fixture
def work(pictures, generator, tmp_path):
    """A job of four steps."""
    return job_of(pictures, generator, tmp_path / "out")


def job_of(pictures: Path, generator: Path, out: Path, *settings: str) -> AdaptJob:
    return AdaptJob(
        nir=pictures / "nir",
        vis=pictures / "vis",
        out=out,
        generator=generator,
        recognizer=shipped("recognizer"),
        steps=STEPS,
        config=changed(AdaptConfig(), assigned((*SETTINGS, *settings))),
        landmarks=pictures / LANDMARKS_FILE,
        workers=1,
    )


@pytest.fixture(scope="module")
def done(pictures, generator, tmp_path_factory):
    """An adaptation to its end: the folder and what came of it."""
    out = tmp_path_factory.mktemp("done")
    return out, adapt(job_of(pictures, generator, out), CPU)


def arguments(job: AdaptJob, *more: object) -> Sequence[object]:
    return (
        *("adapt", job.nir, job.vis, job.out, "--generator", job.generator, "--landmarks", job.landmarks),
        *("--workers", "1", "--device", "cpu", "--set", *SETTINGS, *more),
    )


def test_it_leaves_a_generator_figures_and_a_sheet_and_nothing_half_written(done):
    out, adapted = done
    assert {p.name for p in out.iterdir()} == {PREPARED, RUN, "faces.png", "adapt.json", GENERATOR}
    assert (adapted.steps, adapted.nir, adapted.held_back, adapted.portraits) == (STEPS, 10, 2, 12)
    assert json.loads((out / "adapt.json").read_bytes())["taken"] == adapted.taken
    assert read_image(out / "faces.png").shape == (3 * 64, 2 * 64, 3)


def test_the_adapted_file_keeps_levels_and_names_all_that_it_learnt_from(done, generator):
    out, _ = done
    network, about = load_generator(out / RUN / GENERATOR)
    assert network.has_levels
    first, second = training_history(about)
    assert first == {"training_data": "a" * 64, "protocol": "1", "people": ["ab12"]}
    assert second["protocol"] == "all" and len(second["people"]) > 0
    assert about["step"] == STEPS


def test_what_is_written_translates(done, pictures):
    out, _ = done
    points = read_landmarks(pictures / LANDMARKS_FILE)
    face = Hallucinator.from_file(out / GENERATOR, device="cpu")(
        read_image(pictures / "nir/1_1.png"), points["nir/1_1"]
    )
    assert face.shape == (64, 64, 3)


def test_training_moves_the_generator(done, generator):
    old, _ = load_generator(generator)
    new, _ = load_generator(done[0] / RUN / GENERATOR)
    assert any(not torch.equal(a, b) for a, b in zip(old.parameters(), new.parameters(), strict=True))


def test_while_g_b_and_d_a_settle_the_generator_stays(pictures, generator, tmp_path):
    adapt(job_of(pictures, generator, tmp_path, "adaptation.settle=0.99"), CPU)
    old, _ = load_generator(generator)
    new, _ = load_generator(tmp_path / RUN / GENERATOR)
    pairs = zip(old.parameters(), new.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_stopped_and_resumed_it_gives_the_same_bytes(done, work):
    assert adapt(work, CPU, callbacks=Callbacks(should_stop=stop_after(2))) is None
    assert not (work.out / GENERATOR).exists()
    adapt(work, CPU)
    for name in (f"{RUN}/{GENERATOR}", GENERATOR, "faces.png", "adapt.json"):
        assert (work.out / name).read_bytes() == (done[0] / name).read_bytes(), name


def test_the_better_generator_is_written(work, monkeypatch, generator):
    for better in (True, False):
        monkeypatch.setattr(adaptation, "is_better", lambda *figures, better=better: better)
        adapted = adapt(work, CPU)
        chosen = work.out / RUN / GENERATOR if better else generator
        assert adapted.taken == ("after" if better else "before")
        assert (work.out / GENERATOR).read_bytes() == chosen.read_bytes()


def test_one_that_keeps_detail_is_trained_without_and_written_with_it(
    pictures, generator, tmp_path, monkeypatch
):
    plain, about = load_generator(generator)
    large = tmp_path / "large.safetensors"
    save_generator(large, with_detail(plain, 0.5, 2), about)
    monkeypatch.setattr(adaptation, "is_better", lambda *figures: True)
    adapt(job_of(pictures, large, tmp_path / "out"), CPU)
    trained, written = (load_generator(tmp_path / "out" / p)[0] for p in (f"{RUN}/{GENERATOR}", GENERATOR))
    assert (trained.size, trained.detail) == (64, 0)
    assert (written.size, written.detail, written.zoom, written.has_levels) == (128, 0.5, 2, True)
    assert all(torch.equal(a, b) for a, b in zip(trained.parameters(), written.parameters(), strict=True))


def test_another_generator_in_the_same_folder_is_refused(work, generator, tmp_path):
    adapt(work, CPU, callbacks=Callbacks(should_stop=stop_after(2)))
    network, about = load_generator(generator)
    save_generator(tmp_path / GENERATOR, network, {**about, "step": 1})
    with pytest.raises(UserError, match="holds another training"):
        adapt(replace(work, generator=tmp_path / GENERATOR), CPU)


def test_another_number_of_steps_in_the_same_folder_is_refused(work):
    adapt(work, CPU, callbacks=Callbacks(should_stop=stop_after(2)))
    with pytest.raises(UserError, match="holds an adaptation of 4 steps; give --steps 4, or a new folder"):
        adapt(replace(work, steps=5), CPU)


def test_too_few_faces_are_refused_in_one_line(run, work, pictures, tmp_path):
    few = tmp_path / "few"
    for name in ("nir", "vis"):
        (few / name).mkdir(parents=True)
        for path in sorted((pictures / name).iterdir())[: 4 if name == "nir" else 12]:
            shutil.copyfile(path, few / name / path.name)
    code, out, err = run(*arguments(replace(work, nir=few / "nir", vis=few / "vis")))
    assert (code, out) == (2, "")
    assert "expected at least 10 near-infrared faces and 10 portraits, found 4 and 12" in err
    assert not (work.out / GENERATOR).exists()


def test_the_command_lists_bad_pictures_and_exits_with_1(run, work, pictures, tmp_path):
    home = tmp_path / "more"
    shutil.copytree(pictures, home)
    (home / "nir" / "bad.png").write_bytes(b"no picture")
    job = replace(work, nir=home / "nir", vis=home / "vis", landmarks=home / LANDMARKS_FILE)
    code, out, err = run(*arguments(job), "--steps", "2")
    assert code == 1
    assert "2 steps on 10 near-infrared faces and 12 portraits; 2 near-infrared faces held back" in out
    assert "nir/bad.png: " in err
    assert (job.out / GENERATOR).is_file()


def test_minutes_become_steps_once_and_a_resumed_run_keeps_them(run, work, monkeypatch):
    seconds = iter((0.6, 60.0))
    monkeypatch.setattr(AdaptTask, "seconds_of_a_step", lambda self: next(seconds))
    for minutes in ("0.03", "99"):
        code, out, _ = run(*arguments(work), "--minutes", minutes)
        assert code == 0 and out.startswith("3 steps on ")


def test_the_time_of_a_step_is_measured(work):
    training = AdaptTraining(
        prepared=work.out / PREPARED,
        protocol="all",
        run=work.out / RUN,
        generator=work.generator,
        recognizer=work.recognizer,
        config=work.config,
    )
    adapt(work, CPU, callbacks=Callbacks(should_stop=stop_after(1)))
    task = AdaptTask(training, CPU)
    task.prepare()
    assert 0 < task.seconds_of_a_step() < 60


@pytest.mark.parametrize(("option", "value"), [("--minutes", "0"), ("--steps", "-1"), ("--minutes", "nan")])
def test_a_length_that_cannot_be_is_refused(run, work, option, value):
    code, _, err = run(*arguments(work), option, value)
    assert code == 2 and "expected a positive number" in err
    assert not work.out.exists()


def test_a_folder_inside_of_the_pictures_is_refused(work):
    with pytest.raises(UserError, match="choose a folder outside of the pictures"):
        adapt(replace(work, out=work.nir / "out"), CPU)


def test_a_generator_of_another_method_is_refused(work, tmp_path):
    path = tmp_path / GENERATOR
    config = preset("pix2pix-cpu")
    network = resolved(find_method("pix2pix").trainer)(config, CPU, None).generator
    save_generator(path, network, {})
    with pytest.raises(UserError, match="of the method pix2pix"):
        adapt(replace(work, generator=path), CPU)


def records(names: Sequence[str]) -> list[Record]:
    return [Record(subject=name.partition("_")[0], modality="NIR", path=name) for name in names]


def test_whole_folders_are_held_back_where_there_are_several():
    faces = records([f"{person}_{n}" for person in "abcdefghij" for n in range(3)])
    learnt, held_back = hold_back(faces, 0.2, 0)
    assert len(held_back) == 6 and len({r.subject for r in held_back}) == 2
    assert not {r.subject for r in held_back} & {r.subject for r in learnt}
    assert sorted((*learnt, *held_back), key=lambda r: r.path) == faces


def test_single_pictures_are_held_back_where_all_names_begin_alike():
    learnt, held_back = hold_back(records([f"IMG_{n:02d}" for n in range(20)]), 0.2, 0)
    assert (len(learnt), len(held_back)) == (16, 4)


def test_at_least_two_are_held_back_and_never_all():
    learnt, held_back = hold_back(records([f"IMG_{n}" for n in range(10)]), 0.0, 1)
    assert (len(learnt), len(held_back)) == (8, 2)
    learnt, held_back = hold_back(records([f"{p}_1" for p in "abcdef"]), 0.99, 1)
    assert len(learnt) == 1


def test_the_bench_adapts_on_nobody_whom_it_tests_and_on_portraits_of_others(drawn_database, tmp_path):
    database = through_camera(drawn_database, tmp_path)
    fold = database.protocol("1")
    own, others = halves(fold.train)
    people = [{r.subject for r in part} for part in (own, others, fold.probe)]
    assert all(people) and not people[0] & people[1] and not (people[0] | people[1]) & people[2]
    assert {r.modality for r in own} == {"NIR"} and {r.modality for r in others} == {"VIS"}


def test_the_camera_of_the_bench_changes_near_infrared_pictures_alone(drawn_database, tmp_path):
    through_camera(drawn_database, tmp_path)
    same = {
        name: np.array_equal(read_image(drawn_database / name), read_image(tmp_path / name))
        for name in ("s1/NIR/00001/001.png", "s1/VIS/00001/001.png")
    }
    assert same == {"s1/NIR/00001/001.png": False, "s1/VIS/00001/001.png": True}
