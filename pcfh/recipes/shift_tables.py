"""What the suite of shifts found, as rows and as tables. Shares are in [0, 1]; intervals are over people.

Axis letters: p probes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Shaped

from pcfh.evaluation.faithfulness import (
    EYES_FOUND,
    FACES_FOUND,
    FRAMES,
    IRIS,
    SURROUNDINGS,
    UNEQUAL,
    UNEQUAL_TRUTH,
    Measure,
    Parts,
    faithfulness_rows,
)
from pcfh.evaluation.intervals import Bootstrap, Interval, mean_interval
from pcfh.evaluation.outcomes import MethodOutcome, Outcomes
from pcfh.evaluation.results import FUSION, GENERATED, ORIGINAL, TRUTH, QualityRow
from pcfh.evaluation.text_tables import UNMEASURED, TextTable, interval_text, plain_interval_text

ALL_SHIFTS = "all shifts"
_SCORES = (ORIGINAL, GENERATED, FUSION, TRUTH)
_KEPT: Mapping[Measure, str] = {
    IRIS: "iris ΔE2000",
    UNEQUAL: "left, right iris ΔE2000",
    UNEQUAL_TRUTH: "the same in truth",
    EYES_FOUND: "eyes behind glasses",
    FACES_FOUND: "faces found there, %",
    FRAMES: "frames kept",
    SURROUNDINGS: "surroundings like skin, %",
}
_IN_PERCENT = (FACES_FOUND, SURROUNDINGS)


@dataclass(frozen=True, kw_only=True)
class UsedGenerator:
    """A generator by its name in the tables, and the SHA-256 of its file."""

    name: str
    model: str


@dataclass(frozen=True, kw_only=True)
class ShiftRow:
    """One shift with one recogniser and one generator.

    Attributes:
        recognizer: its name.
        generator: its name.
        shift: name, or ``ALL_SHIFTS``.
        probes: how many.
        people: whose.
        rank1: by score: original, generated, fusion, truth.
        gain: Rank-1 of the fusion less that of the NIR images, the same people drawn for both.
        change: Rank-1 of the fusion less that of the first generator's, likewise; None of the first.
    """

    recognizer: str
    generator: str
    shift: str
    probes: int
    people: int
    rank1: Mapping[str, Interval | None]
    gain: Interval | None
    change: Interval | None = None


@dataclass(frozen=True, kw_only=True)
class KeptRow:
    """What the faces of one generator keep under one shift, see ``pcfh.evaluation.faithfulness``.

    Attributes:
        generator: its name.
        shift: name, or ``ALL_SHIFTS``.
        measures: those that could be taken.
    """

    generator: str
    shift: str
    measures: tuple[QualityRow, ...]


@dataclass(frozen=True, kw_only=True)
class ShiftSuite:
    """All rows, with what they were measured with.

    Attributes:
        format: mark of the file.
        version: of the program.
        generators: what was compared.
        resamples: draws of people of each interval.
        rows: recognition.
        kept: what generated faces keep; empty where the database has no masks.
    """

    format: Literal["pcfh-shifts-2"]
    version: str
    generators: tuple[UsedGenerator, ...]
    resamples: int
    rows: tuple[ShiftRow, ...]
    kept: tuple[KeptRow, ...]


@dataclass(frozen=True, kw_only=True)
class Hits:
    """Whether the person of each probe was found first, by score; p probes of one or of several shifts."""

    people: Shaped[np.ndarray, " p"]
    hits: Mapping[str, Bool[np.ndarray, " p"]]


def hits_of(parts: Sequence[Mapping[str, MethodOutcome]]) -> Hits:
    """The probes of some protocols, one after the other."""
    found = {
        name: np.concatenate([methods[name].hits for methods in parts])
        for name in _SCORES
        if name in parts[0]
    }
    return Hits(people=np.concatenate([methods[ORIGINAL].people for methods in parts]), hits=found)


def hits_by_shift(shifts: Mapping[str, str], outcomes: Outcomes) -> dict[str, Hits]:
    """The probes of each shift, and of all.

    Args:
        shifts: the shift of each protocol.
        outcomes: of the protocols.
    """
    each = {shift: hits_of([outcomes[protocol]]) for protocol, shift in shifts.items()}
    return {**each, ALL_SHIFTS: hits_of([outcomes[protocol] for protocol in shifts])}


def shift_rows(
    recognizer: str, found: Mapping[str, Mapping[str, Hits]], bootstrap: Bootstrap
) -> list[ShiftRow]:
    """What became of the probes of each shift.

    Args:
        recognizer: its name.
        found: by generator, then by shift; the other generators are compared with the first.
        bootstrap: draws of people.
    """
    first = next(iter(found.values()))

    def share(values: Shaped[np.ndarray, " p"], of: Hits) -> Interval | None:
        return mean_interval(values, of.people, bootstrap)

    def less(a: Hits, score: str, b: Hits) -> Interval | None:
        return share(a.hits[FUSION].astype(int) - b.hits[score].astype(int), a)

    return [
        ShiftRow(
            recognizer=recognizer,
            generator=generator,
            shift=shift,
            probes=len(own.people),
            people=len(set(own.people.tolist())),
            rank1={name: share(hits, own) for name, hits in own.hits.items()},
            gain=less(own, ORIGINAL, own),
            change=None if by_shift is first else less(own, FUSION, first[shift]),
        )
        for generator, by_shift in found.items()
        for shift, own in by_shift.items()
    ]


def kept_rows(
    generator: str, found: Mapping[str, Sequence[tuple[str, Parts]]], bootstrap: Bootstrap
) -> list[KeptRow]:
    """What a generator's faces keep, under each shift and all.

    Args:
        generator: its name.
        found: by shift, the person of each probe with what was measured.
        bootstrap: draws of people.
    """
    parts = {**found, ALL_SHIFTS: [face for faces in found.values() for face in faces]}
    return [
        KeptRow(
            generator=generator,
            shift=shift,
            measures=faithfulness_rows([one for _, one in faces], [name for name, _ in faces], bootstrap),
        )
        for shift, faces in parts.items()
    ]


def markdown(suite: ShiftSuite) -> str:
    """A table for each recogniser and one for each generator."""
    names = dict.fromkeys(row.recognizer for row in suite.rows)
    tables = [_recognition([row for row in suite.rows if row.recognizer == name]) for name in names]
    for generator in suite.generators:
        own = [row for row in suite.kept if row.generator == generator.name]
        tables += [_kept(generator.name, own)] if own else []
    return "\n".join(f"{table.caption}\n\n{table.markdown()}\n" for table in tables)


def _recognition(rows: Sequence[ShiftRow]) -> TextTable:
    """One recogniser: a line for each shift, and beside each other what the generators make of it."""
    generators = list(dict.fromkeys(row.generator for row in rows))
    mark = {name: f" ({name})" if len(generators) > 1 else "" for name in generators}
    columns = [_of_generator([r for r in rows if r.generator == name], mark[name]) for name in generators]
    first = [row for row in rows if row.generator == generators[0]]
    last = [row for row in rows if row.generator == generators[-1]]
    head = {"Shift": [row.shift for row in first], "NIR": [_rank1(row, ORIGINAL) for row in first]}
    body = {name: cells for column in columns for name, cells in column.items()}
    whole = {**head, **body, "true VIS": [_rank1(row, TRUTH) for row in last]}
    caption = (
        f"**{first[0].recognizer}**: Rank-1 in percent with 95 % confidence intervals over people; "
        f"{first[0].people} people, {first[0].probes} probes of each shift."
    )
    return TextTable(caption, tuple(whole), list(zip(*whole.values(), strict=True)))


def _of_generator(rows: Sequence[ShiftRow], mark: str) -> dict[str, list[str]]:
    """The columns of one generator, by their heads."""
    columns = {
        f"generated{mark}": [_rank1(row, GENERATED) for row in rows],
        f"fusion{mark}": [_rank1(row, FUSION) for row in rows],
        f"fusion less NIR{mark}": [interval_text(row.gain, signed=True) for row in rows],
    }
    if any(row.change for row in rows):
        columns[f"fusion less the first's{mark}"] = [interval_text(row.change, signed=True) for row in rows]
    return columns


def _rank1(row: ShiftRow, score: str) -> str:
    return interval_text(row.rank1.get(score))


def _kept(generator: str, rows: Sequence[KeptRow]) -> TextTable:
    """One generator: a line for each shift."""
    taken = [{(one.measure, one.images): one.interval for one in row.measures} for row in rows]
    shown = [measure for measure in _KEPT if any(measure in one for one in taken)]
    cells = [
        (row.shift, *(_kept_text(measure, one.get(measure)) for measure in shown))
        for row, one in zip(rows, taken, strict=True)
    ]
    caption = f"**{generator}**: what generated faces keep, with 95 % confidence intervals over people."
    return TextTable(caption, ("Shift", *(_KEPT[measure] for measure in shown)), cells)


def _kept_text(measure: Measure, interval: Interval | None) -> str:
    if interval is None:
        return UNMEASURED
    return interval_text(interval) if measure in _IN_PERCENT else plain_interval_text(interval, 3)
