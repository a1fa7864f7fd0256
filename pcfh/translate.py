"""Translating files and folders: a bad picture gets a line of its own and the rest goes on."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from pcfh.batches import ReadFace, Work, Writer, Written
from pcfh.evaluation.generated import CropGenerator
from pcfh.images import write_png
from pcfh.preparation.face_reader import ReaderOptions, start_reader


def translation(
    model: Path, digest: str, device: str, reading: ReaderOptions, *, here: bool, batch: int
) -> Work:
    """The work that makes a VIS face of each picture.

    Args:
        model: its file.
        digest: SHA-256 of that.
        device: where it computes.
        reading: how faces are read; of the model's size.
        here: whether it computes in this process alone, as on a GPU.
        batch: pictures in one forward pass.
    """
    return Work(
        name="translation",
        settings=f"translate 1 {digest} {reading.settings()}",
        start_reader=partial(start_reader, reading),
        start_writer=partial(start_writer, model, device),
        here=here,
        ending=".png",
        batch=batch,
    )


def start_writer(model: Path, device: str) -> Writer:
    """Opens the model."""
    # Here, so that processes that only read need not load PyTorch.
    from pcfh.hallucinate import Hallucinator  # noqa: PLC0415
    from pcfh.runtime import keep_freed_memory  # noqa: PLC0415

    keep_freed_memory()
    return partial(write_faces, Hallucinator.from_file(model, device=device))


def write_faces(generator: CropGenerator, faces: Sequence[ReadFace]) -> list[Written]:
    """Generates the VIS faces of some crops and writes them."""
    crops = np.array([face.crop for face in faces])
    images = generator.translate_batch(crops, np.array([face.landmarks for face in faces]))
    return [_written(face, image, generator.provenance()) for face, image in zip(faces, images, strict=True)]


def _written(face: ReadFace, image: np.ndarray, text: dict[str, str]) -> Written:
    """Writes one; a full disk is not the picture's fault."""
    try:
        write_png(Path(face.task.target), image, text)
    except OSError as error:
        return Written(face=face, error=f"cannot write {face.task.target}: {error}", retry=True)
    return Written(face=face)
