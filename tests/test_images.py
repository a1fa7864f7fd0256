import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from pcfh.errors import UserError
from pcfh.images import grey, read_image, write_png


def png_of(width, height, depth, colour_type, data=b""):
    """A PNG by hand, for what no library writes."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def random_image(*shape):
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


def test_rgb_comes_back_as_it_was(tmp_path):
    image = random_image(5, 7, 3)
    Image.fromarray(image).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png"), image)


def test_grey_becomes_three_equal_channels(tmp_path):
    image = random_image(5, 7)
    Image.fromarray(image).save(tmp_path / "a.bmp")
    assert np.array_equal(read_image(tmp_path / "a.bmp"), np.stack([image] * 3, -1))


def test_alpha_is_dropped_and_not_blended(tmp_path):
    image = random_image(5, 7, 4)
    image[..., 3] = 0
    Image.fromarray(image).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png"), image[..., :3])


def test_grey_with_alpha_loses_its_alpha(tmp_path):
    image = random_image(5, 7, 2)
    Image.fromarray(image, "LA").save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png"), np.repeat(image[..., :1], 3, -1))


def test_the_orientation_of_exif_is_applied(tmp_path):
    image = random_image(5, 7, 3)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    Image.fromarray(image).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "a.png"), np.rot90(image, -1))


def test_the_first_picture_of_a_phones_double_photograph_is_read(tmp_path):
    first, second = (Image.fromarray(np.full((16, 16, 3), value, np.uint8)) for value in (200, 10))
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[second])
    assert read_image(tmp_path / "a.jpg").min() > 190


def test_16_bit_grey_is_refused(tmp_path):
    Image.fromarray(random_image(5, 7).astype(np.uint16) * 256).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png: has more than 8 bits .* convert it to 8-bit"):
        read_image(tmp_path / "a.png")


def test_16_bit_grey_tiff_is_refused(tmp_path):
    Image.fromarray(random_image(5, 7).astype(np.uint16)).save(tmp_path / "a.tif", compression="tiff_lzw")
    with pytest.raises(UserError, match="more than 8 bits"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize(("colour_type", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_16_bit_colour_is_refused_though_pillow_would_drop_the_lower_bits(tmp_path, colour_type, channels):
    data = b"".join(b"\0" + bytes(4 * channels * 2) for _ in range(4))
    (tmp_path / "a.png").write_bytes(png_of(4, 4, 16, colour_type, data))
    with pytest.raises(UserError, match="more than 8 bits"):
        read_image(tmp_path / "a.png")


def test_floating_point_is_refused(tmp_path):
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(UserError, match="more than 8 bits"):
        read_image(tmp_path / "a.tif")


def test_cmyk_is_refused(tmp_path):
    Image.new("CMYK", (4, 4)).save(tmp_path / "a.jpg")
    with pytest.raises(UserError, match=r"a\.jpg: is CMYK; convert it to RGB"):
        read_image(tmp_path / "a.jpg")


def test_a_palette_is_refused(tmp_path):
    Image.fromarray(random_image(8, 8, 3)).quantize(8).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="palette; convert it to RGB"):
        read_image(tmp_path / "a.png")


def test_bilevel_is_refused(tmp_path):
    Image.new("1", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="one bit per pixel; convert it to 8-bit grey"):
        read_image(tmp_path / "a.png")


def test_another_colour_space_is_refused_by_its_name(tmp_path):
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    lab = ImageCms.applyTransform(Image.new("RGB", (4, 4)), to_lab)
    assert lab is not None
    lab.save(tmp_path / "a.tif")
    with pytest.raises(UserError, match="pixels of the kind LAB; convert it to RGB"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.tif"])
def test_several_frames_are_refused(tmp_path, name):
    frames = [Image.fromarray(random_image(8, 8, 3) // n) for n in (1, 2)]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    with pytest.raises(UserError, match="several frames; save the one you mean"):
        read_image(tmp_path / name)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.bmp", "a.tif", "a.webp"])
def test_a_truncated_file_is_refused(tmp_path, name):
    Image.fromarray(random_image(40, 40, 3)).save(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=rf"{name}: not a whole image .* replace it"):
        read_image(tmp_path / name)


@pytest.mark.parametrize("data", [b"", b"no image at all", b"\xff\xd8\xff", b"BM"])
def test_what_is_no_image_is_refused(tmp_path, data):
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(UserError, match="not a whole image"):
        read_image(tmp_path / "a.jpg")


def test_a_bad_file_is_named_once(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no image at all")
    with pytest.raises(UserError) as refused:
        read_image(tmp_path / "a.jpg")
    assert str(refused.value).count("a.jpg") == 1


def test_a_file_that_needs_a_foreign_program_is_never_opened(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    with pytest.raises(UserError, match="not a whole image"):
        read_image(tmp_path / "a.jpg")


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"gone\.png: no such file"):
        read_image(tmp_path / "gone.png")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="not a whole image"):
        read_image(tmp_path)


@pytest.mark.parametrize("size", [(40_000, 10), (10, 16_385), (9_000, 8_000)])
def test_too_large_an_image_is_refused_by_its_header(tmp_path, size):
    (tmp_path / "a.png").write_bytes(png_of(*size, 8, 2))
    with pytest.raises(UserError, match=rf"has {size[0]} x {size[1]} pixels; the limits .* shrink it"):
        read_image(tmp_path / "a.png")


def test_the_largest_side_is_allowed(tmp_path):
    Image.new("L", (16_384, 2)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").shape == (2, 16_384, 3)


def test_a_decompression_bomb_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(png_of(60_000, 60_000, 8, 2))
    with pytest.raises(UserError, match="too large to be a face image"):
        read_image(tmp_path / "a.png")


def test_an_empty_image_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(png_of(0, 5, 8, 2))
    with pytest.raises(UserError, match=r"a\.png: not a whole image"):
        read_image(tmp_path / "a.png")


def test_grey_of_equal_channels_is_that_channel():
    channel = random_image(6, 6, 1)
    assert np.array_equal(grey(np.repeat(channel, 3, -1)), channel)


def test_grey_weighs_the_channels_as_bt_601():
    image = random_image(6, 6, 3)
    luma = image @ np.array([0.299, 0.587, 0.114])
    assert np.abs(grey(image)[..., 0] - luma).max() <= 0.51


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_keeps_pixels_and_number_of_channels(tmp_path, channels):
    image = random_image(5, 7, channels)
    write_png(tmp_path / "a.png", image, {})
    with Image.open(tmp_path / "a.png") as opened:
        assert np.array_equal(np.asarray(opened).reshape(image.shape), image)


def test_a_png_carries_text_of_any_script(tmp_path):
    text = {"Comment": "synthetic face", "Author": "王 – é"}
    write_png(tmp_path / "a.png", random_image(5, 7, 3), text)
    with Image.open(io.BytesIO((tmp_path / "a.png").read_bytes())) as opened:
        assert {key: str(value) for key, value in opened.info.items()} == text
