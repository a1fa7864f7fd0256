"""Tufts Face Database: the photographs and the near-infrared or thermal pictures of its 113 people.

    <root>/TD_RGB_E/<person>/TD_RGB_E_1.jpg      photographs: E expressions (1 is neutral), A all around
    <root>/TD_NIR_A/<person>/...                 near infrared
    <root>/TD_IR_A/<person>/TD_IR_A_1.jpg        thermal, likewise E

The folders are often named after their archives, e.g. ``TD_RGB_A_Set1``; a person's pictures may lie in
several. The session of a record is its series, A or E.

There is no official list. Lists ``train.txt``, ``gallery.txt`` and ``probe.txt`` in a folder ``Protocol`` or
``Protocols``, as one public program for thermal pictures brings them, make protocol "1"; otherwise protocol
"drawn" is made by a seed.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pcfh.databases.folders import Named, draw, drawn_database, listed_database, named_captures
from pcfh.databases.layouts import Count, Layout
from pcfh.databases.lists import Lists
from pcfh.databases.records import Database, Protocol, Record, of_modality, subjects

Infrared = Literal["near", "thermal"]

EXAMPLE = "TD_NIR_A/1/TD_NIR_A_1.jpg"
_CAMERAS: dict[Infrared, str] = {"near": "NIR", "thermal": "IR"}
_TRAIN_PEOPLE = 90
_TRAIN_PART = 90 / 112
_NAME = re.compile(
    r"(?:^|/)TD_(RGB|NIR|IR)_([AE])(?:_Set\d+)?/(?:[^/]+/)*0*(\d+)/([^/]+)\.\w+", re.IGNORECASE
)
_NEUTRAL = "TD_RGB_E_1"


def read_tufts(
    root: Path, *, seed: int = 0, infrared: Infrared | None = None, lists: Lists | None = None
) -> Database:
    """Reads the database; its records are all its photographs and infrared pictures of one kind.

    Args:
        root: folder with the layout above, or the one above it.
        seed: of the protocol that is drawn.
        infrared: if None, near where there are such pictures and the lists do not ask for thermal ones.
            Thermal pictures take the place of NIR.
        lists: your own; paths relative to ``root``.

    Returns:
        The database with one protocol: "1" or "own", from lists, or "drawn".

    Raises:
        UserError: this is not the layout above, or the lists are not sound.
    """
    home, lying = _find_lists(root)
    every, notes = named_captures(home, _named, EXAMPLE)
    brought = lists or lying
    kind = infrared or _kind_of(every, brought)
    records = tuple(record for record in every if _camera(record) in ("RGB", _CAMERAS[kind]))
    if kind == "thermal":
        notes = (*notes, "thermal pictures are taken in the place of near-infrared ones")
    if brought is not None:
        return listed_database(home, (records, notes), brought, EXAMPLE, name="own" if lists else "1")
    protocol, left_out = _draw(records, seed)
    return drawn_database(home, (records, notes), protocol, seed, *left_out)


def _draw(records: Sequence[Record], seed: int) -> tuple[Protocol, tuple[str, ...]]:
    """Draws 90 of 112 people (the same share of fewer) for training.

    Of each other person one photograph is enrolled, the neutral one where there is one; all infrared
    pictures are probes.

    Returns:
        The protocol "drawn", and a note on people who cannot take part.
    """
    nir, vis = set(subjects(of_modality(records, "NIR"))), set(subjects(of_modality(records, "VIS")))
    able = nir & vis
    train = set(draw(able, min(_TRAIN_PEOPLE, round(len(able) * _TRAIN_PART)), f"{seed} train"))
    tested = [record for record in records if record.subject in able - train]
    photographs: dict[str, Record] = {}
    for record in sorted(of_modality(tested, "VIS"), key=_neutral_first):
        photographs.setdefault(record.subject, record)
    protocol = Protocol(
        name="drawn",
        train=tuple(record for record in records if record.subject in train),
        gallery=tuple(photographs[person] for person in sorted(photographs, key=int)),
        probe=of_modality(tested, "NIR"),
    )
    lone = sorted(nir ^ vis, key=int)
    if not lone:
        return protocol, ()
    note = f"{len(lone)} people have pictures of one kind only and are left out: {', '.join(lone)}"
    return protocol, (note,)


def _neutral_first(record: Record) -> tuple[bool, str]:
    """What photographs are sorted by."""
    return Path(record.path).stem.upper() != _NEUTRAL, record.path


def _named(path: str) -> Named | None:
    """What a path of this layout means."""
    match = _NAME.search(path)
    if match is None:
        return None
    camera, series, person, stem = match[1].upper(), match[2].upper(), match[3], match[4]
    record = Record(subject=person, modality="VIS" if camera == "RGB" else "NIR", path=path, session=series)
    return Named(key=f"{camera} {series} {person} {stem.upper()}", record=record)


def _camera(record: Record) -> str:
    """RGB, NIR or IR."""
    match = _NAME.search(record.path)
    return match[1].upper() if match else ""


def _find_lists(root: Path) -> tuple[Path, Lists | None]:
    """The lists that lie with the database, if any, and the folder that their paths are relative to."""
    for path in sorted(path for path in (*root.glob("*"), *root.glob("*/*")) if path.is_dir()):
        files = [path / f"{part}.txt" for part in ("train", "gallery", "probe")]
        if path.name.lower() in ("protocol", "protocols") and all(file.is_file() for file in files):
            return path.parent, Lists(train=files[0], gallery=files[1], probe=files[2])
    return root, None


def _kind_of(records: Sequence[Record], lists: Lists | None) -> Infrared:
    """Which infrared pictures are meant."""
    if lists is not None and lists.probe is not None:
        thermal = "TD_IR_" in lists.probe.read_text(encoding="utf-8-sig", errors="replace").upper()
    else:
        thermal = all(_camera(record) != "NIR" for record in records)
    return "thermal" if thermal else "near"


LAYOUT = Layout(
    name="tufts",
    title="Tufts Face Database",
    terms="from its authors (Tufts University), for research and education",
    sign=r"TD_(?:RGB|NIR|IR)_[AE]\w*/\d+",
    example="TD_RGB_E/1",
    read=read_tufts,
    whole=Count(people=113),
    protocols={
        "1": {
            "train": Count(people=90),
            "gallery": Count(people=22, vis=22),
            "probe": Count(people=22, nir=308),
        }
    },
    source="113 people by its authors; protocol 1 counted in the lists of a public program (Semi-HFR)",
)
