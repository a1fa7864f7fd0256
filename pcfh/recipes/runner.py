"""A table from beginning to end: prepare, train, evaluate, compare. Each part resumes itself.

    <work>/prepared/<casia|buaa|oulu>            prepared databases, see ``pcfh.preparation.manifest``
    <work>/rows/light-cnn/fold-<k>/              a row that is not trained
    <work>/rows/<row>/seed-<s>/fold-<k>/         one training and what became of it:
        run/                                     see ``pcfh.training.loop``, or what was trained elsewhere
        <casia|buaa|oulu>/                       results.json and outcomes.npz of its evaluation
        <casia|buaa|oulu>/by-<recogniser>/       the same by a recogniser that no training has seen
        <casia|buaa|oulu>/curve.json             what it was worth along the way, see ``pcfh.recipes.curve``
        tuned.safetensors                        the tuned recogniser of a row that has one
    <work>/cache                                 features, generated faces, maps of frozen layers

Several tables can share a folder.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import fsum
from pathlib import Path
from typing import Any

from pcfh import __version__
from pcfh.config import identity_of
from pcfh.databases.layouts import in_protocols, open_database
from pcfh.databases.records import Database
from pcfh.errors import UserError
from pcfh.evaluation.evaluate import evaluate
from pcfh.evaluation.evaluation_data import EvaluationData, evaluated_protocols
from pcfh.evaluation.outcomes import OUTCOMES, Evaluation, read_outcomes, write_outcomes
from pcfh.evaluation.report import RESULTS
from pcfh.evaluation.results import read_results, to_json
from pcfh.files import sha256_of, write_atomically
from pcfh.hallucinate import Hallucinator
from pcfh.landmarks import open_backend
from pcfh.landmarks.base import LandmarkBackend
from pcfh.methods.find import configured
from pcfh.methods.job import TrainingJob
from pcfh.methods.train import GENERATOR, kept_generators, train
from pcfh.preparation.align_capture import PrepareOptions
from pcfh.preparation.align_database import prepare
from pcfh.preparation.manifest import MANIFEST, learnt_from, read_manifest
from pcfh.recipes.comparison import (
    Cost,
    OutsideView,
    ReproducedTable,
    compared,
    figures_of,
    measured_row,
)
from pcfh.recipes.curve import CURVE, Point, curve_job, curve_rows, measure_points, read_points
from pcfh.recipes.elsewhere import Guest, guest
from pcfh.recipes.experiment import (
    ExperimentConfig,
    RecipeCallbacks,
    Row,
    Run,
    evaluation_job,
    needs_recognizer,
    planned_images,
    prepared_folder,
    require_sound,
    row_config,
    row_of,
    runs_of,
)
from pcfh.recipes.paper_numbers import LIGHT_CNN
from pcfh.recipes.tuning import TuningJob, carry_out, done
from pcfh.recognisers.alignment import Alignment
from pcfh.recognisers.base import Recognizer
from pcfh.recognisers.registry import open_recognizer
from pcfh.recognisers.tuned import load_tuned
from pcfh.recognisers.tuning.tune import TUNED_FILE
from pcfh.runtime import Runtime
from pcfh.training.loop import SETTINGS, Callbacks
from pcfh.training.monitor import read_metrics

_DRAWN = "1"  # the protocol of Oulu-CASIA and BUAA
_SAME_BUDGET = 0.02  # share by which a training elsewhere may differ in images before a note says so
_RECOGNISED = 144  # pixels; what a recogniser is served best by, where generated faces are larger or smaller


@dataclass(frozen=True, kw_only=True)
class _Bench:
    """What all runs share.

    Attributes:
        config: what the user wants.
        casia: prepared folder that is trained on.
        tested: prepared folder that is tested on.
        recognizer: F, one for all.
        outside: others, that no training has seen.
    """

    config: ExperimentConfig
    casia: Path
    tested: Path
    recognizer: Recognizer
    outside: tuple[Recognizer, ...] = ()
    _learnt: dict[str, Mapping[str, Any]] = field(default_factory=dict)  # a large manifest is read once
    _tunings: dict[Run, TuningJob] = field(default_factory=dict)  # which keep what they have opened

    def learnt(self, fold: str) -> Mapping[str, Any]:
        """What a generator that is trained on a fold has learnt from."""
        if fold not in self._learnt:
            self._learnt[fold] = learnt_from(self.casia, fold)
        return self._learnt[fold]

    def weights(self, run: Run) -> Path | None:
        """The generator of a run; None where there is none."""
        own = generator_run(run)
        return None if own is None else own.folder(self.config.work) / "run" / GENERATOR

    def tuning(self, run: Run) -> TuningJob | None:
        """How the recogniser of a run is tuned; None where it stays as it is."""
        rival = row_of(run.row).rival
        if rival is None or run.seed is None:
            return None
        if run not in self._tunings:
            self._tunings[run] = TuningJob(
                prepared=self.casia,
                protocol=run.fold,
                out=run.folder(self.config.work) / TUNED_FILE,
                rival=rival,
                recognizer=self.config.recognizer,
                cache=self.config.work / "cache",
                generator=self.weights(run),
                seed=run.seed,
                device=self.config.device,
                batch=self.config.batch,
            )
        return self._tunings[run]

    def judge(self, run: Run, recognizer: Recognizer) -> Recognizer | None:
        """Who scores a run in the place of a recogniser: itself, or what was tuned from F.

        None where the run is of a tuned F, and another recogniser is asked: it has no part in that.
        """
        job = self.tuning(run)
        if job is None:
            return recognizer
        if recognizer is not self.recognizer:
            return None
        return open_recognizer(job.out, device=self.config.device)

    @property
    def recognizers(self) -> tuple[Recognizer, ...]:
        """F and the others."""
        return (self.recognizer, *self.outside)

    def evaluation(self, run: Run, recognizer: Recognizer) -> Path:
        """Folder of the evaluation of a run by a recogniser."""
        folder = run.folder(self.config.work) / self.config.tested
        return folder if recognizer is self.recognizer else folder / f"by-{safe_name(recognizer.name)}"

    def protocol(self, run: Run) -> str:
        """Name of the protocol that a run is tested on."""
        return run.fold if self.config.tested == "casia" else _DRAWN


def reproduce(
    config: ExperimentConfig, runtime: Runtime, callbacks: RecipeCallbacks
) -> ReproducedTable | None:
    """Makes a table, as far as the configuration says.

    Args:
        config: what the user wants.
        runtime: processes and device; several processes train only.
        callbacks: whom to tell, and whether to stop.

    Returns:
        The table of all rows and seeds that are done with these settings, those of earlier calls included.
        None where the work ends before, or was stopped.

    Raises:
        UserError: databases, settings or folders do not fit.
    """
    require_sound(config)
    recognizer, outside = open_recognizers(config, str(runtime.device))
    # Opened first, so that nobody learns after a day of training that its files are not there.
    backend = open_backend("blaze") if config.pose and config.until == "table" else None
    prepared = _prepared(config, (recognizer, *outside), runtime, callbacks)
    if config.until == "prepared":
        return None
    bench = _Bench(
        config=config,
        casia=prepared["casia"],
        tested=prepared[config.tested],
        recognizer=recognizer,
        outside=outside,
    )
    folds = folds_of(config, bench.casia)
    runs = [run for row in config.chosen_rows for run in runs_of(row, config.chosen_seeds, folds)]
    for run in runs:
        own = generator_run(run)
        if own is not None and not train_run(bench, own, runtime, callbacks):
            return None
        if runtime.is_first:
            tune_run(bench, run, callbacks)
    if config.until == "trained":
        return None
    for run in runs:
        for one in bench.recognizers:
            evaluate_run(bench, run, one, backend, callbacks)
    if config.budget.curve:
        for run in runs:
            measure_curve(bench, run, callbacks)
    return collect(bench, folds)


def open_recognizers(config: ExperimentConfig, device: str) -> tuple[Recognizer, tuple[Recognizer, ...]]:
    """F, and those that no training has seen.

    Raises:
        UserError: one cannot be opened, or two have one name.
    """
    recognizer = open_recognizer(config.recognizer, device=device)
    outside = tuple(open_recognizer(place, device=device) for place in config.outside)
    names = [safe_name(one.name).lower() for one in (recognizer, *outside)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(
            f"--outside: two recognisers are called {twice}, and the rows' own is {recognizer.name}; give "
            "files of different names"
        )
    return recognizer, outside


def safe_name(name: str) -> str:
    """A recogniser's name without what could trouble a file system, and without the ending of a file."""
    return re.sub(r"[^\w.-]", "_", name.removesuffix(".onnx"))


