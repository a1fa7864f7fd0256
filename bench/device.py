"""What training steps and the shipped generator cost on a device, by the clock.

    python -m bench device [--device cuda] [--steps 20] [--presets cpu paper-256 ...]

Each step is waited for, as training does when it reads the losses. Images are noise with landmarks anywhere,
already on the device; medians over the steps after three that warm up. The parts of PCFH's step are waited
for one by one in other steps, so their sum is more than the step. Reading pictures, warping and logging are
left out: ``pcfh train`` does the first two in another thread meanwhile.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from tabulate import tabulate

from bench.flops import Precision
from bench.step import TrainingStep, made_up_batch, made_up_run
from pcfh.devices import mixes, usable_device
from pcfh.methods.base import Config
from pcfh.methods.files import load_generator
from pcfh.methods.find import preset, presets
from pcfh.runtime import Runtime, keep_freed_memory
from pcfh.shipped import shipped
from pcfh.training import loop

PRESETS = ("cpu", "pix2pix-cpu", "cyclegan-cpu", "rendered", "paper-144", "paper-256", "cyclegan", "pix2pix")
BATCHES = (1, 8, 64)
_WARM = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; returns the exit code."""
    options = _parser().parse_args(arguments)
    keep_freed_memory()
    runtime = Runtime(rank=0, processes=1, device=usable_device(options.device))
    print(f"# {_name(runtime.device)}, torch {torch.__version__}, {options.steps} steps each\n", flush=True)
    rows = [_training_row(name, runtime, options.steps) for name in options.presets]
    head = ["preset", "size", "batch", "precision", "ms a step", "images a second", "MiB at the peak"]
    print(tabulate(rows, head, tablefmt="github") + "\n", flush=True)
    ours = [name for name in options.presets if preset(name).training.method == "pcfh"]
    for name in ours:
        print(f"{name}, ms of each part: {_parts(preset(name), runtime, options.steps)}\n", flush=True)
    generator, _ = load_generator(shipped("generator"))
    generator = generator.to(runtime.device)
    rows = [_forward_row(generator, batch, runtime.device, options.steps) for batch in BATCHES]
    print(tabulate(rows, ["shipped generator, batch", "fp32, images a second", "bf16"], tablefmt="github"))
    return 0


def medians(call: Callable[[], object], device: torch.device, steps: int) -> float:
    """Median seconds of a call, what it started on the device included."""
    seconds = []
    for _ in range(_WARM + steps):
        start = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[_WARM:])


def _training_row(name: str, runtime: Runtime, steps: int) -> list[str]:
    config = preset(name)
    t = config.training
    if runtime.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(runtime.device)
    seconds = medians(training_step(config, runtime), runtime.device, steps)
    peak = torch.cuda.max_memory_allocated(runtime.device) if runtime.device.type == "cuda" else None
    return [
        name,
        str(t.size),
        str(t.batch),
        _precision(config, runtime),
        f"{1e3 * seconds:.1f}",
        f"{t.batch / seconds:.0f}",
        "" if peak is None else f"{peak / 2**20:.0f}",
    ]


def training_step(config: Config, runtime: Runtime) -> Callable[[], object]:
    """A step of any method on noise, waited for at its end alone."""
    task, batch = made_up_run(config, runtime)
    state = loop.begin(task)

    def step() -> None:
        task.trainer.compute_gradients(batch)
        loop.update(state, task)

    return step


def _parts(config: Config, runtime: Runtime, steps: int) -> str:
    step = TrainingStep(config, _precision(config, runtime), runtime)
    laps = [step() for _ in range(_WARM + steps)][_WARM:]
    batch = config.training.batch
    return ", ".join(
        f"{part} {1e3 * batch * statistics.median(lap[part].wall for lap in laps):.1f}" for part in laps[0]
    )


@torch.inference_mode()
def _forward_row(generator: Any, batch: int, device: torch.device, steps: int) -> list[str]:
    with torch.device(device):
        faces = made_up_batch(batch, generator.size, None)

    def forward(bf16: bool) -> object:
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            return generator(faces.nir, faces.landmarks)

    seconds = [medians(partial(forward, bf16), device, steps) for bf16 in (False, True)]
    return [str(batch), *(f"{batch / s:.0f}" for s in seconds)]


def _precision(config: Config, runtime: Runtime) -> Precision:
    return "bf16" if mixes(config.training.precision, runtime.device) else "fp32"


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "this machine's processor"


def _parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="python -m bench device",
        description=(__doc__ or "").split("\n")[0],
    )
    result.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:1")
    result.add_argument("--steps", type=int, default=20, help="that medians are taken over")
    result.add_argument("--presets", nargs="+", default=PRESETS, choices=tuple(presets()))
    return result
