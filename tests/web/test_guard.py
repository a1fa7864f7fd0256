"""Who may ask: names of the server, origins of requests, and what browsers are told."""

import pytest
from starlette.datastructures import Headers

from pcfh.web.guard import HEADERS, host_name, objection

HOSTS = {"localhost", "::1", "faces.example.org"}
HERE = "localhost:8765"


def asked(method="POST", **headers):
    return objection(
        method, Headers({name.replace("_", "-"): value for name, value in headers.items()}), HOSTS
    )


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8765", "LOCALHOST:1", "[::1]:8765", "faces.example.org"]
)
def test_names_of_this_server_are_served(host):
    assert asked("GET", host=host) is None


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "localhost.evil.example",
        "evil.example:8765",
        "localhost:8765.evil.example",
        "127.0.0.1:8765:80",
        "localhost:",
        "localhost:port",
        "localhost/",
        "localhost ",
        "localhost\n",
        "evil.example?localhost",
        "localhost@evil.example",
        "[::1",
        "::1",
    ],
)
def test_other_names_are_refused(host):
    assert "not served under this name" in asked("GET", host=host)


def test_a_request_without_a_host_is_refused():
    assert "not served under this name" in asked("GET")


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
def test_a_change_asked_for_by_another_site_is_refused(method):
    assert "another site" in asked(method, host=HERE, origin="https://evil.example")


@pytest.mark.parametrize(
    "origin", ["null", "http://localhost:9000", "http://localhost", "ftp://localhost:8765"]
)
def test_a_change_asked_for_by_another_origin_of_this_machine_is_refused(origin):
    assert "another site" in asked(host=HERE, origin=origin)


@pytest.mark.parametrize("origin", ["http://localhost:8765", "https://localhost:8765"])
def test_a_change_asked_for_by_the_page_is_served(origin):
    assert asked(host=HERE, origin=origin) is None


def test_a_change_asked_for_by_a_program_that_sends_no_origin_is_served():
    assert asked(host=HERE) is None


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_a_change_without_origin_that_a_browser_calls_foreign_is_refused(site):
    assert "another site" in asked(host=HERE, sec_fetch_site=site)


def test_a_foreign_page_may_link_here():
    assert asked("GET", host=HERE, origin="https://evil.example") is None


def test_host_names_lose_port_and_case():
    assert host_name("Example.ORG:80") == "example.org"


@pytest.mark.parametrize("path", ["/", "/page/page.js", "/api/session", "/nothing"])
def test_every_answer_carries_the_security_headers(page, path):
    sent = page.get(path).headers
    assert {name: sent[name] for name in HEADERS} == HEADERS


def test_the_policy_allows_no_inline_script_and_nothing_from_elsewhere():
    policy = HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy and "http" not in policy


def test_a_foreign_name_is_refused_over_http(page):
    assert page.get("/api/session", headers={"Host": "evil.example"}).status_code == 403


def test_a_foreign_upload_is_refused_before_it_is_read(page):
    answer = page.post("/api/faces", content=b"x", headers={"Origin": "https://evil.example"})
    assert (answer.status_code, answer.json()) == (
        403,
        {"error": "the request comes from a page of another site"},
    )


def test_faces_are_never_cached(page):
    assert page.get("/api/session").headers["cache-control"] == "no-store"
