"""Checksums of a whole folder: is a database what its recipe should give, and is it still whole?

``SHA256SUMS`` has one line per file, as ``sha256sum`` writes and checks it: digest, two blanks, path with
forward slashes, sorted by path. Its own SHA-256 stands for the whole database.
"""

import re
from pathlib import Path, PurePosixPath

from pcfh.errors import UserError
from pcfh.files import sha256_of, write_atomically

SUMS = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


def write_sums(home: Path) -> str:
    """Writes the checksums of all files below a folder, hidden ones left out; gives that of the whole."""
    lines = [f"{sha256_of(home / name)}  {name}\n" for name in _names(home)]
    write_atomically(home / SUMS, "".join(lines).encode())
    return whole_sum(home)


def whole_sum(home: Path) -> str:
    """The checksum of the whole: equal for equal files under equal names.

    Raises:
        UserError: the folder has no checksums.
    """
    _require_sums(home)
    return sha256_of(home / SUMS)


def changes_since(home: Path) -> tuple[str, ...]:
    """What is no longer as ``SHA256SUMS`` says, one line per file; nothing where all is well.

    Raises:
        UserError: the folder has no checksums, or they are damaged.
    """
    expected = _read_sums(home)
    present = set(_names(home))
    lacking = [f"{name}: is missing" for name in expected if name not in present]
    other = [
        f"{name}: has other bytes"
        for name, digest in expected.items()
        if name in present and sha256_of(home / name) != digest
    ]
    added = [f"{name}: does not belong here" for name in sorted(present - expected.keys())]
    return (*lacking, *other, *added)


def _names(home: Path) -> list[str]:
    """All files below a folder but hidden ones and the checksums, by their paths with forward slashes."""
    places = (path.relative_to(home) for path in home.rglob("*") if path.is_file())
    names = (place.as_posix() for place in places if not any(part.startswith(".") for part in place.parts))
    return sorted(name for name in names if name != SUMS)


def _require_sums(home: Path) -> None:
    if not (home / SUMS).is_file():
        raise UserError(f"{home}: has no {SUMS}; give a database that pcfh render has finished")


def _read_sums(home: Path) -> dict[str, str]:
    """Digests by path."""
    _require_sums(home)
    sums = {}
    for number, line in enumerate((home / SUMS).read_bytes().decode(errors="replace").splitlines(), 1):
        match = _LINE.fullmatch(line)
        if not match or ".." in PurePosixPath(match[2]).parts:
            raise UserError(f"{home / SUMS}, line {number}: expected a SHA-256 and a path, got {line[:80]!r}")
        sums[match[2]] = match[1]
    return sums
