"""The command line as its users meet it: exit codes, what goes to which stream, and what goes on."""

import inspect
import os
import re
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.distributed.run import get_args_parser

from pcfh import __version__
from pcfh.cli import app, main
from pcfh.cli import train as method
from pcfh.cli.app import help_of
from pcfh.cli.batches import PictureBar
from pcfh.config import known_settings
from pcfh.errors import UserError
from pcfh.files import sha256_of
from pcfh.landmarks.given import read_landmarks, write_landmarks
from pcfh.methods.files import save_generator
from pcfh.methods.find import preset, presets
from pcfh.methods.job import TrainingJob
from pcfh.methods.pcfh.generator import Generator
from pcfh.preparation.manifest import open_prepared, read_manifest
from pcfh.shipped import shipped


@pytest.fixture
def job(monkeypatch) -> list[TrainingJob]:
    """Catches the jobs of ``pcfh train`` instead of training."""
    jobs: list[TrainingJob] = []

    def fake(job, runtime, callbacks):
        jobs.append(job)
        raise UserError("not trained")

    monkeypatch.setattr(method, "check", lambda job, processes: None)
    monkeypatch.setattr("pcfh.methods.train.train", fake)
    return jobs


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "generator.safetensors"
    save_generator(path, Generator(size=64, width=4, blocks=1, local_blocks=1), {})
    return path


@pytest.fixture
def nir(tmp_path, drawn_database):
    """A folder of two NIR pictures and a text file with the ending of one."""
    folder = tmp_path / "nir"
    folder.mkdir()
    for number in (1, 2):
        with Image.open(drawn_database / f"s1/NIR/00004/00{number}.png") as image:
            image.save(folder / f"{number}.png")
    return folder


@pytest.fixture
def points(tmp_path, drawn_database):
    given = read_landmarks(drawn_database / "landmarks68.csv")
    write_landmarks(tmp_path / "points.csv", {f"{n}.png": given[f"s1/nir/00004/00{n}"] for n in (1, 2)})
    return tmp_path / "points.csv"


def process(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pcfh", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_as_a_module_it_tells_its_version():
    result = process("--version")
    assert (result.returncode, result.stdout.strip(), result.stderr) == (0, __version__, "")


def test_a_reader_that_has_seen_enough_is_no_fault():
    command = [sys.executable, "-m", "pcfh", "settings"]
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (result.returncode, result.stderr) == (141, b"")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("trian",), 'Did you mean "train"'),
        (("train", "a", "b", "--sett", "x=1"), "Did you mean --set"),
        (("train", "a"), "requires an argument"),
        (("translate", "a.png"), "--out"),
        (("translate", "--out", "o"), "requires an argument"),
        (("translate", "a.png", "--out", "o", "--batch", "x"), "--batch"),
        (("prepare", "out", "--casia", "x", "--sizes", "64", "big"), "big"),
        (("prepare", "out", "--casia", "x", "--backend", "dlib"), "blaze"),
    ],
)
def test_a_mistyped_command_says_what_is_wrong_and_exits_with_2(run, arguments, text):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert text in " ".join(err.replace("│", " ").split())


def test_settings_lists_every_field_as_set_takes_them(run, job):
    code, out, err = run("settings", "tiny")
    assert (code, err) == (0, "")
    assert [line.partition("=")[0] for line in out.splitlines()] == known_settings(preset("tiny"))
    run("train", "a", "b", "--preset", "tiny", "--set", *out.split())
    run("train", "a", "b", "--preset", "tiny")
    assert job[0].config == job[1].config


