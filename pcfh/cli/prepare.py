"""The command that aligns the faces of a database."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast, get_args

from pcfh.cli.app import Names, Several, progress_bar, resumed, say
from pcfh.cli.batches import BatchOptions
from pcfh.cli.inspect import DatabaseOptions
from pcfh.databases.flattened import People, read_flattened
from pcfh.databases.folder_pair import read_folder_pair
from pcfh.databases.layouts import find_layout, in_protocols, open_database
from pcfh.databases.records import Database
from pcfh.errors import UserError
from pcfh.parallel import usable_workers
from pcfh.preparation.align_capture import PrepareOptions
from pcfh.preparation.align_database import prepare as run_prepare
from pcfh.preparation.align_database import prepare_part

_DEFAULT, _WAY = DatabaseOptions(), BatchOptions()


def prepare(  # noqa: PLR0913 - one argument per option of the command
    out: Path,
    *,
    database: Path | None = None,
    reading: DatabaseOptions = _DEFAULT,
    casia: Path | None = None,
    nir: Path | None = None,
    vis: Path | None = None,
    test_subjects: Names = (),
    root: Path | None = None,
    landmarks: Path | None = None,
    backend: Literal["blaze", "fan", "given"] = "blaze",
    sizes: Several = (144, 256),
    device: str = "cpu",
    min_score: float = 0.5,
    way: BatchOptions = _WAY,
) -> int:
    """Find faces and landmarks in a database, align them and write crops.

    Name the database by --database, by --nir and --vis, or by --root and --train-list. The same command
    resumes one that was stopped. Captures that cannot be used are listed with a reason in OUT/report.txt.

    Args:
        out: folder to write to.
        database: folder of CASIA NIR-VIS 2.0, Oulu-CASIA, BUAA-VisNir, LAMP-HQ or Tufts, or of another
            database in one of their layouts.
        reading: how to read it; with --root the lists are those of a flattened re-distribution (path, label,
            domain), and --option people=label or people=path says which of the two is the person.
        casia: the same as --database with --layout casia.
        nir: folder of NIR pictures, one subfolder per person.
        vis: folder of VIS pictures, likewise.
        test_subjects: people of --nir and --vis that are kept out of training.
        root: folder that the paths of lists are relative to.
        landmarks: CSV file of 68 landmarks per picture; then nothing is detected.
        backend: what finds faces and landmarks; "given" takes those that lie with the database.
        sizes: sides of the crops in pixels, joined by commas or blanks: 144 and 256 as in the paper, 128, 64.
        device: where the backend computes.
        min_score: faces found with less confidence count as none.
        way: how the work goes.
    """
    source, kind = _database(
        reading, database=database, casia=casia, pair=(nir, vis, test_subjects), root=root
    )
    part = way.way().shard
    options = PrepareOptions(
        sizes=sizes,
        backend=backend,
        landmarks=landmarks,
        workers=usable_workers(way.workers),
        device=device,
        min_score=min_score,
        layout=kind,
        overwrite=way.overwrite,
    )
    with progress_bar("captures", len(source.records)) as bar:
        if part:
            through, dropped = prepare_part(source, out, options, part, on_progress=resumed(bar))
        else:
            report = run_prepare(source, out, options, on_progress=resumed(bar))
    if part:
        print(f"Part {way.shard}: {through} captures are through, {dropped} of them dropped")
        print("The same command without --shard takes all parts in")
        return 1 if dropped else 0
    say(report.text())
    print(f"Written to {out}; the whole report is {out / 'report.txt'}")
    return 1 if report.dropped else 0


def _database(
    reading: DatabaseOptions,
    *,
    database: Path | None,
    casia: Path | None,
    pair: tuple[Path | None, Path | None, Sequence[str]],
    root: Path | None,
) -> tuple[Database, str]:
    """Reads the database that was named, in exactly one of the ways, and says of what layout it is."""
    nir, vis, test_subjects = pair
    lists = reading.lists
    ways = [database, casia, any(pair), root or (lists and not database)]
    if sum(map(bool, ways)) != 1:
        raise UserError(
            "name one database: --casia DIR, or --nir DIR --vis DIR [--test-subjects ...], or --root DIR "
            "--train-list FILE [--gallery-list FILE] [--probe-list FILE], or --database DIR [--layout NAME]"
        )
    if database is not None:
        layout = find_layout(reading.layout, database)
        return in_protocols(open_database(database, layout, **reading.given)), layout.name
    if casia is not None:
        return open_database(casia, "casia"), "casia"
    if root is not None and lists is not None and lists.train is not None:
        people = _people(reading)
        return read_flattened(root, lists.train, lists.gallery, probe=lists.probe, people=people), "flattened"
    if nir is not None and vis is not None:
        return read_folder_pair(nir, vis, test_subjects=test_subjects), "folders"
    raise UserError("--root and --train-list go together, and so do --nir and --vis")


def _people(reading: DatabaseOptions) -> People:
    """What says who is who in lists with --root, the one option that they have."""
    given = {name: value for name, value in reading.given.items() if name != "lists"}
    people = given.pop("people", "auto")
    if given or people not in get_args(People):
        raise UserError(
            f"with --root the one option is people, of {', '.join(get_args(People))}: --option people=label"
        )
    return cast(People, people)
