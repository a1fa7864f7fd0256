import pytest

from pcfh.spectral.facemodel import FaceModel
from pcfh.spectral.render import Renderer

from .mannequin import mannequin


@pytest.fixture(scope="session")
def face_model() -> FaceModel:
    return mannequin()


@pytest.fixture(scope="session")
def renderer(face_model) -> Renderer:
    return Renderer(face_model, size=96)
