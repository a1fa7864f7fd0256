"""Sessions by a clock of our own."""

import numpy as np
import pytest
from starlette.exceptions import HTTPException

from pcfh.gallery.entries import Probe
from pcfh.web.engine import Enrolled
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


def test_a_visitor_too_many_takes_the_place_of_the_one_who_is_away_longest(clock):
    sessions = opened(clock, max_sessions=2)
    first, second = sessions.open(None), sessions.open(None)
    for clock.now, session in ((1.0, second), (2.0, first)):
        sessions.find(session.key)
    third = sessions.open(None)
    assert [sessions.find(session.key) for session in (first, second, third)] == [first, None, third]


def test_programs_without_a_memory_for_cookies_never_push_a_visitor_out(clock):
    sessions = opened(clock, max_sessions=3)
    visitor = sessions.open(None)
    sessions.find(visitor.key)
    for clock.now in map(float, range(1, 100)):
        sessions.open(None)
    assert sessions.find(visitor.key) is visitor and len(sessions) == 3


def kept(sessions, size, *, returned=True):
    """A session with a face of so many bytes, whose cookie has come back or not."""
    session = sessions.open(None)
    session.gallery["a"] = Enrolled(
        name="A", source="a.jpg", picture=bytes(size), feature=np.zeros(4, np.float32)
    )
    if returned:
        sessions.find(session.key)
    return session


def test_full_memory_is_not_taken_from_who_is_there(clock):
    sessions = opened(clock, max_memory_mb=1)
    first, _ = kept(sessions, 500_000), kept(sessions, 500_000)
    with pytest.raises(HTTPException, match="memory for faces is full"):
        sessions.make_room(60_000, first.key)
    assert len(sessions) == 2


def test_full_memory_is_taken_from_who_is_away_longest_and_no_more_than_needed(clock):
    sessions = opened(clock, max_memory_mb=1)
    away, less_away = kept(sessions, 500_000), kept(sessions, 500_000)
    clock.now = 100.0
    sessions.find(less_away.key)
    clock.now = 200.0
    sessions.make_room(60_000, None)
    assert [sessions.find(session.key) for session in (away, less_away)] == [None, less_away]


def test_full_memory_is_taken_at_once_from_whose_cookie_never_came_back(clock):
    sessions = opened(clock, max_memory_mb=1)
    visitor, program = kept(sessions, 500_000), kept(sessions, 500_000, returned=False)
    sessions.make_room(60_000, visitor.key)
    assert [sessions.find(session.key) for session in (visitor, program)] == [visitor, None]


def test_nobody_makes_room_for_himself(clock):
    sessions = opened(clock, max_memory_mb=1)
    visitor = kept(sessions, 1_000_000)
    clock.now = 100.0
    with pytest.raises(HTTPException, match="memory for faces is full"):
        sessions.make_room(60_000, visitor.key)


def test_the_size_is_that_of_pictures_and_features(clock):
    session = opened(clock).open(None)
    feature = np.zeros(256, np.float32)
    session.add_probe(Probe(original=feature, generated=feature))
    session.gallery["a"] = Enrolled(name="A", source="a.jpg", picture=bytes(100), feature=feature)
    session.batch.add_face("a.png", bytes(10))
    assert session.size == 3 * 1024 + 110
