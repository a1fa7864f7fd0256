"""Real clicks in headless Chromium, on the real networks behind pcfh serve with small limits.

Screenshots go to the folder that PCFH_SCREENSHOTS names, or to pytest's own.
"""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pcfh.gallery.entries import NewFace
from pcfh.gallery.store import Gallery
from pcfh.hallucinate import Hallucinator
from pcfh.images import read_image
from pcfh.recognisers.registry import open_recognizer
from pcfh.shipped import shipped
from pcfh.web.app import PAGE
from pcfh.web.engine import Engine

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra dev)")
expect = sync_api.expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--use-fake-device-for-media-stream=device-count=2", "--use-fake-ui-for-media-stream"),
)
PEOPLE = 10_000
TOKEN = "sixteen-letters-and-more"
LIMITS = {"batch": 6, "gallery": 7, "queue": 1}
SCREENS = (
    (1280, "light", "1280"),
    (1280, "dark", "1280-dark"),
    (390, "light", "390"),
    (390, "dark", "390-dark"),
)
PATIENCE = 600_000  # milliseconds, because the machine may be busy
SAMPLES = PAGE / "samples"
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def gallery(blaze, tmp_path_factory):
    """The six samples among 9,994 people who are features alone, as alike on average as the six are."""
    pytest.importorskip("pymilvus", reason="a gallery needs the extra 'gallery'")
    path = str(tmp_path_factory.mktemp("gallery") / "visitors.db")
    recognizer = open_recognizer(shipped("recognizer"), device="cpu")
    engine = Engine(Hallucinator.from_file(shipped("generator"), device="cpu", backend=blaze), recognizer)
    files = sorted(SAMPLES.glob("vis-*.jpg"))
    known = np.stack([engine.enrol("", "", read_image(file)).feature for file in files])
    mean = known.mean(0)
    spread = np.sqrt((1 - mean @ mean) / len(mean))
    others = mean + spread * np.random.default_rng(0).standard_normal((PEOPLE - len(files), len(mean)))
    features = np.concatenate([known, others / np.linalg.norm(others, axis=1, keepdims=True)]).astype(
        np.float32
    )
    faces = (
        NewFace(
            id=f"{place:032x}",
            person=f"Sample {file.stem[-3:]}"
            if (file := dict(enumerate(files)).get(place))
            else f"Synthetic {place:05}",
            source=file.name if file else "features drawn at random",
            quality=1.0,
            feature=feature,
        )
        for place, feature in enumerate(features)
    )
    with Gallery.open(path) as opened:
        opened.enrol(faces, recognizer.key, recognizer.name)
        opened.calibrate(0.0001)
    return path


@pytest.fixture(scope="module")
def address(gallery):
    """Where pcfh serve runs meanwhile."""
    limits = [part for name, most in LIMITS.items() for part in (f"--max-{name}", str(most))]
    command = [sys.executable, "-m", "pcfh", "serve", "--port", "0", "--device", "cpu", "--gallery", gallery]
    with subprocess.Popen([*command, *limits], stdout=subprocess.PIPE, text=True) as server:
        yield server.stdout.readline().split()[0]
        server.terminate()


@pytest.fixture(scope="module")
def address_with_token(tmp_path_factory):
    """Where pcfh serve runs that asks for a token."""
    path = tmp_path_factory.mktemp("token") / "token.txt"
    path.write_text(TOKEN)
    command = [sys.executable, "-m", "pcfh", "serve", "--port", "0", "--device", "cpu", "--token", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        yield server.stdout.readline().split()[0]
        server.terminate()


@pytest.fixture(scope="module")
def browser():
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"needs a browser: one of {', '.join(BROWSERS)}")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=list(SWITCHES))
        yield running
        running.close()


@pytest.fixture
def open_page(browser):
    """Opens an address in a fresh profile; the page must not raise an error or break its own policy."""
    contexts, faults = [], []

    def start(url):
        context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda line: faults.append(line.text) if "Policy" in line.text else None)
        page.goto(url)
        expect(page.locator("#samples button")).to_have_count(6)
        return page

    yield start
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def open_at(address, open_page):
    """Opens the page of the server that asks for nothing."""

    def start():
        page = open_page(address)
        expect(page.locator("#facts dt")).to_have_count(3)
        return page

    return start


@pytest.fixture
def page(open_at):
    return open_at()


