"""The training loop: fetch, step, average, log, save.

A run lives in one folder:

    config.json            the resolved configuration and what the run belongs to
    checkpoint.pt          to go on from
    generator.safetensors  the moving average of the translator
    tensorboard/ pictures/ what it shows of itself

The same command goes on with a run that was stopped. What is trained is a ``Method``; the loop treats all of
them alike.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from pcfh import config as configuration
from pcfh.config import Config
from pcfh.databases.records import Record, require_disjoint
from pcfh.databases.rendered import truth_crop
from pcfh.errors import UserError
from pcfh.files import remove_leftovers, sha256_of, write_atomically
from pcfh.methods.base import build_method
from pcfh.methods.batch import Batch
from pcfh.methods.files import lessons, load_generator, save_generator
from pcfh.methods.translators import kind_of
from pcfh.methods.vary import varied
from pcfh.preparation.manifest import open_prepared, read_manifest
from pcfh.preparation.training_pairs import PairImages, Plan, TrainingPairs
from pcfh.ranges import from_bytes
from pcfh.recognisers.lightcnn.network import to_lightcnn_input
from pcfh.recognisers.lightcnn.weights import load_recognizer
from pcfh.runtime import Runtime
from pcfh.training.checkpoint import State, load_checkpoint, save_checkpoint
from pcfh.training.monitor import Monitor, picture_grid

CHECKPOINT, GENERATOR = "checkpoint.pt", "generator.safetensors"
_PREVIEW = 6


class TrainingStoppedError(UserError):
    """The objective left the real numbers; the weights of the last checkpoint are good."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to train.

    Attributes:
        prepared: folder that ``pcfh prepare`` made.
        protocol: whose training list to use, e.g. "1".
        run: the run's folder.
        config: the configuration.
        recognizer: file of F; needed unless lambda_id and lambda_people are 0.
        truth: root of the rendered database that was prepared, where lambda_truth is not 0.
        start: generator to start from, of the same kind and sizes; None starts from the seed's weights.
    """

    prepared: Path
    protocol: str
    run: Path
    config: Config
    recognizer: Path | None = None
    truth: Path | None = None
    start: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What the caller does while a run goes on.

    Attributes:
        on_step: called on the first process after each step with its number (from 1) and its values.
        should_stop: asked after each step; true saves and ends the run.
    """

    on_step: Callable[[int, Mapping[str, float]], None] = lambda step, values: None
    should_stop: Callable[[], bool] = lambda: False


def train(job: Job, runtime: Runtime, hooks: Hooks | None = None) -> State:
    """Trains to the end, or until asked to stop; goes on where the folder's run stands.

    Returns:
        The last state; its ``step`` is less than the configuration's where the run was stopped.

    Raises:
        UserError: data, recogniser, configuration or run folder do not fit.
        TrainingStoppedError: a value was not finite.
    """
    hooks = hooks or Hooks()
    configuration.validate(job.config, runtime.processes)
    pairs = open_pairs(job)
    recognizer = _open_recognizer(job, runtime)
    state = new_state(job.config, runtime, recognizer)
    before = [] if job.start is None else start_from(state, job.start)
    identity = _identity(job)
    if (job.run / CHECKPOINT).exists():
        load_checkpoint(job.run / CHECKPOINT, state, identity)
    runtime.wait()  # before the first process may replace the checkpoint that the others are reading
    if runtime.is_first:
        remove_leftovers(job.run)
        write_atomically(job.run / "config.json", json.dumps(identity, indent=2).encode())
    maker = BatchMaker(pairs, job.config, runtime, recognizer, warp=state.method.needs_warped)
    with _monitor(job, runtime, state.step) as monitor:
        _loop(state, maker, job, runtime, hooks, monitor, identity, before)
    return state


