"""Work on many items by the processes of a Dask or Ray cluster, through joblib.

    dask://scheduler:8786     a Dask scheduler; its workers must be able to import pcfh
    ray://head:10001          a Ray cluster, by the port of its client server

Only what the user names so runs here; processes of this machine are ``pcfh.parallel``'s own, which joblib's
local ones are no match for: they survive a killed parent. The workers of a cluster belong to the cluster. It
gives the items of a worker that died to another one. All must see the same files under the same paths.
"""

import hashlib
import pickle
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from threading import local
from typing import Any, TypeVar

from pcfh.errors import UserError
from pcfh.extras import extra

Item = TypeVar("Item")
Result = TypeVar("Result")

SCHEMES = ("dask://", "ray://")
_WAIT = 30  # seconds for the cluster to answer, and for its first worker
_AHEAD = "3*n_jobs"  # items that are handed out at once

# A function may hold what only one thread may use, and a Dask worker may have several.
_made = local()


def map_on_cluster(
    start: Callable[[], Callable[[Item], Result]], items: Iterable[Item], address: str
) -> Generator[Result, None, None]:
    """Yields a function's results in the order in which they are ready; see ``parallel.map_unordered``.

    Raises:
        UserError: the extra is missing, or no cluster answers at the address.
    """
    with extra("cluster", "work on a cluster"):
        from joblib import Parallel, delayed, parallel_config  # noqa: PLC0415 - an optional extra
    token = hashlib.sha256(pickle.dumps(start)).hexdigest()
    with _connected(address) as options, parallel_config(**options):
        work = Parallel(n_jobs=-1, return_as="generator_unordered", batch_size=1, pre_dispatch=_AHEAD)
        yield from work(delayed(_call)(token, start, item) for item in items)


def _call(token: str, start: Callable[[], Callable[[Any], Any]], item: Any) -> Any:
    """Calls the function of this thread, made by the first item that wants it."""
    if getattr(_made, "token", None) != token:
        _made.function, _made.token = start(), token
    return _made.function(item)


@contextmanager
def _connected(address: str) -> Iterator[dict[str, Any]]:
    """Joins a cluster; what joblib must be told of it."""
    with _dask(address) if address.startswith(SCHEMES[0]) else _ray(address) as options:
        yield options


@contextmanager
def _dask(address: str) -> Iterator[dict[str, Any]]:
    with extra("cluster", "work on a Dask cluster"):
        from distributed import Client, KilledWorker  # noqa: PLC0415 - an optional extra
        from joblib import register_parallel_backend  # noqa: PLC0415
        from joblib._dask import DaskDistributedBackend  # noqa: PLC0415

    class Dask(DaskDistributedBackend):  # type: ignore[misc]
        """joblib's own, which would wait for ever (1.6.0) where an item ended worker after worker."""

        def submit(self, func: Any, callback: Any = None) -> "Future[Any]":
            """Hands an item out; tells of one that failed, too."""
            future: Future[Any] = super().submit(func, callback)
            future.add_done_callback(lambda ended: callback(ended) if ended.exception() else None)
            return future

        def retrieve_result_callback(self, out: Any) -> Any:
            """The result, or what made the item fail."""
            return out.result() if isinstance(out, Future) else super().retrieve_result_callback(out)

    place = "tcp://" + address.removeprefix(SCHEMES[0])
    try:
        client = Client(place, timeout=_WAIT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{address}: no Dask scheduler answers ({error}); start one by: dask scheduler"
        ) from error
    register_parallel_backend("pcfh-dask", Dask)
    with client:
        try:
            client.wait_for_workers(1, timeout=_WAIT)
        except TimeoutError as error:
            raise UserError(
                f"{address}: the scheduler has no worker; start some by: dask worker {place} --nthreads 1"
            ) from error
        try:
            yield {"backend": "pcfh-dask", "client": client}
        except KilledWorker as error:
            raise UserError(
                f"{address}: one item ended worker after worker (out of memory?): {error}; what is done is "
                "kept"
            ) from error


@contextmanager
def _ray(address: str) -> Iterator[dict[str, Any]]:
    try:
        import ray  # noqa: PLC0415 - an optional package
        from ray.util.joblib import register_ray  # noqa: PLC0415
    except ImportError as error:
        raise UserError(f"{address}: Ray is not installed; run: pip install 'ray[client]'") from error
    try:
        ray.init(address)
    except ConnectionError as error:
        raise UserError(
            f"{address}: no Ray cluster answers ({error}); start one by: ray start --head"
        ) from error
    register_ray()
    try:
        yield {"backend": "ray"}
    finally:
        ray.shutdown()
