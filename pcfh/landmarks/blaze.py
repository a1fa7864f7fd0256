"""The ``blaze`` backend: BlazeFace finds the faces, a mesh of 468 points follows each, 68 are read off it.

Regions are squares of the image, possibly turned. Points are (x, y) in pixels, whole numbers at pixel
centres; the networks count from the edges of their input, so half a pixel is taken off right behind them.
Angles are in radians from the x axis towards the y axis, that is clockwise as one sees it. A detector row is
16 numbers: centre, width and height of the face, then six (x, y) points: left eye, right eye, nose, mouth,
left ear, right ear (left in the image of an upright face). A grey image goes in as three equal channels.

References:
    Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", 2019,
    https://arxiv.org/abs/1907.05047.
    Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs", 2019,
    https://arxiv.org/abs/1907.06724.
"""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from pcfh.extras import extra
from pcfh.geometry.align import align_image, transform_points
from pcfh.geometry.scheme import MIRRORED
from pcfh.landmarks.base import Face
from pcfh.landmarks.fetch import blaze_models, cache_folder

DETECTOR_SIZE = 128
MESH_SIZE = 192
ROI_SCALE = 1.5  # side of the mesh's region over the longer side of the face
OVERLAP = 0.5  # two detections of which the smaller is covered further than this are one face
OPPOSITE_OVERLAP = 0.2  # the same where the two stand on their heads to each other, as people do not
PRESENCE = 0.5  # the mesh's own opinion, whether there is a face in its region
ALIKE = math.cos(math.pi / 4)  # two detections turned further apart than this do not mean the same

# Mesh vertices under the 68 points; where two are named, the point lies half-way between them.
MESH_PAIRS: tuple[int | tuple[int, int], ...] = (
    *(127, 234, 93, (132, 58), (58, 172), 136, 150, 176, 152, 400, 379, 365, (397, 288), 361, 323, 454, 356),
    *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),
    *((168, 6), (197, 195), 5, 4, 75, 97, 2, 326, 305),
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
    *(61, 39, 37, 0, 267, 269, 291, 321, 314, 17, 84, 91, 78, 82, 13, 312, 308, 317, 14, 87),
)