def new_state(config: Config, runtime: Runtime, recognizer: nn.Module | None = None) -> State:
    """Networks with the seed's weights, and an optimizer that has not moved.

    Args:
        config: of the run.
        runtime: this process among the others.
        recognizer: F, for methods that have an identity loss.
    """
    t = config.training
    torch.manual_seed(t.seed)
    method = build_method(config, runtime, recognizer)
    average = deepcopy(method.translator).eval().requires_grad_(False)
    critics = [p for network in method.critics for p in network.parameters()]
    apart = set(critics)
    generators = [p for p in method.networks.parameters() if p not in apart]
    groups = [
        {"params": parameters, "lr": rate, "full_rate": rate}
        for parameters, rate in ((generators, t.learning_rate), (critics, t.critic_rate))
    ]
    optimizer = torch.optim.Adam(groups, betas=(t.beta_1, t.beta_2), fused=True)
    return State(method=method, average=average, optimizer=optimizer)


def start_from(state: State, path: Path) -> list[Mapping[str, str]]:
    """Gives a new state's translator and its average the weights of a generator file.

    Returns:
        What that generator had learnt from.

    Raises:
        UserError: the file is damaged or absent, or holds another network.
    """
    kept, about = load_generator(path)
    translator = state.method.translator
    if (kind_of(kept), kept.arguments) != (kind_of(translator), translator.arguments):
        raise UserError(
            f"{path}: holds the generator {kind_of(kept)} {kept.arguments}, and these settings train "
            f"{kind_of(translator)} {translator.arguments}; take the preset and the settings of that file"
        )
    for network in (translator, state.average):
        network.load_state_dict(kept.state_dict())
    return lessons(about)


def open_pairs(job: Job) -> TrainingPairs:
    """The training pairs of a job's protocol.

    Raises:
        UserError: the data are not there, or people are in training and test.
    """
    t = job.config.training
    database = open_prepared(job.prepared, t.size)
    protocol = database.protocol(job.protocol)
    require_disjoint(protocol)
    return TrainingPairs(
        database.root,
        protocol.train,
        seed=t.seed,
        flip=t.flip,
        cache_mb=t.warp_cache_mb,
        truth=_truth_of(job),
    )


def _truth_of(job: Job) -> Callable[[Record], UInt8[np.ndarray, "s s 3"]] | None:
    """What gives the true image of a crop's record, where the objective asks for it.

    Raises:
        UserError: it asks and there is no database to take it from, or the other way round.
    """
    weight = job.config.objective.lambda_truth
    if not weight and job.truth is None:
        return None
    if job.truth is None:
        raise UserError(
            f"objective.lambda_truth={weight} needs true images: --truth DATABASE (the rendered one that was "
            "prepared), or train without them by objective.lambda_truth=0"
        )
    if not weight:
        raise UserError(f"--truth {job.truth}: objective.lambda_truth is 0; set it, or leave --truth out")
    sources = read_manifest(job.prepared).sources
    home, size = job.truth, job.config.training.size
    return lambda crop: truth_crop(home, sources[crop.path], size)


class BatchMaker:
    """Makes this process's part of each step's batch.

    Args:
        pairs: the stream of pairs.
        config: size of the batch.
        runtime: this process among the others.
        recognizer: F; the features of all VIS captures are computed here, once.
        warp: whether the method looks at warped images.
    """

    def __init__(
        self,
        pairs: TrainingPairs,
        config: Config,
        runtime: Runtime,
        recognizer: nn.Module | None,
        *,
        warp: bool = True,
    ) -> None:
        self._pairs, self._device, self._warp = pairs, runtime.device, warp
        self._batch = config.training.batch
        self._part = self._batch // runtime.processes
        self._rank = runtime.rank
        self._features: Tensor | None = None
        if recognizer is not None:
            features = vis_features(recognizer, pairs, runtime)
            self._person, means = mean_of_people(features, [r.subject for r in pairs.vis_records])
            self._people = means.mean(1)
            self._features = means[self._person] if config.objective.id_person else features

    def fetch(self, step: int) -> tuple[Plan, PairImages]:
        """Pictures of a step (from 0), on the CPU; safe in another thread."""
        plan = self._pairs.plan(step * self._batch + self._rank * self._part, self._part)
        return plan, self._pairs.images(plan, warp=self._warp)

    def preview(self) -> Batch:
        """A few pairs, the same at any time, to look at."""
        plan = self._pairs.plan(0, _PREVIEW)
        return self.batch(plan, self._pairs.images(plan, warp=self._warp))

    def batch(self, plan: Plan, images: PairImages, *, vary: bool = False) -> Batch:
        """Moves pictures to the device, in [-1, 1].

        Args:
            plan: which pictures.
            images: those pictures.
            vary: whether to change the NIR ones at random.
        """
        nir = from_bytes(images.nir.to(self._device)).expand(-1, 3, -1, -1)
        features = person = people = None
        if self._features is not None:
            features = self._features[plan.vis, plan.mirror.astype(int)]
            person, people = self._person[plan.vis], self._people
        return Batch(
            nir=varied(nir) if vary else nir,
            vis=from_bytes(images.vis.to(self._device)),
            warped=None if images.warped is None else from_bytes(images.warped.to(self._device)),
            landmarks=images.landmarks.to(self._device),
            truth=None if images.truth is None else from_bytes(images.truth.to(self._device)),
            mix=torch.from_numpy(plan.mix).float().to(self._device),
            vis_features=features,
            person=person,
            people=people,
        )


