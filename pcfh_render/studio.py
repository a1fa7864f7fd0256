"""Opens the renderer for a database: the face model of the user's clone, and its packed copy in the cache."""

from functools import partial
from pathlib import Path

from pcfh_render.database import Studio
from pcfh_render.facemodel import load_face_model
from pcfh_render.render import Renderer


def open_studio(face_model: Path, cache: Path, size: int) -> Studio:
    """Makes what ``render_database`` needs.

    Args:
        face_model: ``FaceXModel`` of a clone of ICT-FaceKit, or the clone.
        cache: folder for the packed copy; read by every process.
        size: side of the pictures in pixels.

    Raises:
        UserError: the model is absent or damaged.
    """
    fingerprint = load_face_model(face_model, cache).fingerprint
    return Studio(open=partial(open_renderer, face_model, cache, size), fingerprint=fingerprint)


def open_renderer(face_model: Path, cache: Path, size: int) -> Renderer:
    """Opens a renderer in this process; see ``open_studio``."""
    return Renderer(load_face_model(face_model, cache), size=size)
