"""Cameras of training are those of the renderer: each kind alone, against the renderer's own sensor."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from pcfh.methods.cameras import as_cameras_take, draw_strengths, taken_by, with_margins
from pcfh.nir_cameras import KINDS, Capture
from pcfh_render.sensor import captured

SIDE = 128
LIGHT = 0.03 + 0.6 * gaussian_filter(np.random.default_rng(0).uniform(0, 1, (SIDE, SIDE)), 1.0)
CODED = torch.tensor(1.055 * LIGHT ** (1 / 2.4) - 0.055, dtype=torch.float32)[None, None]
PLAIN = {name: getattr(Capture(), name) for name in KINDS}


def strengths(**changes):
    return {name: torch.full((1, 1, 1, 1), value) for name, value in {**PLAIN, **changes}.items()}


@pytest.mark.parametrize(
    ("changes", "most"),
    [
        ({}, 1.0),
        ({"stops": -2.0}, 1.5),
        ({"gamma": 1.4}, 1.5),
        ({"black": 0.1}, 1.0),
        ({"stops": 1.4, "shoulder": 0.4}, 1.0),
        ({"vignette": 0.7}, 1.0),
        ({"slope": 0.5, "slope_angle": 1.0}, 1.0),
        ({"levels": 40.0}, 4.0),
        ({"interlace": 0.014}, 1.0),
        ({"denoise": 1.0}, 1.0),
        ({"sharpen": 2.0}, 1.5),
        ({"defocus": 0.03}, 1.0),
        ({"motion": 0.03, "motion_angle": 0.5}, 1.5),
        ({"quality": 30.0}, 4.0),
    ],
    ids=lambda value: " ".join(value) or "nothing" if isinstance(value, dict) else "",
)
def test_each_kind_does_what_the_renderers_sensor_does(changes, most):
    """Mean difference in grey levels, the border left out; both round, one of them at another place."""
    ours = 255 * taken_by(CODED, strengths(**changes))[0, 0].numpy()
    theirs = captured(LIGHT, Capture(**{**PLAIN, **changes}), 1).astype(float)
    inner = np.s_[12:-12, 12:-12]
    assert np.abs(ours - theirs)[inner].mean() < most
    if changes:
        plain = captured(LIGHT, Capture(), 1).astype(float)
        assert np.abs(theirs - plain)[inner].mean() > np.abs(ours - theirs)[inner].mean()


def test_strengths_lie_in_their_ranges():
    drawn = draw_strengths(2000, torch.device("cpu"))
    for name, kind in KINDS.items():
        there = drawn[name][drawn[name] != kind.without]
        assert kind.low * (1 - 1e-5 * np.sign(kind.low)) <= there.min() + 1e-6
        assert there.max() <= kind.high + 1e-5 * abs(kind.high)
        assert len(there) / 2000 == pytest.approx(kind.share, abs=0.05)


def test_images_stay_grey_and_in_range_and_follow_the_seed():
    nir = (2 * CODED - 1).expand(8, 3, -1, -1)
    torch.manual_seed(3)
    first = as_cameras_take(nir)
    assert (first == first[:, :1]).all()
    assert first.abs().max() <= 1
    torch.manual_seed(3)
    assert torch.equal(as_cameras_take(nir), first)
    assert not torch.equal(as_cameras_take(nir), first)
    assert len({round(float(image.mean()), 4) for image in first}) == 8


@pytest.mark.parametrize(("kind", "value"), [(0.1, None), (0.86, 1.0), (0.91, 0.0), (0.955, 1.0)])
def test_margins_are_as_wide_as_drawn_and_leave_the_middle(kind, value):
    draws = torch.tensor([[kind, 0.5, 0.0, 0.9, 0.9, 0.9, 0.9]])
    bordered = with_margins(CODED, draws, SIDE)
    assert torch.equal(bordered[..., 20:-20, 20:-20], CODED[..., 20:-20, 20:-20])
    if value is None:
        assert torch.equal(bordered, CODED)
    else:
        assert (bordered == value).any()
