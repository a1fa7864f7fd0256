"""Training of a Light CNN on the faces of a prepared database, VIS captures alone if nothing else is said.

    recognizer.safetensors   the moving average of the weights, in 16 bits, to recognise with

What else a run's folder holds is said in ``pcfh.training.loop``.

Why it starts: a Light CNN has no normalisation layers, so the scale of the weights decides whether anything
is learnt. With PyTorch's own initialisation the signal shrinks at every layer; faces give nearly equal
features, and plain gradient descent stays at the loss of guessing, ln(people). Here (1) weights are drawn so
that the larger of two filters keeps the mean square (``initialise`` of the network); (2) each layer is
then scaled and shifted to mean 0 and mean square 1 on the first batch (``calibrate``), because the larger of
two numbers is positive on average, and that common part grows from layer to layer until it hides what
differs; (3) Adam makes the step's size independent of the gradient's, with a linear warm-up and a bound on
the gradient's norm; (4) the margin of the loss grows from zero with the warm-up.

Axis letters: b batch, d features, k people.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from pcfh import __version__
from pcfh.config import (
    Count,
    FreeCount,
    Positive,
    Precision,
    Share,
    Weight,
    Whole,
    checked,
    identity_of,
    to_toml,
)
from pcfh.devices import mixed_precision, mixes
from pcfh.errors import UserError
from pcfh.files import sha256_of
from pcfh.images import grey
from pcfh.preparation.manifest import MANIFEST
from pcfh.recognisers.base import training_history
from pcfh.recognisers.identification import identification
from pcfh.recognisers.lightcnn.network import LightCNN, MFMConv, MFMLinear, build_lightcnn
from pcfh.recognisers.lightcnn.recogniser import network_features
from pcfh.recognisers.lightcnn.weights import load_recognizer, read_about, save_recognizer
from pcfh.recognisers.training.augment import OUTPUT, POOL
from pcfh.recognisers.training.faces import Faces, TrainingFaces, gallery_and_probes, open_faces
from pcfh.runtime import Runtime
from pcfh.training.checkpoint import State
from pcfh.training.loop import Callbacks, Task, run_task

RECOGNIZER = "recognizer.safetensors"
_MOST_NORM = 5.0  # of the gradient of one step
_CALIBRATION, _TRIAL_BATCH = 32, 32  # faces at once


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
        log_every: steps between numbers.
        checkpoint_every: steps between checkpoints.
    """

    arch: Literal["lightcnn9", "lightcnn29", "lightcnn29v2"] = "lightcnn9"
    steps: FreeCount = 4000
    batch: Count = 32
    learning_rate: Positive = 1e-3
    weight_decay: Weight = 0.05
    warmup: Whole = 200
    loss: Literal["cosface", "softmax"] = "cosface"
    scale: Positive = 30.0
    margin: Share = 0.2
    ema: Share = 0.998
    precision: Precision = "auto"
    validation: Share = 0.05
    nir_share: Share = 0.0
    seed: Whole = 0
    validate_every: FreeCount = 500
    log_every: FreeCount = 1
    checkpoint_every: FreeCount = 250


@dataclass(frozen=True, kw_only=True)
class RecognizerConfig:
    """The recipe as the one group of a configuration."""

    recipe: RecognizerRecipe = field(default_factory=RecognizerRecipe)


@dataclass(frozen=True, kw_only=True)
class RecognizerJob:
    """What to train a recogniser on.

    Attributes:
        prepared: folder that ``pcfh prepare`` made.
        protocol: whose training people to take; "all" takes everyone.
        run: the run's folder.
        recipe: how to train.
        start: weights to start from, of the same architecture; None starts from the seed's.
        extend: whether the run may train past the end that was planned when it began.
    """

    prepared: Path
    protocol: str
    run: Path
    recipe: RecognizerRecipe
    start: Path | None = None
    extend: bool = False


def train_recognizer(job: RecognizerJob, device: torch.device, callbacks: Callbacks | None = None) -> State:
    """Trains to the end, or until asked to stop; resumes the run that is in the folder.

    Returns:
        The last state; its ``step`` is less than the recipe's where the run was stopped.

    Raises:
        UserError: data, recipe or run folder do not fit.
        TrainingStoppedError: the loss was not finite.
    """
    checked(RecognizerConfig(recipe=job.recipe))
    r = job.recipe
    faces, trial = open_faces(
        job.prepared, job.protocol, share=r.validation, seed=r.seed, nir_share=r.nir_share
    )
    task = RecognizerTask(r, faces, trial, device, start=job.start)
    data = {"manifest": sha256_of(job.prepared / MANIFEST), "protocol": job.protocol}
    task.identity = {
        "recipe": identity_of(r),
        "data": data,
        "start": sha256_of(job.start) if job.start else None,
    }
    task.settings = to_toml(RecognizerConfig(recipe=r), f"pcfh {__version__}, protocol {job.protocol}")
    runtime = Runtime(rank=0, processes=1, device=device)
    return run_task(task, job.run, runtime, callbacks, extend=job.extend)