@pytest.mark.parametrize("arguments", [("settings", "xyz"), ("train", "a", "b", "--preset", "xyz")])
def test_an_unknown_preset_lists_the_known_ones(run, arguments):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err == "pcfh: no preset 'xyz'; known: " + ", ".join(presets()) + "\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--set", "training.stepz=1"), "unknown setting 'training.stepz'; did you mean training.steps?"),
        (("--preset", "papper-256"), "no preset 'papper-256'; did you mean paper-256?"),
        (("--set", "training.method=cyclgan"), "no such method; did you mean cyclegan?"),
        (("--resume",), "the same command resumes a run that was stopped; --extend trains"),
        ((), "a: no such folder; expected one that pcfh prepare has made"),
    ],
)
def test_a_mistake_before_training_names_what_was_meant_and_shows_no_bar(run, arguments, said):
    code, out, err = run("train", "a", "b", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("pcfh: ") and said in err and err.count("\n") == 1


def test_several_settings_after_one_set_end_at_the_next_option(run, job):
    run("train", "data", "run", "--set", "training.steps=7", "training.seed=3", "--protocol", "dev")
    assert (job[0].config.training.steps, job[0].config.training.seed) == (7, 3)
    assert (job[0].protocol, job[0].prepared, job[0].run) == ("dev", Path("data"), Path("run"))


def test_set_may_be_repeated(run, job):
    run("train", "data", "run", "--set", "training.steps=7", "--set", "training.seed=3", "--preset", "cpu")
    assert (job[0].config.training.steps, job[0].config.training.seed) == (7, 3)
    assert job[0].config.networks.generator_width == 16


def test_a_negative_number_is_a_value_and_no_option(run, drawn_prepared, tmp_path):
    code, _, err = run(
        "train", drawn_prepared, tmp_path, "--preset", "tiny", "--set", "training.learning_rate=-1"
    )
    assert (code, err.splitlines()[-1]) == (
        2,
        "pcfh: training.learning_rate=-1: expected a positive number",
    )


def test_a_negative_option_is_taken_as_a_number(run, generator, tmp_path):
    code, _, err = run("translate", "a.png", "--out", tmp_path, "--batch", "-3")
    assert (code, err) == (2, "pcfh: --batch -3: expected at least 1\n")


def prepare(run, database, out, *more):
    return run(
        *("prepare", out, "--casia", database, "--backend", "given", "--sizes", "64", "--workers", "1"), *more
    )


def test_prepare_reads_the_casia_layout_and_reports_to_stdout(run, drawn_database, tmp_path):
    code, out, err = prepare(run, drawn_database, tmp_path / "out")
    assert code == 0
    assert out.startswith("30 captures kept, 0 dropped\n")
    assert str(tmp_path / "out" / "report.txt") in out
    assert "30/30" in err
    protocol = open_prepared(tmp_path / "out", 64).protocol("1")
    assert [len(part) for part in (protocol.train, protocol.gallery, protocol.probe)] == [18, 3, 9]
    assert read_manifest(tmp_path / "out").layout == "casia"


@pytest.mark.parametrize("sizes", [("64", "128"), ("64,128",), ("64,", "128")])
def test_numbers_are_joined_by_commas_or_blanks(run, drawn_database, tmp_path, sizes):
    code, _, err = run(
        *(
            "prepare",
            tmp_path,
            "--database",
            drawn_database,
            "--backend",
            "given",
            "--workers",
            "1",
            "--sizes",
            *sizes,
        )
    )
    assert code == 0, err
    assert sorted(path.name for path in (tmp_path / "crops").iterdir()) == ["128", "64"]


@pytest.mark.parametrize("sizes", ["64,x", "6.4", "64-128"])
def test_what_is_no_number_is_named_with_its_option(run, drawn_database, tmp_path, sizes):
    code, _, err = run("prepare", tmp_path / "out", "--database", drawn_database, "--sizes", sizes)
    assert code == 2 and not (tmp_path / "out").exists()
    text = " ".join(err.replace("│", " ").split())
    assert f"--sizes: expected whole numbers joined by commas or blanks, got {sizes.split(',')[-1]}" in text


def test_prepare_called_again_has_nothing_left_to_do(run, drawn_database, tmp_path):
    prepare(run, drawn_database, tmp_path / "out")
    crop = next((tmp_path / "out" / "crops").rglob("*.png"))
    before = crop.stat().st_mtime_ns
    code, out, _ = prepare(run, drawn_database, tmp_path / "out")
    assert (code, crop.stat().st_mtime_ns) == (0, before)
    assert out.startswith("30 captures kept")


def test_prepare_exits_with_1_where_captures_were_dropped_and_says_why(run, drawn_database, tmp_path):
    given = read_landmarks(drawn_database / "landmarks68.csv")
    del given["s1/vis/00002/001"]
    write_landmarks(tmp_path / "some.csv", given)
    code, out, _ = prepare(run, drawn_database, tmp_path / "out", "--landmarks", tmp_path / "some.csv")
    assert code == 1
    assert "s1/VIS/00002/001.png: no landmarks are given for it" in out


def test_prepare_reads_a_flattened_database_with_all_three_lists(run, drawn_database, tmp_path):
    for name, lines in {
        "train": [f"s1/{kind}/00001/001.png 0 {n}" for n, kind in enumerate(("NIR", "VIS"))],
        "gallery": ["s1/VIS/00004/001.png 1 1"],
        "probe": ["s1/NIR/00004/001.png 1 0", "s1/NIR/00004/002.png 1 0"],
    }.items():
        (tmp_path / f"{name}.txt").write_text("\n".join(lines))
    code, _, _ = run(
        *("prepare", tmp_path / "out", "--root", drawn_database, "--train-list", tmp_path / "train.txt"),
        *("--gallery-list", tmp_path / "gallery.txt", "--probe-list", tmp_path / "probe.txt"),
        *("--landmarks", drawn_database / "landmarks68.csv", "--sizes", "64", "--workers", "1"),
    )
    assert code == 0
    protocol = open_prepared(tmp_path / "out", 64).protocol("1")
    assert [len(part) for part in (protocol.train, protocol.gallery, protocol.probe)] == [2, 1, 2]


def test_prepare_reads_a_pair_of_folders(run, drawn_database, tmp_path):
    code, _, _ = run(
        *(
            "prepare",
            tmp_path / "out",
            "--nir",
            drawn_database / "s1/NIR",
            "--vis",
            drawn_database / "s1/VIS",
        ),
        *("--test-subjects", "00005", "00006", "--sizes", "64", "--workers", "1"),
        *("--landmarks", relative_landmarks(drawn_database, tmp_path)),
    )
    assert code == 0
    protocol = open_prepared(tmp_path / "out", 64).protocol("all")
    assert {record.subject for record in protocol.probe} == {"00005", "00006"}


def relative_landmarks(database: Path, folder: Path) -> Path:
    """The database's landmarks by paths relative to its session."""
    given = read_landmarks(database / "landmarks68.csv")
    write_landmarks(folder / "s1.csv", {key.removeprefix("s1/"): value for key, value in given.items()})
    return folder / "s1.csv"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--casia", "a", "--nir", "b", "--vis", "c"),
        ("--casia", "a", "--root", "b", "--train-list", "c"),
        ("--casia", "a", "--probe-list", "b"),
        ("--casia", "a", "--test-subjects", "1"),
        ("--nir", "a", "--vis", "b", "--gallery-list", "c"),
    ],
)
def test_prepare_wants_one_database_and_no_option_of_another(run, tmp_path, arguments):
    code, out, err = run("prepare", tmp_path / "out", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("pcfh: name one database: --casia DIR, or --nir DIR --vis DIR")


@pytest.mark.parametrize(
    "arguments",
    [("--nir", "a"), ("--vis", "a"), ("--test-subjects", "1"), ("--root", "a"), ("--train-list", "a")],
)
def test_prepare_names_the_options_that_go_together(run, tmp_path, arguments):
    code, _, err = run("prepare", tmp_path / "out", *arguments)
    assert (code, err) == (2, "pcfh: --root and --train-list go together, and so do --nir and --vis\n")


def test_an_absent_database_is_named_in_one_line(run, tmp_path):
    code, out, err = run("prepare", tmp_path / "out", "--casia", tmp_path / "nowhere")
    assert (code, out) == (2, "")
    assert err.startswith(f"pcfh: {tmp_path / 'nowhere'}: no such folder") and err.count("\n") == 1


def test_a_folder_that_cannot_be_made_is_one_line_and_no_traceback(run, drawn_prepared, tmp_path):
    (tmp_path / "file").write_text("in the way")
    code, _, err = run("train", drawn_prepared, tmp_path / "file" / "run", "--preset", "tiny")
    assert code == 2
    assert "Not a directory" in err and "Traceback" not in err


def train(run, prepared, folder, *settings):
    return run(
        *("train", prepared, folder, "--preset", "tiny", "--device", "cpu"),
        *("--set", "training.steps=3", *settings),
    )


def translate(run, model, sources, out, points):
    return run("translate", sources, "--model", model, "--out", out, "--landmarks", points)


@pytest.mark.parametrize("command", ["train", "settings"])
def test_help_names_every_preset(run, command):
    _, out, _ = run(command, "--help")
    words = out.replace("│", " ").replace(",", " ").replace(".", " ").replace(";", " ").split()
    assert set(presets()) <= set(words)


@pytest.mark.parametrize("command", ["train", "reproduce"])
def test_torchrun_takes_no_option_for_a_short_form_of_its_own(run, command):
    """It stops at options of the program that it could complete in two ways, --start for one."""
    _, out, _ = run(command, "--help")
    options = re.findall(r"^│ [* ] +(--[a-z-]+)", out, re.MULTILINE)
    assert "--device" in options
    for option in options:
        given = ["-m", "pcfh", command, "data", "run", option, "x"]
        parsed = get_args_parser().parse_args(["--nproc-per-node", "2", *given])
        assert [parsed.training_script, *parsed.training_script_args] == given[1:]


def test_without_a_model_the_one_that_comes_with_the_program_translates(run, nir, points, tmp_path):
    code, out, _ = run("translate", nir, "--out", tmp_path / "vis", "--landmarks", points)
    assert (code, out.splitlines()[0]) == (0, f"2 of 2 pictures translated to {tmp_path / 'vis'}")
    with Image.open(tmp_path / "vis" / "1.png") as image:
        assert image.text["Model"] == sha256_of(shipped("cameras"))


@pytest.mark.parametrize("kind", ["pix2pix", "cyclegan"])
def test_a_baseline_is_trained_and_translates_by_the_same_commands(
    run, drawn_prepared, nir, points, tmp_path, kind
):
    settings = (f"training.method={kind}", "baseline.width=4", "training.steps=1")
    assert train(run, drawn_prepared, tmp_path / "run", *settings)[0] == 0
    code, out, _ = translate(run, tmp_path / "run" / "generator.safetensors", nir, tmp_path / "vis", points)
    assert (code, out.splitlines()[0]) == (0, f"2 of 2 pictures translated to {tmp_path / 'vis'}")


def test_three_steps_of_training_and_then_translation(run, drawn_prepared, nir, points, tmp_path):
    generator = tmp_path / "run" / "generator.safetensors"
    code, out, err = train(run, drawn_prepared, tmp_path / "run")
    assert (code, out) == (0, f"Done: {generator}\n")
    assert "3/3" in err and "rec=" in err
    code, out, _ = translate(run, generator, nir, tmp_path / "vis", points)
    assert (code, out.splitlines()[0]) == (0, f"2 of 2 pictures translated to {tmp_path / 'vis'}")
    with Image.open(tmp_path / "vis" / "2.png") as image:
        assert (image.size, image.mode, image.text["Synthetic"]) == ((64, 64), "RGB", "true")


def test_a_run_with_other_settings_is_refused_and_the_difference_named(run, drawn_prepared, tmp_path):
    train(run, drawn_prepared, tmp_path / "run", "training.steps=1")
    code, out, err = train(run, drawn_prepared, tmp_path / "run", "training.steps=1", "training.seed=5")
    assert (code, out) == (2, "")
    assert "holds another training (config.training.seed was 0 and is 5)" in err


def test_a_finished_run_is_done_at_once(run, drawn_prepared, tmp_path):
    train(run, drawn_prepared, tmp_path / "run", "training.steps=1")
    before = (tmp_path / "run" / "checkpoint.pt").stat().st_mtime_ns
    code, out, _ = train(run, drawn_prepared, tmp_path / "run", "training.steps=1")
    assert (code, out) == (0, f"Done: {tmp_path / 'run' / 'generator.safetensors'}\n")
    assert (tmp_path / "run" / "checkpoint.pt").stat().st_mtime_ns == before


def test_signals_are_as_before_after_training(run, drawn_prepared, tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    train(run, drawn_prepared, tmp_path / "run", "training.steps=1")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_folder_that_is_not_prepared_is_named(run, tmp_path):
    code, out, err = train(run, tmp_path, tmp_path / "run")
    assert (code, out) == (2, "")
    assert "holds no prepared database" in err and "Traceback" not in err


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_ctrl_c_saves_and_the_same_command_goes_on(run, drawn_prepared, tmp_path):
    arguments = [
        *(sys.executable, "-m", "pcfh", "train", str(drawn_prepared), str(tmp_path), "--preset", "tiny"),
        *("--device", "cpu", "--set", "training.steps=24", "training.checkpoint_every=2"),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    first = subprocess.Popen(
        arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not (tmp_path / "checkpoint.pt").exists():
        assert first.poll() is None
        time.sleep(0.02)
    first.send_signal(signal.SIGINT)
    out, err = first.communicate()
    step = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"]
    assert (first.returncode, out) == (130, "")
    assert 0 < step < 24
    assert err.endswith(f"Stopped at step {step}; the same command resumes it.\n") and "Traceback" not in err
    code, out, err = run(*arguments[3:])
    assert (code, out) == (0, f"Done: {tmp_path / 'generator.safetensors'}\n")
    assert "24/24" in err
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 24


def test_ctrl_c_elsewhere_exits_with_130_and_one_line(run, monkeypatch, generator, nir, points, tmp_path):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("pcfh.cli.translate.run_work", interrupted)
    code, out, err = translate(run, generator, nir, tmp_path / "vis", points)
    assert (code, out) == (130, "")
    assert err.splitlines()[-1].startswith("pcfh: interrupted;")


def test_bad_pictures_are_listed_on_stderr_and_the_exit_code_is_1(run, generator, nir, points, tmp_path):
    (nir / "text.jpg").write_text("a letter to my aunt")
    (nir / "unknown.png").write_bytes((nir / "1.png").read_bytes())
    code, out, err = translate(run, generator, nir, tmp_path / "vis", points)
    table = tmp_path / "vis" / "manifest.csv"
    said = [f"2 of 4 pictures translated to {tmp_path / 'vis'}", f"The table is {table}"]
    assert (code, out.splitlines()) == (1, said)
    lines = [line for line in err.splitlines() if line.startswith(str(nir))]
    assert [line.partition(": ")[0] for line in lines] == [str(nir / "text.jpg"), str(nir / "unknown.png")]
    assert "not a whole image" in lines[0] and "no line for unknown.png" in lines[1]
    assert err.splitlines()[-1] == "2 pictures failed"
    assert sorted(path.name for path in (tmp_path / "vis").rglob("[!.]*")) == [
        "1.png",
        "2.png",
        "manifest.csv",
    ]


def test_parts_of_a_batch_are_taken_in_by_the_same_command_without_a_part(
    run, generator, nir, points, tmp_path
):
    command = ("translate", nir, "--model", generator, "--out", tmp_path / "vis", "--landmarks", points)
    counts = [run(*command, "--shard", f"{number}/2")[1].split()[0] for number in (1, 2)]
    assert sorted(map(int, counts)) in ([0, 2], [1, 1])
    assert run(*command)[1].splitlines()[0].endswith("(2 of them before)")
    assert "before" not in run(*command, "--overwrite")[1]


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--shard", "3/2"), "--shard 3/2: expected a part and how many there are, such as 3/100"),
        (("--workers", "tcp://h:1"), "--workers tcp://h:1: expected a number of processes"),
    ],
)
def test_a_wrong_part_or_worker_is_refused_before_anything_is_written(
    run, generator, nir, points, tmp_path, option, said
):
    out = tmp_path / "vis"
    code, _, err = run("translate", nir, "--model", generator, "--out", out, "--landmarks", points, *option)
    assert code == 2 and said in err and not out.exists()


def test_what_was_done_before_moves_the_bar_but_says_nothing_of_its_speed():
    with PictureBar() as bar:
        bar.total(100)
        bar.passed(60)
        bar.done(4)
        told = bar._bar.format_dict
    assert (told["n"], told["initial"], told["total"]) == (64, 60, 100)


def test_several_sources_may_be_given(run, generator, nir, points, tmp_path):
    sources = (nir / "1.png", nir / "2.png")
    code, out, _ = run(
        *("translate", *sources, "--landmarks", points, "--out", tmp_path / "vis", "--model", generator)
    )
    assert (code, out.partition(" pictures")[0]) == (0, "2 of 2")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"model": "nowhere.safetensors"}, "nowhere.safetensors: no such file"),
        ({"sources": "nowhere"}, "nowhere: no such file or folder"),
        ({"landmarks": "nowhere.csv"}, "nowhere.csv: expected a readable CSV table"),
        ({"device": "banana"}, "device 'banana' is not usable here"),
    ],
)
def test_a_usage_mistake_is_one_line_and_exits_with_2(run, generator, nir, points, tmp_path, change, text):
    given = {"model": generator, "sources": nir, "landmarks": points, "device": "cpu", **change}
    code, out, err = run(
        *("translate", given["sources"], "--model", given["model"], "--out", tmp_path / "vis"),
        *("--landmarks", given["landmarks"], "--device", given["device"]),
    )
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith(f"pcfh: {text}") and "Traceback" not in err
    assert not (tmp_path / "vis").exists()


