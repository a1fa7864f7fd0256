"""Thresholds from a gallery, against the sorted scores of all its pairs."""

import numpy as np
import pytest
from clusters import KEY, clustered, new_faces

from pcfh.errors import UserError
from pcfh.gallery import calibration as module
from pcfh.gallery import store
from pcfh.gallery.calibration import threshold_of
from pcfh.gallery.store import Gallery

EACH = 3
FEATURES = clustered(100, EACH)
PEOPLE = np.repeat([f"{i}" for i in range(100)], EACH)


def impostors(features=FEATURES, people=PEOPLE):
    row, column = np.triu_indices(len(features), 1)
    return (features @ features.T)[row, column][people[row] != people[column]]


@pytest.mark.parametrize("far", [0.5, 0.01, 1e-3, 1 / 44_550])
@pytest.mark.parametrize("rows", [512, 7])
def test_the_threshold_is_the_lowest_that_keeps_to_the_rate(monkeypatch, far, rows):
    monkeypatch.setattr(module, "_ROWS", rows)
    scores, found = impostors(), threshold_of(FEATURES, PEOPLE, far)
    assert found.pairs == len(scores) == 44_550
    assert (scores >= found.threshold - 1e-6).mean() > far >= (scores >= found.threshold + 1e-6).mean()


def test_the_interval_holds_the_threshold_and_shrinks_with_the_number_of_people():
    few, many = (threshold_of(FEATURES[:n], PEOPLE[:n], 0.01) for n in (60, 300))
    assert few.low < few.threshold < few.high
    assert many.high - many.low < 0.7 * (few.high - few.low)


def test_the_interval_is_wide_enough_for_other_people_of_the_same_kind():
    held = 0
    truth = threshold_of(clustered(1500, 1, seed=99), np.arange(1500), 0.01, resamples=1).threshold
    for seed in range(20):
        found = threshold_of(clustered(80, 1, seed=seed), np.arange(80), 0.01, resamples=100)
        held += found.low <= truth <= found.high
    assert held >= 15  # 19 of 20 are expected


def test_a_rate_that_the_gallery_is_too_small_for_is_refused():
    with pytest.raises(UserError, match="needs at least 100000 impostor pairs, got 44550"):
        threshold_of(FEATURES, PEOPLE, 1e-5)


def test_one_person_alone_has_no_impostors():
    with pytest.raises(UserError, match="at least two people"):
        threshold_of(FEATURES[:3], PEOPLE[:3], 0.1)


def test_a_large_gallery_is_sampled_and_says_so(uri, monkeypatch):
    monkeypatch.setattr(store, "EXACT_FACES", 150)
    with Gallery.open(uri) as gallery:
        gallery.enrol(new_faces(FEATURES, EACH), KEY)
        found = gallery.calibrate(0.01)
    assert not found.exact
    assert (found.faces, 100 < found.compared < 200) == (300, True)
    assert found.low < np.quantile(impostors(), 0.99) < found.high
