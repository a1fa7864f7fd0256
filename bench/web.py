"""Plays a hundred clients of the web page for a minute, some slow or hostile, and counts what they get.

    python -m bench web [--seconds 60] [--tree FOLDER] [--peaceful] [--record FILE --column NAME] [--seed 0]

A server is started on the loopback address and ended with Ctrl-C while its clients are still at it.
``--tree`` serves another working tree than this one, so that two commits can be compared by one program;
``--record`` writes the figures into a column of a file of docs/results. The clients:

    50 visitors     with a cookie each, as a browser has
    10 newcomers    who open the page anew for each photograph
    20 programs     without cookies
    10 slow ones    an upload of 200 kB, a byte each second
    10 hostile ones 25 silent connections each, half requests, nonsense, a terabyte, a foreign name, leaving

Everything waits at most 60 seconds for an answer.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tabulate import tabulate

from bench.memory import peak_mebibytes
from pcfh.web.app import PAGE

VISITORS, NEWCOMERS, PROGRAMS, SLOW, HOSTILE = 50, 10, 20, 10, 10
SILENT = 25  # connections of one hostile client; together more than the server of old could hold
PATIENCE = 60.0  # seconds until an answer counts as none
STATED = 20.0  # seconds: docs/web.md
NO_ANSWER, BROKEN_OFF = "no answer in 60 seconds", "a connection broken off"
NO_SESSION = "of these for want of a session"
LONGEST, NO_PAGE = "longest", "percent of looks at the page without an answer in 10 seconds"
_SLOW_BYTES = 200_000
_LONGEST_PAUSE = 5.0  # seconds; a visitor comes back sooner than a server may ask for


@dataclass(kw_only=True)
class Tally:
    """What clients got.

    Attributes:
        outcomes: how often each thing happened to a photograph: a status, or what there was in its place.
        reasons: texts of refusals.
        seconds: until a photograph was answered or refused.
        page: seconds until the page was there, None where it was not.
        foreign: statuses of requests under a foreign name.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    page: list[float | None] = field(default_factory=list)
    foreign: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A response: its status, headers (by lower-case names) and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(kw_only=True)
class Scene:
    """What all clients share.

    Attributes:
        port: of the server.
        photograph: a near-infrared face as a file.
        draw: of pauses.
        tally: of what they get.
    """

    port: int
    photograph: bytes
    draw: random.Random
    tally: Tally = field(default_factory=Tally)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection that is closed at once afterwards."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def ask(
        self, method: str, path: str, body: bytes = b"", *, host: str = "", cookie: str = ""
    ) -> Answer:
        """Asks for something over a connection of its own."""
        async with asyncio.timeout(PATIENCE), self.connection() as (reader, writer):
            writer.write(
                head(method, path, len(body), host=host or f"127.0.0.1:{self.port}", cookie=cookie) + body
            )
            return await answer_of(reader)


def head(method: str, path: str, size: int, *, host: str, cookie: str = "") -> bytes:
    """The head of a request."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {size}", "Connection: close"]
    lines += [f"Cookie: {cookie}"] if cookie else []
    return "\r\n".join([*lines, "", ""]).encode()


async def answer_of(reader: asyncio.StreamReader) -> Answer:
    """Reads a response whose connection ends with it."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.split(": ", 1) for line in lines if line)
    headers = {name.lower(): value for name, value in pairs}
    return Answer(status=int(first.split()[1]), headers=headers, body=await reader.read())


async def photograph(scene: Scene, cookie: str = "") -> float:
    """Has a photograph translated; returns the seconds that the client waits before the next one."""
    began, tally, pause = time.monotonic(), scene.tally, scene.draw.uniform(1, 3)
    try:
        answer = await scene.ask("POST", "/api/faces", scene.photograph, cookie=cookie)
    except TimeoutError:
        tally.outcomes[NO_ANSWER] += 1
        return pause
    except (OSError, EOFError):
        tally.outcomes[BROKEN_OFF] += 1
        return pause
    tally.outcomes[str(answer.status)] += 1
    tally.seconds.append(time.monotonic() - began)
    if answer.status != 200:
        tally.reasons[_reason(answer)] += 1
        pause = min(float(answer.headers.get("retry-after", pause)), _LONGEST_PAUSE)
    return pause


