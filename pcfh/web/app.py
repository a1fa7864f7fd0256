"""Routes of the page: requests in, JSON and pictures out.

    GET    /                          the page
    GET    /api/session               limits, model, and what this visitor has left
    POST   /api/session               makes sure that this visitor has one, before uploads at the same time
    DELETE /api/session               forgets it
    POST   /api/faces                 a near-infrared photograph: landmarks, crop, generated face, parts
    GET    /api/faces/ID/matches      scores against the gallery, best first
    POST   /api/gallery               enrols a visible-light photograph
    GET    /api/gallery/ID            its aligned face
    DELETE /api/gallery/ID            removes it
    POST   /api/batch                 a photograph of the batch
    DELETE /api/batch                 begins a new one
    GET    /api/batch.zip             its generated faces

A photograph is the body of its request, its name the header X-File-Name, a person's name X-Person. An error
is ``{"error": text}``. Coordinates are (x, y) in pixels, whole numbers at pixel centres.
"""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import UInt8
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from pcfh import __version__
from pcfh.errors import UserError
from pcfh.pages import data_url
from pcfh.web.archive import free_name, zip_bytes
from pcfh.web.decode import decode
from pcfh.web.engine import Engine, compare
from pcfh.web.guard import LOOPBACK, Guard
from pcfh.web.limits import Limits
from pcfh.web.responses import batch_of, entry_of, generated, translated
from pcfh.web.sessions import Session, Sessions, new_id
from pcfh.web.uploads import Uploads, file_name, person_name, while_connected
from pcfh.web.worker import Worker

PAGE = Path(__file__).parent / "page"
COOKIE = "pcfh_session"
Result = TypeVar("Result")
_SWEEP_SECONDS = 30


