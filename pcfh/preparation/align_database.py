"""From a database as it was recorded to aligned crops: by several processes, and on after any interruption.

What is written does not depend on the number of processes, nor on how often the work was broken off.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from itertools import chain, count
from pathlib import Path, PurePosixPath
from typing import Any

from pcfh.databases.records import Database, Record, closed
from pcfh.errors import UserError
from pcfh.files import remove_leftovers, write_atomically
from pcfh.geometry.align import crop_of
from pcfh.journal import Journal, open_journal
from pcfh.landmarks.given import landmark_key, read_landmarks
from pcfh.ledger import COLUMNS, csv_text
from pcfh.parallel import map_unordered, usable_workers
from pcfh.preparation.align_capture import GIVEN, Job, Outcome, PrepareOptions, rounded, stamp_of, start
from pcfh.preparation.manifest import MANIFEST, Drop, Manifest, crops_folder, require_crops, write_manifest
from pcfh.preparation.preparation_report import PrepareReport, make_report
from pcfh.shards import Shard, is_mine

JOURNAL = "journal.jsonl"
TABLE = "captures.csv"  # for people: what became of each capture
REPORT = "report.txt"
_VERSION = 1  # of what is made of a capture; raise it when the same capture and options give other crops

Progress = Callable[[int, int], None]


def prepare(
    database: Database, out: Path, options: PrepareOptions, *, on_progress: Progress | None = None
) -> PrepareReport:
    """Finds the landmarks of every capture, aligns it and writes crops, table, report and manifest.

    Captures that cannot be used are dropped with a reason and the rest goes on. Called again after an
    interruption, it does what is left to do, and so it takes in what ``prepare_part`` has done.

    Args:
        database: to prepare.
        out: folder to prepare into (see ``pcfh.preparation.manifest``).
        options: how.
        on_progress: called first and after each capture with the numbers of those that are done (earlier ones
            too) and of all.

    Raises:
        UserError: an option is wrong, ``out`` holds another preparation, nothing could be kept, or a protocol
            lost the whole of a list.
    """
    options = _settled(options)
    with ExitStack() as journals:
        ready = _outcomes(journals, database, out, options, shard=None, on_progress=on_progress)
        return _conclude(database, out, options, ready)


def prepare_part(
    database: Database,
    out: Path,
    options: PrepareOptions,
    shard: Shard,
    *,
    on_progress: Progress | None = None,
) -> tuple[int, int]:
    """Prepares the captures of a shard; several may be at work on one folder.

    Args:
        database: the whole.
        out: see ``prepare``.
        options: how.
        shard: which captures.
        on_progress: see ``prepare``.

    Returns:
        How many captures are through, and how many of them were dropped.

    Raises:
        UserError: an option is wrong, or ``out`` holds another preparation.
    """
    with ExitStack() as journals:
        options = _settled(options)
        ready = _outcomes(journals, database, out, options, shard=shard, on_progress=on_progress)
        return len(ready), sum(outcome.landmarks is None for _, outcome in ready)


def _outcomes(
    journals: ExitStack,
    database: Database,
    out: Path,
    options: PrepareOptions,
    *,
    shard: Shard | None,
    on_progress: Progress | None,
) -> list[tuple[Job, Outcome]]:
    """What became of each capture; does what is not done, and writes the table, which grows meanwhile."""
    records = _with_landmarks(database, options)
    named = zip(records, crop_names(records), strict=True)
    jobs = [Job(record=record, crop=crop) for record, crop in named if is_mine(shard, record.path)]
    journal, kept = _opened(journals, out, shard, _identity(options, database, records))
    (out / MANIFEST).unlink(missing_ok=True)
    done = {} if options.overwrite else _done(database.root, out, options.sizes, jobs, kept)
    pending = {job.record.path: job for job in jobs if job.record.path not in done}
    table = out / _part_name(TABLE, shard.mark if shard else "")
    before = [(job, done[job.record.path]) for job in jobs if job.record.path in done]
    write_atomically(table, _lines(database.root, before, head=True))
    tell = on_progress or (lambda done, total: None)
    tell(len(done), len(jobs))
    begin = partial(start, database.root, out, options)
    with (
        table.open("ab", buffering=0) as rows,
        closing(map_unordered(begin, pending.values(), options.workers)) as outcomes,
    ):
        for outcome in outcomes:
            journal.append(outcome)
            rows.write(_lines(database.root, [(pending[outcome.path], outcome)]))
            done[outcome.path] = outcome
            tell(len(done), len(jobs))
    ready = [(job, done[job.record.path]) for job in jobs]
    write_atomically(table, _lines(database.root, ready, head=True))
    return ready


def _done(
    root: Path, out: Path, sizes: Sequence[int], jobs: Iterable[Job], kept: Mapping[str, Outcome]
) -> dict[str, Outcome]:
    """What need not be done again."""
    names = (job.record.path for job in jobs if _is_done(root, out, sizes, job, kept.get(job.record.path)))
    return {name: kept[name] for name in names}


def _opened(
    journals: ExitStack, out: Path, shard: Shard | None, identity: Mapping[str, Any]
) -> tuple[Journal[Outcome], dict[str, Outcome]]:
    """The journal to write, and what is known by it; the whole takes in those of shards."""
    path = out / _part_name(JOURNAL, shard.mark if shard else "")
    journal = journals.enter_context(open_journal(path, identity, Outcome, work="preparation"))
    kept = {outcome.path: outcome for outcome in journal.entries}
    if shard:
        return journal, kept
    parts = sorted(out.glob(_part_name(JOURNAL, "-*-of-*")))
    for path in parts:
        part = journals.enter_context(open_journal(path, identity, Outcome, work="preparation"))
        for outcome in part.entries:
            journal.append(outcome)
            kept[outcome.path] = outcome
    for path in parts:
        path.unlink()
    for table in out.glob(_part_name(TABLE, "-*-of-*")):
        table.unlink()
    remove_leftovers(out)
    return journal, kept


def _part_name(name: str, mark: str) -> str:
    """The name of the same file of a shard, by the shard's mark."""
    return f"{PurePosixPath(name).stem}{mark}{PurePosixPath(name).suffix}"


