"""What a run shows of itself: TensorBoard scalars and picture grids.

Grid rows, from above: NIR, VIS, what the method has to show (PCFH: warped VIS and attention), output.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from pcfh.files import atomic_path
from pcfh.methods.base import Method
from pcfh.methods.batch import Batch
from pcfh.methods.translators import Translator
from pcfh.ranges import to_bytes


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

    def grid(self, step: int, grid: UInt8[Tensor, "3 h w"], titles: Sequence[str]) -> None:
        """Writes a picture grid, to TensorBoard with the titles of its rows and as a PNG file."""
        self._writer.add_image(" | ".join(titles), grid, step)
        with atomic_path(self._pictures / f"{step:07d}.png") as temporary:
            Image.fromarray(grid.permute(1, 2, 0).numpy()).save(temporary, format="PNG")

    def close(self) -> None:
        """Writes what is pending."""
        self._writer.close()


@torch.no_grad()
def picture_grid(
    translator: Translator, method: Method, batch: Batch
) -> tuple[UInt8[Tensor, "3 h w"], tuple[str, ...]]:
    """One column per pair: NIR, VIS, what the method has to show, and output; and the rows' titles."""
    output = translator(batch.nir, batch.landmarks)
    rows = {"NIR": batch.nir, "VIS": batch.vis, **method.pictures(batch, output), "output": output}
    column = torch.cat([to_bytes(row) for row in rows.values()], 2)
    return torch.cat(list(column), 2).cpu(), tuple(rows)
