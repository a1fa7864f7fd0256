"""What is computed from a photograph, as it is kept and as the page gets it.

Everything here runs in the worker's thread. Photographs are 8-bit RGB arrays of (row, column, channel).
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from pcfh.gallery.entries import Probe
from pcfh.images import Picture, jpeg_bytes, png_bytes
from pcfh.pages import data_url
from pcfh.web.answers import BatchFailure, BatchSoFar, Crop, EnrolledFace, Photo, Points, Translated
from pcfh.web.archive import Batch, free_name
from pcfh.web.decode import preview
from pcfh.web.engine import Engine, Enrolled
from pcfh.web.matching import picture_of

_QUALITY = 88  # of the photograph that is shown
_DIGITS = 2  # of a pixel, after the point


def translated(engine: Engine, source: str, picture: Picture) -> tuple[Probe, Translated]:
    """Translates a near-infrared photograph.

    Args:
        engine: computes.
        source: name of the photograph.
        picture: as it was read.

    Returns:
        What the face is recognised by, and what the page shows of it.
    """
    face = engine.translate(picture.pixels)
    small, landmarks = preview(picture.pixels, face.landmarks)
    return face.probe, Translated(
        face=None,
        source=source,
        file=free_name(source, ()),
        photo=Photo(
            image=data_url(jpeg_bytes(small, quality=_QUALITY), "jpeg"),
            width=small.shape[1],
            height=small.shape[0],
            landmarks=_points(landmarks),
        ),
        size=engine.hallucinator.size,
        crop=Crop(image=data_url(png_bytes(face.crop, {}), "png"), landmarks=_points(face.crop_landmarks)),
        generated=data_url(png_bytes(face.generated, engine.hallucinator.provenance()), "png"),
        parts=list(face.boxes),
        notes=_notes(picture, face.unlike),
    )


def generated(engine: Engine, picture: Picture) -> tuple[bytes, list[str]]:
    """The PNG file of a generated face, with its marks, and what is to be said of it."""
    face = engine.generate(picture.pixels)
    return png_bytes(face.generated, engine.hallucinator.provenance()), _notes(picture, face.unlike)


def enrolled(engine: Engine, name: str, source: str, picture: Picture) -> tuple[Enrolled, list[str]]:
    """A face of a gallery, and what is to be said of its photograph."""
    return engine.enrol(name, source, picture.pixels), _notes(picture)


def entry_of(key: str, face: Enrolled) -> EnrolledFace:
    """What the page gets of an entry of a gallery."""
    return EnrolledFace(id=key, name=face.name, source=face.source, picture=picture_of(key))


def batch_of(batch: Batch) -> BatchSoFar:
    """What the page gets of a batch that it has not seen itself."""
    failed = [BatchFailure(source=item.source, error=item.error) for item in batch.failures]
    return BatchSoFar(made=len(batch.faces), failed=failed)


def _notes(picture: Picture, unlike: Sequence[str] = ()) -> list[str]:
    """What visitors should know of a photograph: what was assumed, and how it differs from the training's."""
    far = [f"unlike the faces of the training: {', '.join(unlike)}"] if unlike else []
    return [*filter(None, [picture.note]), *far]


def _points(points: Float[np.ndarray, "n 2"]) -> Points:
    return [(x, y) for x, y in points.astype(np.float64).round(_DIGITS).tolist()]
