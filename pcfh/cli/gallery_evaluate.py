"""The command that measures how well known people are found in a gallery."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from tabulate import tabulate

from pcfh.cli.app import progress_bar
from pcfh.cli.gallery_options import Networks, open_gallery
from pcfh.gallery.figures import figures_in, known_probes
from pcfh.gallery.photographs import photographs

_DEFAULT = Networks()


def gallery_evaluate(
    gallery: str,
    probes: Annotated[list[Path], Parameter(negative="")],
    *,
    far: Annotated[tuple[float, ...], Parameter(consume_multiple=True, negative="")] = (0.01,),
    visible: bool = False,
    networks: Networks = _DEFAULT,
    collection: str = "faces",
) -> int:
    """Measure Rank-1, verification rate and thresholds with near-infrared probes of people enrolled.

    The probes' names come from folders, files or a CSV file as in pcfh gallery enrol. All scores are
    computed, none is kept.

    Args:
        gallery: path of an embedded gallery, or address of a Milvus server.
        probes: pictures, folders and CSV files with the columns path and person.
        far: false-accept rates.
        visible: the probes are visible-light photographs.
        networks: that compute the features.
        collection: name of the gallery in its store.
    """
    with open_gallery(gallery, collection) as opened:
        reader = networks.reader()
        opened.require(reader.recognizer.key, reader.recognizer.name)
        enrolled = [person.name for person in opened.people()]
        with progress_bar("pictures", 0) as bar:
            known, refused = known_probes(
                reader, photographs(probes), enrolled, visible=visible, on_done=bar.update
            )
        for bad in refused:
            print(f"{bad.path}: {bad.reason}", file=sys.stderr)
        found = figures_in(opened, known, reader.recognizer.key, far)
    headers = [
        "score",
        "Rank-1",
        *(f"{what} at FAR {rate:g}" for rate in far for what in ("VR", "threshold")),
    ]
    rows = [
        (kind, one.rank1, *(value for rate in far for value in (one.verification[rate], one.threshold[rate])))
        for kind, one in found.items()
    ]
    print(tabulate(rows, headers=headers, floatfmt=".4f"))
    print(f"{len(known):,} probes; shares of 1")
    return 1 if refused else 0
