"""Slow and broken uploads, without a network."""

import asyncio

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from pcfh.web.uploads import Pace, Uploads, file_name, person_name, while_connected

LONG = 600.0  # seconds


def request(receive=None, **headers):
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": pairs}, receive)


def parts(*messages):
    """Receives some messages, then nothing any more."""
    waiting = list(messages)

    async def receive():
        return waiting.pop(0) if waiting else await asyncio.sleep(1000)

    return receive


def part(body, more):
    return {"type": "http.request", "body": body, "more_body": more}


def read(receive, most=100, **pace):
    return asyncio.run(Uploads(1, most, Pace(**pace)).read(request(receive)))


def test_the_parts_of_a_body_are_joined():
    assert read(parts(part(b"ab", True), part(b"c", False))) == b"abc"


def test_an_upload_that_stops_is_given_up_long_before_its_time():
    with pytest.raises(HTTPException, match="too slow; it has 600 seconds"):
        read(parts(part(b"ab", True)), seconds=LONG, grace=0.05)


def test_an_upload_that_keeps_up_the_pace_has_more_time_than_the_grace():
    async def steadily():
        await asyncio.sleep(0.02)
        return part(b"a", True) if len(sent) < 5 else part(b"b", False)

    sent = []

    async def receive():
        sent.append(1)
        return await steadily()

    assert read(receive, grace=0.05, rate=1e-3, seconds=LONG) == b"aaaab"


def test_an_upload_that_never_ends_is_given_up_however_fast_it_is():
    async def endless():
        await asyncio.sleep(0)
        return part(b"", True)

    with pytest.raises(HTTPException, match="too slow"):
        read(endless, seconds=0.05, grace=0.05)


def test_an_upload_that_is_broken_off_is_no_fault_of_the_program():
    with pytest.raises(HTTPException, match="broken off"):
        read(parts(part(b"ab", True), {"type": "http.disconnect"}))


def together(uploads, *receives):
    """What becomes of uploads that come one after the other: a body, the code of an error, or nothing yet."""

    async def one(receive):
        try:
            return await uploads.read(request(receive))
        except HTTPException as error:
            return error.status_code

    async def all_of_them():
        tasks = []
        for receive in receives:
            tasks.append(asyncio.create_task(one(receive)))
            await asyncio.sleep(0.05)
        ended = [task.result() if task.done() else None for task in tasks]
        for task in tasks:
            task.cancel()
        return ended

    return asyncio.run(all_of_them())


def test_where_all_places_are_taken_the_slowest_upload_gives_way():
    pace = Pace(seconds=LONG, grace=LONG, protected=0.0)
    stuck, faster = parts(part(b"a", True)), parts(part(b"many", True))
    ended = together(Uploads(2, 100, pace), stuck, faster, parts(part(b"new", False)))
    assert ended == [408, None, b"new"]


def test_an_upload_that_has_just_begun_need_not_give_way():
    pace = Pace(seconds=LONG, grace=LONG, protected=LONG)
    ended = together(Uploads(1, 100, pace), parts(part(b"a", True)), parts(part(b"new", False)))
    assert ended == [None, 503]


def test_work_for_a_client_that_leaves_is_dropped():
    dropped = []

    async def work():
        try:
            await asyncio.sleep(LONG)
        except asyncio.CancelledError:
            dropped.append(True)
            raise

    with pytest.raises(HTTPException, match="has left"):
        asyncio.run(while_connected(request(parts({"type": "http.disconnect"})), work()))
    assert dropped == [True]


def test_work_for_a_client_that_stays_is_answered():
    async def work():
        return 5

    assert asyncio.run(while_connected(request(parts()), work())) == 5


def test_names_are_cut_to_eighty_characters():
    assert len(person_name(request(x_person=90 * "a"))) == 80


def test_a_name_that_is_no_utf8_is_still_a_name():
    assert file_name(request(x_file_name="%ff.png")) == "\ufffd.png"
