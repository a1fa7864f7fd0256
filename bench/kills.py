"""Kills commands at random moments and starts them again; they have to end as uninterrupted ones do.

    python -m bench kills --train 50 --others 5 [--face-model FaceXModel]

One small training is killed 50 times before its end, by KILL, TERM and INT in turn, and then left to end. So
are ``prepare``, ``translate``, ``evaluate``, ``train-recognizer``, ``reproduce`` and, where the face model is
at hand, ``render``, five times each. Half of the kills come while the program starts, the others
once it has written something. A process that has not ended a minute after TERM or INT counts as deaf. Results
are compared by SHA-256, without what depends on the clock. It ends with 1 where anything differs.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from pcfh import cli
from pcfh.databases.rendered import SAMPLE

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
PATIENCE = 60.0  # seconds in which TERM and INT have to end a process
_FRESH = 5  # every so many calls are processes of their own; the others are forked, which is much quicker
_LONGEST = 900.0  # seconds that any one process may take
_CLOCK = frozenset(("cost", "seconds", "wall_seconds", "processor_seconds"))


@dataclass(frozen=True, kw_only=True)
class Work:
    """A command that resumes.

    Attributes:
        name: of the command.
        arguments: of a call, given the folder of its results.
        results: patterns of the files that count, below that folder.
    """

    name: str
    arguments: Callable[[Path], Sequence[str | Path]]
    results: Sequence[str]


@dataclass(kw_only=True)
class Outcome:
    """What came of the kills of one command.

    Attributes:
        kills: signals that met a running process, by name.
        deaf: processes that a signal did not end.
        calls: that were needed.
        differing: files that are not as those of an uninterrupted call.
        files: how many were compared.
    """

    kills: Counter[str] = field(default_factory=Counter)
    deaf: int = 0
    calls: int = 0
    differing: list[str] = field(default_factory=list)
    files: int = 0

    def is_fine(self, kills: int) -> bool:
        """Whether all is as it must be."""
        return self.kills.total() >= kills and self.files > 0 and not self.deaf and not self.differing

    def said(self, kills: int) -> str:
        """All of it in one line."""
        met = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kills.items()))
        return (
            f"{'as it must be' if self.is_fine(kills) else 'NOT AS IT MUST BE'}: {self.kills.total()} kills "
            f"({met}) in {self.calls} calls, {self.deaf} deaf, {len(self.differing)} of {self.files} files "
            f"differ {' '.join(self.differing[:5])}"
        )


def works(prepared: Path, model: Path, face_model: Path | None, steps: int) -> list[Work]:
    """The commands, small; the training comes first.

    Args:
        prepared: a prepared database of crops of 64 pixels.
        model: a generator for such crops.
        face_model: of the renderer, if there is one.
        steps: of the training.
    """
    found = [
        _work(
            *("train", "*.safetensors checkpoint.pt", prepared),
            after=f"--preset tiny --set training.steps={steps} training.checkpoint_every=1",
        ),
        _work(
            *("prepare", "crops/**/*.png manifest.json"),
            after="--casia {0} --backend given --sizes 64,128 --workers 2",
            places=[SAMPLE],
        ),
        _work(
            *("translate", "**/*.png", SAMPLE, "--out"),
            after="--model {0} --landmarks {1} --workers 1",
            places=[model, SAMPLE / "landmarks68.csv"],
        ),
        _work(
            *("evaluate", "results.json table.md *.jpg", prepared),
            after="--generator {0} --resamples 20",
            places=[model],
        ),
        _work(
            *("train-recognizer", "*.safetensors checkpoint.pt", prepared),
            after="--steps 12 --batch 4 --warmup 2 --precision fp32 --checkpoint-every 1 --validate-every 6 "
            "--validation 0.2",
        ),
        _work(
            *("reproduce", "results.json **/run/*.safetensors **/manifest.json", "table1"),
            after="--casia {0} --preset tiny --steps 12 --rows light-cnn pcfh --seeds 0 --landmarks given "
            "--no-pose --set training.checkpoint_every=1",
            places=[SAMPLE],
        ),
    ]
    if face_model is not None:
        after = "--face-model {0} --identities 3 --nir 2 --vis 2 --sessions 1 --folds 0 --size 64 --workers 2"
        found.append(_work("render", "**/SHA256SUMS", after=after, places=[face_model]))
    return found


def _work(name: str, results: str, *before: str | Path, after: str, places: Sequence[Path] = ()) -> Work:
    """A command with words before and after the folder of its results; {0} and so on in these are places."""
    last = [places[int(word[1:-1])] if word.startswith("{") else word for word in after.split()]
    return Work(name=name, arguments=lambda out: (name, *before, out, *last), results=results.split())


class Forked:
    """A command in a child of this process, which has imported all that is slow to import already."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.pid = os.fork()
        self._code: int | None = None
        if self.pid == 0:
            self._run(arguments)

    def _run(self, arguments: Sequence[str]) -> None:
        """What the child does; it never returns."""
        code = 1
        try:
            os.setsid()
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            cli.main(list(arguments))
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        finally:
            os._exit(code)

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code

    def wait(self, seconds: float) -> int:
        """The exit code once it has ended.

        Raises:
            TimeoutError: it has not.
        """
        end = time.monotonic() + seconds
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise TimeoutError
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        """Sends a signal."""
        os.kill(self.pid, number)


class Fresh(Forked):
    """A command in a process of its own, as a user starts it."""

    def __init__(self, arguments: Sequence[str]) -> None:
        nowhere = subprocess.DEVNULL
        command = [sys.executable, "-m", "pcfh", *arguments]
        self._process = subprocess.Popen(command, stdout=nowhere, stderr=nowhere, start_new_session=True)
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        return self._process.poll()


