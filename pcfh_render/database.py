"""Renders a whole database in the layout of CASIA NIR-VIS 2.0, and beside it what only a rendered one has.

    OUT/NIR-VIS-2.0/
        s1..s4/NIR/<id>/<n>.jpg, .../VIS/<id>/<n>.jpg    the captures; NIR ones have one channel
        protocols/{nir_train,vis_train,vis_gallery,nir_probe}_{1..10,dev}.txt
        truth/<path of a NIR capture>    the VIS image of the same moment in soft light; no camera has it
        masks/<path of one, .png>        what each pixel shows, if the recipe asks for it
        landmarks68.csv                  68 exact (x, y) points of every capture
        parameters.csv, people.csv       how every capture was taken, and of whom
        README.txt, recipe.json, SHA256SUMS

What is written does not depend on the number of processes, nor on how often the work was broken off: people
are rendered one by one, each from seeds of its own, and noted in ``.people`` when all their files are there.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from pcfh.databases.rendered import HOME, TRUTH, mask_path
from pcfh.errors import UserError
from pcfh.files import locked, remove_leftovers, write_atomically
from pcfh.journal import require_same
from pcfh.parallel import Workers, map_unordered
from pcfh.provenance import RENDERED, xmp
from pcfh.shards import Shard
from pcfh_render.checksums import SUMS, whole_sum, write_sums
from pcfh_render.difficulty import difficulty_of
from pcfh_render.layout import capture_path, subject_name, write_lists, write_readme, write_tables
from pcfh_render.params import Look, Person, Shot
from pcfh_render.recipes import LATER, Recipe, Sitting, people_with_truth, sittings
from pcfh_render.sampling import draw_look, draw_person
from pcfh_render.series import SERIES, Planned, series_of
from pcfh_render.shifts import shifted_shots, with_glasses
from pcfh_render.shots import draw_shots
from pcfh_render.tables import capture_row, person_row, written

RECIPE = "recipe.json"
VERSION = 2  # of what a recipe gives; raise it when the same recipe gives other files
_PEOPLE = ".people"
_BUSY = "{}: is being rendered by another process; wait for it or end it"
_DESCRIPTION = f"Synthetic face, rendered by pcfh (renderer {VERSION}); no photograph."

Progress = Callable[[int, int], None]


@runtime_checkable
class PortraitLike(Protocol):
    """A picture with what is known of it; see ``render.Portrait``."""

    @property
    def image(self) -> UInt8[np.ndarray, "s s 3"]:
        """The capture; NIR as three equal channels."""

    @property
    def landmarks(self) -> Float[np.ndarray, "68 2"]:
        """Exact landmarks."""

    @property
    def truth(self) -> UInt8[np.ndarray, "s s 3"] | None:
        """The VIS image of the moment of a NIR capture."""

    @property
    def regions(self) -> UInt8[np.ndarray, "s s"]:
        """What each pixel shows."""


@runtime_checkable
class Portraitist(Protocol):
    """What renders people; see ``render.Renderer``."""

    def portraits(
        self, person: Person, look: Look, shots: Sequence[Shot], *, truth: bool = True
    ) -> Iterator[PortraitLike]:
        """Yields one portrait per shot; those of NIR shots have a true image if ``truth``."""


@dataclass(frozen=True, kw_only=True)
class Studio:
    """Where renderers come from.

    Attributes:
        open: makes one, called once in each process; can be pickled.
        fingerprint: of the face model; another one gives other faces.
    """

    open: Callable[[], Portraitist]
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """A database that is complete.

    Attributes:
        home: its folder, the root of the paths in it.
        people: how many.
        captures: NIR and VIS.
        checksum: of the whole.
    """

    home: Path
    people: int
    captures: int
    checksum: str


def render_database(
    studio: Studio, out: Path, recipe: Recipe, *, workers: Workers = 1, on_progress: Progress | None = None
) -> Rendered:
    """Renders a database; called again after an interruption, it does what is left to do.

    So it takes in what ``render_part`` has done.

    Args:
        studio: makes renderers for the recipe's size.
        out: folder to write ``NIR-VIS-2.0`` into.
        recipe: what to render.
        workers: number of processes, or a cluster's address; 1 works in this process.
        on_progress: called first and after each person with the numbers of captures that are done (earlier
            ones too) and of all.

    Raises:
        UserError: the recipe cannot work, or ``out`` holds something else or is being written.
    """
    recipe.check()
    home = home_of(out, recipe)
    plan = {subject: sittings(recipe, subject) for subject in recipe.subjects}
    total = sum(_count(plan[subject]) for subject in plan)
    with locked(home, _BUSY.format(home)):
        _begin(home, studio, recipe)
        if not (home / SUMS).is_file():
            remove_leftovers(home)
            _render_people(home, studio, recipe, plan=plan, workers=workers, on_progress=on_progress)
            _conclude(home, recipe)
        shutil.rmtree(home / _PEOPLE, ignore_errors=True)
    if on_progress:
        on_progress(total, total)
    return Rendered(home=home, people=recipe.identities, captures=total, checksum=whole_sum(home))


def render_part(
    studio: Studio,
    out: Path,
    recipe: Recipe,
    shard: Shard,
    *,
    workers: Workers = 1,
    on_progress: Progress | None = None,
) -> int:
    """Renders the people of a shard; several may be at work on one folder.

    Args:
        studio: see ``render_database``, as for the others.
        out: see there.
        recipe: the whole.
        shard: which people.
        workers: see there.
        on_progress: likewise, of this part.

    Returns:
        How many people are done.

    Raises:
        UserError: see ``render_database``.
    """
    recipe.check()
    home = home_of(out, recipe)
    mine = [subject for subject in recipe.subjects if shard.has(str(subject))]
    with locked(home, _BUSY.format(home), shared=True):
        _begin(home, studio, recipe)
        if not (home / SUMS).is_file():
            with locked(home / _PEOPLE / shard.mark, _BUSY.format(home)):
                plan = {subject: sittings(recipe, subject) for subject in mine}
                _render_people(home, studio, recipe, plan=plan, workers=workers, on_progress=on_progress)
    return len(mine)


def _count(plan: Sequence[Sitting]) -> int:
    return sum(sitting.captures for sitting in plan)


def _begin(home: Path, studio: Studio, recipe: Recipe) -> None:
    """Notes what is rendered here, or makes sure that it is the same as before."""
    header = {"version": VERSION, "face_model": studio.fingerprint, **recipe.described()}
    path = home / RECIPE
    if not path.is_file():
        if any(not entry.name.startswith(".") for entry in home.iterdir()):  # those are locks and leftovers
            raise UserError(f"{home}: holds files that pcfh render did not write; choose a new folder")
        write_atomically(path, json.dumps(header, indent=1).encode() + b"\n")
        return
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path}: is damaged ({error}); delete {home}") from error
    full = dict.fromkeys(LATER, 0)  # are not written down where they are not set
    require_same(home, full | found, full | header, work="database")


def _render_people(
    home: Path,
    studio: Studio,
    recipe: Recipe,
    *,
    plan: Mapping[int, Sequence[Sitting]],
    workers: Workers,
    on_progress: Progress | None,
) -> None:
    """Renders all people who are not noted yet."""
    pending = [subject for subject in plan if not _note(home, subject).is_file()]
    total = sum(map(_count, plan.values()))
    done = total - sum(_count(plan[subject]) for subject in pending)
    if on_progress:
        on_progress(done, total)
    with closing(map_unordered(partial(start, home, studio, recipe), pending, workers)) as finished:
        for subject in finished:
            done += _count(plan[subject])
            if on_progress:
                on_progress(done, total)


def start(home: Path, studio: Studio, recipe: Recipe) -> Callable[[int], int]:
    """Opens a renderer and returns what renders one person with it."""
    return partial(render_person, home, studio.open(), recipe, people_with_truth(recipe))


def render_person(
    home: Path, renderer: Portraitist, recipe: Recipe, with_truth: Set[int], subject: int
) -> int:
    """Writes all pictures of one person, then the note of them; gives the person's number back."""
    person = draw_person(recipe.seed, subject)
    captures = [
        capture
        for sitting in sittings(recipe, subject)
        for capture in _render_sitting(
            home, renderer, recipe, person=person, sitting=sitting, truth=subject in with_truth
        )
    ]
    note = {"person": written(person_row(person)), "captures": captures}
    write_atomically(_note(home, subject), json.dumps(note).encode())
    return subject