# Preparation


def crop_sizes(size: int, alignments: Iterable[Alignment]) -> tuple[int, ...]:
    """Sides of the crops: the generator's, and 144 pixels where a recogniser has a use for them."""
    needed = size > _RECOGNISED or any(
        alignment.convention != "lightcnn" and size < _RECOGNISED for alignment in alignments
    )
    return (_RECOGNISED, size) if needed else (size,)


def prepare_database(
    config: ExperimentConfig, name: str, sizes: tuple[int, ...], callbacks: RecipeCallbacks
) -> Path:
    """Prepares a database, unless its captures are prepared in this way already.

    Args:
        config: what the user wants.
        name: casia, oulu or buaa.
        sizes: sides of the crops.
        callbacks: whom to tell.

    Returns:
        The prepared folder.

    Raises:
        UserError: the database cannot be read or prepared, or the folder holds another one.
    """
    out = prepared_folder(config.work, name)
    if name not in config.databases:
        return _as_it_lies(out, config.size)
    database = in_protocols(_opened(config, name))
    if _is_prepared(out, database, config.size, config.landmarks):
        return out  # without a look at the pictures: others may be training on the folder
    callbacks.say(f"Preparing {database.root}")
    options = PrepareOptions(
        sizes=sizes,
        backend=config.landmarks,
        workers=config.workers,
        layout=name,
        device="cpu" if config.device == "auto" else config.device,
    )
    tell = callbacks.progress("prepare ")
    report = prepare(database, out, options, on_progress=lambda done, total: tell(name, done, total))
    if report.dropped:
        callbacks.say(f"{len(report.dropped)} captures could not be prepared, see {out / 'report.txt'}")
    return out


