"""What the warp of the attention warping module costs, against scikit-image's piecewise affine warp.

16 rendered faces of 256 x 256 pixels, each warped by its 68 landmarks onto another capture of its person.
Times are milliseconds of processor time for one image, on one thread. NumPy's too: the threads of its
OpenBLAS wait by spinning, which made scikit-image look several times slower on a busy machine. They can
only be limited before NumPy is imported, so the measurement has a process of its own. The two warps are
different maps; the comparison is of what a warp by landmarks costs. How exact the field is shows beside the
formula in 64 bits.

A round runs everything once, so that a busy machine disturbs all of it alike. Reported are medians over
rounds, and medians of the rounds' ratios.

Axis letters: b batch, c channels, h and w pixels, n control points.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from skimage.transform import PiecewiseAffineTransform, warp
from torch import Tensor

from bench.ceilings import median_times
from pcfh.databases.casia import read_casia
from pcfh.databases.records import subjects
from pcfh.demo import SAMPLE
from pcfh.geometry.warp import inverse_distance_field, inverse_distance_warp, sample
from pcfh.images import read_image
from pcfh.runtime import keep_freed_memory

SIZE = 256
TARGET_MS, TARGET_RATIO = 3.0, 30.0


@dataclass(frozen=True, kw_only=True)
class Faces:
    """What is warped.

    Attributes:
        images: in [0, 1].
        from_points: (x, y) in their pixels.
        to_points: where those shall be.
    """

    images: Float[Tensor, "b 3 h w"]
    from_points: Float[Tensor, "b n 2"]
    to_points: Float[Tensor, "b n 2"]


@dataclass(frozen=True, kw_only=True)
class WarpReport:
    """Everything measured here; processor milliseconds for one image, medians over rounds.

    Attributes:
        rounds: that medians are taken over.
        images: warped at once.
        field: the map of the inverse distances.
        sampling: reading the image along a map.
        both: ``inverse_distance_warp``.
        least_both: the same in the best round.
        piecewise_affine: scikit-image, estimation and warp.
        ratio: median over rounds of piecewise affine / ours.
        error: largest difference of the field from the formula in 64 bits, in pixels.
    """

    rounds: int
    images: int
    field: float
    sampling: float
    both: float
    least_both: float
    piecewise_affine: float
    ratio: float
    error: float


def measure_apart(*, quick: bool, rounds: int) -> WarpReport:
    """Measures the warp in a process of its own, where every library has one thread.

    Args:
        quick: with two images instead of 16.
        rounds: that medians are taken over.
    """
    print("warp", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "bench.warp", str(2 if quick else 16), str(rounds)]
    env = os.environ | dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    output = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout
    return WarpReport(**json.loads(output))


def measure(count: int, rounds: int) -> WarpReport:
    """Measures the warp.

    Args:
        count: of images at once.
        rounds: that medians are taken over.
    """
    with torch.inference_mode():
        faces = rendered_faces(count)
        field = field_of(faces)
        ours: dict[str, Callable[[], object]] = {
            "field": lambda: field_of(faces),
            "sampling": lambda: sample(faces.images, field),
            "both": lambda: inverse_distance_warp(faces.images, faces.from_points, faces.to_points),
        }
        samples: dict[str, list[float]] = {name: [] for name in (*ours, "affine")}
        for i in range(rounds):
            for name, fn in ours.items():
                samples[name].append(1e3 * median_times(fn, 0)[1] / count)
            affine = partial(piecewise_affine, faces, i % count)
            samples["affine"].append(1e3 * median_times(affine, 0, least=1)[1])
    ratios = [a / b for a, b in zip(samples["affine"], samples["both"], strict=True)]
    return WarpReport(
        rounds=rounds,
        images=count,
        field=statistics.median(samples["field"]),
        sampling=statistics.median(samples["sampling"]),
        both=statistics.median(samples["both"]),
        least_both=min(samples["both"]),
        piecewise_affine=statistics.median(samples["affine"]),
        ratio=statistics.median(ratios),
        error=largest_error(faces, field),
    )


def rendered_faces(count: int) -> Faces:
    """Two VIS captures each of some people of the sample."""
    database = read_casia(SAMPLE)
    vis = [record for record in database.records if record.modality == "VIS"]
    people = subjects(vis)[:count]
    pairs = [[record for record in vis if record.subject == person][:2] for person in people]
    images = np.stack([read_image(database.root / source.path) for source, _ in pairs])
    points = torch.tensor([[record.landmarks for record in pair] for pair in pairs], dtype=torch.float32)
    return Faces(
        images=torch.from_numpy(images).permute(0, 3, 1, 2).float().contiguous() / 255,
        from_points=points[:, 0].contiguous(),
        to_points=points[:, 1].contiguous(),
    )


def field_of(faces: Faces) -> Float[Tensor, "b h w 2"]:
    """Our map."""
    return inverse_distance_field(faces.to_points, faces.from_points, (SIZE, SIZE))


def piecewise_affine(faces: Faces, which: int) -> Float[np.ndarray, "h w 3"]:
    """One image by scikit-image: triangulates, solves and warps."""
    to_points, from_points = faces.to_points[which].numpy(), faces.from_points[which].numpy()
    to_source = PiecewiseAffineTransform.from_estimate(to_points, from_points)
    image = faces.images[which].permute(1, 2, 0).numpy()
    return warp(image, to_source, mode="edge")


def largest_error(faces: Faces, field: Float[Tensor, "b h w 2"]) -> float:
    """Largest difference in pixels of a field from the formula, evaluated in 64 bits."""
    return max(
        float(np.abs(own.numpy() - formula(p.double().numpy(), q.double().numpy())).max())
        for own, p, q in zip(field, faces.to_points, faces.from_points, strict=True)
    )


def formula(p: Float[np.ndarray, "n 2"], q: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "h w 2"]:
    """Paper Eq. 6 as it is written: x + sum_i w_i (q_i - p_i), w_i ~ |x - p_i|^-2; no pixel may hit a p_i."""
    y, x = np.mgrid[:SIZE, :SIZE]
    pixel = np.stack([x, y], -1).astype(np.float64)
    weight = 1 / ((pixel[:, :, None] - p) ** 2).sum(-1)
    return pixel + (weight / weight.sum(-1, keepdims=True)) @ (q - p)


def markdown(report: WarpReport) -> str:
    """The table as it goes into the documentation."""
    return f"""## Warp

{report.images} images of {SIZE} x {SIZE} pixels at once, 68 points, one thread; medians of {report.rounds} \
rounds.

| what | cpu ms an image |
|---|---|
| field | {report.field:.2f} |
| sampling | {report.sampling:.2f} |
| both (`inverse_distance_warp`) | {report.both:.2f} (best {report.least_both:.2f}; target {TARGET_MS:g}) |
| scikit-image, `PiecewiseAffineTransform`, estimation and warp | {report.piecewise_affine:.1f} |

Ratio: {report.ratio:.0f} (target {TARGET_RATIO:g}). Largest difference of the field from the formula in \
64 bits: {report.error:.1e} pixels."""


if __name__ == "__main__":
    keep_freed_memory()
    print(json.dumps(asdict(measure(int(sys.argv[1]), int(sys.argv[2])))))
