"""Translating files and folders: a bad picture gets a line of its own and the rest goes on."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from pcfh.errors import UserError
from pcfh.hallucinate import AlignedFace, Hallucinator
from pcfh.images import IMAGE_SUFFIXES, read_image, write_png
from pcfh.landmarks.given import landmark_key, read_landmarks

# Pictures that cannot be read. They are listed too, so that each gets a line instead of silence.
UNREADABLE_SUFFIXES = (".gif", ".heic", ".heif", ".avif")


@dataclass(frozen=True, kw_only=True)
class Item:
    """A picture to translate, where to, and the name under which its landmarks are looked up."""

    source: Path
    target: Path
    name: str


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A picture that could not be translated, and why."""

    source: Path
    reason: str


@dataclass(frozen=True, kw_only=True)
class TranslateOptions:
    """How to translate.

    Attributes:
        aligned: the pictures are aligned crops of the model's size.
        landmarks: file with landmarks of the pictures; nothing is detected then.
        batch: pictures in one forward pass.
    """

    aligned: bool = False
    landmarks: Path | None = None
    batch: int = 8


def plan_items(sources: Sequence[Path], out: Path) -> list[Item]:
    """Lists the pictures of files and folders, and the PNG file that each becomes below ``out``.

    Folders keep their structure; files that are hidden or no pictures, and ``out`` where it lies inside of
    one, are passed over. A name that two pictures would share (a.jpg and a.bmp) keeps its extension.

    Raises:
        UserError: a source does not exist, nothing is there to translate, ``out`` is a source or a file, or
            an output would replace an input.
    """
    _require_other_folder(sources, out)
    found = [(path, name) for source in sources for path, name in _pictures(source, out)]
    if not found:
        raise UserError(
            f"no pictures in {', '.join(map(str, sources))}; known endings: {' '.join(IMAGE_SUFFIXES)}"
        )
    targets = _targets([name for _, name in found], out)
    inputs = {path.resolve() for path, _ in found}
    replaced = [target for target in targets if target.resolve() in inputs]
    if replaced:
        raise UserError(f"{replaced[0]} is an input and would be replaced; choose another output folder")
    return [
        Item(source=path, target=target, name=name.as_posix())
        for (path, name), target in zip(found, targets, strict=True)
    ]


def translate_items(
    hallucinator: Hallucinator,
    items: Sequence[Item],
    options: TranslateOptions,
    *,
    on_done: Callable[[int], None] = lambda count: None,
) -> list[Failure]:
    """Translates pictures and writes them; returns those that could not be.

    Args:
        hallucinator: the model.
        items: what to translate.
        options: how.
        on_done: called with the number of pictures that are through, failed ones too.

    Raises:
        UserError: the landmarks file cannot be read.
    """
    given = read_landmarks(options.landmarks) if options.landmarks else None
    failures: list[Failure] = []
    for start in range(0, len(items), options.batch):
        group = items[start : start + options.batch]
        faces: list[tuple[Item, AlignedFace]] = []
        for item in group:
            try:
                faces.append((item, _face(hallucinator, item, options.aligned, given)))
            except UserError as error:
                failures.append(Failure(source=item.source, reason=_reason(error, item)))
        failures += _write(hallucinator, faces)
        on_done(len(group))
    return failures


def _face(
    hallucinator: Hallucinator,
    item: Item,
    aligned: bool,
    given: Mapping[str, Float[np.ndarray, "68 2"]] | None,
) -> AlignedFace:
    """Reads a picture and brings its face into the generator's form."""
    image = read_image(item.source)
    points = None
    if given is not None:
        points = given.get(landmark_key(item.name))
        if points is None:
            raise UserError(f"the landmarks file has no line for {item.name}")
    return hallucinator.as_aligned(image, points) if aligned else hallucinator.align(image, points)


def _write(hallucinator: Hallucinator, faces: Sequence[tuple[Item, AlignedFace]]) -> list[Failure]:
    """Generates a batch and writes it."""
    if not faces:
        return []
    crops = np.stack([face.crop for _, face in faces])
    images = hallucinator.translate_batch(crops, np.stack([face.landmarks for _, face in faces]))
    failures = []
    for (item, _), image in zip(faces, images, strict=True):
        try:
            write_png(item.target, image, hallucinator.provenance())
        except OSError as error:
            failures.append(Failure(source=item.source, reason=f"cannot write {item.target}: {error}"))
    return failures


def _require_other_folder(sources: Sequence[Path], out: Path) -> None:
    """Refuses an output folder whose pictures would be taken for inputs the next time."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; expected a folder to write to")
    if out.resolve() in {source.resolve() for source in sources}:
        raise UserError(f"{out} is a folder of inputs; choose another output folder")


def _targets(names: Sequence[Path], out: Path) -> list[Path]:
    """The PNG file of each picture; case does not tell two apart, because it does not on every disk."""
    stems = [name.with_suffix("") for name in names]
    shared = Counter(str(stem).lower() for stem in stems)
    targets = [
        out / (f"{name}.png" if shared[str(stem).lower()] > 1 else f"{stem}.png")
        for name, stem in zip(names, stems, strict=True)
    ]
    written = Counter(str(target).lower() for target in targets)
    twice = [target for target in targets if written[str(target).lower()] > 1]
    if twice:
        raise UserError(f"{twice[0]} would be written twice; translate the sources into folders of their own")
    return targets


def _pictures(source: Path, out: Path) -> Iterator[tuple[Path, Path]]:
    """The pictures of a source, each with its name below it; a named file is taken whatever its ending."""
    if source.is_dir():
        skipped = out.resolve() if out.resolve().is_relative_to(source.resolve()) else None
        for path in sorted(source.rglob("*")):
            if _is_picture(path) and not (skipped and path.resolve().is_relative_to(skipped)):
                yield path, path.relative_to(source)
    elif source.is_file():
        yield source, Path(source.name)
    else:
        raise UserError(f"{source}: no such file or folder")


def _is_picture(path: Path) -> bool:
    known = path.suffix.lower() in (*IMAGE_SUFFIXES, *UNREADABLE_SUFFIXES)
    return known and not path.name.startswith(".") and path.is_file()


def _reason(error: UserError, item: Item) -> str:
    """The error's text without the file's name, which the list of failures gives anyway."""
    return str(error).removeprefix(f"{item.source}: ")
