"""Training of a generator on prepared pairs: the task that the one loop is given.

    generator.safetensors       the moving average of the generator
    generator-010000.safetensors    the same after so many images, in 16 bits; see ``Training.keep_every``

What else a run's folder holds is said in ``pcfh.training.loop``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from pcfh import __version__
from pcfh.config import identity_of, to_toml
from pcfh.databases.records import Record, require_disjoint
from pcfh.databases.rendered import truth_crop
from pcfh.devices import mixes, to_device
from pcfh.errors import UserError
from pcfh.files import sha256_of
from pcfh.levels import has_levels, levelled, put_levels_before
from pcfh.methods.base import Config, Training, find_method, kind_of, resolved
from pcfh.methods.batch import Batch
from pcfh.methods.cameras import as_cameras_take
from pcfh.methods.files import as_trained, load_generator, save_generator, training_history
from pcfh.methods.held_out import HeldOut, split_people
from pcfh.methods.job import TrainingJob, check
from pcfh.methods.trainer import Trainer
from pcfh.methods.vary import varied
from pcfh.preparation.manifest import MANIFEST, learnt_from, open_prepared, read_manifest
from pcfh.preparation.training_pairs import PairImages, Plan, TrainingPairs
from pcfh.ranges import from_bytes, to_bytes
from pcfh.recognisers.lightcnn.network import to_lightcnn_input
from pcfh.recognisers.teachers import Teachers, key_of_teacher, load_teacher
from pcfh.runtime import Runtime
from pcfh.training.capture import CapturedStep, captured
from pcfh.training.checkpoint import State
from pcfh.training.filled_conv import fill, worth_it
from pcfh.training.fused_norm import Choice, choose, fuse
from pcfh.training.loop import Callbacks, Learner, Task, linear_decay, run_task, seed_step

GENERATOR = "generator.safetensors"
Variation = Callable[[Float[Tensor, "b 3 s s"]], Float[Tensor, "b 3 s s"]]
_PREVIEW = 6  # pairs in a picture grid
_FEATURES_AT_ONCE = 32  # captures
_HELD_OUT_GROUPS = 4  # of pairs of people held out, that a trainer looks at


def train(job: TrainingJob, runtime: Runtime, callbacks: Callbacks | None = None) -> State:
    """Trains to the end, or until asked to stop; resumes the run that is in the folder.

    Returns:
        The last state; its ``step`` is less than the configuration's where the run was stopped.

    Raises:
        UserError: data, recogniser, configuration or run folder do not fit.
        TrainingStoppedError: a value was not finite.
    """
    check(job, runtime.processes)
    return run_task(GeneratorTask(job, runtime), job.run, runtime, callbacks, extend=job.extend)


class MethodLearner(Learner):
    """The networks of a method, and how they are moved; without data.

    Args:
        config: of the run.
        runtime: this process among the others.
        recognizer: F, for methods that have an identity loss.
        teacher: builds the trainer in the place of the method's own, called alike.

    Attributes:
        trainer: of the method; its networks have the seed's weights.
        notes: how a GPU computes its steps, a line each.
    """

    notes: Sequence[str]

    def __init__(
        self,
        config: Config,
        runtime: Runtime,
        recognizer: nn.Module | None = None,
        *,
        teacher: Callable[..., Trainer] | None = None,
    ) -> None:
        t = self._training = config.training
        torch.manual_seed(t.seed)
        teacher = teacher or resolved(find_method(t.method).trainer)
        self.trainer: Trainer = teacher(config, runtime, recognizer)
        self.notes = quicken(self.trainer, t, runtime.device)
        self.networks, self.result = self.trainer.networks, self.trainer.generator
        if t.levels:
            put_levels_before(self.trainer.generator)
        self.pace = t

    def optimizer(self) -> torch.optim.Optimizer:
        """Adam, with a rate for the critics and one for all other networks."""
        t = self._training
        critics = [p for network in self.trainer.critics for p in network.parameters()]
        apart = set(critics)
        generators = [p for p in self.networks.parameters() if p not in apart]
        groups = [
            {"params": parameters, "lr": rate, "full_rate": rate}
            for parameters, rate in ((generators, t.learning_rate), (critics, t.critic_rate))
        ]
        return torch.optim.Adam(groups, betas=(t.beta_1, t.beta_2), fused=True)

    def rate_factor(self, step: int) -> float:
        """One, then linear to zero at the last step."""
        return linear_decay(step, self._training.steps, self._training.constant)


class GeneratorTask(MethodLearner, Task):
    """The networks of a method, and the pairs that they learn from.

    Args:
        job: what to train.
        runtime: this process among the others.

    Attributes:
        batches: what the steps see, once prepared.
    """

    weights_file = GENERATOR
    batches: "BatchMaker"

    def __init__(self, job: TrainingJob, runtime: Runtime) -> None:
        self._job, self._runtime = job, runtime
        self._pairs, self._held_out = open_pairs(job)
        self._recognizer = None
        if job.recognizer is not None and (job.needs.recognizer or job.config.training.validation):
            self._recognizer = load_teacher(job.teachers).to(runtime.device)
            if isinstance(self._recognizer, Teachers):
                self._recognizer.centre_on(self._recognised(runtime.device))
        self._teacher = self._recognizer if job.needs.recognizer else None
        super().__init__(job.config, runtime, self._teacher)
        self._before = [] if job.start is None else start_from(self.trainer.generator, job.start)
        self.image_every = job.config.training.image_every
        self.bounds = self.trainer.bounds
        self.identity = _identity(job)
        self._learnt_from = learnt_from(job.prepared, job.protocol)
        self.settings = to_toml(job.config, f"pcfh {__version__}, protocol {job.protocol}")

    def _recognised(self, device: torch.device) -> Iterator[Float[Tensor, "b 1 128 128"]]:
        """All VIS captures of the training as recognisers read them."""
        for part in self._pairs.vis.split(_FEATURES_AT_ONCE):
            yield to_lightcnn_input(from_bytes(part.to(device)))

    def prepare(self) -> None:
        """Computes the features of all VIS captures; on a GPU brings them there and captures the step."""
        config, warp, device = self._job.config, self._job.needs.warped, self._runtime.device
        pairs = self._pairs
        if device.type == "cuda" and wants_resident(self._training.resident, pairs.megabytes, device):
            pairs = pairs.on(device)
            self.notes = [*self.notes, f"all captures are on the GPU: {pairs.megabytes:.0f} MB"]
        self.batches = BatchMaker(pairs, config, self._runtime, self._teacher, warp=warp)
        self._compute: Callable[[Batch], Mapping[str, Tensor]] = self.trainer.compute_gradients
        if device.type == "cuda" and self._training.capture != "off":
            self._compute, note = self._captured()
            self.notes = [*self.notes, note]

    def _captured(self) -> tuple[Callable[[Batch], Mapping[str, Tensor]], str]:
        """The step as a graph where it can be one, and what to say about it."""
        if not self.trainer.on_device:
            step, why = self._compute, "the step looks at the host: it is not captured"
        else:
            batch = self.batches.batch(*self.fetch(0), vary=_variation(self._training))
            step, why = captured(self.networks, self._compute, batch)
        if self._training.capture == "on" and not isinstance(step, CapturedStep):
            raise UserError(f"training.capture=on: {why}; set it to auto")
        return step, why

    def fetch(self, step: int) -> tuple[Plan, PairImages | None]:
        """This process's part of a step's pictures."""
        return self.batches.fetch(step)

    def compute_gradients(self, step: int, fetched: tuple[Plan, PairImages | None]) -> dict[str, Tensor]:
        """One step of the method."""
        t = self._training
        seed_step(t.seed, step, self._runtime.rank)
        return dict(self._compute(self.batches.batch(*fetched, vary=_variation(t))))

    def validate(self, average: nn.Module) -> Mapping[str, float]:
        """Rank-1 and cosine of generated faces of the people held out to their VIS captures."""
        if self._held_out is None:
            return {}
        assert self._recognizer is not None
        pairs, device = self._held_out, self._runtime.device
        figures = HeldOut(pairs, self._recognizer, device).figures(average)
        plan = pairs.plan(0, _HELD_OUT_GROUPS * self._training.group)
        batch = pictures_of(plan, pairs.images(plan, warp=False), device)
        if self._training.levels:
            batch = replace(batch, nir=levelled(batch.nir, batch.landmarks))
        with torch.no_grad():
            more = self.trainer.on_held_out(batch, average(batch.nir, batch.landmarks))
        return figures | {f"validation/{name}": float(value) for name, value in more.items()}

    @torch.no_grad()
    def pictures(self, average: nn.Module) -> tuple[UInt8[Tensor, "3 h w"], Sequence[str]]:
        """A few pairs."""
        return picture_grid(average, self.trainer, self.batches.preview())

    def save(self, path: Path, average: nn.Module, step: int) -> None:
        """Writes the generator, with what it has learnt from."""
        save_generator(path, average, self._about(step))

    def keep(self, run: Path, average: nn.Module, step: int) -> None:
        """Writes it under the number of images that it has seen, each time that some more have been.

        The last one is not written twice.
        """
        every, batch = self._training.keep_every, self._training.batch
        if every and step < self._training.steps and step * batch // every > (step - 1) * batch // every:
            save_generator(run / kept_name(step * batch), average, self._about(step), half=True)

    def _about(self, step: int) -> dict[str, Any]:
        """Where a generator comes from."""
        about: dict[str, Any] = {"step": step, "images": step * self._training.batch, **self._learnt_from}
        if self._before:
            about["before"] = self._before
        return about


def kept_name(images: int) -> str:
    """The file of a generator that is kept after so many images."""
    return f"generator-{images:06d}.safetensors"


def kept_generators(run: Path) -> list[Path]:
    """Those that a run has kept, that of the fewest images first."""
    found = {path.stem.partition("-")[2]: path for path in run.glob("generator-*.safetensors")}
    return [found[images] for images in sorted(filter(str.isdecimal, found), key=int)]


def start_from(generator: Any, path: Path) -> list[Mapping[str, Any]]:
    """Gives a generator the weights of a file.

    Returns:
        What those had learnt from.

    Raises:
        UserError: the file is damaged or absent, or holds another network.
    """
    found, about = load_generator(path)
    kept = as_trained(found)
    if (kind_of(kept), kept.arguments) != (kind_of(generator), generator.arguments):
        raise UserError(
            f"{path}: holds the generator {kind_of(kept)} {kept.arguments}, and these settings train "
            f"{kind_of(generator)} {generator.arguments}; take the preset and the settings of that file"
        )
    if has_levels(kept) and not has_levels(generator):
        raise UserError(f"{path}: was trained with training.levels; leave it on")
    generator.load_state_dict(kept.state_dict())
    return training_history(about)


def open_pairs(job: TrainingJob) -> tuple[TrainingPairs, TrainingPairs | None]:
    """The training pairs of a job's protocol, and those of the people held out, if any are.

    Raises:
        UserError: the data are not there, or people are in training and test.
    """
    t = job.config.training
    database = open_prepared(job.prepared, t.size)
    protocol = database.protocol(job.protocol)
    require_disjoint(protocol)
    training, kept = split_people(protocol.train, t.validation, t.seed)
    pairs = TrainingPairs(
        database.root, training, seed=t.seed, flip=t.flip, cache_mb=t.warp_cache_mb, truth=_truth_of(job)
    )
    return pairs, TrainingPairs(database.root, kept, seed=t.seed, flip=False) if kept else None


def _truth_of(job: TrainingJob) -> Callable[[Record], UInt8[np.ndarray, "s s 3"]] | None:
    """What gives the true image of a crop's record, where the objective asks for it."""
    if job.truth is None:
        return None
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
        config: Any,
        runtime: Runtime,
        recognizer: nn.Module | None,
        *,
        warp: bool = True,
    ) -> None:
        self._pairs, self._device, self._warp = pairs, runtime.device, warp
        self._levels = config.training.levels
        self._batch = config.training.batch
        self._part = self._batch // runtime.processes
        self._rank = runtime.rank
        self._features: Tensor | None = None
        if recognizer is not None:
            features = vis_features(recognizer, pairs, runtime)
            self._person, means = mean_of_people(features, [r.subject for r in pairs.vis_records])
            self._people = means.mean(1)
            self._features = features
            self._mean_features = means[self._person]

    def fetch(self, step: int) -> tuple[Plan, PairImages | None]:
        """What a step (from 0) sees, its pictures unless those are on the device; safe in a thread."""
        plan = self._pairs.plan(step * self._batch + self._rank * self._part, self._part)
        if self._pairs.nir.device == self._device != torch.device("cpu"):
            return plan, None
        return plan, pinned(self._pairs.images(plan, warp=self._warp), self._device)

    def preview(self) -> Batch:
        """A few pairs, the same at any time, to look at."""
        return self.batch(self._pairs.plan(0, _PREVIEW))

    def batch(self, plan: Plan, images: PairImages | None = None, *, vary: Variation | None = None) -> Batch:
        """Brings pictures to the device, in [-1, 1].

        Args:
            plan: which pictures.
            images: those pictures, if they are fetched already.
            vary: changes the NIR ones at random.
        """
        if images is None:
            images = self._pairs.images(plan, warp=self._warp)
        batch = pictures_of(plan, images, self._device)
        if vary:
            batch = replace(batch, nir=vary(batch.nir))
        if self._levels:
            batch = replace(batch, nir=levelled(batch.nir, batch.landmarks))
        if self._features is None:
            return batch
        vis, mirror = (to_device(torch.from_numpy(named), self._device) for named in (plan.vis, plan.mirror))
        return replace(
            batch,
            vis_features=self._features[vis, mirror.long()],
            person_features=self._mean_features[vis, mirror.long()],
            person=self._person[vis],
            people=self._people,
        )


