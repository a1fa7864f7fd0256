"""Who may ask, and what browsers are told about every answer.

A page of another site can make a browser send requests to a server on this machine. It cannot forge the Host
header, which shows a foreign name pointed at this address (DNS rebinding), nor the Origin header.
"""

import asyncio
import re
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("localhost", "127.0.0.1", "::1")
_HOST = re.compile(r"(?P<name>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.IGNORECASE)
_SAFE = ("GET", "HEAD")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
}


class Guard:
    """Checks each request before the application sees it.

    Args:
        app: the application.
        hosts: names and addresses under which the page may be asked for, without ports.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower().strip("[]") for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request, or refuses it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return

        kept = "no-store" if scope["path"].startswith("/api/") else "no-cache"  # asked anew each time

        answered = False

        async def send_guarded(message: Message) -> None:
            nonlocal answered
            answered = True
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update({**HEADERS, "Cache-Control": kept})
            await send(message)

        reason = objection(scope["method"], Headers(scope=scope), self._hosts)
        app = JSONResponse({"error": reason}, status_code=403) if reason else self._app
        try:
            await app(scope, receive, send_guarded)
        except asyncio.CancelledError:  # the server ends
            if answered:
                raise
            ending = JSONResponse({"error": "the server has been ended"}, status_code=503)
            await ending(scope, receive, send_guarded)


def objection(method: str, headers: Headers, hosts: Collection[str]) -> str | None:
    """Why a request is refused; None where it is not.

    Args:
        method: of HTTP.
        headers: of the request.
        hosts: lower-case names and addresses of this server.
    """
    host = headers.get("host", "")
    if host_name(host) not in hosts:
        return "the page is not served under this name; see --hosts of pcfh serve"
    if method in _SAFE:
        return None
    origin = headers.get("origin")
    if origin is not None and origin.lower() not in (f"http://{host}".lower(), f"https://{host}".lower()):
        return "the request comes from a page of another site"
    if origin is None and headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return "the request comes from a page of another site"
    return None


def host_name(host: str) -> str | None:
    """The lower-case name or address in a Host header, without port; None where it is anything else."""
    found = _HOST.fullmatch(host)
    return found["name"].strip("[]").lower() if found else None
