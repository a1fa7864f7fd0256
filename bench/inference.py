"""Measures images per second of generators, and of CycleGAN's at the size of the first, run in several ways.

    python -m bench inference [--model FILE ...] [--rounds 5] [--threads 1] [--precisions fp32]

They translate the built-in sample's near-infrared faces; what brings unlike faces into a generator's range is
a part of it, and has little to do there.

The ways are PyTorch as it is (eager), ``torch.compile``, and ONNX Runtime with the exported file, in 32 bits
and in bfloat16 where there is such a thing: weights and images of that type, no autocast. Each round runs
every way once, so that another load on the machine slows all of them; the median over rounds is printed, with
the slowest and the fastest. With one thread, seconds are processor time, which another load changes least;
with several they are wall time. Preparing (exporting, compiling) does not count; compiling takes minutes.

Axis letters: b batch, s side of an image.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from tabulate import tabulate
from torch import Tensor

from pcfh.databases.records import LANDMARKS_FILE
from pcfh.databases.rendered import SAMPLE
from pcfh.errors import UserError
from pcfh.export import OPSET, GreyInput, Network, generator_batches, onnx_bytes, onnx_runner
from pcfh.images import read_image
from pcfh.landmarks.given import landmark_key, read_landmarks
from pcfh.methods.cyclegan.cyclegan_trainer import ResidualGenerator
from pcfh.methods.files import load_generator
from pcfh.preparation.face_reader import crop_of_photograph
from pcfh.ranges import from_bytes
from pcfh.runtime import keep_freed_memory
from pcfh.shipped import shipped

PRECISIONS: Mapping[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}
WAYS = ("eager", "compiled", "ONNX Runtime")

Inputs = tuple[Tensor, ...]
Run = Callable[[Inputs], Any]


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One network in one way on one batch.

    Attributes:
        network: its name.
        size: side of its images.
        way: one of ``WAYS``.
        precision: "fp32" or "bf16".
        batch: images at once.
    """

    network: str
    size: int
    way: str
    precision: str
    batch: int


@dataclass(frozen=True, kw_only=True)
class Rate:
    """What a candidate reached.

    Attributes:
        candidate: which one.
        images_per_second: of each round; empty where it does not run.
        note: why it does not run.
    """

    candidate: Candidate
    images_per_second: tuple[float, ...] = ()
    note: str = ""

    def __str__(self) -> str:
        if not self.images_per_second:
            return self.note
        rates = self.images_per_second
        return f"{statistics.median(rates):.2f} ({min(rates):.2f} to {max(rates):.2f})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints and writes; returns the exit code."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    files = options.model or [shipped("generator")]
    try:
        networks: dict[str, Any] = {str(file): load_generator(file)[0] for file in files}
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    size = networks[str(files[0])].size
    load = os.getloadavg()[0]
    networks["CycleGAN"] = ResidualGenerator(size=size, blocks=6 if size <= 128 else 9)
    networks["CycleGAN"].eval().requires_grad_(False)
    ready = dict(candidates(networks, options.ways, options.precisions, options.batches))
    clock = time.process_time if options.threads == 1 else time.perf_counter
    rates = measure(ready, options.rounds, clock)
    for file in files:
        network = networks[str(file)]
        weights = sum(weight.numel() for weight in network.state_dict().values())
        megabytes = file.stat().st_size / 1e6
        print(f"{file}: {network.size} x {network.size} pixels, {weights:,} weights, {megabytes:.1f} MB")
    print(f"{_heading(options)}, load {load:.1f} at the start.\n\n{markdown(rates)}")
    return 0


@torch.inference_mode()
def measure(ready: Mapping[Candidate, Run | str], rounds: int, clock: Callable[[], float]) -> list[Rate]:
    """Measures candidates in turn.

    Args:
        ready: what runs each candidate, or why it does not run.
        rounds: in each of which every candidate runs once.
        clock: gives seconds.
    """
    reached: dict[Candidate, list[float]] = {candidate: [] for candidate in ready}
    for _ in range(rounds):
        for candidate, run in ready.items():
            if not isinstance(run, str):
                inputs = sample_inputs(candidate)
                start = clock()
                run(inputs)
                reached[candidate].append(candidate.batch / (clock() - start))
    return [
        Rate(
            candidate=candidate,
            images_per_second=tuple(reached[candidate]),
            note=run if isinstance(run, str) else "",
        )
        for candidate, run in ready.items()
    ]


