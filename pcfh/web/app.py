"""The page and its HTTP interface: requests in, JSON and pictures out.

``openapi`` lists what can be asked for; a photograph is the body of its request. Coordinates are (x, y) in
pixels, whole numbers at pixel centres.
"""

import asyncio
import dataclasses
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from pcfh import __version__
from pcfh.errors import UserError
from pcfh.gallery.entries import Probe
from pcfh.gallery.store import Gallery
from pcfh.images import Picture
from pcfh.pages import data_url
from pcfh.web.answers import BatchFace, Done, Failed, Matches, Model, State
from pcfh.web.archive import zip_bytes
from pcfh.web.decode import decode
from pcfh.web.engine import Engine
from pcfh.web.guard import LOOPBACK, Guard
from pcfh.web.limits import Limits
from pcfh.web.matching import about, matches_among, matches_in
from pcfh.web.openapi import FAR, MOST_FOUND, OPERATIONS, PATH, TOP, document
from pcfh.web.responses import batch_of, enrolled, entry_of, generated, translated
from pcfh.web.sessions import Session, Sessions, new_id, size_of
from pcfh.web.uploads import Uploads, file_name, person_name, while_connected
from pcfh.web.worker import Worker

PAGE = Path(__file__).parent / "page"
COOKIE = "pcfh_session"
Handler = Callable[[Request], Awaitable[Response]]
Result = TypeVar("Result")
_SEARCHES = 64  # that may wait or run at the same time
_SWEEP_SECONDS = 30


@dataclasses.dataclass(frozen=True, kw_only=True)
class Served:
    """The gallery that a server searches, and the name by which visitors know it."""

    gallery: Gallery
    name: str


def create_app(
    engine: Engine,
    limits: Limits,
    hosts: Collection[str],
    *,
    served: Served | None = None,
    token: str | None = None,
) -> ASGIApp:
    """Builds the application.

    Args:
        engine: the networks.
        limits: how much visitors may upload and keep.
        hosts: names and addresses under which it may be asked for besides the loopback ones, without ports.
        served: a gallery to search, besides each visitor's own.
        token: what requests must show that carry no cookie of a session; None lets everybody in.
    """
    api = Api(engine, limits, served, token)
    operations = [
        Route(op.path, api.allowed(getattr(api, op.handler)), methods=[op.method]) for op in OPERATIONS
    ]
    routes = [
        Route("/", _index),
        Mount("/page", StaticFiles(directory=PAGE)),
        Route(PATH, _document),
        *operations,
    ]
    handlers: dict[Any, Any] = {
        UserError: _user_error,
        HTTPException: _http_error,
        Exception: _fault,
    }
    return Guard(
        Starlette(routes=routes, exception_handlers=handlers, lifespan=api.lifespan), {*LOOPBACK, *hosts}
    )