@pytest.fixture
def screenshots(tmp_path):
    folder = Path(os.environ.get("PCFH_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def translate_sample(page, number=5):
    page.locator("#samples button").nth(number - 1).click()
    expect(page.locator("#result-shown")).to_be_visible()
    expect(page.locator("#result")).to_have_attribute("aria-busy", "false")


def enrol_samples(page):
    page.get_by_role("button", name="Enrol the six samples").click()
    expect(page.locator("#gallery li")).to_have_count(6)
    expect(page.locator("#enrol-samples")).to_be_enabled()


def file(name, content, kind="image/png"):
    return {"name": name, "mimeType": kind, "buffer": content}


def sample(name):
    return file(name, (SAMPLES / name).read_bytes(), "image/jpeg")


def plain(width, height):
    buffer = BytesIO()
    Image.new("L", (width, height), 90).save(buffer, "PNG")
    return buffer.getvalue()


def shown(page, selector):
    return np.asarray(Image.open(BytesIO(page.locator(selector).screenshot())).convert("RGB")).astype(int)


def test_a_sample_is_translated_and_labelled_as_synthetic(page):
    translate_sample(page)
    expect(page.locator("#compare .tag.right")).to_have_text("Synthetic")
    expect(page.locator("#photo-frame circle")).to_have_count(68)
    expect(page.locator("#crop-frame rect")).to_have_count(4)
    expect(page.locator("#parts canvas")).to_have_count(8)


def test_the_downloaded_face_carries_its_marks(page):
    translate_sample(page)
    with page.expect_download() as caught:
        page.get_by_role("link", name="Download the generated face").click()
    assert caught.value.suggested_filename == "nir-00198-synthetic.png"
    assert Image.open(caught.value.path()).text["Synthetic"] == "true"


def test_the_slider_moves_with_the_mouse(page):
    translate_sample(page)
    place = page.locator("#slider").bounding_box()
    page.mouse.click(place["x"] + 0.9 * place["width"], place["y"] + place["height"] / 2)
    assert 88 <= int(page.locator("#slider").input_value()) <= 92


def test_the_slider_moves_with_the_keyboard_and_says_so(page):
    translate_sample(page)
    page.locator("#slider").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#slider")).to_have_attribute("aria-valuetext", "51 % near-infrared, 49 % generated")


def test_the_slider_shows_grey_before_and_colour_after(page):
    translate_sample(page)
    page.locator("#slider").press("End")
    before = shown(page, "#compare")[20:80, 20:-20]
    page.locator("#slider").press("Home")
    after = shown(page, "#compare")[20:80, 20:-20]
    assert np.ptp(before, axis=2).max() == 0 < np.ptp(after, axis=2).max()


def test_landmarks_and_boxes_can_be_hidden(page):
    translate_sample(page)
    page.get_by_label("Draw landmarks and parts").uncheck()
    expect(page.locator("#photo-frame svg")).to_be_hidden()


def test_a_chosen_file_is_translated(page):
    page.locator("#photo").set_input_files(sample("nir-00176.jpg"))
    expect(page.locator("#result-shown")).to_be_visible()


def test_a_pasted_picture_is_translated(page):
    page.evaluate(
        """async () => {
            const data = new DataTransfer();
            const blob = await (await fetch("/page/samples/nir-00176.jpg")).blob();
            data.items.add(new File([blob], "pasted.jpg", { type: "image/jpeg" }));
            document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data }));
        }"""
    )
    expect(page.locator("#result-shown")).to_be_visible()


def test_a_dropped_picture_is_translated(page):
    page.evaluate(
        """async () => {
            const data = new DataTransfer();
            const blob = await (await fetch("/page/samples/nir-00176.jpg")).blob();
            data.items.add(new File([blob], "dropped.jpg", { type: "image/jpeg" }));
            const event = new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
            document.getElementById("drop").dispatchEvent(event);
        }"""
    )
    expect(page.locator("#result-shown")).to_be_visible()


def test_a_camera_frame_is_taken_and_its_lack_of_a_face_is_said(page):
    page.get_by_role("button", name="Use the camera").click()
    page.get_by_role("button", name="Take the picture").click()
    expect(page.locator("#translate-error")).to_contain_text("camera.png: No face was found")


def test_the_camera_closes_with_escape(page):
    page.get_by_role("button", name="Use the camera").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_enrolled_faces_are_ranked_with_three_scores(page):
    translate_sample(page)
    enrol_samples(page)
    expect(page.locator("#own-found tbody tr")).to_have_count(6)
    rows = [
        [float(cell) for cell in row.split()[-3:]]
        for row in page.locator("#own-found tbody tr").all_inner_texts()
    ]
    times = [2 * fused / (a + b) for a, b, fused in rows if a + b > 0.2]  # one for all, see fused_vectors
    assert times == pytest.approx([times[0]] * len(times), abs=0.02)
    assert [row[2] for row in rows] == sorted((row[2] for row in rows), reverse=True)


def test_people_of_a_gallery_of_ten_thousand_are_found_above_or_below_its_threshold(page, screenshots):
    translate_sample(page)
    expect(page.locator("#served-found h4")).to_have_text("In the gallery “visitors” 10,000 photographs")
    expect(page.locator("#served-found p")).to_contain_text("for a false-accept rate of 0.01 %")
    expect(page.locator("#served-found p")).to_contain_text("about 1 would be above it by chance")
    shown = page.locator("#served-found > .scroll tbody tr")
    assert {row.split()[-2] for row in shown.all_inner_texts()} == {"above"}
    expect(shown.first).to_contain_text("Sample 198")
    page.locator("#served-found summary").click()
    below = page.locator("#served-found details tbody tr")
    assert {row.split()[-2] for row in below.all_inner_texts()} == {"below"}
    assert shown.count() + below.count() == 10
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.locator("#served-found > .scroll").evaluate("box => box.scrollWidth <= box.clientWidth")
        page.locator("#people").screenshot(path=screenshots / f"web-gallery-{width}.png")
    assert "identified" not in page.locator("body").inner_text().lower()


def test_the_list_is_cut_at_the_threshold_of_the_rate_that_is_chosen(page):
    translate_sample(page)
    enrol_samples(page)
    expect(page.locator("#own-found p")).to_contain_text("No threshold: ")
    expect(page.locator("#own-found > .scroll tbody tr")).to_have_count(6)
    page.get_by_label("False-accept rate of the threshold").select_option("0.1")
    expect(page.locator("#own-found p")).to_contain_text("from 15 pairs of 6 people")
    above = page.locator("#own-found > .scroll tbody tr").count()
    expect(page.locator("#own-found details tbody tr")).to_have_count(6 - above)


def test_photographs_without_a_typed_name_are_named_one_by_one(page):
    page.locator("#enrol-files").set_input_files(
        [sample("vis-00176.jpg"), sample("vis-00185.jpg"), sample("vis-00198.jpg")]
    )
    page.get_by_label("vis-00176.jpg").fill("Ada")
    page.get_by_label("vis-00185.jpg").fill("Bo")
    page.get_by_label("vis-00198.jpg").fill("Ada")
    expect(page.locator("#naming-note")).to_have_text(
        "3 photographs, 2 people; Ada: 2 photographs of one person"
    )
    page.get_by_role("button", name="Enrol", exact=True).click()
    expect(page.locator("#gallery li")).to_have_count(2)
    expect(page.locator("#gallery li").first).to_contain_text("Ada2 photographs")
    page.locator("#enrol-files").set_input_files(sample("vis-00192.jpg"))
    page.get_by_label("vis-00192.jpg").fill("Bo")
    expect(page.locator("#naming-note")).to_contain_text("Bo: 1 photograph of one person, beside 1 enrolled")


@pytest.fixture
def photos(tmp_path):
    """Two photographs of Ada and one of Bo in folders of their own, one of Cy beside them, and a text."""
    folder = tmp_path / "photos"
    for name, person in {"Ada/1": "00176", "Ada/day/2": "00185", "Bo/1": "00198", "Cy": "00192"}.items():
        path = folder / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SAMPLES / f"vis-{person}.jpg", path)
    (folder / "Bo" / "notes.txt").write_text("no photograph")
    return folder


def test_a_chosen_folder_has_the_names_of_the_folders_in_it(page, photos):
    page.locator("#enrol-folder").set_input_files(photos)
    assert sorted(page.locator("#naming-rows label").all_inner_texts()) == [
        "Ada: 2 photographs",
        "Bo: 1 photograph",
        "Cy.jpg",
    ]
    named = page.locator("#naming-rows input").evaluate_all("fields => fields.map((field) => field.value)")
    assert sorted(named) == ["Ada", "Bo", "Cy"]
    expect(page.locator("#naming-note")).to_have_text("4 photographs, 3 people")
    page.get_by_label("Cy.jpg").fill("Bo ")
    expect(page.locator("#naming-note")).to_have_text(
        "4 photographs, 2 people; Bo: 2 photographs of one person"
    )
    page.get_by_role("button", name="Enrol", exact=True).click()
    expect(page.locator("#gallery li")).to_have_count(2)
    for person in ("Ada", "Bo"):
        expect(page.locator("#gallery li").filter(has_text=person)).to_contain_text("2 photographs")
    expect(page.locator("#enrol-error")).to_be_hidden()


def test_a_chosen_folder_is_of_the_person_whose_name_was_typed(page, photos):
    page.get_by_label("Name of the person").fill("Zoe\u0308")
    page.locator("#enrol-folder").set_input_files(photos / "Ada")
    expect(page.locator("#gallery li")).to_contain_text("Zo\u00eb2 photographs")


def test_a_folder_without_photographs_says_so(page, photos):
    for path in photos.rglob("*.jpg"):
        path.unlink()
    page.locator("#enrol-folder").set_input_files(photos)
    expect(page.locator("#enrol-error")).to_have_text("There are no photographs in this folder.")
    expect(page.locator("#naming")).to_be_hidden()


def test_another_camera_can_be_chosen(page):
    page.get_by_role("button", name="Use the camera").click()
    choice = page.get_by_label("Which camera")
    expect(choice.locator("option")).to_have_count(2)
    other = choice.locator("option:not(:checked)").first.get_attribute("value")
    choice.select_option(other)
    expect(page.locator("#camera-take")).to_be_enabled()
    used = page.locator("#camera-view").evaluate(
        "view => view.srcObject.getVideoTracks()[0].getSettings().deviceId"
    )
    assert used == other and choice.input_value() == other


def test_a_face_is_enrolled_under_the_typed_name(page):
    page.get_by_label("Name of the person").fill("Ada <b>")
    page.locator("#enrol-files").set_input_files(sample("vis-00176.jpg"))
    expect(page.locator("#gallery li")).to_contain_text("Ada <b>")


def test_a_removed_face_leaves_the_matches_too(page):
    translate_sample(page)
    enrol_samples(page)
    page.get_by_role("button", name="Remove Sample 3").click()
    expect(page.locator("#own-found tbody tr")).to_have_count(5)
    expect(page.get_by_role("button", name="Remove Sample 4")).to_be_focused()


def test_the_gallery_outlives_a_reload_and_not_the_button(page):
    page.get_by_label("Name of the person").fill("Ada")
    page.locator("#enrol-files").set_input_files(sample("vis-00176.jpg"))
    expect(page.locator("#gallery li")).to_have_count(1)
    page.reload()
    expect(page.locator("#gallery li")).to_have_count(1)
    page.get_by_role("button", name="Forget everything of mine").click()
    expect(page.locator("#gallery li")).to_have_count(0)


def test_a_batch_is_translated_and_downloaded(page):
    files = [sample("nir-00176.jpg"), file("notes.jpg", b"some text"), sample("nir-00185.jpg")]
    page.locator("#batch-files").set_input_files(files)
    expect(page.locator("#batch-count")).to_have_text("Done: 3 of 3 photographs, 1 failed")
    expect(page.locator("#batch-failed li")).to_contain_text("notes.jpg: Not a whole image")
    with page.expect_download() as caught:
        page.get_by_role("link", name="Download the zip").click()
    with zipfile.ZipFile(caught.value.path()) as zipped:
        faces = [name for name in zipped.namelist() if name.startswith("faces/")]
        assert faces == ["faces/nir-00176-synthetic.png", "faces/nir-00185-synthetic.png"]


def test_after_a_failed_upload_nothing_of_the_face_before_is_left(page, screenshots):
    translate_sample(page)
    enrol_samples(page)
    expect(page.locator("#result-title")).to_have_text("nir-00198.jpg")
    expect(page.locator("#matches-of")).to_have_text("of nir-00198.jpg")
    expect(page.locator("#served-found tbody tr")).not_to_have_count(0)
    page.locator("#photo").set_input_files(file("hallway.png", plain(200, 200)))
    expect(page.locator("#translate-error")).to_contain_text("hallway.png: No face was found")
    expect(page.locator("#result-shown")).to_be_hidden()
    expect(page.locator("#empty-title")).to_have_text("No face of hallway.png")
    expect(page.locator(".found tbody tr")).to_have_count(0)
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate("scrollTo({ top: 0, behavior: 'instant' })")
        page.screenshot(path=screenshots / f"web-failed-{width}.png", full_page=True)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (plain(5001, 5000), "has 5001 x 5000 pixels; the limit is 25 million"),
        (plain(200, 200), "no face was found"),
        (b"some text", "not a whole image"),
    ],
    ids=["pixels", "no face", "text"],
)
def test_a_photograph_that_cannot_be_translated_says_why(page, content, reason):
    page.locator("#photo").set_input_files(file("a.png", content))
    expect(page.locator("#translate-error")).to_contain_text(re.compile(reason, re.I))


