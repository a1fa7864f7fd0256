"""Bytes to pixels: no trace on the disk, points that stay where they were."""

import os
import tempfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pcfh.errors import UserError
from pcfh.images import jpeg_bytes, png_bytes
from pcfh.web.decode import decode, preview

PIXELS = np.random.default_rng(0).integers(0, 256, (30, 50, 3), np.uint8)


def test_a_decoded_png_is_the_picture_that_was_encoded():
    np.testing.assert_array_equal(decode(png_bytes(PIXELS, {}), megapixels=1).pixels, PIXELS)


@pytest.mark.parametrize("kind", ["JPEG", "BMP", "TIFF", "WEBP"])
def test_other_formats_are_decoded(kind):
    buffer = BytesIO()
    Image.fromarray(PIXELS).save(buffer, kind)
    assert decode(buffer.getvalue(), megapixels=1).pixels.shape == PIXELS.shape


def test_an_upload_never_has_a_name_in_a_file_system(monkeypatch, tmp_path):
    monkeypatch.setattr("pcfh.web.decode._IN_MEMORY", tmp_path)
    seen, close = [], os.close
    monkeypatch.setattr(os, "close", lambda number: (seen.append(list(tmp_path.iterdir())), close(number)))
    decode(png_bytes(PIXELS, {}), megapixels=1)
    assert list(tmp_path.iterdir()) == [] and not any(seen)


def test_uploads_are_decoded_where_there_is_no_file_system_in_memory(monkeypatch):
    monkeypatch.setattr("pcfh.web.decode._IN_MEMORY", Path("/nowhere"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    np.testing.assert_array_equal(decode(png_bytes(PIXELS, {}), megapixels=1).pixels, PIXELS)


def test_an_empty_file_is_refused():
    with pytest.raises(UserError, match="the file is empty"):
        decode(b"", megapixels=1)


def test_one_pixel_over_the_limit_is_refused():
    large = np.zeros((1000, 1001, 3), np.uint8)
    with pytest.raises(UserError, match="has 1001 x 1000 pixels; the limit is 1 million"):
        decode(png_bytes(large, {}), megapixels=1)


def test_a_small_photograph_is_shown_as_it_is():
    image, points = preview(PIXELS, np.array([[3.0, 4.0]]))
    np.testing.assert_array_equal(image, PIXELS)
    np.testing.assert_allclose(points, [[3, 4]])


def test_a_point_stays_on_its_spot_of_a_shrunken_photograph():
    image = np.zeros((900, 1440, 3), np.uint8)
    image[400:404, 800:804] = 255  # centred at (801.5, 401.5)
    small, points = preview(image, np.array([[801.5, 401.5]]))
    y, x = np.unravel_index(small[..., 0].astype(int).argmax(), small.shape[:2])
    assert np.abs(points[0] - (x, y)).max() <= 0.5


def test_jpeg_previews_carry_no_metadata():
    assert not Image.open(BytesIO(jpeg_bytes(PIXELS))).getexif()