class Api:
    """What can be asked for, and what that shares.

    Args:
        engine: the networks.
        limits: how much visitors may upload and keep.
        served: a gallery to search.
        token: see ``create_app``.
    """

    def __init__(self, engine: Engine, limits: Limits, served: Served | None, token: str | None) -> None:
        self._engine, self._limits, self._served, self._token = engine, limits, served, token
        self._sessions, self._worker = Sessions(limits), Worker(limits.max_queue)
        self._searcher = Worker(_SEARCHES)
        self._uploads = Uploads(limits.max_uploads, limits.file_bytes)

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Forgets expired sessions while the server runs, and all of them when it ends."""
        sweep = asyncio.create_task(self._sweep())
        try:
            yield
        finally:
            sweep.cancel()
            self._worker.close()
            self._searcher.close()

    def allowed(self, handler: Handler) -> Handler:
        """A handler that answers those alone who have the token, or a session, which takes the token."""

        async def guarded(request: Request) -> Response:
            if self._token is not None and self._sessions.find(request.cookies.get(COOKIE)) is None:
                shown = request.headers.get("authorization", "")
                if not hmac.compare_digest(shown.encode(), f"Bearer {self._token}".encode()):
                    challenge = {"WWW-Authenticate": "Bearer"}
                    raise HTTPException(401, "this server asks for its token", headers=challenge)
            return await handler(request)

        return guarded

    async def session(self, request: Request) -> Response:
        """What the page needs to begin."""
        found = self._sessions.find(request.cookies.get(COOKIE))
        served = self._served
        hallucinator = self._engine.hallucinator
        state = State(
            limits=self._limits,
            model=Model(
                version=__version__,
                size=hallucinator.size,
                generator=str(hallucinator.about.get("model", "")),
                recognizer=self._engine.recognizer.name,
            ),
            gallery=[entry_of(key, face) for key, face in (found.gallery if found else {}).items()],
            batch=batch_of(found.batch) if found else None,
            served=await self._searcher.run(lambda: about(served.gallery, served.name)) if served else None,
        )
        return _json(state)

    async def begin(self, request: Request) -> Response:
        """Opens a visitor's session; the first uploads would else each open one, if they come together."""
        return _with_session(request, self._sessions.open(request.cookies.get(COOKIE)), Done())

    async def forget(self, request: Request) -> Response:
        """Forgets everything of a visitor."""
        self._sessions.drop(request.cookies.get(COOKIE))
        response = _json(Done())
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        return response

    async def translate(self, request: Request) -> Response:
        """Translates a near-infrared photograph; it can be searched for by visitors that have a session."""
        probe, shown = await self._computed(request, partial(translated, self._engine, file_name(request)))
        key = request.cookies.get(COOKIE)
        session = self._sessions.find(key)
        if session is not None:
            self._sessions.make_room(size_of(probe), key)
            shown = dataclasses.replace(shown, face=session.add_probe(probe))
        return _json(shown)

    async def matches(self, request: Request) -> Response:
        """Compares a translated face with the visitor's own gallery."""
        probe, far = self._probe(request), _far(request)
        gallery = dict(self._known(request).gallery)
        return await self._found(request, lambda: matches_among(probe, gallery, far))

    async def search(self, request: Request) -> Response:
        """Searches the server's gallery for a translated face."""
        if self._served is None:
            raise HTTPException(404, "this server has no gallery; start it by pcfh serve --gallery")
        probe, gallery, key = self._probe(request), self._served.gallery, self._engine.recognizer.key
        far, top = _far(request), _top(request)
        return await self._found(request, lambda: matches_in(probe, gallery, key, far=far, top=top))

    async def enrol(self, request: Request) -> Response:
        """Adds a visible-light photograph to the gallery."""
        name, source = person_name(request), file_name(request)
        self._require_gallery_room(self._sessions.find(request.cookies.get(COOKIE)))
        entry, notes = await self._computed(request, partial(enrolled, self._engine, name, source))
        self._sessions.make_room(entry.size, request.cookies.get(COOKIE))
        session = self._sessions.open(request.cookies.get(COOKIE))
        self._require_gallery_room(session)  # others of this visitor may have come in between
        key = new_id()
        session.gallery[key] = entry
        return _with_session(request, session, dataclasses.replace(entry_of(key, entry), notes=notes))

    async def enrolled(self, request: Request) -> Response:
        """The picture of an entry of the gallery."""
        face = self._known(request).gallery.get(request.path_params["entry"])
        if face is None:
            raise HTTPException(404, "there is no such entry in your gallery")
        return Response(face.picture, media_type="image/png")

    async def remove(self, request: Request) -> Response:
        """Removes an entry of the gallery; one that is gone already is no error."""
        self._known(request).gallery.pop(request.path_params["entry"], None)
        return _json(Done())

    async def add_to_batch(self, request: Request) -> Response:
        """Translates a photograph of a batch; what cannot be is noted in the batch too."""
        name = file_name(request)
        self._require_batch_room(self._sessions.find(request.cookies.get(COOKIE)))
        try:
            picture, notes = await self._computed(request, partial(generated, self._engine))
        except UserError as error:
            session = self._open_batch(request)
            session.batch.add_failure(name, str(error))
            return _with_session(request, session, Failed(error=str(error)), status=422)
        self._sessions.make_room(len(picture), request.cookies.get(COOKIE))
        session = self._open_batch(request)
        made = session.batch.add_face(name, picture, notes)
        shown = BatchFace(source=name, made=made, image=data_url(picture, "png"), notes=notes)
        return _with_session(request, session, shown)

    async def new_batch(self, request: Request) -> Response:
        """Forgets the batch of a visitor, if there is one."""
        found = self._sessions.find(request.cookies.get(COOKIE))
        if found is not None:
            found.batch.items.clear()
        return _json(Done())

    async def batch_zip(self, request: Request) -> Response:
        """The generated faces of a batch."""
        batch = self._known(request).batch
        if not batch.faces:
            raise HTTPException(404, "the batch holds no generated face yet")
        attachment = 'attachment; filename="pcfh-synthetic-faces.zip"'
        return Response(
            zip_bytes(batch), media_type="application/zip", headers={"Content-Disposition": attachment}
        )

    def _known(self, request: Request) -> Session:
        """The session of a visitor who must have one."""
        session = self._sessions.find(request.cookies.get(COOKIE))
        if session is None:
            raise HTTPException(404, "nothing of yours is held here, or it has expired; begin again")
        return session

    def _probe(self, request: Request) -> Probe:
        """The translated face that a request is about."""
        probe = self._known(request).probes.get(request.path_params["face"])
        if probe is None:
            raise HTTPException(404, "this face is no longer held; translate its photograph again")
        return probe

    def _open_batch(self, request: Request) -> Session:
        """A visitor's session with room in its batch, which others may have filled in between."""
        session = self._sessions.open(request.cookies.get(COOKIE))
        self._require_batch_room(session)
        return session

    async def _computed(self, request: Request, function: Callable[[Picture], Result]) -> Result:
        """Reads a request's photograph and computes something of it, as long as its client waits for that."""
        body = await self._uploads.read(request)
        most = self._limits.max_megapixels
        return await while_connected(
            request, self._worker.run(lambda: function(decode(body, megapixels=most)))
        )

    async def _found(self, request: Request, function: Callable[[], Matches]) -> Response:
        """Compares beside the networks' thread, so that a search does not wait for photographs."""
        return _json(await while_connected(request, self._searcher.run(function)))

    def _require_gallery_room(self, session: Session | None) -> None:
        most = self._limits.max_gallery
        if session is not None and len(session.gallery) >= most:
            raise HTTPException(409, f"the gallery is full ({most} faces); remove some first")

    def _require_batch_room(self, session: Session | None) -> None:
        most = self._limits.max_batch
        if session is not None and len(session.batch.items) >= most:
            raise HTTPException(409, f"a batch holds {most} photographs; download it, then begin a new one")

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            self._sessions.forget_expired()


