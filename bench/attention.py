"""Where the attention map of a trained run is light and where it is dark, over its training pairs.

    python -m bench.attention PREPARED RUN

Regions follow the NIR landmarks, in pixels of the crop; e is the distance between the eye centres. The
face is the hull of the 68 points and of the brows shifted up by 0.6 e. Cheeks and forehead are discs
inside it; the contour is a band along the jaw landmarks, where a warp between two poses tears; the
background is what lies more than 0.4 e outside the face.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float

from pcfh.evaluation.image_metrics import face_mask
from pcfh.methods.base import Config
from pcfh.methods.find import DEFAULT_PRESET, configured
from pcfh.methods.job import TrainingJob
from pcfh.methods.pcfh.attention import Attention
from pcfh.methods.pcfh.networks import PCFH
from pcfh.methods.train import BatchMaker, MethodTask, open_pairs
from pcfh.runtime import Runtime
from pcfh.training.loop import CHECKPOINT, SETTINGS

REGIONS = ("cheeks", "forehead", "contour", "background")
Mask = Bool[np.ndarray, "s s"]
_HERE = Runtime(rank=0, processes=1, device=torch.device("cpu"))


def distance_to(points: Float[np.ndarray, "n 2"], size: int) -> Float[np.ndarray, "s s"]:
    """Each pixel's distance to the nearest point."""
    y, x = np.mgrid[:size, :size]
    offsets = np.stack([x, y], -1)[:, :, None] - points
    return np.sqrt((offsets**2).sum(-1)).min(-1)


def regions(points: Float[np.ndarray, "68 2"], size: int) -> dict[str, Mask]:
    """Masks of the regions of one face."""
    left, right = points[36:42].mean(0), points[42:48].mean(0)
    e = float(np.hypot(*(right - left)))
    up = np.array([0.0, -1.0]) * e
    forehead = points[17:27].mean(0) + 0.35 * up
    cheeks = np.stack([left - 0.55 * up, right - 0.55 * up])
    whole = face_mask(np.concatenate([points, points[17:27] + 0.6 * up]), size)
    inner = (
        whole & np.roll(whole, 1, 0) & np.roll(whole, -1, 0) & np.roll(whole, 1, 1) & np.roll(whole, -1, 1)
    )
    border = np.argwhere(whole & ~inner)[:, ::-1].astype(float)
    jaw = np.concatenate([points[:16] + t * (points[1:17] - points[:16]) for t in (0.0, 0.5)])
    return {
        "cheeks": (distance_to(cheeks, size) < 0.2 * e) & whole,
        "forehead": (distance_to(forehead[None], size) < 0.25 * e) & whole,
        "contour": distance_to(jaw, size) < 0.1 * e,
        "background": (distance_to(border, size) > 0.4 * e) & ~whole,
    }


def open_attention(run: Path) -> tuple[Attention, Config, str]:
    """The attention network of a run, its configuration and its protocol."""
    checkpoint = torch.load(run / CHECKPOINT, weights_only=True)
    identity = json.loads(checkpoint["identity"])
    config = configured(DEFAULT_PRESET, file=run / SETTINGS)
    networks = MethodTask(config, _HERE).networks
    networks.load_state_dict(checkpoint["networks"])
    assert isinstance(networks, PCFH) and networks.Att is not None
    return networks.Att.eval(), config, identity["data"]["protocol"]


@torch.inference_mode()
def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("prepared", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--pairs", type=int, default=240)
    arguments = parser.parse_args()
    attention, config, protocol = open_attention(arguments.run)
    job = TrainingJob(prepared=arguments.prepared, protocol=protocol, run=arguments.run, config=config)
    pairs, _ = open_pairs(job)
    maker = BatchMaker(pairs, config, _HERE, None)
    found: dict[str, list[float]] = {name: [] for name in ("whole map", *REGIONS)}
    for start in range(0, arguments.pairs, 8):
        plan = pairs.plan(start, 8)
        batch = maker.batch(plan, pairs.images(plan))
        maps = attention(batch.nir, batch.warped)[:, 0].numpy()
        for one, points in zip(maps, batch.landmarks.numpy().astype(float), strict=True):
            found["whole map"].append(float(one.mean()))
            for name, mask in regions(points, pairs.size).items():
                if mask.any():
                    found[name].append(float(one[mask].mean()))
    print("| region | mean of Att | standard deviation over pairs | pairs |\n|---|---|---|---|")
    for name, values in found.items():
        print(f"| {name} | {np.mean(values):.3f} | {np.std(values):.3f} | {len(values)} |")


if __name__ == "__main__":
    main()
