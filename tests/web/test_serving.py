"""Connections of clients that say little, over real sockets."""

import asyncio

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from uvicorn.server import ServerState

from pcfh.web import serving
from pcfh.web.serving import Connection

ASK = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
PATIENCE = 600  # seconds


def play(scene, app=None):
    """Plays a scene with a function that opens connections to a server."""

    async def run():
        loop, state = asyncio.get_running_loop(), ServerState()
        config = uvicorn.Config(app or PlainTextResponse("hello"), ws="none", log_level="error")
        server = await loop.create_server(
            lambda: Connection(config=config, server_state=state, app_state={}, _loop=loop), "127.0.0.1", 0
        )
        address = server.sockets[0].getsockname()
        writers = []

        async def connect():
            reader, writer = await asyncio.open_connection(*address)
            writers.append(writer)
            return reader, writer

        async with server, asyncio.timeout(PATIENCE):
            try:
                return await scene(connect)
            finally:
                for writer in writers:
                    writer.transport.abort()
                while state.connections:
                    await asyncio.sleep(0.01)

    return asyncio.run(run())


async def closed(reader):
    """Waits until the server has closed a connection; gives what it said before."""
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost:"], ids=["nothing", "half a head"])
def test_a_connection_without_a_request_is_closed(monkeypatch, said):
    monkeypatch.setattr(serving, "_HEAD_SECONDS", 0.05)

    async def scene(connect):
        reader, writer = await connect()
        writer.write(said)
        return await closed(reader)

    assert play(scene) == b""


def test_a_connection_that_goes_on_in_drops_after_its_answer_is_closed(monkeypatch):
    monkeypatch.setattr(serving, "_HEAD_SECONDS", 0.3)

    async def scene(connect):
        reader, writer = await connect()
        writer.write(ASK)
        assert await reader.readuntil(b"hello")
        ended = asyncio.create_task(closed(reader))
        while not ended.done():  # a drop now and then keeps the server's own timer from closing it
            writer.write(b"G")
            await asyncio.sleep(0.02)
        return True

    assert play(scene)


def test_a_request_under_way_is_not_silence(monkeypatch):
    monkeypatch.setattr(serving, "_HEAD_SECONDS", 0.05)

    async def slow(scope, receive, send):
        await asyncio.sleep(0.3)
        await PlainTextResponse("slow")(scope, receive, send)

    async def scene(connect):
        reader, writer = await connect()
        writer.write(ASK)
        return await closed(reader)

    assert play(scene, slow).endswith(b"slow")


def test_a_client_that_never_takes_its_answer_is_cut_off(monkeypatch):
    monkeypatch.setattr(serving, "_REQUEST_SECONDS", 0.2)
    ended = []

    async def huge(scope, receive, send):
        await PlainTextResponse(bytes(1 << 26))(scope, receive, send)
        ended.append((await receive())["type"])

    async def scene(connect):
        _, writer = await connect()
        writer.write(ASK)
        while not ended:
            await asyncio.sleep(0.02)

    play(scene, huge)
    assert ended == ["http.disconnect"]


def test_a_newcomer_is_served_however_many_connections_are_silent(monkeypatch):
    monkeypatch.setattr(serving, "_SILENT_CONNECTIONS", 5)

    async def scene(connect):
        silent = [await connect() for _ in range(12)]
        reader, writer = await connect()
        writer.write(ASK)
        assert await reader.readuntil(b"hello")
        oldest = [await closed(reader) for reader, _ in silent[:7]]
        return oldest, [reader.at_eof() for reader, _ in silent[8:]]

    assert play(scene) == ([b""] * 7, [False] * 4)
