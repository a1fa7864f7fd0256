"""Tunes a recogniser by a rival: finds the number of steps on people who are kept out, then learns from all.

Looks count by the mean of Rank-1 and VR at FAR = 1 % of NIR against VIS captures of the people kept out; of
equal ones by how many pairs of a genuine and an impostor score are in order, as few people give few different
figures; then the earliest, so a rival that never helps leaves the trunk as it is.

Axis letters: n captures, d features.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from pcfh.errors import UserError
from pcfh.files import sha256_of
from pcfh.recognisers.base import l2_normalize
from pcfh.recognisers.identification import identification
from pcfh.recognisers.lbp import lbp_features
from pcfh.recognisers.lightcnn.network import LightCNN
from pcfh.recognisers.lightcnn.weights import load_recognizer
from pcfh.recognisers.training.faces import gallery_and_probes
from pcfh.recognisers.tuned import MODALITIES, Tuned, load_tuned
from pcfh.recognisers.tuning.base import Rival
from pcfh.recognisers.tuning.captures import Captures, Trunk, split
from pcfh.recognisers.tuning.rescale import rescaled

TUNED_FILE = "tuned.safetensors"
Stop = Callable[[], bool]


@dataclass(frozen=True, kw_only=True)
class Look:
    """What the people who are kept out say after some steps.

    Attributes:
        step: how many there were.
        rank1: of their NIR captures, searched for in their VIS captures, in [0, 1].
        vr1: VR at FAR = 1 %; None where there are too few pairs.
        order: share of the pairs of a genuine and an impostor score in which the former is the higher one.
    """

    step: int
    rank1: float
    vr1: float | None
    order: float

    @property
    def worth(self) -> tuple[float, float]:
        """What decides."""
        return (self.rank1 if self.vr1 is None else (self.rank1 + self.vr1) / 2), self.order


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """What came of it.

    Attributes:
        tuned: the recogniser.
        steps: how many were taken.
        looks: at the people kept out; none where there are no steps.
        processor_seconds: of both trainings; maps and pictures, which rows share, are not counted.
    """

    tuned: Tuned
    steps: int
    looks: tuple[Look, ...]
    processor_seconds: float


def open_trunk(path: Path, device: str | torch.device = "cpu") -> Trunk:
    """A Light CNN from its file, rescaled.

    Raises:
        UserError: it is not one.
    """
    network = rescaled(load_recognizer(path)).to(device)
    return Trunk(network=network, key=sha256_of(path))


def tune(
    rival: Rival,
    captures: Captures,
    *,
    seed: int,
    on_progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> Tuning:
    """Tunes by a rival.

    Args:
        rival: which, with its settings.
        captures: of the training list.
        seed: of everything that is drawn.
        on_progress: called with what is being done, how much of it is done and of how much; what it raises
            ends the work, and nothing is left half done.

    Raises:
        UserError: too few people, or the loss is not finite.
    """
    _make_variants(rival, captures)
    begun = time.process_time()
    looks = looks_of(rival, captures, seed=seed, on_progress=on_progress) if rival.step_by_step else ()
    seconds = time.process_time() - begun
    best = max(looks, key=lambda one: one.worth).step if looks else 0
    begun = time.process_time()
    learner = rival.start(captures, seed)
    for step in range(best):
        _step(rival, learner.step(step), step)
        on_progress(f"{rival.key}: on all", step + 1, best)
    tuned = learner.tuned()
    return Tuning(
        tuned=tuned,
        steps=best,
        looks=looks,
        processor_seconds=seconds + time.process_time() - begun,
    )


def looks_of(
    rival: Rival,
    captures: Captures,
    *,
    seed: int,
    on_progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> tuple[Look, ...]:
    """How a rival fares on people who are kept out, in the course of its steps; once where it has none.

    Args:
        rival: which, with its settings.
        captures: of the training list.
        seed: of everything that is drawn, who is kept out too.
        on_progress: see ``tune``.

    Raises:
        UserError: too few people, or the loss is not finite.
    """
    learning, kept_out = split(captures, rival.held_out, seed)
    _make_variants(rival, captures)
    learner = rival.start(learning, seed)
    looks = [look(learner.tuned(), kept_out, 0)]
    for step in range(rival.steps if rival.step_by_step else 0):
        _step(rival, learner.step(step), step)
        if (step + 1) % rival.every == 0 or step + 1 == rival.steps:
            looks.append(look(learner.tuned(), kept_out, step + 1))
        on_progress(f"{rival.key}: when to stop", step + 1, rival.steps)
    return tuple(looks)


def about_tuning(
    rival: Rival, tuning: Tuning, seed: int, trunk: Trunk, data: Mapping[str, Any]
) -> dict[str, Any]:
    """What a tuned file says of itself.

    Args:
        rival: by which.
        tuning: what came of it.
        seed: of it.
        trunk: that was tuned.
        data: what it has learnt from: manifest and protocol, identities of people, what the trunk had.
    """
    return {
        "rival": rival.label,
        "key": rival.key,
        "settings": rival.settings,
        "seed": seed,
        "trunk": trunk.key,
        "steps": tuning.steps,
        "looks": [[one.step, one.rank1, one.vr1, one.order] for one in tuning.looks],
        "processor_seconds": round(tuning.processor_seconds, 1),
        **data,
    }


def is_tuned(path: Path, rival: Rival, seed: int, trunk: Trunk, data: Mapping[str, Any]) -> bool:
    """Whether a file is what a rival makes of these data."""
    try:
        about = load_tuned(path)[1]
    except UserError:
        return False
    wanted = {"key": rival.key, "settings": rival.settings, "seed": seed, "trunk": trunk.key, **data}
    return {name: about.get(name) for name in wanted} == wanted


def look(tuned: Tuned, captures: Captures, step: int) -> Look:
    """Rank-1 and VR of NIR against VIS: the first VIS capture of each person is enrolled."""
    people = captures.people
    found = [embeddings(tuned, captures, nir) for nir in (True, False)]
    first, _ = gallery_and_probes(people[~captures.nir])
    probes, gallery = people[captures.nir], people[~captures.nir][first]
    figures = identification(found[0], found[1][first], probes, gallery)
    scores = found[0] @ found[1][first].T
    order = in_order(scores[probes[:, None] == gallery], scores[probes[:, None] != gallery])
    return Look(step=step, rank1=figures["rank1"], vr1=figures.get("vr_at_far_1"), order=order)


def in_order(genuine: Float32[np.ndarray, " g"], impostor: Float32[np.ndarray, " i"]) -> float:
    """Share of the pairs in which the genuine score is the higher one; equal ones count as half."""
    others = np.sort(impostor)
    below = np.searchsorted(others, genuine, "left") + np.searchsorted(others, genuine, "right")
    return float(below.mean() / (2 * len(others)))


def embeddings(tuned: Tuned, captures: Captures, nir: bool) -> Float32[np.ndarray, "n d"]:
    """Of the captures of one modality as they are, from the maps on disk."""
    some = captures.part(captures.nir == nir)
    features = lbp_of(some) if tuned.network is None else plain_features(tuned.network, some)
    return tuned.projected(features, MODALITIES[0 if nir else 1])


def lbp_of(captures: Captures) -> Float32[np.ndarray, "n 15104"]:
    """Unit histograms of captures as they are."""
    faces = torch.cat([*captures.faces(0)])[:, 0]
    return lbp_features((faces * 255).round().byte().numpy())


@torch.inference_mode()
def plain_features(network: LightCNN, captures: Captures, variant: int = 0) -> Float32[np.ndarray, "n 256"]:
    """Unit features of a variant of captures, from the maps on disk."""
    maps = torch.from_numpy(captures.maps(variant))
    device = next(network.parameters()).device
    parts = [network.last_layer(part.to(device).float()).cpu().numpy() for part in maps.split(1024)]
    return l2_normalize(np.concatenate(parts), "the tuned recogniser")


def _make_variants(rival: Rival, captures: Captures) -> None:
    """Of all captures, before some are taken."""
    for variant in range(1 + int(rival.settings.get("variants", 0))):
        captures.maps(variant)


def _step(rival: Rival, terms: Mapping[str, float], step: int) -> None:
    if not all(np.isfinite(value) for value in terms.values()):
        raise UserError(
            f"{rival.key}: the loss is not finite at step {step}: {dict(terms)}; take a smaller learning rate"
        )
