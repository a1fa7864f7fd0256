"""Lights and sensors against published numbers of colorimetry."""

import numpy as np
import pytest

from pcfh_render.bands import (
    LUMINANCE,
    WAVELENGTHS,
    band_reflectance,
    band_weights,
    blackbody,
    daylight,
    lab,
    led,
    light_colour,
    observer,
    sensors,
    vis_light,
)


def chromaticity(spectrum):
    x, y, z = spectrum @ observer()
    return np.array([x, y]) / (x + y + z)


@pytest.mark.parametrize(
    ("cct", "expected"), [(5003.0, (0.3457, 0.3585)), (6504.0, (0.3127, 0.3290)), (7504.0, (0.2990, 0.3149))]
)
def test_daylight_has_the_chromaticity_that_the_cie_tabulates(cct, expected):
    assert chromaticity(daylight(cct)) == pytest.approx(expected, abs=0.003)


def test_blackbody_of_2856_kelvin_is_illuminant_a():
    assert chromaticity(blackbody(2856.0)) == pytest.approx((0.4476, 0.4074), abs=0.003)


def test_daylight_is_one_at_560_nm():
    assert daylight(5503.0)[WAVELENGTHS == 560] == pytest.approx(1.0, abs=1e-3)


def test_warm_and_cold_lights_meet_at_4000_kelvin():
    assert chromaticity(vis_light(3999.9)) == pytest.approx(chromaticity(vis_light(4000.0)), abs=0.008)


def test_the_observer_sees_daylight_as_the_white_of_srgb():
    seen = daylight(6504.0) @ sensors()[:, :3]
    assert seen / seen[1] == pytest.approx(np.ones(3), abs=0.02)


def test_every_grey_keeps_its_reflectance_in_every_band_and_light():
    grey = np.full((2, len(WAVELENGTHS)), [[0.18], [0.9]])
    seen = band_reflectance(grey, 3000.0)
    assert seen == pytest.approx(np.array([[0.18] * 4, [0.9] * 4]))


def test_band_weights_sum_to_one():
    assert band_weights(2800.0).sum(0) == pytest.approx(np.ones(4))


@pytest.mark.parametrize(("band", "nm"), [(0, 610), (1, 545), (2, 450), (3, 850)])
def test_bands_peak_where_cameras_do(band, nm):
    assert WAVELENGTHS[band_weights()[:, band].argmax()] == pytest.approx(nm, abs=15)


def test_visible_bands_do_not_see_the_infrared_and_nir_does_not_see_the_visible():
    response = np.abs(sensors()) / sensors().max(0)
    assert response[WAVELENGTHS > 750, :3].max() < 1e-3
    assert response[WAVELENGTHS < 700, 3].max() < 1e-3


def test_led_has_half_its_power_at_half_its_width():
    assert led(850.0, 40.0)[np.isin(WAVELENGTHS, (830, 850, 870))] == pytest.approx([0.5, 1.0, 0.5])


def test_lamps_are_orange_and_the_sky_is_blue():
    lamp, sky = light_colour(2800.0), light_colour(9000.0)
    assert lamp[0] > 1 > lamp[2]
    assert sky[0] < 1 < sky[2]


def test_lab_of_srgb_red_is_the_published_one():
    assert lab(np.array([1.0, 0.0, 0.0])) == pytest.approx((53.24, 80.09, 67.20), abs=0.1)


def test_lab_of_dark_grey_follows_the_straight_part():
    assert lab(np.full(3, 0.001))[0] == pytest.approx(903.3 * 0.001, rel=1e-3)


def test_luminance_weights_are_those_of_srgb():
    assert pytest.approx((0.2126, 0.7152, 0.0722), abs=1e-3) == LUMINANCE
