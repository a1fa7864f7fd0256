"""Translating files and folders: a bad picture gets a line of its own and the rest goes on."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from pcfh.batches import ReadFace, Work, Writer, Written
from pcfh.hallucinate import Hallucinator
from pcfh.images import write_png
from pcfh.preparation.face_reader import ReaderOptions, start_reader
from pcfh.runtime import keep_freed_memory


def translation(
    hallucinator: Hallucinator, model: Path, device: str, reading: ReaderOptions, batch: int
) -> Work:
    """The work that makes a VIS face of each picture.

    Args:
        hallucinator: the model, opened.
        model: its file, for other processes.
        device: where it computes: on a processor each process has the model, a GPU's work stays in this one.
        reading: how faces are read; of the model's size.
        batch: pictures in one forward pass.
    """
    return Work(
        name="translation",
        settings=f"translate 1 {hallucinator.about.get('model')} {reading.settings()}",
        start_reader=partial(start_reader, reading),
        start_writer=partial(start_writer, model, device),
        here=hallucinator.device.type != "cpu",
        ending=".png",
        batch=batch,
    )


def start_writer(model: Path, device: str) -> Writer:
    """Opens the model."""
    keep_freed_memory()
    return partial(write_faces, Hallucinator.from_file(model, device=device))


def write_faces(hallucinator: Hallucinator, faces: Sequence[ReadFace]) -> list[Written]:
    """Generates the VIS faces of some crops and writes them."""
    crops = np.stack([face.crop for face in faces])
    images = hallucinator.translate_batch(crops, np.stack([face.landmarks for face in faces]))
    written = []
    for face, image in zip(faces, images, strict=True):
        try:
            write_png(Path(face.task.target), image, hallucinator.provenance())
            written.append(Written(face=face))
        except OSError as error:
            reason = f"cannot write {face.task.target}: {error}"
            written.append(Written(face=face, error=reason, retry=True))
    return written
