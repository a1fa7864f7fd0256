"""Generated VIS crops of NIR probes.

They are kept on disk by content, as features are:

    <cache>/generated/<SHA-256 of the model>/<SHA-256 of the crop and its landmarks>.png

The files say in their metadata that they are synthetic. A damaged one is made again. Files are only ever
added, so several processes can share a cache.

Axis letters: s side of a crop.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pcfh.databases.records import Record
from pcfh.errors import UserError
from pcfh.hallucinate import Hallucinator
from pcfh.images import read_image, write_png
from pcfh.recognisers.features import stretches

MODEL = "model"  # what ``Hallucinator.from_file`` calls the SHA-256 of its file
_FOLDER = "generated"


def generated_crops(
    hallucinator: Hallucinator, root: Path, records: Iterable[Record], *, cache: Path, batch: int = 8
) -> Iterator[UInt8[np.ndarray, "s s 3"]]:
    """Yields the VIS crops that a generator makes of NIR ones, in their order; few are held at a time.

    Args:
        hallucinator: from a file.
        root: folder of the NIR crops, of the generator's size.
        records: with landmarks in pixels of the crops.
        cache: folder of the cache; made if need be.
        batch: crops generated at once.

    Raises:
        UserError: a crop cannot be read.
    """
    for some in stretches(records, batch):
        yield from _some(hallucinator, root, some, cache / _FOLDER / str(hallucinator.about[MODEL]))


def _some(
    hallucinator: Hallucinator, root: Path, records: Sequence[Record], folder: Path
) -> list[UInt8[np.ndarray, "s s 3"]]:
    """Generated crops of a batch, looked up or made."""
    crops = [read_image(root / record.path) for record in records]
    points = [np.array(record.landmarks) for record in records]
    paths = [folder / f"{_digest(crop, p)}.png" for crop, p in zip(crops, points, strict=True)]
    known = {path: image for path in paths if (image := _kept(path)) is not None}
    new = [i for i, path in enumerate(paths) if path not in known]
    if new:
        made = hallucinator.translate_batch(
            np.stack([crops[i] for i in new]), np.stack([points[i] for i in new])
        )
        for i, image in zip(new, made, strict=True):
            write_png(paths[i], image, hallucinator.provenance())
            known[paths[i]] = image
    return [known[path] for path in paths]


def _digest(crop: UInt8[np.ndarray, "s s 3"], landmarks: np.ndarray) -> str:
    """SHA-256 of all that a generated crop depends on beside the model."""
    return hashlib.sha256(b"%d " % len(crop) + crop.tobytes() + landmarks.tobytes()).hexdigest()


def _kept(path: Path) -> UInt8[np.ndarray, "s s 3"] | None:
    """A crop of the cache; None where it is absent or damaged."""
    try:
        return read_image(path) if path.is_file() else None
    except UserError:
        return None