def _loop(
    state: State,
    maker: BatchMaker,
    job: Job,
    runtime: Runtime,
    hooks: Hooks,
    monitor: Monitor | None,
    identity: Mapping[str, Any],
    before: Sequence[Mapping[str, str]],
) -> None:
    t = job.config.training
    stop = False
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(maker.fetch, state.step)
        while state.step < t.steps and not stop:
            plan_and_images = coming.result()
            coming = pool.submit(maker.fetch, state.step + 1)
            seed_step(t.seed, state.step, runtime.rank)
            tensors = state.method.backward(maker.batch(*plan_and_images, vary=t.vary_nir))
            values, stop = _agree(tensors, runtime, hooks.should_stop())
            _require_finite(values, state.step, job.run)
            runtime.average_gradients(state.model.parameters())
            update(state, job.config)
            if runtime.is_first:
                hooks.on_step(state.step, values)
            if monitor is not None:
                _log(monitor, state, maker, job.config, values)
            if stop or state.step % t.checkpoint_every == 0 or state.step == t.steps:
                _save(state, job, runtime, identity, before)


def seed_step(seed: int, step: int, rank: int) -> None:
    """Seeds what a step draws at random, dropout for one, with a number for each step and process."""
    torch.manual_seed(int(np.random.SeedSequence((seed, step, rank)).generate_state(1)[0]))


def update(state: State, config: Config) -> None:
    """Moves all weights along their gradients, and the average after them."""
    for group in state.optimizer.param_groups:
        group["lr"] = group["full_rate"] * configuration.rate_factor(config, state.step)
    state.optimizer.step()
    state.optimizer.zero_grad(set_to_none=True)
    # A young average follows quickly, so that it forgets the first, random weights.
    decay = min(config.training.ema, (1 + state.step) / (10 + state.step))
    translator: nn.Module = state.method.translator
    with torch.no_grad():
        torch._foreach_lerp_(list(state.average.parameters()), list(translator.parameters()), 1 - decay)
    state.step += 1


def _agree(values: Mapping[str, Tensor], runtime: Runtime, stop: bool) -> tuple[dict[str, float], bool]:
    """Means of all values over the processes, and whether any process was asked to stop; one transfer."""
    flag = torch.tensor(float(stop), device=runtime.device)
    means = runtime.mean(torch.stack([*(v.float() for v in values.values()), flag])).tolist()
    return dict(zip(values, means, strict=False)), means[-1] > 0


def _require_finite(values: Mapping[str, float], step: int, run: Path) -> None:
    bad = [name for name, value in values.items() if not math.isfinite(value)]
    if bad:
        checkpoint = run / CHECKPOINT
        kept = (
            f"the weights in {checkpoint} are good"
            if checkpoint.exists()
            else "no checkpoint was written yet"
        )
        raise TrainingStoppedError(
            f"not finite at step {step + 1}: {', '.join(bad)}; {kept}. Lower training.learning_rate, or set "
            "training.precision=fp32, in a new run folder"
        )