async def begin(scene: Scene) -> str:
    """Begins a session as the page does; returns its cookie."""
    with suppress(TimeoutError, OSError, EOFError):
        answer = await scene.ask("POST", "/api/session")
        if answer.status != 200:
            scene.tally.reasons[_reason(answer)] += 1
        return answer.headers.get("set-cookie", "").partition(";")[0]
    return ""


async def visitor(scene: Scene) -> None:
    """One with a browser: a session, then one photograph after the other."""
    cookie = await begin(scene)
    while True:
        await asyncio.sleep(await photograph(scene, cookie))


async def newcomer(scene: Scene) -> None:
    """One browser after the other: each opens the page, and translates one photograph."""
    while True:
        await asyncio.sleep(await photograph(scene, await begin(scene)))


async def program(scene: Scene) -> None:
    """One without a memory for cookies."""
    while True:
        await asyncio.sleep(await photograph(scene))


async def slow(scene: Scene) -> None:
    """An upload that takes for ever."""
    host = f"127.0.0.1:{scene.port}"
    while True:
        with suppress(OSError):
            async with scene.connection() as (reader, writer):
                writer.write(head("POST", "/api/faces", _SLOW_BYTES, host=host))
                while not reader.at_eof():
                    writer.write(b"x")
                    await writer.drain()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(1):
                            await reader.read(1000)
        await asyncio.sleep(0.2)


async def hostile(scene: Scene) -> None:
    """Silent connections that are opened again when they are closed, and one wicked thing after the other."""
    async with asyncio.TaskGroup() as group:
        for _ in range(SILENT):
            group.create_task(_silent(scene))
        group.create_task(_wicked(scene))


async def watch(scene: Scene) -> None:
    """Somebody who opens the page each second."""
    while True:
        began = time.monotonic()
        took = None
        with suppress(TimeoutError, OSError, EOFError):
            async with asyncio.timeout(10):
                if (await scene.ask("GET", "/")).status == 200:
                    took = time.monotonic() - began
        scene.tally.page.append(took)
        await asyncio.sleep(1)


async def _silent(scene: Scene) -> None:
    while True:
        with suppress(OSError):
            async with scene.connection() as (reader, writer):
                writer.write(scene.draw.choice([b"", b"POST /api/faces HTTP/1.1\r\nHost:"]))
                await reader.read()
        await asyncio.sleep(0.5)


async def _wicked(scene: Scene) -> None:
    host = f"127.0.0.1:{scene.port}"
    whole = head("POST", "/api/faces", len(scene.photograph), host=host) + scene.photograph
    sayings = (
        bytes(scene.draw.randrange(256) for _ in range(500)) + b"\r\n\r\n",
        head("POST", "/api/faces", 1 << 40, host=host),
        b"GET / HTTP/1.1\r\n" + b"X: " + b"x" * 100_000,
        whole,  # and leaves
        whole[:-100],  # and leaves
    )
    while True:
        for saying in sayings:
            with suppress(TimeoutError, OSError, EOFError):
                async with asyncio.timeout(PATIENCE), scene.connection() as (_, writer):
                    writer.write(saying)
                    await writer.drain()
                    await asyncio.sleep(0.2)
        with suppress(TimeoutError, OSError, EOFError):
            foreign = await scene.ask("GET", "/api/session", host=f"{host}.evil.example")
            scene.tally.foreign[str(foreign.status)] += 1
        await asyncio.sleep(0.2)


def _reason(answer: Answer) -> str:
    with suppress(ValueError):
        return str(json.loads(answer.body)["error"])
    return answer.body[:60].decode("latin-1")


Clients = Sequence[tuple[int, Callable[[Scene], Coroutine[Any, Any, None]]]]
PEACEFUL: Clients = ((VISITORS, visitor), (NEWCOMERS, newcomer), (PROGRAMS, program), (1, watch))
OTHERS: Clients = ((SLOW, slow), (HOSTILE, hostile))


async def play(scene: Scene, clients: Clients, seconds: float, end: Callable[[], None]) -> None:
    """Lets clients loose for some time, then calls ``end`` while they are at it."""
    tasks = [asyncio.create_task(client(scene)) for count, client in clients for _ in range(count)]
    await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    end()
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if not isinstance(result, asyncio.CancelledError):
            raise RuntimeError("a client ended before its time") from result


