"""Generated VIS crops of NIR probes.

They are kept on disk by content, as features are:

    <cache>/generated/<version>-<SHA-256 of the model>/<SHA-256 of the crop and its landmarks>.png

The files say in their metadata that they are synthetic. A damaged one is made again. Files are only ever
added, so several processes can share a cache.

Axis letters: s side of a crop.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from pcfh.databases.records import Record
from pcfh.errors import UserError
from pcfh.images import read_image, write_png

MODEL = "model"  # what a generator's ``about`` calls the SHA-256 of its file
_FOLDER = "generated"
# The number changes with the way that crops are made of the same weights: levels, detail, what is familiar.
_VERSION = 2


@runtime_checkable
class CropGenerator(Protocol):
    """What turns aligned NIR crops into VIS ones, e.g. a ``Hallucinator`` from a file.

    Attributes:
        about: where it comes from; ``MODEL`` among it.
    """

    about: Mapping[str, Any]

    @property
    def size(self) -> int:
        """Side of its crops in pixels."""

    def translate_batch(
        self, crops: UInt8[np.ndarray, "b s s 3"], landmarks: Float[np.ndarray, "b 68 2"]
    ) -> UInt8[np.ndarray, "b s s 3"]:
        """Crops, all at once; landmarks are in their pixels."""

    def provenance(self) -> dict[str, str]:
        """Text for the metadata of generated pictures."""


def generated_crops(
    generator: CropGenerator, root: Path, records: Sequence[Record], *, cache: Path, batch: int = 8
) -> Iterator[UInt8[np.ndarray, "s s 3"]]:
    """Yields the VIS crops that a generator makes of NIR ones, in their order; few are held at a time.

    Args:
        generator: from a file.
        root: folder of the NIR crops, of the generator's size.
        records: with landmarks in pixels of the crops.
        cache: folder of the cache; made if need be.
        batch: crops generated at once.

    Raises:
        UserError: a crop cannot be read.
    """
    folder = cache_of(generator, cache)
    for first in range(0, len(records), batch):
        yield from _some(generator, root, records[first : first + batch], folder)


def cache_of(generator: CropGenerator, cache: Path) -> Path:
    """The folder of the crops that a generator made; whoever needs no more of them may delete it."""
    return cache / _FOLDER / f"{_VERSION}-{generator.about[MODEL]}"


def _some(
    generator: CropGenerator, root: Path, records: Sequence[Record], folder: Path
) -> list[UInt8[np.ndarray, "s s 3"]]:
    """Generated crops of a batch, looked up or made."""
    crops = [read_image(root / record.path) for record in records]
    points = [np.array(record.landmarks) for record in records]
    paths = [folder / f"{_digest(crop, p)}.png" for crop, p in zip(crops, points, strict=True)]
    known = {path: image for path in paths if (image := _kept(path)) is not None}
    new = [i for i, path in enumerate(paths) if path not in known]
    if new:
        made = generator.translate_batch(
            np.stack([crops[i] for i in new]), np.stack([points[i] for i in new])
        )
        for i, image in zip(new, made, strict=True):
            write_png(paths[i], image, generator.provenance())
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
