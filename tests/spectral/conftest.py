import sys
from pathlib import Path

import pytest

from pcfh.spectral.facemodel import FaceModel
from pcfh.spectral.render import Renderer

sys.path.insert(0, str(Path(__file__).parent))
from mannequin import mannequin


@pytest.fixture(scope="session")
def face_model() -> FaceModel:
    return mannequin()


@pytest.fixture(scope="session")
def renderer(face_model) -> Renderer:
    return Renderer(face_model, size=96)
