"""The queue before the one thread that computes."""

import asyncio
import threading
from contextlib import suppress

import pytest
from starlette.exceptions import HTTPException

from pcfh.web.worker import Worker


def held(gate, called):
    """A job that waits for a gate, and one that notes that it was called."""
    return lambda: gate.wait(600), lambda: called.append(True)


def queue(scene, **options):
    """Plays a scene with a worker whose thread is busy until the gate opens."""
    gate, called = threading.Event(), []

    async def play():
        worker = Worker(2, **options)
        busy, job = held(gate, called)
        first = asyncio.create_task(worker.run(busy))
        await asyncio.sleep(0)
        try:
            return await scene(worker, first, job, gate)
        finally:
            gate.set()
            first.cancel()
            with suppress(asyncio.CancelledError):
                await first
            worker.close()

    return asyncio.run(play()), called


def test_one_more_than_there_are_places_is_sent_away():
    async def scene(worker, first, job, gate):
        second = asyncio.create_task(worker.run(job))
        await asyncio.sleep(0)
        with pytest.raises(HTTPException, match="busy with other photographs"):
            await worker.run(job)
        gate.set()
        await second

    assert queue(scene)[1] == [True]


def test_what_is_dropped_while_it_waits_is_never_called_and_leaves_its_place():
    async def scene(worker, first, job, gate):
        second = asyncio.create_task(worker.run(job))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait({second})
        third = asyncio.create_task(worker.run(lambda: "third"))
        await asyncio.sleep(0)
        gate.set()
        return await third

    assert queue(scene) == ("third", [])


def test_who_waits_for_too_long_is_sent_away():
    async def scene(worker, first, job, gate):
        with pytest.raises(HTTPException, match=r"has waited for 0\.05 seconds"):
            await worker.run(job)

    assert queue(scene, patience=0.05)[1] == []


def test_what_is_dropped_while_it_is_computed_keeps_the_thread_until_it_is_through():
    async def scene(worker, first, job, gate):
        first.cancel()
        await asyncio.wait({first})
        second = asyncio.create_task(worker.run(job))
        await asyncio.sleep(0.02)
        before = second.done()
        gate.set()
        await second
        return before

    assert queue(scene) == (False, [True])


def test_an_error_reaches_who_asked_and_the_next_one_is_served():
    async def scene(worker, first, job, gate):
        gate.set()
        with pytest.raises(ZeroDivisionError):
            await worker.run(lambda: 1 / 0)
        return await worker.run(lambda: "next")

    assert queue(scene)[0] == "next"