@dataclass(frozen=True, kw_only=True)
class End:
    """How the server ended: seconds from Ctrl-C on, exit code, lines of its error stream, memory at most."""

    seconds: float
    code: int
    lines: Sequence[str]
    mebibytes: float


def run(tree: Path, clients: Clients, seconds: float, seed: int) -> tuple[Tally, End]:
    """Starts a server of a working tree, plays the clients, and ends it."""
    command = [sys.executable, "-m", "pcfh", "serve", "--port", "0", "--device", "cpu"]
    place = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile("w+") as errors:
        server = subprocess.Popen(
            command, cwd=tree, env=place, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split()
            if not address:
                raise SystemExit(f"the server of {tree} does not start")
            port = int(address[0].rstrip("/").rpartition(":")[2])
            face = (PAGE / "samples" / "nir-00198.jpg").read_bytes()
            scene = Scene(port=port, photograph=face, draw=random.Random(seed))
            asked, most = [0.0], [0.0]

            def end() -> None:
                most[0] = peak_mebibytes(server.pid)
                asked[0] = time.monotonic()
                server.send_signal(signal.SIGINT)

            asyncio.run(play(scene, clients, seconds, end))
            code = server.wait(120)
            took = time.monotonic() - asked[0]
        finally:
            server.kill()
            server.communicate()
        errors.seek(0)
        lines = errors.read().splitlines()
    return scene.tally, End(seconds=took, code=code, lines=lines, mebibytes=most[0])


def figures(tally: Tally, end: End) -> dict[str, float]:
    """Of a run, by what they say."""
    waits = sorted(tally.seconds) or [PATIENCE]
    seen = [took for took in tally.page if took is not None]
    lost = tally.outcomes[NO_ANSWER] + tally.outcomes[BROKEN_OFF]
    return {
        "photographs translated": tally.outcomes["200"],
        "photographs refused": sum(tally.outcomes.values()) - tally.outcomes["200"] - lost,
        NO_SESSION: sum(count for reason, count in tally.reasons.items() if "as many visitors" in reason),
        f"photographs with {NO_ANSWER}": tally.outcomes[NO_ANSWER],
        f"photographs with {BROKEN_OFF}": tally.outcomes[BROKEN_OFF],
        "seconds to an answer or refusal, median": statistics.median(waits),
        "95 of 100": waits[int(0.95 * (len(waits) - 1))],
        LONGEST: waits[-1],
        NO_PAGE: 100 * (1 - len(seen) / max(1, len(tally.page))),
        "seconds to the page, longest": max(seen, default=PATIENCE),
        "requests served under a foreign name": sum(n for s, n in tally.foreign.items() if s != "403"),
        "MiB of memory at most": end.mebibytes,
        "seconds from Ctrl-C to the end": end.seconds,
        "tracebacks printed": sum(line.startswith("Traceback") for line in end.lines),
        "lines printed": len(end.lines),
    }


def keep(path: Path, column: str, found: Mapping[str, float]) -> None:
    """Writes figures into a column of a result file, beside those of other runs."""
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"source": {}, "records": []}
    before = {record["method"]: record for record in content["records"]}
    content["records"] = [
        {**before.get(name, {"method": name}), column: round(value, 2)} for name, value in found.items()
    ]
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    """Measures and prints; the exit code is 1 if somebody was kept out or not answered in time."""
    parser = argparse.ArgumentParser(prog="bench web", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--tree", type=Path, default=Path(__file__).parents[1], help="working tree to serve")
    parser.add_argument("--record", type=Path, help="write the figures to this result file")
    parser.add_argument("--column", default="after", help="of the result file")
    parser.add_argument("--peaceful", action="store_true", help="without the slow and the hostile clients")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    clients = PEACEFUL if options.peaceful else (*PEACEFUL, *OTHERS)
    tally, end = run(options.tree.resolve(), clients, options.seconds, options.seed)
    found = figures(tally, end)
    print(tabulate([(name, f"{value:,.4g}") for name, value in found.items()], colalign=("left", "right")))
    print(tabulate([*tally.outcomes.items(), *tally.reasons.items()], ["what a photograph got", "times"]))
    if options.record:
        keep(options.record, options.column, found)
    kept_out = found[NO_SESSION] + found[NO_PAGE] + tally.outcomes[NO_ANSWER] + tally.outcomes[BROKEN_OFF]
    return int(bool(kept_out) or found[LONGEST] > STATED)
