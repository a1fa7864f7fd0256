"""Training of a Light CNN on the faces of a prepared database, VIS captures alone if nothing else is said.

A run lives in one folder, and the same command goes on with one that was stopped, bit for bit:

    config.json              the recipe and what the run belongs to
    checkpoint.pt            to go on from
    recognizer.safetensors   the moving average of the weights, in 16 bits, to recognise with
    tensorboard/             loss, accuracy, and figures on people who are not trained on

Why it starts: a Light CNN has no normalisation layers, so the scale of the weights decides whether anything
is learnt. With PyTorch's own initialisation the signal shrinks at every layer; faces give nearly equal
features, and plain gradient descent stays at the loss of guessing, ln(people). Here (1) weights are drawn so
that the larger of two filters keeps the mean square (``initialise`` of the network); (2) each layer is
then scaled and shifted to mean 0 and mean square 1 on the first batch (``calibrate``), because the larger of
two numbers is positive on average, and that common part grows from layer to layer until it hides what
differs; (3) Adam makes the step's size independent of the gradient's, with a linear warm-up and a bound on
the gradient's norm; (4) the margin of the loss grows from zero with the warm-up.

Axis letters: b batch, d features, g gallery, k people, n faces, p probes.
"""

import json
import math
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Shaped, UInt8
from torch import Tensor, nn

from pcfh.config import Precision
from pcfh.devices import mixes
from pcfh.errors import UserError
from pcfh.files import remove_leftovers, sha256_of, write_atomically
from pcfh.images import grey
from pcfh.methods.batch import mixed_precision
from pcfh.preparation.manifest import MANIFEST
from pcfh.rates import ScoreMatrix, pairs_of, ranks, verification_rate
from pcfh.recognisers.lightcnn.network import LightCNN, MFMConv, MFMLinear, build_lightcnn
from pcfh.recognisers.lightcnn.recogniser import network_features
from pcfh.recognisers.lightcnn.weights import load_recognizer
from pcfh.recognisers.training.augment import OUTPUT, POOL
from pcfh.recognisers.training.faces import Faces, TrainingFaces, gallery_and_probes, open_faces
from pcfh.recognisers.training.recogniser_checkpoint import (
    RecognizerState,
    load_state,
    save_recognizer,
    save_state,
)
from pcfh.training.loop import Hooks, TrainingStoppedError
from pcfh.training.monitor import Monitor

CHECKPOINT, RECOGNIZER = "checkpoint.pt", "recognizer.safetensors"
_FAR = 0.01
_MOST_NORM = 5.0  # of the gradient of one step
_CALIBRATION, _TRIAL_BATCH = 32, 32  # faces at once
_POSITIVE = ("steps", "batch", "learning_rate", "scale", "validate_every", "checkpoint_every")


@dataclass(frozen=True, kw_only=True)
class RecognizerRecipe:
    """How to train a recogniser.

    Attributes:
        arch: lightcnn9, lightcnn29 or lightcnn29v2.
        steps: updates of the weights.
        batch: faces of one step.
        learning_rate: of AdamW, at its highest.
        weight_decay: of AdamW.
        warmup: steps in which learning rate and margin rise from zero; then the rate falls as a cosine.
        loss: cosface (cosine softmax with a margin) or softmax (as in the paper of Light CNN, with dropout).
        scale: of the cosines in cosface.
        margin: that cosface demands between the own person's cosine and all others.
        ema: decay of the moving average of the weights, which is what recognises; 0 takes the last weights.
        precision: bf16 (mixed), fp32, or auto: the former where the device has arithmetic for it.
        validation: share of the people kept out of training, to try the recogniser on.
        nir_share: of the training faces that are NIR captures; 0 learns from VIS captures alone.
        seed: of weights, choice of people, order and augmentation.
        validate_every: steps between trials.
        checkpoint_every: steps between checkpoints.

    Raises:
        UserError: a number is out of its range.
    """

    arch: str = "lightcnn9"
    steps: int = 4000
    batch: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup: int = 200
    loss: Literal["cosface", "softmax"] = "cosface"
    scale: float = 30.0
    margin: float = 0.2
    ema: float = 0.998
    precision: Precision = "auto"
    validation: float = 0.05
    nir_share: float = 0.0
    seed: int = 0
    validate_every: int = 500
    checkpoint_every: int = 250

    def __post_init__(self) -> None:
        """Refuses numbers that mean nothing."""
        for name, value in asdict(self).items():
            if isinstance(value, str):
                continue
            if not math.isfinite(value) or value < 0 or (value == 0 and name in _POSITIVE):
                least = "a positive number" if name in _POSITIVE else "no negative number"
                raise UserError(f"{name}={value}: expected {least}")
        for name in ("ema", "validation", "margin", "nir_share"):
            if getattr(self, name) >= 1:
                raise UserError(f"{name}={getattr(self, name)}: expected 0 <= value < 1")


