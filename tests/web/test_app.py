"""The routes: what a visitor uploads, sees, enrols, takes away and forgets."""

import base64
import csv
import zipfile
from io import BytesIO, StringIO
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

from pcfh.images import grey
from pcfh.web.decode import decode


def opened(data_url):
    return Image.open(BytesIO(base64.b64decode(data_url.split(",", 1)[1])))


def translate(page, data, name="face.png"):
    return page.post("/api/faces", content=data, headers={"X-File-Name": quote(name)})


def enrol(page, data, person):
    return page.post("/api/gallery", content=data, headers={"X-Person": quote(person)})


def batch(page, data, name):
    return page.post("/api/batch", content=data, headers={"X-File-Name": quote(name)})


def table(zipped):
    return list(csv.DictReader(StringIO(zipped.read("faces.csv").decode())))


def archive(page):
    return zipfile.ZipFile(BytesIO(page.get("/api/batch.zip").content))


def test_the_page_links_only_files_of_its_own_server(page):
    html = page.get("/").text
    linked = [part.split('"', 1)[0] for key in ('src="', 'href="') for part in html.split(key)[1:]]
    assert all(link.startswith(("/page/", "/api/", "#")) for link in linked)


def test_every_file_that_the_page_links_is_there(page):
    html = page.get("/").text
    files = {part.split('"', 1)[0] for key in ('src="/', 'href="/') for part in html.split(key)[1:]}
    assert {page.get(f"/{file}").status_code for file in files if not file.startswith("api/")} == {200}


def test_folders_of_the_page_are_not_listed(page):
    assert page.get("/page/").status_code == 404


def test_nothing_beside_the_folder_of_the_page_is_served(page):
    assert page.get("/page/%2e%2e/app.py").status_code == 404


def test_the_generated_face_is_what_the_generator_makes(page, picture, engine):
    answer = translate(page, picture()).json()
    expected = engine.hallucinator(decode(picture(), megapixels=1).pixels)
    np.testing.assert_array_equal(np.asarray(opened(answer["generated"])), expected)


def test_the_generated_face_carries_the_marks(page, picture, engine):
    answer = translate(page, picture()).json()
    assert opened(answer["generated"]).text == engine.hallucinator.provenance()


def test_the_download_is_named_synthetic(page, picture):
    assert translate(page, picture(), "Zoë 1.png").json()["file"] == "Zoë 1-synthetic.png"


def test_what_was_assumed_to_read_a_photograph_is_told(page):
    deep = np.random.default_rng(0).integers(0, 1024, (96, 96), np.uint16)
    buffer = BytesIO()
    Image.fromarray(deep).save(buffer, "PNG")
    answers = [translate(page, buffer.getvalue()).json(), enrol(page, buffer.getvalue(), "A").json()]
    answers.append(batch(page, buffer.getvalue(), "deep.png").json())
    assert all("bits" in answer["notes"][0] for answer in answers)
    assert "bits" in table(archive(page))[0]["note"]


def test_a_photograph_unlike_those_of_the_training_is_told_to_be(page, picture):
    [note] = translate(page, picture()).json()["notes"]
    assert note.startswith("unlike the faces of the training: ") and "grainy" in note


def test_the_answer_names_the_photograph_that_it_is_of(page, picture):
    assert translate(page, picture(), "a/Zoë 1.png").json()["source"] == "Zoë 1.png"


def test_landmarks_are_in_pixels_of_the_shown_photograph(page, picture, engine):
    answer = translate(page, picture(size=(1440, 1440), mode="L")).json()
    expected = (engine.hallucinator._backend.points * 1440 / 256 + 0.5) / 2 - 0.5
    np.testing.assert_allclose(answer["photo"]["landmarks"], expected, atol=0.01)


def test_the_shown_photograph_is_at_most_720_pixels_long(page, picture):
    photo = translate(page, picture(size=(1440, 720), mode="L")).json()["photo"]
    assert (photo["width"], photo["height"]) == opened(photo["image"]).size == (720, 360)


def test_there_are_boxes_of_four_parts(page, picture):
    parts = translate(page, picture()).json()["parts"]
    assert [part["name"] for part in parts] == ["left_eye", "right_eye", "nose", "mouth"]