def _render_sitting(
    home: Path, renderer: Portraitist, recipe: Recipe, *, person: Person, sitting: Sitting, truth: bool
) -> Iterator[dict[str, Any]]:
    """Writes the pictures of one person in one session and yields what the tables say of each."""
    look = draw_look(person, sitting.session)
    difficulty = difficulty_of(recipe.difficulty)
    if recipe.series:
        plan = tuple(series_of(recipe.series, person, look, difficulty, recipe.lights))
        yield from _render_series(home, renderer, recipe, person=person, look=look, plan=plan)
        return
    drawn = draw_shots(person, look, difficulty=difficulty, nir=sitting.nir, vis=sitting.vis)
    named = shifted_shots(drawn, recipe.size) if recipe.shifts else tuple((shot, "") for shot in drawn)
    look = with_glasses(person, look) if recipe.shifts else look
    shots = [shot for shot, _ in named]
    portraits = renderer.portraits(person, look, shots, truth=truth)
    numbers = {"NIR": 0, "VIS": 0}
    for (shot, shift), portrait in zip(named, portraits, strict=True):
        numbers[shot.modality] += 1
        path = capture_path(sitting.session, shot.modality, person.subject, number=numbers[shot.modality])
        channels = 1 if shot.modality == "NIR" else 3
        image = portrait.image[..., :channels]
        write_atomically(home / path, _jpeg(image, min(shot.camera.jpeg, recipe.quality)))
        if portrait.truth is not None:
            write_atomically(home / TRUTH / path, _jpeg(portrait.truth, recipe.quality))
        if recipe.masks and shot.modality == "NIR":
            write_atomically(home / mask_path(path), _png(portrait.regions))
        parameters = written(capture_row(person, look, shot))
        yield {
            "path": path,
            "landmarks": portrait.landmarks.round(3).tolist(),
            "parameters": {**parameters, "shift": shift} if recipe.shifts else parameters,
        }


