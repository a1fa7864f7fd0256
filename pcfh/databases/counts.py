"""What was found in a database, beside the published numbers of people and captures.

Only counts with a public source are compared; what nobody has published is None.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

from pcfh.databases.layouts import Count, Layout
from pcfh.databases.records import Database, Record, of_modality, subjects


@dataclass(frozen=True, kw_only=True)
class Row:
    """One part of a protocol, or the whole database, found and expected.

    Attributes:
        protocol: its name; "" for the whole database.
        part: "train", "gallery" or "probe"; "all" for the whole database.
        found: in the copy at hand.
        expected: by the sources.
    """

    protocol: str
    part: str
    found: Count
    expected: Count

    @property
    def differences(self) -> tuple[str, ...]:
        """One line for each count that is not as expected."""
        place = f"protocol {self.protocol}, {self.part}" if self.protocol else "whole database"
        return tuple(f"{place}: {text}" for text in _differences(self.found, self.expected))


def count(records: Iterable[Record]) -> Count:
    """Counts people and captures."""
    held = tuple(records)
    nir = len(of_modality(held, "NIR"))
    return Count(people=len(subjects(held)), nir=nir, vis=len(held) - nir, captures=len(held))


def compare(database: Database, layout: Layout) -> tuple[Row, ...]:
    """Sets what was found beside what is expected: the whole database, then each part of each protocol."""
    whole = Row(protocol="", part="all", found=count(database.records), expected=layout.whole)
    rows = [
        Row(
            protocol=name,
            part=part,
            found=count(records),
            expected=layout.protocols.get(name, {}).get(part, Count()),
        )
        for name, protocol in database.protocols.items()
        for part, records in protocol.parts.items()
    ]
    return (whole, *rows)


def absent_protocols(database: Database, layout: Layout) -> tuple[str, ...]:
    """The protocols whose lists come with the database and are not there."""
    expected = layout.protocols if layout.brings_lists else {}
    return tuple(name for name in expected if name not in database.protocols)


def _differences(found: Count, expected: Count) -> Iterator[str]:
    """What is not as expected."""
    for field in fields(Count):
        wanted, there = getattr(expected, field.name), getattr(found, field.name)
        if wanted is not None and wanted != there:
            kind = {"nir": "NIR captures", "vis": "VIS captures"}.get(field.name, field.name)
            off = f"{wanted - there:,} missing" if wanted > there else f"{there - wanted:,} too many"
            yield f"expected {wanted:,} {kind}, found {there:,} ({off})"
