"""Every limit, hit from outside."""

import struct
import threading
import zlib

import pytest

from pcfh.errors import UserError
from pcfh.web.limits import Limits

KIB = 1024


def post(page, route, data, name="A"):
    return page.post(route, content=data, headers={"X-File-Name": f"{name}.png", "X-Person": name})


def empty_png(width, height):
    """A PNG file whose header names a size, without pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@pytest.fixture
def engine_gate(engine, monkeypatch):
    """Holds the first translation until it is opened; says when it has begun."""
    begun, gate, work = threading.Event(), threading.Event(), engine.translate

    def held(image):
        begun.set()
        assert gate.wait(600)
        return work(image)

    monkeypatch.setattr(engine, "translate", held)
    yield begun, gate
    gate.set()


def test_a_file_over_the_limit_is_refused(open_page):
    answer = post(open_page(max_file_mb=1), "/api/faces", bytes(KIB * KIB + 1))
    assert answer.status_code == 413 and "larger than 1 MiB" in answer.json()["error"]


def test_a_file_at_the_limit_is_read(open_page):
    assert post(open_page(max_file_mb=1), "/api/faces", bytes(KIB * KIB)).status_code == 422


def test_a_file_over_the_limit_is_not_read_when_it_says_so(open_page):
    def never():
        raise AssertionError("the body was asked for")
        yield b""

    headers = {"Content-Length": str(1 << 40)}
    answer = open_page(max_file_mb=1).post("/api/faces", content=never(), headers=headers)
    assert answer.status_code == 413


def test_a_file_over_the_limit_that_does_not_say_so_is_refused_while_it_comes(open_page):
    chunks = (bytes(64 * KIB) for _ in range(20))
    assert open_page(max_file_mb=1).post("/api/faces", content=chunks).status_code == 413


@pytest.mark.parametrize("length", ["many", "-5", "1e3", "²"])
def test_a_length_that_is_no_number_is_refused(page, length):
    headers = {"Content-Length": length.encode("latin-1")}
    assert page.post("/api/faces", content=b"abc", headers=headers).status_code == 400


def test_a_full_gallery_takes_no_more(open_page, picture):
    page = open_page(max_gallery=2)
    codes = [post(page, "/api/gallery", picture(seed)).status_code for seed in range(3)]
    assert codes == [200, 200, 409]


def test_a_full_gallery_takes_another_after_one_is_removed(open_page, picture):
    page = open_page(max_gallery=1)
    entry = post(page, "/api/gallery", picture()).json()
    page.delete(f"/api/gallery/{entry['id']}")
    assert post(page, "/api/gallery", picture(1)).status_code == 200


def test_a_full_batch_takes_no_more_and_failures_count(open_page, picture):
    page = open_page(max_batch=2)
    codes = [post(page, "/api/batch", data).status_code for data in (picture(), b"text", picture(1))]
    assert codes == [200, 422, 409]


@pytest.mark.parametrize("route", ["/api/faces", "/api/gallery", "/api/batch"])
def test_no_newcomer_is_refused_for_want_of_sessions(open_page, picture, another_browser, route):
    page = open_page(max_sessions=2)
    codes = [post(another_browser(page), route, picture(seed)).status_code for seed in range(4)]
    assert codes == [200] * 4


def test_newcomers_without_cookies_leave_a_visitor_what_is_his(open_page, picture, another_browser):
    page = open_page(max_sessions=2)
    entry = post(page, "/api/gallery", picture()).json()
    for seed in range(4):
        post(another_browser(page), "/api/gallery", picture(seed))
    assert page.get(entry["picture"]).status_code == 200


def test_full_memory_takes_no_more_from_anybody(open_page, picture, another_browser, monkeypatch):
    monkeypatch.setattr(Limits, "memory_bytes", 40_000)
    page = open_page()
    other = another_browser(page)
    post(page, "/api/gallery", picture())
    codes = {post(other, "/api/gallery", picture(seed)).status_code for seed in range(6)}
    assert codes == {200, 503}


def test_one_request_more_than_the_queue_holds_is_sent_away(open_page, picture, engine_gate):
    page, (begun, gate) = open_page(max_queue=1), engine_gate
    first = threading.Thread(target=post, args=(page, "/api/faces", picture()))
    first.start()
    assert begun.wait(600)
    answer = post(page, "/api/faces", picture(1))
    gate.set()
    first.join()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


def test_requests_that_wait_in_the_queue_are_all_served(open_page, picture, engine_gate):
    page, (begun, gate) = open_page(max_queue=4), engine_gate
    codes = []
    threads = [
        threading.Thread(target=lambda s=seed: codes.append(post(page, "/api/faces", picture(s)).status_code))
        for seed in range(4)
    ]
    for thread in threads:
        thread.start()
    assert begun.wait(600)
    gate.set()
    for thread in threads:
        thread.join()
    assert codes == 4 * [200]


def test_visitors_at_the_same_time_get_each_their_own_face(open_page, picture, another_browser):
    page = open_page()
    alone = [post(page, "/api/faces", picture(seed)).json()["generated"] for seed in range(3)]
    together = [None] * 3

    def ask(seed):
        together[seed] = post(another_browser(page), "/api/faces", picture(seed)).json()["generated"]

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


def test_a_limit_of_nothing_is_refused():
    with pytest.raises(UserError, match=r"--max-batch 0: expected at least 1"):
        Limits(max_batch=0)


def test_more_pixels_than_the_decoder_allows_are_refused():
    with pytest.raises(UserError, match=r"--max-megapixels 65: expected at most 64"):
        Limits(max_megapixels=65)


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ((1500, 1500), "has 1500 x 1500 pixels; the limit is 2 million"),
        ((60_000, 60_000), "far more than 2 million pixels"),
        ((20_000, 10), "the limits are 16384 a side"),
    ],
)
def test_too_many_pixels_are_refused_by_the_header(open_page, size, said):
    answer = post(open_page(max_megapixels=2), "/api/faces", empty_png(*size))
    assert answer.status_code == 422 and said in answer.json()["error"]
