"""Rows that were trained on another machine: which generator may stand for a row, and what to say of it.

Who has trained elsewhere puts ``generator.safetensors`` and, for the settings to be known, ``config.toml``
and ``metrics.csv`` into the run's folder. A checkpoint is not needed; it tells a run of this machine.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pcfh.config import flat, identity_of, to_plain
from pcfh.errors import UserError
from pcfh.journal import changes
from pcfh.methods.base import Config, kind_of
from pcfh.methods.files import load_generator, training_history
from pcfh.methods.find import configured
from pcfh.methods.job import TrainingJob
from pcfh.training.loop import CHECKPOINT, SETTINGS

_OF_ROWS = ("objective.awm", "objective.mic")  # settings that make a row what it is
_MOST_SAID = 6  # differences that a note lists


@dataclass(frozen=True, kw_only=True)
class Guest:
    """A generator that was trained elsewhere.

    Attributes:
        images: NIR images that it has seen; None where its file does not say.
        differences: of its settings to those of the row; None where they are not known.
        people: of the fold's training whom it has learnt from, and all of them; None where it was trained on
            these very data.
    """

    images: int | None
    differences: tuple[str, ...] | None
    people: tuple[int, int] | None

    def notes(self, name: str) -> list[str]:
        """What the reader of a table must know of it."""
        if self.differences is None:
            notes = [f"{name} was trained elsewhere; its settings are not known (no {SETTINGS} beside it)."]
        elif self.differences:
            more = len(self.differences) - _MOST_SAID
            said = [*self.differences[:_MOST_SAID], *([f"{more} more"] if more > 0 else [])]
            notes = [f"{name} was trained elsewhere by other settings: {', '.join(said)}."]
        else:
            notes = [f"{name} was trained elsewhere by the same settings."]
        if self.people is not None and self.people[0] < self.people[1]:
            notes.append(
                f"{name} has learnt from {self.people[0]} of the {self.people[1]} people of the training."
            )
        return notes


def guest(job: TrainingJob, weights: Path, learnt: Mapping[str, Any]) -> Guest | None:
    """The generator in a run's folder that was trained elsewhere; None where there is none.

    Args:
        job: how the row is trained here.
        weights: the generator, there or not.
        learnt: what a generator that is trained here has learnt from, see ``learnt_from``.

    Raises:
        UserError: it is another method's or row's, of another size or protocol, or has learnt from people
            whom the protocol does not train on.
    """
    if (job.run / CHECKPOINT).exists() or not weights.is_file():
        return None
    generator, about = load_generator(weights)
    found = _settings(job.run / SETTINGS)
    if found is not None and about.get("step", found.training.steps) < found.training.steps:
        return None  # a run of this machine that was stopped before its first checkpoint
    _require_same(weights, job.config, kind_of(generator), generator.size)
    people = _require_people(weights, about, learnt)
    if found is None:
        return Guest(images=about.get("images"), differences=None, people=people)
    _require_row(weights, found, job.config)
    differences = changes(identity_of(job.config), identity_of(found))
    images = about.get("images", about.get("step", 0) * found.training.batch)
    return Guest(images=images, differences=tuple(differences), people=people)


def _settings(path: Path) -> Config | None:
    """The settings of a run; None where there are none."""
    return configured("cpu", file=path) if path.is_file() else None


def _require_same(weights: Path, config: Config, method: str, size: int) -> None:
    expected, found = (config.training.method, config.training.size), (method, size)
    if found != expected:
        raise UserError(
            f"{weights}: expected a generator of {expected[0]} for {expected[1]} pixels, got one of "
            f"{found[0]} for {found[1]}; put it into the folder of its own row, or give the preset that it "
            "was trained by"
        )


def _require_row(weights: Path, found: Config, expected: Config) -> None:
    """Refuses the generator of another ablation."""
    theirs, ours = flat(to_plain(found)), flat(to_plain(expected))
    for key in _OF_ROWS:
        if theirs.get(key) != ours.get(key):
            raise UserError(
                f"{weights}: expected a training with {key}={json.dumps(ours[key])}, and {SETTINGS} beside "
                f"it says {json.dumps(theirs[key])}; put it into the folder of its own row"
            )


def _require_people(
    weights: Path, about: Mapping[str, Any], learnt: Mapping[str, Any]
) -> tuple[int, int] | None:
    """How many of the training's people it knows, and of how many; refuses one that knows others."""
    trainings, fold = training_history(about), learnt["protocol"]
    others = [training["protocol"] for training in trainings if training["protocol"] != fold]
    if not trainings or others:
        raise UserError(
            f"{weights}: expected a generator trained on protocol {fold!r}, and its file says "
            f"{others[0] if others else 'nothing'}; take the one of this fold"
        )
    if all(training["training_data"] == learnt["training_data"] for training in trainings):
        return None
    known = {one for training in trainings for one in training.get("people", ())}
    strangers = known - set(learnt["people"])
    if strangers or not known:
        raise UserError(
            f"{weights}: was trained on {len(strangers) or 'other'} people whom protocol {fold!r} does not "
            "train on; rows of one table learn from the same people. Pack the crops that this table is made "
            "of (pcfh pack), and train on those"
        )
    return len(known), len(learnt["people"])
