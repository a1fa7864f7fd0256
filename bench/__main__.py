"""Measures a training step and a warp, and prints one Markdown document.

    python -m bench [--quick] [--rounds 3] [--threads 1] [--json FILE]
    python -m bench scores [--full]       see bench/scores.py
    python -m bench faces COMMAND         see bench/faces.py
    python -m bench inference             see bench/inference.py
    python -m bench device                see bench/device.py

One thread is the default: the processor time of several depends on who else uses the machine, because
some of oneDNN's kernels wait for each other by spinning, whatever OMP_WAIT_POLICY says.
"""

import argparse
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from bench import device, faces, inference, scores, step, warp
from bench.hallucination import environment
from pcfh.files import write_atomically
from pcfh.runtime import keep_freed_memory

PROGRAMS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "scores": scores.main,
    "faces": faces.main,
    "inference": inference.main,
    "device": device.main,
}
FLAGS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints and writes; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in PROGRAMS:
        return PROGRAMS[arguments[0]](arguments[1:])
    options = parser().parse_args(arguments)
    keep_freed_memory()
    torch.set_num_threads(options.threads)
    rounds = 1 if options.quick else options.rounds
    facts = {"command": shlex.join(["python", "-m", "bench", *arguments]), **machine()}
    steps = step.measure(quick=options.quick, rounds=rounds)
    warps = warp.measure_apart(quick=options.quick, rounds=max(3, rounds))
    facts["load_at_end"] = os.getloadavg()[0]
    if options.json is not None:
        report = {"machine": facts, "step": asdict(steps), "warp": asdict(warps)}
        write_atomically(options.json, json.dumps(report, indent=2).encode())
    print("\n\n".join([markdown(facts), step.markdown(steps), warp.markdown(warps)]))
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(prog="python -m bench", description=(__doc__ or "").split("\n")[0])
    result.add_argument("--quick", action="store_true", help="small networks, one round: to see that it runs")
    result.add_argument("--rounds", type=int, default=3, help="that medians are taken over")
    result.add_argument("--threads", type=int, default=1, help="of the training step; the warp has one")
    result.add_argument("--json", type=Path, help="file to write everything to")
    return result


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    model, flags = processor()
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "processor": model,
        "flags": [flag for flag in FLAGS if flag in flags],
        "processors": os.cpu_count(),
        "load_at_start": os.getloadavg()[0],
        "python": platform.python_version(),
        "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY", "not set"),
        **environment(),
    }


def processor() -> tuple[str, set[str]]:
    """Name and flags of the processor; empty where the system does not tell in Linux's way."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor(), set()
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return facts.get("model name", platform.processor()), set(facts.get("flags", "").split())


def markdown(facts: Mapping[str, Any]) -> str:
    """The document's head."""
    return f"""# Measurements

`{facts["command"]}`

{facts["date"]}, commit {facts["commit"]}. {facts["processor"]} ({" ".join(facts["flags"])}), \
{facts["processors"]} processors, load {facts["load_at_start"]:.1f} at the start and \
{facts["load_at_end"]:.1f} at the end. torch {facts["torch"]} with {facts["threads"]} thread(s), Python \
{facts["python"]}, OMP_WAIT_POLICY {facts["omp_wait_policy"]}. Freed memory is kept for reuse \
(`keep_freed_memory`), as `pcfh train` does it."""


if __name__ == "__main__":
    sys.exit(main())
