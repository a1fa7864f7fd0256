"""The command that serves the web page."""

import ipaddress
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from pcfh.cli.app import Names
from pcfh.extras import extra
from pcfh.web.limits import Limits

if TYPE_CHECKING:
    from pcfh.web.engine import Engine

_DEFAULT = Limits()


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    hosts: Names = (),
    model: Path | None = None,
    recognizer: Path | None = None,
    device: str = "auto",
    limits: Annotated[Limits, Parameter(name="*")] = _DEFAULT,
) -> int:
    """Serve a web page that translates photographs and compares faces, until Ctrl-C.

    Photographs stay in memory, each visitor's apart from the others', and are forgotten when the visitor says
    so, after a time without requests, and when the command ends.

    Args:
        host: address to listen at; others than this machine reach the page only if it is not the default.
        port: to listen at; 0 takes a free one.
        hosts: further names under which the page may be asked for, e.g. behind a reverse proxy.
        model: generator.safetensors of a training run; the shipped one if not given.
        recognizer: a Light CNN, an ONNX model or dlib; the shipped one if not given.
        device: auto, cpu, cuda or cuda:1.
        limits: how much visitors may upload and keep.
    """
    print("Loading the networks.", file=sys.stderr, flush=True)
    with extra("web", "the web page"):
        from pcfh.web.app import create_app  # noqa: PLC0415 - an optional extra
        from pcfh.web.serving import bound_socket, run_server  # noqa: PLC0415 - an optional extra
    engine = _engine(model, recognizer, device)
    if not _is_loopback(host):
        print(
            f"pcfh: warning: at {host} others can reach this page. It asks for no password, and without TLS "
            "photographs cross the network readable; docs/web.md says how to put it behind a proxy.",
            file=sys.stderr,
        )
    with bound_socket(host, port) as listening, suppress(KeyboardInterrupt):
        names = {listening.getsockname()[0], *hosts}
        run_server(create_app(engine, limits, names), listening, _announce)
    print("Ended; all photographs are forgotten.", file=sys.stderr)
    return 0


def _engine(model: Path | None, recognizer: Path | None, device: str) -> "Engine":
    """Opens the networks; what takes seconds to be imported is imported here, after the first line is out."""
    from pcfh.hallucinate import Hallucinator  # noqa: PLC0415
    from pcfh.landmarks import open_backend  # noqa: PLC0415
    from pcfh.recognisers.registry import open_recognizer  # noqa: PLC0415
    from pcfh.shipped import shipped  # noqa: PLC0415
    from pcfh.web.engine import Engine  # noqa: PLC0415

    finder = open_backend("blaze")
    hallucinator = Hallucinator.from_file(model or shipped("generator"), device=device, backend=finder)
    return Engine(hallucinator, open_recognizer(recognizer or shipped("recognizer"), device=device))


def _announce(address: str) -> None:
    print(f"{address} (Ctrl-C ends it)", flush=True)


def _is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine only; other names than localhost may be anything."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
