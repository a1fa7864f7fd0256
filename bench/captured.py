"""What a GPU's step gains by each thing that was done for it, and whether it still computes the same.

    python -m bench captured [--device cuda] [--out results.json] [--parts nuclear norm ...] [--tiny]

nuclear   the nuclear norm by Newton-Schulz and by svdvals against singular values in 64 bits, and their times
norm      our normalisation with its activation against PyTorch's: error to 64 bits, and times
convolutions   of three channels, and filled up to eight
losses    the losses of 50 steps, eager twice, as a graph, with svdvals, with our normalisation
kernels   where a GPU's time goes in one step
parts     the parts of a step before and after
times     whole steps (batch, gradients, optimizer, average) before and after, and a rival's beside them

Images are noise, already on the device. Results are printed, and written after each part, so that a program
that is cut off has told what it knows. On a processor nothing is captured.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from bench.step import TrainingStep, made_up_batch, made_up_run
from pcfh.devices import mixes, usable_device
from pcfh.files import write_atomically
from pcfh.methods.base import Config
from pcfh.methods.batch import Batch
from pcfh.methods.find import overridden, preset
from pcfh.methods.pcfh import losses
from pcfh.runtime import Runtime, keep_freed_memory
from pcfh.training import loop
from pcfh.training.capture import Compute, captured
from pcfh.training.fused_norm import Choice, Kernel, autocast, largest_error, lean, milliseconds
from pcfh.training.loop import seed_step

Results = dict[str, Any]
_TINY = ("training.size=64", "training.batch=2", "training.group=2")
_SHAPES = ((64, 32, 128, 128), (64, 256, 16, 16), (32, 32, 256, 256))


def svd_norm(maps: Tensor) -> Tensor:
    """The nuclear norm as it was."""
    return torch.linalg.svdvals(maps).sum(-1)


def nuclear(device: torch.device, tiny: bool) -> Iterator[tuple[str, Results]]:
    """Value and gradient of both forms, for maps of full and of low rank."""
    torch.manual_seed(0)
    for size in (16,) if tiny else (128, 144, 256):
        full = torch.rand(8, size, size)
        low = torch.rand(8, size, 3) @ torch.rand(8, 3, size) / 3
        for name, maps in (("full rank", full), ("rank 3", low)):
            u, s, vh = torch.linalg.svd(maps.double(), full_matrices=False)
            slope = (u * (s > 1e-6 * s[:, :1])[:, None]) @ vh
            row: Results = {}
            for form, norm in (("newton_schulz", losses.newton_schulz_norm), ("svdvals", svd_norm)):
                leaf = maps.to(device).requires_grad_()
                value = norm(leaf)
                (found,) = torch.autograd.grad(value.sum(), leaf)
                row[f"{form} error"] = float((value.detach().double().cpu() / s.sum(1) - 1).abs().max())
                row[f"{form} gradient error"] = float((found.double().cpu() - slope).norm() / slope.norm())
                row[f"{form} ms"] = median_ms(partial(_slope, norm, leaf), device)
            yield f"{size}, {name}", row


def _slope(norm: Callable[[Tensor], Tensor], leaf: Tensor) -> Tensor:
    (found,) = torch.autograd.grad(norm(leaf).sum(), leaf)
    return found


def normalisation(device: torch.device, tiny: bool) -> Iterator[tuple[str, Results]]:
    """Errors and times of the ways to normalise."""
    ways = _kernels(device)
    for name, kernel in ways.items():
        yield f"{name}, error", {"largest": largest_error(kernel, device)}
    for shape in ((2, 8, 16, 16),) if tiny else _SHAPES:
        times = {
            name: milliseconds(kernel, device, shape, channels_last=name == "triton")
            for name, kernel in ways.items()
        }
        yield " x ".join(map(str, shape)), {f"{name} ms": ms for name, ms in times.items()}


def convolutions(device: torch.device, tiny: bool) -> Iterator[tuple[str, Results]]:
    """Whether convolutions from and to three channels should be filled up to eight; forward and backward."""
    batch, side = (2, 16) if tiny else (64, 128)
    for kernel, stride, few, many in ((5, 1, 3, 32), (7, 2, 6, 32), (4, 2, 3, 64), (3, 1, 32, 3)):
        row: Results = {}
        for filled in (False, True):
            c1, c2 = (-(-c // 8) * 8 if filled else c for c in (few, many))
            x, weight = (
                torch.randn(shape, device=device, dtype=torch.bfloat16)
                .contiguous(memory_format=torch.channels_last)
                .requires_grad_()
                for shape in ((batch, c1, side, side), (c2, c1, kernel, kernel))
            )

            def both(
                x: Tensor = x, weight: Tensor = weight, how: tuple[int, int] = (stride, kernel // 2)
            ) -> None:
                y = torch.nn.functional.conv2d(x, weight, None, *how)
                torch.autograd.grad(y, (x, weight), torch.ones_like(y))

            row[f"{'filled' if filled else 'as it is'} ms"] = median_ms(both, device)
        yield f"{few} to {many}, {kernel} x {kernel}", row


def _kernels(device: torch.device) -> dict[str, Kernel]:
    ways: dict[str, Kernel] = {"autocast": autocast, "lean": lean}
    if device.type == "cuda":
        from pcfh.training.norm_kernels import instance_norm  # noqa: PLC0415 - needs Triton

        ways["triton"] = instance_norm
    return ways


def first_losses(device: torch.device, tiny: bool) -> Iterator[tuple[str, Results]]:
    """How far the losses of each way are from the eager step's, as a share of each loss's mean."""
    steps = 3 if tiny else 50
    small = ("training.batch=16", "training.size=128")
    config = overridden(preset("tiny" if tiny else "paper-144"), _TINY if tiny else small)
    eager = ("training.fused_norm=off", "training.capture=off")
    names, expected = losses_of(overridden(config, eager), device, steps)
    scale = expected.abs().mean(0).clamp(min=1e-9)
    yield "eager", {"loss/total": _some(expected[:, names.index("loss/total")])}
    ways: Mapping[str, tuple[Sequence[str], bool]] = {
        "eager again": (eager, False),
        "graph": (eager[:1], False),
        "svdvals": (eager, True),
        "graph, our normalisation": ((), False),
    }
    for name, (settings, svd) in ways.items():
        _, found = losses_of(overridden(config, settings), device, steps, svd=svd)
        apart = ((found - expected).abs() / scale).amax(1)
        row = {f"apart by step {n}": float(apart[:n].max()) for n in (1, 10, steps) if n <= steps}
        yield name, {**row, "loss/total": _some(found[:, names.index("loss/total")])}


def losses_of(
    config: Config, device: torch.device, steps: int, *, svd: bool = False
) -> tuple[list[str], Tensor]:
    """Names and values of the numbers of the first steps, on batches of noise that differ."""
    with as_it_was(svd=svd):
        step = Step(config, device)
        rows = []
        for number in range(steps):
            torch.manual_seed(1000 + number)
            step.see(noise_like(step.batch))
            seed_step(0, number, 0)
            rows.append(torch.stack([v.float() for v in step().values()]))
        return step.names, torch.stack(rows).cpu()


def noise_like(batch: Batch) -> Batch:
    """Other noise in the place of that of a batch."""
    return made_up_batch(len(batch.nir), batch.nir.shape[-1], None)


class Step:
    """Whole steps of a configuration on noise.

    Args:
        config: of the run.
        device: where.
    """

    def __init__(self, config: Config, device: torch.device) -> None:
        torch.manual_seed(0)
        self.task, self.batch = made_up_run(config, Runtime(rank=0, processes=1, device=device))
        self.state = loop.begin(self.task)
        self.notes = list(self.task.notes)
        self._compute: Compute = self.task.trainer.compute_gradients
        if device.type == "cuda" and config.training.capture != "off" and self.task.trainer.on_device:
            self._compute, note = captured(self.task.networks, self._compute, self.batch)
            self.notes.append(note)
        self.names: list[str] = []

    def see(self, images: Batch) -> None:
        """Changes the pictures of the batch."""
        for name in ("nir", "vis", "warped", "landmarks", "mix"):
            target, source = getattr(self.batch, name), getattr(images, name)
            if name == "nir":  # three views of one channel
                target, source = target[:, :1], source[:, :1]
            target.copy_(source)

    def __call__(self) -> Mapping[str, Tensor]:
        """Moves the networks; gives the numbers."""
        values = self._compute(self.batch)
        self.names = list(values)
        loop.update(self.state, self.task)
        return values


@contextmanager
def as_it_was(*, svd: bool = False, kernel: Kernel | None = None, tuned: bool = True) -> Iterator[None]:
    """Goes back to what was before, or to one way to normalise."""
    with ExitStack() as stack:
        if svd:
            stack.enter_context(mock.patch.object(losses, "nuclear_norm", svd_norm))
        if kernel is not None:
            choice = Choice(kernel=kernel, channels_last=False, why=f"normalisation: {kernel.__name__}")
            stack.enter_context(mock.patch("pcfh.methods.train.choose", lambda *_, **__: choice))
        before = torch.backends.cudnn.benchmark
        torch.backends.cudnn.benchmark = tuned
        try:
            yield
        finally:
            torch.backends.cudnn.benchmark = before


def times(device: torch.device, tiny: bool) -> Iterator[tuple[str, Results]]:
    """Whole steps, from the last version's to this one's."""
    for name, config, how in tiny_rows() if tiny else rows():
        yield name, _row(config, device, how, 2 if tiny else 10)


def parts(device: torch.device, tiny: bool) -> Iterator[tuple[str, Results]]:
    """The parts of PCFH's step, each waited for, so that their sum is more than the step."""
    for name, config, how in tiny_rows() if tiny else rows():
        if "CycleGAN" in name or "pix2pix" in name or "compiled" in name or "captured" in name:
            continue
        with as_it_was(**how):
            runtime = Runtime(rank=0, processes=1, device=device)
            step = TrainingStep(
                config, "bf16" if mixes(config.training.precision, device) else "fp32", runtime
            )
            laps = [step() for _ in range(2 if tiny else 5)][1:]
        batch = config.training.batch
        yield name, {f"{p} ms": 1e3 * batch * statistics.median(lap[p].wall for lap in laps) for p in laps[0]}


