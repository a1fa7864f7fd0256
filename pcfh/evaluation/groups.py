"""Error rates by group: skin tone, glasses, pose, expression, or what a user's table says.

A table is a CSV file with a column ``path`` (relative to the raw database's root, any extension) and one
column for each way to group; an empty cell counts as "unknown". Beside a rendered database such a table lies
as ``parameters.csv``; its yaw, in degrees, becomes a class of its size.

Axis letters: n probes.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int, Shaped

from pcfh.databases.rendered import PARAMETERS
from pcfh.errors import UserError
from pcfh.evaluation.intervals import Bootstrap, mean_interval
from pcfh.evaluation.results import GroupRow
from pcfh.landmarks.given import landmark_key

UNKNOWN = "unknown"
_RENDERED = ("fitzpatrick", "glasses", "yaw", "expression")
_YAW_CLASSES = ((15.0, "0° to 15°"), (30.0, "15° to 30°"), (float("inf"), "30° and more"))
_MOST_GROUPS = 40  # of one column

Labels = Mapping[str, Mapping[str, str]]  # by the key of a path: group by column


@dataclass(frozen=True, kw_only=True)
class ProbeCounts:
    """What became of the pairs of each probe by one method, over all folds.

    Attributes:
        keys: of the probes' paths.
        people: whom they are of.
        hits: whether the person was found first.
        genuine: genuine pairs of each probe.
        refused: of these, those below the threshold.
        impostor: impostor pairs of each probe.
        accepted: of these, those at the threshold or above.
    """

    keys: tuple[str, ...]
    people: Shaped[np.ndarray, " n"]
    hits: Bool[np.ndarray, " n"]
    genuine: Int[np.ndarray, " n"]
    refused: Int[np.ndarray, " n"]
    impostor: Int[np.ndarray, " n"]
    accepted: Int[np.ndarray, " n"]


def group_labels(table: Path | None, home: Path | None) -> Labels | None:
    """Groups of captures: the user's, else the rendered database's, else none.

    Args:
        table: of the user.
        home: root of the rendered database.
    """
    if table is not None:
        return read_groups(table)
    if home is not None and (home / PARAMETERS).is_file():
        return read_parameters(home / PARAMETERS)
    return None


def read_groups(path: Path) -> Labels:
    """Reads a user's table.

    Raises:
        UserError: it cannot be read, has no column ``path`` or no other, or a column has too many values to
            be groups.
    """
    rows = _rows(path)
    columns = [name for name in rows[0] if name != "path"]
    if not columns:
        raise UserError(f"{path}: expected a column beside path, got none; add one for each way to group")
    for column in columns:
        count = len({row[column] for row in rows})
        if count > _MOST_GROUPS:
            raise UserError(
                f"{path}: expected at most {_MOST_GROUPS} groups in column {column!r}, got {count}; put its "
                "values into classes"
            )
    return {landmark_key(row["path"]): {c: row[c].strip() or UNKNOWN for c in columns} for row in rows}


def read_parameters(path: Path) -> Labels:
    """Reads the table of a rendered database.

    Raises:
        UserError: it cannot be read, or lacks a column.
    """
    rows = _rows(path)
    absent = [name for name in _RENDERED if name not in rows[0]]
    if absent:
        raise UserError(f"{path}: expected a column {absent[0]!r}, got none; render the database again")
    return {landmark_key(row["path"]): _rendered_groups(path, row) for row in rows}


def group_rows(
    counts: Mapping[str, ProbeCounts], labels: Labels, bootstrap: Bootstrap, *, thresholded: bool
) -> tuple[GroupRow, ...]:
    """Errors of each method in each group.

    Args:
        counts: of each method.
        labels: groups of captures.
        bootstrap: draws of people.
        thresholded: whether there was a threshold to count refused and accepted pairs by.

    Raises:
        UserError: no probe is in the table.
    """
    keys = next(iter(counts.values())).keys
    if not any(key in labels for key in keys):
        raise UserError(
            f"the table of groups has none of the {len(set(keys))} probes, e.g. {keys[0]}; its paths must be "
            "relative to the root of the raw database"
        )
    columns = next(iter(labels.values()))
    rows = []
    for column in columns:
        values = np.array([labels[key][column] if key in labels else UNKNOWN for key in keys])
        for value in sorted(set(values.tolist()), key=_natural):
            for method, of_method in counts.items():
                rows.append(_row((column, value, method), of_method, values == value, bootstrap, thresholded))
    return tuple(rows)


def joined(parts: Sequence[ProbeCounts]) -> ProbeCounts:
    """The probes of several folds one after the other."""
    names = ("people", "hits", "genuine", "refused", "impostor", "accepted")
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return ProbeCounts(keys=tuple(key for part in parts for key in part.keys), **arrays)


def _row(
    names: tuple[str, str, str],
    counts: ProbeCounts,
    chosen: Bool[np.ndarray, " n"],
    bootstrap: Bootstrap,
    with_rates: bool,
) -> GroupRow:
    column, value, method = names
    people, errors = counts.people[chosen], ~counts.hits[chosen]
    genuine, impostor = counts.genuine[chosen].sum(), counts.impostor[chosen].sum()
    return GroupRow(
        column=column,
        value=value,
        method=method,
        probes=int(chosen.sum()),
        people=len(np.unique(people)),
        rank1_error=float(errors.mean()),
        interval=mean_interval(errors, people, bootstrap),
        frr=float(counts.refused[chosen].sum() / genuine) if with_rates else None,
        far=float(counts.accepted[chosen].sum() / impostor) if with_rates and impostor else None,
    )


def _rendered_groups(path: Path, row: Mapping[str, str]) -> dict[str, str]:
    """The groups of one rendered capture."""
    try:
        yaw = abs(float(row["yaw"]))
    except ValueError as error:
        raise UserError(f"{path}: expected degrees as yaw of {row['path']}, got {row['yaw']!r}") from error
    turned = next(name for most, name in _YAW_CLASSES if yaw < most)
    return {
        "skin type (Fitzpatrick)": row["fitzpatrick"],
        "glasses": row["glasses"],
        "turned by (|yaw|)": turned,
        "expression": row["expression"],
    }


def _rows(path: Path) -> list[dict[str, str]]:
    """The lines of a table by column."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, restval=""))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; give a CSV table of groups") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: expected a readable CSV table in UTF-8 ({error})") from error
    if not rows or "path" not in rows[0]:
        raise UserError(f"{path}: expected a header with a column path, and lines below; got none")
    if any(None in row for row in rows):
        raise UserError(f"{path}: a line has more cells than the header has columns; quote cells with commas")
    return rows


def _natural(value: str) -> list[tuple[int, float, str]]:
    """Sorts numbers inside of text by their value."""
    parts = re.split(r"(\d+)", value)
    return [(1, float(part), "") if part.isdigit() else (0, 0.0, part) for part in parts]