def _lines(root: Path, ready: Iterable[tuple[Job, Outcome]], *, head: bool = False) -> bytes:
    """Rows of the table: source, crop, faces, distance, unlike, note, error."""
    rows = (
        (
            str(root / outcome.path),
            "" if outcome.landmarks is None else job.crop,
            *(outcome.faces, outcome.distance, outcome.unlike, outcome.note, outcome.reason),
        )
        for job, outcome in ready
    )
    return csv_text(chain([COLUMNS] * head, rows))


def _settled(options: PrepareOptions) -> PrepareOptions:
    """The options with sizes in order and where the landmarks come from; refuses what cannot work."""
    if not options.sizes:
        raise UserError("expected at least one crop size, got none")
    for size in options.sizes:
        crop_of(size)
    if options.workers == 0:
        raise UserError("expected at least one worker, got 0")
    usable_workers(options.workers)
    backend = options.backend if options.landmarks is None else GIVEN
    return replace(options, sizes=tuple(sorted(set(options.sizes))), backend=backend)


def _with_landmarks(database: Database, options: PrepareOptions) -> list[Record]:
    """The records with the landmarks that are given, and none where they are to be detected."""
    if options.landmarks is None:
        given = options.backend == GIVEN
        return [record if given else replace(record, landmarks=None) for record in database.records]
    points = {key: rounded(landmarks) for key, landmarks in read_landmarks(options.landmarks).items()}
    records = [replace(r, landmarks=points.get(landmark_key(r.path))) for r in database.records]
    if not any(record.landmarks for record in records):
        raise UserError(
            f"{options.landmarks}: names none of the {len(records)} captures; expected paths relative to "
            f"{database.root}, e.g. {records[0].path}"
        )
    return records


