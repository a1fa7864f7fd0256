"""The settings that were tried for the rivals: at most eight each, all different, a default among them."""

import pytest

from bench.tries import TRIES
from pcfh.recognisers.tuning.base import find_rival, known_rivals


@pytest.mark.parametrize("key", TRIES)
def test_there_are_at_most_eight_tries_and_the_default_is_one(key):
    rivals = [find_rival(key, settings.split()) for settings in TRIES[key]]
    assert 1 < len(rivals) <= 8
    assert len(set(rivals)) == len(rivals)
    assert known_rivals()[key] in rivals


def test_a_try_names_all_that_is_tried_of_its_rival():
    names = [{text.partition("=")[0] for text in settings.split()} for settings in TRIES["tuned"]]
    assert all(one == {"learning_rate", "people", "scale"} for one in names)