@dataclass(frozen=True, kw_only=True)
class RecognizerJob:
    """What to train a recogniser on.

    Attributes:
        prepared: folder that ``pcfh prepare`` made.
        protocol: whose training people to take; "all" takes everyone.
        run: the run's folder.
        recipe: how to train.
        start: weights to start from, of the same architecture; None starts from the seed's.
    """

    prepared: Path
    protocol: str
    run: Path
    recipe: RecognizerRecipe
    start: Path | None = None


def train_recognizer(job: RecognizerJob, device: torch.device, hooks: Hooks | None = None) -> RecognizerState:
    """Trains to the end, or until asked to stop; goes on where the folder's run stands.

    Returns:
        The last state; its ``step`` is less than the recipe's where the run was stopped.

    Raises:
        UserError: data, recipe or run folder do not fit.
        TrainingStoppedError: the loss was not finite.
    """
    hooks, recipe = hooks or Hooks(), job.recipe
    faces, trial = open_faces(
        job.prepared, job.protocol, share=recipe.validation, seed=recipe.seed, nir_share=recipe.nir_share
    )
    identity = _identity(job)
    state = new_state(recipe, faces, device, start=job.start)
    if (job.run / CHECKPOINT).exists():
        load_state(job.run / CHECKPOINT, state, identity)
    remove_leftovers(job.run)
    write_atomically(job.run / "config.json", json.dumps(identity, indent=2).encode())
    with closing(Monitor(job.run, state.step)) as monitor:
        for learnt in _steps(state, faces, recipe, job.run):
            last = state.step == recipe.steps
            due = last or state.step % recipe.validate_every == 0
            values = learnt | (validate(state.average, trial, recipe.precision) if due else {})
            monitor.scalars(state.step, values)
            hooks.on_step(state.step, values)
            stop = hooks.should_stop()
            if stop or last or state.step % recipe.checkpoint_every == 0:
                _save(state, job, identity, faces)
            if stop:
                break
    return state


def new_state(
    recipe: RecognizerRecipe, faces: TrainingFaces, device: torch.device, *, start: Path | None = None
) -> RecognizerState:
    """A network with the seed's weights, calibrated on the first faces, and an optimizer that did no step.

    With ``start``, all layers but the last, whose people are others, have the weights of that file.

    Raises:
        UserError: the file to start from is of another architecture, or not readable.
    """
    torch.manual_seed(recipe.seed)
    model = build_lightcnn(recipe.arch, faces.classes)
    # Twice as fast as channels first on processors.
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if start is None:
        calibrate(model, to_grey(faces.batch(0, _CALIBRATION)[0], torch.device("cpu")))
    else:
        _start_from(model, start, recipe.arch)
    model.to(device)
    matrices = [p for p in model.parameters() if p.ndim > 1]
    biases = [p for p in model.parameters() if p.ndim == 1]
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": biases, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True)
    average = deepcopy(model).eval().requires_grad_(False)
    return RecognizerState(model=model.train(), average=average, optimizer=optimizer)


def _start_from(model: LightCNN, path: Path, arch: str) -> None:
    """Copies the weights of a file into all layers but the last."""
    weights = load_recognizer(path).state_dict()
    if not set(weights) <= set(model.state_dict()):
        raise UserError(f"{path}: not the weights of {arch}; name its architecture, or start without a file")
    model.load_state_dict(weights, strict=False)