def _as_it_lies(out: Path, size: int) -> Path:
    """A prepared folder whose database was not named, e.g. an unpacked one."""
    sizes = read_manifest(out).sizes
    if size not in sizes:
        raise UserError(
            f"{out}: has crops of {', '.join(map(str, sizes))} pixels, and the preset wants {size}; take "
            "another preset, or prepare the database in that size"
        )
    return out


def _prepared(
    config: ExperimentConfig,
    recognizers: Iterable[Recognizer],
    runtime: Runtime,
    callbacks: RecipeCallbacks,
) -> dict[str, Path]:
    """The prepared databases by name; several processes find them done."""
    names = dict.fromkeys(("casia", config.tested))
    if runtime.processes > 1:
        return {name: prepared_folder(config.work, name) for name in names}
    sizes = crop_sizes(config.size, (one.alignment for one in recognizers))
    return {name: prepare_database(config, name, sizes, callbacks) for name in names}


def _opened(config: ExperimentConfig, name: str) -> Database:
    """The database; of those that are only tested on, without the people for training."""
    if name == "casia":
        return open_database(config.databases[name], name)
    database = open_database(config.databases[name], name, seed=config.draw_seed)
    protocols = {key: replace(protocol, train=()) for key, protocol in database.protocols.items()}
    return replace(database, protocols=protocols)


def _is_prepared(out: Path, database: Database, size: int, landmarks: str) -> bool:
    """Whether a folder will do: crops of the generator's size are all that it must have."""
    if not (out / MANIFEST).is_file():
        return False
    found = read_manifest(out)
    captures = {*(r.path for r in found.source.records), *(drop.path for drop in found.dropped)}
    return (
        (found.source.root, found.backend) == (database.root, landmarks)
        and size in found.sizes
        and captures == {record.path for record in database.records}
        and found.source.protocols.keys() == database.protocols.keys()
    )


# Training


