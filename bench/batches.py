"""What a batch costs beside the networks: ``python -m bench batches FOLDER``.

Tiny pictures go through what ``pcfh translate --aligned`` does, with a detector and a generator that take no
time. Told are: the time to the first result, memory of this process and of a worker as work goes on, the
whole time, five kills in the middle (each of a new process, then one that ends the work), whether all is
complete and right then, and the time of a call that has nothing to do.
"""

import argparse
import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pcfh.batches import Progress, Way, Work, run_work
from pcfh.images import read_image
from pcfh.landmarks.base import Face
from pcfh.preparation.face_reader import ReaderOptions, read_faces
from pcfh.preparation.training_range import shipped_range
from pcfh.translate import write_faces

SIDE = 64
KILLS = 5
_KINDS = 251  # different pictures
_READING = ReaderOptions(size=SIDE, aligned=True)


class Nobody:
    """Finds a face at once, always the same."""

    name = "nobody"

    def detect(self, image: np.ndarray) -> list[Face]:
        """The face."""
        points = np.random.default_rng(0).uniform(16, 48, (68, 2))
        return [Face(box=(0.0, 0.0, 63.0, 63.0), score=1.0, landmarks=points)]


class Negative:
    """A generator that turns light into dark."""

    about: Mapping[str, Any] = {}
    size = SIDE

    def translate_batch(self, crops: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """The negatives."""
        return 255 - crops

    def provenance(self) -> dict[str, str]:
        """Text of each picture."""
        return {"Synthetic": "true"}


def start_reader() -> Any:
    """In each process."""
    return partial(read_faces, _READING, Nobody(), None, shipped_range())


def start_writer() -> Any:
    """In each process."""
    return partial(write_faces, Negative())


WORK = Work(
    name="translation",
    settings="negative",
    start_reader=start_reader,
    start_writer=start_writer,
    ending=".png",
)


class Watch(Progress):
    """Notes when the first result came, and memory at each tenth."""

    def __init__(self, pictures: int) -> None:
        self.began, self.first, self.counted = time.monotonic(), 0.0, 0.0
        self.step, self.through, self.memory = pictures // 10, 0, list[tuple[int, int, int]]()

    def total(self, pictures: int) -> None:
        """All are counted."""
        self.counted = time.monotonic() - self.began

    def passed(self, pictures: int) -> None:
        """Done before."""
        self._move(pictures)

    def done(self, pictures: int) -> None:
        """Done now."""
        self.first = self.first or time.monotonic() - self.began
        self._move(pictures)

    def _move(self, pictures: int) -> None:
        before, self.through = self.through, self.through + pictures
        if before // self.step != self.through // self.step:
            self.memory.append(
                (self.through, _megabytes(os.getpid()), max(map(_megabytes, _children()), default=0))
            )


def _megabytes(process: int) -> int:
    """Memory that a process holds."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS")), 0)


def _children() -> list[int]:
    """Processes that this one has started."""
    me = os.getpid()
    text = Path(f"/proc/{me}/task/{me}/children").read_text()
    return [int(child) for child in text.split()]


def work_through(photos: Path, out: Path, pictures: int, workers: int) -> None:
    """One call; prints what was noted."""
    watch = Watch(pictures)
    summary = run_work(WORK, [photos], out, Way(workers=workers), progress=watch)
    told = {
        "done": summary.done,
        "before": summary.before,
        "seconds": round(time.monotonic() - watch.began, 1),
        "first result after": round(watch.first, 2),
        "counted after": round(watch.counted, 2),
        "MB here, in a worker": watch.memory,
    }
    print(json.dumps(told))


def make_pictures(photos: Path, pictures: int) -> None:
    """Writes them, 1,000 to a folder."""
    kinds = []
    for kind in range(_KINDS):
        buffer = BytesIO()
        noise = np.random.default_rng(kind).integers(0, 256, (SIDE, SIDE), np.uint8)
        Image.fromarray(noise).save(buffer, "PNG")
        kinds.append(buffer.getvalue())
    for number in range(pictures):
        path = photos / f"{number // 1000:03}" / f"{number % 1000:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(kinds[number % _KINDS])


def is_complete(photos: Path, out: Path, pictures: int) -> bool:
    """Whether the table names each picture once, every file is there, and a hundred of them are right."""
    with (out / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    whole = len({row["source"] for row in rows}) == len(rows) == pictures
    there = sum(1 for path in out.rglob("*") if path.suffix == ".png") == pictures
    some = random.Random(0).sample(rows, min(100, len(rows)))
    right = all(
        np.array_equal(read_image(out / row["result"]), 255 - read_image(Path(row["source"]))) for row in some
    )
    return whole and there and right and not list(out.rglob(".*.part"))


def call(photos: Path, out: Path, pictures: int, workers: int) -> "subprocess.Popen[str]":
    """The same in a process of its own."""
    command = [sys.executable, "-m", "bench", "batches", str(photos.parent), "--child", out.name]
    return subprocess.Popen(
        [*command, "--pictures", str(pictures), "--workers", str(workers)], stdout=subprocess.PIPE, text=True
    )


def main(arguments: Sequence[str]) -> int:
    """Runs it all."""
    parser = argparse.ArgumentParser(prog="python -m bench batches", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--child")
    given = parser.parse_args(arguments)
    photos = given.folder / "photos"
    if given.child:
        work_through(photos, given.folder / given.child, given.pictures, given.workers)
        return 0
    if not photos.is_dir():
        make_pictures(photos, given.pictures)
    out = given.folder / "killed"
    share = given.pictures // (KILLS + 2)
    for kill in range(KILLS):  # each after a seventh of the pictures, more or less
        child = call(photos, out, given.pictures, given.workers)
        aim = share * (kill + 1) + random.Random(kill).randrange(share)
        while child.poll() is None and _results(out) < aim:
            time.sleep(0.5)
        child.send_signal(signal.SIGKILL)
        child.wait()
        print(f"killed with {_results(out)} rows in the table", flush=True)
    for what in ("the rest", "nothing to do"):
        child = call(photos, out, given.pictures, given.workers)
        print(f"{what}: {child.communicate()[0].strip()}", flush=True)
    print(f"complete and right: {is_complete(photos, out, given.pictures)}", flush=True)
    child = call(photos, given.folder / "at once", given.pictures, given.workers)
    print(f"all at once: {child.communicate()[0].strip()}", flush=True)
    tables = [(given.folder / name / "manifest.csv").read_bytes() for name in ("killed", "at once")]
    print(f"the tables of both are equal: {tables[0] == tables[1]}")
    return 0


def _results(out: Path) -> int:
    """Rows of the table."""
    table = out / "manifest.csv"
    return table.read_bytes().count(b"\n") - 1 if table.is_file() else 0