async def _index(_: Request) -> Response:
    return FileResponse(PAGE / "index.html")


async def _document(_: Request) -> Response:
    return JSONResponse(document())


async def _user_error(_: Request, error: UserError) -> Response:
    return _json(Failed(error=str(error)), status=422)


async def _http_error(_: Request, error: HTTPException) -> Response:
    response = _json(Failed(error=error.detail), status=error.status_code)
    response.headers.update(error.headers or {})
    return response


async def _fault(_: Request, __: Exception) -> Response:
    return _json(Failed(error="the program failed; its log says more"), status=500)


def _far(request: Request) -> float:
    """The false-accept rate that a request asks for.

    Raises:
        HTTPException: it is none.
    """
    text = request.query_params.get("far", str(FAR))
    try:
        far = float(text)
    except ValueError:
        far = 0.0
    if not 0 < far <= 1:
        raise HTTPException(400, f"far: expected a number above 0 and at most 1, got {text[:40]!r}")
    return far


def _top(request: Request) -> int:
    """How many people a request asks for.

    Raises:
        HTTPException: it is no such number.
    """
    text = request.query_params.get("top", str(TOP))
    top = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if not 1 <= top <= MOST_FOUND:
        raise HTTPException(400, f"top: expected 1 to {MOST_FOUND}, got {text[:40]!r}")
    return top


def _json(content: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status_code=status, media_type="application/json")


def _with_session(request: Request, session: Session, content: Any, status: int = 200) -> Response:
    """A response that hands the visitor the session's key."""
    response = _json(content, status)
    secure = request.url.scheme == "https"
    response.set_cookie(COOKIE, session.key, path="/", httponly=True, samesite="strict", secure=secure)
    return response