def train_run(bench: _Bench, run: Run, runtime: Runtime, callbacks: RecipeCallbacks) -> bool:
    """Trains a run to its end, unless that is done.

    Returns:
        Whether it is at its end; false where it was asked to stop.

    Raises:
        UserError: the folder holds a run of other settings, another process is at work there, or its
            generator is not the one that was trained.
    """
    job = _training_job(bench, run)
    steps = job.config.training.steps
    if elsewhere(bench, run) is not None:
        return True
    if not is_trained(bench, run):
        callbacks.say(f"Training {run}")

    def on_step(step: int, values: Mapping[str, float]) -> None:
        callbacks.on_progress(str(run), step, steps)

    told = Callbacks(on_step=on_step, on_note=callbacks.say, should_stop=callbacks.should_stop)
    state = train(job, runtime, told)
    runtime.wait()  # for the file, which the first process writes
    if state.step >= steps and not is_trained(bench, run):
        raise UserError(
            f"{job.run / GENERATOR}: is not what the training in this folder left; delete {job.run}, and the "
            "same command trains it again"
        )
    return state.step >= steps


def generator_run(run: Run) -> Run | None:
    """The run whose training leaves a run's generator; None where nothing is generated."""
    key = row_of(run.row).generator
    return None if key is None else replace(run, row=key)


def tune_run(bench: _Bench, run: Run, callbacks: RecipeCallbacks) -> None:
    """Tunes the recogniser of a run, unless that is done, or the row leaves it as it is.

    Raises:
        UserError: the recogniser is no Light CNN, or too few people train.
    """
    job = bench.tuning(run)
    if job is None or done(job):
        return
    callbacks.say(f"Tuning {run}")
    tuning = carry_out(job, callbacks.progress(f"{run}: "))
    callbacks.say(f"{run}: {tuning.steps} steps")


def elsewhere(bench: _Bench, run: Run) -> Guest | None:
    """What stands for a run without a training here; None where there is no such generator.

    Raises:
        UserError: there is one, and it does not fit.
    """
    weights, own = bench.weights(run), generator_run(run)
    if weights is None or own is None:
        return None
    return guest(_training_job(bench, own), weights, bench.learnt(run.fold))


def is_trained(bench: _Bench, run: Run) -> bool:
    """Whether the generator of a run is the last of a training here, with these settings and data."""
    weights, own = bench.weights(run), generator_run(run)
    assert weights is not None and own is not None
    job = _training_job(bench, own)
    try:
        about = Hallucinator.from_file(weights, device="cpu").about
        settings = configured(bench.config.budget.preset, file=job.run / SETTINGS)
    except UserError:
        return False
    found = (about.get("step"), about.get("protocol"), about.get("training_data"), identity_of(settings))
    data = bench.learnt(run.fold)["training_data"]
    return found == (job.config.training.steps, run.fold, data, identity_of(job.config))


def _training_job(bench: _Bench, run: Run) -> TrainingJob:
    assert run.seed is not None
    config = row_config(row_of(run.row), bench.config.budget, run.seed)
    return TrainingJob(
        prepared=bench.casia,
        protocol=run.fold,
        run=run.folder(bench.config.work) / "run",
        config=config,
        recognizer=bench.config.recognizer if needs_recognizer(config) else None,
    )


# Evaluation


def evaluate_run(
    bench: _Bench,
    run: Run,
    recognizer: Recognizer,
    backend: LandmarkBackend | None,
    callbacks: RecipeCallbacks,
) -> None:
    """Evaluates a run, unless that is done. All runs draw people with one seed, so draws can be paired.

    The images' quality is measured once, in the evaluation by F.

    Args:
        bench: what all runs share.
        run: which; trained.
        recognizer: by which.
        backend: finds landmarks in generated faces; None leaves pose out.
        callbacks: whom to tell.

    Raises:
        UserError: the database has no such protocol.
    """
    judge = bench.judge(run, recognizer)
    if judge is None or evaluated(bench, run, recognizer) is not None:
        return
    first = recognizer is bench.recognizer
    name = f"{run}" if first else f"{run}, by {recognizer.name}"
    callbacks.say(f"Evaluating {name}")
    config, weights, protocol = bench.config, bench.weights(run), bench.protocol(run)
    job = evaluation_job(config, bench.tested, protocol)
    generators = {}
    if weights is not None:
        generators[protocol] = Hallucinator.from_file(weights, device=config.device)
    data = EvaluationData(job, generators, judge.alignment)
    tell = callbacks.progress(f"{name}: ")
    quality = first and (judge is recognizer or bool(generators))
    found = evaluate(data, judge, backend=backend if first else None, quality=quality, on_progress=tell)
    folder = bench.evaluation(run, recognizer)
    write_outcomes(folder / OUTCOMES, found.outcomes)
    write_atomically(folder / RESULTS, to_json(found.results).encode())


