"""BUAA-VisNir as its authors hand it out.

    <root>/<person 1..150>/<number>.bmp

Numbers 2k - 1 and 2k are one shot of a camera that takes both lights; further VIS pictures in other lights
follow. Which of the two numbers is the NIR one differs between copies of the database, and some copies hold
NIR pictures as RGB, some with a cast: the two pictures of a shot decide, by which of them has less colour, if
it is the same number as in most shots. What stays open is left out and said.

There is no official list. The papers train on 50 people and test on 100, with 9 shots of each and one VIS
picture of each enrolled. ``_draw`` draws people and shots by a seed.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pcfh.databases.folders import Named, draw, drawn_database, left_out, listed_database, named_captures
from pcfh.databases.layouts import Count, Layout
from pcfh.databases.lists import Lists, Noted
from pcfh.databases.records import Database, Modality, Protocol, Record
from pcfh.errors import UserError
from pcfh.images import read_image

EXAMPLE = "1/2.bmp"
SHOTS = 9  # of each person
_TRAIN_PEOPLE = 50
_TRAIN_PART = 1 / 3
_NAME = re.compile(r"(?:^|/)0*(\d+)/0*(\d+)\.\w+")
_STEP = 4  # every fourth pixel of every fourth row tells enough
_GREY = 0.03  # JPEG leaves some colour in grey pictures; VIS faces, dark ones too, have several times this
_CAST = 0.09  # what a NIR picture of a camera with a colour cast may have
_TIMES = 1.5  # the VIS picture of a shot has more colour than the NIR one by this at least

People = dict[str, dict[Modality, dict[int, Record]]]


def read_buaa(root: Path, *, seed: int = 0, lists: Lists | None = None) -> Database:
    """Reads the database; its records are all pictures on disk.

    Args:
        root: folder that the layout above lies in, at any depth.
        seed: of the protocol that is drawn.
        lists: your own instead; paths relative to ``root``.

    Returns:
        The database with one protocol: "1", drawn, or "own", from the lists.

    Raises:
        UserError: this is not the layout above, all pictures are of one modality, or the lists are not sound.
    """
    captures = _told_apart(root, named_captures(root, _named, EXAMPLE))
    _require_both(root, captures[0])
    if lists is not None:
        return listed_database(root, captures, lists, EXAMPLE)
    protocol, without = _draw(captures[0], seed)
    return drawn_database(root, captures, protocol, seed, *without)


def _draw(records: Sequence[Record], seed: int) -> tuple[Protocol, tuple[str, ...]]:
    """Draws a third of the people (at most 50) for training, and 9 shots of each person.

    Of the others the VIS picture of the lowest number is enrolled, the NIR pictures of the shots are probes.

    Returns:
        The protocol "1", and a note on people who cannot take part.
    """
    people = _by_person(records)
    shots = {person: _draw_shots(person, people, seed) for person in people}
    without = sorted(person for person in people if not shots[person])
    able = [person for person in people if shots[person]]
    count = min(_TRAIN_PEOPLE, round(len(able) * _TRAIN_PART))
    train = set(draw(able, count, f"{seed} train"))
    tested = sorted(set(able) - train, key=int)
    protocol = Protocol(
        name="1",
        train=tuple(r for person in sorted(train, key=int) for shot in shots[person] for r in shot),
        gallery=tuple(min(people[person]["VIS"].items())[1] for person in tested),
        probe=tuple(nir for person in tested for nir, _ in shots[person]),
    )
    if not without:
        return protocol, ()
    note = f"{len(without)} people have no shot in both lights and are left out: {', '.join(without)}"
    return protocol, (note,)


def colourfulness(image: UInt8[np.ndarray, "h w 3"]) -> float:
    """How much colour a picture has: mean of (largest - smallest channel) / (mean of the largest + 1)."""
    sample = image[::_STEP, ::_STEP].astype(np.float32)
    largest = sample.max(2)
    return float((largest - sample.min(2)).mean() / (largest.mean() + 1))


def _named(path: str) -> Named | None:
    """What a picture of this layout is; its modality is told later."""
    match = _NAME.search(path)
    if match is None:
        return None
    return Named(key=f"{match[1]} {match[2]}", record=Record(subject=match[1], modality="VIS", path=path))


def _told_apart(root: Path, captures: Noted) -> Noted:
    """The records with their modalities, without those that cannot be read or told."""
    records, notes = captures
    colours, damaged = _colours(root, records)
    shots: dict[tuple[str, int], dict[int, Record]] = {}
    for record in records:
        if record.path in colours:
            number = _number(record)
            shots.setdefault((record.subject, (number + 1) // 2), {})[number] = record
    pairs = [tuple(colours[shot[number].path] for number in sorted(shot)) for shot in shots.values()]
    nir_is_first = _nir_is_first([pair for pair in pairs if len(pair) == 2])
    told: dict[str, Modality | None] = {}
    for shot in shots.values():
        ordered = [shot[number] for number in sorted(shot)]
        modalities = _modalities([colours[record.path] for record in ordered], nir_is_first)
        told |= {record.path: modality for record, modality in zip(ordered, modalities, strict=True)}
    unclear = [record.path for record in records if told.get(record.path, "") is None]
    kept = tuple(replace(r, modality=modality) for r in records if (modality := told.get(r.path)) is not None)
    return kept, (
        *notes,
        *left_out(damaged, "pictures cannot be read"),
        *left_out(unclear, "pictures of shots may be either the NIR or the VIS one by their colours"),
    )


def _colours(root: Path, records: Iterable[Record]) -> tuple[dict[str, float], list[str]]:
    """How much colour each picture has, by its path; and those that cannot be read, with the reason."""
    colours: dict[str, float] = {}
    damaged: list[str] = []
    for record in records:
        try:
            colours[record.path] = colourfulness(read_image(root / record.path))
        except UserError as error:
            damaged.append(str(error))
    return colours, damaged


def _nir_is_first(pairs: Iterable[Sequence[float]]) -> bool | None:
    """Whether the first picture of most shots is the NIR one; None where not one shot says it."""
    clear = (pair for pair in pairs if min(pair) < _CAST <= max(pair) and max(pair) >= _TIMES * min(pair))
    said = [first < second for first, second in clear]
    return 2 * sum(said) > len(said) if said else None


def _modalities(colours: Sequence[float], nir_is_first: bool | None) -> list[Modality | None]:
    """What the pictures of one number pair are, None where they may be either.

    Args:
        colours: of one picture, or of two in the order of their numbers.
        nir_is_first: see ``_nir_is_first``.
    """
    if len(colours) == 1 or nir_is_first is None or min(colours) >= _CAST:
        return [_alone(colour) for colour in colours]
    first = colours[0] < colours[1]
    if first is not nir_is_first or max(colours) < _TIMES * min(colours) or not max(colours):
        return [None, None]
    return ["NIR", "VIS"] if first else ["VIS", "NIR"]


def _alone(colour: float) -> Modality | None:
    """What a picture is by its own colour alone."""
    if colour < _GREY:
        return "NIR"
    return "VIS" if colour >= _CAST else None


def _number(record: Record) -> int:
    return int(Path(record.path).stem)


def _require_both(root: Path, records: Sequence[Record]) -> None:
    """Refuses a database whose pictures are all grey or all coloured."""
    found = {record.modality for record in records}
    if len(found) == 1:
        state = "grey" if found == {"NIR"} else "coloured"
        raise UserError(
            f"{root}: expected grey NIR and coloured VIS pictures, all {len(records)} are {state}; "
            "take the database as it was handed out, not a converted copy"
        )


def _by_person(records: Iterable[Record]) -> People:
    """The pictures of each person by modality and number."""
    people: People = {}
    for record in records:
        person = people.setdefault(record.subject, {"NIR": {}, "VIS": {}})
        person[record.modality][_number(record)] = record
    return people


def _draw_shots(person: str, people: People, seed: int) -> list[tuple[Record, Record]]:
    """The NIR and VIS pictures of the shots of one person that take part, in the order of their numbers."""
    vis = people[person]["VIS"]
    shots = {
        str((number + 1) // 2): (nir, vis[_partner(number)])
        for number, nir in people[person]["NIR"].items()
        if _partner(number) in vis
    }
    drawn = draw(shots, SHOTS, f"{seed} shots of {person}")
    return [shots[shot] for shot in sorted(drawn, key=int)]


def _partner(number: int) -> int:
    """The other number of a shot: 1 and 2 belong together, then 3 and 4."""
    return number + 1 if number % 2 else number - 1


LAYOUT = Layout(
    name="buaa",
    title="BUAA-VisNir",
    terms="from its authors (Beihang University) on a signed agreement, for research only",
    sign=r"\d+/\d+\.(?:bmp|png|jpe?g)",
    example="1/1.bmp",
    read=read_buaa,
    rank=2,  # folders of numbers lie in other databases too
    whole=Count(people=150, captures=5952),
    protocols={
        "1": {
            "train": Count(people=50, nir=450, vis=450),
            "gallery": Count(people=100, vis=100),
            "probe": Count(people=100, nir=900),
        }
    },
    source="150 people, 5,952 pictures (face.evoLVe); the protocol's numbers follow from the draw's rule",
)
