"""One thread computes, a bounded number of requests hold a place in its queue.

Networks and decoders are used by one thread alone, so visitors cannot disturb each other. A place is taken
before an upload is read, so the uploads in memory are bounded too.
"""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from starlette.exceptions import HTTPException

Result = TypeVar("Result")
_RETRY = {"Retry-After": "2"}  # seconds


class Worker:
    """A thread with a queue.

    Args:
        places: requests that may hold one at the same time.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pcfh-web")

    @contextmanager
    def place(self) -> Iterator[None]:
        """Holds a place in the queue.

        Raises:
            HTTPException: all are taken.
        """
        if not self._free:
            raise HTTPException(503, "the server is busy with other photographs; try again", headers=_RETRY)
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1

    async def run(self, function: Callable[[], Result]) -> Result:
        """Calls a function in the thread, after those that came before."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    def close(self) -> None:
        """Ends the thread; what waits is dropped."""
        self._thread.shutdown(wait=True, cancel_futures=True)
