"""Finds the pictures of files and folders, one after the other, and names what becomes of each.

Nothing is passed over in silence: what is no picture, or cannot be looked into, comes as ``LeftOut`` with the
reason. Names of results keep the folders' structure and depend on nothing but the names that lie in the same
folder, so any process finds the same ones. At most the names of one folder and of those above it are held.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from pcfh.errors import UserError
from pcfh.images import IMAGE_SUFFIXES, OTHER_SUFFIXES
from pcfh.names import composed

# Most of the other kinds cannot be read; reading them gives the reason, in the place of silence.
_PICTURES = frozenset((*IMAGE_SUFFIXES, *OTHER_SUFFIXES))


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A picture that was found.

    Attributes:
        path: of the file.
        name: its path below the source, with forward slashes; its landmarks are looked up by that.
        result: path of what becomes of it, below the folder that is written to.
    """

    path: str
    name: str
    result: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """A file or folder that is not worked on.

    Attributes:
        path: of it.
        reason: why.
        failed: whether its user may miss it; others, such as texts, are no pictures.
    """

    path: str
    reason: str
    failed: bool


def check_sources(sources: Sequence[Path], out: Path) -> None:
    """Refuses at once what can be told from the command line.

    Raises:
        UserError: a source does not exist, or ``out`` is a source or a file.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; expected a folder to write to")
    if out.resolve() in {source.resolve() for source in sources}:
        raise UserError(f"{out} is a folder of inputs; choose another output folder")
    for source in sources:
        if not (source.is_dir() or source.is_file()):
            raise UserError(f"{source}: no such file or folder")


def find_pictures(
    sources: Sequence[Path], out: Path, ending: str | None = None
) -> Iterator[Picture | LeftOut]:
    """Yields what lies in files and folders, in the order of the names.

    A folder alone gives its own structure; of several sources, each folder gives one of its name. ``out`` is
    passed over where it lies in a folder. A named file is taken whatever its ending.

    Args:
        sources: see ``check_sources``.
        out: folder that is written to.
        ending: of the results, e.g. ".png": it takes the place of the pictures', but where two would get one
            name. None gives results the pictures' own names.

    Raises:
        UserError: a result would take the place of a named file.
    """
    home = os.path.realpath(out)
    folders = [source for source in sources if source.is_dir()]
    files = [source for source in sources if not source.is_dir()]
    taken: set[str] = set()
    prefixes = [""] if len(sources) == 1 else [_free([f.resolve().name], taken) + "/" for f in folders]
    results = _results([file.name for file in files], taken, ending)
    inputs = {os.path.realpath(file) for file in files}
    for file, result in zip(files, results, strict=True):
        if os.path.realpath(out / result) in inputs:
            raise UserError(f"{out / result} is an input and would be replaced; choose another output folder")
        yield Picture(path=str(file), name=file.name, result=result)
    for folder, prefix in zip(folders, prefixes, strict=False):
        yield from _walk(str(folder), prefix, home, ending)


def _walk(folder: str, prefix: str, home: str, ending: str | None) -> Iterator[Picture | LeftOut]:
    """The content of a folder and of all below it; a stack, as folders may be deeper than Python's."""
    root = os.path.realpath(folder)
    inside = f"{root}{os.sep}".startswith(f"{home}{os.sep}")  # results could fall among the inputs
    stack = [_entries(folder, "", prefix, ending)]
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
        elif isinstance(entry, tuple):
            path, name = entry
            if os.path.realpath(path) != home:
                stack.append(_entries(path, f"{name}/", prefix, ending))
        elif isinstance(entry, Picture) and inside and f"{home}/{entry.result}".startswith(f"{root}/"):
            reason = "its result would fall among the inputs; choose another output folder"
            yield LeftOut(path=entry.path, reason=reason, failed=True)
        else:
            yield entry


def _entries(
    folder: str, below: str, prefix: str, ending: str | None
) -> Iterator[Picture | LeftOut | tuple[str, str]]:
    """Pictures, what is left out, and folders (path and name below the source) that lie in a folder."""
    try:
        with os.scandir(folder) as found:
            kinds = {entry.name: _kind(entry) for entry in found}
    except OSError as error:
        yield LeftOut(path=folder, reason=f"this folder cannot be read ({error.strerror})", failed=True)
        return
    names = sorted(kinds)
    pictures = [name for name in names if kinds[name] == "picture"]
    taken = {_key(name) for name in names if kinds[name] == "folder"}
    results = dict(zip(pictures, _results(pictures, taken, ending), strict=True))
    for name in names:
        path, kind = os.path.join(folder, name), kinds[name]  # noqa: PTH118 - ten times as fast, for millions
        if kind == "picture":
            yield Picture(path=path, name=f"{below}{name}", result=f"{prefix}{below}{results[name]}")
        elif kind == "folder":
            yield path, f"{below}{name}"
        else:
            yield LeftOut(path=path, reason=kind, failed=kind not in _HARMLESS)


_NO_PICTURE, _HIDDEN = "is no picture by its ending", "is hidden"
_HARMLESS = (_NO_PICTURE, _HIDDEN)


def _kind(entry: "os.DirEntry[str]") -> str:
    """What an entry of a folder is: "folder", "picture", or the reason why it is left out."""
    if entry.name.startswith("."):
        return _HIDDEN
    if entry.is_dir():
        if entry.is_symlink():
            return "is a symbolic link to a folder; name that folder itself"
        return "folder"
    if os.path.splitext(entry.name)[1].lower() not in _PICTURES:  # noqa: PTH122 - the same
        return _NO_PICTURE
    if entry.is_file():
        return "picture"
    return "is a symbolic link that leads nowhere" if entry.is_symlink() else "is a device or pipe, no file"


def _results(names: Sequence[str], taken: set[str], ending: str | None) -> list[str]:
    """A name for what becomes of each picture of a folder; no two are alike, and none is taken."""
    if ending is None:
        return [_free([name], taken) for name in names]
    stems = [os.path.splitext(name)[0] for name in names]  # noqa: PTH122 - the same
    shared = Counter(map(_key, stems))
    return [
        _free([f"{stem}{ending}"] * (shared[_key(stem)] == 1) + [f"{name}{ending}"], taken, name, ending)
        for name, stem in zip(names, stems, strict=True)
    ]


def _free(candidates: list[str], taken: set[str], name: str = "", ending: str = "") -> str:
    """The first candidate that is not taken, or else one with a number; it is taken from now on."""
    name = name or candidates[0]
    numbers = iter(range(2, len(taken) + 3))
    chosen = next((text for text in candidates if _key(text) not in taken), "")
    while not chosen or _key(chosen) in taken:
        chosen = f"{name}-{next(numbers)}{ending}"
    taken.add(_key(chosen))
    return chosen


def _key(name: str) -> str:
    """A name as disks compare it that do not tell case, or ways to write an accent, apart."""
    return name.lower() if name.isascii() else composed(name).casefold()


def stamp_of(path: str) -> tuple[int, int]:
    """Size and time of change of a file, which show that it was replaced; (-1, -1) where there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - the same
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def is_file(path: str) -> bool:
    """Whether a file is there."""
    try:
        return S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 - the same
    except OSError:
        return False
