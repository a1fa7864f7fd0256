"""Training pairs: a NIR capture, a VIS capture of the same person, and the latter warped onto the former.

Every choice (which captures, mirrored or not, ...) is a pure function of the seed and the place in the
stream, so any process can make any part of any step's batch, and a resumed run goes on with the pairs
it would have seen.

Axis letters: b batch, s side of the image.
"""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from pcfh.databases.records import Record
from pcfh.devices import to_device
from pcfh.errors import UserError
from pcfh.geometry.mirror import mirror_points
from pcfh.geometry.warp import inverse_distance_warp
from pcfh.images import grey, read_image


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a stretch of the stream shows: indices into the NIR and VIS captures.

    Attributes:
        nir: index of the NIR capture.
        vis: index of the VIS capture of the same person.
        mirror: whether both are mirrored.
        mix: uniform in [0, 1), for the gradient penalties.
    """

    nir: Int[np.ndarray, " b"]
    vis: Int[np.ndarray, " b"]
    mirror: Bool[np.ndarray, " b"]
    mix: Float[np.ndarray, " b"]

    def __getitem__(self, part: slice) -> "Plan":
        """A stretch of the stretch."""
        return Plan(nir=self.nir[part], vis=self.vis[part], mirror=self.mirror[part], mix=self.mix[part])


@dataclass(frozen=True, kw_only=True)
class PairImages:
    """The pictures of a plan, 8-bit.

    Attributes:
        nir: NIR captures.
        vis: VIS captures of the same people.
        warped: the latter warped onto the former, where that is wanted.
        landmarks: (x, y) in pixels of ``nir``.
        truth: true VIS images of the moments of ``nir``, where they are known.
    """

    nir: UInt8[Tensor, "b 1 s s"]
    vis: UInt8[Tensor, "b 3 s s"]
    warped: UInt8[Tensor, "b 3 s s"] | None
    landmarks: Float[Tensor, "b 68 2"]
    truth: UInt8[Tensor, "b 3 s s"] | None = None


class TrainingPairs:
    """The captures of a training list in memory, and the endless stream of pairs over them.

    Args:
        root: folder of the aligned crops.
        records: training captures, all with landmarks in pixels of the crops.
        seed: of the stream.
        flip: mirrors half of the pairs.
        cache_mb: memory for warped images; with all of them kept, each pair is warped once.
        truth: gives the true VIS image of a NIR record, as it lies on its crop; None where nobody knows it.

    Raises:
        UserError: no person has both a NIR and a VIS capture, or crops differ in size.
    """

    def __init__(
        self,
        root: Path,
        records: Sequence[Record],
        *,
        seed: int,
        flip: bool,
        cache_mb: int = 0,
        truth: Callable[[Record], UInt8[np.ndarray, "s s 3"]] | None = None,
    ) -> None:
        both = {r.subject for r in records if r.modality == "NIR"} & {
            r.subject for r in records if r.modality == "VIS"
        }
        self.nir_records = [r for r in records if r.modality == "NIR" and r.subject in both]
        self.vis_records = [r for r in records if r.modality == "VIS" and r.subject in both]
        if not both:
            raise UserError(f"{root}: no person of the training list has both a NIR and a VIS capture")
        self.seed, self.flip = seed, flip
        self.nir = read_crops(root, self.nir_records, grey)
        self.vis = read_crops(root, self.vis_records, lambda image: image)
        self._truth = None if truth is None else _stacked([truth(record) for record in self.nir_records])
        self._nir_landmarks = landmarks_of(self.nir_records)
        self._nir_landmarks_mirrored = mirror_points(self._nir_landmarks, self.size)
        self._vis_landmarks = landmarks_of(self.vis_records)
        self._partners = [
            np.array([j for j, vis in enumerate(self.vis_records) if vis.subject == nir.subject])
            for nir in self.nir_records
        ]
        self._warped: dict[tuple[int, int], UInt8[Tensor, "3 s s"]] = {}
        self._most_warped = cache_mb * 1_000_000 // self.vis[0].numel()

    @property
    def size(self) -> int:
        """Side of the images in pixels."""
        return self.nir.shape[-1]

    @property
    def megabytes(self) -> float:
        """Memory that the pictures take."""
        kept = (self.nir, self.vis, *(() if self._truth is None else (self._truth,)))
        return sum(images.nbytes for images in kept) / 1e6

    def on(self, device: torch.device) -> "TrainingPairs":
        """The same with the captures on a device; its pictures are made there."""
        moved = copy(self)
        for name in ("nir", "vis", "_truth", "_nir_landmarks", "_nir_landmarks_mirrored", "_vis_landmarks"):
            value = getattr(self, name)
            setattr(moved, name, None if value is None else value.to(device))
        return moved

    def plan(self, start: int, count: int) -> Plan:
        """What places ``start`` to ``start + count`` of the stream show."""
        places = range(start, start + count)
        nir = np.array([shuffled_place(self.seed, i, len(self.nir)) for i in places])
        chance = np.array([np.random.default_rng((self.seed, 1, i)).random(3) for i in places])
        vis = [
            self._partners[n][int(u * len(self._partners[n]))] for n, u in zip(nir, chance[:, 0], strict=True)
        ]
        return Plan(nir=nir, vis=np.array(vis), mirror=(chance[:, 1] < 0.5) & self.flip, mix=chance[:, 2])

    def images(self, plan: Plan, *, warp: bool = True) -> PairImages:
        """Fetches what a plan names.

        Args:
            plan: which captures.
            warp: whether to warp them, which takes far longer than all else.
        """
        nir, vis, mirror = (self._moved(named) for named in (plan.nir, plan.vis, plan.mirror))
        landmarks, others = self._nir_landmarks[nir], self._nir_landmarks_mirrored[nir]
        warped = self._warp(plan, nir, vis) if warp else None
        return PairImages(
            nir=_mirrored(self.nir[nir], mirror),
            vis=_mirrored(self.vis[vis], mirror),
            warped=None if warped is None else _mirrored(warped, mirror),
            landmarks=torch.where(mirror[:, None, None], others, landmarks),
            truth=None if self._truth is None else _mirrored(self._truth[nir], mirror),
        )

    def _moved(self, named: np.ndarray) -> Tensor:
        """A part of a plan, where the captures are."""
        return to_device(torch.from_numpy(named), self.nir.device)

    def _warp(self, plan: Plan, nir: Tensor, vis: Tensor) -> UInt8[Tensor, "b 3 s s"]:
        """I_Warp of every pair, rounded to 8 bits so that kept and new ones are the same."""
        if self.nir.device.type != "cpu":  # warped sooner than looked up
            warped = inverse_distance_warp(
                self.vis[vis].float(), self._vis_landmarks[vis], self._nir_landmarks[nir]
            )
            return warped.round().clamp(0, 255).byte()
        pairs = list(zip(plan.nir.tolist(), plan.vis.tolist(), strict=True))
        new = sorted({pair for pair in pairs if pair not in self._warped})
        known = {pair: self._warped[pair] for pair in pairs if pair in self._warped}
        if new:
            n, v = map(list, zip(*new, strict=True))
            warped = inverse_distance_warp(
                self.vis[v].float(), self._vis_landmarks[v], self._nir_landmarks[n]
            )
            known |= dict(zip(new, warped.round().clamp(0, 255).byte(), strict=True))
            room = max(0, self._most_warped - len(self._warped))
            self._warped |= {pair: known[pair] for pair in new[:room]}
        return torch.stack([known[pair] for pair in pairs])


def shuffled_place(seed: int, place: int, count: int) -> int:
    """What stands at a place of a stream of ``count`` things: all in a random order, epoch after epoch."""
    epoch, position = divmod(place, count)
    return int(_order(seed, epoch, count)[position])


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, count: int) -> Int[np.ndarray, " n"]:
    return np.random.default_rng((seed, 0, epoch)).permutation(count)


def read_crops(
    root: Path,
    records: Sequence[Record],
    channels: Callable[[UInt8[np.ndarray, "h w 3"]], UInt8[np.ndarray, "h w c"]],
) -> UInt8[Tensor, "n c s s"]:
    """Decodes crops of one size.

    Args:
        root: folder of the crops.
        records: of the crops.
        channels: which of a picture's channels to keep.

    Raises:
        UserError: one cannot be read, is not square or of another size.
    """
    images = [channels(read_image(root / record.path)) for record in records]
    for record, image in zip(records, images, strict=True):
        if image.shape[:2] != (images[0].shape[0], images[0].shape[0]):
            raise UserError(
                f"{root / record.path}: expected a square crop of {images[0].shape[0]} pixels as the others, "
                f"got {image.shape[1]} x {image.shape[0]}; run pcfh prepare again"
            )
    return _stacked(images)


def _stacked(images: Sequence[UInt8[np.ndarray, "s s c"]]) -> UInt8[Tensor, "n c s s"]:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()


def landmarks_of(records: Sequence[Record]) -> Float[Tensor, "n 68 2"]:
    """Landmarks of captures, (x, y) in pixels of their crops."""
    return torch.tensor([record.landmarks for record in records], dtype=torch.float32)


def _mirrored(images: UInt8[Tensor, "b c s s"], mirror: Bool[Tensor, " b"]) -> UInt8[Tensor, "b c s s"]:
    return torch.where(mirror[:, None, None, None], images.flip(-1), images)
