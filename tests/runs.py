"""Training runs for tests: six steps of the preset tiny, and what they leave compared bit by bit."""

import os
import subprocess
import sys
import time
from pathlib import Path

import torch

from pcfh.methods.find import overridden, preset
from pcfh.methods.job import TrainingJob
from pcfh.runtime import Runtime
from pcfh.training.loop import CHECKPOINT

CPU = Runtime(rank=0, processes=1, device=torch.device("cpu"))
SETTINGS = (
    "training.steps=6",
    "training.checkpoint_every=2",
    "training.image_every=3",
    "training.log_every=1",
)


def job(prepared: Path, run: Path, *settings: str, **more) -> TrainingJob:
    config = overridden(preset("tiny"), (*SETTINGS, *settings))
    return TrainingJob(prepared=prepared, protocol="1", run=run, config=config, **more)


def weights(run: Path) -> dict[str, torch.Tensor]:
    content = torch.load(run / CHECKPOINT, weights_only=True)
    average = {f"average.{k}": v for k, v in content["average"].items()}
    moments = {
        f"moment.{i}.{k}": v for i, state in content["optimizer"]["state"].items() for k, v in state.items()
    }
    return {**content["networks"], **average, **moments}


def assert_same_bits(a: Path, b: Path) -> None:
    first, second = weights(a), weights(b)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


def command(prepared: Path, run: Path, *more: str) -> list[str]:
    return [
        *(sys.executable, "-m", "pcfh", "train", str(prepared), str(run), "--preset", "tiny"),
        *("--device", "cpu", "--set", *SETTINGS, *more),
    ]


TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def start_and_wait_for_checkpoint(arguments: list[str], run: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(arguments, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    while not (run / CHECKPOINT).exists():
        assert process.poll() is None
        time.sleep(0.01)
    return process


def finish(arguments: list[str]) -> None:
    subprocess.run(arguments, env=ENVIRONMENT, check=True, capture_output=True)


def torchrun(prepared: Path, run: Path, *more: str) -> list[str]:
    return [*TORCHRUN, *command(prepared, run, *more)[1:]]


def stop_after(steps: int):
    asked = iter(range(1, 1000))
    return lambda: next(asked) >= steps
