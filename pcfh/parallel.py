"""Work on many items by several processes, where one may die at any moment and none may be left over.

The standard library's pool does the work; what it lacks is added here: workers that end with their parent,
however it ends, at once and in the middle of an item. (joblib's were tried: after ``kill -9`` of the parent
its workers were all still there a minute later. It leads to clusters, see ``pcfh.cluster``.) Each worker
holds the reading end of one pipe whose other end is the parent's alone; when that closes, a thread of the
worker ends its process.
"""

import os
import signal
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import chain, islice
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from threading import Thread
from typing import Any, TypeVar

from pcfh.cluster import SCHEMES, map_on_cluster
from pcfh.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")
Workers = int | str  # a number of processes here, or the address of a cluster

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_AHEAD = 2  # items that are handed out per worker, so that none waits for its next


class _Worker:
    """What a worker process knows: how to make its function, and the function once it is made."""

    start: Callable[[], Callable[[Any], Any]]
    function: Callable[[Any], Any] | None = None


def usable_workers(workers: Workers) -> Workers:
    """The number of processes, one per core of this process where 0 is asked for, or a cluster's address.

    Raises:
        UserError: it is neither.
    """
    if isinstance(workers, str) and workers.isdecimal():
        workers = int(workers)
    if isinstance(workers, int) and workers >= 0:
        return workers or cores()
    if isinstance(workers, str) and workers.startswith(SCHEMES):
        return workers
    raise UserError(
        f"--workers {workers}: expected a number of processes (0 takes one per core), dask://HOST:8786 or "
        "ray://HOST:10001"
    )


def cores() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_unordered(
    start: Callable[[], Callable[[Item], Result]], items: Iterable[Item], workers: Workers
) -> Generator[Result, None, None]:
    """Yields a function's results in the order in which they are ready.

    Close the generator (``contextlib.closing``) to end the processes where the loop may be left early.

    Args:
        start: makes the function, once in each process; sent to the processes by pickling.
        items: what to call it with; few are taken ahead, a cluster's by other threads than this one.
        workers: number of processes, one thread each; 1 works in this process, with its threads. Or a
            cluster's address.

    Raises:
        RuntimeError: a process died.
        UserError: no cluster answers.
        Exception: what ``start`` or the function raised, with the process's traceback as its cause.
    """
    rest = iter(items)
    first = list(islice(rest, 1 if isinstance(workers, str) else workers))
    if not first:
        return
    rest = chain(first, rest)
    if isinstance(workers, str):
        yield from map_on_cluster(start, rest, workers)
        return
    if workers == 1:
        yield from map(start(), rest)
        return
    context = get_context("spawn")
    lifeline, held = context.Pipe(duplex=False)
    count = len(first)
    pool = ProcessPoolExecutor(count, context, initializer=_begin, initargs=(lifeline, start))
    try:
        yield from _results(pool, rest, count * _AHEAD)
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