def call(arguments: Sequence[str | Path], *, fresh: bool = False) -> Forked:
    """Starts a command."""
    words = [str(argument) for argument in arguments]
    return Fresh(words) if fresh else Forked(words)


def finish(arguments: Sequence[str | Path]) -> None:
    """Runs a command to its end.

    Raises:
        RuntimeError: it failed.
    """
    code = call(arguments).wait(_LONGEST)
    if code not in (0, 1):
        raise RuntimeError(f"{arguments[0]} ended with {code}")


def kill(process: Forked, number: signal.Signals, outcome: Outcome) -> None:
    """Sends a signal to a command, and waits for its end."""
    if process.poll() is not None:
        return
    outcome.kills[number.name] += 1
    process.send_signal(number)
    try:
        process.wait(PATIENCE)
    except TimeoutError:
        outcome.deaf += 1
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE)


def newest(folder: Path) -> int:
    """When something was last written below a folder, in ns; 0 where there is nothing."""
    times = [0]
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                times.append((Path(place) / name).stat().st_mtime_ns)
            except FileNotFoundError:
                continue  # a temporary file, renamed meanwhile
    return max(times)


def wait_for_work(process: Forked, out: Path, before: int) -> None:
    """Waits until a command has written something, or has ended."""
    end = time.monotonic() + _LONGEST
    while process.poll() is None and newest(out) <= before and time.monotonic() < end:
        time.sleep(0.02)


def killed(work: Work, out: Path, kills: int, rng: random.Random, *, start: float) -> Outcome:
    """Kills a command again and again and lets it end then.

    Args:
        work: the command.
        out: its folder.
        kills: how often.
        rng: draws the moments.
        start: seconds that it takes until it writes something.
    """
    outcome = Outcome()
    while outcome.kills.total() < kills and outcome.calls < 3 * kills:
        fresh = outcome.calls % _FRESH == 0
        before, process = newest(out), call(work.arguments(out), fresh=fresh)
        outcome.calls += 1
        if rng.random() < 0.5:
            time.sleep(rng.uniform(0, start))
        else:
            wait_for_work(process, out, before)
            time.sleep(rng.uniform(0, start / 10))
        kill(process, SIGNALS[outcome.kills.total() % len(SIGNALS)], outcome)
        print(f"{work.name}: {outcome.kills.total()} of {kills} kills", end="\r", file=sys.stderr, flush=True)
    finish(work.arguments(out))
    outcome.calls += 1
    return outcome


def sums(work: Work, out: Path) -> dict[str, str]:
    """The SHA-256 of each file of the results, by its path."""
    paths = {path for pattern in work.results for path in out.glob(pattern) if path.is_file()}
    return {path.relative_to(out).as_posix(): _sum(path, out) for path in sorted(paths)}


def _sum(path: Path, out: Path) -> str:
    data = path.read_bytes()
    if path.suffix == ".json":  # without what depends on the clock, and on the folder's own name
        data = json.dumps(_lasting(json.loads(data)), sort_keys=True).replace(str(out), "OUT").encode()
    return hashlib.sha256(data).hexdigest()


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lasting(item) for key, item in value.items() if key not in _CLOCK}
    return [_lasting(item) for item in value] if isinstance(value, list) else value


def try_one(work: Work, scratch: Path, kills: int, rng: random.Random) -> Outcome:
    """Runs a command without and with kills, and compares."""
    whole, broken = scratch / work.name / "whole", scratch / work.name / "broken"
    began, process = time.monotonic(), call(work.arguments(whole))
    wait_for_work(process, whole, 0)
    start = time.monotonic() - began
    process.wait(_LONGEST)
    finish(work.arguments(whole))  # says so where it failed; else there is nothing left to do
    outcome = killed(work, broken, kills, rng, start=start)
    expected, found = sums(work, whole), sums(work, broken)
    outcome.files = len(expected)
    outcome.differing = [name for name in {**expected, **found} if expected.get(name) != found.get(name)]
    return outcome


def main(arguments: Sequence[str]) -> int:
    """Runs it and prints a line for each command; 1 where anything is not as it must be."""
    parser = argparse.ArgumentParser(prog="python -m bench kills", description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=int, default=50, help="kills of the training")
    parser.add_argument("--others", type=int, default=5, help="kills of each other command")
    parser.add_argument("--only", nargs="*", default=[], help="names of commands; all if not given")
    parser.add_argument("--steps", type=int, default=300, help="of the training; enough not to end before")
    parser.add_argument("--face-model", type=Path, help="FaceXModel, for render")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    for command in ("prepare", "train", "translate", "evaluate", "train_recognizer", "reproduce", "render"):
        import_module(f"pcfh.cli.{command}")
    import_module("pcfh.methods.train")
    torch.set_num_threads(1)  # a fork has no threads of its parent
    good = True
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        prepared, model = scratch / "prepared", scratch / "model"
        finish(
            ("prepare", prepared, "--casia", SAMPLE, "--backend", "given", "--sizes", "64", "--workers", "1")
        )
        finish(("train", prepared, model, "--preset", "tiny", "--set", "training.steps=2"))
        for work in works(prepared, model / "generator.safetensors", options.face_model, options.steps):
            if options.only and work.name not in options.only:
                continue
            kills = options.train if work.name == "train" else options.others
            outcome = try_one(work, scratch, kills, random.Random(f"{options.seed} {work.name}"))
            good = good and outcome.is_fine(kills)
            print(f"{work.name:17} {outcome.said(kills)}", flush=True)
    return 0 if good else 1
