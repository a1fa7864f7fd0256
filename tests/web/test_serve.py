"""The command: addresses, warnings, mistakes, and its end."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import ExitStack

import pytest

from pcfh.cli.serve import _is_loopback
from pcfh.errors import UserError
from pcfh.web.app import PAGE
from pcfh.web.serving import bound_socket

FACE = (PAGE / "samples" / "nir-00176.jpg").read_bytes()
HEAD = f"POST /api/faces HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(FACE)}\r\n\r\n".encode()
ASKED = ((HEAD, FACE), (HEAD, FACE[:100]), (HEAD[:20], b""))  # a photograph, a part of one, half a head


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.1.2.3"])
def test_addresses_of_this_machine_alone_need_no_warning(host):
    assert _is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org"])
def test_other_addresses_need_a_warning(host):
    assert not _is_loopback(host)


def test_a_taken_port_is_said_so():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            UserError, match=f"cannot listen at 127.0.0.1, port {port}.*choose another --port"
        ):
            bound_socket("127.0.0.1", port)


def test_an_impossible_port_is_said_so():
    with pytest.raises(UserError, match="--port 99999: expected 0 to 65535"):
        bound_socket("127.0.0.1", 99999)


def test_a_missing_model_is_a_mistake_of_the_user(run, tmp_path, blaze):
    code, _, error = run("serve", "--model", tmp_path / "none.safetensors")
    assert code == 2 and "none.safetensors: no such file" in error


def ask(port, head, body):
    """Opens a connection, says something, and leaves it open."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(head + body)
    return connection


@pytest.mark.slow
def test_it_serves_until_it_is_interrupted_and_ends_quietly_while_it_is_busy(blaze):
    command = [sys.executable, "-m", "pcfh", "serve", "--host", "0.0.0.0", "--port", "0", "--device", "cpu"]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env={**os.environ})
    with process as server, ExitStack() as left_open:
        try:
            port = server.stdout.readline().split()[0].rstrip("/").rpartition(":")[2]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
                assert b"Translate a face" in answer.read()
            busy = [left_open.enter_context(ask(port, head, body)) for head, body in ASKED * 3]
            assert busy[0].recv(12) == b"HTTP/1.1 200"  # others wait, arrive, or say nothing
        finally:
            server.send_signal(signal.SIGINT)
        errors = server.communicate()[1]
    assert server.returncode == 0
    lines = errors.splitlines()
    assert lines[0] == "Loading the networks."
    assert "warning: at 0.0.0.0 others can reach this page" in lines[1]
    assert lines[2:] == ["Ended; all photographs are forgotten."]
