import io
import random
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from pcfh.errors import UserError
from pcfh.images import grey, read_image, read_picture, write_png
from tests.small_database import SAMPLE


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


def upright(image, turn):
    """As Pillow shows a picture of this orientation."""
    exif = Image.Exif()
    exif[0x0112] = turn
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", exif=exif)
    return np.asarray(ImageOps.exif_transpose(Image.open(buffer)))


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.webp", {"lossless": True}),
        ("a.tif", {}),
        ("a.tif", {"compression": "tiff_lzw"}),
    ],
)
def test_the_orientation_of_exif_is_applied(tmp_path, turn, name, options):
    image = random_image(5, 7, 3)
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.fromarray(image).save(tmp_path / name, exif=exif, **options)
    assert np.array_equal(read_image(tmp_path / name), upright(image, turn))


def test_the_orientation_of_xmp_is_applied_where_exif_has_none(tmp_path):
    image = random_image(5, 7, 3)
    packet = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", packet)
    Image.fromarray(image).save(tmp_path / "a.png", pnginfo=text)
    assert np.array_equal(read_image(tmp_path / "a.png"), upright(image, 6))


def random_exif(rng, turn):
    """A block of entries of odd types, counts and values, among them the orientation."""
    order = rng.choice("<>")
    entries = [
        struct.pack(
            f"{order}HHII",
            rng.choice((0x10F, 0x11A, 0x131, 0x132, 0x8769, 0x8825, rng.randrange(0x113, 0xFFFF))),
            rng.choice((0, 1, 2, 3, 5, 7, 12, 99)),
            rng.choice((0, 1, 5, 1000, 2**31)),
            rng.randrange(2**32),
        )
        for _ in range(rng.randrange(8))
    ]
    entries.insert(rng.randrange(len(entries) + 1), struct.pack(f"{order}HHIHH", 0x112, 3, 1, turn, 0))
    head = b"II*\0" if order == "<" else b"MM\0*"
    end = struct.pack(f"{order}I", 2**31) + rng.randbytes(40)
    return b"".join((head, struct.pack(f"{order}IH", 8, len(entries)), *entries, end))


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_no_metadata_keep_an_intact_picture_from_being_read_upright(tmp_path, name):
    rng = random.Random(0)
    image = np.asarray(Image.fromarray(random_image(4, 4, 3)).resize((24, 16)))
    options = {"lossless": True} if name == "a.webp" else {}
    Image.fromarray(image).save(tmp_path / name, **options)
    plain = read_image(tmp_path / name)
    for _ in range(60):
        turn = rng.randrange(1, 9)
        Image.fromarray(image).save(tmp_path / name, exif=random_exif(rng, turn), **options)
        assert np.array_equal(read_image(tmp_path / name), upright(plain, turn))


def test_a_png_with_megabytes_of_text_and_profile_is_read(tmp_path):
    text = PngInfo()
    text.add_text("Comment", "x" * 3_000_000, zip=True)
    image = random_image(5, 7, 3)
    Image.fromarray(image).save(tmp_path / "a.png", pnginfo=text, icc_profile=bytes(3_000_000))
    assert np.array_equal(read_image(tmp_path / "a.png"), image)


def test_damage_of_any_kind_is_one_type_of_error(tmp_path):
    rng, seeds = random.Random(0), []
    for form, options in (("JPEG", {}), ("PNG", {}), ("WEBP", {}), ("BMP", {}), ("GIF", {}), ("TIFF", {})):
        buffer = io.BytesIO()
        Image.fromarray(random_image(16, 16, 3)).save(buffer, form, **options)
        seeds.append(buffer.getvalue())
    read = 0
    for _ in range(400):
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.choice((1, 4, 20))):
            data[rng.randrange(min(len(data), 300))] = rng.randrange(256)
        (tmp_path / "a.img").write_bytes(data[: rng.choice((None, rng.randrange(len(data))))])
        try:
            read += read_image(tmp_path / "a.img").dtype == np.uint8
        except UserError as error:
            assert "a.img: " in str(error)
    assert read > 20


def test_planar_16_bit_tiff_is_refused(tmp_path):
    """Three planes of 4 x 4 by hand, since no library here writes them."""
    plane = bytes(32)
    values = ((256, 4), (257, 4), (258, 3, 200), (259, 1), (262, 2), (273, 3, 206), (277, 3), (278, 4))
    entries = [(tag, 3, rest[0] if rest[1:] else 1, rest[-1]) for tag, *rest in values]
    entries += [(279, 3, 3, 218), (284, 3, 1, 2)]
    directory = b"".join(
        struct.pack("<HHII", tag, 4 if tag == 273 else kind, n, v) for tag, kind, n, v in entries
    )
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4)
    tail = struct.pack("<3H3I3H", 16, 16, 16, 224, 256, 288, 32, 32, 32)
    (tmp_path / "a.tif").write_bytes(head.ljust(200, b"\0") + tail + 3 * plane)
    with pytest.raises(UserError, match="more than 8 bits"):
        read_image(tmp_path / "a.tif")


