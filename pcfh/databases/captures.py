"""Captures in the layout of CASIA NIR-VIS 2.0 that come without its lists.

s1..s4/NIR/<id>/<n>.bmp, .../VIS/<id>/<n>.jpg
"""

import re
from pathlib import Path

from pcfh.databases.folders import left_out
from pcfh.databases.layouts import Layout
from pcfh.databases.records import Database, Modality, Protocol, Record
from pcfh.errors import UserError
from pcfh.images import IMAGE_SUFFIXES, OTHER_SUFFIXES

EXAMPLE = "s1/NIR/00001/001.jpg"
_NAME = re.compile(r"(s\w*)/(NIR|VIS)/([^/]+)/[^/]+", re.IGNORECASE)


def read_captures(root: Path) -> Database:
    """Reads the captures; protocol "all" has everyone in training.

    Args:
        root: the folder with the sessions in it, or the one above it.

    Raises:
        UserError: there is no such capture.
    """
    for home in (root, *sorted(path for path in root.iterdir() if path.is_dir())):
        matches = [
            _NAME.fullmatch(path.relative_to(home).as_posix()) for path in sorted(home.glob("s*/*/*/*"))
        ]
        there = [match for match in matches if match]
        records = tuple(_record(match) for match in there if match[0].lower().endswith(IMAGE_SUFFIXES))
        if records:
            protocols = {"all": Protocol(name="all", train=records)}
            others = [match[0] for match in there if match[0].lower().endswith(OTHER_SUFFIXES)]
            notes = left_out(others, "pictures of kinds that are not read, convert them")
            return Database(root=home, records=records, protocols=protocols, notes=notes)
    raise UserError(f"{root}: expected captures such as {EXAMPLE}; found none")


def _record(match: re.Match[str]) -> Record:
    """The record of <session>/<modality>/<id>/<file>."""
    modality: Modality = "NIR" if match[2].upper() == "NIR" else "VIS"
    return Record(subject=match[3], modality=modality, path=match[0], session=match[1])


LAYOUT = Layout(
    name="captures",
    title="captures in the layout of CASIA NIR-VIS 2.0, without lists",
    sign=r"s\d+/(?:NIR|VIS)/\w+",
    example="s1/NIR/00001",
    read=read_captures,
    rank=1,  # they lie in CASIA NIR-VIS 2.0 too
)
