"""The command that computes embeddings of pictures."""

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from pcfh.batches import no_end, run_work
from pcfh.cli.batches import BatchOptions, PictureBar, report_batch
from pcfh.databases.records import Modality
from pcfh.devices import usable_device
from pcfh.errors import UserError
from pcfh.extras import extra
from pcfh.feature_files import Format, crop_size, embedding, write_features
from pcfh.landmarks import open_backend
from pcfh.landmarks.given import read_landmarks
from pcfh.preparation.face_reader import ReaderOptions
from pcfh.recognisers.registry import open_recognizer
from pcfh.runtime import keep_freed_memory
from pcfh.shipped import shipped

_DEFAULT = BatchOptions()


def features(  # noqa: PLR0913 - one argument per option of the command
    sources: Annotated[list[Path], Parameter(negative="")],
    *,
    out: Path,
    kind: Annotated[Format, Parameter(name="--format")] = "npz",
    recognizer: str | None = None,
    modality: Modality = "VIS",
    aligned: bool = False,
    landmarks: Path | None = None,
    backend: Literal["blaze", "fan"] = "blaze",
    device: str = "auto",
    batch: int = 8,
    way: BatchOptions = _DEFAULT,
) -> int:
    """Compute the embedding of the largest face of each picture, and write all into one file.

    The product of two embeddings is the similarity of their faces, 1 at most. The same command does what is
    left to do: what is done is passed over, unless the picture or the recogniser changed. OUT/manifest.csv
    says what became of each picture. One that cannot be used is listed at the end, the rest goes on; the exit
    code is 1 then.

    Args:
        sources: pictures and folders of pictures.
        out: folder to write features.npz or features.parquet into.
        kind: of the file, npz or parquet.
        recognizer: Light CNN checkpoint, recognizer.safetensors, ONNX model, or my_module:MyRecognizer. The
            shipped Light CNN if not given.
        modality: of the pictures, NIR or VIS; generated faces are VIS.
        aligned: the pictures are aligned crops already, of 64, 128, 144 or 256 pixels.
        landmarks: CSV file of 68 landmarks per picture; then nothing is detected.
        backend: what finds faces and landmarks.
        device: auto, cpu, cuda or cuda:1.
        batch: faces computed at once.
        way: how the work goes.
    """
    if batch < 1:
        raise UserError(f"--batch {batch}: expected at least 1")
    if kind == "parquet":
        with extra("parquet", "a Parquet file"):  # said here, before work starts
            import pyarrow  # noqa: F401, PLC0415 - an optional extra
    keep_freed_memory()
    open_it = partial(open_recognizer, recognizer or str(shipped("recognizer")), device=device)
    opened = open_it()
    finder = "cpu" if device == "auto" else device
    size, own = crop_size(opened.alignment), opened.alignment.convention == "lightcnn"
    reading = ReaderOptions(
        size=size,
        nir=False,
        aligned=aligned,
        landmarks=landmarks,
        backend=backend,
        device=finder,
        find=not (aligned and own),
        measured=modality == "NIR",
    )
    if landmarks:
        read_landmarks(landmarks)  # refused here, before anything is written
    elif reading.find:
        open_backend(backend, device=finder)
    here = usable_device(device).type != "cpu"
    work = embedding(opened, open_it, reading, modality=modality, here=here, batch=batch)
    about = {"recognizer": opened.key, "modality": modality}
    file, chosen = out / f"features.{kind}", way.way()
    finish = partial(write_features, file, kind, about, work.settings) if chosen.shard is None else no_end
    with PictureBar() as bar:
        summary = run_work(work, sources, out, chosen, progress=bar, finish=finish)
    return report_batch(summary, "have an embedding" if chosen.shard else f"have an embedding in {file}")
