"""Opening the store: Milvus, embedded in a folder or on a server."""

import fcntl
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pcfh.errors import UserError
from pcfh.extras import extra

_SERVER = re.compile(r"(?:https?|tcp|unix):")
_SECONDS = 10.0  # to wait for a server


def is_server(uri: str) -> bool:
    """Whether a gallery lies on a server; else it is a path."""
    return bool(_SERVER.match(uri))


def connect(uri: str, token: str = "") -> Any:
    """A client of the store.

    Args:
        uri: http://host:19530 of a server, or the path of an embedded store, which ends in .db.
        token: user:password, for a server that asks for one.

    Raises:
        UserError: pymilvus is not installed, the path has another ending, another process has the store open,
            or the server does not answer.
    """
    if not is_server(uri):
        _require_path(Path(uri))
    with extra("gallery", "a gallery"):
        from pymilvus import MilvusClient  # noqa: PLC0415 - an optional extra

        if not is_server(uri):
            import milvus_lite  # noqa: F401, PLC0415 - the embedded store
    for log in ("pymilvus", "milvus_lite", "grpc"):  # what they would print with a traceback is raised here
        logging.getLogger(log).setLevel(logging.CRITICAL + 1)
    try:
        return MilvusClient(uri, token=token, timeout=_SECONDS)
    except Exception as error:  # pymilvus has several kinds of no common meaning
        raise UserError(_why_not(uri, error)) from error


def disconnect(client: Any, uri: str) -> None:
    """Closes a client; an embedded store is free for other processes afterwards."""
    client.close()
    if not is_server(uri):
        from milvus_lite.server_manager import server_manager_instance  # noqa: PLC0415 - an optional extra

        server_manager_instance.release_server(uri)


@contextmanager
def said_plainly(uri: str) -> Iterator[None]:
    """Turns what the store raises into one line that names it.

    Raises:
        UserError: the store failed.
    """
    from pymilvus.exceptions import MilvusException  # noqa: PLC0415 - an optional extra

    try:
        yield
    except MilvusException as error:
        raise UserError(f"{uri}: the store refuses ({_line(error)}); see docs/gallery.md") from error


def _require_path(path: Path) -> None:
    if path.suffix != ".db":
        raise UserError(
            f"{path}: expected the path of a gallery, which ends in .db, or the address of a server as "
            "http://host:19530"
        )
    if path.is_file():
        raise UserError(f"{path}: is a file, but an embedded gallery is a folder; give another name")
    path.parent.mkdir(parents=True, exist_ok=True)


def _why_not(uri: str, error: Exception) -> str:
    """What a user can do about a store that does not open."""
    if is_server(uri):
        return f"{uri}: no Milvus server answers there ({_line(error)}); start it, or mend address and token"
    if _is_locked(Path(uri) / "LOCK"):
        return (
            f"{uri}: another process has this gallery open, and an embedded one takes one at a time; end "
            "that process, or use a server (docs/gallery.md)"
        )
    return f"{uri}: not a gallery that can be opened ({_line(error)}); restore it from a copy"


def _is_locked(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
