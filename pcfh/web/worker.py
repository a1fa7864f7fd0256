"""One thread computes, a bounded number of photographs wait for it.

Networks and decoders are used by one thread alone, so visitors cannot disturb each other. What waits is a
task of the event loop: it is dropped when its visitor leaves, and sent away when its turn does not come.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from starlette.exceptions import HTTPException

Result = TypeVar("Result")
PATIENCE = 15.0  # seconds in the queue
_RETRY = {"Retry-After": "2"}  # seconds


class Worker:
    """A thread with a queue; to be made and used in one event loop.

    Args:
        places: photographs that may wait or be computed at the same time.
        patience: seconds that one may wait for its turn.
    """

    def __init__(self, places: int, *, patience: float = PATIENCE) -> None:
        self._free, self._patience = places, patience
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pcfh-web")

    async def run(self, function: Callable[[], Result]) -> Result:
        """Calls a function in the thread, after those that came before.

        One that is cancelled while it waits is never called; one that is cancelled later keeps its place
        until the thread is through with it.

        Raises:
            HTTPException: all places are taken, or the turn did not come in time.
        """
        if not self._free:
            raise HTTPException(503, "the server is busy with other photographs; try again", headers=_RETRY)
        self._free -= 1
        try:
            async with asyncio.timeout(self._patience):
                await self._turn.acquire()
        except BaseException as error:
            self._free += 1
            if not isinstance(error, TimeoutError):
                raise
            raise HTTPException(
                503, f"the photograph has waited for {self._patience:g} seconds; try again", headers=_RETRY
            ) from error
        job = asyncio.get_running_loop().run_in_executor(self._thread, function)
        job.add_done_callback(self._through)
        await asyncio.wait({job})  # unlike awaiting the job, it does not cancel it
        return job.result()

    def close(self) -> None:
        """Ends the thread after what it is at."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _through(self, job: "asyncio.Future[Result]") -> None:
        job.exception()  # who asked may be gone; then nobody else looks at it
        self._free += 1
        self._turn.release()
