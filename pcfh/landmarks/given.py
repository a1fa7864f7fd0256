"""Landmarks given in a file beside the images: a CSV table, one image a line.

The header names the columns; ``path`` and ``x0, y0, ..., x67, y67`` are needed, in any order, others are
ignored. Points are in pixels of the image upright, whole numbers at pixel centres. Lists made on
Windows are fine: backslashes, CRLF line ends, a byte order mark.
"""

import csv
import math
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float

from pcfh.errors import UserError
from pcfh.files import atomic_path
from pcfh.names import composed

COORDINATES = tuple(f"{axis}{point}" for point in range(68) for axis in "xy")


def landmark_key(path: str) -> str:
    """The name under which an image's landmarks are looked up.

    The path with forward slashes, without extension, in lower case and with each letter and its accents as
    one, because lists often name another extension, case or composition than the files on disk have.
    """
    plain = PurePosixPath(composed(path.strip().replace("\\", "/")))
    return str(plain.with_suffix("")).lower() if plain.name else ""


def read_landmarks(path: Path) -> dict[str, Float[np.ndarray, "68 2"]]:
    """Reads a table of landmarks.

    Returns:
        (x, y) points by ``landmark_key`` of the path in the table.

    Raises:
        UserError: naming the file, the line, what was expected and what was found.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _parse(path, csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: expected a readable CSV table in UTF-8 ({error})") from error


def write_landmarks(path: Path, landmarks: Mapping[str, Float[np.ndarray, "68 2"]]) -> None:
    """Writes a table of landmarks by path, rounded to a thousandth of a pixel."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["path", *COORDINATES])
        table.writerows([name, *_rounded(points)] for name, points in landmarks.items())


def _rounded(points: Float[np.ndarray, "68 2"]) -> list[str]:
    return [f"{value:.3f}" for value in points.ravel().tolist()]


def _parse(path: Path, lines: Iterable[list[str]]) -> dict[str, Float[np.ndarray, "68 2"]]:
    table = enumerate(lines, 1)
    header = [name.strip().lower() for name in next(table, (1, []))[1]]
    _require_columns(path, header)
    found: dict[str, Float[np.ndarray, "68 2"]] = {}
    for number, cells in table:
        if cells:
            where = f"{path}, line {number}"
            name, points = _row(where, header, cells)
            key = landmark_key(name)
            if not key or key in found:
                state = "named twice (case and extension do not count)" if key else "empty"
                raise UserError(f"{where}: expected a new image path, found {name!r}, which is {state}")
            found[key] = points
    return found


def _row(where: str, header: list[str], cells: list[str]) -> tuple[str, Float[np.ndarray, "68 2"]]:
    if len(cells) != len(header):
        raise UserError(f"{where}: expected {len(header)} columns as in line 1, found {len(cells)}")
    named = dict(zip(header, cells, strict=True))
    values = [_number(where, column, named[column]) for column in COORDINATES]
    return named["path"], np.array(values).reshape(68, 2)


def _require_columns(path: Path, header: list[str]) -> None:
    absent = [name for name in ("path", *COORDINATES) if name not in header]
    if absent:
        points = sum(f"x{point}" in header for point in range(len(header)))
        raise UserError(
            f"{path}, line 1: expected the columns path, x0, y0, ..., x67, y67 (68 landmarks are needed), "
            f"found {len(header)} columns with {points} points; {absent[0]!r} is absent"
        )


def _number(where: str, column: str, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{where}: expected a finite number in column {column}, found {cell!r}")
    return value
