"""How much visitors of the page may upload and keep."""

from dataclasses import dataclass, fields

from pcfh.errors import UserError
from pcfh.images import MAX_PIXELS

KIB, MIB = 1 << 10, 1 << 20
MEGAPIXEL = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Upper bounds, each at least 1.

    Attributes:
        max_file_mb: size of an uploaded photograph in MiB.
        max_megapixels: pixels of a photograph in millions.
        max_batch: photographs of one batch.
        max_gallery: enrolled photographs of one visitor.
        max_sessions: visitors at the same time; the one who has been away longest gives way.
        max_memory_mb: MiB that is kept for all visitors together.
        max_uploads: photographs that arrive at the same time; the slowest gives way.
        max_queue: photographs that wait and are computed at the same time.
        max_idle_minutes: after so long without a request, what a visitor left is forgotten.
    """

    max_file_mb: int = 15
    max_megapixels: int = 25
    max_batch: int = 100
    max_gallery: int = 200
    max_sessions: int = 500
    max_memory_mb: int = 512
    max_uploads: int = 16
    max_queue: int = 8
    max_idle_minutes: int = 30

    def __post_init__(self) -> None:
        """Refuses bounds that would shut everybody out, or that the decoder does not allow."""
        for field in fields(self):
            if getattr(self, field.name) < 1:
                name = field.name.replace("_", "-")
                raise UserError(f"--{name} {getattr(self, field.name)}: expected at least 1")
        if self.max_megapixels * MEGAPIXEL > MAX_PIXELS:
            most = MAX_PIXELS // MEGAPIXEL
            raise UserError(f"--max-megapixels {self.max_megapixels}: expected at most {most}")

    @property
    def file_bytes(self) -> int:
        """Size of a photograph in bytes."""
        return self.max_file_mb * MIB

    @property
    def memory_bytes(self) -> int:
        """Bytes that are kept for all visitors together."""
        return self.max_memory_mb * MIB
