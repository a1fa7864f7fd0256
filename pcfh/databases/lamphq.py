"""LAMP-HQ as its authors hand it out.

    LAMP_HQ/Protocols/train/train_vis1.txt, train_nir1.txt    (or Protocol, or all lists in one folder)
    LAMP_HQ/Protocols/test/gallery_vis1.txt, probe_nir1.txt

Protocols "1" to "10" are the folds. A line is ``<path> <label>``; some copies begin each list with a header.
The person is the label, which therefore has to mean the same person in all lists.
"""

import re
from pathlib import Path

from pcfh.databases.layouts import Count, Layout
from pcfh.databases.lists import Line, ListNames, modalities_named, read_numbered
from pcfh.databases.records import Database, Modality, Record
from pcfh.errors import UserError

_LISTS = ListNames(
    pattern=re.compile(r"(train_vis|train_nir|gallery_vis|probe_nir)_?0*([1-9]\d*)\.txt", re.IGNORECASE),
    form="{role}{name}.txt",
    roles={
        "train_nir": ("train", "NIR"),
        "train_vis": ("train", "VIS"),
        "gallery_vis": ("gallery", "VIS"),
        "probe_nir": ("probe", "NIR"),
    },
)
_TRAIN_PEOPLE = (300, 285, 285, 298, 300, 273, 272, 281, 274, 279)  # of the ten folds


def read_lamphq(root: Path) -> Database:
    """Reads the database with all its folds.

    Args:
        root: the folder with the lists' folder in it, or the one above it.

    Raises:
        UserError: this is not the layout above, a list has none of its files on disk, a label means two
            people, or a person is in training and test of one fold.
    """
    return read_numbered(root, _LISTS, _record)


def _record(modality: Modality, line: Line, where: str) -> Record:
    """The record of a line of a list."""
    if not line.columns:
        raise UserError(f"{line.place}: expected <path> <label>, got no label for {line.path}")
    if modalities_named(where) - {modality}:
        raise UserError(f"{line.place}: expected a {modality} capture, got {line.path}")
    return Record(subject=line.columns[0], modality=modality, path=where)


LAYOUT = Layout(
    name="lamp-hq",
    title="LAMP-HQ",
    terms="from its authors on a signed agreement, for research only",
    sign=r"protocols?/(?:[^/]+/)?(?:train|gallery|probe)_(?:vis|nir)_?\d+\.txt",
    example="Protocols/train/train_nir1.txt",
    read=read_lamphq,
    whole=Count(people=573),
    protocols={
        **{str(fold): {"train": Count(people=people)} for fold, people in enumerate(_TRAIN_PEOPLE, start=1)},
        "1": {"train": Count(people=300), "gallery": Count(people=273, vis=273)},
    },
    source="its paper, and the classes of each fold in a public program (RethinkNIRVIS)",
)
