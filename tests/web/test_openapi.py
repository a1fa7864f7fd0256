"""The document of the HTTP interface, against the interface and against the copy in the documentation."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from starlette.routing import Route

from pcfh.web.openapi import OPERATIONS, document

COPY = Path(__file__).parents[2] / "docs" / "openapi.json"
NAMES = {"X-File-Name": "a.png", "X-Person": "A"}


def check(answer, kind):
    """Whether an answer is of a class of the document, without a key too many."""
    schemas = {
        name: {**schema, "additionalProperties": False}
        for name, schema in document()["components"]["schemas"].items()
    }
    Draft202012Validator(
        {"components": {"schemas": schemas}, "$ref": f"#/components/schemas/{kind}"}
    ).validate(answer.json())


def test_the_document_is_openapi():
    validate(document())


def test_the_server_serves_the_document(page):
    assert page.get("/api/openapi.json").json() == json.loads(json.dumps(document()))


def test_the_documentation_holds_the_document():
    """To write it anew: curl 127.0.0.1:8765/api/openapi.json | python -m json.tool > docs/openapi.json."""
    assert json.loads(COPY.read_text(encoding="utf-8")) == json.loads(json.dumps(document()))


def test_the_page_of_the_documentation_names_every_operation():
    text = (COPY.parent / "web.md").read_text(encoding="utf-8")
    assert [op for op in OPERATIONS if f"`{op.method} {op.path}`" not in text] == []


def test_the_document_has_every_route(page):
    routes = {
        (method, route.path)
        for route in page.app._app.routes
        if isinstance(route, Route) and route.path.startswith("/api/")
        for method in route.methods - {"HEAD"}
    }
    assert routes == {(op.method, op.path) for op in OPERATIONS} | {("GET", "/api/openapi.json")}


def test_answers_are_as_the_document_says(open_served, picture):
    page = open_served()
    check(page.post("/api/gallery", content=picture(1), headers=NAMES), "EnrolledFace")
    translated = page.post("/api/faces", content=picture(), headers=NAMES)
    check(translated, "Translated")
    face = translated.json()["face"]
    check(page.get(f"/api/faces/{face}/matches"), "Matches")
    check(page.get(f"/api/faces/{face}/search", params={"far": 0.1}), "Matches")
    check(page.post("/api/batch", content=picture(), headers=NAMES), "BatchFace")
    check(page.post("/api/batch", content=b"text", headers=NAMES), "Failed")
    check(page.get("/api/session"), "State")
    check(page.delete("/api/batch"), "Done")


@pytest.mark.parametrize("path", ["/api/faces/a/matches", "/api/gallery/a", "/api/batch.zip", "/api/unknown"])
def test_refusals_are_as_the_document_says(page, path):
    check(page.get(path), "Failed")
