"""What visitors left, in memory: each has a random key, none sees what is another's, all of it expires.

A session is made before the first upload, not by looking at the page. Only the server's event loop uses this,
so nothing is locked. Times are in seconds of a clock that never goes back, sizes in bytes.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.exceptions import HTTPException

from pcfh.web.archive import Batch
from pcfh.web.engine import Enrolled, Probe
from pcfh.web.limits import Limits

PROBES = 8  # faces of one visitor that can be searched for; the oldest gives way
_RETRY = {"Retry-After": "60"}  # seconds


@dataclass(kw_only=True)
class Session:
    """One visitor's faces.

    Attributes:
        key: the secret in the visitor's cookie.
        used: when the visitor last asked for something.
        probes: near-infrared faces by their ids, newest last.
        gallery: enrolled faces by their ids, in the order they came.
        batch: the current one.
    """

    key: str
    used: float
    probes: dict[str, Probe] = field(default_factory=dict)
    gallery: dict[str, Enrolled] = field(default_factory=dict)
    batch: Batch = field(default_factory=Batch)

    @property
    def size(self) -> int:
        """Bytes that it holds, about."""
        probes = sum(probe.original.nbytes + probe.generated.nbytes for probe in self.probes.values())
        gallery = sum(len(face.picture) + face.feature.nbytes for face in self.gallery.values())
        return probes + gallery + sum(map(len, self.batch.made.values()))

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
            session.used = self._clock()
        return session

    def open(self, key: str | None) -> Session:
        """The session of a key, or a new one under a key of its own.

        Raises:
            HTTPException: there are as many as there may be.
        """
        self.require_place(key)
        session = self.find(key)
        if session is not None:
            return session
        session = Session(key=secrets.token_urlsafe(32), used=self._clock())
        self._sessions[session.key] = session
        return session

    def require_place(self, key: str | None) -> None:
        """Refuses somebody without a session where there are as many as there may be.

        Raises:
            HTTPException: there are.
        """
        if self.find(key) is None and len(self) >= self._limits.max_sessions:
            raise HTTPException(
                503,
                "the server has as many visitors as it takes; try again later",
                headers=_RETRY,
            )

    def require_room(self, size: int) -> None:
        """Refuses what would not fit into the memory for all visitors.

        Raises:
            HTTPException: it would not.
        """
        held = sum(session.size for session in self._sessions.values())
        if held + size > self._limits.memory_bytes:
            raise HTTPException(
                503,
                "the server's memory for faces is full; remove some of yours or try again later",
                headers=_RETRY,
            )

    def drop(self, key: str | None) -> None:
        """Forgets a visitor."""
        self._sessions.pop(key or "", None)

    def forget_expired(self) -> None:
        """Forgets the visitors who have not asked for anything for too long."""
        oldest = self._clock() - 60 * self._limits.max_idle_minutes
        self._sessions = {key: s for key, s in self._sessions.items() if s.used >= oldest}


def new_id() -> str:
    """A random name for something of a session."""
    return secrets.token_urlsafe(9)