@torch.no_grad()
def calibrate(model: LightCNN, faces: Float[Tensor, "b 1 128 128"]) -> None:
    """Scales and shifts every layer so that on these faces each of its channels has mean 0 and mean square 1.

    The larger of two filters follows when both are scaled by the same positive number or shifted by the same
    number, so one pass from front to back is exact. The last layer of each residual block is brought to a
    tenth of that (see ``pcfh.recognisers.lightcnn.network.initialise``).
    """
    layers = {n: m for n, m in model.named_modules() if isinstance(m, MFMConv | MFMLinear) or n == "fc"}
    handles = [
        layer.register_forward_hook(partial(_calibrate_layer, 0.1 if name.endswith("conv2") else 1.0))
        for name, layer in layers.items()
    ]
    model(faces.contiguous(memory_format=torch.channels_last))
    for handle in handles:
        handle.remove()


def _calibrate_layer(
    size: float, layer: nn.Module, _: tuple[Tensor, ...], output: Float[Tensor, "b c *rest"]
) -> Float[Tensor, "b c *rest"]:
    """Brings one layer to mean 0 and root mean square ``size``, and its output with it."""
    linear = layer.filter if isinstance(layer, MFMConv | MFMLinear) else layer
    assert isinstance(linear, nn.Conv2d | nn.Linear)
    assert linear.bias is not None
    others = [axis for axis in range(output.ndim) if axis != 1]
    mean, scale = output.mean(others), size / output.std(others).clamp_min(1e-6)
    halves = len(linear.bias) // len(mean)
    linear.weight.mul_(scale.repeat(halves).view(-1, *[1] * (linear.weight.ndim - 1)))
    linear.bias.sub_(mean.repeat(halves)).mul_(scale.repeat(halves))
    shape = (-1, *[1] * (output.ndim - 2))
    return (output - mean.view(shape)) * scale.view(shape)


def learn(
    state: RecognizerState,
    recipe: RecognizerRecipe,
    faces: UInt8[np.ndarray, "b 1 128 128"],
    labels: Int[np.ndarray, " b"],
) -> dict[str, float]:
    """One step: moves the weights along their gradient, and the average after them.

    Returns:
        The loss, the share of faces whose own person scores best, and the norm of the gradient.
    """
    device = next(state.model.parameters()).device
    people = torch.from_numpy(labels).to(device)
    greys = to_grey(faces, device)
    with mixed_precision(mixes(recipe.precision, device), greys):
        features = state.model(greys)
        scores = class_scores(state.model, features, recipe).float()
    loss = F.cross_entropy(with_margin(scores, people, recipe, state.step), people)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(state.model.parameters(), _MOST_NORM)
    for group in state.optimizer.param_groups:
        group["lr"] = recipe.learning_rate * rate_factor(recipe, state.step)
    state.optimizer.step()
    state.optimizer.zero_grad(set_to_none=True)
    _follow(state, recipe.ema)
    state.step += 1
    accuracy = (scores.detach().argmax(1) == people).float().mean()
    return {"loss/people": loss.item(), "accuracy": accuracy.item(), "gradient_norm": norm.item()}


def to_grey(faces: UInt8[np.ndarray, "b 1 128 128"], device: torch.device) -> Float[Tensor, "b 1 128 128"]:
    """Grey faces of 8 bits as a Light CNN reads them, in [0, 1]."""
    return torch.from_numpy(faces).to(device).float() / 255


def class_scores(
    model: LightCNN, features: Float[Tensor, "b d"], recipe: RecognizerRecipe
) -> Float[Tensor, "b k"]:
    """Scores of all people: scaled cosines with their weights (cosface), or the head's own (softmax)."""
    if recipe.loss == "softmax":
        return model.logits(features)
    assert model.fc2 is not None
    return recipe.scale * F.linear(F.normalize(features), F.normalize(model.fc2.weight))


def with_margin(
    scores: Float[Tensor, "b k"], people: Int[Tensor, " b"], recipe: RecognizerRecipe, step: int
) -> Float[Tensor, "b k"]:
    """Takes the margin of cosface, which grows during the warm-up, off the own person's scores.

    Reference:
        Wang et al., "CosFace: Large Margin Cosine Loss for Deep Face Recognition", CVPR 2018,
        https://arxiv.org/abs/1801.09414
    """
    if recipe.loss == "softmax":
        return scores
    margin = recipe.scale * recipe.margin * min(1.0, step / max(1, recipe.warmup))
    return scores - margin * F.one_hot(people, scores.shape[1])


