"""The way of the ``blaze`` backend from a photograph to an aligned crop, as one PyTorch module for export.

What ``blaze`` and ``align_face`` do with NumPy and Pillow is done here with tensors, with these differences:
the surest face is taken, not the largest; tiles for small faces are not searched; regions are drawn by
bilinear sampling at several places in each pixel, not by Pillow.

Regions are squares, given by centre, side and the direction (cos, sin) of their x axis, see ``blaze.Region``.
Points are (x, y) in pixels, whole numbers at pixel centres.

Axis letters: r regions, n points or detector rows, h and w of the photograph, s side of a drawn region.
"""

from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from pcfh.geometry.align import Crop
from pcfh.geometry.scheme import LEFT_EYE, MIRRORED, MOUTH_CORNERS, RIGHT_EYE
from pcfh.landmarks.blaze import (
    ALIKE,
    DETECTOR_SIZE,
    MESH_PAIRS,
    MESH_SIZE,
    OVERLAP,
    ROI_SCALE,
    anchors,
)
from pcfh.landmarks.tflite import TfliteNetwork

_THUMBNAIL = 2 * DETECTOR_SIZE  # side of the square that the detector's frames are drawn from
_FRAMES = ((1.0, 1.0, 0.0), (1.0, 0.0, 1.0), (1.0, 0.0, -1.0), (1.0, -1.0, 0.0), (2.0, 1.0, 0.0))
_LUMA = (19595, 38470, 7471)  # Pillow's, in 1/65536


class Regions(NamedTuple):
    """Squares of a picture."""

    centre: Float[Tensor, "r 2"]
    side: Float[Tensor, " r"]
    direction: Float[Tensor, "r 2"]

    def to_image(self, points: Float[Tensor, "r n 2"], size: int) -> Float[Tensor, "r n 2"]:
        """Carries points of the regions, drawn with ``size`` pixels a side, to the picture."""
        cos, sin = self.direction[:, None, 0], self.direction[:, None, 1]
        x, y = (points - (size - 1) / 2).unbind(2)
        turned = torch.stack([cos * x - sin * y, sin * x + cos * y], 2)
        return self.centre[:, None] + turned * (self.side / size)[:, None, None]


class FaceFinder(nn.Module):
    """A photograph in; how sure there is a face, its crop and its landmarks out.

    Args:
        detector: file of the face detector.
        mesh: file of the face mesh.
        crop: of the aligned face.
    """

    pairs: Tensor
    mirrored: Tensor
    anchors: Tensor
    frames: Tensor
    luma: Tensor

    def __init__(self, detector: Path, mesh: Path, crop: Crop) -> None:
        super().__init__()
        self.detector, self.mesh, self.crop = TfliteNetwork(detector), TfliteNetwork(mesh), crop
        pairs = [pair if isinstance(pair, tuple) else (pair, pair) for pair in MESH_PAIRS]
        self.register_buffer("pairs", torch.tensor(pairs))
        self.register_buffer("mirrored", torch.tensor(MIRRORED))
        self.register_buffer("anchors", torch.from_numpy(anchors() * DETECTOR_SIZE - 0.5).float())
        self.register_buffer("frames", torch.tensor(_FRAMES))
        self.register_buffer("luma", torch.tensor(_LUMA).float() / 65536)

    def forward(
        self, photograph: UInt8[Tensor, "h w 3"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "1 1 s s"], Float[Tensor, "1 68 2"], Float[Tensor, "68 2"]]:
        """Finds the surest face.

        Returns:
            how sure it is, 0 to 1, below one half there is none; the aligned crop, grey, 0 to
            255; the landmarks in its pixels, and in those of the photograph.
        """
        image = photograph.permute(2, 0, 1)[None].float()
        row, score = self._detect(image)
        first, _ = self._mesh_in(_drawn(image, region := _around_row(row), MESH_SIZE))
        region = _around_mesh(region.to_image(first, MESH_SIZE)[0])
        pixels = _drawn(image, region, MESH_SIZE)
        both, presence = self._mesh_in(torch.cat([pixels, pixels.flip(3)]))
        points = both[:, self.pairs].mean(2)
        back = points[1][self.mirrored] * points.new_tensor([-1.0, 1.0]) + points.new_tensor(
            [MESH_SIZE - 1.0, 0.0]
        )
        landmarks = region.to_image(((points[0] + back) / 2)[None], MESH_SIZE)
        square, aligned = self._align(landmarks)
        luma = (image * self.luma[:, None, None]).sum(1, keepdim=True)
        crop = _drawn(luma, square, self.crop.size).clamp(0, 255)
        return torch.minimum(score, presence[0]), crop, aligned, landmarks[0]

    def _detect(self, image: Float[Tensor, "1 3 h w"]) -> tuple[Float[Tensor, "8 2"], Float[Tensor, ""]]:
        """The detector row of the surest face, in pixels of the photograph, and its score."""
        size = _lengths(image)
        whole = Regions(((size - 1) / 2)[None], size.max()[None], image.new_tensor([[1.0, 0.0]]))
        thumbnail = _drawn(image, whole, _THUMBNAIL)
        middle = image.new_full((len(_FRAMES), 2), (_THUMBNAIL - 1) / 2)
        frames = Regions(middle, self.frames[:, 0] * _THUMBNAIL, self.frames[:, 1:])
        pixels = _drawn(thumbnail.expand(len(_FRAMES), -1, -1, -1), frames, DETECTOR_SIZE, places=2)
        regressors, logits = self.detector(pixels.permute(0, 2, 3, 1) / 127.5 - 1)
        points = regressors.reshape(len(_FRAMES), 896, 8, 2)
        placed = torch.cat([points[:, :, :1], points[:, :, 2:]], 2) + self.anchors[:, None]
        placed = frames.to_image(placed.reshape(len(_FRAMES), 896 * 7, 2), DETECTOR_SIZE)
        placed = whole.to_image(placed.reshape(1, -1, 2), _THUMBNAIL).reshape(-1, 7, 2)
        scale = (frames.side / DETECTOR_SIZE)[:, None, None] * whole.side / _THUMBNAIL
        sizes = (points[:, :, 1] * scale).reshape(-1, 1, 2)
        rows = torch.cat([placed[:, :1], sizes, placed[:, 1:]], 1)
        return _merged(rows, torch.sigmoid(logits.clamp(-100, 100)).reshape(-1))

    def _mesh_in(
        self, pixels: Float[Tensor, "b 3 s s"]
    ) -> tuple[Float[Tensor, "b 468 2"], Float[Tensor, " b"]]:
        """The mesh in pixels of its input, and how sure the network is that there is a face."""
        points, logit = self.mesh(pixels.permute(0, 2, 3, 1) / 255)
        return points.reshape(-1, 468, 3)[:, :, :2] - 0.5, torch.sigmoid(logit.clamp(-100, 100)).reshape(-1)

    def _align(self, landmarks: Float[Tensor, "1 68 2"]) -> tuple[Regions, Float[Tensor, "1 68 2"]]:
        """The square of the aligned crop in the photograph, and the landmarks in its pixels."""
        points, crop = landmarks[0], self.crop
        left, right = points[LEFT_EYE].mean(0), points[RIGHT_EYE].mean(0)
        middle, along = (left + right) / 2, right - left
        x = along / along.norm()
        y = torch.stack([-x[1], x[0]])
        scale = crop.eyes_to_mouth / ((points[MOUTH_CORNERS].mean(0) - middle) * y).sum()
        target = points.new_tensor([crop.size / 2 - 0.5, crop.eyes_y - 0.5])
        inside = points - middle
        aligned = scale * torch.stack([(inside * x).sum(1), (inside * y).sum(1)], 1) + target
        offset = ((crop.size - 1) / 2 - target) / scale
        centre = middle + offset[0] * x + offset[1] * y
        return Regions(centre[None], (crop.size / scale)[None], x[None]), aligned[None]