@dataclass(frozen=True, kw_only=True)
class Region:
    """A square of the image that a network looks at.

    Attributes:
        centre: (x, y) in pixels.
        side: in pixels.
        angle: direction of the square's own x axis in the image.
    """

    centre: tuple[float, float]
    side: float
    angle: float = 0.0

    def matrix(self, size: int) -> Float[np.ndarray, "2 3"]:
        """The similarity from the image to this region drawn with ``size`` pixels a side."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        linear = size / self.side * np.array([[cos, sin], [-sin, cos]])
        return np.column_stack([linear, (size - 1) / 2 - linear @ np.array(self.centre)])

    def to_image(self, points: Float[np.ndarray, "n 2"], size: int) -> Float[np.ndarray, "n 2"]:
        """Carries points of the region, drawn with ``size`` pixels a side, back to the image."""
        inverse = np.linalg.inv(np.vstack([self.matrix(size), [0, 0, 1]]))[:2]
        return transform_points(inverse, points)


@cache
def anchors() -> Float[np.ndarray, "896 2"]:
    """Centres (x, y) that BlazeFace's rows are relative to, as fractions of its input.

    Row by row, two at each cell of a 16 x 16 grid, then six at each cell of an 8 x 8 grid.
    """
    return np.concatenate([np.repeat(_cell_centres(16), 2, 0), np.repeat(_cell_centres(8), 6, 0)])


def _cell_centres(cells: int) -> Float[np.ndarray, "n 2"]:
    y, x = np.mgrid[:cells, :cells]
    return (np.stack([x, y], -1).reshape(-1, 2) + 0.5) / cells


def decode(regressors: Float[np.ndarray, "896 16"]) -> Float[np.ndarray, "896 16"]:
    """Turns what the network says relative to the anchors into detector rows, in pixels of its input."""
    rows = regressors.astype(np.float64)
    offset = anchors() * DETECTOR_SIZE - 0.5
    for first in (0, *range(4, 16, 2)):
        rows[:, first : first + 2] += offset
    return rows


def merge(
    rows: Float[np.ndarray, "n 16"], scores: Float[np.ndarray, " n"]
) -> list[tuple[Float[np.ndarray, " 16"], float]]:
    """Joins the rows of one face to their mean weighted by score (a non-maximum suppression that averages).

    Rows that overlap the best one but are turned otherwise, or much smaller, are dropped, not averaged.

    Returns:
        one row and its best score for each face, best first.
    """
    order = np.argsort(-scores, kind="stable")
    rows, scores = rows[order], scores[order]
    merged = []
    while len(rows):
        common, turn = overlap(rows[0], rows), np.cos(tilt(rows) - tilt(rows)[0])
        same = (common > OVERLAP) | ((common > OPPOSITE_OVERLAP) & (turn < 0))
        same[0] = True
        alike = same & (turn > ALIKE)
        alike &= rows[:, 2] > rows[0, 2] / 2
        merged.append((np.average(rows[alike], axis=0, weights=scores[alike]), float(scores[0])))
        rows, scores = rows[~same], scores[~same]
    return merged


def tilt(rows: Float[np.ndarray, "n 16"]) -> Float[np.ndarray, " n"]:
    """Angle of the line from the left eye to the right one."""
    return np.asarray(np.arctan2(rows[:, 7] - rows[:, 5], rows[:, 6] - rows[:, 4]))


def overlap(row: Float[np.ndarray, " 16"], rows: Float[np.ndarray, "n 16"]) -> Float[np.ndarray, " n"]:
    """What one row's box has in common with others, as a fraction of the smaller one.

    Of the smaller, not of the union, because the detector at times takes an eye with its brow for a face.
    """
    low = np.maximum(row[:2] - row[2:4] / 2, rows[:, :2] - rows[:, 2:4] / 2)
    high = np.minimum(row[:2] + row[2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2)
    common = np.clip(high - low, 0, None).prod(1)
    return np.asarray(common / np.minimum(row[2:4].prod(), rows[:, 2:4].prod(1)))


def row_to_image(rows: Float[np.ndarray, "n 16"], region: Region, block: int) -> Float[np.ndarray, "n 16"]:
    """Carries detector rows from a region of the shrunken image to the whole one."""
    points = np.delete(rows, [2, 3], axis=1).reshape(-1, 2)
    placed = ((region.to_image(points, DETECTOR_SIZE) + 0.5) * block - 0.5).reshape(len(rows), 14)
    sizes = rows[:, 2:4] * region.side / DETECTOR_SIZE * block
    return np.concatenate([placed[:, :2], sizes, placed[:, 2:]], axis=1)


def region_of_row(row: Float[np.ndarray, " 16"]) -> Region:
    """The region in which the mesh is looked for: around the face, its eyes level."""
    dx, dy = row[6:8] - row[4:6]
    side = ROI_SCALE * float(row[2:4].max())
    return Region(centre=(float(row[0]), float(row[1])), side=side, angle=math.atan2(dy, dx))


def region_of_mesh(mesh: Float[np.ndarray, "468 2"]) -> Region:
    """The region around a mesh that was found, its outer eye corners level."""
    dx, dy = mesh[263] - mesh[33]
    angle = math.atan2(dy, dx)
    turned = Region(centre=(0.0, 0.0), side=1.0, angle=angle)
    upright = transform_points(turned.matrix(1), mesh)
    low, high = upright.min(0), upright.max(0)
    x, y = turned.to_image((low + high)[None] / 2, 1)[0]
    return Region(centre=(float(x), float(y)), side=ROI_SCALE * float((high - low).max()), angle=angle)


def points_of_mesh(mesh: Float[np.ndarray, "468 2"]) -> Float[np.ndarray, "68 2"]:
    """Reads the 68 points off the mesh."""
    pairs = np.array([pair if isinstance(pair, tuple) else (pair, pair) for pair in MESH_PAIRS])
    return np.asarray(mesh[pairs].mean(1))


def mirror_points(points: Float[np.ndarray, "68 2"]) -> Float[np.ndarray, "68 2"]:
    """Carries the 68 points of a mirrored mesh input back; left and right change names, too."""
    return points[MIRRORED] * (-1, 1) + (MESH_SIZE - 1, 0)


def is_grey(image: UInt8[np.ndarray, "h w 3"]) -> bool:
    """Whether the three channels are equal."""
    return bool((image[..., 1:] == image[..., :1]).all())


def shrink(image: UInt8[np.ndarray, "h w c"], longest: int) -> tuple[UInt8[np.ndarray, "h2 w2 c"], int]:
    """Averages square blocks of pixels until the longer side fits ``longest``; and the block's side."""
    block = math.ceil(max(image.shape[:2]) / longest)
    small = np.asarray(Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).reduce(block))
    return small.reshape(*small.shape[:2], -1), block


