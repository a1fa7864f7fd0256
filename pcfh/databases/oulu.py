"""Oulu-CASIA NIR-VIS as its authors hand it out, or with the folders put into the files' names.

    Oulu_CASIA_NIR_VIS/{NI,VL}/{Strong,Weak,Dark}/P001/Anger/000.jpeg
    NI_Strong_P001_Anger_000.jpeg

80 people show six expressions in three lights, each filmed by a near-infrared (NI) and a visible-light (VL)
camera; a file is a frame. People P001 to P050 were recorded in Oulu, the others in Beijing. The session of a
record is light and expression, e.g. "Strong_Anger".

There is no official list for recognition. The papers train on 20 people and test on 20 others, with 8 frames
of each expression and camera; who and which frames was never published. ``_draw`` draws them by a seed.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pcfh.databases.folders import Named, draw, drawn_database, listed_database, named_captures
from pcfh.databases.layouts import Count, Layout
from pcfh.databases.lists import Lists
from pcfh.databases.records import Database, Modality, Protocol, Record, of_modality, subjects
from pcfh.errors import UserError

Illumination = Literal["Strong", "Weak", "Dark"]

EXAMPLE = "NI/Strong/P001/Anger/000.jpeg"
FRAMES = 8  # of each expression and camera
_PEOPLE = {"Oulu": 10, "CASIA": 30}
_LAST_OF_OULU = 50
_NAME = re.compile(
    r"(?:^|[/_])(NI|VL)[/_](Strong|Weak|Dark)[/_](P\d+)[/_]"
    r"(Anger|Disgust|Fear|Happiness|Sadness|Surprise)[/_](\d+)\.\w+",
    re.IGNORECASE,
)
_MODALITIES: dict[str, Modality] = {"NI": "NIR", "VL": "VIS"}


def read_oulu(
    root: Path, *, seed: int = 0, illumination: Illumination = "Strong", lists: Lists | None = None
) -> Database:
    """Reads the database; its records are all frames on disk.

    Args:
        root: folder that the layout above lies in, at any depth.
        seed: of the protocol that is drawn.
        illumination: "Strong" is the papers'.
        lists: your own instead; paths relative to ``root``.

    Returns:
        The database with one protocol: "1", drawn, or "own", from the lists.

    Raises:
        UserError: this is not the layout above, there is no frame of the illumination, nobody is left to be
            tested, or the lists are not sound.
    """
    captures = named_captures(root, _named, EXAMPLE)
    if lists is not None:
        return listed_database(root, captures, lists, EXAMPLE)
    protocol, short = _draw(captures[0], seed, illumination)
    return drawn_database(root, captures, protocol, seed, *short)


def _draw(records: Sequence[Record], seed: int, illumination: str) -> tuple[Protocol, tuple[str, ...]]:
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
        gallery=of_modality(tested, "VIS"),
        probe=of_modality(tested, "NIR"),
    )
    return protocol, short


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


LAYOUT = Layout(
    name="oulu",
    title="Oulu-CASIA NIR-VIS",
    terms="from its authors (University of Oulu) on a signed agreement, for research only",
    sign=r"(?:NI|VL)[/_](?:Strong|Weak|Dark)[/_]P\d+.*",
    example=EXAMPLE,
    read=read_oulu,
    whole=Count(people=80),
    protocols={
        "1": {
            "train": Count(people=20, nir=960, vis=960),
            "gallery": Count(people=20, vis=960),
            "probe": Count(people=20, nir=960),
        }
    },
    source="80 people by its authors; the protocol's numbers follow from the draw's rule",
)