def _render_series(
    home: Path,
    renderer: Portraitist,
    recipe: Recipe,
    *,
    person: Person,
    look: Look,
    plan: Sequence[Planned],
) -> Iterator[dict[str, Any]]:
    """Writes the pictures of a series and yields what the tables say of each."""
    shots = [planned.shot for planned in plan]
    portraits = renderer.portraits(person, look, shots, truth=any(planned.both for planned in plan))
    for planned, portrait in zip(plan, portraits, strict=True):
        modality = planned.shot.modality
        image = portrait.image[..., : 1 if modality == "NIR" else 3]
        pictures = [(planned.path, modality, image)]
        if planned.both:
            assert portrait.truth is not None
            pictures.append((planned.both, "VIS", portrait.truth))
        for path, kind, picture in pictures:
            write_atomically(home / path, _jpeg(picture, min(planned.shot.camera.jpeg, recipe.quality)))
            yield {
                "path": path,
                "place": [planned.session, kind, subject_name(person.subject)],
                "landmarks": portrait.landmarks.round(3).tolist(),
                "parameters": written(capture_row(person, look, planned.shot)),
            }


def home_of(out: Path, recipe: Recipe) -> Path:
    """The folder of a database in its layout."""
    return out / SERIES.get(recipe.series, HOME)


def _note(home: Path, subject: int) -> Path:
    """The file that says that a person is done."""
    return home / _PEOPLE / f"{subject_name(subject)}.json"


def _png(regions: UInt8[np.ndarray, "s s"]) -> bytes:
    """A mask, without loss."""
    buffer = BytesIO()
    Image.fromarray(regions).save(buffer, "PNG")
    return buffer.getvalue()


def _jpeg(image: UInt8[np.ndarray, "s s c"], quality: int) -> bytes:
    """A JPEG file that says that it is synthetic: by comment, EXIF and XMP."""
    exif = Image.Exif()
    exif[0x010E] = _DESCRIPTION  # ImageDescription
    exif[0x0131] = f"pcfh, renderer {VERSION}"  # Software
    buffer = BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(
        buffer,
        "JPEG",
        quality=quality,
        comment=_DESCRIPTION,
        exif=exif,
        xmp=xmp(RENDERED).encode(),
    )
    return buffer.getvalue()


def _conclude(home: Path, recipe: Recipe) -> None:
    """Writes tables, lists and, last, the checksums that say that all is there."""

    def notes() -> Iterator[dict[str, Any]]:
        for subject in recipe.subjects:
            yield json.loads(_note(home, subject).read_bytes())

    write_tables(home, notes())
    write_lists(home, recipe, notes())
    write_readme(home, recipe)
    write_sums(home)
