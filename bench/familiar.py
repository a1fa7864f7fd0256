"""What bringing each picture into the training range is worth on a camera that no training has seen.

    python -m bench familiar OUT [--recognizer dlib outside.onnx ...] [--fold 1]

The camera, the people and the probes are those of ``python -m bench adapt``. Both shipped generators, each
with the correction of ``pcfh.methods.familiar`` and without it: Rank-1 of the generated faces, with 95 %
confidence intervals over people.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from bench.adapt import CAMERA_FOLDER, hits_of, through_camera
from pcfh.databases.rendered import SAMPLE
from pcfh.evaluation.intervals import Bootstrap, mean_interval
from pcfh.evaluation.text_tables import interval_text
from pcfh.hallucinate import Hallucinator
from pcfh.methods.familiar import known_range, put_familiar_before
from pcfh.methods.files import load_generator, save_generator
from pcfh.methods.pcfh.generator import with_detail
from pcfh.preparation.training_range import shipped_range
from pcfh.recognisers.registry import open_recognizer
from pcfh.runtime import keep_freed_memory
from pcfh.shipped import Model, shipped


def main(arguments: Sequence[str]) -> int:
    """Measures and prints; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench familiar", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("out", type=Path, help="folder to work in")
    parser.add_argument("--faces", type=Path, default=SAMPLE, help="a rendered database")
    parser.add_argument("--fold", default="1", help="whose people are tested")
    parser.add_argument("--recognizer", nargs="*", default=[], help="that measure beside the shipped one")
    options = parser.parse_args(arguments)
    keep_freed_memory()
    through_camera(options.faces, options.out / CAMERA_FOLDER)
    names: tuple[Model, ...] = ("generator", "cameras")
    generators = {
        f"{name}, {'familiar' if familiar else 'as taken'}": opened(name, familiar, options.out)
        for name in names
        for familiar in (False, True)
    }
    rows, draws = [], Bootstrap()
    for place in (str(shipped("recognizer")), *options.recognizer):
        recognizer = open_recognizer(place, device="cpu")
        found, people = hits_of(recognizer, options.out, options.fold, generators)
        rates = (interval_text(mean_interval(hit, people, draws)) for hit in found.values())
        rows.append((recognizer.name, *rates))
        print(rows[-1], flush=True)
    print(tabulate(rows, ("recogniser", "NIR", *generators), tablefmt="pipe", disable_numparse=True))
    return 0


def opened(name: Model, familiar: bool, out: Path) -> Hallucinator:
    """A shipped generator with the correction or without it, whatever its file says."""
    generator, about = load_generator(shipped(name))
    if known_range(generator) is not None:
        generator = with_detail(generator, generator.detail, generator.zoom)  # without it
    if familiar:
        put_familiar_before(generator, shipped_range())
    path = out / f"{name}{'-familiar' if familiar else ''}.safetensors"
    save_generator(path, generator, about)
    return Hallucinator.from_file(path, device="cpu")
