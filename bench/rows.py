"""A sheet of what several generators make of the same probes, drawn by chance, one of each of eight people.

    python -m bench.rows PREPARED SHEET.jpg NAME=GENERATOR ... [--protocol 1] [--database DIR] [--seed 0]

From above: the NIR probe, each generator's face, and the true VIS image if the rendered database is named.
"""

import argparse
from pathlib import Path

import numpy as np

from bench.hallucination import draw_probes
from pcfh.databases.rendered import truth_crop
from pcfh.evaluation.sheets import sheet, to_jpeg
from pcfh.files import write_atomically
from pcfh.hallucinate import Hallucinator
from pcfh.images import read_image
from pcfh.preparation.manifest import open_prepared, read_manifest


def main() -> None:
    """Draws the sheet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("prepared", type=Path)
    parser.add_argument("sheet", type=Path)
    parser.add_argument("generators", nargs="+", metavar="NAME=GENERATOR")
    parser.add_argument("--protocol", default="1")
    parser.add_argument("--database", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    wrong = [text for text in arguments.generators if "=" not in text]
    if wrong:
        parser.error(f"expected NAME=GENERATOR, got {', '.join(wrong)}")
    named = dict(text.split("=", 1) for text in arguments.generators)
    generators = {name: Hallucinator.from_file(Path(path), device="cpu") for name, path in named.items()}
    size = next(iter(generators.values())).size
    database = open_prepared(arguments.prepared, size)
    every = database.protocol(arguments.protocol).probe
    probes = [every[place] for place in draw_probes(every, arguments.seed)]
    crops = np.stack([read_image(database.root / probe.path) for probe in probes])
    landmarks = np.array([probe.landmarks for probe in probes])
    rows = {"NIR": crops, **{name: g.translate_batch(crops, landmarks) for name, g in generators.items()}}
    if arguments.database is not None:
        sources = read_manifest(arguments.prepared).sources
        rows["true VIS"] = np.stack(
            [truth_crop(arguments.database, sources[probe.path], size) for probe in probes]
        )
    columns = [
        (probe.subject, [pictures[number] for pictures in rows.values()])
        for number, probe in enumerate(probes)
    ]
    write_atomically(arguments.sheet, to_jpeg(sheet(columns, tuple(rows)), trained=True))


if __name__ == "__main__":
    main()
