"""Work on many items by several processes, where one may die at any moment and none may be left over.

The standard library's pool does the work; what it lacks is added here: workers that end with their parent,
however it ends, at once and in the middle of an item. (joblib's were tried: after ``kill -9`` of the parent
its workers were all still there a minute later.) Each worker holds the reading end of one pipe whose other
end is the parent's alone; when that closes, a thread of the worker ends its process.
"""

import os
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from threading import Thread
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_AHEAD = 2  # items that are handed out per worker, so that none waits for its next


class _Worker:
    """What a worker process knows: how to make its function, and the function once it is made."""

    start: Callable[[], Callable[[Any], Any]]
    function: Callable[[Any], Any] | None = None


def map_unordered(
    start: Callable[[], Callable[[Item], Result]], items: Sequence[Item], workers: int
) -> Generator[Result, None, None]:
    """Yields a function's results in the order in which they are ready.

    Close the generator (``contextlib.closing``) to end the processes where the loop may be left early.

    Args:
        start: makes the function, once in each process; sent to the processes by pickling.
        items: what to call it with.
        workers: number of processes, one thread each; 1 works in this process, with its threads.

    Raises:
        RuntimeError: a process died.
        Exception: what ``start`` or the function raised, with the process's traceback as its cause.
    """
    if not items:
        return
    if workers == 1:
        yield from map(start(), items)
        return
    context = get_context("spawn")
    lifeline, held = context.Pipe(duplex=False)
    count = min(workers, len(items))
    pool = ProcessPoolExecutor(count, context, initializer=_begin, initargs=(lifeline, start))
    try:
        yield from _results(pool, iter(items), count * _AHEAD)
    except BrokenProcessPool as error:
        raise RuntimeError("a worker process died (killed, or out of memory?)") from error
    finally:
        held.close()
        pool.shutdown(cancel_futures=True)
        lifeline.close()


def _results(pool: ProcessPoolExecutor, items: Iterator[Item], most: int) -> Iterator[Any]:
    """Hands out a few items at a time and yields the results."""

    def submit(count: int) -> set[Future[Any]]:
        with _as_workers_start():
            return {pool.submit(_call, item) for item in islice(items, count)}

    pending = submit(most)
    while pending:
        done, pending = wait(pending, return_when=FIRST_COMPLETED)
        pending |= submit(len(done))
        for future in done:
            yield future.result()


def _begin(lifeline: Connection, start: Callable[[], Callable[[Any], Any]]) -> None:
    """Runs first in a new worker."""

    def end_with_parent() -> None:
        wait_for([lifeline])
        os._exit(1)

    _Worker.start = staticmethod(start)
    Thread(target=end_with_parent, daemon=True).start()


def _call(item: Any) -> Any:
    """Calls the worker's function, which its first item makes, so that what goes wrong then is told."""
    _Worker.function = _Worker.function or _Worker.start()
    return _Worker.function(item)


@contextmanager
def _as_workers_start() -> Iterator[None]:
    """Gives the processes that are started meanwhile one thread each, and keeps Ctrl-C from them for good.

    Ctrl-C reaches the whole group of processes; the parent alone decides what follows from it.
    """
    resource_tracker.ensure_running()  # it lets interrupts through again as it starts
    signals = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
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
        signal.pthread_sigmask(signal.SIG_SETMASK, signals)
