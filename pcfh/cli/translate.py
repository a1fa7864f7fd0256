"""The command that translates pictures."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from pcfh.cli.app import progress_bar
from pcfh.errors import UserError
from pcfh.hallucinate import Hallucinator
from pcfh.landmarks import open_backend
from pcfh.runtime import keep_freed_memory
from pcfh.shipped import shipped
from pcfh.translate import Failure, TranslateOptions, plan_items, translate_items


def translate(
    sources: Annotated[list[Path], Parameter(negative="")],
    *,
    out: Path,
    model: Path | None = None,
    aligned: bool = False,
    landmarks: Path | None = None,
    backend: Literal["blaze", "fan"] = "blaze",
    device: str = "auto",
    batch: int = 8,
) -> int:
    """Translate NIR pictures to VIS faces.

    A picture that cannot be translated is listed at the end, the rest goes on; the exit code is 1 then.
    The PNG files say in their metadata that they are synthetic.

    Args:
        sources: pictures and folders of pictures.
        out: folder to write to.
        model: generator.safetensors of a training run; the one that comes with the program if not given.
        aligned: the pictures are aligned crops of the model's size already.
        landmarks: CSV file of 68 landmarks per picture; then nothing is detected.
        backend: what finds faces and landmarks.
        device: auto, cpu, cuda or cuda:1.
        batch: pictures translated at once.
    """
    if batch < 1:
        raise UserError(f"--batch {batch}: expected at least 1")
    keep_freed_memory()
    finder = None if landmarks else open_backend(backend, device="cpu" if device == "auto" else device)
    chosen = model or shipped("generator")
    hallucinator = Hallucinator.from_file(chosen, device=device, backend=finder)
    items = plan_items(sources, out)
    options = TranslateOptions(aligned=aligned, landmarks=landmarks, batch=batch)
    with progress_bar("pictures", len(items)) as bar:
        failures = translate_items(hallucinator, items, options, on_done=bar.update)
    print(f"{len(items) - len(failures)} of {len(items)} pictures translated to {out}")
    return _report_failures(failures)


def _report_failures(failures: Sequence[Failure]) -> int:
    for failure in failures:
        print(f"{failure.source}: {failure.reason}", file=sys.stderr)
    if failures:
        print(f"{len(failures)} pictures failed", file=sys.stderr)
    return 1 if failures else 0
