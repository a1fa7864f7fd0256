"""Work on many items by several processes, where one may die at any moment and none may be left over.

Each worker has a pipe of its own to the parent and is handed one item at a time. A parent that dies closes
the pipes, and so ends its workers; a worker that dies is noticed at once instead of being waited for.
"""

import os
import signal
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, TypeVar

from pcfh.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_PATIENCE_S = 10


@dataclass(frozen=True)
class _Worker:
    """A process and the parent's end of its pipe."""

    process: SpawnProcess
    pipe: Connection


def map_unordered(
    start: Callable[[], Callable[[Item], Result]], items: Sequence[Item], workers: int
) -> Generator[Result, None, None]:
    """Yields a function's results in the order in which they are ready.

    Args:
        start: makes the function, once in each process; sent to the processes by pickling.
        items: what to call it with.
        workers: number of processes, one thread each; 1 works in this process, with its threads.

    Raises:
        UserError: ``start`` or the function raised one.
        RuntimeError: they raised anything else, or a process died.
    """
    if not items:
        return
    if workers == 1:
        yield from map(start(), items)
        return
    team: list[_Worker] = []
    try:
        with _single_threaded(), _interrupts_postponed():
            for _ in range(min(workers, len(items))):
                team.append(_hire(start))
        yield from _serve(team, iter(items))
    finally:
        _dismiss(team)


def _hire(start: Callable[[], Callable[[Any], Any]]) -> _Worker:
    """Starts one process."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, start), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _serve(team: Sequence[_Worker], items: Iterator[Item]) -> Iterator[Any]:
    """Hands out the items and yields the answers."""
    busy = {worker.pipe: worker for worker in team}
    for worker, item in zip(team, items, strict=False):
        _hand(worker, item)
    while busy:
        for worker in [busy[pipe] for pipe in busy.keys() & wait(list(busy))]:
            yield _answer_of(worker)
            try:
                _hand(worker, next(items))
            except StopIteration:
                del busy[worker.pipe]


def _hand(worker: _Worker, item: Any) -> None:
    """Gives a worker its next item; if it has died, the wait for its answer ends at once."""
    with suppress(BrokenPipeError, ConnectionResetError):
        worker.pipe.send(item)


def _answer_of(worker: _Worker) -> Any:
    """What a worker sent, or an error if it failed."""
    try:
        kind, answer = worker.pipe.recv()
    except (EOFError, ConnectionResetError) as error:
        worker.process.join(_PATIENCE_S)
        code = worker.process.exitcode
        raise RuntimeError(f"a worker process died (exit code {code}); is there enough memory?") from error
    if kind == "refused":
        raise UserError(answer)
    if kind == "failed":
        raise RuntimeError(f"a worker process failed:\n{answer}")
    return answer


def _dismiss(team: Sequence[_Worker]) -> None:
    """Ends the processes: idle ones leave when their pipe closes, busy ones after their item."""
    for worker in team:
        worker.pipe.close()
    for worker in team:
        worker.process.join(_PATIENCE_S)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


def _work(pipe: Connection, start: Callable[[], Callable[[Any], Any]]) -> None:
    """The life of a worker; ends when the parent closes the pipe or is gone."""
    function: Callable[[Any], Any] | None = None
    while True:
        try:
            item = pipe.recv()
        except (EOFError, ConnectionResetError):
            return
        try:
            function = function or start()
            answer = ("done", function(item))
        except UserError as error:
            answer = ("refused", str(error))
        except Exception:
            answer = ("failed", traceback.format_exc())
        try:
            pipe.send(answer)
        except (BrokenPipeError, ConnectionResetError):
            return


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Lets the processes that are started meanwhile use one thread each."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _interrupts_postponed() -> Iterator[None]:
    """Keeps Ctrl-C for good from the processes that are started meanwhile, from this one until all are.

    It reaches the whole group of processes; the parent alone decides what follows from it.
    """
    resource_tracker.ensure_running()  # it lets interrupts through again as it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
