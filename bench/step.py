"""What one training step costs on a processor, part by part, and what CycleGAN's costs in the same run.

    python -m bench step [--quick] [--rounds 3] [--threads 1]

Work is counted in FLOP of convolutions and matrix products, a multiply-add being two. Times are seconds of
processor time over all threads for one NIR image. The share is that of the best convolution's speed in the
same run. A round runs everything that is compared once, so that a busy machine disturbs all of it alike;
medians over rounds are reported. The first call of each is not timed: it warms up and counts FLOP.

Axis letters: b batch, s side of an image.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest import mock

import torch
from jaxtyping import Float
from tabulate import tabulate
from torch import Tensor, nn

from bench.flops import DTYPES, FlopCounter, Precision, best_speed
from pcfh.methods.base import Config, find_method
from pcfh.methods.batch import Batch
from pcfh.methods.find import overridden, preset
from pcfh.methods.pcfh import ours, step
from pcfh.methods.pcfh.terms import ABSENT
from pcfh.methods.train import MethodLearner
from pcfh.recognisers.lightcnn.network import build_lightcnn, to_lightcnn_input
from pcfh.runtime import Runtime, keep_freed_memory
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


class Cost(NamedTuple):
    """Seconds by the clock and of processor time, and FLOP."""

    wall: float
    cpu: float
    flop: float

    def since(self, earlier: "Cost") -> "Cost":
        """The difference of two readings."""
        return Cost(*(b - a for a, b in zip(earlier, self, strict=True)))

    def scaled(self, factor: float) -> "Cost":
        """All three times a factor."""
        return Cost(*(value * factor for value in self))


Parts = dict[str, Cost]


class Laps:
    """A stopwatch: what each part cost since the part before it ended, so that all parts sum up to the whole.

    Args:
        counter: of FLOP, if they are to be counted.
        device: whose work is waited for before each look at the clock.

    Attributes:
        parts: by name, in order.
    """

    def __init__(self, counter: FlopCounter | None, device: torch.device) -> None:
        self.parts: Parts = {}
        self._counter, self._device = counter, device
        self._last = self._now()

    def end(self, part: str) -> None:
        """Says that a part is over."""
        now = self._now()
        self.parts[part] = now.since(self._last)
        self._last = now

    def _now(self) -> Cost:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        flop = 0 if self._counter is None else self._counter.flop
        return Cost(time.perf_counter(), time.process_time(), flop)


class TrainingStep:
    """The step of ``pcfh train`` on made-up images, with random weights in all networks and in F.

    Args:
        config: of the run, of any method.
        precision: takes the place of the configuration's.
        runtime: where it computes.
    """

    def __init__(self, config: Config, precision: Precision, runtime: Runtime = HERE) -> None:
        self.config = overridden(config, [f"training.precision={precision}"])
        self.device = runtime.device
        self.task, self.batch = made_up_run(self.config, runtime)
        self.state = loop.begin(self.task)

    def __call__(self, counter: FlopCounter | None = None) -> Parts:
        """Does one step; returns what its parts cost for one image. A rival's step has two parts."""
        laps = Laps(counter, self.device)
        with timed(laps):
            self.task.trainer.compute_gradients(self.batch)
        if not laps.parts:
            laps.end("gradients")
        loop.update(self.state, self.task)
        laps.end("optimizer, average")
        return {name: part.scaled(1 / len(self.batch.nir)) for name, part in laps.parts.items()}


@contextmanager
def timed(laps: Laps) -> Iterator[None]:
    """Makes every function of PCFH's step tell a stopwatch when it is over."""

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


def made_up_run(config: Config, runtime: Runtime) -> tuple[MethodLearner, Batch]:
    """New networks of any method, a Light CNN-29 of random weights for an identity loss, and noise."""
    recognizer = None
    if find_method(config.training.method).needs(config).recognizer:
        recognizer = build_lightcnn("lightcnn29").requires_grad_(False).eval().to(runtime.device)
    task = MethodLearner(config, runtime, recognizer)
    with torch.device(runtime.device):
        return task, made_up_batch(config.training.batch, config.training.size, recognizer)


@torch.no_grad()
def made_up_batch(count: int, size: int, recognizer: nn.Module | None) -> Batch:
    """Noise with landmarks anywhere in it: what a step costs does not depend on what it sees."""
    nir, vis, warped, truth = (_noise(count, size) for _ in range(4))
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


def _noise(count: int, size: int) -> Float[Tensor, "b 3 s s"]:
    """Images of noise in [-1, 1]."""
    return torch.rand(count, 3, size, size) * 2 - 1