def evaluated(bench: _Bench, run: Run, recognizer: Recognizer) -> Evaluation | None:
    """What the evaluation of a run left, if it was of this data, recogniser, generator and settings."""
    folder, weights = bench.evaluation(run, recognizer), bench.weights(run)
    try:
        results = read_results(folder / RESULTS)
        outcomes = read_outcomes(folder / OUTCOMES)
        judge = bench.judge(run, recognizer)
    except UserError:
        return None
    if judge is None:
        return None
    keys = {judge.key} | ({sha256_of(weights)} if weights else set())
    same = (
        (results.version, results.resamples) == (__version__, bench.config.resamples)
        and results.manifest == sha256_of(bench.tested / MANIFEST)
        and {model.key for model in results.models} == keys
        and results.pose >= (bench.config.pose and recognizer is bench.recognizer)  # more is no harm
    )
    return Evaluation(results=results, outcomes=outcomes) if same else None


def measure_curve(bench: _Bench, run: Run, callbacks: RecipeCallbacks) -> None:
    """Scores the generators that a training has kept, unless that is done.

    Raises:
        UserError: a file does not fit.
    """
    weights = bench.weights(run)
    if weights is None or row_of(run.row).rival is not None:
        return
    job = evaluation_job(bench.config, bench.tested, bench.protocol(run))
    measure_points(
        bench.evaluation(run, bench.recognizer),
        [*kept_generators(weights.parent), weights],
        curve_job(job),
        bench.recognizers,
        device=bench.config.device,
        on_progress=callbacks.progress(f"{run}, along the way: "),
    )


# The table


def folds_of(config: ExperimentConfig, casia: Path) -> tuple[str, ...]:
    """The folds of CASIA that the table is about.

    Raises:
        UserError: there is no such fold.
    """
    database = read_manifest(casia).source
    names = evaluated_protocols(database.protocols, config.protocols)
    for name in names:
        database.protocol(name)
    if not names:
        raise UserError(f"{database.root}: no protocol has probes; its lists are needed")
    if len(names) > 1 and config.table != "table2":
        raise UserError(
            f"Table {config.paper.number} is of one fold, got {', '.join(names)}; name one by --protocol"
        )
    return names


def collect(bench: _Bench, folds: tuple[str, ...]) -> ReproducedTable:
    """The table of everything that is done under these settings."""
    config = bench.config
    others = (row.key for row in config.chosen_rows)
    keys = dict.fromkeys((*config.paper.keys, *others))
    found = {row_of(key): _finished(bench, row_of(key), folds) for key in keys}
    trained = {row: runs for row, runs in found.items() if runs}
    plain = {row: runs for row, runs in trained.items() if row.rival is None}
    rows = {row: _evaluations(bench, runs, bench.recognizer) for row, runs in trained.items()}
    alone = next((figures_of(row, runs) for row, runs in rows.items() if row.key == LIGHT_CNN), None)
    results = next(iter(next(iter(rows.values())).values())).results
    notes = [note for row in trained for run in trained[row] for note in _notes_on(bench, run)]
    return ReproducedTable(
        version=__version__,
        table=config.table,
        folds=folds,
        recognizer=bench.recognizer.name,
        recognizer_key=bench.recognizer.key,
        preset=config.budget.preset,
        settings=config.budget.settings,
        images=planned_images(config.budget),
        size=config.size,
        rendered=results.rendered,
        probes=sum(fold.probes for fold in results.folds),
        gallery=sum(fold.gallery for fold in results.folds),
        resamples=config.resamples,
        rows=tuple(measured_row(row, runs, alone, _cost(bench, runs)) for row, runs in rows.items()),
        comparisons=compared(rows),
        outside=tuple(_outside(bench, plain, one) for one in bench.outside),
        curve=curve_rows(
            {row.key: _points(bench, runs) for row, runs in plain.items()},
            [one.key for one in bench.recognizers],
        ),
        notes=tuple(dict.fromkeys((*results.notes, *_notes(config), *notes))),
    )


