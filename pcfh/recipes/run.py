"""A table from beginning to end: prepare, train, evaluate, write. What is done already is passed over."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from re import fullmatch

from pcfh import __version__
from pcfh.errors import UserError
from pcfh.evaluation.evaluation_data import evaluated_protocols
from pcfh.landmarks import open_backend
from pcfh.preparation.manifest import read_manifest
from pcfh.recipes.order import Order, Run, Watch, require_sound, runs_of
from pcfh.recipes.paper import LIGHT_CNN
from pcfh.recipes.rows import images_seen, row_config
from pcfh.recipes.scoring import Evaluated, Remembering, evaluate_run, evaluation_stage, read_evaluated
from pcfh.recipes.sources import crop_sizes, prepare_database, prepared_folder
from pcfh.recipes.stages import is_done, require_settings
from pcfh.recipes.summary import compared, figures_of, measured_row, method_of, outcomes_of
from pcfh.recipes.table import Table
from pcfh.recipes.training import cost_file, read_cost, train_run, training_stage
from pcfh.recognisers.base import Recognizer
from pcfh.recognisers.registry import open_recognizer
from pcfh.runtime import Runtime


def reproduce(order: Order, runtime: Runtime, watch: Watch) -> Table | None:
    """Carries an order out as far as it says.

    Args:
        order: what the user wants.
        runtime: processes and device; several processes train only.
        watch: what to tell, and whether to stop.

    Returns:
        The table of all rows and seeds that are done under these settings, those of earlier calls included.
        None where the order ends before, or the work was stopped.

    Raises:
        UserError: databases, settings or folders do not fit.
    """
    require_sound(order)
    recognizer = open_recognizer(order.recognizer, device=str(runtime.device))
    # Opened first, so that nobody learns after a day of training that its files are not there.
    backend = Remembering(open_backend("blaze")) if order.pose and order.until == "table" else None
    require_settings(order.work, settings_of(order, recognizer))
    prepared = _prepared(order, recognizer, runtime, watch)
    if order.until == "prepared":
        return None
    folds = folds_of(order, prepared["casia"])
    runs = [run for key in order.chosen_rows for run in runs_of(key, order.chosen_seeds, folds)]
    for run in runs:
        if run.seed is not None and not train_run(order, run, prepared["casia"], runtime, watch):
            return None
    if order.until == "trained":
        return None
    for run in runs:
        evaluate_run(order, run, prepared[order.tested], recognizer, backend, watch)
    return collect(order, prepared, recognizer)


def settings_of(order: Order, recognizer: Recognizer) -> dict[str, object]:
    """What must be the same for all rows that share a folder, as plain data."""
    settings: dict[str, object] = {
        "preset": order.scale.preset,
        "steps": row_config("pcfh", order.scale, 0).training.steps,
        "set": sorted(order.scale.settings),
        "recognizer": recognizer.key,
        "landmarks": order.landmarks,
    }
    if order.tested != "casia":
        settings[f"{order.tested} seed"] = order.draw_seed
    return settings


def folds_of(order: Order, casia: Path) -> tuple[str, ...]:
    """The folds of CASIA that the table is about.

    Raises:
        UserError: there is no such fold.
    """
    database = read_manifest(casia).source
    names = evaluated_protocols(database.protocols, order.protocols)
    for name in names:
        database.protocol(name)
    if not names:
        raise UserError(f"{database.root}: no protocol has probes; its lists are needed")
    if len(names) > 1 and order.table != "table2":
        raise UserError(
            f"Table {order.paper.number} is of one fold, got {', '.join(names)}; name one by --protocol"
        )
    return names


def collect(order: Order, prepared: Mapping[str, Path], recognizer: Recognizer) -> Table:
    """The table of everything that is done under the order's settings."""
    folds = folds_of(order, prepared["casia"])
    rows = {key: _finished(order, key, folds, prepared, recognizer) for key in order.paper.keys}
    rows = {key: runs for key, runs in rows.items() if runs}
    alone = figures_of(outcomes_of(rows[LIGHT_CNN], method_of(LIGHT_CNN))) if LIGHT_CNN in rows else None
    measured = {key: measured_row(key, runs, alone, _costs(order, runs)) for key, runs in rows.items()}
    results = next(iter(next(iter(rows.values())).values())).results
    return Table(
        version=__version__,
        table=order.table,
        folds=folds,
        recognizer=recognizer.name,
        recognizer_key=recognizer.key,
        preset=order.scale.preset,
        settings=order.scale.settings,
        images=images_seen(row_config("pcfh", order.scale, 0)),
        size=order.size,
        rendered=results.rendered,
        probes=sum(fold.probes for fold in results.folds),
        gallery=sum(fold.gallery for fold in results.folds),
        resamples=order.resamples,
        rows=tuple(measured.values()),
        comparisons=compared(rows),
        notes=tuple(dict.fromkeys((*results.notes, *_notes(order)))),
    )


def _prepared(order: Order, recognizer: Recognizer, runtime: Runtime, watch: Watch) -> dict[str, Path]:
    """The prepared databases by name; several processes find them done."""
    names = dict.fromkeys(("casia", order.tested))
    if runtime.processes > 1:
        return {name: prepared_folder(order.work, name) for name in names}
    sizes = crop_sizes(order.size, recognizer.alignment)
    return {name: prepare_database(order, name, sizes, watch) for name in names}


def _finished(
    order: Order, key: str, folds: tuple[str, ...], prepared: Mapping[str, Path], recognizer: Recognizer
) -> dict[Run, Evaluated]:
    """The runs of a row, of all seeds whose folds are all done."""
    found: dict[Run, Evaluated] = {}
    for seed in _seeds_there(order, key):
        runs = runs_of(key, (seed,), folds)
        if all(_is_finished(order, run, prepared, recognizer) for run in runs):
            found |= {run: read_evaluated(order, run) for run in runs}
    return found


def _seeds_there(order: Order, key: str) -> Iterator[int]:
    """The seeds of a row's folders; of a row that is not trained, any one."""
    if key == LIGHT_CNN:
        yield 0
        return
    names = (fullmatch(r"seed-(\d+)", path.name) for path in (order.work / "rows" / key).glob("seed-*"))
    yield from sorted(int(name[1]) for name in names if name)


def _is_finished(order: Order, run: Run, prepared: Mapping[str, Path], recognizer: Recognizer) -> bool:
    if run.seed is not None and not is_done(training_stage(order, run, prepared["casia"])):
        return False
    return is_done(evaluation_stage(order, run, prepared[order.tested], recognizer))


def _costs(order: Order, runs: Mapping[Run, Evaluated]) -> tuple[float, float]:
    """Seconds of processors and by the clock of some trainings."""
    costs = [read_cost(cost_file(run, order.work)) for run in runs]
    return sum(c.processor_seconds for c in costs), sum(c.wall_seconds for c in costs)


def _notes(order: Order) -> tuple[str, ...]:
    """What the reader of this table must know."""
    notes = []
    if order.tested != "casia":
        notes.append(f"Who is tested was drawn with seed {order.draw_seed}: there is no official list.")
    if order.landmarks == "given":
        notes.append("The landmarks lie with the database; in life a detector finds them.")
    return tuple(notes)
