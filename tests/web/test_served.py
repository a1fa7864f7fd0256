"""A gallery that the server brings along, and the token that lets programs in."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import uvicorn

from pcfh.cli.serve import Searched, token_of
from pcfh.errors import UserError
from pcfh.web.app import create_app
from pcfh.web.decode import decode
from pcfh.web.limits import Limits
from pcfh.web.serving import bound_socket

TOKEN = "a-token-of-some-length"
CLIENT = Path(__file__).parents[2] / "examples" / "web_client.py"


def face_of(page, data):
    return page.post("/api/faces", content=data).json()["face"]


def test_the_server_s_gallery_is_searched_and_its_threshold_decides(open_served, gallery, picture, engine):
    page = open_served()
    answer = page.get(f"/api/faces/{face_of(page, picture(3))}/search", params={"far": 0.1, "top": 4}).json()
    threshold = gallery.calibration(0.1).threshold
    assert answer["operating_point"]["threshold"] == threshold and answer["compared"] == len(gallery)
    probe = engine.translate(decode(picture(3), megapixels=1).pixels).probe
    expected = gallery.search(probe, engine.recognizer.key, top=4)
    assert [match["person"] for match in answer["matches"]] == [match.entry.person for match in expected]
    for match in answer["matches"]:
        assert match["decision"] == ("above" if match["fused"] >= threshold else "below")


def test_without_a_calibration_for_a_rate_nothing_is_above_or_below(open_served, picture):
    page = open_served()
    answer = page.get(f"/api/faces/{face_of(page, picture())}/search", params={"far": 0.001}).json()
    assert answer["no_threshold"].startswith("the gallery is calibrated for: 0.1;")
    assert {match["decision"] for match in answer["matches"]} == {None}


def test_a_number_of_people_that_is_none_is_refused(open_served, picture):
    page = open_served()
    path = f"/api/faces/{face_of(page, picture())}/search"
    codes = [
        page.get(path, params={"top": top}).status_code for top in ("0", "-1", "1e3", "101", "²", "", "5")
    ]
    assert codes == [400] * 6 + [200]


def test_the_page_is_told_of_the_gallery(open_served, gallery):
    served = open_served().get("/api/session").json()["served"]
    assert served == {"name": "people", "faces": len(gallery), "rates": [0.1]}


def test_without_a_gallery_there_is_nothing_to_search(page, picture):
    answer = page.get(f"/api/faces/{face_of(page, picture())}/search")
    assert answer.status_code == 404 and "pcfh serve --gallery" in answer.json()["error"]


def test_visitors_learn_neither_folder_nor_address_of_a_gallery():
    names = [Searched(gallery=uri).shown_name for uri in ("/srv/secret/people.db", "http://inside:19530")]
    assert names == ["people", "faces"]


@pytest.fixture
def guarded(engine, client_of):
    return client_of(create_app(engine, Limits(), {"127.0.0.1"}, token=TOKEN))


@pytest.mark.parametrize(
    "shown", [None, "Bearer", "Bearer ", f"Bearer {TOKEN}x", TOKEN, f"Basic {TOKEN}", "Bearer é"]
)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/api/session"), ("POST", "/api/faces"), ("GET", "/api/batch.zip")]
)
def test_without_the_token_nothing_is_answered(guarded, picture, method, path, shown):
    headers = {} if shown is None else {"Authorization": shown.encode()}
    answer = guarded.request(method, path, content=picture() if method == "POST" else None, headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_with_the_token_a_program_needs_no_session(guarded, picture):
    answer = guarded.post("/api/faces", content=picture(), headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200


def test_a_session_begun_with_the_token_needs_it_no_more(guarded, picture):
    guarded.post("/api/session", headers={"Authorization": f"Bearer {TOKEN}"})
    assert guarded.post("/api/faces", content=picture()).status_code == 200


def test_page_and_document_need_no_token(guarded):
    assert [guarded.get(path).status_code for path in ("/", "/page/page.js", "/api/openapi.json")] == [
        200
    ] * 3


@pytest.mark.parametrize(
    "text", ["", "short", "with blanks in between them", "é" * 20, "line\nline of a token"]
)
def test_a_token_that_cannot_serve_is_refused(tmp_path, text):
    (tmp_path / "token").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="expected"):
        token_of(tmp_path / "token")


def test_a_token_ends_with_its_line(tmp_path):
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert token_of(tmp_path / "token") == TOKEN


def test_the_example_translates_enrols_and_searches(engine, picture, tmp_path):
    for name, seed in (("nir", 1), ("a", 1), ("b", 2)):
        (tmp_path / f"{name}.png").write_bytes(picture(seed, mode="L"))
    (tmp_path / "token").write_text(TOKEN)
    app = create_app(engine, Limits(), {"127.0.0.1"}, token=TOKEN)
    with bound_socket("127.0.0.1", 0) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            address = f"http://127.0.0.1:{listening.getsockname()[1]}"
            command = [sys.executable, CLIENT, address, "nir.png", "--token", "token"]
            people = ["--enrol", "Zoë=a.png", "Bo=b.png"]
            done = subprocess.run(
                [*command, *people], cwd=tmp_path, capture_output=True, text=True, check=False
            )
            refused = subprocess.run(
                [*command, "--served"], cwd=tmp_path, capture_output=True, text=True, check=False
            )
        finally:
            server.should_exit = True
            thread.join()
    rows = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    assert sorted(row[1] for row in rows) == ["no threshold  Bo", "no threshold  Zoë"] and done.stderr == ""
    made = decode((tmp_path / "nir-synthetic.png").read_bytes(), megapixels=1).pixels
    np.testing.assert_array_equal(
        made, engine.hallucinator(decode(picture(1, mode="L"), megapixels=1).pixels)
    )
    assert (refused.returncode, refused.stderr[:4]) == (1, "404:")