def _outside(bench: _Bench, trained: Mapping[Row, Sequence[Run]], recognizer: Recognizer) -> OutsideView:
    """What a recogniser that no training has seen says of the same rows."""
    rows = {row: _evaluations(bench, runs, recognizer) for row, runs in trained.items()}
    alone = next((figures_of(row, runs) for row, runs in rows.items() if row.key == LIGHT_CNN), None)
    return OutsideView(
        recognizer=recognizer.name,
        key=recognizer.key,
        rows=tuple(measured_row(row, runs, alone, Cost()) for row, runs in rows.items()),
        comparisons=compared(rows),
    )


def _points(bench: _Bench, runs: Iterable[Run]) -> list[Point]:
    """Of some runs along the way."""
    files = (bench.evaluation(run, bench.recognizer) / CURVE for run in runs)
    return [point for file in files for point in read_points(file)]


def _finished(bench: _Bench, row: Row, folds: tuple[str, ...]) -> list[Run]:
    """The runs of a row that are evaluated by every recogniser, of all seeds whose folds are all done."""
    place = Run(row=row.key, seed=0, fold="").folder(bench.config.work).parent.parent
    there = (path.name.removeprefix("seed-") for path in place.glob("seed-*"))
    seeds = sorted(int(name) for name in there if name.isdecimal()) if row.is_trained else [0]
    found: list[Run] = []
    for seed in seeds:
        runs = runs_of(row, [seed], folds)
        if all(_has_generator(bench, run) for run in runs) and all(
            evaluated(bench, run, one) is not None
            for run in runs
            for one in (bench.recognizers if row.rival is None else (bench.recognizer,))
        ):
            found += runs
    return found


def _has_generator(bench: _Bench, run: Run) -> bool:
    """Whether a run has what it is to be evaluated with."""
    job = bench.tuning(run)
    try:
        if job is not None and not done(job):
            return False
        if bench.weights(run) is None or is_trained(bench, run):
            return True
        return elsewhere(bench, run) is not None
    except UserError:  # of a row that this call does not ask for
        return False


def _evaluations(bench: _Bench, runs: Iterable[Run], recognizer: Recognizer) -> dict[Run, Evaluation]:
    """Those of finished runs by one recogniser."""
    found = {run: evaluated(bench, run, recognizer) for run in runs}
    return {run: one for run, one in found.items() if one is not None}


def _cost(bench: _Bench, runs: Iterable[Run]) -> Cost:
    """Of some trainings, as the last rows of their metrics.csv say."""
    runs = [*runs]
    jobs = [job for run in runs if (job := bench.tuning(run)) is not None]
    tuned = [load_tuned(job.out)[1]["processor_seconds"] for job in jobs]
    folders = [weights.parent for run in runs if (weights := bench.weights(run)) is not None]
    rows = [row for folder in folders for row in read_metrics(folder)[-1:]]
    return Cost(
        processor_seconds=fsum([*(float(row["processor_seconds"]) for row in rows), *tuned]),
        wall_seconds=fsum([*(float(row["wall_seconds"]) for row in rows), *tuned]),
    )


def _notes_on(bench: _Bench, run: Run) -> list[str]:
    """What the reader must know of one run."""
    found = elsewhere(bench, run)
    if found is None:
        return []
    notes, planned = found.notes(f"{run}"), planned_images(bench.config.budget)
    if found.images is None or abs(found.images - planned) > _SAME_BUDGET * planned:
        seen = "an unknown number of" if found.images is None else f"{found.images:,}"
        notes.append(f"{run} has seen {seen} images, the plan is {planned:,}.")
    return notes


def _notes(config: ExperimentConfig) -> list[str]:
    """What the reader of this table must know."""
    notes = []
    if config.tested != "casia":
        notes.append(f"Who is tested was drawn with seed {config.draw_seed}: there is no official list.")
    if config.landmarks == "given":
        notes.append("The landmarks lie with the database; in life a detector finds them.")
    return notes
