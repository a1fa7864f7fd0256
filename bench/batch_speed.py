"""Pictures a second of ``pcfh translate``, here and in an earlier checkout, in turns.

    git worktree add ../before 04d0368
    python -m bench batch_speed ../before FOLDER [--pictures 288] [--rounds 2]

The pictures are the near-infrared captures of the sample, over and over, the weights those of the earlier
checkout. Told are wall and processor seconds
of the whole command, start included, and how many of the generated faces have the same pixels. On a machine
that others use, too, two processes get a larger share than one: look at the processor seconds, then, and at
the load.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pcfh.databases.rendered import SAMPLE
from pcfh.images import read_image


def copies(folder: Path, pictures: int) -> Path:
    """A folder of as many captures."""
    photos = folder / "photos"
    shutil.rmtree(photos, ignore_errors=True)
    photos.mkdir(parents=True)
    found = sorted(SAMPLE.glob("s*/NIR/*/*.jpg"))
    for number in range(pictures):
        shutil.copy(found[number % len(found)], photos / f"{number:05}.jpg")
    return photos


def timed(checkout: Path, model: Path, photos: Path, out: Path) -> tuple[float, float]:
    """Wall and processor seconds of one command."""
    shutil.rmtree(out, ignore_errors=True)
    environment = {**os.environ, "PYTHONPATH": str(checkout.resolve())}
    environment.pop("OMP_NUM_THREADS", None)  # as users call it
    command = [sys.executable, "-m", "pcfh", "translate", str(photos.resolve()), "--out", str(out.resolve())]
    command += ["--model", str(model.resolve())]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    quiet = subprocess.DEVNULL
    subprocess.run(command, check=True, env=environment, cwd=checkout, stdout=quiet, stderr=quiet)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def equal(folder: Path, one: str, other: str) -> str:
    """How many faces of two outputs are the same to the bit."""
    names = sorted(path.name for path in (folder / one).glob("*.png"))
    same = sum(
        np.array_equal(read_image(folder / one / name), read_image(folder / other / name)) for name in names
    )
    return f"{same} of {len(names)} faces are the same to the bit"


def main(arguments: Sequence[str]) -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m bench batch_speed", description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=288)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args(arguments)
    model = given.before / "pcfh" / "weights" / "generator.safetensors"
    photos = copies(given.folder, given.pictures)
    places = {"before": given.before, "after": Path(__file__).parents[1]}
    walls: dict[str, list[float]] = {name: [] for name in places}
    for _ in range(given.rounds):
        for name, checkout in places.items():
            wall, cpu = timed(checkout, model, photos, given.folder / name)
            walls[name].append(wall)
            rates = f"{given.pictures / wall:.2f} pictures/s, {given.pictures / cpu:.2f} per processor second"
            print(f"{name}: {wall:.1f} s, {rates}, load {os.getloadavg()[0]:.1f}", flush=True)
    print(f"{min(walls['before']) / min(walls['after']):.2f} times as fast, best of {given.rounds}")
    print(equal(given.folder, "before", "after"))
    return 0
