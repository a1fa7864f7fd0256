"""Skin's optics: closed forms, published measurements and what is known of skin in NIR."""

import numpy as np
import pytest

from pcfh_render.bands import BANDS, LUMINANCE, WAVELENGTHS
from pcfh_render.skin import (
    BLOOD_LIMIT,
    MELANIN_LIMIT,
    REFERENCE_BLOOD,
    SURFACE_REFLECTION,
    SkinOptics,
    SkinTable,
    baseline_absorption,
    blood_absorption,
    blur_width_mm,
    dermis_scattering,
    ita,
    layer,
    lip_skin,
    melanin_absorption,
    melanin_of_ita,
    melanin_of_type,
    on_top,
    skin_albedo,
    skin_spectrum,
    thick_reflectance,
    through_surface,
)

TYPES = (1, 2, 3, 4, 5, 6)


def albedo(melanin, blood=REFERENCE_BLOOD):
    return skin_albedo(np.array(melanin), np.array(blood))


def measured(melanin, nm, blood=REFERENCE_BLOOD):
    """What an integrating sphere reads at one wavelength: diffuse light and the surface's."""
    spectrum = skin_spectrum(np.array(melanin), np.array(blood)) + SURFACE_REFLECTION
    return spectrum[nm == WAVELENGTHS].item()


def luminance(colour):
    return colour[:3] @ LUMINANCE


def test_a_layer_without_absorption_loses_no_light():
    reflected, passed = layer(np.full(3, 1e-7), np.array([20.0, 40.0, 60.0]), 0.1)
    assert reflected + passed == pytest.approx(np.ones(3), abs=1e-5)


def test_a_layer_without_absorption_reflects_as_kubelka_and_munk_say():
    reflected, _ = layer(np.array([1e-7]), np.array([40.0]), 0.1)
    assert reflected == pytest.approx([3.0 / (1 + 3.0)], abs=1e-5)


def test_a_layer_that_hardly_scatters_follows_lambert():
    _, passed = layer(np.array([5.0]), np.array([1e-3]), 0.1)
    assert passed == pytest.approx([np.exp(-2 * 5.0 * 0.1)], rel=1e-3)


def test_two_halves_make_the_whole_layer():
    absorption, scattering, ground = np.array([3.0]), np.array([30.0]), np.array([0.4])
    half = layer(absorption, scattering, 0.05)
    whole = layer(absorption, scattering, 0.1)
    assert on_top(half, on_top(half, ground)) == pytest.approx(on_top(whole, ground))


def test_a_very_thick_layer_is_the_endless_one():
    absorption, scattering = np.array([3.0]), np.array([30.0])
    assert layer(absorption, scattering, 10.0)[0] == pytest.approx(thick_reflectance(absorption, scattering))


def test_the_surface_of_perfectly_white_matter_keeps_all_that_entered():
    assert through_surface(np.array([1.0])) == pytest.approx([1 - SURFACE_REFLECTION])


@pytest.mark.parametrize(("nm", "expected"), [(540, 285.1), (850, 5.67)])
def test_oxygenated_blood_absorbs_as_tabulated(nm, expected):
    # 2.303 e x / 64500 with x = 150 g/l, and e = 53236 and 1058 per cm and mol/l.
    assert blood_absorption(1.0)[nm == WAVELENGTHS] == pytest.approx([expected], rel=0.01)


def test_blood_absorbs_alike_at_the_isosbestic_point_near_800_nm():
    at = WAVELENGTHS == 800
    assert blood_absorption(1.0)[at] == pytest.approx(blood_absorption(0.0)[at], rel=0.1)


def test_melanin_is_that_of_jacques_in_the_visible():
    assert melanin_absorption()[WAVELENGTHS == 550] == pytest.approx([494.0], rel=0.01)


def test_baseline_at_550_nm_is_one_per_centimetre():
    assert baseline_absorption()[WAVELENGTHS == 550] == pytest.approx([0.94], rel=0.02)


def test_dermis_scatters_as_given_at_500_nm():
    assert dermis_scattering(SkinOptics(scattering=50.0))[WAVELENGTHS == 500] == pytest.approx([50.0])


def test_more_melanin_is_darker_in_every_band():
    assert (np.diff(skin_albedo(np.linspace(0, 0.5, 20), np.full(20, 0.01)), axis=0) < 0).all()


def test_more_blood_darkens_green_most_and_nir_least():
    loss = 1 - albedo(0.02, 0.06) / albedo(0.02, 0.01)
    assert BANDS[loss.argmax()] == "G"
    assert BANDS[loss.argmin()] == "NIR"


def test_blood_without_oxygen_is_bluer():
    fresh = skin_albedo(np.array(0.02), np.array(0.08), SkinOptics(oxygenation=0.95))
    spent = skin_albedo(np.array(0.02), np.array(0.08), SkinOptics(oxygenation=0.3))
    assert spent[0] / spent[2] < fresh[0] / fresh[2]


