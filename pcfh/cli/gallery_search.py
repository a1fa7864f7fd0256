"""The command that searches a gallery."""

from pathlib import Path

from tabulate import tabulate

from pcfh.cli.gallery_options import Networks, about_threshold, decision, open_gallery
from pcfh.gallery.entries import SCORES, Kind
from pcfh.images import read_image

_DEFAULT = Networks()


def gallery_search(
    gallery: str,
    probe: Path,
    *,
    top: int = 10,
    far: float | None = None,
    score: Kind = "fused",
    visible: bool = False,
    networks: Networks = _DEFAULT,
    collection: str = "faces",
) -> int:
    """Search for the people most alike; the first of them is no identification, because somebody always is.

    Args:
        gallery: path of an embedded gallery, or address of a Milvus server.
        probe: near-infrared photograph.
        top: how many people to list, 1000 at most.
        far: false-accept rate of the threshold, found before by pcfh gallery calibrate.
        score: that decides; fused is that of the mean of both features.
        visible: the probe is a visible-light photograph; its original score decides.
        networks: that compute the features.
        collection: name of the gallery in its store.
    """
    with open_gallery(gallery, collection) as opened:
        calibration = None if far is None else opened.calibration(far)
        reader = networks.reader()
        opened.require(reader.recognizer.key, reader.recognizer.name)
        found = opened.search(
            reader.probe(read_image(probe), visible=visible),
            reader.recognizer.key,
            top=top,
            by="original" if visible else score,
        )
        faces = len(opened)
    rows = [
        (
            decision(match.score, calibration),
            *(match.scores.get(kind) for kind in SCORES),
            *(match.entry.person, match.entry.source),
        )
        for match in found
    ]
    headers = ["", *SCORES, "person", "photograph"]
    print(tabulate(rows, headers=headers, floatfmt=".4f", disable_numparse=[4, 5]))
    if calibration is None:
        print("No threshold: without --far nothing here says whether a score is high.")
    else:
        print(about_threshold(calibration))
        print(
            f"Of {faces:,} faces of other people about {faces * calibration.far:,.1f} are expected above "
            "it by chance."
        )
    return 0
