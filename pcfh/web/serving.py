"""The server process: binds, serves until it is told to end."""

import socket
from collections.abc import Callable, Collection

import uvicorn

from pcfh.errors import UserError
from pcfh.web.app import create_app
from pcfh.web.engine import Engine
from pcfh.web.guard import LOOPBACK
from pcfh.web.limits import Limits

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
    engine: Engine,
    limits: Limits,
    listening: socket.socket,
    *,
    hosts: Collection[str] = (),
    on_address: Callable[[str], None] = lambda address: None,
) -> None:
    """Serves the page until SIGINT or SIGTERM.

    Args:
        engine: the networks.
        limits: how much visitors may upload and keep.
        listening: from ``bound_socket``.
        hosts: names under which the page may be asked for, besides its address and the loopback ones.
        on_address: called with the page's address.
    """
    host, port = listening.getsockname()[:2]
    app = create_app(engine, limits, {*LOOPBACK, host, *hosts})
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