@pytest.mark.parametrize("route", ["/api/faces", "/api/gallery", "/api/batch"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"some text\n", "not a whole image (of no known format)"),
        (b"\xff\xd8\xff\xe0" + bytes(50), "not a whole image"),
    ],
    ids=["empty", "text", "only a header"],
)
def test_what_is_no_picture_gets_a_clear_line(page, route, content, reason):
    answer = page.post(route, content=content, headers={"X-File-Name": "a.jpg", "X-Person": "A"})
    assert answer.status_code == 422 and answer.json()["error"].startswith(reason)


def test_a_picture_without_a_face_gets_a_clear_line(page):
    buffer = BytesIO()
    Image.new("RGB", (80, 80), "grey").save(buffer, "PNG")
    answer = translate(page, buffer.getvalue())
    assert answer.status_code == 422 and answer.json()["error"].startswith("no face was found; choose")


def test_errors_never_name_a_file_of_the_server(page):
    assert "/dev/" not in translate(page, b"text").text


def test_enrolled_faces_are_kept_in_colour(page, picture):
    entry = enrol(page, picture(), "A").json()
    crop = np.asarray(Image.open(BytesIO(page.get(entry["picture"]).content)))
    assert not np.array_equal(crop, np.repeat(grey(crop), 3, axis=2))


def test_control_characters_are_taken_out_of_names(page, picture):
    assert enrol(page, picture(), "A\n\x07B\u202e").json()["name"] == "A B"


def test_a_name_is_one_in_both_spellings_of_its_letters_and_another_in_another_case(page, picture):
    for seed, person in enumerate(("Zo\u00eb", "Zoe\u0308 ", "zo\u00eb")):
        enrol(page, picture(seed), person)
    face = translate(page, picture(9)).json()["face"]
    matches = page.get(f"/api/faces/{face}/matches").json()["matches"]
    assert {match["person"]: match["photographs"] for match in matches} == {"Zo\u00eb": 2, "zo\u00eb": 1}


def test_enrolling_without_a_name_is_refused(page, picture):
    answer = enrol(page, picture(), "  ")
    assert answer.status_code == 400 and answer.json()["error"].startswith("give the person a name")


def test_the_photograph_itself_is_the_best_match_by_the_original(page, picture):
    """A grey photograph looks the same in the gallery and as a probe, so its original score is one."""
    for seed, person in enumerate("ABC"):
        enrol(page, picture(seed, mode="L"), person)
    face = translate(page, picture(1, mode="L")).json()["face"]
    matches = page.get(f"/api/faces/{face}/matches").json()["matches"]
    best = max(matches, key=lambda match: match["original"])
    assert best["person"] == "B" and best["original"] == pytest.approx(1, abs=1e-5)


def test_the_fused_score_is_the_same_multiple_of_the_mean_of_the_two_for_everybody(page, picture):
    for seed, person in enumerate("ABC"):
        enrol(page, picture(seed), person)
    face = translate(page, picture(5)).json()["face"]
    matches = page.get(f"/api/faces/{face}/matches").json()["matches"]
    times = [2 * match["fused"] / (match["original"] + match["generated"]) for match in matches]
    assert times == pytest.approx([times[0]] * 3, rel=1e-4)
    assert times[0] > 1  # as much as the two features disagree


def test_matches_are_ranked_by_the_fused_score(page, picture):
    for seed in range(5):
        enrol(page, picture(seed), f"{seed}")
    face = translate(page, picture(9)).json()["face"]
    fused = [match["fused"] for match in page.get(f"/api/faces/{face}/matches").json()["matches"]]
    assert fused == sorted(fused, reverse=True) and len(fused) == 5


def test_an_empty_gallery_gives_no_matches(page, picture):
    face = translate(page, picture()).json()["face"]
    answer = page.get(f"/api/faces/{face}/matches").json()
    assert (answer["matches"], answer["no_threshold"]) == ([], "nobody is enrolled")


