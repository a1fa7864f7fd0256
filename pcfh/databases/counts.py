"""What is known of the databases' sizes, and the comparison with what was found.

Only counts with a public source are here; what nobody has published is None and not compared. A part of a
protocol is "train", "gallery" or "probe".
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields

from pcfh.databases.records import Database, Protocol, Record, subjects


@dataclass(frozen=True, kw_only=True)
class Count:
    """How many there are; None where nobody has said.

    Attributes:
        people: different people.
        nir: NIR captures.
        vis: VIS captures.
        captures: both together.
    """

    people: int | None = None
    nir: int | None = None
    vis: int | None = None
    captures: int | None = None


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


_CASIA_PROBES = (6208, 6232, 6210, 6055, 6204, 6191, 6247, 6222, 6162, 6245)
_LAMPHQ_TRAIN = (300, 285, 285, 298, 300, 273, 272, 281, 274, 279)
_NOTHING = Count()

WHOLE: Mapping[str, Count] = {
    "casia": Count(people=715),
    "oulu": Count(people=80),
    "buaa": Count(people=150, captures=5952),
    "lamp-hq": Count(people=573),
    "tufts": Count(people=113),
}

PROTOCOLS: Mapping[str, Mapping[str, Mapping[str, Count]]] = {
    "casia": {
        **{
            str(fold): {
                "train": Count(people=357),
                "gallery": Count(people=358, vis=358),
                "probe": Count(nir=probes),
            }
            for fold, probes in enumerate(_CASIA_PROBES, start=1)
        },
        "dev": {
            "train": Count(people=357, nir=6270, vis=2480),
            "gallery": Count(people=358, vis=358),
            "probe": Count(nir=6123),
        },
    },
    "oulu": {
        "1": {
            "train": Count(people=20, nir=960, vis=960),
            "gallery": Count(people=20, vis=960),
            "probe": Count(people=20, nir=960),
        }
    },
    "buaa": {
        "1": {
            "train": Count(people=50, nir=450, vis=450),
            "gallery": Count(people=100, vis=100),
            "probe": Count(people=100, nir=900),
        }
    },
    "lamp-hq": {
        **{str(fold): {"train": Count(people=people)} for fold, people in enumerate(_LAMPHQ_TRAIN, start=1)},
        "1": {"train": Count(people=300), "gallery": Count(people=273, vis=273)},
    },
    "tufts": {
        "1": {
            "train": Count(people=90),
            "gallery": Count(people=22, vis=22),
            "probe": Count(people=22, nir=308),
        }
    },
}

SOURCES: Mapping[str, str] = {
    "casia": "counted in the public copy of the lists (bob.db.cbsr_nir_vis_2); 10 of 725 people are in none",
    "oulu": "80 people by its authors; the protocol's numbers follow from the draw's rule",
    "buaa": "150 people, 5,952 pictures (face.evoLVe); the protocol's numbers follow from the draw's rule",
    "lamp-hq": "its paper, and the classes of each fold in a public program (RethinkNIRVIS)",
    "tufts": "113 people by its authors; protocol 1 counted in the lists of a public program (Semi-HFR)",
}

_WITH_LISTS = ("casia", "lamp-hq")  # the others' protocols need not be there


def count(records: Iterable[Record]) -> Count:
    """Counts people and captures."""
    held = tuple(records)
    nir = sum(record.modality == "NIR" for record in held)
    return Count(people=len(subjects(held)), nir=nir, vis=len(held) - nir, captures=len(held))


def compare(database: Database, layout: str) -> tuple[Row, ...]:
    """Sets what was found beside what is expected: the whole database, then each part of each protocol."""
    expected = PROTOCOLS.get(layout, {})
    whole = Row(
        protocol="",
        part="all",
        found=count(database.records),
        expected=WHOLE.get(layout, _NOTHING),
    )
    rows = [
        Row(
            protocol=name,
            part=part,
            found=count(records),
            expected=expected.get(name, {}).get(part, _NOTHING),
        )
        for name, protocol in database.protocols.items()
        for part, records in _parts(protocol)
    ]
    return (whole, *rows)


def absent_protocols(database: Database, layout: str) -> tuple[str, ...]:
    """The protocols whose lists come with the database and are not there."""
    expected = PROTOCOLS[layout] if layout in _WITH_LISTS else {}
    return tuple(name for name in expected if name not in database.protocols)


def unenrolled(database: Database) -> tuple[str, ...]:
    """A line on each protocol in which people are searched for whom the gallery does not hold."""
    lines = []
    for protocol in database.protocols.values():
        strangers = sorted(set(subjects(protocol.probe)).difference(subjects(protocol.gallery)))
        if strangers:
            more = ", ..." if len(strangers) > 5 else ""
            lines.append(
                f"protocol {protocol.name}: {len(strangers)} people of the probes are not enrolled "
                f"({', '.join(strangers[:5])}{more}); Rank-1 counts them as mistakes"
            )
    return tuple(lines)


def _parts(protocol: Protocol) -> tuple[tuple[str, tuple[Record, ...]], ...]:
    """The parts of a protocol by name."""
    return ("train", protocol.train), ("gallery", protocol.gallery), ("probe", protocol.probe)


def _differences(found: Count, expected: Count) -> Iterator[str]:
    """What is not as expected."""
    for field in fields(Count):
        wanted, there = getattr(expected, field.name), getattr(found, field.name)
        if wanted is not None and wanted != there:
            kind = {"nir": "NIR captures", "vis": "VIS captures"}.get(field.name, field.name)
            off = f"{wanted - there:,} missing" if wanted > there else f"{there - wanted:,} too many"
            yield f"expected {wanted:,} {kind}, found {there:,} ({off})"