def settings(quick: bool) -> dict[str, list[tuple[str, Config]]]:
    """What is measured together, by name: 8 images a step, half of the paper's batch."""
    if quick:
        small = cyclegan("training.size=64", "baseline.blocks=1")
        return {"quick": [("preset tiny, 64 pixels", preset("tiny")), ("CycleGAN, 64 pixels", small)]}
    return {
        "128": [("preset cpu, 128 pixels", preset("cpu"))],
        "144": [("preset paper-144", overridden(preset("paper-144"), ["training.batch=8"]))],
        "256": [
            ("preset paper-256", preset("paper-256")),
            ("CycleGAN, 256 pixels, without its identity term", cyclegan("baseline.lambda_identity=0")),
            ("CycleGAN, 256 pixels", cyclegan()),
        ],
    }


def cyclegan(*settings: str) -> Config:
    """CycleGAN on one image of each domain with nine residual blocks, as its authors do at 256 pixels."""
    own = ("training.size=256", "training.batch=1", "baseline.blocks=9")
    return overridden(preset("cyclegan"), [*own, *settings])


class StepCost(NamedTuple):
    """Medians over rounds.

    Attributes:
        parts: cost of each part for one image; the last is the whole step.
        ceiling: the best convolution's speed, in GFLOP per second of processor time.
    """

    parts: Parts
    ceiling: float

    def share(self, part: str) -> float:
        """Speed of a part beside the best convolution's."""
        cost = self.parts[part]
        return cost.flop / 1e9 / cost.cpu / self.ceiling


Key = tuple[str, Precision]


def measure(configs: Sequence[tuple[str, Config]], rounds: int) -> dict[Key, StepCost]:
    """Measures configurations in both precisions, in turn."""
    torch.manual_seed(0)
    tasks = {(title, p): TrainingStep(config, p) for title, config in configs for p in DTYPES}
    flop = {key: _counted(task) for key, task in tasks.items()}
    samples: dict[Key, list[Parts]] = {key: [] for key in tasks}
    ceilings: dict[Precision, list[float]] = {precision: [] for precision in DTYPES}
    for _ in range(rounds):
        for precision, speeds in ceilings.items():
            speeds.append(best_speed(precision))
        for key, task in tasks.items():
            parts = {name: cost._replace(flop=flop[key][name]) for name, cost in task(None).items()}
            samples[key].append({**parts, WHOLE: Cost(*map(sum, zip(*parts.values(), strict=True)))})
    return {
        key: StepCost(
            parts={name: _median([parts[name] for parts in rows]) for name in rows[0]},
            ceiling=statistics.median(ceilings[key[1]]),
        )
        for key, rows in samples.items()
    }


def _counted(task: TrainingStep) -> dict[str, float]:
    with FlopCounter() as counter:
        return {name: cost.flop for name, cost in task(counter).items()}


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(*map(statistics.median, zip(*costs, strict=True)))


def parts_table(cost: StepCost) -> str:
    """One step, a row for each part."""
    whole = cost.parts[WHOLE]
    head = ["part", "GFLOP", "cpu ms", "of the step", "share of the best"]
    rows = [
        [
            name,
            f"{part.flop / 1e9:.2f}",
            f"{1e3 * part.cpu:.1f}",
            f"{part.cpu / whole.cpu:.0%}",
            f"{cost.share(name):.0%}",
        ]
        for name, part in cost.parts.items()
    ]
    return tabulate(rows, head, tablefmt="github", disable_numparse=True)


def summary_table(costs: Mapping[Key, StepCost]) -> str:
    """Whole steps, a row for each."""
    head = ["step", "GFLOP an image"]
    head += [f"{precision}: {what}" for precision in DTYPES for what in ("cpu s an image", "share")]
    rows = []
    for title in dict.fromkeys(title for title, _ in costs):
        own = [costs[title, precision] for precision in DTYPES]
        row = [title, f"{own[0].parts[WHOLE].flop / 1e9:.1f}"]
        for cost in own:
            row += [f"{cost.parts[WHOLE].cpu:.3f}", f"{cost.share(WHOLE):.0%}"]
        rows.append(row)
    return tabulate(rows, head, tablefmt="github", disable_numparse=True)


def main(arguments: Sequence[str]) -> int:
    """Measures and prints; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench step", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small networks: to see that it runs")
    parser.add_argument("--rounds", type=int, default=3, help="that medians are taken over")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    keep_freed_memory()
    torch.set_num_threads(options.threads)
    costs: dict[Key, StepCost] = {}
    for name, configs in settings(options.quick).items():
        print(f"measuring: {name}", file=sys.stderr, flush=True)
        costs |= measure(configs, options.rounds)
    for (title, precision), cost in costs.items():
        print(f"{title}, {precision}\n\n{parts_table(cost)}\n")
    print(summary_table(costs))
    return 0
