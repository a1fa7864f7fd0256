"""The command that serves the web page."""

import ipaddress
import sys
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from pcfh.cli.app import Names
from pcfh.errors import UserError
from pcfh.extras import extra
from pcfh.web.limits import Limits

if TYPE_CHECKING:
    from pcfh.gallery.store import Gallery
    from pcfh.web.engine import Engine

_TOKEN_LENGTH = 16


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Access:
    """Where the page is, and who may ask.

    Attributes:
        host: address to listen at; others than this machine reach the page only if it is not the default.
        port: to listen at; 0 takes a free one.
        hosts: further names under which the page may be asked for, e.g. behind a reverse proxy.
        token: file with a token of 16 characters or more that programs and the page must show.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    hosts: Names = ()
    token: Path | None = None


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Searched:
    """The gallery that visitors can search.

    Attributes:
        gallery: path of an embedded one, or address of a Milvus server; a visitor's own is there in any case.
        collection: name of the gallery in its store.
    """

    gallery: str | None = None
    collection: str = "faces"

    @property
    def shown_name(self) -> str:
        """By what name visitors know it: neither folders nor addresses are their business."""
        uri = self.gallery or ""
        return self.collection if "://" in uri else Path(uri).stem


_ACCESS, _SEARCHED, _LIMITS = Access(), Searched(), Limits()


def serve(
    *,
    access: Access = _ACCESS,
    model: Path | None = None,
    recognizer: Path | None = None,
    device: str = "auto",
    searched: Searched = _SEARCHED,
    limits: Annotated[Limits, Parameter(name="*")] = _LIMITS,
) -> int:
    """Serve a web page that translates photographs and compares faces, until Ctrl-C.

    Photographs stay in memory, each visitor's apart from the others', and are forgotten when the visitor says
    so, after a time without requests, and when the command ends.

    Args:
        access: where the page is, and who may ask.
        model: generator.safetensors of a training run, or the word generator for the first shipped one; the
            one for photographs (cameras) if not given.
        recognizer: a Light CNN, an ONNX model or dlib; the shipped one if not given.
        device: auto, cpu, cuda or cuda:1.
        searched: the gallery that visitors can search.
        limits: how much visitors may upload and keep.
    """
    token = None if access.token is None else token_of(access.token)
    print("Loading the networks.", file=sys.stderr, flush=True)
    with extra("web", "the web page"):
        from pcfh.web.app import Served, create_app  # noqa: PLC0415 - an optional extra
        from pcfh.web.serving import bound_socket, run_server  # noqa: PLC0415 - an optional extra
    engine = _engine(model, recognizer, device)
    if not _is_loopback(access.host):
        print(f"pcfh: warning: at {access.host} {_warning(token)}", file=sys.stderr)
    with bound_socket(access.host, access.port) as listening, ExitStack() as opened:
        store = opened.enter_context(_gallery(searched, engine)) if searched.gallery else None
        served = Served(gallery=store, name=searched.shown_name) if store else None
        names = {listening.getsockname()[0], *access.hosts}
        with suppress(KeyboardInterrupt):
            run_server(create_app(engine, limits, names, served=served, token=token), listening, _announce)
    print("Ended; all photographs are forgotten.", file=sys.stderr)
    return 0


def token_of(path: Path) -> str:
    """The token in a file.

    Raises:
        UserError: there is no such file, or what it holds could be guessed or does not fit into a header.
    """
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--token {path}: cannot be read ({error}); expected a file with a token") from error
    if len(token) < _TOKEN_LENGTH or not token.isprintable() or " " in token:
        raise UserError(
            f"--token {path}: expected one line of {_TOKEN_LENGTH} characters or more without blanks; "
            "write one by python -c 'import secrets; print(secrets.token_urlsafe())'"
        )
    return token


def _warning(token: str | None) -> str:
    password = "" if token else "It asks for no password. "
    return (
        f"others can reach this page. {password}Without TLS photographs cross the network readable; "
        "docs/web.md says how to put it behind a proxy."
    )


def _engine(model: Path | None, recognizer: Path | None, device: str) -> "Engine":
    """Opens the networks; what takes seconds to be imported is imported here, after the first line is out."""
    from pcfh.hallucinate import Hallucinator  # noqa: PLC0415
    from pcfh.landmarks import open_backend  # noqa: PLC0415
    from pcfh.recognisers.registry import open_recognizer  # noqa: PLC0415
    from pcfh.shipped import generator_at, shipped  # noqa: PLC0415
    from pcfh.web.engine import Engine  # noqa: PLC0415

    finder = open_backend("blaze")
    hallucinator = Hallucinator.from_file(generator_at(model), device=device, backend=finder)
    return Engine(hallucinator, open_recognizer(recognizer or shipped("recognizer"), device=device))


def _gallery(searched: Searched, engine: "Engine") -> "Gallery":
    """Opens a gallery whose features the recogniser's can be compared with."""
    from pcfh.cli.gallery_options import open_gallery  # noqa: PLC0415

    assert searched.gallery is not None
    with ExitStack() as undone:
        store = undone.enter_context(open_gallery(searched.gallery, searched.collection))
        store.require(engine.recognizer.key, engine.recognizer.name)
        undone.pop_all()
    return store


def _announce(address: str) -> None:
    print(f"{address} (Ctrl-C ends it)", flush=True)


def _is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine only; other names than localhost may be anything."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
