"""Sheets of the suite of shifts: probes with what each generator makes of them, and the true image below.

Axis letters: s side of the largest crops.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from pcfh.evaluation.evaluate import drawn_faces, last_faces
from pcfh.evaluation.evaluation_data import EvaluationData
from pcfh.evaluation.results import ShownFace
from pcfh.evaluation.sheets import FaceSheets, sheet
from pcfh.images import jpeg_bytes, read_image
from pcfh.preparation.manifest import crops_folder

_MOST = 16


def shift_sheets(
    faces: Sequence[ShownFace], shifts: Mapping[str, str], data: Mapping[str, EvaluationData], seed: int = 0
) -> FaceSheets:
    """Draws sixteen probes of all shifts by chance, and those whose person comes last.

    Args:
        faces: all probes.
        shifts: the shift of each protocol.
        data: by the name of the generator.
        seed: of what is drawn.
    """
    wide = max(data.values(), key=lambda one: one.generated_size)
    rows = ("NIR", *(data if len(data) > 1 else ["generated"]), *(["true VIS"] if wide.truth else []))
    random, worst = (
        jpeg_bytes(
            sheet([(_text(face, shifts), _pictures(face, wide, data)) for face in chosen], rows), trained=True
        )
        for chosen in (drawn_faces(faces, _MOST, seed), last_faces(faces, _MOST))
    )
    return FaceSheets(random=random, worst=worst, rows=rows)


def _text(face: ShownFace, shifts: Mapping[str, str]) -> str:
    return f"{shifts[face.protocol]}\n{face.subject}, rank {face.rank}"


def _pictures(
    face: ShownFace, wide: EvaluationData, data: Mapping[str, EvaluationData]
) -> list[UInt8[np.ndarray, "s s 3"]]:
    """The probe, what the generators make of it, and the truth, at the size of the largest of them."""
    pictures = [read_image(crops_folder(wide.job.prepared, wide.generated_size) / face.probe)]
    for one in data.values():
        pictures += one.generated(one.generators[face.protocol], [one.at_generated_size[face.probe]])
    if wide.truth is not None:
        pictures += wide.true_crops([wide.at_generated_size[face.probe]])
    return [_enlarged(picture, wide.generated_size) for picture in pictures]


def _enlarged(picture: UInt8[np.ndarray, "h h 3"], size: int) -> UInt8[np.ndarray, "{size} {size} 3"]:
    if len(picture) == size:
        return picture
    return np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.BICUBIC))