def test_a_file_that_is_too_large_says_so(page, tmp_path):
    with (tmp_path / "large.png").open("wb") as large:
        large.truncate((15 << 20) + 1)
    page.locator("#photo").set_input_files(tmp_path / "large.png")
    expect(page.locator("#translate-error")).to_have_text(
        "large.png: The file is larger than 15 MiB; send a smaller one."
    )


def test_a_full_gallery_says_so(page):
    enrol_samples(page)
    page.get_by_label("Name of the person").fill("Ada")
    page.locator("#enrol-files").set_input_files([sample("vis-00176.jpg"), sample("vis-00185.jpg")])
    expect(page.locator("#enrol-error")).to_contain_text("vis-00185.jpg: The gallery is full (7 faces)")


def test_a_batch_over_the_limit_says_what_is_left_out(page):
    page.locator("#batch-files").set_input_files(8 * [file("plain.png", plain(40, 40))])
    expect(page.locator("#batch-error")).to_contain_text("A batch holds 6 photographs; 2 were left out")
    expect(page.locator("#batch-failed li")).to_have_count(6)


def test_visitors_that_meet_a_full_queue_are_all_served_in_the_end(open_at):
    pages = [open_at() for _ in range(2)]
    for page in pages:
        page.locator("#samples button").first.click()
    for page in pages:
        expect(page.locator("#result-shown")).to_be_visible()


