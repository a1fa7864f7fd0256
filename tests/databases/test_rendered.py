"""What lies beside the captures of a rendered database."""

import numpy as np
import pytest

from pcfh.databases.records import Record
from pcfh.databases.rendered import BEHIND_GLASS, TRUTH, Region, mask_crop, mask_path, shows, truth_crop
from pcfh.errors import UserError
from pcfh.files import write_atomically
from pcfh.images import png_bytes

CAPTURE = "s1/NIR/00001/001.png"


@pytest.fixture
def capture():
    points = np.random.default_rng(0).uniform(60, 120, (68, 2))
    points[36:42], points[42:48] = (60.0, 70.0), (120.0, 80.0)
    points[48], points[54] = (70.0, 125.0), (105.0, 130.0)
    return Record(
        path=CAPTURE, subject="00001", modality="NIR", session="s1", landmarks=tuple(map(tuple, points))
    )


@pytest.mark.parametrize("size", [64, 144])
def test_the_mask_lies_on_the_true_image(tmp_path, capture, size):
    rows, columns = np.mgrid[:180, :200]
    skin = ((rows // 30 + columns // 30) % 2)[..., None].astype(np.uint8)
    write_atomically(tmp_path / mask_path(CAPTURE), png_bytes(skin * np.uint8(Region.SKIN), {}))
    write_atomically(tmp_path / TRUTH / CAPTURE, png_bytes(np.repeat(skin * 255, 3, axis=2), {}))
    truth, mask = truth_crop(tmp_path, capture, size), mask_crop(tmp_path, capture, size)
    assert ((truth[..., 0] > 127) == (mask == Region.SKIN)).mean() > 0.985  # but for pixels on edges


def test_an_absent_mask_is_named(tmp_path, capture):
    with pytest.raises(UserError, match="the mask of a NIR capture is absent; name the very database"):
        mask_crop(tmp_path, capture, 64)


def test_what_is_seen_through_a_lens_is_what_it_is():
    regions = np.array([[Region.IRIS, Region.IRIS + BEHIND_GLASS, Region.SKIN + BEHIND_GLASS]], np.uint8)
    assert shows(regions, Region.IRIS).tolist() == [[True, True, False]]
