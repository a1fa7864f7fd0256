"""Face databases as plain data: records, protocols and the database that holds both.

Conventions of the whole package:
    Image coordinates are (x, y) in pixels, x to the right, y down; a pixel's centre has whole
    coordinates, so the top left pixel is centred at (0, 0) (the convention of OpenCV and of the
    landmark detectors). Landmarks are the 68 points of Multi-PIE / iBUG in their usual order. "Left" is
    the left of the image. A person is known by ``subject`` alone: in CASIA NIR-VIS 2.0 the same id in
    two sessions is one person.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pcfh.errors import UserError

Modality = Literal["NIR", "VIS"]
Points = tuple[tuple[float, float], ...]
LANDMARKS_FILE = "landmarks68.csv"  # at a database's root: the landmarks of its captures


@dataclass(frozen=True, kw_only=True)
class Record:
    """One capture of one person.

    Attributes:
        subject: the person's id; equal ids are one person.
        modality: "NIR" or "VIS".
        path: of the file, relative to the database's root, with forward slashes.
        session: recording session, "" where the database has none.
        landmarks: 68 (x, y) points in pixels of the picture upright (EXIF orientation applied), if known.
    """

    subject: str
    modality: Modality
    path: str
    session: str = ""
    landmarks: Points | None = None


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Which captures train, which are enrolled and which are searched for.

    Attributes:
        name: as users type it, e.g. "1" for the first fold of View 2, "dev" for View 1.
        train: NIR and VIS captures for training.
        gallery: enrolled VIS captures.
        probe: NIR captures to be recognised.
    """

    name: str
    train: tuple[Record, ...] = ()
    gallery: tuple[Record, ...] = ()
    probe: tuple[Record, ...] = ()

    @property
    def parts(self) -> dict[str, tuple[Record, ...]]:
        """The three lists by name."""
        return {"train": self.train, "gallery": self.gallery, "probe": self.probe}


@dataclass(frozen=True, kw_only=True)
class Database:
    """Records and protocols under one folder.

    Attributes:
        root: folder that the records' paths are relative to.
        records: every capture, each once, in a stable order.
        protocols: by name.
        notes: what the reader found odd and mended (wrong extension, absent file, ...), one line each.
    """

    root: Path
    records: tuple[Record, ...]
    protocols: Mapping[str, Protocol]
    notes: tuple[str, ...] = field(default=())

    def protocol(self, name: str) -> Protocol:
        """Looks a protocol up by name.

        Raises:
            UserError: there is none of that name; the text lists those there are.
        """
        if name not in self.protocols:
            known = ", ".join(self.protocols) or "none"
            raise UserError(f"{self.root}: no protocol {name!r}; this database has: {known}")
        return self.protocols[name]

    def with_records(self, new: Mapping[str, Record], *, root: Path | None = None) -> "Database":
        """The database with other records in the place of its own; captures that ``new`` lacks are left out.

        Args:
            new: records by the paths of those whose place they take.
            root: of the new records, where it is another.
        """

        def exchanged(records: Iterable[Record]) -> tuple[Record, ...]:
            return tuple(new[record.path] for record in records if record.path in new)

        protocols = {
            name: Protocol(name=name, **{part: exchanged(records) for part, records in old.parts.items()})
            for name, old in self.protocols.items()
        }
        return Database(
            root=root or self.root, records=exchanged(self.records), protocols=protocols, notes=self.notes
        )


def subjects(records: Iterable[Record]) -> tuple[str, ...]:
    """Lists the different people of some records, sorted."""
    return tuple(sorted({record.subject for record in records}))


def of_modality(records: Iterable[Record], modality: Modality) -> tuple[Record, ...]:
    """The records of one modality."""
    return tuple(record for record in records if record.modality == modality)


def spaced(records: Sequence[Record], most: int) -> tuple[Record, ...]:
    """At most some of the records, evenly spaced."""
    count = min(most, len(records))
    return tuple(records[i * len(records) // count] for i in range(count))


def union(protocols: Iterable[Protocol]) -> tuple[Record, ...]:
    """Every record of some protocols once, ordered by path.

    Raises:
        UserError: a capture is one person's here and another's there.
    """
    every: dict[str, Record] = {}
    for protocol in protocols:
        for record in (*protocol.train, *protocol.gallery, *protocol.probe):
            if every.setdefault(record.path, record).subject != record.subject:
                raise UserError(
                    f"protocol {protocol.name!r}: {record.path} is of person {record.subject}, and of person "
                    f"{every[record.path].subject} in another list; give one label per person in all lists"
                )
    return tuple(every[path] for path in sorted(every))


def require_disjoint(protocol: Protocol) -> None:
    """Refuses a protocol in which a person of the training lists is also tested.

    Raises:
        UserError: with the number of such people and the first few ids.
    """
    tested = {*subjects(protocol.gallery), *subjects(protocol.probe)}
    shared = sorted(tested.intersection(subjects(protocol.train)))
    if shared:
        some = ", ".join(shared[:5]) + (", ..." if len(shared) > 5 else "")
        raise UserError(
            f"protocol {protocol.name!r}: {len(shared)} people are in training and test ({some}); "
            "remove them from one side, results would be too good"
        )


def closed(protocol: Protocol) -> tuple[Protocol, tuple[str, ...]]:
    """The protocol without the probes whose people are not enrolled, and a note where there are some.

    The figures are those of a closed set: who is not enrolled has no rank. A protocol without a gallery comes
    back as it was.

    Raises:
        UserError: not one of the probes' people is enrolled.
    """
    enrolled = set(subjects(protocol.gallery))
    probes = tuple(record for record in protocol.probe if record.subject in enrolled)
    if not enrolled or len(probes) == len(protocol.probe):
        return protocol, ()
    strangers = sorted(set(subjects(protocol.probe)) - enrolled)
    some = ", ".join(strangers[:5]) + (", ..." if len(strangers) > 5 else "")
    if not probes:
        raise UserError(
            f"protocol {protocol.name!r}: not one of the {len(strangers)} people of the probes is enrolled; "
            f"they are {some}, and the gallery has {', '.join(sorted(enrolled)[:5])}: give a person the same "
            "name in both lists"
        )
    note = (
        f"protocol {protocol.name}: {len(protocol.probe) - len(probes)} probes of {len(strangers)} people "
        f"who are not enrolled are left out ({some})"
    )
    return replace(protocol, probe=probes), (note,)


def require_sound(protocol: Protocol) -> None:
    """Refuses a protocol that nobody could report a result on.

    Raises:
        UserError: a person is in training and test, the gallery holds NIR or the probes VIS captures, or
            there are probes and no gallery.
    """
    require_disjoint(protocol)
    swapped = {"gallery": of_modality(protocol.gallery, "NIR"), "probe": of_modality(protocol.probe, "VIS")}
    for part, others in swapped.items():
        if others:
            wanted = "VIS" if part == "gallery" else "NIR"
            raise UserError(
                f"protocol {protocol.name!r}: expected {wanted} captures in the {part} list, got "
                f"{others[0].path} ({others[0].modality}); are gallery and probe swapped?"
            )
    if protocol.probe and not protocol.gallery:
        raise UserError(
            f"protocol {protocol.name!r}: {len(protocol.probe)} probes and an empty gallery; "
            "add the enrolled VIS captures"
        )
