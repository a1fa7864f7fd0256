import os
from functools import cache
from pathlib import Path

import pytest
from mannequin import mannequin

from pcfh_render.facemodel import FaceModel, load_face_model
from pcfh_render.render import Renderer


@pytest.fixture(scope="session")
def face_model() -> FaceModel:
    return mannequin()


@pytest.fixture(scope="session")
def renderer(face_model) -> Renderer:
    renderer = Renderer(face_model, size=96)
    renderer._sitter = cache(renderer._sitter)  # a person's head, skin and hair take seconds
    return renderer


@pytest.fixture(scope="module", params=["mannequin", "ict-facekit"])
def model(request):
    """The made-up head, and the real one where PCFH_FACE_MODEL says where it is."""
    if request.param == "mannequin":
        return request.getfixturevalue("face_model")
    if "PCFH_FACE_MODEL" not in os.environ:
        pytest.skip("PCFH_FACE_MODEL names no folder FaceXModel")
    cache = os.environ.get("PCFH_FACE_MODEL_CACHE")
    return load_face_model(Path(os.environ["PCFH_FACE_MODEL"]), None if cache is None else Path(cache))
