"""The captures that a recogniser is tuned on, with the last maps of its frozen layers kept on disk.

All layers but the last see only VIS faces in their training and stay as they are; so what they make of a
face is computed once. Each capture comes plain (variant 0) and changed by chance (variants 1, 2, ...); a
variant is one file, so that a call that was stopped goes on:

    <cache>/<captures>/<variant>.safetensors    "maps" in 16 bits, "digest" of them

Axis letters: b batch, n captures.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float16, Int, Shaped, UInt8
from safetensors import SafetensorError
from safetensors.numpy import load, save
from torch import Tensor

from pcfh.databases.records import Record
from pcfh.errors import UserError
from pcfh.files import write_atomically
from pcfh.geometry.align import align_image
from pcfh.images import read_image
from pcfh.ranges import from_bytes
from pcfh.recognisers.alignment import between_crops
from pcfh.recognisers.lightcnn.network import LightCNN, to_lightcnn_input
from pcfh.recognisers.training.augment import POOL, augmented, augmented_nir

Crop = UInt8[np.ndarray, "144 144 3"]
_BATCH = 16
_LEAST = 4  # people with both modalities: two to learn from, two to stop by


@dataclass(frozen=True, kw_only=True)
class Trunk:
    """A Light CNN to tune, rescaled.

    Attributes:
        network: in evaluation mode.
        key: text that stands for its weights.
    """

    network: LightCNN
    key: str

    @torch.inference_mode()
    def maps(self, faces: Float[Tensor, "b 1 128 128"]) -> Float16[np.ndarray, "b 8192"]:
        """Last maps of grey faces; the rescaled network's fit into 16 bits."""
        device = next(self.network.parameters()).device
        return self.network.last_map(faces.to(device)).half().cpu().numpy()


@dataclass(frozen=True, kw_only=True)
class Captures:
    """Some captures of people of a training list.

    Attributes:
        subjects: whose each one is.
        nir: which are near-infrared, or generated from such.
        read: gives the crop of a capture by its place.
        trunk: whose maps are kept.
        cache: folder of these.
        key: text that stands for the crops; it changes with what ``read`` gives.
        seed: of the variants.
        places: which of the maps on disk these captures' are.
        whole: how many there are on disk.
    """

    subjects: Shaped[np.ndarray, " n"]
    nir: Bool[np.ndarray, " n"]
    read: Callable[[int], Crop]
    trunk: Trunk
    cache: Path
    key: str
    seed: int
    places: Int[np.ndarray, " n"]
    whole: int
    on_progress: Callable[[str, int, int], None] = lambda stage, done, total: None
    _kept: dict[int, Float16[np.ndarray, "w 8192"]] = field(default_factory=dict)  # shared by all parts

    @property
    def people(self) -> Int[np.ndarray, " n"]:
        """Number of each one's person, from 0."""
        return np.unique(self.subjects, return_inverse=True)[1].astype(np.int64)

    def part(self, wanted: Bool[np.ndarray, " n"]) -> "Captures":
        """Some of the captures; maps stay shared."""
        return replace(self, subjects=self.subjects[wanted], nir=self.nir[wanted], places=self.places[wanted])

    def maps(self, variant: int) -> Float16[np.ndarray, "n 8192"]:
        """Last maps of one variant of each capture."""
        if variant not in self._kept:
            self._kept[variant] = self._read_or_make(variant)
        return self._kept[variant][self.places]

    def faces(self, variant: int) -> Iterator[Float[Tensor, "b 1 128 128"]]:
        """Grey faces in [0, 1] of these captures, some at a time."""
        for start in range(0, len(self.places), _BATCH):
            some = slice(start, start + _BATCH)
            places = zip(self.places[some].tolist(), self.nir[some].tolist(), strict=True)
            yield torch.cat([self._face(place, nir, variant) for place, nir in places])

    def _face(self, place: int, nir: bool, variant: int) -> Float[Tensor, "1 1 128 128"]:
        """Variant 0 as a recogniser sees it in a test, others changed by chance."""
        crop = self.read(place)
        if variant == 0:
            return to_lightcnn_input(from_bytes(torch.from_numpy(crop.copy()).permute(2, 0, 1)[None]))
        rng = np.random.default_rng((self.seed, 5, variant, place))
        changed = (augmented_nir if nir else augmented)(crop, rng)
        return torch.from_numpy(changed.copy())[None, None].float() / 255

    def _read_or_make(self, variant: int) -> Float16[np.ndarray, "w 8192"]:
        if len(self.places) != self.whole:
            raise AssertionError("maps are made of all captures before some are taken")
        drawn = f" {self.seed}" if variant else ""
        name = hashlib.sha256(f"{self.trunk.key} {self.key}{drawn}".encode()).hexdigest()
        path = self.cache / name / f"{variant}.safetensors"
        found = _read_maps(path, self.whole)
        if found is None:
            found = self._make(variant)
            write_atomically(path, save({"maps": found, "digest": _digest(found)}))
        return found

    def _make(self, variant: int) -> Float16[np.ndarray, "w 8192"]:
        parts = []
        stage = f"maps of {self.whole} captures, variant {variant}"
        for faces in self.faces(variant):
            parts.append(self.trunk.maps(faces))
            self.on_progress(stage, sum(map(len, parts)), self.whole)
        maps = np.concatenate(parts)
        if not np.isfinite(maps).all():
            raise UserError("the network's maps are not finite; its weights are damaged, fetch them again")
        return maps


