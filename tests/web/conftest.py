"""A page over networks of random weights; its landmark backend finds a face where a picture is not plain."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from blocks import Blocks, hallucinator
from PIL import Image
from starlette.testclient import TestClient

from pcfh.gallery.entries import NewFace
from pcfh.gallery.store import Gallery
from pcfh.landmarks.base import Face
from pcfh.landmarks.given import read_landmarks
from pcfh.web.app import Served, create_app
from pcfh.web.decode import decode
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
def client_of():
    """Starts applications; gives a client of each."""
    opened = []

    def start(app):
        client = TestClient(app, base_url=ADDRESS)
        client.__enter__()
        opened.append(client)
        return client

    yield start
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def open_page(engine, client_of):
    """Starts pages with some limits; gives a client of each, as a browser that has opened it."""

    def start(served=None, **limits):
        client = client_of(create_app(engine, Limits(**limits), {"127.0.0.1"}, served=served))
        client.post("/api/session")
        return client

    return start


@pytest.fixture
def gallery(engine, picture, tmp_path):
    """Five people in an embedded store, with a threshold for one of ten pairs."""
    pytest.importorskip("pymilvus", reason="a gallery needs the extra 'gallery'")
    faces = [
        NewFace(
            id=f"{seed:032x}",
            person=f"person {seed}",
            source=f"{seed}.png",
            quality=1.0,
            feature=engine.enrol("", "", decode(picture(seed), megapixels=1).pixels).feature,
        )
        for seed in range(5)
    ]
    with Gallery.open(str(tmp_path / "people.db")) as opened:
        opened.enrol(faces, engine.recognizer.key)
        opened.calibrate(0.1)
        yield opened


@pytest.fixture
def open_served(open_page, gallery):
    """A page with that gallery."""
    return lambda: open_page(Served(gallery=gallery, name="people"))


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
