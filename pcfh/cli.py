"""The command line: parses, calls, prints. Nothing else of the package prints."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter
from tqdm import tqdm

from pcfh import __version__
from pcfh import config as configuration
from pcfh.data.casia import read_casia
from pcfh.data.folders import read_folder_pair
from pcfh.data.lists import read_flattened
from pcfh.data.prepare import PrepareOptions
from pcfh.data.prepare import prepare as run_prepare
from pcfh.data.records import Database
from pcfh.demo import run_demo
from pcfh.errors import UserError
from pcfh.hallucinate import Hallucinator
from pcfh.landmarks import open_backend
from pcfh.landmarks.fetch import cache_folder, fetch_blaze
from pcfh.training.loop import GENERATOR, Hooks, Job
from pcfh.training.loop import train as run_train
from pcfh.training.runtime import keep_freed_memory, start_runtime
from pcfh.translate import Failure, TranslateOptions, plan_items, translate_items

app = App(
    name="pcfh",
    version=__version__,
    help="Near-infrared faces to visible-light faces of the same person, pose and expression.",
    suppress_keyboard_interrupt=False,  # ``main`` says what it means
)
models = App(name="models", help="Files of the landmark detector.")
app.command(models)

Several = Annotated[tuple[int, ...], Parameter(consume_multiple=True, negative="")]


@app.command
def prepare(  # noqa: PLR0913 - one argument per option of the command
    out: Path,
    *,
    casia: Path | None = None,
    nir: Path | None = None,
    vis: Path | None = None,
    test_subjects: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")] = (),
    root: Path | None = None,
    train_list: Path | None = None,
    gallery_list: Path | None = None,
    probe_list: Path | None = None,
    landmarks: Path | None = None,
    backend: Literal["blaze", "fan", "given"] = "blaze",
    sizes: Several = (144, 256),
    workers: int = 0,
    device: str = "cpu",
    min_score: float = 0.5,
) -> int:
    """Find faces and landmarks in a database, align them and write crops.

    Name the database by --casia, by --nir and --vis, or by --root and --train-list. Stopped and called
    again, it goes on. Captures that cannot be used are listed with a reason in OUT/report.txt.

    Args:
        out: folder to write to.
        casia: root of CASIA NIR-VIS 2.0, or of a database in its layout.
        nir: folder of NIR pictures, one subfolder per person.
        vis: folder of VIS pictures, likewise.
        test_subjects: people of --nir and --vis that are kept out of training.
        root: folder that the paths of lists are relative to.
        train_list: list of a flattened re-distribution (path, label, domain).
        gallery_list: likewise, enrolled VIS pictures.
        probe_list: likewise, NIR pictures to recognise.
        landmarks: CSV file of 68 landmarks per picture; then nothing is detected.
        backend: what finds faces and landmarks; "given" takes those that lie with the database.
        sizes: sides of the crops in pixels: 144 and 256 as in the paper, 128, 64.
        workers: processes; 0 takes one per processor core.
        device: where the backend computes.
        min_score: faces found with less confidence count as none.
    """
    database, layout = _database(casia, nir, vis, test_subjects, root, (train_list, gallery_list, probe_list))
    options = PrepareOptions(
        sizes=sizes,
        backend=backend,
        landmarks=landmarks,
        workers=workers or os.cpu_count() or 1,
        device=device,
        min_score=min_score,
        layout=layout,
    )
    with _bar("captures", len(database.records)) as bar:
        report = run_prepare(database, out, options, on_progress=lambda done, _: bar.update(done - bar.n))
    print(report.text(), end="")
    print(f"\nWritten to {out}; the whole report is {out / 'report.txt'}")
    return 1 if report.dropped else 0


@app.command
def train(
    data: Path,
    run: Path,
    *,
    preset: str = "paper-256",
    settings: Annotated[tuple[str, ...], Parameter(name="--set", consume_multiple=True, negative="")] = (),
    protocol: str = "1",
    recognizer: Path | None = None,
    device: str = "auto",
) -> int:
    """Train on a prepared database; called again with the same settings, it goes on where it stopped.

    On several GPUs or machines: torchrun --nproc-per-node N -m pcfh train ...

    Args:
        data: folder made by pcfh prepare.
        run: folder of this run: checkpoint, generator, pictures, TensorBoard.
        preset: paper-256, paper-144, cpu or tiny.
        settings: overrides such as training.steps=5000; pcfh settings lists them.
        protocol: whose training list to use, e.g. 1 for the first fold.
        recognizer: Light CNN checkpoint for the identity loss.
        device: auto, cpu, cuda or cuda:1.
    """
    config = configuration.overridden(configuration.preset(preset), settings)
    job = Job(prepared=data, protocol=protocol, run=run, config=config, recognizer=recognizer)
    keep_freed_memory()
    steps = config.training.steps
    with start_runtime(device) as runtime, _stop_signals() as stopped:
        with _bar("steps", steps, shown=runtime.is_first) as bar:
            hooks = Hooks(on_step=partial(_show_step, bar), should_stop=lambda: bool(stopped))
            state = run_train(job, runtime, hooks)
        if runtime.is_first and state.step < steps:
            print(f"Stopped at step {state.step}; the same command goes on.", file=sys.stderr)
        elif runtime.is_first:
            print(f"Done: {run / GENERATOR}")
    return 128 + stopped[0] if stopped and state.step < steps else 0


@app.command
def translate(
    model: Path,
    sources: Annotated[list[Path], Parameter(negative="")],
    *,
    out: Path,
    aligned: bool = False,
    landmarks: Path | None = None,
    backend: Literal["blaze", "fan"] = "blaze",
    device: str = "auto",
    batch: int = 8,
) -> int:
    """Translate NIR pictures to VIS faces.

    A picture that cannot be translated is listed at the end, the rest goes on; the exit code is 1 then.
    The PNG files say in their metadata that they are synthetic.

    Args:
        model: generator.safetensors of a training run.
        sources: pictures and folders of pictures.
        out: folder to write to.
        aligned: the pictures are aligned crops of the model's size already.
        landmarks: CSV file of 68 landmarks per picture; then nothing is detected.
        backend: what finds faces and landmarks.
        device: auto, cpu, cuda or cuda:1.
        batch: pictures translated at once.
    """
    if batch < 1:
        raise UserError(f"--batch {batch}: expected at least 1")
    finder = None if landmarks else open_backend(backend, device="cpu" if device == "auto" else device)
    hallucinator = Hallucinator.from_file(model, device=device, backend=finder)
    items = plan_items(sources, out)
    options = TranslateOptions(aligned=aligned, landmarks=landmarks, batch=batch)
    with _bar("pictures", len(items)) as bar:
        failures = translate_items(hallucinator, items, options, on_done=bar.update)
    print(f"{len(items) - len(failures)} of {len(items)} pictures translated to {out}")
    return _report_failures(failures)


@app.command
def settings(preset: str = "paper-256") -> int:
    """Print every setting of a preset, as --set takes them.

    Args:
        preset: paper-256, paper-144, cpu or tiny.
    """
    for group, fields in configuration.to_dict(configuration.preset(preset)).items():
        for name, value in fields.items():
            print(f"{group}.{name}={str(value).lower() if isinstance(value, bool) else value}")
    return 0


@app.command
def demo(out: Path = Path("demo-out")) -> int:
    """Draw a small database, train on it, translate people it has not seen, and show the result.

    Args:
        out: folder to write to.
    """
    keep_freed_memory()
    sheet = run_demo(out, say=print)
    print(sheet)
    return 0


@models.command
def fetch(folder: Path | None = None) -> int:
    """Fetch the landmark detector's two files from PyPI, checked by SHA-256.

    Args:
        folder: where to; the user's cache folder if not given (or PCFH_CACHE).
    """
    for path in fetch_blaze(folder or cache_folder()):
        print(path)
    return 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command and exits: 0 well, 1 some items failed, 2 a mistake in what was given."""
    try:
        code = app(arguments, exit_on_error=False, print_error=True, result_action="return_value")
    except CycloptsError:
        sys.exit(2)
    except UserError as error:
        print(f"pcfh: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("pcfh: interrupted; what is written is whole, give the same command again", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
    except OSError as error:  # a full disk, a folder that must not be written to, ...
        print(f"pcfh: {error}", file=sys.stderr)
        sys.exit(2)
    sys.exit(code or 0)


def _database(
    casia: Path | None,
    nir: Path | None,
    vis: Path | None,
    test_subjects: Sequence[str],
    root: Path | None,
    lists: tuple[Path | None, Path | None, Path | None],
) -> tuple[Database, str]:
    """Reads the database that was named, in exactly one of the three ways."""
    train_list, gallery_list, probe_list = lists
    ways = [casia, nir or vis or test_subjects, root or train_list or gallery_list or probe_list]
    if sum(map(bool, ways)) != 1:
        raise UserError(
            "name one database: --casia DIR, or --nir DIR --vis DIR [--test-subjects ...], or --root DIR "
            "--train-list FILE [--gallery-list FILE] [--probe-list FILE]"
        )
    if casia is not None:
        return read_casia(casia), "casia"
    if root is not None and train_list is not None:
        return read_flattened(root, train_list, gallery_list, probe=probe_list), "flattened"
    if nir is not None and vis is not None:
        return read_folder_pair(nir, vis, test_subjects=test_subjects), "folders"
    raise UserError("--root and --train-list go together, and so do --nir and --vis")


def _report_failures(failures: Sequence[Failure]) -> int:
    for failure in failures:
        print(f"{failure.source}: {failure.reason}", file=sys.stderr)
    if failures:
        print(f"{len(failures)} pictures failed", file=sys.stderr)
    return 1 if failures else 0


def _show_step(bar: "tqdm[None]", step: int, values: Mapping[str, float]) -> None:
    if not bar.n:  # steps of an earlier call took none of this one's time
        bar.initial = bar.n = bar.last_print_n = step - 1
    bar.update(step - bar.n)
    losses = {name[5:]: f"{value:.3f}" for name, value in values.items() if name.startswith("loss/")}
    bar.set_postfix(losses, refresh=False)


def _bar(unit: str, total: int, *, shown: bool = True) -> "tqdm[None]":
    return tqdm(total=total, unit=f" {unit}", dynamic_ncols=True, disable=not shown)


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM instead of dying of them; a second one kills as usual."""
    received: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        received.append(number)
        signal.signal(number, before[number])

    before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {
        number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