def _variation(training: Training) -> Variation | None:
    """How a training changes its NIR images at random."""
    return as_cameras_take if training.vary_camera else varied if training.vary_nir else None


def pictures_of(plan: Plan, images: PairImages, device: torch.device) -> Batch:
    """Pictures on a device, in [-1, 1]; without features."""

    def shown(pictures: Tensor | None) -> Tensor | None:
        return None if pictures is None else from_bytes(to_device(pictures, device))

    return Batch(
        nir=from_bytes(to_device(images.nir, device)).expand(-1, 3, -1, -1),
        vis=from_bytes(to_device(images.vis, device)),
        warped=shown(images.warped),
        landmarks=to_device(images.landmarks, device),
        truth=shown(images.truth),
        mix=to_device(torch.from_numpy(plan.mix).float(), device),
    )


def pinned(images: PairImages, device: torch.device) -> PairImages:
    """Pictures in memory that a GPU fetches by itself."""
    if device.type != "cuda":
        return images
    kept = {name: t.pin_memory() for name, t in vars(images).items() if t is not None}
    return replace(images, **kept)


def wants_resident(wanted: str, megabytes: float, device: torch.device) -> bool:
    """Whether to keep captures on a GPU."""
    if wanted == "auto":
        return 1e6 * megabytes < torch.cuda.mem_get_info(device)[0] / 2
    return wanted == "on"