@torch.inference_mode()
def candidates(
    networks: Mapping[str, Any],
    ways: Sequence[str],
    precisions: Sequence[str],
    batches: Sequence[int],
) -> Iterator[tuple[Candidate, Run | str]]:
    """Every candidate with what runs it, run once already, or why it does not run."""
    for (name, network), way, precision in product(networks.items(), ways, precisions):
        run = prepared(network, way, precision)
        for batch in batches:
            candidate = Candidate(network=name, size=network.size, way=way, precision=precision, batch=batch)
            yield candidate, run if isinstance(run, str) else _warmed(run, candidate)


def prepared(network: Any, way: str, precision: str) -> Run | str:
    """What runs a network in one way, or why it does not run."""
    module = GreyInput(deepcopy(network)).eval().to(PRECISIONS[precision])
    if way == "eager":
        return lambda inputs: module(*inputs)
    if way == "compiled":
        compiled = torch.compile(module, dynamic=False)
        return lambda inputs: compiled(*inputs)
    if precision != "fp32":
        return "none"
    names = ("nir", "landmarks")
    exported = Network(
        module=module,
        inputs=dict.fromkeys(names, ""),
        outputs={"vis": ""},
        facts={},
        batches=generator_batches(network.size),
    )
    with torch.inference_mode(False):
        data = onnx_bytes(exported, OPSET, {})
    return onnx_runner(data, names)


def sample_inputs(candidate: Candidate) -> Inputs:
    """The first faces of the sample with their landmarks, which stay in 32 bits."""
    found = [sample_face(number, candidate.size) for number in range(candidate.batch)]
    crops, landmarks = (np.stack(column) for column in zip(*found, strict=True))
    nir = from_bytes(torch.from_numpy(crops[:, None, ..., 0]))
    return nir.to(PRECISIONS[candidate.precision]), torch.from_numpy(landmarks).float()


@cache
def sample_face(number: int, size: int) -> tuple[UInt8[np.ndarray, "s s 3"], Float[np.ndarray, "68 2"]]:
    """An aligned near-infrared face of the sample; they begin anew after the last."""
    files = sorted(SAMPLE.glob("s?/NIR/*/*.jpg"))
    file = files[number % len(files)]
    points = sample_landmarks()[landmark_key(f"{file.relative_to(SAMPLE)}")]
    return crop_of_photograph(read_image(file), points, size, nir=True)


@cache
def sample_landmarks() -> Mapping[str, Float[np.ndarray, "68 2"]]:
    """Of all its pictures."""
    return read_landmarks(SAMPLE / LANDMARKS_FILE)


def markdown(rates: Sequence[Rate]) -> str:
    """One row for each way and precision, one column for each network and batch."""
    columns = list(dict.fromkeys((rate.candidate.network, rate.candidate.batch) for rate in rates))
    rows = dict.fromkeys((rate.candidate.way, rate.candidate.precision) for rate in rates)
    cells = {(c.way, c.precision, c.network, c.batch): str(rate) for rate in rates for c in [rate.candidate]}
    head = ["", *(f"{network}, batch {batch}" for network, batch in columns)]
    table = [[", ".join(row), *(cells[*row, *column] for column in columns)] for row in rows]
    return tabulate(table, head, tablefmt="github", disable_numparse=True)


def _warmed(run: Run, candidate: Candidate) -> Run | str:
    """Runs once, which compiles what is compiled; gives the reason where that fails."""
    try:
        run(sample_inputs(candidate))
    except Exception as error:  # compilers fail in many ways
        missing = "compiler" in str(error).lower()
        return "no C++ compiler" if missing else f"fails: {str(error).strip().splitlines()[0][:60]}"
    return run


def _heading(options: argparse.Namespace) -> str:
    seconds = "processor second" if options.threads == 1 else "second"
    return (
        f"Images per {seconds}, median of {options.rounds} rounds (slowest to "
        f"fastest), {options.threads} thread(s), torch {torch.__version__}"
    )


def _parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="python -m bench inference", description=(__doc__ or "").split("\n")[0]
    )
    result.add_argument(
        "--model", type=Path, nargs="+", help="generator.safetensors; the first shipped one if not given"
    )
    result.add_argument("--rounds", type=int, default=5, help="that medians are taken over")
    result.add_argument("--threads", type=int, default=1)
    result.add_argument("--batches", type=int, nargs="+", default=[1, 8], help="images at once")
    result.add_argument("--ways", nargs="+", default=WAYS, choices=WAYS)
    result.add_argument(
        "--precisions",
        nargs="+",
        default=tuple(PRECISIONS),
        choices=tuple(PRECISIONS),
        help="bf16 takes minutes an image on a processor without instructions for it",
    )
    return result
