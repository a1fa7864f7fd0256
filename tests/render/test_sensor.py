"""What cameras do to a picture, each thing alone: closed forms and hand-made cases."""

from dataclasses import fields, replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from pcfh.nir_cameras import KINDS, MARGINS, Capture, draw_capture
from pcfh_render.sensor import captured, flash_field

SIDE = 64
GREY = np.full((SIDE, SIDE), 0.2)
ROUGH = np.random.default_rng(1).uniform(0.1, 0.4, (SIDE, SIDE))
FACE = gaussian_filter(np.random.default_rng(0).uniform(0, 1, (SIDE, SIDE)), 2.0)


def srgb(light):
    return np.rint(255 * (1.055 * light ** (1 / 2.4) - 0.055))


def taken(light=GREY, seed=1, **changes):
    return captured(light, Capture(**changes), seed).astype(float)


def test_a_camera_that_does_nothing_codes_the_light():
    assert (taken() == srgb(np.rint(0.2 * 1023) / 1023)).all()


@pytest.mark.parametrize("stops", [-3.0, -1.0, 1.0])
def test_a_stop_is_twice_the_light(stops):
    assert np.abs(taken(stops=stops) - srgb(0.2 * 2**stops)).max() <= 1


def test_black_is_lifted_or_cut_off():
    assert (taken(np.zeros((SIDE, SIDE)), black=0.1) == np.rint(25.5)).all()
    assert (taken(np.full((SIDE, SIDE), 0.0005), black=-0.03) == 0).all()


def test_without_a_shoulder_light_is_clipped_and_with_one_it_is_told_apart():
    bright = np.where(np.arange(SIDE) < 32, 1.1, 1.5) * np.ones((SIDE, 1))
    assert (taken(bright) == 255).all()
    assert taken(bright, shoulder=0.4)[0, 0] < taken(bright, shoulder=0.4)[0, -1]


def test_the_corners_lose_the_share_of_the_vignette_and_the_middle_none():
    field = flash_field(65, Capture(vignette=0.4))
    assert field[32, 32] == pytest.approx(1)
    assert field[0, 0] == pytest.approx(0.6)


def test_the_flash_is_brighter_on_its_side():
    field = flash_field(65, Capture(slope=0.5, slope_angle=0.0))
    assert field[32, -1] / field[32, 0] == pytest.approx(np.exp(1.0))


@pytest.mark.parametrize(
    "kind",
    [{"defocus": 0.06}, {"motion": 0.12}, {"denoise": 1.0}, {"shrink": 4.0}],
    ids=lambda kind: next(iter(kind)),
)
def test_what_blurs_takes_detail_and_no_light(kind):
    blurred, sharp = taken(ROUGH, **kind), taken(ROUGH)
    assert np.abs(np.diff(blurred, axis=1)).mean() < 0.6 * np.abs(np.diff(sharp, axis=1)).mean()
    assert blurred.mean() == pytest.approx(sharp.mean(), rel=0.03)


def test_motion_blurs_along_its_way_only():
    stripes = np.tile(np.where(np.arange(SIDE) % 8 < 4, 0.1, 0.4), (SIDE, 1))
    along, across = (taken(stripes, motion=0.12, motion_angle=angle) for angle in (0.0, np.pi / 2))
    assert np.ptp(along[:, 8:-8]) < 0.6 * np.ptp(taken(stripes))
    assert np.array_equal(across, taken(stripes))


def test_bloom_spreads_what_overflows_and_nothing_else():
    lamp = GREY.copy()
    lamp[30:34, 30:34] = 20.0
    assert taken(lamp, bloom=0.1)[32, 40] > taken(lamp)[32, 40] + 5
    assert np.array_equal(taken(bloom=0.1), taken())


def test_noise_has_the_deviation_that_is_asked_for():
    noisy = taken(noise=0.01, levels=1e6) / 255
    light = ((noisy + 0.055) / 1.055) ** 2.4
    assert light.std() == pytest.approx(0.01 * np.sqrt(1 + 16 * 0.2), rel=0.1)


def test_few_levels_leave_few_greys():
    assert len(np.unique(taken(FACE, levels=24.0))) <= 25


def test_every_second_row_is_shifted_by_an_interlaced_sensor():
    shifted, plain = taken(FACE, interlace=0.05), taken(FACE)
    assert np.array_equal(shifted[::2], plain[::2])
    assert np.array_equal(shifted[1::2], np.roll(plain[1::2], 3, 1))


def test_dots_make_a_bright_spot_of_every_pitch():
    dotted = taken(dots=0.5, dot_pitch=0.125)
    assert dotted.max() > taken().max() > dotted.min()
    peaks = (dotted == dotted.max()).sum()
    assert 1 <= peaks <= 64


def test_compression_is_a_jpeg_step():
    assert not np.array_equal(taken(FACE, quality=20.0), taken(FACE))
    assert np.abs(taken(FACE, quality=20.0) - taken(FACE)).mean() < 10


@pytest.mark.parametrize("margin", [name for name in MARGINS if name != "none"])
def test_margins_leave_the_middle_as_it_is(margin):
    bordered = taken(FACE, margin=margin, margin_width=0.1)
    assert np.array_equal(bordered[16:48, 16:48], taken(FACE)[16:48, 16:48])
    assert not np.array_equal(bordered, taken(FACE))


def test_the_same_seed_takes_the_same_picture_and_another_one_another():
    busy = replace(draw_capture(np.random.default_rng(3)), noise=0.01)
    assert np.array_equal(captured(FACE, busy, 1), captured(FACE, busy, 1))
    assert not np.array_equal(captured(FACE, busy, 1), captured(FACE, busy, 2))


def test_what_is_drawn_lies_within_its_range_and_is_there_as_often_as_its_share_says():
    rng = np.random.default_rng(0)
    drawn = [draw_capture(rng) for _ in range(6000)]
    names = {field.name for field in fields(Capture)} - {"margin", "margin_width"}
    assert set(KINDS) == names
    for name, kind in KINDS.items():
        values = np.array([getattr(capture, name) for capture in drawn])
        present = values[values != kind.without]
        assert kind.low <= present.min() and present.max() <= kind.high
        assert len(present) / len(values) == pytest.approx(kind.share, abs=0.03)


def test_exposures_span_five_stops():
    assert KINDS["stops"].high - KINDS["stops"].low == pytest.approx(5)
