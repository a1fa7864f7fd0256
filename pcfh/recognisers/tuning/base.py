"""What a rival is: a way to tune a recogniser to the NIR and VIS captures of a training list.

A file of ``pcfh.recognisers.rivals`` says ``RIVALS = (...)``: its rivals, frozen dataclasses whose fields are
their settings. Nothing else is edited to add one: ``pcfh tune`` and the rows of the tables find it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Protocol, runtime_checkable

from pcfh.config import nearest
from pcfh.errors import UserError
from pcfh.plugins import siblings
from pcfh.recognisers.tuned import Tuned
from pcfh.recognisers.tuning.captures import Captures

_FIXED = ("key", "label", "generator", "step_by_step")


@runtime_checkable
class Learner(Protocol):
    """A tuning under way."""

    def step(self, number: int) -> Mapping[str, float]:
        """Learns a little; what the terms of the loss are."""

    def tuned(self) -> Tuned:
        """The recogniser as it stands; what comes later does not change it."""


@dataclass(frozen=True, kw_only=True)
class Rival:
    """A way to tune.

    Attributes:
        key: what ``--rows`` and ``pcfh tune --rival`` call it.
        label: what tables call it; "after X" where its paper was not at hand in full.
        generator: key of the row whose generated images it learns from and is tested on, in the place of NIR
            ones; "" where it sees the NIR captures.
        step_by_step: whether there are steps, so that people who are kept out say when to stop.
        steps: the most there are.
        every: steps between two looks at the people who are kept out.
        held_out: share of the people who are kept out while the number of steps is found; then all learn.
    """

    step_by_step: ClassVar[bool] = True
    key: str
    label: str
    generator: str = ""
    steps: int = 300
    every: int = 25
    held_out: float = 0.2

    def start(self, captures: Captures, seed: int) -> Learner:
        """Begins a tuning; at step 0 the recogniser is the trunk, or near to it."""
        raise NotImplementedError

    @property
    def settings(self) -> dict[str, Any]:
        """What can be changed, by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _FIXED}


def known_rivals() -> dict[str, Rival]:
    """All rivals of the package by key."""
    found = siblings("pcfh.recognisers.rivals", "RIVALS")
    return {rival.key: rival for rivals in found.values() for rival in rivals}


def find_rival(key: str, changes: Iterable[str] = ()) -> Rival:
    """A rival by its key, with some settings changed.

    Args:
        key: see ``Rival``.
        changes: as NAME=VALUE.

    Raises:
        UserError: there is no such rival or setting, or a value is not of its kind.
    """
    rivals = known_rivals()
    if key not in rivals:
        raise UserError(f"no rival {key!r}{nearest(key, rivals)}; known: {', '.join(rivals)}")
    rival = rivals[key]
    return replace(rival, **dict(_change(rival, text) for text in changes))


def _change(rival: Rival, text: str) -> tuple[str, Any]:
    """A setting's name and its new value, of the kind of the old one."""
    name, _, value = text.partition("=")
    if name not in rival.settings:
        raise UserError(f"{rival.key} has no setting {name!r}{nearest(name, rival.settings)}")
    old = rival.settings[name]
    try:
        new = {"true": True, "false": False}[value] if isinstance(old, bool) else type(old)(value)
    except (KeyError, ValueError) as error:
        raise UserError(f"{text}: expected a value like {old}") from error
    if isinstance(new, int | float) and not new >= 0:
        raise UserError(f"{text}: expected no negative number")
    if (name in ("steps", "every") and new < 1) or (name == "held_out" and not 0 < new < 1):
        least = "a share between 0 and 1" if name == "held_out" else "at least 1"
        raise UserError(f"{text}: expected {least}")
    return name, new
