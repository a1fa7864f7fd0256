"""What a preparation kept and what it dropped: nothing is lost silently."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import get_args

from pcfh.databases.records import Database, Modality, Protocol, Record, subjects
from pcfh.preparation.prepared import Drop


@dataclass(frozen=True, kw_only=True)
class ListCount:
    """How many captures of one list of a protocol were kept.

    Attributes:
        protocol: its name.
        part: "NIR training", "VIS training", "gallery" or "probe".
        before: captures in the list.
        after: captures that were kept.
    """

    protocol: str
    part: str
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
    protocols = database.protocols.values()
    return PrepareReport(
        kept=len(kept),
        dropped=tuple(dropped),
        notes=(*database.notes, *notes),
        counts=tuple(count for protocol in protocols for count in _counts(protocol, kept)),
        lost=tuple(line for protocol in protocols for line in _lost(protocol, kept)),
    )


def _counts(protocol: Protocol, kept: AbstractSet[str]) -> Iterator[ListCount]:
    """The counts of one protocol's lists."""
    training = ((f"{modality} training", _of(protocol.train, modality)) for modality in get_args(Modality))
    for part, records in (*training, ("gallery", protocol.gallery), ("probe", protocol.probe)):
        if records:
            after = sum(record.path in kept for record in records)
            yield ListCount(protocol=protocol.name, part=part, before=len(records), after=after)


def _lost(protocol: Protocol, kept: AbstractSet[str]) -> Iterator[str]:
    """The people who had training captures of a modality and have none now."""
    for modality in get_args(Modality):
        before = _of(protocol.train, modality)
        after = subjects(record for record in before if record.path in kept)
        for subject in sorted(set(subjects(before)).difference(after)):
            yield f"protocol {protocol.name}: {subject} has no {modality} training capture left"


def _of(records: Sequence[Record], modality: Modality) -> tuple[Record, ...]:
    """The records of one modality."""
    return tuple(record for record in records if record.modality == modality)
