"""What a run shows of itself: numbers in metrics.csv and TensorBoard, and picture grids."""

import csv
import io
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from pcfh.files import atomic_path, write_atomically

try:
    from torch.utils.tensorboard import SummaryWriter

    _open_writer: Callable[..., SummaryWriter] | None = SummaryWriter
except ImportError:  # a machine for training alone may lack TensorBoard: metrics.csv holds the same numbers
    _open_writer = None

METRICS = "metrics.csv"
_COST = ("wall_seconds", "processor_seconds")


class Monitor:
    """Writes to ``<run>/metrics.csv`` and ``<run>/pictures``; for the first process.

    Where TensorBoard is installed, it writes to ``<run>/tensorboard`` too.

    Args:
        run: the run's folder.
        step: where the run is resumed; what is there of later steps is dropped.
    """

    def __init__(self, run: Path, step: int) -> None:
        self._run = run
        folder = str(run / "tensorboard")
        self._writer = None if _open_writer is None else _open_writer(folder, purge_step=step + 1)
        self._rows = [row for row in read_metrics(run) if int(row["step"]) <= step]
        self._names = list(dict.fromkeys(name for row in self._rows for name in row)) or ["step", *_COST]
        self._write_all()
        last = self._rows[-1] if self._rows else {}
        self._before = tuple(float(last.get(name) or 0) for name in _COST)
        self._start = (time.monotonic(), time.process_time())

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes every number of a step, with the seconds that the run has taken so far."""
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)
        now = (time.monotonic(), time.process_time())
        spent = (b + n - s for b, n, s in zip(self._before, now, self._start, strict=True))
        numbers = {"step": step, **{k: round(v, 1) for k, v in zip(_COST, spent, strict=True)}, **values}
        row = {name: str(value) for name, value in numbers.items()}
        self._rows.append(row)
        if row.keys() <= set(self._names):
            with (self._run / METRICS).open("a", newline="") as file:
                csv.DictWriter(file, self._names).writerow(row)
            return
        self._names += [name for name in row if name not in self._names]
        self._write_all()

    def _write_all(self) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self._names)
        writer.writeheader()
        writer.writerows(self._rows)
        write_atomically(self._run / METRICS, text.getvalue().encode())

    def grid(self, step: int, grid: UInt8[Tensor, "3 h w"], titles: Sequence[str]) -> None:
        """Writes a picture grid, to TensorBoard with the titles of its rows and as a PNG file."""
        if self._writer:
            self._writer.add_image(" | ".join(titles), grid, step)
        with atomic_path(self._run / "pictures" / f"{step:07d}.png") as temporary:
            Image.fromarray(grid.permute(1, 2, 0).numpy()).save(temporary, format="PNG")

    def close(self) -> None:
        """Writes what is pending."""
        if self._writer:
            self._writer.close()


def read_metrics(run: Path) -> list[dict[str, str]]:
    """The rows of a run's metrics.csv, by column; none where there is no such file.

    A last line that a killed process cut off is left out.
    """
    try:
        text = (run / METRICS).read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    whole, _, _ = text.rpartition("\n")
    return [dict(row) for row in csv.DictReader(whole.splitlines())]
