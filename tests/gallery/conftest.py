"""An embedded gallery that is not there yet, and a reader of faces without trained weights."""

from pathlib import Path

import numpy as np
import pytest
from blocks import Blocks, hallucinator

from pcfh.gallery.photographs import FaceReader
from pcfh.landmarks.base import Face
from pcfh.landmarks.given import read_landmarks

SAMPLES = Path(__file__).parents[2] / "samples" / "NIR-VIS-2.0"


class Finder:
    """Finds the same face in every picture, in proportion to its size, but none in a plain one."""

    name = "fake"

    def __init__(self):
        self.points = read_landmarks(SAMPLES / "landmarks68.csv")["s2/nir/00185/002"] / 256

    def detect(self, image):
        if image.std() == 0:
            return []
        size = np.array(image.shape[1::-1], np.float64)
        return [Face(box=(0.0, 0.0, *size.tolist()), score=1.0, landmarks=self.points * size)]


@pytest.fixture
def uri(tmp_path):
    pytest.importorskip("pymilvus", reason="a gallery needs the extra 'gallery'")
    pytest.importorskip("milvus_lite", reason="a gallery needs the extra 'gallery'")
    return str(tmp_path / "people.db")


@pytest.fixture
def reader():
    translator = hallucinator(size=64)
    translator._backend = Finder()
    return FaceReader(translator, Blocks())
