"""One of several equal parts of a work, for a Slurm array or any other queue: ``--shard 3/100``.

Which part an item belongs to is told by its name alone, so nobody hands anything out. Every part keeps its
own table and state beside the others'; the same command without a shard takes them all in and does what is
missing.
"""

import re
import zlib
from dataclasses import dataclass

from pcfh.errors import UserError

_MOST = 100_000


@dataclass(frozen=True)
class Shard:
    """Part ``number`` of ``parts``, counted from 1."""

    number: int
    parts: int

    @classmethod
    def of(cls, text: str) -> "Shard":
        """Reads "3/100".

        Raises:
            UserError: it is something else.
        """
        found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
        shard = cls(*map(int, found.groups())) if found else cls(0, 0)
        if not 1 <= shard.number <= shard.parts <= _MOST:
            raise UserError(f"--shard {text}: expected a part and how many there are, such as 3/100")
        return shard

    @property
    def mark(self) -> str:
        """What the names of its files end in."""
        return f"-{self.number}-of-{self.parts}"

    def has(self, name: str) -> bool:
        """Whether an item is one of this part's."""
        digest = zlib.crc32(name.encode("utf-8", "surrogateescape"))
        return digest % self.parts == self.number - 1


def is_mine(shard: Shard | None, name: str) -> bool:
    """The same where there may be one part only."""
    return shard is None or shard.has(name)