def test_a_person_with_several_photographs_is_listed_once_by_the_best(page, picture):
    for seed, person in ((1, "A"), (2, "B"), (3, "A")):
        enrol(page, picture(seed, mode="L"), person)
    face = translate(page, picture(3, mode="L")).json()["face"]
    matches = page.get(f"/api/faces/{face}/matches").json()["matches"]
    assert {match["person"]: match["photographs"] for match in matches} == {"A": 2, "B": 1}
    [best] = [match["original"] for match in matches if match["person"] == "A"]
    assert best == pytest.approx(1, abs=1e-5)


def test_scores_are_above_or_below_the_threshold_of_the_gallery(page, picture, engine):
    for seed in range(5):
        enrol(page, picture(seed), f"{seed}")
    face = translate(page, picture(2)).json()["face"]
    answer = page.get(f"/api/faces/{face}/matches", params={"far": 0.1}).json()
    entries = [engine.enrol("", "", decode(picture(seed), megapixels=1).pixels).feature for seed in range(5)]
    impostors = sorted(float(a @ b) for i, a in enumerate(entries) for b in entries[:i])
    threshold = answer["operating_point"]["threshold"]
    assert impostors[-2] < threshold <= impostors[-1]  # one of ten pairs may reach it
    assert answer["operating_point"]["pairs"] == 10
    for match in answer["matches"]:
        assert match["decision"] == ("above" if match["fused"] >= threshold else "below")


def test_a_gallery_too_small_for_a_rate_gives_no_threshold_and_says_why(page, picture):
    for seed in range(3):
        enrol(page, picture(seed), f"{seed}")
    face = translate(page, picture(9)).json()["face"]
    answer = page.get(f"/api/faces/{face}/matches", params={"far": 0.01}).json()
    assert answer["operating_point"] is None and "impostor pairs" in answer["no_threshold"]
    assert [match["decision"] for match in answer["matches"]] == [None] * 3


@pytest.mark.parametrize("far", ["0", "-1", "2", "nan", "x", "inf", ""])
def test_a_rate_that_is_none_is_refused(page, picture, far):
    face = translate(page, picture()).json()["face"]
    answer = page.get(f"/api/faces/{face}/matches", params={"far": far})
    assert answer.status_code == 400 and answer.json()["error"].startswith("far: expected a number")


def test_the_ninth_face_takes_the_place_of_the_first(page, picture):
    faces = [translate(page, picture(seed)).json()["face"] for seed in range(9)]
    assert [page.get(f"/api/faces/{face}/matches").status_code for face in faces] == [404] + 8 * [200]


def test_the_gallery_is_still_there_after_the_page_is_loaded_again(page, picture):
    entry = enrol(page, picture(), "A").json()
    assert page.get("/api/session").json()["gallery"] == [entry]


def test_a_removed_entry_is_gone(page, picture):
    entry = enrol(page, picture(), "A").json()
    page.delete(f"/api/gallery/{entry['id']}")
    assert page.get(entry["picture"]).status_code == 404


def test_the_zip_holds_each_face_once_by_its_own_name(page, picture):
    for name in ("a.png", "b.jpg", "a.jpg", "A.bmp"):
        batch(page, picture(), name)
    faces = [name for name in archive(page).namelist() if name.startswith("faces/")]
    assert faces == [f"faces/{name}-synthetic.png" for name in ("a", "b", "a-2", "A-3")]


def test_a_bad_file_of_a_batch_is_listed_and_the_rest_goes_on(page, picture):
    for content, name in ((picture(), "a.png"), (b"text", "bad.jpg"), (picture(1), "b.png")):
        batch(page, content, name)
    rows = table(archive(page))
    assert [row["source"] for row in rows if row["error"].startswith("not a whole image")] == ["bad.jpg"]
    assert [row["source"] for row in rows if row["result"]] == ["a.png", "b.png"]


def test_a_table_in_the_zip_leads_each_photograph_to_its_own_face(page, picture, engine):
    """Two photographs have one name, as those of two folders do."""
    sources = {"bad.jpg": b"text", "001.png": picture(1), "001.jpg": picture(2)}
    for name, content in sources.items():
        batch(page, content, name)
    zipped = archive(page)
    rows = table(zipped)
    assert [row["source"] for row in rows] == list(sources)
    for row in rows[1:]:
        expected = engine.hallucinator(decode(sources[row["source"]], megapixels=1).pixels)
        made = np.asarray(Image.open(BytesIO(zipped.read(row["result"]))))
        np.testing.assert_array_equal(made, expected)


