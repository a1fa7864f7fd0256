"""Processes import what they run by its name, so the functions are written to a module of their own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pcfh.errors import UserError
from pcfh.parallel import map_unordered, usable_workers

FUNCTIONS = """
import os
import signal
import time

from pcfh.errors import UserError


def square():
    return lambda x: x * x


def threads():
    return lambda name: os.environ.get(name)


def fail():
    return lambda x: 1 / x


def refuse():
    raise UserError("no model files")


def die():
    return lambda x: os.kill(os.getpid(), signal.SIGKILL)


def linger():
    def wait(seconds):
        time.sleep(seconds)
        return os.getpid()

    return wait


def process():
    return lambda x: os.getpid()


def deaf():
    signal.raise_signal(signal.SIGINT)
    return lambda x: x
"""


@pytest.fixture
def functions(tmp_path, monkeypatch):
    (tmp_path / "functions_of_workers.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "functions_of_workers", raising=False)
    import functions_of_workers

    return functions_of_workers


@pytest.mark.parametrize("workers", [1, 3])
def test_every_item_is_answered_once(functions, workers):
    assert sorted(map_unordered(functions.square, range(10), workers)) == [x * x for x in range(10)]


def test_more_workers_than_items_do_no_harm(functions):
    assert list(map_unordered(functions.square, [3], 4)) == [9]


def test_one_worker_is_this_process(functions):
    assert set(map_unordered(functions.process, [0, 1], 1)) == {os.getpid()}


def test_without_items_nothing_is_started(functions):
    assert list(map_unordered(functions.refuse, [], 1)) == []


def test_each_worker_computes_with_one_thread(functions):
    assert list(map_unordered(functions.threads, ["OMP_NUM_THREADS"], 2)) == ["1"]


def test_the_environment_of_this_process_stays(functions, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    list(map_unordered(functions.square, [1, 2], 2))
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_a_user_error_of_a_worker_is_raised_here(functions):
    with pytest.raises(UserError, match="no model files"):
        list(map_unordered(functions.refuse, [1, 2], 2))


def test_a_fault_in_a_worker_keeps_its_type_and_traceback(functions):
    with pytest.raises(ZeroDivisionError) as caught:
        list(map_unordered(functions.fail, [0], 2))
    assert "functions_of_workers.py" in str(caught.value.__cause__)


def test_an_interrupt_does_not_reach_a_worker_that_is_starting(functions):
    assert list(map_unordered(functions.deaf, [5], 2)) == [5]


def test_interrupts_reach_this_process_again_once_all_are_started(functions):
    list(map_unordered(functions.square, [1], 2))
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_a_worker_that_dies_is_noticed(functions):
    with pytest.raises(RuntimeError, match="a worker process died"):
        list(map_unordered(functions.die, [1, 2, 3], 2))


def is_running(pid):
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pids):
    deadline = time.monotonic() + 60
    while any(is_running(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(is_running(pid) for pid in pids)


def test_no_worker_outlives_a_loop_that_is_left(functions):
    results = map_unordered(functions.process, range(100), 2)
    seen = {next(results) for _ in range(20)}
    results.close()
    assert not any(is_running(pid) for pid in seen)


# Ctrl-C is put back to what it is in a terminal: a shell lets what it starts in the background ignore it.
PARENT = """
import signal

import functions_of_workers
from pcfh.parallel import map_unordered

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for pid in map_unordered(functions_of_workers.linger, [0, 0, *[600] * 8], 2):
        print(pid, flush=True)
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_its_parent_though_it_is_in_the_middle_of_an_item(functions, tmp_path, sent):
    (tmp_path / "parent.py").write_text(PARENT)
    root = Path(sys.modules["pcfh"].__file__ or "").parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(root), str(tmp_path)))}
    with subprocess.Popen(
        [sys.executable, str(tmp_path / "parent.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as parent:
        assert parent.stdout is not None
        seen = {int(next(parent.stdout)) for _ in range(2)}
        parent.send_signal(sent)
        parent.stdout.close()
    assert wait_until_gone(seen)


@pytest.mark.parametrize("text", ["tcp://host:8786", "two", "-1"])
def test_what_is_neither_a_number_nor_a_cluster_is_refused(text):
    with pytest.raises(UserError, match=f"--workers {text}: expected a number of processes"):
        usable_workers(text)
