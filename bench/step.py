"""What one training step costs, part by part, and what CycleGAN's costs in the same run.

Work is counted in FLOP of convolutions and matrix products, a multiply-add being two. Times are seconds of
processor time over all threads (cpu) and of wall time, for one NIR image. What a part wastes is the
processor time it takes beyond the machine's best speed for convolutions, measured in the same run.

A round runs everything that is compared once, so that a busy machine disturbs all of it alike. Reported are
medians over rounds, and medians of the rounds' ratios. The first call of each is not timed: it warms up and
counts FLOP.

Axis letters: b batch, s side of an image.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar
from unittest import mock

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bench.ceilings import FlopCounter, Precision, conv_ceiling
from pcfh.methods.base import Config
from pcfh.methods.batch import Batch
from pcfh.methods.cyclegan.cyclegan_trainer import ResidualGenerator
from pcfh.methods.find import find_method, overridden, preset
from pcfh.methods.pcfh import ours, step
from pcfh.methods.pcfh.networks import PCFH
from pcfh.methods.pcfh.pcfh_trainer import loss_weights, pcfh_networks
from pcfh.methods.pcfh.terms import ABSENT
from pcfh.methods.train import MethodTask
from pcfh.recognisers.lightcnn.network import build_lightcnn, to_lightcnn_input
from pcfh.runtime import Runtime
from pcfh.training import loop

WHOLE = "whole step"
PARTS = {  # of the step, in its order; what F costs forward is in the term that goes back through it
    (step, "generate"): "G_A forward",
    (step, "adversarial"): "critic",
    (step, "reconstruction"): "reconstruction",
    (step, "luminance"): "luminance",
    (ours, "truth"): "truth",
    (step, "identity"): "identity",
    (ours, "people"): "people",
    (step, "attention_warping"): "attention warping",
    (step, "mutual_information"): "mutual information",
    (step, "propagate"): "G_A backward",
}
HERE = Runtime(rank=0, processes=1, device=torch.device("cpu"))
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One configuration to measure.

    Attributes:
        title: what it is called in the tables.
        config: of both precisions; its own precision does not matter.
        rival: whether CycleGAN is measured beside it at the same size.
    """

    title: str
    config: Config
    rival: bool = False


class Reading(NamedTuple):
    """Seconds and FLOP; a state of the clocks, or the difference of two."""

    wall: float
    cpu: float
    flop: float

    def since(self, earlier: "Reading") -> "Reading":
        """The difference."""
        return Reading(*(b - a for a, b in zip(earlier, self, strict=True)))

    def scaled(self, factor: float) -> "Reading":
        """All three times a factor."""
        return Reading(*(value * factor for value in self))


Parts = dict[str, Reading]
Task = Callable[[FlopCounter | None], Parts]
Key = TypeVar("Key")


class Laps:
    """A stopwatch: what each part cost since the part before it ended, so that all parts sum up to the whole.

    Args:
        counter: of FLOP, if they are to be counted.
        device: whose work is waited for before each look at the clock.

    Attributes:
        parts: by name, in order.
    """

    def __init__(self, counter: FlopCounter | None = None, device: torch.device = HERE.device) -> None:
        self.parts: Parts = {}
        self._counter, self._device = counter, device
        self._last = self._now()

    def end(self, part: str) -> None:
        """Says that a part is over."""
        now = self._now()
        self.parts[part] = now.since(self._last)
        self._last = now

    def _now(self) -> Reading:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        flop = 0 if self._counter is None else self._counter.flop
        return Reading(time.perf_counter(), time.process_time(), flop)


class TrainingStep:
    """The step of ``pcfh train`` on made-up images, with random weights in all networks and in F.

    Args:
        config: of the run.
        precision: takes the place of the configuration's.
        runtime: where it computes.
    """

    def __init__(self, config: Config, precision: Precision, runtime: Runtime = HERE) -> None:
        self.config = overridden(config, [f"training.precision={precision}"])
        self.runtime = runtime
        self.task, self.recognizer, self.batch = made_up_run(self.config, runtime)
        self.state = loop.begin(self.task)

    def __call__(self, counter: FlopCounter | None = None) -> Parts:
        """Does one step; returns what its parts cost for one image."""
        laps = Laps(counter, self.runtime.device)
        networks, weights = self.task.networks, loss_weights(self.config, self.runtime.device)
        assert isinstance(networks, PCFH)
        with timed(laps):
            step.compute_gradients(networks, self.recognizer, self.batch, weights)
        loop.update(self.state, self.task)
        laps.end("optimizer, average")
        return {name: part.scaled(1 / len(self.batch.nir)) for name, part in laps.parts.items()}