def _lengths(image: Float[Tensor, "r c h w"]) -> Float[Tensor, "2"]:
    """Width and height as tensors, since an exported program learns them only when it runs."""
    return torch.stack([torch.ones_like(side).sum() for side in (image[0, 0, 0], image[0, 0, :, 0])])


def _merged(
    rows: Float[Tensor, "n 8 2"], scores: Float[Tensor, " n"]
) -> tuple[Float[Tensor, "8 2"], Float[Tensor, ""]]:
    """The first face of ``blaze.merge``: the mean of the rows that mean the surest one."""
    best, place = scores.max(0)
    row = rows[place]
    low = torch.maximum(row[0] - row[1] / 2, rows[:, 0] - rows[:, 1] / 2)
    high = torch.minimum(row[0] + row[1] / 2, rows[:, 0] + rows[:, 1] / 2)
    common = (high - low).clamp(min=0).prod(1) / torch.minimum(row[1].prod(), rows[:, 1].prod(1))
    eyes = F.normalize(rows[:, 3] - rows[:, 2])
    alike = (common > OVERLAP) & ((eyes * eyes[place]).sum(1) > ALIKE) & (rows[:, 1, 0] > row[1, 0] / 2)
    weights = scores * (alike & (scores >= 0.5))
    weights = torch.where(weights.sum() > 0, weights, scores == best)
    return (rows * weights[:, None, None]).sum(0) / weights.sum(), best


def _around_row(row: Float[Tensor, "8 2"]) -> Regions:
    """The region in which the mesh is looked for; see ``blaze.region_of_row``."""
    direction = F.normalize((row[3] - row[2])[None])
    return Regions(row[:1], (ROI_SCALE * row[1].max())[None], direction)


def _around_mesh(mesh: Float[Tensor, "468 2"]) -> Regions:
    """The region around a mesh that was found; see ``blaze.region_of_mesh``."""
    x = F.normalize((mesh[263] - mesh[33])[None])[0]
    y = torch.stack([-x[1], x[0]])
    upright = torch.stack([(mesh * x).sum(1), (mesh * y).sum(1)], 1)
    low, high = upright.min(0).values, upright.max(0).values
    middle = (low + high) / 2
    centre = middle[0] * x + middle[1] * y
    return Regions(centre[None], (ROI_SCALE * (high - low).max())[None], x[None])


def _drawn(
    image: Float[Tensor, "r c h w"], regions: Regions, size: int, places: int = 4
) -> Float[Tensor, "r c s s"]:
    """Draws regions of a picture; a pixel is the mean of ``places`` squared samples, so little aliases."""
    across = torch.arange(size * places, dtype=torch.float32) / places + (0.5 / places - 0.5)
    y, x = torch.meshgrid(across, across, indexing="ij")
    grid = torch.stack([x, y], 2).reshape(1, -1, 2).expand(len(regions.side), -1, -1)
    points = regions.to_image(grid, size)
    places_of = ((2 * points + 1) / _lengths(image) - 1).reshape(-1, size * places, size * places, 2)
    sampled = F.grid_sample(image, places_of, mode="bilinear", padding_mode="border", align_corners=False)
    return F.avg_pool2d(sampled, places)
