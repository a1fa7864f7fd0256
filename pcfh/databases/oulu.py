"""Oulu-CASIA NIR-VIS as its authors hand it out, or with the folders put into the files' names.

    Oulu_CASIA_NIR_VIS/{NI,VL}/{Strong,Weak,Dark}/P001/Anger/000.jpeg
    NI_Strong_P001_Anger_000.jpeg

80 people show six expressions in three lights, each filmed by a near-infrared (NI) and a visible-light (VL)
camera; a file is a frame. People P001 to P050 were recorded in Oulu, the others in Beijing. The session of a
record is light and expression, e.g. "Strong_Anger".

There is no official list for recognition. The papers train on 20 people and test on 20 others, with 8 frames
of each expression and camera; who and which frames was never published. ``draw_oulu`` draws them by a seed.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from pcfh.databases.folders import Named, draw, named_captures
from pcfh.databases.lists import DiskIndex, Lists, known_captures, read_protocol, require_tested
from pcfh.databases.records import Database, Modality, Protocol, Record, subjects
from pcfh.errors import UserError

ILLUMINATIONS = ("Strong", "Weak", "Dark")
EXPRESSIONS = ("Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise")
EXAMPLE = "NI/Strong/P001/Anger/000.jpeg"
FRAMES = 8  # of each expression and camera
_PEOPLE = {"Oulu": 10, "CASIA": 30}
_LAST_OF_OULU = 50
_NAME = re.compile(
    rf"(?:^|[/_])(NI|VL)[/_]({'|'.join(ILLUMINATIONS)})[/_](P\d+)[/_]({'|'.join(EXPRESSIONS)})[/_](\d+)\.\w+",
    re.IGNORECASE,
)
_MODALITIES: dict[str, Modality] = {"NI": "NIR", "VL": "VIS"}


def read_oulu(
    root: Path, *, seed: int = 0, illumination: str = "Strong", lists: Lists | None = None
) -> Database:
    """Reads the database; its records are all frames on disk.

    Args:
        root: folder that the layout above lies in, at any depth.
        seed: of the protocol that is drawn.
        illumination: "Strong" (the papers'), "Weak" or "Dark".
        lists: your own instead; paths relative to ``root``.

    Returns:
        The database with one protocol: "1", drawn, or "own", from the lists.

    Raises:
        UserError: this is not the layout above, nobody is left to be tested, or the lists are not sound.
    """
    records, notes = named_captures(root, _named, EXAMPLE)
    if lists is not None:
        make = known_captures(records, EXAMPLE)
        protocol, remarks = read_protocol("own", lists, DiskIndex(root), make)
    else:
        protocol, remarks = draw_oulu(records, seed=seed, illumination=illumination)
    return Database(root=root, records=records, protocols={protocol.name: protocol}, notes=(*notes, *remarks))


def draw_oulu(records: Sequence[Record], *, seed: int, illumination: str) -> tuple[Protocol, tuple[str, ...]]:
    """Draws 10 people of Oulu and 30 of CASIA, half of them for training, and 8 frames of each expression.

    All VIS frames of the people to be tested are enrolled, all their NIR frames are probes. From a smaller
    database as many people as there are get drawn.

    Returns:
        The protocol "1", and notes on where the database is smaller than the papers'.
    """
    lit = [record for record in records if record.session.startswith(f"{illumination}_")]
    if not lit:
        there = ", ".join(sorted({record.session.partition("_")[0] for record in records}))
        raise UserError(f"no frames of illumination {illumination!r}; the database has: {there}")
    people = _draw_people(lit, seed)
    train = set(draw(people, len(people) // 2, f"{seed} train"))
    chosen, short = _draw_frames([record for record in lit if record.subject in people], seed)
    tested = [record for record in chosen if record.subject not in train]
    protocol = Protocol(
        name="1",
        train=tuple(record for record in chosen if record.subject in train),
        gallery=tuple(record for record in tested if record.modality == "VIS"),
        probe=tuple(record for record in tested if record.modality == "NIR"),
    )
    require_tested(protocol)
    return protocol, (f"protocol 1 is drawn with seed {seed}: there is no official list", *short)


def _draw_people(records: Iterable[Record], seed: int) -> set[str]:
    """The people of both recording sites who take part."""
    everybody = subjects(records)
    oulu = [subject for subject in everybody if int(subject[1:]) <= _LAST_OF_OULU]
    casia = [subject for subject in everybody if subject not in oulu]
    return {
        *draw(oulu, _PEOPLE["Oulu"], f"{seed} Oulu"),
        *draw(casia, _PEOPLE["CASIA"], f"{seed} CASIA"),
    }


def _draw_frames(records: Iterable[Record], seed: int) -> tuple[tuple[Record, ...], tuple[str, ...]]:
    """The frames of each person, expression and camera that take part, ordered by path, and a note."""
    films: dict[str, dict[str, Record]] = {}
    for record in records:
        film = f"{record.subject} {record.modality} {record.session}"
        films.setdefault(film, {})[_frame(record)] = record
    drawn = [film[n] for name, film in films.items() for n in draw(film, FRAMES, f"{seed} {name}")]
    short = [name for name, film in films.items() if len(film) < FRAMES]
    frames = tuple(sorted(drawn, key=lambda record: record.path))
    if not short:
        return frames, ()
    note = f"{len(short)} of {len(films)} films have fewer than {FRAMES} frames, e.g. {short[0]}"
    return frames, (note,)


def _frame(record: Record) -> str:
    """The number of a frame, the same in both forms of the layout."""
    match = _NAME.search(record.path)
    return str(int(match[5])) if match else record.path


def _named(path: str) -> Named | None:
    """What a path of this layout means."""
    match = _NAME.search(path)
    if match is None:
        return None
    camera, light, person, expression = (match[1].upper(), match[2], match[3].upper(), match[4])
    session = f"{light.capitalize()}_{expression.capitalize()}"
    record = Record(subject=person, modality=_MODALITIES[camera], path=path, session=session)
    return Named(key=f"{camera} {session} {person} {int(match[5])}", record=record)