def create_app(engine: Engine, limits: Limits, hosts: Collection[str]) -> ASGIApp:
    """Builds the application.

    Args:
        engine: the networks.
        limits: how much visitors may upload and keep.
        hosts: names and addresses under which it may be asked for besides the loopback ones, without ports.
    """
    api = Api(engine, limits)
    routes = [
        Route("/", _index),
        Mount("/page", StaticFiles(directory=PAGE)),
        Route("/api/session", api.session),
        Route("/api/session", api.begin, methods=["POST"]),
        Route("/api/session", api.forget, methods=["DELETE"]),
        Route("/api/faces", api.translate, methods=["POST"]),
        Route("/api/faces/{face}/matches", api.matches),
        Route("/api/gallery", api.enrol, methods=["POST"]),
        Route("/api/gallery/{entry}", api.enrolled),
        Route("/api/gallery/{entry}", api.remove, methods=["DELETE"]),
        Route("/api/batch", api.add_to_batch, methods=["POST"]),
        Route("/api/batch", api.new_batch, methods=["DELETE"]),
        Route("/api/batch.zip", api.batch_zip),
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
    """The routes, and what they share.

    Args:
        engine: the networks.
        limits: how much visitors may upload and keep.
    """

    def __init__(self, engine: Engine, limits: Limits) -> None:
        self._engine, self._limits = engine, limits
        self._sessions, self._worker = Sessions(limits), Worker(limits.max_queue)
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

    async def session(self, request: Request) -> Response:
        """What the page needs to begin."""
        found = self._sessions.find(request.cookies.get(COOKIE))
        gallery = found.gallery if found else {}
        return JSONResponse(
            {
                "limits": dataclasses.asdict(self._limits),
                "model": {
                    "version": __version__,
                    "size": self._engine.hallucinator.size,
                    "generator": str(self._engine.hallucinator.about.get("model", "")),
                    "recognizer": self._engine.recognizer.name,
                },
                "gallery": [entry_of(key, face) for key, face in gallery.items()],
                "batch": batch_of(found.batch) if found else None,
            }
        )

    async def begin(self, request: Request) -> Response:
        """Opens a visitor's session; the first uploads would else each open one, if they come together."""
        return _with_session(request, self._sessions.open(request.cookies.get(COOKIE)), {})

    async def forget(self, request: Request) -> Response:
        """Forgets everything of a visitor."""
        self._sessions.drop(request.cookies.get(COOKIE))
        response = JSONResponse({})
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        return response

    async def translate(self, request: Request) -> Response:
        """Translates a near-infrared photograph; it can be searched for by visitors that have a session."""
        source = file_name(request)
        probe, shown = await self._computed(request, partial(translated, self._engine))
        key = request.cookies.get(COOKIE)
        session = self._sessions.find(key)
        if session is not None:
            self._sessions.make_room(probe.size, key)
        face = session.add_probe(probe) if session else None
        return JSONResponse({"face": face, "source": source, "file": free_name(source, ()), **shown})

    async def matches(self, request: Request) -> Response:
        """Compares a translated face with the gallery."""
        session = self._known(request)
        probe = session.probes.get(request.path_params["face"])
        if probe is None:
            raise HTTPException(404, "this face is no longer held; translate its photograph again")
        if not session.gallery:
            return JSONResponse({"matches": []})
        scores = compare(probe, np.stack([face.feature for face in session.gallery.values()]))
        rows = [
            {**entry_of(key, face), **{name: float(values[i]) for name, values in vars(scores).items()}}
            for i, (key, face) in enumerate(session.gallery.items())
        ]
        return JSONResponse({"matches": sorted(rows, key=lambda row: -row["fused"])})

    async def enrol(self, request: Request) -> Response:
        """Adds a visible-light photograph to the gallery."""
        name = person_name(request)
        self._require_gallery_room(self._sessions.find(request.cookies.get(COOKIE)))
        entry = await self._computed(request, partial(self._engine.enrol, name))
        self._sessions.make_room(entry.size, request.cookies.get(COOKIE))
        session = self._sessions.open(request.cookies.get(COOKIE))
        self._require_gallery_room(session)  # others of this visitor may have come in between
        key = new_id()
        session.gallery[key] = entry
        return _with_session(request, session, entry_of(key, entry))

    async def enrolled(self, request: Request) -> Response:
        """The picture of an entry of the gallery."""
        face = self._known(request).gallery.get(request.path_params["entry"])
        if face is None:
            raise HTTPException(404, "there is no such entry in your gallery")
        return Response(face.picture, media_type="image/png")

    async def remove(self, request: Request) -> Response:
        """Removes an entry of the gallery; one that is gone already is no error."""
        self._known(request).gallery.pop(request.path_params["entry"], None)
        return JSONResponse({})

    async def add_to_batch(self, request: Request) -> Response:
        """Translates a photograph of a batch; what cannot be is noted in the batch too."""
        name = file_name(request)
        self._require_batch_room(self._sessions.find(request.cookies.get(COOKIE)))
        try:
            picture = await self._computed(request, partial(generated, self._engine))
        except UserError as error:
            session = self._open_batch(request)
            session.batch.add_failure(name, str(error))
            return _with_session(request, session, {"error": str(error)}, status=422)
        self._sessions.make_room(len(picture), request.cookies.get(COOKIE))
        session = self._open_batch(request)
        shown = {"source": name, "made": session.batch.add_face(name, picture)}
        return _with_session(request, session, {**shown, "image": data_url(picture, "png")})

    async def new_batch(self, request: Request) -> Response:
        """Forgets the batch of a visitor, if there is one."""
        found = self._sessions.find(request.cookies.get(COOKIE))
        if found is not None:
            found.batch.items.clear()
        return JSONResponse({})

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

    def _open_batch(self, request: Request) -> Session:
        """A visitor's session with room in its batch, which others may have filled in between."""
        session = self._sessions.open(request.cookies.get(COOKIE))
        self._require_batch_room(session)
        return session

    async def _computed(
        self, request: Request, function: Callable[[UInt8[np.ndarray, "h w 3"]], Result]
    ) -> Result:
        """Reads a request's photograph and computes something of it, as long as its client waits for that."""
        body = await self._uploads.read(request)
        most = self._limits.max_megapixels
        return await while_connected(
            request, self._worker.run(lambda: function(decode(body, megapixels=most)))
        )

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


async def _user_error(_: Request, error: UserError) -> Response:
    return JSONResponse({"error": str(error)}, status_code=422)


async def _http_error(_: Request, error: HTTPException) -> Response:
    return JSONResponse({"error": error.detail}, status_code=error.status_code, headers=error.headers)


async def _fault(_: Request, __: Exception) -> Response:
    return JSONResponse({"error": "the program failed; its log says more"}, status_code=500)


def _with_session(request: Request, session: Session, content: dict[str, Any], status: int = 200) -> Response:
    """A response that hands the visitor the session's key."""
    response = JSONResponse(content, status_code=status)
    secure = request.url.scheme == "https"
    response.set_cookie(COOKIE, session.key, path="/", httponly=True, samesite="strict", secure=secure)
    return response
