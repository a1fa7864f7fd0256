"""What visitors left, in memory: each has a random key, none sees what is another's, all of it expires.

A session is made when something is to be kept, not by looking at the page. Where there is no room for
another, one gives way: first those whose cookie never came back (programs without a memory for cookies), then
whoever has been away longest. Only the server's event loop uses this, so nothing is locked. Times are in
seconds of a clock that never goes back, sizes in bytes.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from starlette.exceptions import HTTPException

from pcfh.gallery.entries import Probe
from pcfh.web.archive import Batch
from pcfh.web.engine import Enrolled
from pcfh.web.limits import Limits

_PRESENT = 60.0  # seconds after a request in which a visitor does not give way for want of memory
PROBES = 8  # faces of one visitor that can be searched for; the oldest gives way
_RETRY = {"Retry-After": "60"}  # seconds


@dataclass(kw_only=True)
class Session:
    """One visitor's faces.

    Attributes:
        key: the secret in the visitor's cookie.
        used: when the visitor last asked for something.
        returned: whether the cookie has come back.
        probes: near-infrared faces by their ids, newest last.
        gallery: enrolled faces by their ids, in the order they came.
        batch: the current one.
    """

    key: str
    used: float
    returned: bool = False
    probes: dict[str, Probe] = field(default_factory=dict)
    gallery: dict[str, Enrolled] = field(default_factory=dict)
    batch: Batch = field(default_factory=Batch)

    @property
    def size(self) -> int:
        """Bytes that it holds, about."""
        probes = sum(map(size_of, self.probes.values()))
        return probes + sum(face.size for face in self.gallery.values()) + self.batch.size

    def add_probe(self, probe: Probe) -> str:
        """Keeps a face to search for; returns its id."""
        while len(self.probes) >= PROBES:
            del self.probes[next(iter(self.probes))]
        key = new_id()
        self.probes[key] = probe
        return key


class Sessions:
    """All visitors' sessions.

    Args:
        limits: how many, how large, how long.
        clock: tells the time in seconds.
    """

    def __init__(self, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._sessions: dict[str, Session] = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._sessions)

    def find(self, key: str | None) -> Session | None:
        """The session of a key, which counts as used now; None where there is none or it has expired."""
        self.forget_expired()
        session = self._sessions.get(key or "")
        if session is not None:
            session.used, session.returned = self._clock(), True
        return session

    def open(self, key: str | None) -> Session:
        """The session of a key, or a new one under a key of its own; others give way for it."""
        session = self.find(key)
        if session is not None:
            return session
        while len(self) >= self._limits.max_sessions:
            del self._sessions[next(self._dispensable()).key]
        session = Session(key=secrets.token_urlsafe(32), used=self._clock())
        self._sessions[session.key] = session
        return session

    def make_room(self, size: int, key: str | None) -> None:
        """Makes room in the memory for all visitors; those who have just asked for something keep theirs.

        Args:
            size: bytes that will be kept.
            key: whose they are.

        Raises:
            HTTPException: there is not enough.
        """
        held = sum(session.size for session in self._sessions.values())
        for session in list(self._dispensable()):
            if held + size <= self._limits.memory_bytes:
                return
            away = self._clock() - session.used > _PRESENT
            if session.key != key and (away or not session.returned):
                held -= session.size
                self.drop(session.key)
        if held + size > self._limits.memory_bytes:
            raise HTTPException(
                503,
                "the server's memory for faces is full; remove some of yours or try again later",
                headers=_RETRY,
            )

    def _dispensable(self) -> Iterator[Session]:
        """All sessions, those first that should give way first."""
        yield from sorted(self._sessions.values(), key=lambda session: (session.returned, session.used))

    def drop(self, key: str | None) -> None:
        """Forgets a visitor."""
        self._sessions.pop(key or "", None)

    def forget_expired(self) -> None:
        """Forgets the visitors who have not asked for anything for too long."""
        oldest = self._clock() - 60 * self._limits.max_idle_minutes
        self._sessions = {key: s for key, s in self._sessions.items() if s.used >= oldest}


def size_of(probe: Probe) -> int:
    """Bytes of a face to search for."""
    return probe.original.nbytes + (0 if probe.generated is None else probe.generated.nbytes)


def new_id() -> str:
    """A random name for something of a session."""
    return secrets.token_urlsafe(9)
