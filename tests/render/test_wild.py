"""What captures of the difficulty wild show, each thing alone, on a face model made of formulas."""

from dataclasses import replace

import numpy as np
import pytest
from test_render import CAMERA, SIZE, shot

from pcfh.databases.rendered import BEHIND_GLASS, Region
from pcfh_render.difficulty import difficulty_of
from pcfh_render.materials import through_hair
from pcfh_render.sampling import draw_look, draw_person
from pcfh_render.shifts import SHIFTS, plain, shifted_shots, with_glasses
from pcfh_render.shots import draw_shots

QUIET = replace(CAMERA, height=24.0)


@pytest.fixture(scope="module")
def person():
    return draw_person(7, 1)


@pytest.fixture(scope="module")
def look(person):
    return with_glasses(person, draw_look(person, 1))


@pytest.fixture(scope="module")
def take(renderer, person, look):
    """Renders near-infrared captures of a camera that does nothing, changed in what they show."""

    def take(*changes, **of_the_shot):
        base = plain(shot(camera=QUIET, **of_the_shot))
        quiet = replace(base, real=replace(base.real, capture=replace(base.real.capture, noise=0.0)))
        shots = [replace(quiet, real=replace(quiet.real, **change)) for change in changes]
        return list(renderer.portraits(person, look, shots))

    return take


def grey(portrait, *regions):
    shown = np.isin(portrait.regions, regions)
    assert shown.any()
    return portrait.image[..., 0][shown].astype(float)


def test_bright_pupils_shine_in_the_eyes_and_nowhere_else(take):
    dark, bright = take({}, {"pupil": 1.5})
    assert grey(bright, Region.IRIS).max() > grey(dark, Region.IRIS).mean() + 40
    others = ~np.isin(dark.regions, (Region.IRIS, Region.EYE_WHITE))
    far = others & ~np.isin(np.roll(dark.regions, (3, 3), (0, 1)), (Region.IRIS, Region.EYE_WHITE))
    assert np.abs(dark.image[far].astype(int) - bright.image[far])[..., 0].mean() < 1
    assert (dark.truth == bright.truth).all()


def test_skin_shines_through_thin_black_hair_and_the_truth_knows_nothing_of_it(renderer, person, look):
    black = replace(person, hair_eumelanin=3.0, hair_pheomelanin=0.0)
    dark = plain(shot(camera=QUIET))
    light = replace(dark, real=replace(dark.real, thickness=0.3))
    opaque, thin = renderer.portraits(black, replace(look, grey=0.0), [dark, light])
    assert grey(thin, Region.THIN_HAIR).mean() > grey(opaque, Region.THIN_HAIR).mean() + 10
    assert (opaque.truth == thin.truth).all()


def test_less_light_passes_more_and_darker_hair():
    passes = [through_hair(3.0, 0.0, 0.0, thickness) for thickness in (0.5, 2.0, 8.0)]
    assert 1 > passes[0] > passes[1] > passes[2] > 0
    assert through_hair(0.1, 0.0, 0.0, 2.0) > through_hair(3.0, 0.0, 0.0, 2.0)
    assert through_hair(3.0, 0.0, 1.0, 2.0) == pytest.approx(1)


def test_things_stand_in_the_surroundings_and_not_before_the_face(take):
    plain_wall, things = take({}, {"panels": 8}, background_light=0.8)
    wall = [
        portrait.image[..., 0][portrait.regions == Region.SURROUNDINGS] for portrait in (plain_wall, things)
    ]
    assert wall[1].std() > 2 * wall[0].std()
    skin = plain_wall.regions == Region.SKIN
    assert np.abs(plain_wall.image[skin].astype(int) - things.image[skin]).mean() < 2


def test_a_lamp_in_the_picture_is_white(take):
    (portrait,) = take({"lamp": 25.0})
    assert grey(portrait, Region.SURROUNDINGS).max() == 255


def test_glare_lies_on_the_glasses_and_not_in_the_truth(take, renderer, person, look):
    worn = replace(plain(shot(camera=QUIET)), glasses=True)
    shifted = SHIFTS["glare on glasses"](worn, SIZE)
    without, glare = renderer.portraits(person, look, [worn, shifted])
    behind = without.regions >= BEHIND_GLASS
    assert behind.any()
    white = (glare.image[..., 0] > 245) & behind
    assert white.sum() > 0.02 * behind.sum()
    assert np.abs(without.truth.astype(int) - glare.truth).max() < 30


def test_captures_that_only_the_camera_changes_share_their_moment(renderer, person, look, monkeypatch):
    """And the picture is that of a renderer that follows the light again."""
    base = plain(shot(camera=QUIET))
    dark = SHIFTS["exposure 1/4"](base, SIZE)
    moments = []
    follow = renderer._moment
    monkeypatch.setattr(renderer, "_moment", lambda *a, **k: moments.append(1) or follow(*a, **k))
    _, second = renderer.portraits(person, look, [base, dark])
    assert len(moments) == 1
    (alone,) = renderer.portraits(person, look, [dark])
    assert (second.image == alone.image).all()
    assert second.image.mean() < 0.7 * next(renderer.portraits(person, look, [base])).image.mean()


def test_the_mask_says_where_the_face_is(take):
    (portrait,) = take({})
    x, y = portrait.landmarks[30].round().astype(int)  # the tip of the nose
    assert portrait.regions[y, x] == Region.SKIN
    assert portrait.regions[2, 2] == Region.SURROUNDINGS


def test_eyes_are_so_many_pixels_apart():
    for pixels in (48, 24):
        small = SHIFTS[f"eyes {pixels} pixels apart"](plain(shot(camera=QUIET)), 288).real.capture
        assert 288 * 6.2 / QUIET.height / small.shrink == pytest.approx(pixels)


def test_every_near_infrared_capture_is_taken_under_every_shift():
    person = draw_person(3, 1)
    shots = draw_shots(person, draw_look(person, 1), difficulty=difficulty_of("close"), nir=2, vis=1)
    named = shifted_shots(shots, 288)
    assert [name for _, name in named] == [*SHIFTS, *SHIFTS, ""]
    assert {(taken.yaw, taken.seed) for taken, name in named[: len(SHIFTS)]} == {
        (shots[0].yaw, shots[0].seed)
    }


def test_wild_captures_are_the_same_again_and_of_many_kinds():
    people = [draw_person(3, subject) for subject in range(60)]

    def draw():
        wild = difficulty_of("wild")
        return [s for p in people for s in draw_shots(p, draw_look(p, 1), difficulty=wild, nir=3, vis=1)]

    shots = draw()
    assert shots == draw()
    nir = [s for s in shots if s.modality == "NIR"]
    assert {s.light for s in nir} == {"flash", "ring", "aside"}
    assert 0.1 < np.mean([s.real.pupil > 0.5 for s in nir]) < 0.35
    assert 0.3 < np.mean([s.background_light < 0.03 for s in nir]) < 0.5
