"""What can be asked for over HTTP, and the OpenAPI document of it.

The routes of the application are made of the same table, and the schemas of the classes that are answered.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from pcfh import __version__
from pcfh.web import answers
from pcfh.web.uploads import FILE_NAME, PERSON

PATH = "/api/openapi.json"
_REF = "#/components/schemas/{name}"
_ABOUT = """\
Near-infrared faces to visible-light ones, and how alike they are to enrolled people. A generated face is a
guess, no photograph and no evidence; the first of a list is no identification, because somebody always is.

A photograph (JPEG, PNG, WebP, BMP, TIFF) is the body of its request. Where something is kept, it is kept for
a session: `POST /api/session` gives its cookie, which belongs to every further request. Where the server has
a token, `Authorization: Bearer TOKEN` goes with requests that carry no cookie of a session.

An error is JSON with the key `error`. 503 comes with `Retry-After` in seconds: the server is busy, ask
again."""


@dataclass(frozen=True, kw_only=True)
class Query:
    """A parameter of an address: its schema, and whether it lies in the path."""

    name: str
    about: str
    schema: Mapping[str, Any]
    where: Literal["query", "path", "header"] = "query"
    required: bool = False


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One thing that can be asked for.

    Attributes:
        method: of HTTP.
        path: with its parameters in braces.
        handler: name of the method of ``Api`` that answers.
        about: a line.
        answer: class of the JSON answer, or the media type of another.
        parameters: of path, query and headers.
        upload: whether the body is a photograph.
        session: whether there must be one already.
    """

    method: str
    path: str
    handler: str
    about: str
    answer: type | str
    parameters: Sequence[Query] = ()
    upload: bool = False
    session: bool = False


_TEXT = {"type": "string"}
_SOURCE = Query(
    name=FILE_NAME, about="name of the photograph, percent-encoded UTF-8", schema=_TEXT, where="header"
)
_PERSON = Query(
    name=PERSON,
    about="name of the person, percent-encoded UTF-8",
    schema=_TEXT,
    where="header",
    required=True,
)
_FACE = Query(name="face", about="of a translated face", schema=_TEXT, where="path", required=True)
_ENTRY = Query(name="entry", about="of an enrolled photograph", schema=_TEXT, where="path", required=True)
FAR, TOP = 0.01, 10
_FAR = Query(
    name="far",
    about="false-accept rate of the threshold",
    schema={"type": "number", "exclusiveMinimum": 0, "maximum": 1, "default": FAR},
)
MOST_FOUND = 100
_TOP = Query(
    name="top",
    about="people to list",
    schema={"type": "integer", "minimum": 1, "maximum": MOST_FOUND, "default": TOP},
)

OPERATIONS: Sequence[Operation] = (
    Operation(
        method="GET",
        path="/api/session",
        handler="session",
        about="Limits, models, galleries, and what this client has left here",
        answer=answers.State,
    ),
    Operation(
        method="POST",
        path="/api/session",
        handler="begin",
        about="Begins a session: its cookie belongs to further requests",
        answer=answers.Done,
    ),
    Operation(
        method="DELETE",
        path="/api/session",
        handler="forget",
        about="Forgets everything of this session",
        answer=answers.Done,
    ),
    Operation(
        method="POST",
        path="/api/faces",
        handler="translate",
        about="Translates a near-infrared photograph: landmarks, crop, generated face",
        answer=answers.Translated,
        parameters=(_SOURCE,),
        upload=True,
    ),
    Operation(
        method="GET",
        path="/api/faces/{face}/matches",
        handler="matches",
        about="Compares a translated face with this session's gallery",
        answer=answers.Matches,
        parameters=(_FACE, _FAR),
        session=True,
    ),
    Operation(
        method="GET",
        path="/api/faces/{face}/search",
        handler="search",
        about="Searches the server's gallery for a translated face",
        answer=answers.Matches,
        parameters=(_FACE, _FAR, _TOP),
        session=True,
    ),
    Operation(
        method="POST",
        path="/api/gallery",
        handler="enrol",
        about="Enrols a visible-light photograph in this session's gallery",
        answer=answers.EnrolledFace,
        parameters=(_PERSON, _SOURCE),
        upload=True,
    ),
    Operation(
        method="GET",
        path="/api/gallery/{entry}",
        handler="enrolled",
        about="The aligned face of an enrolled photograph",
        answer="image/png",
        parameters=(_ENTRY,),
        session=True,
    ),
    Operation(
        method="DELETE",
        path="/api/gallery/{entry}",
        handler="remove",
        about="Removes an enrolled photograph; one that is gone already is no error",
        answer=answers.Done,
        parameters=(_ENTRY,),
        session=True,
    ),
    Operation(
        method="POST",
        path="/api/batch",
        handler="add_to_batch",
        about="Translates a photograph of this session's batch; what cannot be is noted in it, too",
        answer=answers.BatchFace,
        parameters=(_SOURCE,),
        upload=True,
    ),
    Operation(
        method="DELETE",
        path="/api/batch",
        handler="new_batch",
        about="Begins a new batch",
        answer=answers.Done,
    ),
    Operation(
        method="GET",
        path="/api/batch.zip",
        handler="batch_zip",
        about="The batch's generated faces, with faces.csv: source, result, note, error",
        answer="application/zip",
        session=True,
    ),
)


def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    kinds = [op.answer for op in OPERATIONS if isinstance(op.answer, type)]
    _, schemas = msgspec.json.schema_components([*kinds, answers.Failed], ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "pcfh serve", "version": __version__, "description": _ABOUT},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "pcfh_session"},
            },
        },
    }


def _described(operation: Operation) -> dict[str, Any]:
    parameters = [
        {
            "name": each.name,
            "in": each.where,
            "description": each.about,
            "required": each.required,
            "schema": dict(each.schema),
        }
        for each in operation.parameters
    ]
    found: dict[str, Any] = {
        "operationId": operation.handler,
        "summary": operation.about,
        "parameters": parameters,
        "responses": {
            "200": {"description": "done", "content": _content(operation.answer)},
            "default": {"description": "refused", "content": _content(answers.Failed)},
        },
        "security": [{"session": []}] if operation.session else [{}, {"token": []}, {"session": []}],
    }
    if operation.upload:
        binary = {"schema": {"type": "string", "format": "binary"}}
        found["requestBody"] = {"required": True, "content": {"application/octet-stream": binary}}
    return found


def _content(answer: type | str) -> dict[str, Any]:
    if isinstance(answer, str):
        return {answer: {"schema": {"type": "string", "format": "binary"}}}
    return {"application/json": {"schema": {"$ref": _REF.format(name=answer.__name__)}}}