def rate_factor(recipe: RecognizerRecipe, step: int) -> float:
    """What the learning rate is multiplied by: up to one in the warm-up, then down to zero as a cosine."""
    if step < recipe.warmup:
        return (step + 1) / (recipe.warmup + 1)
    progress = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return 0.5 * (1 + math.cos(math.pi * progress))


def validate(network: LightCNN, faces: Faces, precision: Precision) -> dict[str, float]:
    """Rank-1, and VR@FAR = 1 % where there are enough, on people that are not trained on.

    VIS against VIS, and NIR against VIS (``validation/nir_...``) where there are NIR faces.
    """
    weight = next(network.parameters())
    device = weight.device
    edge = (POOL - OUTPUT) // 2
    crops = np.stack([grey(image)[None, edge:-edge, edge:-edge, 0] for image in faces.images])
    with torch.inference_mode(), mixed_precision(mixes(precision, device), weight):
        parts = [
            network_features(network, to_grey(crops[i : i + _TRIAL_BATCH], device), "the network in training")
            for i in range(0, len(crops), _TRIAL_BATCH)
        ]
    features = np.concatenate(parts)
    gallery, probes = gallery_and_probes(faces.people[~faces.nir])
    values = _figures("validation/", features, faces.people, gallery, probes)
    if faces.nir.any():
        values |= _figures("validation/nir_", features, faces.people, gallery, np.flatnonzero(faces.nir))
    return values


def _figures(
    name: str,
    features: Float[np.ndarray, "n d"],
    people: Shaped[np.ndarray, " n"],
    gallery: Int[np.ndarray, " g"],
    probes: Int[np.ndarray, " p"],
) -> dict[str, float]:
    """Rank-1 and VR@FAR = 1 % of the faces at some places against those at others."""
    matrix = ScoreMatrix(
        scores=features[probes] @ features[gallery].T, probes=people[probes], gallery=people[gallery]
    )
    values = {f"{name}rank1": float((ranks(matrix) == 1).mean())}
    if len(probes) * (len(gallery) - 1) * _FAR >= 1:
        values[f"{name}vr_at_far_1"] = verification_rate(pairs_of(matrix), _FAR)
    return values


def _steps(
    state: RecognizerState, faces: TrainingFaces, recipe: RecognizerRecipe, run: Path
) -> Iterator[dict[str, float]]:
    """Does the steps that are left; the next batch is made meanwhile."""

    def fetch(step: int) -> tuple[UInt8[np.ndarray, "b 1 128 128"], Int[np.ndarray, " b"]]:
        return faces.batch(step * recipe.batch, recipe.batch)

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(fetch, state.step)
        while state.step < recipe.steps:
            batch = coming.result()
            coming = pool.submit(fetch, state.step + 1)
            values = learn(state, recipe, *batch)
            if not math.isfinite(values["loss/people"] + values["gradient_norm"]):
                raise TrainingStoppedError(
                    f"the loss is not finite at step {state.step}; {run / CHECKPOINT} holds the last good "
                    "weights, if it exists. Lower the learning rate, or set the precision to fp32, in a new "
                    "run folder"
                )
            yield values


@torch.no_grad()
def _follow(state: RecognizerState, ema: float) -> None:
    """Moves the average of the weights; a young one follows quickly and forgets the first, random weights."""
    decay = min(ema, (1 + state.step) / (10 + state.step))
    torch._foreach_lerp_(list(state.average.parameters()), list(state.model.parameters()), 1 - decay)


def _identity(job: RecognizerJob) -> dict[str, Any]:
    """What must be the same for a run to go on, as plain data."""
    data = {"manifest": sha256_of(job.prepared / MANIFEST), "protocol": job.protocol}
    start = sha256_of(job.start) if job.start else None
    return {"recipe": asdict(job.recipe), "data": data, "start": start}


def _save(
    state: RecognizerState, job: RecognizerJob, identity: Mapping[str, Any], faces: TrainingFaces
) -> None:
    about = {**identity, "step": state.step, "people": faces.classes, "images": len(faces.labels)}
    # The checkpoint comes last: a run that says it is finished has its weights.
    save_recognizer(job.run / RECOGNIZER, state.average, about)
    save_state(job.run / CHECKPOINT, state, identity)
