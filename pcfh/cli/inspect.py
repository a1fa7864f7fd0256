"""The command that says what is in a database."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pcfh.databases.counts import SOURCES, Row, absent_protocols, compare, unenrolled
from pcfh.databases.layouts import AUTO, LAYOUTS, Choice, layout_of, open_database
from pcfh.databases.lists import Lists

LayoutName = Literal["auto", "casia", "oulu", "buaa", "lamp-hq", "tufts"]

Illumination = Literal["Strong", "Weak", "Dark"]

Infrared = Literal["near", "thermal"]


def inspect(
    database: Path,
    *,
    layout: LayoutName = "auto",
    seed: int = 0,
    illumination: Illumination = "Strong",
    infrared: Infrared | None = None,
    train_list: Path | None = None,
    gallery_list: Path | None = None,
    probe_list: Path | None = None,
) -> int:
    """Read a database and set what was found beside the published numbers; exit with 1 if they differ.

    Args:
        database: its folder.
        layout: of the database; "auto" tells it by what lies on disk.
        seed: of the protocol that is drawn where no official list exists (Oulu-CASIA, BUAA, Tufts).
        illumination: of Oulu-CASIA.
        infrared: pictures of Tufts that take the place of NIR.
        train_list: your own list in the place of a drawn protocol.
        gallery_list: likewise, enrolled VIS pictures.
        probe_list: likewise, NIR pictures to recognise.
    """
    name = layout_of(database) if layout == AUTO else layout
    lists = _lists(train_list, gallery_list, probe_list)
    choice = Choice(seed=seed, illumination=illumination, infrared=infrared, lists=lists)
    found = open_database(database, name, choice)
    rows = compare(found, name)
    differences = [line for row in rows for line in row.differences]
    absent = absent_protocols(found, name)
    if absent:
        differences.append(f"lists of protocols are absent: {', '.join(absent)}")
    print(f"{LAYOUTS[name].title} in {found.root}\n")
    print(_table(rows))
    if name in SOURCES:
        print(f"\nExpected numbers: {SOURCES[name]}.")
    _print_section("Not as expected:", differences)
    _print_section("Notes:", (*found.notes, *unenrolled(found)))
    return 1 if differences else 0


def _lists(train: Path | None, gallery: Path | None, probe: Path | None) -> Lists | None:
    """The lists that were given, if any was."""
    return Lists(train=train, gallery=gallery, probe=probe) if train or gallery or probe else None


def _table(rows: Sequence[Row]) -> str:
    """The rows as aligned text; "found / expected", or only what was found."""
    head = ("protocol", "part", "people", "NIR", "VIS", "captures", "")
    cells = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    lines = (
        "  ".join(
            cell.rjust(width) if 2 <= column < 6 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    )
    return "\n".join(line.rstrip() for line in lines)


def _cells(row: Row) -> tuple[str, ...]:
    """One line of the table."""
    found, expected = row.found, row.expected
    numbers = (
        _beside(found.people, expected.people),
        _beside(found.nir, expected.nir),
        _beside(found.vis, expected.vis),
        _beside(found.captures, expected.captures),
    )
    return (row.protocol or "all", row.part, *numbers, "differs" if row.differences else "")


def _beside(found: int | None, expected: int | None) -> str:
    """A number found and, where there is one, the number expected."""
    return f"{found:,}" if expected is None else f"{found:,} / {expected:,}"


def _print_section(title: str, lines: Iterable[str]) -> None:
    """Prints a headed list, or nothing where it is empty."""
    for number, line in enumerate(lines):
        print(f"  {line}" if number else f"\n{title}\n  {line}")