@contextmanager
def timed(laps: Laps) -> Iterator[None]:
    """Makes every function of the step tell a stopwatch when it is over."""

    def told(function: Callable[..., Any], part: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            result = function(*arguments)
            if result is not ABSENT:
                laps.end(part)
            return result

        return call

    with ExitStack() as stack:
        for (module, name), part in PARTS.items():
            stack.enter_context(mock.patch.object(module, name, told(getattr(module, name), part)))
        yield


class RivalStep:
    """CycleGAN's step on an image of each domain, the authors' batch.

    Args:
        size: of the images.
        precision: of the networks.
        identity: whether each generator is also to leave images of its target domain as they are.
    """

    def __init__(self, size: int, precision: Precision, identity: bool) -> None:
        settings = [
            f"training.size={size}",
            f"training.precision={precision}",
            f"baseline.blocks={rival_blocks(size)}",
            f"baseline.lambda_identity={5 if identity else 0}",
        ]
        self._task = MethodTask(overridden(preset("cyclegan"), settings), HERE)
        self._optimizer = self._task.optimizer()
        self._batch = made_up_batch(1, size, None)

    def __call__(self, counter: FlopCounter | None = None) -> Parts:
        """Does one step; returns what it cost."""
        laps = Laps(counter)
        self._task.trainer.compute_gradients(self._batch)
        self._optimizer.step()
        self._optimizer.zero_grad()
        laps.end(WHOLE)
        return laps.parts


def rival_blocks(size: int) -> int:
    """Residual blocks of CycleGAN's generators, as its authors take them."""
    return 6 if size <= 128 else 9


def random_images(count: int, size: int) -> Float[Tensor, "b 3 s s"]:
    """Noise in [-1, 1]."""
    return torch.rand(count, 3, size, size) * 2 - 1


def made_up_run(config: Config, runtime: Runtime) -> tuple[MethodTask, nn.Module | None, Batch]:
    """New networks of any method, a Light CNN-29 of random weights for an identity loss, and noise."""
    recognizer = None
    if find_method(config.training.method).needs(config).recognizer:
        recognizer = build_lightcnn("lightcnn29").requires_grad_(False).eval().to(runtime.device)
    task = MethodTask(config, runtime, recognizer)
    with torch.device(runtime.device):
        return task, recognizer, made_up_batch(config.training.batch, config.training.size, recognizer)


@torch.no_grad()
def made_up_batch(count: int, size: int, recognizer: nn.Module | None) -> Batch:
    """Noise with landmarks anywhere in it: what a step costs does not depend on what it sees."""
    nir, vis, warped, truth = (random_images(count, size) for _ in range(4))
    features = None if recognizer is None else recognizer(to_lightcnn_input(vis))
    return Batch(
        nir=nir[:, :1].expand(-1, 3, -1, -1),
        vis=vis,
        warped=warped,
        landmarks=torch.rand(count, 68, 2) * size,
        mix=torch.rand(count),
        truth=truth,
        vis_features=features,
        person_features=features,
        person=torch.arange(count),
        people=features,
    )


def settings(quick: bool) -> list[Setting]:
    """What is measured: 8 images a step in all but the preset tiny, as the paper's batch of 16 is halved."""
    cpu = Setting(title="preset cpu, 128 pixels, batch 8", config=preset("cpu"))
    if quick:
        return [cpu, Setting(title="preset tiny, 64 pixels, batch 4", config=preset("tiny"), rival=True)]
    at_144 = overridden(preset("paper-144"), ["training.batch=8"])
    at_128 = overridden(at_144, ["training.size=128"])
    return [
        cpu,
        Setting(title="preset paper-144, 128 pixels, batch 8", config=at_128),
        Setting(title="preset paper-144, 144 pixels, batch 8", config=at_144),
        Setting(title="preset paper-256, 256 pixels, batch 8", config=preset("paper-256"), rival=True),
    ]


@dataclass(frozen=True, kw_only=True)
class StepCost:
    """What one step costs in one precision.

    Attributes:
        title: whose step.
        precision: of the networks.
        ceiling: of the machine, in GFLOP per second of processor time; median over the rounds.
        parts: cost of each part for one image, median over the rounds; the last is the whole step.
        least_cpu: processor seconds for one image in the best round.
        to_rival: by CycleGAN's title, the cost of this step / CycleGAN's in processor and in wall time,
            medians over the rounds.
    """

    title: str
    precision: Precision
    ceiling: float
    parts: Parts
    least_cpu: float
    to_rival: dict[str, tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class ForwardRate:
    """Images per second of processor and of wall time through G_A and CycleGAN's generator, bf16, eager.

    Attributes:
        size: of the images.
        batch: number of images at once.
        ours: G_A's rates (cpu, wall).
        rival: those of CycleGAN's generator.
        gflop: of one image, G_A's and CycleGAN's.
        ratio: median over rounds of G_A's rates / CycleGAN's (cpu, wall).
    """

    size: int
    batch: int
    ours: tuple[float, float]
    rival: tuple[float, float]
    gflop: tuple[float, float]
    ratio: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """Everything measured here."""

    rounds: int
    steps: list[StepCost]
    forward: list[ForwardRate]


def measure(*, quick: bool, rounds: int) -> StepReport:
    """Measures all settings.

    Args:
        quick: only the small ones.
        rounds: that medians are taken over.
    """
    steps: list[StepCost] = []
    forward: list[ForwardRate] = []
    for setting in settings(quick):
        print(f"training step: {setting.title}", file=sys.stderr, flush=True)
        steps += measure_setting(setting, rounds)
        if setting.rival:
            forward += [measure_forward(setting.config, batch, rounds) for batch in (1, 8)]
    return StepReport(rounds=rounds, steps=steps, forward=forward)


def measure_setting(setting: Setting, rounds: int) -> list[StepCost]:
    """Measures one setting in both precisions, and CycleGAN beside it."""
    torch.manual_seed(0)
    size = setting.config.training.size
    tasks: dict[tuple[Precision, str], Task] = {}
    for precision in PRECISIONS:
        tasks[precision, setting.title] = TrainingStep(setting.config, precision)
        for identity in (False, True) if setting.rival else ():
            tasks[precision, rival_title(size, identity)] = RivalStep(size, precision, identity)
    ceilings: dict[Precision, list[float]] = {precision: [] for precision in PRECISIONS}
    samples = interleaved(tasks, rounds, lambda: _append_ceilings(ceilings))
    return [
        step_cost((precision, title), setting.title, samples, statistics.median(ceilings[precision]))
        for precision, title in tasks
    ]


def _append_ceilings(ceilings: Mapping[Precision, list[float]]) -> None:
    for precision, speeds in ceilings.items():
        speeds.append(conv_ceiling(precision, 0.5).cpu)


def rival_title(size: int, identity: bool) -> str:
    """How CycleGAN's step is called in the tables."""
    return f"CycleGAN, {size} pixels, batch 1, identity term {'on' if identity else 'off'}"


def interleaved(
    tasks: Mapping[Key, Task], rounds: int, before_round: Callable[[], None] = lambda: None
) -> dict[Key, list[Parts]]:
    """Costs in each round, the whole at the end; FLOP come from the first calls, which are not timed."""
    flop = {key: _counted(task) for key, task in tasks.items()}
    samples: dict[Key, list[Parts]] = {key: [] for key in tasks}
    for _ in range(rounds):
        before_round()
        for key, task in tasks.items():
            parts = {name: part._replace(flop=flop[key][name]) for name, part in task(None).items()}
            if WHOLE not in parts:
                parts[WHOLE] = Reading(*map(sum, zip(*parts.values(), strict=True)))
            samples[key].append(parts)
    return samples


def _counted(task: Task) -> dict[str, float]:
    with FlopCounter() as counter:
        return {name: part.flop for name, part in task(counter).items()}


def step_cost(
    key: tuple[Precision, str],
    title: str,
    samples: Mapping[tuple[Precision, str], Sequence[Parts]],
    ceiling: float,
) -> StepCost:
    """Medians over rounds.

    Args:
        key: whose.
        title: the setting's; its own step is compared with the others'.
        samples: costs in each round.
        ceiling: of the machine in this precision.
    """
    precision, own_title = key
    own = samples[key]
    rivals = {name: costs for (p, name), costs in samples.items() if p == precision and name != title}
    return StepCost(
        title=own_title,
        precision=precision,
        ceiling=ceiling,
        parts={name: median_reading([parts[name] for parts in own]) for name in own[0]},
        least_cpu=min(parts[WHOLE].cpu for parts in own),
        to_rival={name: median_ratios(own, costs) for name, costs in rivals.items() if own_title == title},
    )


def median_reading(readings: Sequence[Reading]) -> Reading:
    """The median of each number."""
    return Reading(*map(statistics.median, zip(*readings, strict=True)))


def median_ratios(ours: Sequence[Parts], others: Sequence[Parts]) -> tuple[float, float]:
    """Medians over rounds of the ratios ours / others of processor and of wall seconds."""
    pairs = [(a[WHOLE], b[WHOLE]) for a, b in zip(ours, others, strict=True)]
    return statistics.median(a.cpu / b.cpu for a, b in pairs), statistics.median(
        a.wall / b.wall for a, b in pairs
    )


@torch.inference_mode()
def measure_forward(config: Config, batch: int, rounds: int) -> ForwardRate:
    """Measures both generators at inference in bf16."""
    size = config.training.size
    G_A = pcfh_networks(config).G_A.eval()
    rival = ResidualGenerator(size=size, blocks=rival_blocks(size)).eval()
    nir, landmarks = random_images(batch, size), torch.rand(batch, 68, 2) * size
    samples = interleaved({"G_A": Forward(G_A, nir, landmarks), "CycleGAN": Forward(rival, nir)}, 3 * rounds)
    ours, others = (median_reading([parts[WHOLE] for parts in rows]) for rows in samples.values())
    ratio = median_ratios(samples["CycleGAN"], samples["G_A"])
    return ForwardRate(
        size=size,
        batch=batch,
        ours=(1 / ours.cpu, 1 / ours.wall),
        rival=(1 / others.cpu, 1 / others.wall),
        gflop=(ours.flop / 1e9, others.flop / 1e9),
        ratio=ratio,
    )


class Forward:
    """A generator's forward pass in bf16.

    Args:
        network: the generator.
        inputs: its arguments, images first.
    """

    def __init__(self, network: nn.Module, *inputs: Tensor) -> None:
        self._network, self._inputs = network, inputs

    def __call__(self, counter: FlopCounter | None = None) -> Parts:
        """Does one pass; returns what it cost for one image."""
        laps = Laps(counter)
        with torch.autocast("cpu", torch.bfloat16):
            self._network(*self._inputs)
        laps.end(WHOLE)
        return {name: part.scaled(1 / len(self._inputs[0])) for name, part in laps.parts.items()}


def markdown(report: StepReport) -> str:
    """The tables as they go into the documentation."""
    blocks = [
        "## Training step",
        f"Costs of one image, medians of {report.rounds} rounds; a step of CycleGAN sees one image of each "
        "domain. GFLOP count what was executed. Share: of the best convolution's speed in the same run, per "
        "second of processor time. Wasted: processor time beyond what that speed would take.",
        *(parts_table(cost) for cost in report.steps if len(cost.parts) > 1),
        "### Beside CycleGAN",
        rival_table(report.steps),
        "### Forward pass of the generators, bf16, eager, without gradients",
        forward_table(report.forward),
    ]
    return "\n\n".join(blocks)


def parts_table(cost: StepCost) -> str:
    """One step, a row for each part."""
    head = f"### {cost.title}, {cost.precision} (ceiling {cost.ceiling:.0f} GFLOP per cpu-s)\n\n"
    whole = cost.parts[WHOLE]
    rows = [
        f"| {name} | {part.flop / 1e9:.2f} | {1e3 * part.cpu:.1f} | {1e3 * part.wall:.1f} "
        f"| {part.cpu / whole.cpu:.0%} | {speed(part):.0f} | {speed(part) / cost.ceiling:.0%} "
        f"| {1e3 * wasted(part, cost.ceiling):.1f} |"
        for name, part in cost.parts.items()
    ]
    columns = (
        "| part | GFLOP | cpu ms | wall ms | of the step | GFLOP/cpu-s | share | wasted cpu ms |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    return head + "\n".join([columns, *rows])


def speed(cost: Reading) -> float:
    """GFLOP per second of processor time."""
    return cost.flop / 1e9 / cost.cpu


def wasted(cost: Reading, ceiling: float) -> float:
    """Processor seconds beyond those that the best convolution would take for as much work."""
    return cost.cpu - cost.flop / 1e9 / ceiling


def rival_table(costs: Sequence[StepCost]) -> str:
    """Whole steps of PCFH and CycleGAN."""
    rows = [
        "| step | precision | GFLOP | cpu s | best cpu s | wall s | share | PCFH / this, cpu (wall) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    ours = {cost.precision: cost for cost in costs if cost.to_rival}
    for cost in costs:
        if cost.to_rival or len(cost.parts) == 1:
            whole = cost.parts[WHOLE]
            cpu, wall = ours[cost.precision].to_rival.get(cost.title, (1.0, 1.0))
            rows.append(
                f"| {cost.title} | {cost.precision} | {whole.flop / 1e9:.0f} | {whole.cpu:.2f} "
                f"| {cost.least_cpu:.2f} | {whole.wall:.2f} | {speed(whole) / cost.ceiling:.0%} "
                f"| {cpu:.3f} ({wall:.3f}) |"
            )
    return "\n".join(rows)


def forward_table(rates: Sequence[ForwardRate]) -> str:
    """Images per second through the generators."""
    rows = [
        "| size | batch | G_A GFLOP | images per cpu-s (wall s) | CycleGAN GFLOP | images per cpu-s (wall s) "
        "| ratio, cpu (wall) |",
        "|---|---|---|---|---|---|---|",
    ]
    for rate in rates:
        ours, rival, ratio = (f"{cpu:.2f} ({wall:.2f})" for cpu, wall in (rate.ours, rate.rival, rate.ratio))
        rows.append(
            f"| {rate.size} | {rate.batch} | {rate.gflop[0]:.1f} | {ours} | {rate.gflop[1]:.1f} | {rival} "
            f"| {ratio} |"
        )
    return "\n".join(rows)
