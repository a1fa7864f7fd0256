"""The memory that a process has held at most."""

from pathlib import Path


def peak_mebibytes(process: int | str = "self") -> float:
    """The most that a process has held, in MiB, mapped files among it; on Linux.

    ``getrusage`` would count what its parent held when it was started.

    Args:
        process: its number.
    """
    text = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM")) / 1024
