"""What a preparation kept and what it dropped: nothing is lost silently."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple

from pcfh.databases.records import Database, Protocol, Record, of_modality, subjects
from pcfh.preparation.manifest import Drop


class ListCount(NamedTuple):
    """How many captures of one list of a protocol there were, and how many were kept."""

    protocol: str
    part: str  # "NIR training", "VIS training", "gallery" or "probe"
    before: int
    after: int


@dataclass(frozen=True, kw_only=True)
class PrepareReport:
    """What came out of a preparation.

    Attributes:
        kept: number of captures that were kept.
        dropped: the others and why.
        notes: what was odd, one line each: the reader's notes, then those on captures.
        counts: of each list of each protocol that is not empty.
        lost: people left without training captures of one modality, one line each.
    """

    kept: int
    dropped: tuple[Drop, ...]
    notes: tuple[str, ...]
    counts: tuple[ListCount, ...]
    lost: tuple[str, ...]

    @property
    def emptied(self) -> tuple[ListCount, ...]:
        """The lists of which nothing was kept."""
        return tuple(count for count in self.counts if not count.after)

    def text(self) -> str:
        """The report as text, for a file or a screen."""
        sections = {
            "Dropped:": [f"{drop.path}: {drop.reason}" for drop in self.dropped],
            "Kept of each list:": [
                f"protocol {c.protocol}, {c.part}: {c.after} of {c.before}" for c in self.counts
            ],
            "People without training captures of one modality:": self.lost,
            "Notes:": self.notes,
        }
        head = f"{self.kept} captures kept, {len(self.dropped)} dropped"
        blocks = ["\n  ".join((title, *lines)) for title, lines in sections.items() if lines]
        return "\n\n".join((head, *blocks)) + "\n"


def make_report(
    database: Database, kept: AbstractSet[str], dropped: Sequence[Drop], notes: Sequence[str]
) -> PrepareReport:
    """Counts what is left of each list.

    Args:
        database: as it was read.
        kept: paths of the captures that were kept.
        dropped: the others.
        notes: on single captures.
    """
    parts = [(protocol, *part) for protocol in database.protocols.values() for part in _parts(protocol)]
    return PrepareReport(
        kept=len(kept),
        dropped=tuple(dropped),
        notes=(*database.notes, *notes),
        counts=tuple(
            ListCount(protocol.name, part, len(records), sum(record.path in kept for record in records))
            for protocol, part, records in parts
            if records
        ),
        lost=tuple(
            f"protocol {protocol.name}: {subject} has no {part} capture left"
            for protocol, part, records in parts
            if part.endswith("training")
            for subject in _lost(records, kept)
        ),
    )


def _parts(protocol: Protocol) -> Iterator[tuple[str, tuple[Record, ...]]]:
    """The lists of a protocol by name, training by modality."""
    yield "NIR training", of_modality(protocol.train, "NIR")
    yield "VIS training", of_modality(protocol.train, "VIS")
    yield "gallery", protocol.gallery
    yield "probe", protocol.probe


def _lost(records: Sequence[Record], kept: AbstractSet[str]) -> list[str]:
    """The people of a list of whom nothing was kept."""
    left = subjects(record for record in records if record.path in kept)
    return sorted(set(subjects(records)).difference(left))
