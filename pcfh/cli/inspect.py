"""The command that says what is in a database."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from tabulate import tabulate

from pcfh.cli.app import Names, say
from pcfh.databases.counts import Row, absent_protocols, compare
from pcfh.databases.layouts import AUTO, Count, find_layout, layouts, open_database
from pcfh.databases.lists import Lists
from pcfh.databases.oulu import Illumination
from pcfh.databases.tufts import Infrared
from pcfh.errors import UserError


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class DatabaseOptions:
    """How to read a database; what is None is left to its reader.

    Attributes:
        seed: of the protocol that is drawn where no official list exists (Oulu-CASIA, BUAA, Tufts); 0 if not
            given.
        illumination: of Oulu-CASIA; Strong if not given.
        infrared: pictures of Tufts that take the place of NIR.
        option: NAME=VALUE, any option of the database's reader.
        train_list: your own list in the place of a drawn protocol.
        gallery_list: likewise, enrolled VIS pictures.
        probe_list: likewise, NIR pictures to recognise.
    """

    layout: Annotated[
        str,
        Parameter(
            help=f"of the database: {', '.join(layouts())}, or yours as my_module:LAYOUT; auto tells it by "
            "what lies on disk."
        ),
    ] = AUTO
    seed: int | None = None
    illumination: Illumination | None = None
    infrared: Infrared | None = None
    option: Names = ()
    train_list: Path | None = None
    gallery_list: Path | None = None
    probe_list: Path | None = None

    @property
    def lists(self) -> Lists | None:
        """The lists that were given, if any was."""
        lists = Lists(train=self.train_list, gallery=self.gallery_list, probe=self.probe_list)
        return None if lists == Lists() else lists

    @property
    def given(self) -> dict[str, Any]:
        """What was given of the options of a layout."""
        pairs = [text.partition("=") for text in self.option]
        wrong = [name for name, equals, _ in pairs if not equals]
        if wrong:
            raise UserError(f"--option {wrong[0]}: expected NAME=VALUE, such as seed=3")
        named = {
            "seed": self.seed,
            "illumination": self.illumination,
            "infrared": self.infrared,
            "lists": self.lists,
        }
        given = {name: value for name, value in named.items() if value is not None}
        return {**given, **{name: value for name, _, value in pairs}}


_DEFAULT = DatabaseOptions()


def inspect(database: Path, *, options: DatabaseOptions = _DEFAULT) -> int:
    """Read a database and set what was found beside the published numbers; exit with 1 if they differ.

    Args:
        database: its folder.
        options: how to read it.
    """
    layout = find_layout(options.layout, database)
    found = open_database(database, layout, **options.given)
    rows = compare(found, layout)
    differences = [line for row in rows for line in row.differences]
    absent = absent_protocols(found, layout)
    if absent:
        differences.append(f"lists of protocols are absent: {', '.join(absent)}")
    say(f"{layout.title} in {found.root}\n")
    print(_table(rows))
    for title, text in (("Expected numbers", layout.source), ("To be had", layout.terms)):
        if text:
            print(f"\n{title}: {text}.")
    _print_section("Not as expected:", differences)
    _print_section("Notes:", found.notes)
    return 1 if differences else 0


def _table(rows: Sequence[Row]) -> str:
    """The rows as aligned text; "found / expected", or only what was found."""
    head = ("protocol", "part", "people", "NIR", "VIS", "captures", "")
    alignment = ("left", "left", "right", "right", "right", "right", "left")
    table = tabulate(map(_cells, rows), head, "plain", colalign=alignment, disable_numparse=True)
    return "\n".join(line.rstrip() for line in table.splitlines())


def _cells(row: Row) -> tuple[str, ...]:
    """One line of the table."""
    pairs = [(getattr(row.found, field.name), getattr(row.expected, field.name)) for field in fields(Count)]
    numbers = (f"{found:,}" if expected is None else f"{found:,} / {expected:,}" for found, expected in pairs)
    return (row.protocol or "all", row.part, *numbers, "differs" if row.differences else "")


def _print_section(title: str, lines: Iterable[str]) -> None:
    """Prints a headed list, or nothing where it is empty."""
    for number, line in enumerate(lines):
        say(f"  {line}" if number else f"\n{title}\n  {line}")
