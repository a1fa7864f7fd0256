"""What is computed from a photograph, as it is kept and as the page gets it.

Everything here runs in the worker's thread. Photographs are 8-bit RGB arrays of (row, column, channel).
"""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from pcfh.images import jpeg_bytes, png_bytes
from pcfh.pages import data_url
from pcfh.web.archive import Batch
from pcfh.web.decode import preview
from pcfh.web.engine import Engine, Enrolled, Probe

_QUALITY = 88  # of the photograph that is shown
_DIGITS = 2  # of a pixel, after the point


def translated(engine: Engine, image: UInt8[np.ndarray, "h w 3"]) -> tuple[Probe, dict[str, Any]]:
    """Translates a near-infrared photograph.

    Returns:
        What the face is recognised by, and what the page shows of it.
    """
    face = engine.translate(image)
    small, landmarks = preview(image, face.landmarks)
    shown = {
        "photo": {
            "image": data_url(jpeg_bytes(small, quality=_QUALITY), "jpeg"),
            "width": small.shape[1],
            "height": small.shape[0],
            "landmarks": _points(landmarks),
        },
        "size": engine.hallucinator.size,
        "crop": {
            "image": data_url(png_bytes(face.crop, {}), "png"),
            "landmarks": _points(face.crop_landmarks),
        },
        "generated": data_url(png_bytes(face.generated, engine.hallucinator.provenance()), "png"),
        "parts": [dataclasses.asdict(box) for box in face.boxes],
    }
    return face.probe, shown


def generated(engine: Engine, image: UInt8[np.ndarray, "h w 3"]) -> bytes:
    """The PNG file of a generated face, with its marks."""
    return png_bytes(engine.generate(image), engine.hallucinator.provenance())


def entry_of(key: str, face: Enrolled) -> dict[str, str]:
    """What the page gets of an entry of a gallery."""
    return {"id": key, "name": face.name, "picture": f"/api/gallery/{key}"}


def batch_of(batch: Batch) -> dict[str, Any]:
    """What the page gets of a batch that it has not seen itself."""
    return {
        "made": len(batch.faces),
        "failed": [{"source": item.source, "error": item.error} for item in batch.failures],
    }


def _points(points: Float[np.ndarray, "n 2"]) -> list[list[float]]:
    rounded: list[list[float]] = points.astype(np.float64).round(_DIGITS).tolist()
    return rounded
