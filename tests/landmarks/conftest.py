import numpy as np
import pytest
import skimage.data
from PIL import Image


@pytest.fixture(scope="session")
def astronaut():
    return np.ascontiguousarray(skimage.data.astronaut())


@pytest.fixture(scope="session")
def astronaut_grey(astronaut):
    return np.asarray(Image.fromarray(astronaut).convert("L").convert("RGB"))


@pytest.fixture(scope="session")
def astronaut_points(blaze, astronaut):
    return blaze.detect(astronaut)[0].landmarks
