"""What comes with a request: bodies and names, bounded before they are held.

A photograph is the whole body of its request, so nothing needs to be taken apart. Names come percent-encoded
(UTF-8) in headers, which no log of addresses shows.
"""

import asyncio
import unicodedata
from pathlib import PurePath, PureWindowsPath
from urllib.parse import unquote

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from pcfh.web.limits import MIB

FILE_NAME, PERSON = "x-file-name", "x-person"
_LONGEST_NAME = 80  # characters
_SECONDS = 60.0


async def read_body(request: Request, most: int, *, seconds: float = _SECONDS) -> bytes:
    """Reads an upload.

    Args:
        request: whose body it is.
        most: bytes; more is refused by what the request announces, and otherwise while it arrives.
        seconds: that it may take.

    Raises:
        HTTPException: it is too large, too slow, broken off, or announces nonsense.
    """
    announced = request.headers.get("content-length", "0")
    if not (announced.isascii() and announced.isdigit()):
        raise HTTPException(400, "the length of the upload is no number; send the file again")
    if int(announced) > most:
        raise _too_large(most)
    try:
        async with asyncio.timeout(seconds):
            return await _collect(request, most)
    except ClientDisconnect as error:
        raise HTTPException(400, "the upload was broken off; send it again") from error
    except TimeoutError as error:
        raise HTTPException(
            408, f"the upload took longer than {seconds:g} seconds; send a smaller file"
        ) from error


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
    """A header's text on one line, without control and formatting characters, cut to a bearable length."""
    text = unquote(request.headers.get(name, ""), errors="replace")
    kept = "".join(
        " " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c)[0] != "C"
    )
    return " ".join(kept.split())[:_LONGEST_NAME].strip()


async def _collect(request: Request, most: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        if len(body) + len(chunk) > most:
            raise _too_large(most)
        body += chunk
    return bytes(body)


def _too_large(most: int) -> HTTPException:
    return HTTPException(413, f"the file is larger than {most / MIB:g} MiB; send a smaller one")
