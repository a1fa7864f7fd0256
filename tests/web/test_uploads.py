"""Slow and broken uploads, without a network."""

import asyncio

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from pcfh.web.uploads import file_name, person_name, read_body


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


def read(receive, most=100, seconds=600):
    return asyncio.run(read_body(request(receive), most, seconds=seconds))


def test_the_parts_of_a_body_are_joined():
    assert read(parts(part(b"ab", True), part(b"c", False))) == b"abc"


def test_an_upload_that_never_ends_is_given_up():
    with pytest.raises(HTTPException, match=r"longer than 0\.05 seconds"):
        read(parts(part(b"ab", True)), seconds=0.05)


def test_an_upload_that_is_broken_off_is_no_fault_of_the_program():
    with pytest.raises(HTTPException, match="broken off"):
        read(parts(part(b"ab", True), {"type": "http.disconnect"}))


def test_names_are_cut_to_eighty_characters():
    assert len(person_name(request(x_person=90 * "a"))) == 80


def test_a_name_that_is_no_utf8_is_still_a_name():
    assert file_name(request(x_file_name="%ff.png")) == "\ufffd.png"
