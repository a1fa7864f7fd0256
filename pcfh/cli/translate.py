"""The command that translates pictures."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from pcfh.batches import run_work
from pcfh.cli.batches import BatchOptions, PictureBar, report_batch
from pcfh.errors import UserError
from pcfh.evaluation.generated import MODEL
from pcfh.hallucinate import Hallucinator
from pcfh.landmarks import open_backend
from pcfh.landmarks.given import read_landmarks
from pcfh.preparation.face_reader import ReaderOptions
from pcfh.runtime import keep_freed_memory
from pcfh.shipped import generator_at
from pcfh.translate import translation

_DEFAULT = BatchOptions()


def translate(  # noqa: PLR0913 - one argument per option of the command
    sources: Annotated[list[Path], Parameter(negative="")],
    *,
    out: Path,
    model: Path | None = None,
    aligned: bool = False,
    landmarks: Path | None = None,
    backend: Literal["blaze", "fan"] = "blaze",
    device: str = "auto",
    batch: int = 8,
    way: BatchOptions = _DEFAULT,
) -> int:
    """Translate NIR pictures to VIS faces.

    The same command does what is left to do: what is done is passed over, unless the picture or the model
    changed. OUT/manifest.csv says what became of each picture. One that cannot be translated is listed at the
    end, the rest goes on; the exit code is 1 then. The PNG files say in their metadata that they are
    synthetic.

    Args:
        sources: pictures and folders of pictures.
        out: folder to write to.
        model: generator.safetensors of a training run, or the word generator for the first that came with the
            program; the one for photographs (cameras) if not given.
        aligned: the pictures are aligned crops of the model's size already.
        landmarks: CSV file of 68 landmarks per picture; then nothing is detected.
        backend: what finds faces and landmarks.
        device: auto, cpu, cuda or cuda:1.
        batch: pictures translated at once.
        way: how the work goes.
    """
    if batch < 1:
        raise UserError(f"--batch {batch}: expected at least 1")
    keep_freed_memory()
    finder = "cpu" if device == "auto" else device
    if landmarks:
        read_landmarks(landmarks)  # refused here, before anything is written
    else:
        open_backend(backend, device=finder)
    chosen = generator_at(model)
    hallucinator = Hallucinator.from_file(chosen, device=device)
    reading = ReaderOptions(
        size=hallucinator.size, aligned=aligned, landmarks=landmarks, backend=backend, device=finder
    )
    here = hallucinator.device.type != "cpu"
    digest = str(hallucinator.about[MODEL])
    work = translation(chosen, digest, device, reading, here=here, batch=batch)
    with PictureBar() as bar:
        summary = run_work(work, sources, out, way.way(), progress=bar)
    return report_batch(summary, f"translated to {out}")