def crop_names(records: Iterable[Record]) -> list[str]:
    """Names the crops of each record; all names differ, even where case does not count.

    ``<modality>/<subject>/<session>_<stem>.png``, with what could trouble a file system replaced, and a
    number where that path is taken.
    """
    taken: set[str] = set()
    names = []
    for record in records:
        base = f"{record.modality}/{_safe(record.subject)}/{_safe(_leaf(record))}"
        candidates = chain([f"{base}.png"], (f"{base}-{number}.png" for number in count(2)))
        name = next(candidate for candidate in candidates if candidate.lower() not in taken)
        taken.add(name.lower())
        names.append(name)
    return names


def _leaf(record: Record) -> str:
    """Session and name of a capture; once only where the name begins with the session."""
    stem = PurePosixPath(record.path).stem
    prefix = f"{record.session}_" if record.session else ""
    return stem if stem.startswith(prefix) else prefix + stem


def _safe(name: str) -> str:
    """A name that is one harmless, visible path component."""
    return re.sub(r"[^\w.-]", "_", name).lstrip(".") or "_"


def _identity(options: PrepareOptions, database: Database, records: Iterable[Record]) -> dict[str, Any]:
    """What tells this preparation from any other."""
    captures = [[r.subject, r.modality, r.session, r.path, r.landmarks] for r in records]
    lists = {
        name: [[record.path for record in part] for part in protocol.parts.values()]
        for name, protocol in database.protocols.items()
    }
    return {
        "format": "pcfh-journal",
        "version": _VERSION,
        "sizes": options.sizes,
        "backend": options.backend,
        "min_score": options.min_score,
        "database": hashlib.sha256(json.dumps([captures, lists]).encode()).hexdigest(),
    }


def _is_done(root: Path, out: Path, sizes: Iterable[int], job: Job, outcome: Outcome | None) -> bool:
    """Whether a capture need not be prepared again: its file is the same and its crops are there."""
    if outcome is None or outcome.stamp != stamp_of(root / job.record.path):
        return False
    dropped = outcome.landmarks is None
    return dropped or all((crops_folder(out, size) / job.crop).is_file() for size in sizes)


def _conclude(
    database: Database, out: Path, options: PrepareOptions, outcomes: Iterable[tuple[Job, Outcome]]
) -> PrepareReport:
    """Writes the report and, last, the manifest."""
    kept: dict[str, Record] = {}
    crops: dict[str, str] = {}
    dropped: list[Drop] = []
    notes: list[str] = []
    for job, outcome in outcomes:
        if outcome.landmarks is None:
            dropped.append(Drop(path=outcome.path, reason=outcome.reason))
        else:
            kept[outcome.path] = replace(job.record, landmarks=outcome.landmarks)
            crops[outcome.path] = job.crop
        if outcome.note:
            notes.append(f"{outcome.path}: {outcome.note}")
    source, unenrolled = _closed(database.with_records(kept))
    report = make_report(database, crops.keys(), dropped, [*notes, *unenrolled])
    write_atomically(out / REPORT, report.text().encode(errors="backslashreplace"))
    _require_usable(out, report)
    manifest = Manifest(
        layout=options.layout,
        backend=options.backend,
        sizes=options.sizes,
        source=source,
        crops=crops,
        dropped=tuple(dropped),
    )
    for size in options.sizes:
        require_crops(crops_folder(out, size), tuple(crops.values()))
    write_manifest(out, manifest)
    return report


def _closed(database: Database) -> tuple[Database, tuple[str, ...]]:
    """The database without probes whose people lost all that was enrolled of them, and notes on that."""
    notes: list[str] = []
    protocols = {}
    for name, protocol in database.protocols.items():
        protocols[name], remarks = closed(protocol)
        notes += remarks
    return replace(database, protocols=protocols), tuple(notes)


def _require_usable(out: Path, report: PrepareReport) -> None:
    """Refuses a result that nobody could train or test with."""
    if not report.kept:
        first = report.dropped[0]
        raise UserError(
            f"{out / REPORT}: none of {len(report.dropped)} captures could be used; "
            f"the first, {first.path}: {first.reason}"
        )
    if report.emptied:
        lists = ", ".join(
            f"{count.part} of protocol {count.protocol} ({count.before})" for count in report.emptied
        )
        raise UserError(
            f"{out / REPORT}: every capture was dropped of {lists}; mend the reasons listed there"
        )
