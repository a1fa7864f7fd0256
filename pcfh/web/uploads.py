"""What comes with a request: bodies and names, bounded before they are held.

A photograph is the whole body of its request, so nothing needs to be taken apart. Names come percent-encoded
(UTF-8) in headers, which no log of addresses shows.
"""

import asyncio
import unicodedata
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import PurePath, PureWindowsPath
from typing import Any, TypeVar
from urllib.parse import unquote

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from pcfh.names import composed
from pcfh.web.limits import KIB, MIB

FILE_NAME, PERSON = "x-file-name", "x-person"
Result = TypeVar("Result")
_LONGEST_NAME = 80  # characters
_RETRY = {"Retry-After": "2"}  # seconds
_DISCARDED_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How long uploads may take.

    Attributes:
        seconds: in all.
        grace: seconds after which the pace counts.
        rate: bytes a second that must have come since then, on the average.
        protected: seconds in which an upload need not give way to another.
    """

    seconds: float = 60.0
    grace: float = 5.0
    rate: float = 32.0 * KIB
    protected: float = 2.0


@dataclass(kw_only=True, eq=False)
class _Arrival:
    """An upload on its way; times are those of the event loop."""

    began: float
    deadline: asyncio.Timeout
    received: int = 0

    def pace(self, now: float) -> float:
        """Bytes a second until now."""
        return self.received / max(now - self.began, 1e-3)


class Uploads:
    """Reads uploads, a bounded number at the same time.

    Slow ones cannot keep others out: each must keep up a pace, and where all places are taken the slowest
    gives way.

    Args:
        places: how many at the same time.
        most: bytes of one; more is refused by what the request announces, and otherwise while it arrives.
        pace: how long they may take.
    """

    def __init__(self, places: int, most: int, pace: Pace | None = None) -> None:
        self._places, self._most, self._pace = places, most, pace or Pace()
        self._arriving: list[_Arrival] = []

    async def read(self, request: Request) -> bytes:
        """The body of a request.

        Raises:
            HTTPException: it is too large, too slow, broken off, or announces nonsense, or there is no place.
        """
        _require_length(request, self._most)
        try:
            async with asyncio.timeout(self._pace.grace) as deadline:
                arrival = await self._begin(request, deadline)
                try:
                    return await self._collect(request, arrival)
                finally:
                    self._remove(arrival)
        except ClientDisconnect as error:
            raise HTTPException(400, "the upload was broken off; send it again") from error
        except TimeoutError as error:
            raise HTTPException(
                408,
                f"the upload was too slow; it has {self._pace.seconds:g} seconds in all, and a steady "
                f"{self._pace.rate / KIB:g} KiB a second keep it going; send it again, or a smaller file",
            ) from error

    async def _begin(self, request: Request, deadline: asyncio.Timeout) -> _Arrival:
        """Takes a place, that of a slow upload if need be."""
        now = asyncio.get_running_loop().time()
        if len(self._arriving) >= self._places:
            slow = [a for a in self._arriving if now - a.began > self._pace.protected]
            if not slow:
                await _discard(request)
                raise HTTPException(503, "the server is busy with other uploads; try again", headers=_RETRY)
            slowest = min(slow, key=lambda arrival: arrival.pace(now))
            self._remove(slowest)
            slowest.deadline.reschedule(now)
        arrival = _Arrival(began=now, deadline=deadline)
        self._arriving.append(arrival)
        return arrival

    async def _collect(self, request: Request, arrival: _Arrival) -> bytes:
        body = bytearray()
        async for chunk in request.stream():
            if len(body) + len(chunk) > self._most:
                raise _too_large(self._most)
            body += chunk
            arrival.received = len(body)
            allowed = min(self._pace.grace + len(body) / self._pace.rate, self._pace.seconds)
            if arrival in self._arriving and not arrival.deadline.expired():
                arrival.deadline.reschedule(arrival.began + allowed)
        return bytes(body)

    def _remove(self, arrival: _Arrival) -> None:
        if arrival in self._arriving:
            self._arriving.remove(arrival)


async def while_connected(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """Does some work for a request whose body is read; it is cancelled when the client leaves.

    Raises:
        HTTPException: the client has left; nobody will read it.
    """
    working, leaving = asyncio.create_task(work), asyncio.create_task(_left(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise HTTPException(400, "the client has left")
    finally:
        working.cancel()
        leaving.cancel()


def file_name(request: Request) -> str:
    """The name of the uploaded file as the visitor knows it, without folders; it never names a file here."""
    name = _header(request, FILE_NAME)
    return PureWindowsPath(PurePath(name).name).name or "photograph"


def person_name(request: Request) -> str:
    """The name under which a face is enrolled.

    Raises:
        HTTPException: there is none.
    """
    name = _header(request, PERSON)
    if not name:
        raise HTTPException(400, "give the person a name, then enrol")
    return name


def _header(request: Request, name: str) -> str:
    """A header's text on one line, in one spelling, without hidden characters, cut to a bearable length."""
    text = composed(unquote(request.headers.get(name, ""), errors="replace"))
    kept = "".join(
        " " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c)[0] != "C"
    )
    return " ".join(kept.split())[:_LONGEST_NAME].strip()


def _require_length(request: Request, most: int) -> None:
    """Refuses by what a request announces, before anything is read."""
    announced = request.headers.get("content-length", "0")
    if not (announced.isascii() and announced.isdigit()):
        raise HTTPException(400, "the length of the upload is no number; send the file again")
    if int(announced) > most:
        raise _too_large(most)


async def _discard(request: Request) -> None:
    """Throws away what comes, for a while: a client that still sends does not hear an answer."""
    try:
        async with asyncio.timeout(_DISCARDED_SECONDS):
            async for _ in request.stream():
                pass
    except (TimeoutError, ClientDisconnect):
        pass


async def _left(request: Request) -> None:
    """Waits until the client is gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _too_large(most: int) -> HTTPException:
    return HTTPException(413, f"the file is larger than {most / MIB:g} MiB; send a smaller one")
