"""What became of every probe, kept beside results.json for paired comparisons between evaluations.

    outcomes.npz    "<protocol>/<method>/<people | hits | rates | draws>"

Draws of two evaluations are of the same people where probes, seed and number of draws are the same.

Axis letters: p probes, f FARs (those of ``results.FARS``), r draws of people.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Bool, Float, Shaped

from pcfh.errors import UserError
from pcfh.evaluation.results import Results, ShownFace
from pcfh.files import write_atomically

OUTCOMES = "outcomes.npz"


@dataclass(frozen=True, kw_only=True)
class MethodOutcome:
    """What became of the probes of a protocol by one method.

    Attributes:
        people: whom each probe is of.
        hits: whether the person was found first.
        rates: VR at each FAR; NaN where there are too few impostor pairs.
        draws: the same in draws of people; NaN also where all probes are one person's.
    """

    people: Shaped[np.ndarray, " p"]
    hits: Bool[np.ndarray, " p"]
    rates: Float[np.ndarray, " f"]
    draws: Float[np.ndarray, "f r"]


Outcomes = Mapping[str, Mapping[str, MethodOutcome]]  # by protocol, then by method


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        results: the report's figures.
        outcomes: what became of each probe.
        faces: all probes, with the gallery images that decide; by the method ``results.shown_by``.
    """

    results: Results
    outcomes: Outcomes
    faces: tuple[ShownFace, ...] = ()

    @property
    def methods(self) -> Mapping[str, MethodOutcome]:
        """The outcomes of the only protocol."""
        (methods,) = self.outcomes.values()
        return methods


_ARRAYS = tuple(field.name for field in fields(MethodOutcome))


def write_outcomes(path: Path, outcomes: Outcomes) -> None:
    """Writes the file whole or not at all."""
    arrays = {
        f"{protocol}/{method}/{name}": getattr(outcome, name)
        for protocol, methods in outcomes.items()
        for method, outcome in methods.items()
        for name in _ARRAYS
    }
    buffer = BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_atomically(path, buffer.getvalue())


def read_outcomes(path: Path) -> dict[str, dict[str, MethodOutcome]]:
    """The reverse of ``write_outcomes``.

    Raises:
        UserError: there is no such file, or it is something else.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; run pcfh evaluate first")
    found: dict[str, dict[str, MethodOutcome]] = {}
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for place in dict.fromkeys(name.rpartition("/")[0] for name in arrays.files):
                protocol, _, method = place.rpartition("/")
                values = {name: arrays[f"{place}/{name}"] for name in _ARRAYS}
                found.setdefault(protocol, {})[method] = MethodOutcome(**values)
    except (OSError, ValueError, KeyError, AttributeError, BadZipFile) as error:
        raise UserError(f"{path}: expected the outcomes of pcfh evaluate; evaluate again") from error
    return found
