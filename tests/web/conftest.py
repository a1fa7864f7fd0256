"""A page over networks of random weights; its landmark backend finds a face where a picture is not plain."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from blocks import Blocks, hallucinator
from PIL import Image
from starlette.testclient import TestClient

from pcfh.landmarks.base import Face
from pcfh.landmarks.given import read_landmarks
from pcfh.web.app import create_app
from pcfh.web.engine import Engine
from pcfh.web.limits import Limits

SAMPLES = Path(__file__).parents[2] / "samples" / "NIR-VIS-2.0"
ADDRESS = "http://127.0.0.1:8765"
_SIDE = 256  # of the pictures that the landmarks below belong to


class Finder:
    """Finds the same face in every picture, in proportion to its size, but none in a plain one."""

    name = "fake"

    def __init__(self, points):
        self.points = points

    def detect(self, image):
        if image[::8, ::8].std() == 0:
            return []
        scale = np.array(image.shape[1::-1]) / _SIDE
        box = (0.0, 0.0, float(image.shape[1]), float(image.shape[0]))
        return [Face(box=box, score=1.0, landmarks=self.points * scale)]


@pytest.fixture(scope="session")
def points():
    """Landmarks of a face in a picture of 256 x 256 pixels."""
    return read_landmarks(SAMPLES / "landmarks68.csv")["s2/nir/00185/002"]


@pytest.fixture
def engine(points):
    translator = hallucinator(size=64)
    translator._backend = Finder(points)
    return Engine(translator, Blocks())


@pytest.fixture
def open_page(engine):
    """Starts pages with some limits; gives a client of each, as a browser that has opened it."""
    opened = []

    def start(**limits):
        client = TestClient(create_app(engine, Limits(**limits), {"127.0.0.1"}), base_url=ADDRESS)
        client.__enter__()
        client.post("/api/session")
        opened.append(client)
        return client

    yield start
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def page(open_page):
    return open_page()


@pytest.fixture
def picture():
    """Makes picture files of noise, which count as faces; equal seeds give equal pictures."""

    def make(seed=0, *, size=(96, 96), mode="RGB", kind="PNG", **options):
        rng = np.random.default_rng(seed)
        bands = len(Image.new(mode, (1, 1)).getbands())
        pixels = rng.integers(0, 256, (size[1], size[0], bands), np.uint8)
        buffer = BytesIO()
        Image.fromarray(pixels[..., 0] if bands == 1 else pixels).save(buffer, kind, **options)
        return buffer.getvalue()

    return make


@pytest.fixture
def another_browser():
    """A client of the same page without its cookies, in the same event loop."""

    def start(client):
        other = TestClient(client.app, base_url=ADDRESS)
        other.portal = client.portal
        return other

    return start