def _log(
    monitor: Monitor, state: State, maker: BatchMaker, config: Config, values: Mapping[str, float]
) -> None:
    t = config.training
    if state.step % t.log_every == 0 or state.step == t.steps:
        rate = t.learning_rate * configuration.rate_factor(config, state.step - 1)
        monitor.scalars(state.step, {**values, "learning_rate": rate})
    if state.step % t.image_every == 0 or state.step == t.steps:
        monitor.grid(state.step, *picture_grid(state.average, state.method, maker.preview()))


def _save(
    state: State,
    job: Job,
    runtime: Runtime,
    identity: Mapping[str, Any],
    before: Sequence[Mapping[str, str]],
) -> None:
    if runtime.is_first:
        about = {"step": state.step, "protocol": job.protocol, "training_data": identity["data"]["manifest"]}
        if before:
            about["before"] = before
        # The checkpoint comes last: a run that says it is finished has its generator.
        save_generator(job.run / GENERATOR, state.average, about)
        save_checkpoint(job.run / CHECKPOINT, state, identity)


@contextmanager
def _monitor(job: Job, runtime: Runtime, step: int) -> Iterator[Monitor | None]:
    if not runtime.is_first:
        yield None
        return
    monitor = Monitor(job.run, step)
    try:
        yield monitor
    finally:
        monitor.close()


def _open_recognizer(job: Job, runtime: Runtime) -> nn.Module | None:
    if job.recognizer is not None and not job.recognizer.is_file():
        raise UserError(f"{job.recognizer}: no such file; give the path of a Light CNN's weights")
    o = job.config.objective
    if not o.needs_recognizer:
        return None
    if job.recognizer is None:
        name, weight = ("lambda_id", o.lambda_id) if o.lambda_id else ("lambda_people", o.lambda_people)
        raise UserError(
            f"objective.{name}={weight} needs a recogniser: --recognizer FILE (a Light CNN checkpoint), or "
            f"train without the identity loss by objective.{name}=0"
        )
    return load_recognizer(job.recognizer).to(runtime.device)


@torch.no_grad()
def vis_features(F: nn.Module, pairs: TrainingPairs, runtime: Runtime) -> Float[Tensor, "n 2 d"]:
    """F(I_V) of every VIS capture, as it is and mirrored; each process computes a part of them."""
    captures = len(pairs.vis)
    # The last capture fills up to parts of one length, which joining them needs.
    whole = -(-captures // runtime.processes) * runtime.processes
    mine = runtime.part(torch.arange(whole).clamp(max=captures - 1))
    features = []
    for rows in mine.split(32):
        floats = from_bytes(pairs.vis[rows].to(runtime.device))
        features.append(torch.stack([F(to_lightcnn_input(i)).float() for i in (floats, floats.flip(-1))], 1))
    return runtime.gather(torch.cat(features))[:captures]


def mean_of_people(
    features: Float[Tensor, " n *rest"], people: Sequence[str]
) -> tuple[Int[Tensor, " n"], Float[Tensor, " p *rest"]]:
    """Means of the features over all captures of each person, and in which row the person of a capture is.

    The rows stand in the order of the people's names.

    Returns:
        Rows of the captures, and the means.
    """
    _, person = np.unique(np.array(people), return_inverse=True)
    number = torch.from_numpy(person).to(features.device)
    captures = torch.bincount(number)
    sums = features.new_zeros(len(captures), *features.shape[1:]).index_add(0, number, features)
    return number, sums / captures.view(-1, *(1 for _ in features.shape[1:]))


def _identity(job: Job) -> dict[str, Any]:
    """What must be the same for a run to go on, as plain data."""
    return {
        "config": configuration.to_dict(job.config),
        "data": {"manifest": sha256_of(job.prepared / "manifest.json"), "protocol": job.protocol},
        "recognizer": sha256_of(job.recognizer) if job.recognizer else None,
        "start": sha256_of(job.start) if job.start else None,
    }
