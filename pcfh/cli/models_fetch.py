"""The command that fetches the files of the landmark detector."""

from pathlib import Path

from pcfh.landmarks.fetch import cache_folder, fetch_blaze


def models_fetch(folder: Path | None = None) -> int:
    """Fetch the landmark detector's two files from PyPI, checked by SHA-256.

    Args:
        folder: where to; the user's cache folder if not given (or PCFH_CACHE).
    """
    for path in fetch_blaze(folder or cache_folder()):
        print(path)
    return 0
