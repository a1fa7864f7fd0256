"""CASIA NIR-VIS 2.0 as its authors hand it out.

    NIR-VIS-2.0/s1..s4/NIR/<id>/<n>.bmp, .../VIS/<id>/<n>.jpg
    NIR-VIS-2.0/protocols/{nir_train,vis_train,vis_gallery,nir_probe}_{1..10,dev}.txt

Protocols "1" to "10" are the folds of View 2 (results are reported on these), "dev" is View 1 (for tuning).
The lists have Windows line ends and backslashes, and other extensions than the disk. A person is the id
alone: 15 people occur in several sessions, under one id.
"""

import re
from pathlib import Path, PurePosixPath

from pcfh.databases.layouts import Count, Layout, with_landmarks
from pcfh.databases.lists import Line, ListNames, read_numbered
from pcfh.databases.records import Database, Modality, Record
from pcfh.errors import UserError

_LISTS = ListNames(
    pattern=re.compile(r"(nir_train|vis_train|vis_gallery|nir_probe)_0*(dev|[1-9]\d*)\.txt", re.IGNORECASE),
    form="{role}_{name}.txt",
    roles={
        "nir_train": ("train", "NIR"),
        "vis_train": ("train", "VIS"),
        "vis_gallery": ("gallery", "VIS"),
        "nir_probe": ("probe", "NIR"),
    },
)
_PROBES = (6208, 6232, 6210, 6055, 6204, 6191, 6247, 6222, 6162, 6245)  # of the ten folds


def read_casia(root: Path) -> Database:
    """Reads the database with all its protocols.

    Args:
        root: the folder with ``protocols`` in it, or the one above it.

    Raises:
        UserError: this is not the layout above, a list has none of its files on disk, or a person is in
            training and test of one protocol.
    """
    return with_landmarks(read_numbered(root, _LISTS, _record))


def _record(modality: Modality, line: Line, where: str) -> Record:
    """The record of a line of a list."""
    parts = PurePosixPath(where).parts
    if len(parts) < 3 or parts[-3].upper().partition("_")[0] != modality:
        raise UserError(f"{line.place}: expected <session>/{modality}/<id>/<file>, got {line.path}")
    session = parts[-4] if len(parts) >= 4 else ""
    return Record(subject=parts[-2], modality=modality, path=where, session=session)


LAYOUT = Layout(
    name="casia",
    title="CASIA NIR-VIS 2.0",
    terms="from its authors (CASIA) on a signed agreement, for research only",
    sign=r"protocols/(?:nir_train|vis_train|vis_gallery|nir_probe)_(?:dev|\d+)\.txt",
    example="protocols/nir_train_1.txt",
    read=read_casia,
    whole=Count(people=715),
    protocols={
        **{
            str(fold): {
                "train": Count(people=357),
                "gallery": Count(people=358, vis=358),
                "probe": Count(nir=probes),
            }
            for fold, probes in enumerate(_PROBES, start=1)
        },
        "dev": {
            "train": Count(people=357, nir=6270, vis=2480),
            "gallery": Count(people=358, vis=358),
            "probe": Count(nir=6123),
        },
    },
    source="counted in the public copy of the lists (bob.db.cbsr_nir_vis_2); 10 of 725 people are in none",
)
