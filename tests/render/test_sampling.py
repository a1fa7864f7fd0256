"""People, looks and captures: who is drawn alone is the same, and the ranges hold."""

import math
from collections import Counter
from dataclasses import replace
from statistics import mean

import numpy as np
import pytest

from pcfh.errors import UserError
from pcfh_render.bands import light_colour
from pcfh_render.difficulty import DIFFICULTIES, difficulty_of
from pcfh_render.expressions import BASIC, gaze, merged
from pcfh_render.lamps import white_balance
from pcfh_render.sampling import draw_look, draw_person
from pcfh_render.shots import departure, draw_shots
from pcfh_render.streams import generator

CASIA = DIFFICULTIES["casia"]
PEOPLE = [draw_person(3, subject) for subject in range(120)]
LOOKS = [draw_look(person, 1) for person in PEOPLE]


def shots_of(person, difficulty=CASIA, nir=3, vis=3):
    return draw_shots(person, draw_look(person, 1), difficulty=difficulty, nir=nir, vis=vis)


@pytest.fixture(scope="module")
def many():
    return [shot for person in PEOPLE for shot in shots_of(person)]


def test_a_person_is_the_same_whenever_drawn():
    assert draw_person(3, 17) == PEOPLE[17]


def test_other_seeds_have_other_people():
    assert draw_person(4, 17).shape != PEOPLE[17].shape


def test_streams_that_differ_by_a_zero_are_different():
    assert generator("a", 1, 2).integers(1 << 32) != generator("a", 1, 2, 0).integers(1 << 32)


def test_more_captures_leave_the_others_as_they_are():
    few, more = shots_of(PEOPLE[0], nir=2, vis=1), shots_of(PEOPLE[0], nir=5, vis=3)
    assert few == (*more[:2], more[5])


def test_every_skin_type_is_equally_frequent():
    assert Counter(person.fitzpatrick for person in PEOPLE) == dict.fromkeys(range(1, 7), 20)


def test_darker_skin_types_have_more_melanin():
    levels = [mean(p.melanin for p in PEOPLE if p.fitzpatrick == kind) for kind in range(1, 7)]
    assert levels == sorted(levels)


def test_light_hair_and_eyes_go_with_light_skin():
    dark = [person for person in PEOPLE if person.fitzpatrick >= 4]
    assert min(person.hair_eumelanin for person in dark) > 0.2
    assert {person.iris for person in dark} <= {"dark_brown", "brown", "hazel"}
    assert any(person.iris == "blue" for person in PEOPLE)


def test_shape_weights_have_nine_tenths_of_a_standard_deviation():
    weights = np.array([person.shape for person in PEOPLE])
    assert weights.shape == (120, 100)
    assert weights.std() == pytest.approx(0.9, abs=0.02)


def test_beards_and_long_hair_overlap_in_nobody_often_but_both_are_there():
    long = {number for number, look in enumerate(LOOKS) if look.hair_style in ("long", "bob", "tied")}
    bearded = {number for number, look in enumerate(LOOKS) if look.beard != "none"}
    assert len(long) > 20 and len(bearded) > 15
    assert len(long & bearded) < len(bearded) / 3


def test_a_person_may_look_different_in_another_session_but_mostly_keeps_the_style():
    later = [draw_look(person, 4) for person in PEOPLE]
    kept = mean(a.hair_style == b.hair_style for a, b in zip(LOOKS, later, strict=True))
    assert 0.5 < kept < 0.95
    assert all(b.age - a.age == pytest.approx(3.3) for a, b in zip(LOOKS, later, strict=True))


def test_old_people_are_greyer():
    young = mean(look.grey for look in LOOKS if look.age < 35)
    old = mean(look.grey for look in LOOKS if look.age > 50)
    assert young < 0.1
    assert old > 0.2


def test_who_owns_no_glasses_wears_none(many):
    owners = [look.glasses is not None for look in LOOKS for _ in range(6)]
    assert not any(shot.glasses for shot, owns in zip(many, owners, strict=True) if not owns)
    assert any(shot.glasses for shot in many)