def open_captures(
    root: Path,
    records: Sequence[Record],
    trunk: Trunk,
    *,
    cache: Path,
    key: str,
    seed: int,
    on_progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
    generated: Callable[[Record], UInt8[np.ndarray, "s s 3"]] | None = None,
) -> Captures:
    """The captures of a training list whose people have both modalities.

    Args:
        root: folder of the prepared crops.
        records: of the training list.
        trunk: to tune.
        cache: folder of maps.
        key: text that stands for the crops: of the prepared database, their size, and the generator.
        seed: of the variants.
        on_progress: called with what is being done, how many of it are done and of how many.
        generated: gives the image that stands in the place of a NIR capture.

    Raises:
        UserError: too few people have both modalities.
    """
    both = _with_both(records)
    wanted = sorted((r for r in records if r.subject in both), key=lambda r: (r.modality == "NIR", r.path))
    if len(both) < _LEAST:
        raise UserError(
            f"{root}: expected at least {_LEAST} training people with NIR and VIS captures, got {len(both)}; "
            "use a larger database or protocol"
        )

    def read(place: int) -> Crop:
        record = wanted[place]
        if record.modality == "NIR" and generated is not None:
            return _pooled(generated(record))
        return _pooled(read_image(root / record.path))

    names = " ".join(record.path for record in wanted)
    return Captures(
        subjects=np.array([record.subject for record in wanted]),
        nir=np.array([record.modality == "NIR" for record in wanted]),
        read=read,
        trunk=trunk,
        cache=cache,
        key=f"{key} {names}",
        seed=seed,
        places=np.arange(len(wanted)),
        whole=len(wanted),
        on_progress=on_progress,
    )


def split(captures: Captures, share: float, seed: int) -> tuple[Captures, Captures]:
    """Keeps a share of the people, at least two, to stop by.

    Returns:
        Captures to learn from, and of the others.
    """
    people = np.unique(captures.subjects)
    count = min(max(2, round(share * len(people))), len(people) - 2)
    kept = np.isin(captures.subjects, np.random.default_rng((seed, 6)).permutation(people)[:count])
    return captures.part(~kept), captures.part(kept)


def _with_both(records: Sequence[Record]) -> set[str]:
    of = {kind: {r.subject for r in records if r.modality == kind} for kind in ("NIR", "VIS")}
    return of["NIR"] & of["VIS"]


def _pooled(crop: UInt8[np.ndarray, "s s 3"]) -> Crop:
    """At the pool's size; what a smaller crop lacks at the edges is repeated."""
    return align_image(crop, between_crops(len(crop), POOL), POOL) if len(crop) != POOL else crop


def _digest(maps: Float16[np.ndarray, "w 8192"]) -> UInt8[np.ndarray, " 32"]:
    return np.frombuffer(hashlib.sha256(maps.tobytes()).digest(), np.uint8).copy()


def _read_maps(path: Path, count: int) -> Float16[np.ndarray, "w 8192"] | None:
    """What a file holds; a damaged one is made again."""
    try:
        found = load(path.read_bytes())
        maps, digest = found["maps"], found["digest"]
    except (OSError, SafetensorError, KeyError):
        return None
    good = maps.dtype == np.float16 and len(maps) == count and np.array_equal(_digest(maps), digest)
    return maps if good else None