def kernels(device: torch.device, tiny: bool) -> Iterator[tuple[str, Results]]:
    """Where a GPU's time goes in one eager step, by kernel."""
    name, config, _ = (tiny_rows() if tiny else rows())[0]
    step = Step(overridden(config, ["training.capture=off"]), device)
    for _ in range(3):
        step()
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device.type == "cuda":
        activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        step()
        median_ms(lambda: None, device, 1)  # waits
    ran = sorted(profile.key_averages(), key=lambda e: -_own_time(e))[:40]
    yield name, {f"{e.key[:90]}, {e.count} times, ms": _own_time(e) / 1e3 for e in ran}


def _own_time(event: Any) -> float:
    """Microseconds of a kernel, or of an operation on a processor."""
    return float(event.self_device_time_total or event.self_cpu_time_total)


Row = tuple[str, Config, dict[str, Any]]


def tiny_rows() -> list[Row]:
    """One, to see that it runs."""
    return [("tiny", overridden(preset("tiny"), _TINY), {})]


def rows() -> list[Row]:
    """Name, configuration and how; most telling first."""
    norm, capture, estimate = (
        "training.fused_norm=off",
        "training.capture=off",
        "objective.mi_estimator=bilinear",
    )
    before = {"svd": True, "tuned": False}
    first: list[Row] = []
    more: list[Row] = []
    last: list[Row] = []
    for size, batch, name, blocks in ((128, 64, "paper-144", 6), (256, 32, "paper-256", 9)):
        own = [f"training.size={size}", f"training.batch={batch}"]
        now = overridden(preset(name), own)
        cycle = [f"training.size={size}", "training.batch=16", f"baseline.blocks={blocks}"]
        rival = overridden(preset("cyclegan"), cycle)
        first += [(f"{size}, as it is now", now, {}), (f"{size}, CycleGAN", rival, {})]
        more += [
            (f"{size}, normalisation in bfloat16 by PyTorch", now, {"kernel": lean}),
            (f"{size}, normalisation by PyTorch", overridden(now, [norm]), {}),
            (f"{size}, not captured", overridden(now, [capture]), {}),
            (f"{size}, nothing of it", overridden(now, [norm, capture, estimate]), before),
            (
                f"{size}, nothing of it, batch of 8",
                overridden(now, [norm, capture, estimate, "training.batch=8"]),
                before,
            ),
        ]
        last += [
            (f"{size}, CycleGAN, nothing of it", overridden(rival, [norm, capture]), {"tuned": False}),
            (f"{size}, compiled", overridden(now, ["training.compiled=on"]), {}),
        ]
    narrow = overridden(preset("cpu"), ["training.batch=64"])
    paired = overridden(preset("pix2pix-cpu"), ["training.batch=16"])
    first += [("128, preset cpu", narrow, {}), ("128, preset pix2pix-cpu", paired, {})]
    return [*first, *more, *last]


