"""A finished table as plain data that a JSON file holds without loss."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pcfh.errors import UserError
from pcfh.evaluation.plain import from_plain
from pcfh.recipes.paper import TABLES, PaperTable
from pcfh.recipes.summary import Measured, Versus

_FORMAT, _VERSION = "pcfh-table", 1


@dataclass(frozen=True, kw_only=True)
class Table:
    """One of the paper's tables, measured.

    Attributes:
        version: of the program.
        table: table1 to table4.
        folds: of CASIA, that models are trained on.
        recognizer: its name.
        recognizer_key: what stands for its weights and settings.
        preset: of PCFH.
        settings: overrides of the preset.
        images: NIR images that each training saw, repetitions counted.
        size: side of the generated images.
        rendered: whether the faces tested are rendered.
        probes: NIR captures tested, of the first fold.
        gallery: VIS captures enrolled, likewise.
        resamples: draws of people of each interval.
        rows: those that are done, in the paper's order.
        comparisons: between them.
        notes: what the reader must know.
    """

    version: str
    table: str
    folds: tuple[str, ...]
    recognizer: str
    recognizer_key: str
    preset: str
    settings: tuple[str, ...]
    images: int
    size: int
    rendered: bool
    probes: int
    gallery: int
    resamples: int
    rows: tuple[Measured, ...]
    comparisons: tuple[Versus, ...]
    notes: tuple[str, ...]

    @property
    def paper(self) -> PaperTable:
        """The table as the paper has it."""
        return TABLES[self.table]

    @property
    def processor_seconds(self) -> float:
        """Of all trainings."""
        return sum(row.processor_seconds for row in self.rows)

    def row(self, key: str | None) -> Measured | None:
        """What was measured of a row, if anything."""
        return next((row for row in self.rows if row.key == key), None)

    def label(self, key: str) -> str:
        """What the table calls a row."""
        return next(row.label for row in self.paper.rows if row.key == key)


def to_json(table: Table) -> str:
    """Text that ``from_json`` reads back without loss; it holds the paper's figures, too."""
    content = {
        "format": _FORMAT,
        "format_version": _VERSION,
        "paper": asdict(table.paper),
        "results": asdict(table),
    }
    return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def read_table(path: Path) -> Table:
    """Reads a table's results.json.

    Raises:
        UserError: there is none, or it is something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if (content["format"], content["format_version"]) != (_FORMAT, _VERSION):
            raise KeyError(content["format"])
        return from_plain(Table, content["results"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: expected results of pcfh reproduce, got {error!r}; make the table again"
        ) from error
