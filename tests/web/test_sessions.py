"""Sessions by a clock of our own."""

import numpy as np
import pytest
from starlette.exceptions import HTTPException

from pcfh.web.engine import Enrolled, Probe
from pcfh.web.limits import Limits
from pcfh.web.sessions import Sessions


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def opened(clock, **limits):
    return Sessions(Limits(**limits), clock=clock)


def test_no_key_finds_no_session(clock):
    sessions = opened(clock)
    sessions.open(None)
    assert sessions.find(None) is None


def test_keys_are_long_and_different(clock):
    sessions = opened(clock)
    keys = {sessions.open(None).key for _ in range(20)}
    assert len(keys) == 20 and min(map(len, keys)) >= 43


def test_a_session_lives_as_long_as_it_is_used(clock):
    sessions = opened(clock, max_idle_minutes=1)
    session = sessions.open(None)
    for clock.now in (50.0, 100.0, 150.0):
        assert sessions.find(session.key) is session


def test_an_unused_session_expires(clock):
    sessions = opened(clock, max_idle_minutes=1)
    session = sessions.open(None)
    clock.now = 61.0
    assert sessions.find(session.key) is None


def test_expired_sessions_are_forgotten_without_being_asked_for(clock):
    sessions = opened(clock, max_idle_minutes=1)
    sessions.open(None)
    clock.now = 61.0
    sessions.forget_expired()
    assert len(sessions) == 0


def test_expired_sessions_make_room(clock):
    sessions = opened(clock, max_sessions=1, max_idle_minutes=1)
    sessions.open(None)
    clock.now = 61.0
    assert sessions.open(None).used == 61.0


def test_there_are_no_more_sessions_than_the_limit(clock):
    sessions = opened(clock, max_sessions=1)
    sessions.open(None)
    with pytest.raises(HTTPException, match="as many visitors as it takes"):
        sessions.open(None)


def test_the_memory_of_all_sessions_counts(clock):
    sessions = opened(clock, max_memory_mb=1)
    feature = np.zeros(4, np.float32)
    for _ in range(2):
        face = Enrolled(name="A", picture=bytes(500_000), feature=feature)
        sessions.open(None).gallery["a"] = face
    with pytest.raises(HTTPException, match="memory for faces is full"):
        sessions.require_room(60_000)


def test_the_size_is_that_of_pictures_and_features(clock):
    session = opened(clock).open(None)
    feature = np.zeros(256, np.float32)
    session.add_probe(Probe(original=feature, generated=feature))
    session.gallery["a"] = Enrolled(name="A", picture=bytes(100), feature=feature)
    session.batch.made["a.png"] = bytes(10)
    assert session.size == 3 * 1024 + 110
