"""What is to be reproduced, and with which databases."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pcfh.errors import UserError
from pcfh.recipes.paper import LIGHT_CNN, TABLES, PaperTable, chosen_rows
from pcfh.recipes.rows import Scale, row_config

Until = Literal["prepared", "trained", "table"]
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
class Order:
    """What the user wants.

    Attributes:
        table: table1 to table4.
        out: folder of the finished table.
        work: folder of prepared databases and trained rows; several tables can share it.
        databases: root of each database by name: casia, oulu, buaa.
        protocols: folds of CASIA to train on.
        scale: how much training there is.
        rows: keys of the rows; none stands for the table's usual ones.
        seeds: of training; none stands for the table's usual ones.
        recognizer: file of F, for the scores and for the identity loss.
        landmarks: backend that prepares: blaze, fan or given.
        pose: whether landmarks are found in generated faces, too.
        draw_seed: of the protocol of Oulu-CASIA or BUAA, which is drawn.
        workers: processes that prepare.
        device: for networks.
        batch: faces computed at once.
        resamples: draws of people of each interval.
        until: where to stop.
    """

    table: str
    out: Path
    work: Path
    databases: Mapping[str, Path]
    protocols: tuple[str, ...]
    scale: Scale
    recognizer: Path
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
    def chosen_rows(self) -> tuple[str, ...]:
        """The rows to measure now."""
        return chosen_rows(self.paper, self.rows)

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
        return row_config("pcfh", self.scale, 0).training.size


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training, or the recogniser alone.

    Attributes:
        row: key of the row.
        seed: of the training; None for the recogniser alone.
        fold: of CASIA that it is trained on.
    """

    row: str
    seed: int | None
    fold: str

    def folder(self, work: Path) -> Path:
        """Where it lies."""
        seed = () if self.seed is None else (f"seed-{self.seed}",)
        return work.joinpath("rows", self.row, *seed, f"fold-{self.fold}")

    def __str__(self) -> str:
        seed = "" if self.seed is None else f", seed {self.seed}"
        return f"{self.row}{seed}, fold {self.fold}"


@dataclass(frozen=True, kw_only=True)
class Watch:
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
        """What to tell of a stage that can be broken off at any point.

        Args:
            prefix: of what is being done.

        Returns:
            A function that raises KeyboardInterrupt where the work is to stop.
        """

        def tell(stage: str, done: int, total: int) -> None:
            self.on_progress(f"{prefix}{stage}", done, total)
            if self.should_stop():
                raise KeyboardInterrupt

        return tell


def runs_of(row: str, seeds: tuple[int, ...], folds: tuple[str, ...]) -> list[Run]:
    """All runs of a row: each fold with each seed, or each fold once where nothing is trained."""
    own: tuple[int | None, ...] = (None,) if row == LIGHT_CNN else seeds
    return [Run(row=row, seed=seed, fold=fold) for seed in own for fold in folds]


def require_sound(order: Order) -> None:
    """Refuses an order that cannot be carried out.

    Raises:
        UserError: a database was not named, the recogniser is absent, or rows, seeds, preset or settings do
            not fit.
    """
    for name in dict.fromkeys(("casia", order.tested)):
        if name not in order.databases:
            raise UserError(
                f"Table {order.paper.number} needs --{name} DIR: the folder of {_LICENSED[name]}; {_RENDERED}"
            )
    for key in order.chosen_rows:
        if key != LIGHT_CNN:
            row_config(key, order.scale, 0)
    if not order.recognizer.is_file():
        raise UserError(f"{order.recognizer}: no such file; give a Light CNN's weights or an ONNX model")
    for option, value, least in (
        ("--seeds", min(order.seeds, default=0), 0),
        ("--batch", order.batch, 1),
        ("--resamples", order.resamples, 1),
    ):
        if value < least:
            expected = f"at least {least}" if least else "no negative number"
            raise UserError(f"{option}: expected {expected}, got {value}")
