"""What figures cost, from features on: Rank-1 and VR at three FARs, and all that an evaluation says.

    python -m bench scores [--full] [--threads 2] [--rounds 5]

Two scales, streamed alike: 6,208 probes against a gallery of 358, as in a fold of CASIA NIR-VIS 2.0, and
20,000 by 20,000, or 100,000 by 100,000 with --full. "All" has ranks, ROC, EER, the best images of each probe
and VR in 1,000 draws of people, too, as ``pcfh evaluate`` does for each method. Features have 256 numbers and
are made up: a random direction for each person, and noise. Every row has a process of its own. Memory is the
process's resident set, once the features are made and at its peak; the difference is what the figures need.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int

from bench.memory import peak_mebibytes
from pcfh.evaluation.intervals import Bootstrap
from pcfh.evaluation.score_blocks import embedding_sides
from pcfh.evaluation.scores import Figures
from pcfh.evaluation.streaming import gallery_figures, score_facts

FARS = (1e-2, 1e-3, 1e-4)
LENGTH, NOISE = 256, 4.0
MIB = 2**20

Features = tuple[
    Float32[np.ndarray, "p d"], Float32[np.ndarray, "g d"], Int[np.ndarray, " p"], Int[np.ndarray, " g"]
]


@dataclass(frozen=True, kw_only=True)
class ScoresReport:
    """One scale.

    Attributes:
        what: "figures" or "all".
        probes: number.
        gallery: number, each of another person.
        threads: at once.
        wall: seconds, median over rounds.
        cpu: the same of processor time.
        before: MiB of memory with the features.
        peak: MiB at most.
        rank1: share.
        verification: VR at each of FARS.
    """

    what: str
    probes: int
    gallery: int
    threads: int
    wall: float
    cpu: float
    before: float
    peak: float
    rank1: float
    verification: Sequence[float]


def main(arguments: Sequence[str]) -> int:
    """Measures both scales and prints them; returns the exit code."""
    options = parser().parse_args(arguments)
    side = 100_000 if options.full else 20_000
    scales = ((6208, 358, options.rounds), (side, side, 1))
    reports = [
        measure_apart(what, probes, gallery, options.threads, rounds)
        for probes, gallery, rounds in scales
        for what in ("figures", "all")
    ]
    print(markdown(reports))
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        prog="python -m bench scores", description=(__doc__ or "").split("\n")[0]
    )
    result.add_argument("--full", action="store_true", help="100,000 by 100,000: some minutes on two cores")
    result.add_argument("--threads", type=int, default=2)
    result.add_argument("--rounds", type=int, default=5, help="of the small scale")
    return result


def measure_apart(what: str, probes: int, gallery: int, threads: int, rounds: int) -> ScoresReport:
    """Measures one scale in a process of its own.

    The libraries' own threads are limited to ``threads``, too, which works only before they are imported.
    """
    print(f"{what} of {probes} by {gallery}", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "bench.scores", *map(str, (what, probes, gallery, threads, rounds))]
    env = os.environ | dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), str(threads))
    output = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout
    return ScoresReport(**json.loads(output))


def measure(what: str, probes: int, gallery: int, threads: int, rounds: int) -> ScoresReport:
    """Measures one scale."""
    compute = gallery_figures if what == "figures" else figures_of_all
    features = made_up_features(probes, gallery)
    before = resident()
    times = []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        result = compute(*features, fars=FARS)
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
    walls, cpus = zip(*times, strict=True)
    return ScoresReport(
        what=what,
        probes=probes,
        gallery=gallery,
        threads=threads,
        wall=statistics.median(walls),
        cpu=statistics.median(cpus),
        before=before,
        peak=peak_mebibytes(),
        rank1=result.rank1,
        verification=[result.verification[far] for far in FARS],
    )


def figures_of_all(
    probes: Float32[np.ndarray, "p d"],
    gallery: Float32[np.ndarray, "g d"],
    probe_people: Int[np.ndarray, " p"],
    gallery_people: Int[np.ndarray, " g"],
    *,
    fars: Sequence[float],
) -> Figures:
    """The same figures, from all that an evaluation finds."""
    sides = embedding_sides(probes, gallery, probe_people, gallery_people)
    facts = score_facts(sides, fars, Bootstrap())
    return Figures(
        rank1=float((facts.probes.rank == 1).mean()),
        verification={far: facts.verification_rate(far) for far in fars},
        threshold=facts.threshold,
    )


def made_up_features(probes: int, gallery: int) -> Features:
    """Features of norm one: a random direction for each person, and for probes noise about it.

    Made a thousand at a time, so that making them does not take more memory than keeping them.
    """
    rng = np.random.default_rng(0)
    enrolled = np.empty((gallery, LENGTH), np.float32)
    searched = np.empty((probes, LENGTH), np.float32)
    people = rng.integers(gallery, size=probes)
    for start in range(0, gallery, 1000):
        part = enrolled[start : start + 1000]
        part[:] = normed(rng.standard_normal(part.shape, np.float32))
    scale = np.float32(NOISE / np.sqrt(LENGTH))
    for start in range(0, probes, 1000):
        part = searched[start : start + 1000]
        noise = rng.standard_normal(part.shape, np.float32)
        part[:] = normed(enrolled[people[start : start + 1000]] + scale * noise)
    return searched, enrolled, people, np.arange(gallery)


def normed(vectors: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
    """Vectors of norm one."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def resident() -> float:
    """Memory of this process now, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / MIB


def markdown(reports: Sequence[ScoresReport]) -> str:
    """The table as it goes into the documentation."""
    columns = ["", "probes x gallery", "threads", "wall s", "cpu s", "MiB before", "MiB at peak"]
    names = [*columns, "Rank-1", *(f"VR@FAR={far:.2%}" for far in FARS)]
    lines = [names, ["---"] * len(names), *map(cells, reports)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cells(r: ScoresReport) -> list[str]:
    """One row of the table."""
    cost = [
        f"{r.threads}",
        f"{r.wall:.3f}",
        f"{r.cpu:.3f}",
        f"{r.before:.0f}",
        f"{r.peak:.0f}",
    ]
    shares = (r.rank1, *r.verification)
    return [r.what, f"{r.probes:,} x {r.gallery:,}", *cost, *(f"{share:.4f}" for share in shares)]


if __name__ == "__main__":
    print(json.dumps(asdict(measure(sys.argv[1], *map(int, sys.argv[2:])))))