@pytest.mark.parametrize("name", DIFFICULTIES)
def test_poses_stay_within_the_difficulty(name):
    hardest = DIFFICULTIES[name]
    shots = [shot for person in PEOPLE[:40] for shot in shots_of(person, hardest)]
    for angle, most in (
        ("yaw", hardest.yaw_most),
        ("pitch", hardest.pitch_most),
        ("roll", hardest.roll_most),
    ):
        assert max(abs(getattr(shot, angle)) for shot in shots) <= most


def test_most_yaws_are_small_and_some_are_large(many):
    yaws = np.abs([shot.yaw for shot in many])
    assert (yaws < 20).mean() > 0.8
    assert (yaws > 30).mean() > 0.02


def test_harder_settings_depart_further_from_the_frontal_neutral_face():
    levels = [
        mean(departure(shot) for person in PEOPLE[:40] for shot in shots_of(person, setting))
        for setting in (DIFFICULTIES[name] for name in ("easy", "casia", "hard"))
    ]
    assert levels == sorted(levels)


def test_all_expressions_occur(many):
    assert {shot.expression for shot in many} == {"neutral", "mixed", *BASIC}


def test_weights_are_shares(many):
    assert all(0 < weight <= 1 for shot in many for _, weight in shot.weights)


def test_the_first_visible_capture_is_neutral(many):
    assert {person[3].expression for person in zip(*[iter(many)] * 6, strict=True)} == {"neutral"}


def test_not_every_visible_capture_is_neutral(many):
    assert mean(shot.expression == "neutral" for shot in many if shot.modality == "VIS") < 0.8


def test_departure_of_the_neutral_frontal_face_is_zero(many):
    assert departure(replace(many[0], yaw=0.0, pitch=0.0, roll=0.0, weights=())) == 0


def test_a_look_to_the_persons_left_turns_the_left_eye_out():
    assert {name for name, weight in gaze(15.0, 0.0).items() if weight} == {"eyeLookOut_L", "eyeLookIn_R"}


def test_closed_lids_are_not_torn_open():
    weights = dict(merged({"eyeWide_L": 0.8, "eyeWide_R": 0.8}, {"eyeBlink_L": 0.9, "eyeBlink_R": 0.0}))
    assert weights == {"eyeBlink_L": 0.9, "eyeWide_R": 0.8}


def test_near_infrared_light_comes_from_the_lens(many):
    for shot in (shot for shot in many if shot.modality == "NIR"):
        leds = np.array([lamp.position for lamp in shot.lamps if lamp.kind == "point"])
        assert np.hypot(leds[:, 0], leds[:, 1]).max() < 7
        np.testing.assert_allclose(leds[:, 2], shot.camera.distance)


def test_near_infrared_lamps_send_about_one_and_nothing_visible(many):
    for shot in (shot for shot in many if shot.modality == "NIR"):
        total = np.sum([lamp.colour for lamp in shot.lamps if lamp.kind == "point"], axis=0)
        np.testing.assert_allclose(total, [0, 0, 0, 1], atol=0.2)


def test_a_white_wall_facing_the_light_is_about_one(many):
    powers = [sum(lamp.colour[1] for lamp in shot.lamps) for shot in many if shot.modality == "VIS"]
    assert 0.95 < min(powers) <= max(powers) < 1.6


def test_a_perfect_white_balance_undoes_the_lights_colour():
    gains = white_balance(generator("any"), replace(CASIA, tint=0.0), 3000.0)
    np.testing.assert_allclose(np.array(gains) * light_colour(3000.0)[:3], 1.0)


def test_numbers_are_finite(many):
    cameras = [
        value for shot in many for value in (*shot.camera.shift, *shot.camera.balance, shot.camera.exposure)
    ]
    assert all(math.isfinite(value) for value in cameras)


def test_an_unknown_difficulty_is_refused_with_those_there_are():
    with pytest.raises(UserError, match="expected a difficulty of easy, casia, hard, wild, close, got 'mad'"):
        difficulty_of("mad")
