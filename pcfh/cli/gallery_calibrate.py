"""The command that finds thresholds."""

from typing import Annotated

from cyclopts import Parameter

from pcfh.cli.gallery_options import about_threshold, open_gallery


def gallery_calibrate(
    gallery: str,
    *,
    far: Annotated[tuple[float, ...], Parameter(consume_multiple=True, negative="")] = (1e-3,),
    seed: int = 0,
    collection: str = "faces",
) -> int:
    """Find the threshold for a false-accept rate from the gallery: how alike are different people in it?

    It stays as it is until the next calibration, whoever is enrolled or removed in between.

    Args:
        gallery: path of an embedded gallery, or address of a Milvus server.
        far: shares of pairs of different people that may reach the threshold, such as 0.001.
        seed: of the draws for the interval.
        collection: name of the gallery in its store.
    """
    with open_gallery(gallery, collection) as opened:
        for rate in far:
            print(about_threshold(opened.calibrate(rate, seed=seed)))
    return 0
