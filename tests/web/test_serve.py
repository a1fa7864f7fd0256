"""The command: addresses, warnings, mistakes, and its end."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from pcfh.cli.serve import _is_loopback
from pcfh.errors import UserError
from pcfh.web.serving import bound_socket


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


@pytest.mark.slow
def test_it_serves_until_it_is_interrupted(blaze):
    command = [sys.executable, "-m", "pcfh", "serve", "--host", "0.0.0.0", "--port", "0", "--device", "cpu"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env={**os.environ}) as server:
        try:
            port = server.stdout.readline().split()[0].rstrip("/").rpartition(":")[2]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
                assert b"Translate a face" in answer.read()
        finally:
            server.send_signal(signal.SIGINT)
        errors = server.communicate()[1]
    assert server.returncode == 0
    assert "warning: at 0.0.0.0 others can reach this page" in errors
    assert "all photographs are forgotten" in errors
