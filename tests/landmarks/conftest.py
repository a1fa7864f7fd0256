import numpy as np
import pytest
import skimage.data
from PIL import Image

from pcfh.errors import UserError
from pcfh.landmarks.blaze import Blaze
from pcfh.landmarks.fetch import cache_folder, fetch_blaze


@pytest.fixture(scope="session")
def blaze():
    try:
        fetch_blaze(cache_folder())
        return Blaze()
    except UserError as error:
        pytest.skip(f"the blaze backend needs its extra and its two model files: {error}")


@pytest.fixture(scope="session")
def astronaut():
    return np.ascontiguousarray(skimage.data.astronaut())


@pytest.fixture(scope="session")
def astronaut_grey(astronaut):
    return np.asarray(Image.fromarray(astronaut).convert("L").convert("RGB"))


@pytest.fixture(scope="session")
def astronaut_points(blaze, astronaut):
    return blaze.detect(astronaut)[0].landmarks