def quicken(trainer: Trainer, training: Training, device: torch.device) -> list[str]:
    """On a GPU with mixed precision: our normalisation, channels last, and compiled networks where wanted.

    Names, order and values of the weights stay.

    Returns:
        What was done, a line each; empty on a processor.

    Raises:
        UserError: the settings want what cannot be had.
    """
    if device.type != "cuda" or not mixes(training.precision, device):
        return []
    torch.backends.cudnn.benchmark = True  # shapes never change
    networks, notes = trainer.differentiated_once, []
    if training.fused_norm != "off" and networks:
        choice = choose(device, triton=training.compiled != "on")
        if training.fused_norm == "on" and choice.kernel is None:
            raise UserError(f"training.fused_norm=on: {choice.why}; set it to auto")
        notes = [choice.why, *_applied(choice, trainer, device)]
    if training.compiled == "on":
        for network in networks:
            network.compile(dynamic=False)
        notes.append(f"{len(networks)} networks are compiled: the first step takes a while")
    return notes


def _applied(choice: Choice, trainer: Trainer, device: torch.device) -> list[str]:
    """Gives the networks the normalisation that was chosen, and the layout that goes with it."""
    networks = trainer.differentiated_once
    if choice.kernel is not None:
        for network in networks:
            fuse(network, choice.kernel)
    if not choice.channels_last:
        return []
    every = (trainer.networks, *networks)
    for network in every:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if not worth_it(device):
        return []
    return [f"{sum(map(fill, every))} convolutions are filled up to eight channels"]


