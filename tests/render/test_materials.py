"""Hair, eyes, mouth and cloth: what is known of them in VIS and NIR."""

import numpy as np
import pytest

from pcfh_render.bands import LUMINANCE
from pcfh_render.materials import (
    IRIS_KINDS,
    cloth,
    curtain,
    dyed,
    frame,
    gums,
    hair,
    iris,
    lips,
    paint,
    pupil,
    sclera,
    teeth,
    tongue,
    wood,
)
from pcfh_render.skin import skin_albedo

DRAWN = {
    "cloth": cloth,
    "curtain": curtain,
    "paint": paint,
    "wood": wood,
    "plastic": lambda rng: frame("plastic", rng),
    "metal": lambda rng: frame("metal", rng),
}


def luminance(colour):
    return colour[:3] @ LUMINANCE


def test_black_hair_is_dark_in_vis_and_nir():
    black = hair(3.0, 0.1)
    assert luminance(black) < 0.05
    assert black[3] < 0.15


def test_blond_and_red_hair_are_much_lighter_in_nir():
    for eumelanin, pheomelanin in ((0.06, 0.04), (0.03, 0.3)):
        colour = hair(eumelanin, pheomelanin)
        assert colour[3] > 0.25
        assert colour[3] > 2 * luminance(colour)


def test_pheomelanin_makes_hair_redder_than_as_much_eumelanin_does():
    red, brown = hair(0.0, 0.3), hair(0.3, 0.0)
    assert red[0] / red[1] > brown[0] / brown[1]


def test_hair_without_pigment_is_white_whatever_was_there():
    assert hair(4.0, 0.3, 1.0) == pytest.approx(hair(0.0, 0.0))


def test_half_grey_hair_lies_halfway():
    assert hair(1.0, 0.1, 0.5) == pytest.approx((hair(1.0, 0.1) + hair(0.0, 0.0)) / 2)


@pytest.mark.parametrize("kind", ["dark_brown", "brown"])
def test_dark_irises_are_lighter_in_nir(kind):
    assert iris(kind)[3] > 1.5 * luminance(iris(kind))


def test_blue_iris_scatters_blue_most_and_brown_red():
    assert iris("blue")[:3].argmax() == 2
    assert iris("brown")[:3].argmax() == 0


def test_irises_look_more_alike_in_nir_than_in_vis():
    colours = np.array([iris(kind) for kind in IRIS_KINDS])
    visible = colours[:, :3] @ LUMINANCE
    assert np.ptp(colours[:, 3]) < np.ptp(visible) / 2


def test_pupil_is_darker_than_any_iris_in_every_band():
    assert all((pupil() < iris(kind)).all() for kind in IRIS_KINDS)


def test_sclera_is_lighter_than_any_iris_in_every_band():
    assert all((sclera() > iris(kind)).all() for kind in IRIS_KINDS)


def test_sclera_of_red_eyes_loses_green_and_hardly_nir():
    loss = 1 - sclera(1.0) / sclera(0.0)
    assert loss[1] > 10 * loss[3]


def test_sclera_reflects_in_nir_what_was_measured():
    # 0.50 (Bashkatov et al. 2010) and 0.59 (Vogel et al. 1991) of detached pieces about 1 mm thick.
    assert 0.5 < sclera()[3] < 0.72


def test_yellow_teeth_lose_blue_only():
    loss = teeth(0.0) - teeth(1.0)
    assert loss[2] > 3 * loss[0] > 0
    assert loss[3] == pytest.approx(0, abs=2e-3)


def test_mouth_is_red_in_vis_and_light_in_nir():
    for colour in (gums(), tongue()):
        assert colour[0] > 1.5 * colour[1]
        assert colour[3] > 0.45


def test_lips_are_skin_with_their_own_blood():
    assert lips(0.02, 0.08) == pytest.approx(skin_albedo(np.array(0.02), np.array(0.08)))


def test_cloth_without_dye_keeps_its_white():
    assert dyed(0.0, 0.0, 0.0, white=0.8) == pytest.approx(np.full(4, 0.8), abs=0.005)


def test_black_of_three_dyes_is_light_in_nir_and_black_of_carbon_is_not():
    dyes, carbon = dyed(9.0, 9.0, 9.0), dyed(9.0, 9.0, 9.0, 8.0)
    assert max(luminance(dyes), luminance(carbon)) < 0.1
    assert dyes[3] > 0.5
    assert carbon[3] < 0.1


def test_cyan_dye_takes_red_and_yellow_dye_takes_blue():
    assert dyed(2.0, 0.0, 0.0)[:3].argmin() == 0
    assert dyed(0.0, 0.0, 2.0)[:3].argmin() == 2


def test_dark_cloth_is_sometimes_light_and_sometimes_dark_in_nir():
    drawn = np.array([cloth(np.random.default_rng(seed)) for seed in range(200)])
    dark = drawn[drawn[:, :3] @ LUMINANCE < 0.1]
    assert (dark[:, 3] > 0.5).any()
    assert (dark[:, 3] < 0.2).any()


@pytest.mark.parametrize("name", DRAWN)
def test_a_drawn_material_is_a_reflectance(name):
    drawn = np.array([DRAWN[name](np.random.default_rng(seed)) for seed in range(50)])
    assert drawn.min() >= 0
    assert drawn.max() <= 0.95


@pytest.mark.parametrize("name", DRAWN)
def test_the_same_seed_draws_the_same_material(name):
    first, again = (DRAWN[name](np.random.default_rng(7)) for _ in range(2))
    assert (first == again).all()
    assert (first != DRAWN[name](np.random.default_rng(8))).any()