def test_reddest_band_of_every_tone_is_r_and_the_weakest_b():
    for melanin in (melanin_of_type(kind, 0.5) for kind in TYPES):
        red, green, blue, _ = albedo(melanin)
        assert red > green > blue


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [(1, 55, 90), (2, 41, 55), (3, 28, 41), (4, 10, 28), (5, -30, 10), (6, -90, -30)],
)
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_albedo_of_a_skin_type_lies_in_its_published_class(kind, low, high, share):
    assert low < ita(albedo(melanin_of_type(kind, share))) < high


def test_melanin_of_an_angle_gives_that_angle():
    angles = np.array([-45.0, 0.0, 35.0, 60.0])
    melanin = melanin_of_ita(angles)
    blood = np.full(4, REFERENCE_BLOOD)
    assert ita(skin_albedo(melanin, blood)) == pytest.approx(angles, abs=0.2)


def test_darkest_and_lightest_skin_differ_in_nir_by_less_than_a_third_of_vis():
    lightest, darkest = albedo(melanin_of_type(1, 0.0)), albedo(melanin_of_type(6, 1.0))
    assert lightest[3] - darkest[3] < (luminance(lightest) - luminance(darkest)) / 3


@pytest.mark.parametrize("kind", [1, 2, 3, 4])
def test_lips_differ_from_skin_in_nir_by_less_than_a_quarter_of_vis(kind):
    melanin = np.array(melanin_of_type(kind, 0.5))
    skin, lips = albedo(melanin), skin_albedo(*lip_skin(melanin, np.array(REFERENCE_BLOOD)))
    in_vis = abs(luminance(lips) / luminance(skin) - 1)
    assert abs(lips[3] / skin[3] - 1) < in_vis / 4


@pytest.mark.parametrize("kind", [5, 6])
def test_lips_of_dark_skin_differ_in_colour_and_hardly_in_nir(kind):
    # Their luminance crosses the skin's, so the strongest of R, G and B is taken.
    melanin = np.array(melanin_of_type(kind, 0.5))
    skin, lips = albedo(melanin), skin_albedo(*lip_skin(melanin, np.array(REFERENCE_BLOOD)))
    relative = np.abs(lips / skin - 1)
    assert relative[3] < relative[:3].max() / 4


def test_melanin_spots_fade_in_nir():
    skin, freckle = albedo(0.02), albedo(0.06)
    in_vis = 1 - luminance(freckle) / luminance(skin)
    assert 1 - freckle[3] / skin[3] < in_vis / 8


@pytest.mark.parametrize(
    ("kind", "nm", "low", "high"),
    [
        (1, 550, 0.33, 0.42),
        (1, 650, 0.53, 0.62),
        (1, 850, 0.50, 0.65),
        (6, 550, 0.07, 0.12),
        (6, 850, 0.40, 0.56),
    ],
)
def test_reflectance_lies_in_the_range_of_published_spectra(kind, nm, low, high):
    assert low < measured(melanin_of_type(kind, 0.5), nm) < high


@pytest.mark.parametrize(
    ("kind", "share", "nist"),
    [(1, 0.0, (0.59, 0.6817)), (3, 0.5, (0.5259, 0.6650)), (6, 1.0, (0.4345, 0.5259))],
)
def test_reflectance_at_780_nm_agrees_with_the_100_people_of_nist(kind, share, nist):
    # Minimum 0.4345, 5 % 0.5259, 95 % 0.6650, maximum 0.6817 (Cooksey et al. 2017).
    assert nist[0] < measured(melanin_of_type(kind, share), 780) < nist[1]


def test_table_agrees_with_the_exact_albedo():
    rng = np.random.default_rng(0)
    melanin, blood = rng.uniform(0, MELANIN_LIMIT, 500), rng.uniform(0, BLOOD_LIMIT, 500)
    assert SkinTable()(melanin, blood) == pytest.approx(skin_albedo(melanin, blood), abs=1e-3)


def test_table_takes_textures():
    flat = SkinTable()(np.full(6, 0.1), np.full(6, 0.02))
    assert (SkinTable()(np.full((2, 3), 0.1), np.full((2, 3), 0.02)) == flat.reshape(2, 3, 4)).all()


def test_table_keeps_its_last_value_beyond_its_limits():
    edge = SkinTable()(np.array([MELANIN_LIMIT]), np.array([BLOOD_LIMIT]))
    assert SkinTable()(np.array([2.0]), np.array([1.0])) == pytest.approx(edge)


def test_blur_grows_with_wavelength():
    blue, green, red, nir = (blur_width_mm(band) for band in ("B", "G", "R", "NIR"))
    assert blue < green < red < nir


def test_nir_light_spreads_two_millimetres():
    assert 1.5 < blur_width_mm("NIR") < 3.0