def test_writing_into_the_input_folder_is_refused(run, generator, nir, points):
    code, _, err = translate(run, generator, nir, nir, points)
    assert (code, err.splitlines()[-1]) == (
        2,
        f"pcfh: {nir} is a folder of inputs; choose another output folder",
    )


def test_a_fault_of_the_program_keeps_its_traceback(monkeypatch):
    def faulty(name):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("pcfh.cli.settings.preset", faulty)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        main(["settings"])


LIGHT = (
    *(("--help",), ("--version",), ("models", "--help")),
    *(("settings", "cpu"), ("inspect", "--help"), ("train", "--help")),
)


def test_help_and_settings_import_no_torch_matplotlib_or_scipy():
    program = f"""
import sys
from pcfh.cli import main
for arguments in {LIGHT}:
    try:
        main(list(arguments))
    except SystemExit as ended:
        assert not ended.code
    print(arguments, sorted({{"torch", "matplotlib", "scipy"}} & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr == "".join(f"{arguments} []\n" for arguments in LIGHT)
    assert done.stdout


def commands():
    """Every command by its words, and the file that holds it."""
    found = {}
    for path in sorted(Path(method.__file__).parent.glob("*.py")):
        if help_of(path) is not None:
            words = re.sub("^(models|gallery)_", r"\1 ", path.stem).replace("_", "-").split()
            found[tuple(words)] = path
    return found


COMMANDS = commands()


def test_every_file_of_the_command_line_but_its_frame_is_a_command():
    files = {path.stem for path in Path(method.__file__).parent.glob("[a-z]*.py")}
    assert files - {path.stem for path in COMMANDS.values()} == {"app", "batches", "gallery_options"}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_is_registered_with_the_help_of_its_function(words):
    parent, path = (app[words[0]] if len(words) > 1 else app), COMMANDS[words]
    function = getattr(import_module(f"pcfh.cli.{path.stem}"), path.stem)
    assert parent[words[-1]].help == inspect.getdoc(function)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_without_extras_every_command_explains_itself():
    packages = [
        "ai_edge_litert",
        "face_alignment",
        "onnx",
        "onnxruntime",
        "onnxscript",
        "starlette",
        "uvicorn",
        "embreex",
    ]
    program = (
        "import sys\n"
        f"for package in {packages}: sys.modules[package] = None\n"
        "from pcfh.cli import main\n"
        f"for words in {sorted(COMMANDS)}:\n"
        "    try: main([*words, '--help'])\n"
        "    except SystemExit as ended: assert not ended.code, words\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(f"Usage: pcfh {' '.join(words)}" in done.stdout for words in COMMANDS)


@pytest.mark.parametrize(
    ("extra", "module", "arguments"),
    [
        ("landmarks", "ai_edge_litert.interpreter", ("translate", "a.png", "--out", "o")),
        ("fan", "face_alignment", ("translate", "a.png", "--out", "o", "--backend", "fan")),
        ("web", "pcfh.web.serving", ("serve",)),
        ("export", "onnxscript", ("export", "g.onnx")),
        ("render", "embreex", ("render", "o", "--face-model", "f", "--recipe", "sample")),
    ],
)
def test_a_command_that_needs_an_extra_says_which(run, monkeypatch, blaze, extra, module, arguments):
    monkeypatch.setitem(sys.modules, module, None)
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.endswith(f"; run: pip install 'pcfh[{extra}]'\n")