@torch.no_grad()
def picture_grid(
    generator: nn.Module, trainer: Trainer, batch: Batch
) -> tuple[UInt8[Tensor, "3 h w"], tuple[str, ...]]:
    """One column per pair: NIR, VIS, what the method has to show, and output; and the rows' titles."""
    output = generator(batch.nir, batch.landmarks)
    rows = {"NIR": batch.nir, "VIS": batch.vis, **trainer.pictures(batch, output), "output": output}
    column = torch.cat([to_bytes(row) for row in rows.values()], 2)
    return torch.cat(list(column), 2).cpu(), tuple(rows)


@torch.no_grad()
def vis_features(F: nn.Module, pairs: TrainingPairs, runtime: Runtime) -> Float[Tensor, "n 2 d"]:
    """F(I_V) of every VIS capture, as it is and mirrored; each process computes a part of them."""
    captures = len(pairs.vis)
    # The last capture fills up to parts of one length, which joining them needs.
    whole = -(-captures // runtime.processes) * runtime.processes
    mine = runtime.part(torch.arange(whole).clamp(max=captures - 1))
    features = []
    for rows in mine.split(_FEATURES_AT_ONCE):
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


def _identity(job: TrainingJob) -> dict[str, Any]:
    """What must be the same for a run to be resumed, as plain data."""
    return {
        "config": identity_of(job.config),
        "data": {"manifest": sha256_of(job.prepared / MANIFEST), "protocol": job.protocol},
        "recognizer": sha256_of(job.recognizer) if job.recognizer else None,
        **({"beside": [*map(key_of_teacher, job.beside)]} if job.beside else {}),
        "start": sha256_of(job.start) if job.start else None,
    }
