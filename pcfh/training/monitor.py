"""What a run shows of itself: TensorBoard scalars and picture grids.

Grid rows, from above: NIR, VIS, warped VIS, attention, output. Images are in [-1, 1], the attention map
in [0, 1].

Axis letters: b batch, s side of the image.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from pcfh.files import atomic_path
from pcfh.models.attention import Attention
from pcfh.models.generator import Hallucination
from pcfh.ranges import to_bytes
from pcfh.training.step import Batch


class Monitor:
    """Writes to ``<run>/tensorboard`` and ``<run>/pictures``; only the first process has one.

    Args:
        run: the run's folder.
        step: where the run goes on; what TensorBoard holds of later steps is dropped.
    """

    def __init__(self, run: Path, step: int) -> None:
        self._pictures = run / "pictures"
        self._writer = SummaryWriter(str(run / "tensorboard"), purge_step=step + 1)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes every number of one step."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def grid(self, step: int, grid: UInt8[Tensor, "3 h w"]) -> None:
        """Writes a picture grid, to TensorBoard and as a PNG file."""
        self._writer.add_image("NIR | VIS | warped | attention | output", grid, step)
        with atomic_path(self._pictures / f"{step:07d}.png") as temporary:
            Image.fromarray(grid.permute(1, 2, 0).numpy()).save(temporary, format="PNG")

    def close(self) -> None:
        """Writes what is pending."""
        self._writer.close()


@torch.no_grad()
def picture_grid(
    generator: Hallucination, attention: Attention | None, batch: Batch
) -> UInt8[Tensor, "3 h w"]:
    """One column per pair: NIR, VIS, warped VIS, attention (black without AWM) and output."""
    output = generator(batch.nir, batch.landmarks)
    map_01 = (
        attention(batch.nir, batch.warped) if attention is not None else torch.zeros_like(batch.nir[:, :1])
    )
    rows = (batch.nir, batch.vis, batch.warped, (2 * map_01 - 1).expand_as(output), output)
    column = torch.cat([to_bytes(row) for row in rows], 2)
    return torch.cat(list(column), 2).cpu()