def test_a_server_with_a_token_lets_nobody_in_before_it_is_typed(address_with_token, open_page):
    page = open_page(address_with_token)
    dialog = page.get_by_role("dialog", name="This server asks for its token")
    field = page.get_by_label("Token, from whoever runs the server")
    expect(dialog).to_be_visible()
    expect(field).to_be_focused()
    expect(page.locator("#facts dt")).to_have_count(0)
    field.fill("another-sixteen-letters")
    page.keyboard.press("Enter")
    expect(page.locator("#token-error")).to_have_text("The server does not take this token.")
    expect(field).to_have_value("")
    field.fill(f" {TOKEN} ")
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.locator("#facts dt")).to_have_count(3)


def test_with_the_token_everything_works_and_a_reload_does_not_ask_again(address_with_token, open_page):
    page = open_page(address_with_token)
    page.get_by_label("Token, from whoever runs the server").fill(TOKEN)
    page.keyboard.press("Enter")
    expect(page.locator("#facts dt")).to_have_count(3)
    translate_sample(page)
    page.get_by_label("Name of the person").fill("Ada")
    page.locator("#enrol-files").set_input_files(sample("vis-00176.jpg"))
    picture = page.locator("#gallery img")
    expect(picture).to_have_js_property("complete", True)
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    page.reload()
    expect(page.locator("#gallery li")).to_contain_text("Ada")
    expect(page.locator("#token")).to_be_hidden()
    assert TOKEN not in page.content() + page.url
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0


def test_the_first_tab_stops_lead_to_the_photograph(page):
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the photograph")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator("#photo")).to_be_focused()


def test_the_filled_page_fits_wide_and_narrow_screens(page, screenshots):
    translate_sample(page)
    enrol_samples(page)
    page.locator("#batch-files").set_input_files([sample("nir-00176.jpg"), file("notes.jpg", b"text")])
    expect(page.locator("#batch-count")).to_contain_text("Done")
    for width, scheme, name in SCREENS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        page.evaluate("scrollTo({ top: 0, behavior: 'instant' })")
        page.screenshot(path=screenshots / f"web-{name}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") == width
        for box in page.locator("#people > .halves .found > .scroll").all():
            assert box.evaluate("box => box.scrollWidth <= box.clientWidth")
