"""What an adapted generator is worth: figures on made-up faces."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from pcfh.methods.adapted_worth import (
    Chance,
    Worth,
    chance_of,
    colour_distance,
    detail_distance,
    is_better,
    worth,
)


def grey(value, count=2, side=64):
    return torch.full((count, 3, side, side), value, dtype=torch.uint8)


def noise(seed, count=2, side=64):
    return torch.randint(0, 200, (count, 3, side, side), generator=torch.Generator().manual_seed(seed)).byte()


def test_the_same_faces_in_another_order_have_the_same_colours():
    faces = noise(0)
    assert colour_distance(faces, faces.flip(0)) == 0


def test_twelve_levels_brighter_is_four_levels_of_distance_since_two_of_three_channels_agree():
    assert colour_distance(grey(100), grey(112)) == pytest.approx(4)


def test_a_tint_is_found_in_all_three_channels():
    red = grey(100)
    red[:, 0] = 110
    # Y rises by 2.99, Cb falls by 2.99 / 1.772, Cr rises by (10 - 2.99) / 1.402.
    assert colour_distance(grey(100), red) == pytest.approx(
        (2.99 + 2.99 / 1.772 + 7.01 / 1.402) / 3, rel=1e-5
    )


def test_colours_are_looked_at_inside_the_face_alone():
    faces, framed = grey(100), grey(100)
    framed[..., :10, :] = 255
    framed[..., :, :12] = 0
    assert colour_distance(faces, framed) == 0


class Mean(nn.Module):
    """A recogniser that sees the upper and the lower half's mean."""

    def forward(self, faces):
        return torch.stack([half.mean((1, 2, 3)) for half in faces.chunk(2, 2)], 1)


def test_the_cosine_is_one_where_the_recogniser_sees_the_same_and_the_copy_is_rebuilt_without_error():
    nir = torch.full((2, 1, 64, 64), 90, dtype=torch.uint8)
    found = worth(nir.expand(-1, 3, -1, -1), nir, grey(90), recognizer=Mean(), G_B=nn.Identity())
    assert (found.own, found.colour, found.rebuilt) == (pytest.approx(1), 0, pytest.approx(0, abs=1e-4))


def test_an_error_of_the_rebuilt_image_is_told_in_grey_levels():
    nir = torch.full((2, 1, 64, 64), 90, dtype=torch.uint8)
    found = worth(grey(100), nir, grey(90), recognizer=Mean(), G_B=nn.Identity())
    assert found.rebuilt == pytest.approx(10, rel=1e-5)


def test_a_face_of_another_person_has_a_lower_cosine():
    nir = torch.full((1, 1, 64, 64), 100, dtype=torch.uint8)
    other = grey(100, 1)
    other[..., 32:, :] = 10
    found = worth(other, nir, grey(100), recognizer=Mean(), G_B=nn.Identity())
    assert found.own < 0.95


def test_faces_in_another_order_have_the_same_detail_and_smoothed_ones_less():
    faces = noise(0)
    assert detail_distance(faces, faces.flip(0)) == pytest.approx(0)
    smooth = nn.functional.avg_pool2d(faces.float(), 5, 1, 2).byte()
    assert detail_distance(faces, smooth) > 1


OLD = Worth(own=0.7, colour=20.0, detail=0.5, rebuilt=9.0)


@pytest.mark.parametrize(
    ("changes", "better"),
    [
        ({"own": 0.73}, True),
        ({"colour": 19.0}, True),
        ({"detail": 0.4}, True),
        ({"rebuilt": 1.0}, False),  # not a sign
        ({}, False),
        ({"own": 0.71, "colour": 19.8, "detail": 0.48}, False),  # too little to count
        ({"own": 0.69, "colour": 15.0}, True),  # so is the loss
        ({"own": 0.6, "colour": 5.0}, False),
        ({"own": 0.9, "colour": 21.0}, False),
        ({"own": 0.9, "detail": 0.6}, False),
    ],
)
def test_better_is_what_gains_in_one_figure_and_loses_in_none(changes, better):
    assert is_better(replace(OLD, **changes), OLD, Chance(colour=0.0, detail=0.0)) is better


@pytest.mark.parametrize(
    ("changes", "better"),
    [
        ({"own": 0.9, "colour": 24.9}, True),  # portraits of others lie as far from each other
        ({"own": 0.9, "colour": 25.6}, False),
        ({"own": 0.9, "detail": 0.59}, True),
        ({"own": 0.9, "detail": 0.7}, False),
        ({"colour": 2.0, "detail": 0.1}, False),  # nor is less than that a gain
    ],
)
def test_distances_that_portraits_have_among_themselves_do_not_count(changes, better):
    assert is_better(replace(OLD, **changes), OLD, Chance(colour=25.0, detail=0.6)) is better


def test_the_chance_distance_is_zero_among_equal_portraits_and_grows_with_their_spread():
    assert chance_of(grey(90, 8), 4) == Chance(colour=0.0, detail=0.0)
    near, far = (
        chance_of(torch.cat([grey(90 + step * i, 1) for i in range(8)]), 4).colour for step in (1, 5)
    )
    assert far == pytest.approx(5 * near)
    assert near > 0


def test_more_faces_leave_less_to_chance():
    portraits = torch.cat([grey(60 + 3 * i, 1) for i in range(32)])
    few, many = (chance_of(portraits, count).colour for count in (2, 16))
    assert many < few
