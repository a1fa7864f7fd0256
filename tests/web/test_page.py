"""The files of the page: samples of the rendered database, and a page that a screen reader can read."""

from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

import pcfh.web.app
from pcfh.images import read_image

PAGE = pcfh.web.app.PAGE
DATABASE = Path(__file__).parents[2] / "samples" / "NIR-VIS-2.0"
FILES = sorted((PAGE / "samples").glob("*.jpg"))


class Elements(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


@pytest.fixture(scope="module")
def elements():
    return Elements((PAGE / "index.html").read_text(encoding="utf-8")).found


def test_there_are_six_people_in_both_kinds_of_light():
    people = {path.stem.partition("-")[2] for path in FILES}
    assert {path.name for path in FILES} == {f"{k}-{p}.jpg" for k in ("nir", "vis") for p in people}
    assert len(people) == 6


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_sample_is_a_file_of_the_rendered_database(path):
    kind, person = path.stem.split("-")
    captures = DATABASE.glob(f"s*/{kind.upper()}/{person}/*.jpg")
    assert path.read_bytes() in [capture.read_bytes() for capture in captures]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_sample_says_that_it_is_synthetic(path):
    with Image.open(path) as opened:
        assert "Synthetic face" in opened.getexif()[270]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_face_is_found_in_each_sample(path, blaze):
    assert len(blaze.detect(read_image(path))) == 1


def test_every_control_has_a_label(elements):
    labelled = {attributes.get("for") for tag, attributes in elements if tag == "label"}
    fields = [a for tag, a in elements if tag == "input" and a["type"] != "checkbox"]
    assert {field["id"] for field in fields} <= labelled


def test_every_picture_has_a_text_in_its_place(elements):
    assert all("alt" in attributes for tag, attributes in elements if tag == "img")


def test_ids_are_given_once(elements):
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_the_script_asks_only_for_ids_of_the_page(elements):
    script = (PAGE / "page.js").read_text(encoding="utf-8")
    asked = {part.partition('"')[0] for part in script.split('$("')[1:]}
    assert asked <= {attributes.get("id") for _, attributes in elements}


def test_there_is_no_inline_style_or_script(elements):
    assert not any("style" in attributes or "onclick" in attributes for _, attributes in elements)