class RecognizerTask(Task):
    """A Light CNN, and the faces that it learns from.

    Args:
        recipe: how to train.
        faces: to learn from.
        trial: of the people kept out.
        device: where it computes.
        start: weights for all layers but the last, whose people are others.

    Raises:
        UserError: the file to start from is of another architecture, or not readable.
    """

    weights_file = RECOGNIZER
    identity: Mapping[str, Any] = {}
    settings = ""
    networks: LightCNN
    result: LightCNN

    def __init__(
        self,
        recipe: RecognizerRecipe,
        faces: TrainingFaces,
        trial: Faces | None,
        device: torch.device,
        *,
        start: Path | None = None,
    ) -> None:
        self._recipe, self._faces, self._trial, self._device = recipe, faces, trial, device
        self.networks = self.result = new_network(recipe, faces, device, start)
        self._before = training_history(read_about(start)) if start else []
        self.pace = recipe

    def optimizer(self) -> torch.optim.Optimizer:
        """AdamW; biases do not decay."""
        rate, decay = self._recipe.learning_rate, self._recipe.weight_decay
        matrices = [p for p in self.networks.parameters() if p.ndim > 1]
        biases = [p for p in self.networks.parameters() if p.ndim == 1]
        groups = [
            {"params": matrices, "weight_decay": decay, "full_rate": rate},
            {"params": biases, "weight_decay": 0.0, "full_rate": rate},
        ]
        return torch.optim.AdamW(groups, lr=rate, fused=True)

    def rate_factor(self, step: int) -> float:
        """Up to one in the warm-up, then down to zero as a cosine."""
        return rate_factor(self._recipe, step)

    def fetch(self, step: int) -> tuple[UInt8[np.ndarray, "b 1 128 128"], Int[np.ndarray, " b"]]:
        """Augmented faces and labels."""
        return self._faces.batch(step * self._recipe.batch, self._recipe.batch)

    def compute_gradients(
        self, step: int, fetched: tuple[UInt8[np.ndarray, "b 1 128 128"], Int[np.ndarray, " b"]]
    ) -> dict[str, Tensor]:
        """The loss, the share of faces whose own person scores best, and the norm of the gradient."""
        recipe, device = self._recipe, self._device
        people = torch.from_numpy(fetched[1]).to(device)
        greys = to_grey(fetched[0], device)
        with mixed_precision(mixes(recipe.precision, device), greys):
            features = self.networks(greys)
            scores = class_scores(self.networks, features, recipe).float()
        loss = F.cross_entropy(with_margin(scores, people, recipe, step), people)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.networks.parameters(), _MOST_NORM)
        accuracy = (scores.detach().argmax(1) == people).float().mean()
        return {"loss/people": loss.detach(), "accuracy": accuracy, "gradient_norm": norm}

    def validate(self, average: nn.Module) -> Mapping[str, float]:
        """Figures on the people kept out."""
        assert isinstance(average, LightCNN) and self._trial is not None
        return validate(average, self._trial, self._recipe.precision)

    def save(self, path: Path, average: nn.Module, step: int) -> None:
        """Writes the weights, with what they have learnt from."""
        people, images = self._faces.classes, len(self._faces.labels)
        about = {**self.identity, "step": step, "people": people, "images": images}
        if self._before:
            about["before"] = [{"manifest": manifest, "protocol": name} for manifest, name in self._before]
        assert isinstance(average, LightCNN)
        save_recognizer(path, average, about)


def new_network(
    recipe: RecognizerRecipe, faces: TrainingFaces, device: torch.device, start: Path | None = None
) -> LightCNN:
    """A network with the seed's weights, calibrated on the first faces, or with those of a file.

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
    return model.to(device).train()


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
    """Rank-1 and the mean cosine with the own person's enrolled face, of people that are not trained on.

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
    features, people = np.concatenate(parts), faces.people
    gallery, probes = gallery_and_probes(people[~faces.nir])
    searched = {"": probes} | ({"nir_": np.flatnonzero(faces.nir)} if faces.nir.any() else {})
    return {
        f"validation/{prefix}{name}": value
        for prefix, places in searched.items()
        for name, value in identification(
            features[places], features[gallery], people[places], people[gallery]
        ).items()
    }