@pytest.mark.parametrize("name", ["../../evil.png", "..\\..\\evil.png", "/etc/evil.png", "C:\\evil.png"])
def test_names_with_folders_stay_inside_the_zip(page, picture, name):
    batch(page, picture(), name)
    assert "faces/evil-synthetic.png" in archive(page).namelist()


@pytest.mark.parametrize("name", ["", "..", "...png", "/", "\x00"])
def test_names_without_a_name_get_one(page, picture, name):
    batch(page, picture(), name)
    assert "faces/photograph-synthetic.png" in archive(page).namelist()


def test_a_new_batch_begins_empty(page, picture):
    batch(page, picture(), "a.png")
    page.delete("/api/batch")
    assert page.get("/api/batch.zip").status_code == 404


def test_another_visitor_sees_nothing_of_mine(page, picture, another_browser):
    entry = enrol(page, picture(), "A").json()
    face = translate(page, picture()).json()["face"]
    batch(page, picture(), "a.png")
    other = another_browser(page)
    enrol(other, picture(3), "B")  # so that the other has a session too
    asked = (entry["picture"], f"/api/faces/{face}/matches", "/api/batch.zip")
    assert [other.get(path).status_code for path in asked] == [404, 404, 404]


def test_another_visitor_cannot_remove_what_is_mine(page, picture, another_browser):
    entry = enrol(page, picture(), "A").json()
    other = another_browser(page)
    enrol(other, picture(1), "B")
    other.delete(f"/api/gallery/{entry['id']}")
    assert page.get(entry["picture"]).status_code == 200


def test_what_is_forgotten_cannot_be_asked_for_with_the_old_cookie(page, picture):
    entry = enrol(page, picture(), "A").json()
    cookie = page.cookies["pcfh_session"]
    page.delete("/api/session")
    page.cookies.set("pcfh_session", cookie)
    assert page.get(entry["picture"]).status_code == 404


def test_a_face_is_translated_without_a_session_and_nothing_of_it_is_kept(page, picture, another_browser):
    answer = translate(another_browser(page), picture())
    assert answer.json()["face"] is None and "set-cookie" not in answer.headers


def test_uploads_after_the_beginning_share_one_session(page, picture):
    page.post("/api/session")
    cookie = page.cookies["pcfh_session"]
    enrol(page, picture(), "A")
    assert page.cookies["pcfh_session"] == cookie


def test_looking_at_the_page_makes_no_session(page):
    page.get("/")
    assert "set-cookie" not in page.get("/api/session").headers


def test_a_made_up_key_is_not_taken_over(page):
    page.cookies.set("pcfh_session", "chosen-by-somebody-else")
    assert "chosen" not in page.post("/api/session").headers["set-cookie"]


def test_scripts_and_other_sites_do_not_get_the_cookie(page):
    cookie = page.post("/api/session").headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie


def test_behind_tls_the_cookie_is_never_sent_in_clear(open_page):
    page = open_page()
    page.base_url = "https://127.0.0.1"
    assert "; secure" in page.post("/api/session").headers["set-cookie"].lower()


def test_an_unknown_address_is_an_error_in_json(page):
    answer = page.get("/api/unknown")
    assert (answer.status_code, answer.json()) == (404, {"error": "Not Found"})


def test_a_fault_of_the_program_shows_nothing_of_it(page, picture, engine, monkeypatch):
    monkeypatch.setattr(engine, "translate", lambda image: 1 / 0)
    page._transport.raise_server_exceptions = False
    answer = translate(page, picture())
    assert (answer.status_code, answer.json()) == (500, {"error": "the program failed; its log says more"})


def test_after_a_fault_the_next_photograph_is_translated(page, picture, engine, monkeypatch):
    page._transport.raise_server_exceptions = False
    with monkeypatch.context() as patched:
        patched.setattr(engine, "translate", lambda image: 1 / 0)
        translate(page, picture())
    assert translate(page, picture()).status_code == 200
