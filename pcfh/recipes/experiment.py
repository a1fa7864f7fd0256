"""What is to be reproduced: a table, the rows to measure, the databases, and how much training there is.

A row is a trained file and a way to score with it. All rows of a table see the same number of images: as
many as the user says, or as PCFH's preset does, steps x batch. The other methods keep their own settings
otherwise, and the size of PCFH's images.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pcfh.config import known_settings, nearest
from pcfh.databases.rendered import TRUTH
from pcfh.errors import UserError
from pcfh.evaluation.evaluation_data import EvaluationJob
from pcfh.evaluation.results import FUSION, GENERATED, ORIGINAL
from pcfh.methods.base import Config, find_method, known_methods
from pcfh.methods.find import overridden, preset, presets, validate
from pcfh.preparation.manifest import MANIFEST, read_manifest
from pcfh.recipes.paper_numbers import LIGHT_CNN, NO_AWM, NO_MIC, PCFH, TABLES, PaperTable
from pcfh.recognisers.tuning.base import Rival, known_rivals

Until = Literal["prepared", "trained", "table"]
# Settings that all rows share; a method's own groups are its own, the rest of training.* is PCFH's.
SHARED = (
    *("training.size", "training.precision", "training.flip", "training.vary_nir", "training.vary_camera"),
    *("training.levels", "training.warp_cache_mb"),
    *("training.log_every", "training.image_every", "training.checkpoint_every"),
    *("training.validation", "training.validate_every", "training.keep_every"),
)
_ABLATIONS = {NO_AWM: ("objective.awm=false",), NO_MIC: ("objective.mic=false",)}
_TAKEN = {
    "training.steps": "give --steps or --images",
    "training.seed": "give --seeds",
    "training.method": "the rows say it",
    "objective.awm": "the rows say it",
    "objective.mic": "the rows say it",
}
_RENDERED = (
    "a rendered database in the same layout works too: pcfh render makes one with the lists of CASIA "
    "NIR-VIS 2.0, samples/NIR-VIS-2.0 is a small one"
)
_LICENSED: Mapping[str, str] = {
    "casia": "CASIA NIR-VIS 2.0, on which all models are trained; it is licensed: ask the Center for "
    "Biometrics and Security Research, Institute of Automation, Chinese Academy of Sciences",
    "oulu": "Oulu-CASIA NIR-VIS; it is licensed: ask the University of Oulu, whose machine vision group "
    "recorded it with the Chinese Academy of Sciences",
    "buaa": "BUAA-VisNir; it is licensed: ask Beihang University (BUAA), IRIP laboratory",
}


@dataclass(frozen=True, kw_only=True)
class TrainingBudget:
    """How much training there is.

    Attributes:
        preset: of PCFH.
        steps: of PCFH; None takes the preset's.
        images: NIR images that each training sees, whatever its batch, in the place of steps; None goes by
            the steps.
        curve: how many generators each training keeps along the way; 0 keeps the last only.
        settings: overrides such as objective.lambda_id=0.001; see ``SHARED`` for the rows they apply to.
        gigabytes: memory of the GPU that the presets' batches shall fill, unless a batch is given; None takes
            the presets as they are.
    """

    preset: str
    steps: int | None = None
    images: int | None = None
    curve: int = 0
    settings: tuple[str, ...] = ()
    gigabytes: float | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of a table that can be measured.

    Attributes:
        key: what ``--rows`` calls it.
        method: that is trained; None for the recogniser alone.
        settings: that make it what it is.
        score: how ``pcfh evaluate`` calls the row's score.
        rival: by which the recogniser is tuned; None where it stays as it is.
    """

    key: str
    method: str | None
    settings: tuple[str, ...] = ()
    score: str = FUSION
    rival: Rival | None = None

    @property
    def is_trained(self) -> bool:
        """Whether there is a training, of a generator or of the recogniser."""
        return self.method is not None or self.rival is not None

    @property
    def generator(self) -> str | None:
        """Key of the row whose generator it takes, its own as a rule; None where nothing is generated."""
        if self.rival is not None:
            return self.rival.generator or None
        return None if self.method is None else self.key


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training, or the recogniser alone.

    Attributes:
        row: key of the row.
        seed: of the training; None for a recogniser alone.
        fold: of CASIA that it is trained on.
    """

    row: str
    seed: int | None
    fold: str

    def folder(self, work: Path) -> Path:
        """Where it lies."""
        seed = () if self.seed is None else (f"seed-{self.seed}",)
        return work.joinpath("rows", self.row.replace(":", "."), *seed, f"fold-{self.fold}")

    def __str__(self) -> str:
        seed = "" if self.seed is None else f", seed {self.seed}"
        return f"{self.row}{seed}, fold {self.fold}"


@dataclass(frozen=True, kw_only=True)
class ExperimentConfig:
    """What the user wants.

    Attributes:
        table: table1 to table4.
        out: folder of the finished table.
        work: folder of prepared databases and trained rows; several tables can share it.
        databases: root of each database by name: casia, oulu, buaa; one that is prepared need not be there.
        protocols: folds of CASIA to train on.
        budget: how much training there is.
        recognizer: file of F, for the scores and for the identity loss.
        outside: recognisers that no training has seen, by which each row is scored, too: files, or
            my_module:MyRecognizer.
        rows: keys of the rows, several may be joined by commas; none stands for the table's usual ones.
        seeds: of training; none stands for the table's usual ones.
        landmarks: backend that prepares: blaze, fan or given.
        pose: whether landmarks are found in generated faces, too.
        draw_seed: of the protocol of Oulu-CASIA or BUAA, which is drawn.
        workers: processes that prepare.
        device: for networks.
        batch: faces computed at once.
        resamples: draws of people of each confidence interval.
        until: where to stop.
    """

    table: str
    out: Path
    work: Path
    databases: Mapping[str, Path]
    protocols: tuple[str, ...]
    budget: TrainingBudget
    recognizer: Path
    outside: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    landmarks: str = "blaze"
    pose: bool = True
    draw_seed: int = 0
    workers: int = 1
    device: str = "auto"
    batch: int = 32
    resamples: int = 1000
    until: Until = "table"

    @property
    def paper(self) -> PaperTable:
        """The table as the paper has it."""
        return TABLES[self.table]

    @property
    def chosen_rows(self) -> tuple[Row, ...]:
        """The rows to measure now."""
        rows = chosen_rows(self.paper, self.rows)
        if not self.rows and self.recognizer.suffix == ".onnx":  # which no rival can tune
            rows = tuple(row for row in rows if row.rival is None)
        return rows

    @property
    def chosen_seeds(self) -> tuple[int, ...]:
        """The seeds to train with now."""
        return tuple(dict.fromkeys(self.seeds)) or self.paper.seeds

    @property
    def tested(self) -> str:
        """Name of the database that is tested on."""
        return self.paper.database

    @property
    def size(self) -> int:
        """Side of the generated images."""
        return pcfh_config(self.budget).training.size


@dataclass(frozen=True, kw_only=True)
class RecipeCallbacks:
    """What the caller does while work goes on.

    Attributes:
        say: gets each line of what goes on.
        on_progress: called with what is being done, how much of it is done and of how much.
        should_stop: asked all the time; true saves and ends the work.
    """

    say: Callable[[str], None] = lambda line: None
    on_progress: Callable[[str, int, int], None] = lambda stage, done, total: None
    should_stop: Callable[[], bool] = lambda: False

    def progress(self, prefix: str) -> Callable[[str, int, int], None]:
        """What a stage calls that can be broken off at any point; it raises KeyboardInterrupt to stop it."""

        def tell(stage: str, done: int, total: int) -> None:
            self.on_progress(f"{prefix}{stage}", done, total)
            if self.should_stop():
                raise KeyboardInterrupt

        return tell


def chosen_rows(table: PaperTable, names: Sequence[str]) -> tuple[Row, ...]:
    """The rows that were named: the table's in its order, then others; the usual ones where none was.

    Args:
        table: see there.
        names: keys of the table's rows, or methods that the table lacks, "my_module:MyMethod" among them.

    Raises:
        UserError: there is no such row or method.
    """
    wanted = [key for name in names for key in name.split(",") if key] or [*table.usual]
    for key in wanted:
        known = (*table.keys, LIGHT_CNN, *_ABLATIONS, *known_methods(), *known_rivals())
        if key not in known and ":" not in key:
            raise UserError(
                f"no row {key!r} to measure in Table {table.number}; expected some of "
                f"{', '.join(table.keys)}, or another method: {', '.join(known_methods())} or "
                f"my_module:MyMethod, or a tuned recogniser: {', '.join(known_rivals())} "
                "(of methods without code there is the paper's number only)"
            )
    keys = [key for key in table.keys if key in wanted]
    return tuple(row_of(key) for key in dict.fromkeys((*keys, *wanted)))


def row_of(key: str) -> Row:
    """A row by its key."""
    if key == LIGHT_CNN:
        return Row(key=key, method=None, score=ORIGINAL)
    if key in _ABLATIONS:
        return Row(key=key, method=PCFH, settings=_ABLATIONS[key])
    if key in known_rivals():
        rival = known_rivals()[key]
        return Row(key=key, method=None, score=GENERATED if rival.generator else ORIGINAL, rival=rival)
    return Row(key=key, method=find_method(key).name)


def runs_of(row: Row, seeds: Sequence[int], folds: Sequence[str]) -> list[Run]:
    """All runs of a row: each fold with each seed, or each fold once where nothing is trained."""
    own: Sequence[int | None] = seeds if row.is_trained else (None,)
    if row.rival is not None and not row.rival.step_by_step and not row.rival.generator:
        own = (0,)  # there is no chance in it
    return [Run(row=row.key, seed=seed, fold=fold) for seed in own for fold in folds]


def pcfh_config(budget: TrainingBudget, ablation: Sequence[str] = ()) -> Config:
    """PCFH's configuration, without a row's seed; ``row_config`` says what it raises."""
    for assignment in budget.settings:
        if _key(assignment) in _TAKEN:
            raise UserError(f"--set {assignment}: {_TAKEN[_key(assignment)]}")
    _require_known(budget.settings)
    whole = preset(budget.preset)
    if whole.training.method != PCFH:
        raise UserError(
            f"--preset {budget.preset}: expected one of PCFH; the rows say which methods there are"
        )
    own = [text for text in budget.settings if _key(text) in known_settings(whole)]
    config = overridden(_fitted(whole, budget, own), (*own, *ablation))
    needs = find_method(PCFH).needs(config)
    if needs.truth:
        raise UserError(
            f"{needs.truth}: the rows of a table learn without true images; take another preset, e.g. best, "
            "or set it to 0"
        )
    steps = config.training.steps if budget.steps is None else budget.steps
    return _of_images(config, budget.images or steps * config.training.batch, budget)


def row_config(row: Row, budget: TrainingBudget, seed: int) -> Config:
    """The configuration that a row is trained with.

    Args:
        row: one that is trained.
        budget: how much training there is.
        seed: of the training.

    Raises:
        UserError: an unknown preset or setting, or one that the rows or other options decide.
    """
    assert row.method is not None
    whole = pcfh_config(budget, row.settings if row.method == PCFH else ())
    config = whole if row.method == PCFH else _other_config(row, whole, budget)
    config = replace(config, training=replace(config.training, seed=seed))
    validate(config)
    return config


def images_seen(config: Config) -> int:
    """How many NIR images a training sees, repetitions counted."""
    return config.training.steps * config.training.batch


def planned_images(budget: TrainingBudget) -> int:
    """How many NIR images each training is to see; what does not fill its last batch is filled up."""
    return images_seen(pcfh_config(budget)) if budget.images is None else budget.images


def needs_recognizer(config: Config) -> bool:
    """Whether a training looks at the recogniser."""
    needs = find_method(config.training.method).needs(config)
    return needs.recognizer is not None or bool(config.training.validation)


def require_sound(config: ExperimentConfig) -> None:
    """Refuses what cannot be carried out.

    Raises:
        UserError: a database was not named, the recogniser is absent, or rows, seeds, preset or settings do
            not fit.
    """
    for name in dict.fromkeys(("casia", config.tested)):
        if name not in config.databases and not is_prepared(config.work, name):
            raise UserError(
                f"Table {config.paper.number} needs --{name} DIR: the folder of {_LICENSED[name]}; "
                f"{_RENDERED}"
            )
    for row in config.chosen_rows:
        if row.generator is not None:
            row_config(row_of(row.generator), config.budget, 0)
    if not config.recognizer.is_file():
        raise UserError(f"{config.recognizer}: no such file; give a Light CNN's weights or an ONNX model")
    if config.budget.steps is not None and config.budget.images is not None:
        raise UserError("--steps and --images both say how much training there is; give one of them")
    for option, value, least in (
        ("--seeds", min(config.seeds, default=0), 0),
        ("--batch", config.batch, 1),
        ("--resamples", config.resamples, 1),
        ("--images", 1 if config.budget.images is None else config.budget.images, 1),
        ("--curve", config.budget.curve, 0),
    ):
        if value < least:
            expected = f"at least {least}" if least else "no negative number"
            raise UserError(f"{option}: expected {expected}, got {value}")


def _other_config(row: Row, pcfh: Config, budget: TrainingBudget) -> Config:
    """The configuration of another method, of as many images and of the same size."""
    assert row.method is not None
    own, size = _own_preset(row.method, pcfh.training.size), pcfh.training.size
    known = known_settings(own)
    shared = [t for t in budget.settings if _key(t) in known and (_key(t) in SHARED or not _of_training(t))]
    config = overridden(_fitted(own, budget, shared), (*shared, *row.settings))
    config = replace(config, training=replace(config.training, size=size))
    return _of_images(config, budget.images or images_seen(pcfh), budget)


def _of_images(config: Config, images: int, budget: TrainingBudget) -> Config:
    """The same for a number of images, with generators kept along the way where they are asked for."""
    t = config.training
    every = math.ceil(images / budget.curve) if budget.curve and not t.keep_every else t.keep_every
    return replace(config, training=replace(t, steps=math.ceil(images / t.batch), keep_every=every))


def _fitted(preset: Config, budget: TrainingBudget, settings: Sequence[str]) -> Config:
    """A preset with a batch that fills the GPU, where there is one and the user has not said a batch."""
    if budget.gigabytes is None or "training.batch" in map(_key, settings):
        return preset
    fitted: Config = find_method(preset.training.method).for_gpu(preset, budget.gigabytes)
    return fitted


def _own_preset(method: str, size: int) -> Config:
    """A method's preset for the smallest images that are not smaller; its defaults where it has no preset."""
    kind = find_method(method)
    by_size = sorted(kind.presets().values(), key=lambda config: config.training.size)
    fitting = [config for config in by_size if config.training.size >= size] or by_size[-1:]
    config = fitting[0] if fitting else kind.Settings()
    return replace(config, training=replace(config.training, method=method))