def test_bmp_of_16_bits_a_pixel_is_read(tmp_path):
    """Red, green and blue of 5 bits each."""
    row = struct.pack("<4H", 31 << 10, 31 << 5, 31, 0)
    head = struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 62, 0, 0, 54, 40, 4, 1, 1, 16, 0, 8, 0, 0, 0, 0)
    (tmp_path / "a.bmp").write_bytes(head + row)
    assert read_image(tmp_path / "a.bmp")[0].tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255], [0, 0, 0]]


def test_the_first_picture_of_a_phones_double_photograph_is_read(tmp_path):
    first, second = (Image.fromarray(np.full((16, 16, 3), value, np.uint8)) for value in (200, 10))
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[second])
    assert read_image(tmp_path / "a.jpg").min() > 190


def ramp_of(bits):
    """Grey pixels from 0 to the largest of some bits, and how they look with 8."""
    deep = np.linspace(0, 2**bits - 1, 16 * 16).round().reshape(16, 16).astype(np.uint16)
    return deep, (deep * (255 / (2**bits - 1))).round()


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_deep_grey_is_scaled_by_its_largest_value_and_says_so(tmp_path, name, bits):
    deep, expected = ramp_of(bits)
    Image.fromarray(deep).save(tmp_path / name)
    picture = read_picture(tmp_path / name)
    assert np.array_equal(picture.pixels[..., 1], expected)
    assert picture.note == (
        f"has more than 8 bits, whose largest value, {2**bits - 1:,}, was taken for white"
    )


def test_deep_grey_is_scaled_by_the_white_that_a_tiff_declares(tmp_path):
    deep, _ = ramp_of(10)
    Image.fromarray(deep).save(tmp_path / "a.tif", tiffinfo={281: 2046})
    picture = read_picture(tmp_path / "a.tif")
    assert picture.pixels.max() == round(255 / 2)
    assert picture.note == "has more than 8 bits, as the file says"


@pytest.mark.parametrize("white", [127, 255, 1023, 65_535])
def test_a_pgm_is_scaled_by_the_white_that_it_declares(tmp_path, white):
    half = np.full((4, 6), white // 2, ">u2" if white > 255 else "u1")
    (tmp_path / "a.pgm").write_bytes(b"P5\n6 4\n%d\n" % white + half.tobytes())
    pixels = read_image(tmp_path / "a.pgm")
    assert pixels.shape == (4, 6, 3)
    assert np.abs(pixels - 255 * (white // 2) / white).max() <= 0.5


def test_deep_grey_that_is_black_stays_black(tmp_path):
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "a.png")
    assert not read_image(tmp_path / "a.png").any()


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.gif"])
def test_a_palette_gives_the_colours_that_it_holds(tmp_path, name):
    image = Image.fromarray(random_image(4, 4, 3)).quantize(16)
    image.save(tmp_path / name)
    assert np.array_equal(read_image(tmp_path / name), np.asarray(image.convert("RGB")))


def test_numbers_below_zero_are_refused(tmp_path):
    """A TIFF of signed bytes by hand: 4 x 4 of them."""
    values = ((256, 4), (257, 4), (258, 8), (259, 1), (262, 1), (273, 130), (277, 1), (278, 4), (279, 16))
    entries = b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in (*values, (339, 2)))
    head = b"II*\0" + struct.pack("<IH", 8, len(values) + 1) + entries + bytes(4)
    (tmp_path / "a.tif").write_bytes(head.ljust(130, b"\0") + bytes(range(16)))
    with pytest.raises(UserError, match="has numbers below zero and no known scale"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize(("colour_type", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_16_bit_colour_is_refused_though_pillow_would_drop_the_lower_bits(tmp_path, colour_type, channels):
    data = b"".join(b"\0" + bytes(4 * channels * 2) for _ in range(4))
    (tmp_path / "a.png").write_bytes(png_of(4, 4, 16, colour_type, data))
    with pytest.raises(UserError, match="more than 8 bits"):
        read_image(tmp_path / "a.png")


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


@pytest.mark.parametrize(
    ("mode", "name", "said"),
    [
        ("F", "a.tif", "numbers with fractions and no known scale; convert it to 8-bit"),
        ("I", "a.tif", "numbers below zero"),
        ("CMYK", "a.jpg", r"a\.jpg: is CMYK; convert it to RGB"),
        ("1", "a.png", "one bit per pixel; convert it to 8-bit grey"),
        ("LAB", "a.tif", "pixels of the kind LAB; convert it to RGB"),
    ],
)
def test_pixels_of_another_kind_are_refused_by_their_name(tmp_path, mode, name, said):
    Image.new(mode, (4, 4)).save(tmp_path / name)
    with pytest.raises(UserError, match=said) as refused:
        read_image(tmp_path / name)
    assert str(refused.value).count(name) == 1


@pytest.mark.parametrize("modality", ["NIR", "VIS"])
def test_what_is_read_may_be_written_to(modality):
    pixels = read_image(SAMPLE / f"s2/{modality}/00185/001.jpg")
    assert pixels.flags.writeable and pixels.flags.c_contiguous
