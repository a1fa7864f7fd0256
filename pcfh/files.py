"""Files that are either whole or not there.

A file is written under a temporary name in its own folder, brought to the disk and renamed. Whoever is killed
in between leaves the old file as it was, and at most a temporary one: ``remove_leftovers`` finds those.
"""

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from pcfh.errors import UserError

LOCK = ".lock"  # file that stands for its folder
_MARK = ".part"
_LONGEST = 200  # bytes of a file's name that its temporary one keeps


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Lends a temporary path whose file takes the place of ``path`` when the block ends well.

    The folder is made if need be. When the block raises, nothing is left behind and ``path`` is as it was.

    Raises:
        OSError: it cannot be written (a full disk, no permission); it names ``path``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Cut, because with the rest a long name would be longer than file systems allow.
    name = os.fsdecode(os.fsencode(path.name)[:_LONGEST])
    temporary = path.with_name(f".{name}.{os.getpid()}-{secrets.token_hex(4)}{_MARK}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.errno and error.filename in (None, str(temporary)):
            raise type(error)(error.errno, os.strerror(error.errno), str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def require_new(path: Path) -> None:
    """Refuses to write over a file, before any work is done for it.

    Raises:
        UserError: it is there.
    """
    if path.exists():
        raise UserError(f"{path}: exists; name another file, or remove it")


def remove_leftovers(folder: Path) -> None:
    """Deletes the temporary files that killed processes left anywhere below a folder."""
    for leftover in folder.rglob(f".*{_MARK}"):
        leftover.unlink()


def lock(file: IO[Any], busy: str, *, shared: bool = False) -> None:
    """Keeps other processes out of an open file until this one closes it or ends, however it ends.

    Args:
        file: which stands for what must not be written twice at once.
        busy: the message where another process holds it.
        shared: lets those in who share it, too.

    Raises:
        UserError: another process holds it.
    """
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UserError(busy) from error
    except OSError:
        return  # some network file systems have no locks; there, the user takes care


@contextmanager
def locked(folder: Path, busy: str, *, shared: bool = False) -> Iterator[None]:
    """Keeps other processes out of a folder, which is made if need be; see ``lock``."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a") as file:
        lock(file, busy, shared=shared)
        yield


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
