"""Whether the boxes of the facial parts are seen in generated faces: ``pcfh.evaluation.part_borders``.

    python -m bench borders PREPARED GENERATOR [GENERATOR ...] [--protocol 1] [--probes 200]

The probes, evenly spaced; beside them the NIR images and the VIS ones of the gallery, which have no boxes.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from tabulate import tabulate

from pcfh.databases.records import Record, spaced
from pcfh.evaluation.part_borders import border_ratio
from pcfh.hallucinate import Hallucinator
from pcfh.images import read_image
from pcfh.preparation.manifest import open_prepared


def main(arguments: Sequence[str]) -> int:
    """Measures and prints; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench borders", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("prepared", type=Path, help="made by pcfh prepare")
    parser.add_argument("generators", type=Path, nargs="+")
    parser.add_argument("--protocol", default="1", help="whose probes")
    parser.add_argument("--probes", type=int, default=200)
    options = parser.parse_args(arguments)
    rows = []
    for file in options.generators:
        generator = Hallucinator.from_file(file, device="cpu")
        database = open_prepared(options.prepared, generator.size)
        protocol = database.protocol(options.protocol)
        probes = spaced(protocol.probe, options.probes)
        faces, points = faces_of(database.root, probes)
        made = [
            generator.translate_batch(faces[i : i + 8], points[i : i + 8]) for i in range(0, len(faces), 8)
        ]
        ratios = [border_ratio(np.concatenate(made), points), border_ratio(faces, points)]
        ratios.append(border_ratio(*faces_of(database.root, spaced(protocol.gallery, options.probes))))
        rows.append((file, *ratios))
    print(tabulate(rows, ("generator", "generated", "NIR", "VIS"), tablefmt="pipe", floatfmt=".3f"))
    return 0


def faces_of(
    root: Path, records: Sequence[Record]
) -> tuple[UInt8[np.ndarray, "n s s 3"], Float[np.ndarray, "n 68 2"]]:
    """Crops and their landmarks."""
    points = np.stack([np.array(record.landmarks) for record in records])
    return np.stack([read_image(root / record.path) for record in records]), points