def _row(config: Config, device: torch.device, how: dict[str, Any], steps: int) -> Results:
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    start = time.perf_counter()
    try:
        with as_it_was(**how):
            step = Step(config, device)
            step()
            begun = time.perf_counter() - start
            ms = median_ms(step, device, steps)
    except Exception as error:  # the other rows are worth having
        return {"failed": f"{type(error).__name__}: {error}"[:500]}
    batch = config.training.batch
    row = {"batch": batch, "ms": ms, "images a second": 1e3 * batch / ms, "seconds to begin": begun}
    if device.type == "cuda":
        row["GB at the peak"] = torch.cuda.max_memory_allocated(device) / 1e9
    precision = "bf16" if mixes(config.training.precision, device) else "fp32"
    return {**row, "precision": precision, "notes": step.notes}


def median_ms(call: Callable[[], object], device: torch.device, rounds: int = 5) -> float:
    """Median milliseconds of a call, what it started on the device included; two calls before warm up.

    Those of a processor are processor time, which others on the machine disturb less.
    """
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    seconds = []
    for _ in range(2 + rounds):
        start = clock()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(clock() - start)
    return 1e3 * statistics.median(seconds[2:])


def _some(column: Tensor) -> list[float]:
    """A dozen values of a column at most."""
    return [float(f"{value:.6g}") for value in column[:: max(1, len(column) // 10)]]


PARTS: Mapping[str, Callable[[torch.device, bool], Iterator[tuple[str, Results]]]] = {
    "nuclear": nuclear,
    "norm": normalisation,
    "convolutions": convolutions,
    "losses": first_losses,
    "times": times,
    "kernels": kernels,
    "parts": parts,
}


def main(arguments: Sequence[str]) -> int:
    """Measures and prints; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench captured", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:1")
    parser.add_argument("--out", type=Path, help="a JSON file for the results")
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--seconds", type=float, default=1e9, help="begins no new part after so many")
    parser.add_argument("--tiny", action="store_true", help="small networks: to see that it runs")
    options = parser.parse_args(arguments)
    keep_freed_memory()
    device = usable_device(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    results: Results = {"device": name, "torch": torch.__version__}
    start = time.perf_counter()
    for part in options.parts:
        print(f"## {part}", flush=True)
        own = results.setdefault(part, {})
        for row, values in PARTS[part](device, options.tiny):
            own[row] = values
            print(f"{row}: {json.dumps(_short(values))}", flush=True)
            if options.out is not None:
                write_atomically(options.out, json.dumps(results, indent=1).encode())
            if time.perf_counter() - start > options.seconds:
                print("no time is left", flush=True)
                return 0
    return 0


def _short(value: Any) -> Any:
    """Numbers of four digits."""
    if isinstance(value, dict):
        return {key: _short(inner) for key, inner in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value