def frames(height: int, width: int) -> list[Region]:
    """The whole image as it is, with a border for a face that fills it, on either side, and upside down."""
    centre, side = ((width - 1) / 2, (height - 1) / 2), float(max(height, width))
    turns = (0.0, math.pi / 2, -math.pi / 2, math.pi)
    turned = [Region(centre=centre, side=side, angle=angle) for angle in turns]
    return [*turned, Region(centre=centre, side=2 * side)]


def tiles(height: int, width: int, parts: int) -> list[Region]:
    """Squares of a part of the longer side that cover the image, neighbours sharing at least half."""
    side = max(height, width) / parts
    return [
        Region(centre=(x, y), side=side)
        for y in tile_centres(height, side)
        for x in tile_centres(width, side)
    ]


def tile_centres(length: int, side: float) -> list[float]:
    """Centres of tiles that cover one side of an image, in pixels."""
    if length <= side:
        return [(length - 1) / 2]
    count = math.ceil((length - side) / (side / 2)) + 1
    return [float(edge) - 0.5 for edge in np.linspace(side / 2, length - side / 2, count)]


def _sigmoid(logits: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    return 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -100, 100)))


class Blaze:
    """Finds faces and 68 landmarks with two small networks, in some 40 ms an image on one core.

    Takes colour and grey, photographs and tight aligned crops, faces turned by any angle; a face of a tenth
    of the image's height is found if it is upright. The jaw follows the face's surface: at a large yaw its
    far side lies inside the visible contour. Not for several threads at once; a pickled copy opens its own
    networks.
    """

    name = "blaze"

    def __init__(self, *, folder: Path | None = None, min_score: float = 0.5, threads: int = 1) -> None:
        """Opens both networks.

        Args:
            folder: that holds the model files; default: the cache.
            min_score: faces of which the detector is less sure are left out.
            threads: processor threads for each network.

        Raises:
            UserError: the extra or a model file is missing.
        """
        self._options = {"folder": folder, "min_score": min_score, "threads": threads}
        self._min_score = min_score
        detector, mesh = blaze_models(folder or cache_folder())
        self._detector = _Network(detector, threads)
        self._mesh = _Network(mesh, threads)

    def __getstate__(self) -> dict[str, Any]:
        return self._options

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def detect(self, image: UInt8[np.ndarray, "h w 3"]) -> list[Face]:
        """Finds the faces of an RGB image, best first; an empty list where there is none.

        Tiles are searched only if the whole image shows no face: small faces beside a large one are left out.
        """
        if is_grey(image):
            image = image[..., :1]  # a third of the work
        for parts in (1, 2, 4):
            rows, scores = self._search(image, parts)
            faces = [self._face(image, row, score) for row, score in merge(rows, scores)]
            if kept := [face for face in faces if face is not None]:
                return kept
        return []

    def _search(
        self, image: UInt8[np.ndarray, "h w c"], parts: int
    ) -> tuple[Float[np.ndarray, "n 16"], Float[np.ndarray, " n"]]:
        """Detector rows and their scores from the whole image, or from tiles of a part of its longer side."""
        small, block = shrink(image, 2 * DETECTOR_SIZE * parts)
        height, width = small.shape[:2]
        regions = frames(height, width) if parts == 1 else tiles(height, width, parts)
        found = [self._candidates(small, region, block) for region in regions]
        return np.concatenate([rows for rows, _ in found]), np.concatenate([scores for _, scores in found])

    def _candidates(
        self, small: UInt8[np.ndarray, "h w c"], region: Region, block: int
    ) -> tuple[Float[np.ndarray, "n 16"], Float[np.ndarray, " n"]]:
        """Detector rows of one region in pixels of the image before it was shrunk, with their scores."""
        pixels = align_image(small, region.matrix(DETECTOR_SIZE), DETECTOR_SIZE)
        regressors, logits = self._detector(pixels / np.float32(127.5) - 1)
        scores = _sigmoid(logits.reshape(896))
        sure = scores >= self._min_score
        return row_to_image(decode(regressors.reshape(896, 16))[sure], region, block), scores[sure]

    def _face(
        self, image: UInt8[np.ndarray, "h w c"], row: Float[np.ndarray, " 16"], score: float
    ) -> Face | None:
        """Follows one detection by the mesh, in two rounds: where the first lies, the second looks.

        The second round takes the mean of its region and the mirrored region, which a mirrored image shares.
        """
        region = region_of_row(row)
        first, presence = self._mesh_in(_draw(image, region))
        if presence < PRESENCE:
            return None
        region = region_of_mesh(region.to_image(first, MESH_SIZE))
        pixels = _draw(image, region)
        (second, presence), (mirrored, _) = self._mesh_in(pixels), self._mesh_in(pixels[:, ::-1])
        if presence < PRESENCE:
            return None
        points = (points_of_mesh(second) + mirror_points(points_of_mesh(mirrored))) / 2
        left, top, right, bottom = (
            float(edge) for edge in [*(row[:2] - row[2:4] / 2), *(row[:2] + row[2:4] / 2)]
        )
        return Face(box=(left, top, right, bottom), score=score, landmarks=region.to_image(points, MESH_SIZE))

    def _mesh_in(self, pixels: UInt8[np.ndarray, "s s c"]) -> tuple[Float[np.ndarray, "468 2"], float]:
        """The mesh in pixels of its input, and how sure the network is that there is a face."""
        points, logit = self._mesh(pixels / np.float32(255))
        mesh = points.reshape(468, 3)[:, :2].astype(np.float64) - 0.5
        return mesh, float(_sigmoid(logit.reshape(1))[0])


def _draw(image: UInt8[np.ndarray, "h w c"], region: Region) -> UInt8[np.ndarray, "s s c"]:
    return align_image(image, region.matrix(MESH_SIZE), MESH_SIZE)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps what the interpreter's C++ code tells off the error stream: that it takes a faster way."""
    before = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


class _Network:
    """One tflite file, opened."""

    def __init__(self, path: Path, threads: int) -> None:
        with extra("landmarks", "the landmark detector 'blaze'"):
            from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415 - an optional extra
        with _quiet():
            self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
            self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = [detail["index"] for detail in self._interpreter.get_output_details()]

    def __call__(self, pixels: Float[np.ndarray, "s s c"]) -> list[Float[np.ndarray, "..."]]:
        """Runs one RGB or grey image through; the outputs in the file's order."""
        rgb = np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))
        self._interpreter.set_tensor(self._input, rgb[None])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]
