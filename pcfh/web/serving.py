"""The server process: binds, serves until it is told to end, and lets nobody hold connections for nothing."""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from pcfh.errors import UserError

_CONNECTIONS = 400
_SILENT_CONNECTIONS = 100
_HEAD_SECONDS = 10.0  # for the head of a request, from the connection or the last answer on
_REQUEST_SECONDS = 180.0  # for all of a request: upload, queue, and a client that reads slowly
_LAST_PORT = 65_535
_SECONDS = 5  # for answers that are under way when the server ends


def bound_socket(host: str, port: int) -> socket.socket:
    """Listens at an address.

    Args:
        host: name or address.
        port: 0 takes a free one.

    Raises:
        UserError: it is not this machine's, or taken.
    """
    if not 0 <= port <= _LAST_PORT:
        raise UserError(f"--port {port}: expected 0 to {_LAST_PORT}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise UserError(
            f"cannot listen at {host}, port {port} ({error}); choose another --port or --host"
        ) from error


def run_server(
    app: ASGIApp, listening: socket.socket, on_address: Callable[[str], None] = lambda address: None
) -> None:
    """Serves the page until SIGINT or SIGTERM.

    Args:
        app: from ``create_app``.
        listening: from ``bound_socket``.
        on_address: called with the page's address.
    """
    host, port = listening.getsockname()[:2]
    config = uvicorn.Config(
        app,
        http=Connection,
        log_level="error",  # a request that is none is the client's fault, and many come
        access_log=False,
        server_header=False,
        ws="none",
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_SECONDS,
    )
    logging.getLogger("uvicorn.error").addFilter(_is_worth_a_line)
    on_address(f"http://{f'[{host}]' if ':' in host else host}:{port}/")
    _Server(config).run(sockets=[listening])


class Connection(H11Protocol):
    """A connection that is closed when it says nothing.

    A client that asks is never among the silent ones for long. So where there are too many of these, the one
    that has been silent longest is closed for the newcomer.
    """

    _timer: asyncio.TimerHandle | None = None
    silent_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to wait for a request; closes another silent connection if there are too many."""
        super().connection_made(transport)
        silent = [other for other in self.connections if getattr(other, "silent_since", None) is not None]
        if len(silent) >= _SILENT_CONNECTIONS:
            min(silent, key=lambda other: other.silent_since).transport.abort()  # type: ignore[union-attr]
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Takes in what came; once a request's head is there, the connection is silent no longer."""
        super().data_received(data)
        if self.silent_since is not None and self.cycle is not None and not self.cycle.response_complete:
            self.silent_since = None
            self._end_after(_REQUEST_SECONDS)

    def on_response_complete(self) -> None:
        """Begins to wait for the next request."""
        self._wait_for_head()
        super().on_response_complete()  # may begin with the next request, if that is there already
        if self.cycle is not None and not self.cycle.response_complete:
            self.silent_since = None
            self._end_after(_REQUEST_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection."""
        super().connection_lost(exc)
        self.silent_since = None
        if self._timer is not None:
            self._timer.cancel()

    def _wait_for_head(self) -> None:
        self.silent_since = self.loop.time()
        self._end_after(_HEAD_SECONDS)

    def _end_after(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self.transport.abort)


class _Server(uvicorn.Server):
    """A server that does not wait for requests under way: ``Guard`` tells their clients that it ends."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Breaks off what is under way, then ends."""
        for task in self.server_state.tasks:
            task.cancel()
        await super().shutdown(sockets)


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Whether something of the log is more than a request that was broken off because the server ends."""
    kind: Any = (record.exc_info or (None,))[0]
    broken_off = kind is not None and issubclass(kind, asyncio.CancelledError)
    return not broken_off and "graceful shutdown exceeded" not in str(record.msg)
