"""Signals are never lost, and what a terminal obeys is never printed."""

import os
import signal
import subprocess
import sys
import time

import pytest

from pcfh.cli import main
from pcfh.cli.app import heed_interrupts, say, stop_signals


@pytest.fixture
def ignored():
    """Ctrl-C switched off, as a shell does for what it starts in the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_that_a_shell_has_switched_off_is_heeded(ignored):
    heed_interrupts()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_a_training_hears_signals_before_it_loads_anything(monkeypatch, tmp_path):
    heard = []

    def check(*_):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        heard.append("both")
        raise OSError("the test ends here")

    monkeypatch.setattr("pcfh.cli.train.check", check)
    with pytest.raises(SystemExit):
        main(["train", str(tmp_path), str(tmp_path / "run"), "--preset", "tiny"])
    assert heard == ["both"]


def test_signals_are_collected_and_a_second_one_kills():
    with stop_signals() as stopped:
        os.kill(os.getpid(), signal.SIGINT)
        assert stopped == [signal.SIGINT]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.slow
def test_a_job_in_the_background_of_a_shell_can_be_interrupted():
    code = (
        "import time; from pcfh.cli.app import heed_interrupts; "
        "heed_interrupts(); print(1, flush=True); time.sleep(120)"
    )
    command = f"{sys.executable} -c '{code}' & echo $!; wait $!; echo $?"
    with subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, text=True) as shell:
        pid = int(shell.stdout.readline())
        assert shell.stdout.readline() == "1\n"
        os.kill(pid, signal.SIGINT)
        began = time.monotonic()
        assert shell.stdout.readline().strip() == "130"
    assert time.monotonic() - began < 100


def test_control_codes_of_names_are_spelt_out(capsys):
    say("a\x1b[31mb\r\x9b2J\x07.jpg\tü\nnext")
    assert capsys.readouterr().out == "a\\x1b[31mb\\r\\x9b2J\\x07.jpg\tü\nnext\n"


def test_an_error_cannot_steer_the_terminal(capsys, tmp_path):
    with pytest.raises(SystemExit):
        main(["inspect", str(tmp_path / "\x1b]0;title\x07")])
    assert "\x1b" not in capsys.readouterr().err
