"""What torchrun starts for a test: a run in OUT/whole, and one that is stopped and goes on in OUT/part."""

import sys
from pathlib import Path

from runs import job, stop_after

from pcfh.methods.train import train
from pcfh.runtime import start_runtime
from pcfh.training.loop import Callbacks

if __name__ == "__main__":
    prepared, out, *settings = sys.argv[1:]
    whole, part = (job(Path(prepared), Path(out) / name, *settings) for name in ("whole", "part"))
    with start_runtime("cpu") as runtime:
        train(whole, runtime)
        stopped = train(part, runtime, Callbacks(should_stop=stop_after(3)))
        assert stopped.step == 3
        runtime.wait()  # for the first process, which alone writes the checkpoint
        train(part, runtime)