def _require_known(settings: Sequence[str]) -> None:
    """Refuses settings that no method has."""
    every = (*presets().values(), *(method.Settings() for method in known_methods().values()))
    known = {key: None for config in every for key in known_settings(config)}
    for key in map(_key, settings):
        if key not in known:
            raise UserError(f"unknown setting {key!r}{nearest(key, known)}")


def _key(assignment: str) -> str:
    """The name of the setting that a text assigns."""
    return assignment.partition("=")[0].strip()


def _of_training(assignment: str) -> bool:
    return _key(assignment).startswith("training.")


def prepared_folder(work: Path, name: str) -> Path:
    """Where a prepared database lies."""
    return work / "prepared" / name


def is_prepared(work: Path, name: str) -> bool:
    """Whether a database is prepared, by ``reproduce`` or unpacked there."""
    return (prepared_folder(work, name) / MANIFEST).is_file()


def evaluation_job(
    config: ExperimentConfig, prepared: Path, protocol: str, probes: int | None = None
) -> EvaluationJob:
    """What to evaluate on, of a database that is rendered or not; of some of its probes or of all."""
    manifest = read_manifest(prepared)
    root = manifest.source.root
    rendered = manifest.origin is None and (root / TRUTH).is_dir()  # packed crops came without their pictures
    return EvaluationJob(
        prepared=prepared,
        protocols=(protocol,),
        cache=config.work / "cache",
        raw=root if rendered else None,
        batch=config.batch,
        resamples=config.resamples,
        probes=probes,
    )
