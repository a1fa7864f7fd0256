"""Programs that measure what the documentation states.

    python -m bench step          a training step on a processor, part by part, beside CycleGAN's
    python -m bench device        training steps and the shipped generator on any device, by the clock
    python -m bench captured      what each thing done for a GPU's step gains, and that it computes the same
    python -m bench inference     images a second of a generator in several ways
    python -m bench gallery       a gallery of a million faces: enrolment, search, memory
    python -m bench scores        figures and intervals from features on, up to 100,000 by 100,000
    python -m bench fuzz          damaged pictures through the reader, translate, prepare and the page
    python -m bench kills         commands killed at random moments, and what they end in
    python -m bench faces         pictures of the renderer, and what a landmark detector makes of them
    python -m bench batches       a hundred thousand tiny pictures through a batch that is killed five times
    python -m bench batch_speed   ``pcfh translate``, here and in an earlier checkout
    python -m bench training_range   the range of the training faces, as the program reads it
    python -m bench fusion        ways to fuse the scores of NIR images and of generated faces
    python -m bench adapt         ``pcfh adapt`` on a camera that the shipped generator has never seen
    python -m bench familiar      the same camera, each picture brought into the training range by itself
    python -m bench tries         settings of the rivals, tried on training people who are kept out
    python -m bench kept_out      generators scored on training people whom their trainings kept out
    python -m bench borders       whether the boxes of the facial parts are seen in generated faces
    python -m bench irises        how near to the true colour of irises any guess from near infrared comes
    python -m bench web           a hundred clients of the web page for a minute, some of them hostile

One thread is the default on a processor: the processor time of several depends on who else uses the machine,
because some of oneDNN's kernels wait for each other by spinning, whatever OMP_WAIT_POLICY says.
"""

import sys
from collections.abc import Sequence
from importlib import import_module

PROGRAMS = (
    "step",
    "device",
    "captured",
    "inference",
    "fuzz",
    "kills",
    "faces",
    "gallery",
    "scores",
    "batches",
    "batch_speed",
    "training_range",
    "fusion",
    "adapt",
    "familiar",
    "tries",
    "kept_out",
    "borders",
    "irises",
    "web",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one of the programs; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] not in PROGRAMS:
        print(__doc__)
        return 0 if arguments[:1] in (["--help"], ["-h"]) else 2
    # One program's packages may be missing where another one runs.
    return int(import_module(f"bench.{arguments[0]}").main(arguments[1:]))


if __name__ == "__main__":
    sys.exit(main())
