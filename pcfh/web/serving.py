"""The server process: binds, serves until it is told to end."""

import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from pcfh.errors import UserError

_CONNECTIONS = 200
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
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_SECONDS,
    )
    on_address(f"http://{f'[{host}]' if ':' in host else host}:{port}/")
    uvicorn.Server(config).run(sockets=[listening])
