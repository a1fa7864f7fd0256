"""Embeddings (features) of many crops, kept on disk by content.

    <cache>/<recogniser>/<sha256>.safetensors    "crops": SHA-256 of each crop; "features": its unit features

The folder's name is a digest of the recogniser's key, a file's name the digest of the file. What is cut short
or changed therefore shows, is deleted, and is computed again. Files are only ever added, so several processes
can share a cache.

Axis letters: d features, k crops of one file, n crops, s side of a crop, t of the recogniser's.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8
from safetensors import SafetensorError
from safetensors.numpy import load, save

from pcfh.batches import stretches
from pcfh.databases.records import Modality, Record
from pcfh.errors import UserError
from pcfh.files import write_atomically
from pcfh.images import read_image
from pcfh.recognisers.alignment import Alignment, realign
from pcfh.recognisers.base import Recognizer

PART = 1024  # crops of one file


class FeatureCache:
    """Embeddings of one recogniser and modality, by the content of the crop.

    Args:
        folder: of the cache, for all recognisers; made if need be.
        key: of the recogniser, and the modality.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self._folder = folder / hashlib.sha256(key.encode()).hexdigest()
        self._known: dict[bytes, Float32[np.ndarray, " d"]] = {}
        for path in sorted(self._folder.glob("*.safetensors")):
            self._known |= _read_part(path)

    def __contains__(self, crop: bytes) -> bool:
        """Whether the features of a crop are known."""
        return crop in self._known

    def __getitem__(self, crop: bytes) -> Float32[np.ndarray, " d"]:
        """The features of a crop, by its digest."""
        return self._known[crop]

    def add(self, crops: Sequence[bytes], features: Float32[np.ndarray, "k d"]) -> None:
        """Keeps features, on disk too."""
        digests = np.frombuffer(b"".join(crops), np.uint8).reshape(len(crops), -1)
        content = save({"crops": digests.copy(), "features": np.ascontiguousarray(features)})
        name = hashlib.sha256(content).hexdigest()
        write_atomically(self._folder / f"{name}.safetensors", content)
        self._known |= dict(zip(crops, features, strict=True))


def extract(
    recognizer: Recognizer,
    crops: Iterable[UInt8[np.ndarray, "s s 3"]],
    modality: Modality = "VIS",
    *,
    cache: Path | None = None,
    batch: int = 32,
) -> Float32[np.ndarray, "n d"]:
    """Features of crops, in their order.

    Args:
        recognizer: what computes them.
        crops: cut as the recogniser wants them; may be a generator, few are held at a time.
        modality: of all of them.
        cache: folder of all caches; None keeps nothing.
        batch: crops computed at once.

    Raises:
        UserError: there are no crops, or the recogniser refuses some.
    """
    computed = partial(_computed, recognizer, modality=modality, batch=batch)
    kept = FeatureCache(cache, f"{recognizer.key} {modality}") if cache else None
    rows = [_part_features(part, computed, kept) for part in stretches(crops, PART)]
    if not rows:
        raise UserError("expected at least one face to recognise, got none; check the lists")
    return np.concatenate(rows)


def recognizer_crops(
    root: Path, records: Iterable[Record], alignment: Alignment
) -> Iterator[UInt8[np.ndarray, "s s 3"]]:
    """Reads prepared crops one by one and cuts them as a recogniser wants them.

    Args:
        root: folder of the crops.
        records: with landmarks in pixels of the crops, as ``open_prepared`` gives them.
        alignment: of the recogniser.
    """
    records = list(records)
    return realigned((read_image(root / record.path) for record in records), records, alignment)


def realigned(
    crops: Iterable[UInt8[np.ndarray, "s s 3"]], records: Iterable[Record], alignment: Alignment
) -> Iterator[UInt8[np.ndarray, "t t 3"]]:
    """Cuts crops one by one as a recogniser wants them.

    Args:
        crops: aligned, of one size.
        records: of the crops, with landmarks in their pixels.
        alignment: of the recogniser.
    """
    for crop, record in zip(crops, records, strict=True):
        yield realign(crop[None], np.array(record.landmarks)[None], alignment)[0]


def digest_of(crop: UInt8[np.ndarray, "s s 3"]) -> bytes:
    """SHA-256 of a crop's size and pixels."""
    return hashlib.sha256(b"%d " % len(crop) + np.ascontiguousarray(crop).tobytes()).digest()


def _part_features(
    crops: Sequence[UInt8[np.ndarray, "s s 3"]],
    computed: Callable[[Sequence[np.ndarray]], np.ndarray],
    cache: FeatureCache | None,
) -> Float32[np.ndarray, "k d"]:
    """Features of some crops, each different one computed once, or looked up."""
    if cache is None:
        return computed(crops)
    digests = [digest_of(crop) for crop in crops]
    new = {d: crop for d, crop in zip(digests, crops, strict=True) if d not in cache}
    if new:
        cache.add(list(new), computed(list(new.values())))
    return np.stack([cache[d] for d in digests])


def _computed(
    recognizer: Recognizer, crops: Sequence[UInt8[np.ndarray, "s s 3"]], *, modality: Modality, batch: int
) -> Float32[np.ndarray, "k d"]:
    return np.concatenate([recognizer.features(np.stack(some), modality) for some in stretches(crops, batch)])


def _read_part(path: Path) -> dict[bytes, Float32[np.ndarray, " d"]]:
    """What one file holds; a damaged one is deleted and counts as empty."""
    content = path.read_bytes()
    try:
        if hashlib.sha256(content).hexdigest() != path.stem:
            raise SafetensorError("its digest is not its name")
        tensors = load(content)
    except SafetensorError:
        path.unlink(missing_ok=True)
        return {}
    return dict(zip(map(bytes, tensors["crops"]), tensors["features"], strict=True))
