from collections import Counter

import numpy as np
import pytest
from PIL import Image

from pcfh.databases.buaa import colourfulness, read_buaa
from pcfh.databases.lists import Lists
from pcfh.databases.records import subjects
from pcfh.errors import UserError


@pytest.mark.parametrize("nir_is_even", [True, False])
@pytest.mark.parametrize("nir_channels", [1, 3])
def test_the_picture_and_not_the_number_tells_the_modality(tmp_path, builders, nir_is_even, nir_channels):
    root = builders["buaa"](tmp_path, people=2, nir_is_even=nir_is_even, nir_channels=nir_channels)
    nir = {r.path for r in read_buaa(root).records if r.modality == "NIR"}
    numbers = (2, 4, 6) if nir_is_even else (1, 3, 5)
    assert nir == {f"{person}/{n}.bmp" for person in (1, 2) for n in numbers}


def test_every_picture_on_disk_is_a_record(buaa):
    assert Counter(record.modality for record in read_buaa(buaa).records) == {"NIR": 18, "VIS": 24}


def test_a_third_of_the_people_trains(buaa):
    protocol = read_buaa(buaa).protocol("1")
    assert (len(subjects(protocol.train)), len(subjects(protocol.probe))) == (2, 4)


def test_one_vis_picture_of_each_other_person_is_enrolled_the_first(buaa):
    protocol = read_buaa(buaa).protocol("1")
    assert [r.path for r in protocol.gallery] == [f"{person}/1.bmp" for person in subjects(protocol.probe)]


def test_the_first_vis_picture_is_number_two_in_the_other_order(tmp_path, builders):
    protocol = read_buaa(builders["buaa"](tmp_path, nir_is_even=False)).protocol("1")
    assert {r.path.partition("/")[2] for r in protocol.gallery} == {"2.bmp"}


def test_probes_are_the_nir_pictures_of_the_shots(buaa):
    protocol = read_buaa(buaa).protocol("1")
    assert {r.path.partition("/")[2] for r in protocol.probe} == {"2.bmp", "4.bmp", "6.bmp"}


def test_nine_shots_of_each_person_take_part(tmp_path, builders):
    protocol = read_buaa(builders["buaa"](tmp_path, people=3, shots=11)).protocol("1")
    counts = Counter((r.subject, r.modality) for r in (*protocol.train, *protocol.probe))
    assert set(counts.values()) == {9}


def test_training_holds_both_pictures_of_a_shot(tmp_path, builders):
    train = read_buaa(builders["buaa"](tmp_path, people=3, shots=11)).protocol("1").train
    numbers = [int(r.path.partition("/")[2].partition(".")[0]) for r in train]
    assert [n for n in numbers if n % 2 == 0] == [n + 1 for n in numbers if n % 2]


def test_a_person_without_a_shot_in_both_lights_is_left_out_and_noted(buaa):
    for n in (2, 4, 6):
        (buaa / "3" / f"{n}.bmp").unlink()
    database = read_buaa(buaa)
    assert "1 people have no shot in both lights and are left out: 3" in database.notes
    assert "3" not in subjects((*database.protocol("1").train, *database.protocol("1").gallery))


def test_case_extension_and_leading_zeros_are_free(buaa):
    (buaa / "1").rename(buaa / "001")
    (buaa / "001" / "2.bmp").rename(buaa / "001" / "02.BMP")
    record = next(r for r in read_buaa(buaa).records if r.path == "001/02.BMP")
    assert (record.subject, record.modality) == ("1", "NIR")


def test_own_lists_take_the_place_of_the_draw(buaa, listed):
    listed(buaa / "test_vis_paths.txt", [r"4\1.bmp", r"5\1.bmp"])
    listed(buaa / "test_nir_paths.txt", [r"4\2.bmp 4", r"5\4.bmp 5"])
    lists = Lists(gallery=buaa / "test_vis_paths.txt", probe=buaa / "test_nir_paths.txt")
    protocol = read_buaa(buaa, lists=lists).protocol("own")
    assert [r.path for r in (*protocol.gallery, *protocol.probe)] == [
        "4/1.bmp",
        "5/1.bmp",
        "4/2.bmp",
        "5/4.bmp",
    ]


def test_a_copy_converted_to_grey_is_refused(buaa):
    for path in buaa.rglob("*.bmp"):
        Image.open(path).convert("L").save(path)
    with pytest.raises(UserError, match="expected grey NIR and coloured VIS pictures, all 42 are grey"):
        read_buaa(buaa)


def test_two_copies_of_a_picture_are_refused(buaa, drawn):
    drawn(buaa / "1" / "1.png")
    with pytest.raises(UserError, match="are the same capture"):
        read_buaa(buaa)


def test_a_damaged_picture_is_named_and_the_rest_is_read(buaa):
    (buaa / "1" / "1.bmp").write_bytes(b"BM")
    database = read_buaa(buaa)
    assert len(database.records) == 41
    assert "1 pictures cannot be read; left out, e.g. " in database.notes[0]
    assert "1.bmp: not a whole image" in database.notes[0]


def tint(path, weights):
    """Weighs the channels of a picture."""
    pixels = np.asarray(Image.open(path).convert("RGB")) * np.array(weights)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


def test_a_nir_picture_with_a_cast_stays_a_probe(buaa):
    tint(buaa / "1" / "2.bmp", (1.04, 1, 0.96))
    records = {record.path: record.modality for record in read_buaa(buaa).records}
    assert (records["1/2.bmp"], records["1/1.bmp"]) == ("NIR", "VIS")


def test_a_pale_vis_picture_is_never_a_probe(buaa):
    picture = np.asarray(Image.open(buaa / "1" / "1.bmp").convert("RGB")).astype(float)
    luma = picture.mean(2, keepdims=True)
    Image.fromarray((luma + 0.05 * (picture - luma)).astype(np.uint8)).save(buaa / "1" / "1.bmp")
    records = {record.path: record.modality for record in read_buaa(buaa).records}
    assert (records["1/2.bmp"], records["1/1.bmp"]) == ("NIR", "VIS")


def test_a_shot_that_says_the_opposite_of_the_others_is_left_out_and_noted(buaa):
    for name, other in (("1", "swap"), ("2", "1"), ("swap", "2")):
        (buaa / "1" / f"{name}.bmp").rename(buaa / "1" / f"{other}.bmp")
    database = read_buaa(buaa)
    assert not {"1/1.bmp", "1/2.bmp"} & {record.path for record in database.records}
    assert "2 pictures of shots may be either the NIR or the VIS one by their colours" in database.notes[0]


def picture(*, colour, level):
    """A ramp of grey up to a level, its red channel raised by a part of it."""
    ramp = np.linspace(level / 4, level, 64 * 64).reshape(64, 64, 1)
    return np.clip(ramp * np.array([1 + colour, 1, 1]), 0, 255).round().astype(np.uint8)


@pytest.mark.parametrize("level", [12, 60, 200])
def test_equal_channels_are_grey_at_any_brightness(level):
    assert colourfulness(picture(colour=0.0, level=level)) == 0


@pytest.mark.parametrize("level", [12, 60, 200])
def test_a_fifth_more_red_is_colour_at_any_brightness(level):
    assert colourfulness(picture(colour=0.2, level=level)) > 0.1


def test_jpeg_leaves_a_grey_picture_grey(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 1), dtype=np.uint8).repeat(3, 2)
    Image.fromarray(noise).save(tmp_path / "a.jpg", quality=60)
    assert colourfulness(np.asarray(Image.open(tmp_path / "a.jpg"))) < 0.03
