"""The command that renders databases of faces, and checks them."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from pcfh.cli.app import progress_bar, resumed
from pcfh.databases.rendered import HOME
from pcfh.errors import UserError
from pcfh.extras import extra
from pcfh.landmarks import cache_folder
from pcfh.parallel import Workers, usable_workers
from pcfh.shards import Shard
from pcfh_render.checksums import changes_since, whole_sum
from pcfh_render.database import render_database, render_part
from pcfh_render.recipes import RECIPES, Recipe, recipe_of
from pcfh_render.studio import open_studio


def render(  # noqa: PLR0913 - one argument per option of the command
    out: Path,
    *,
    face_model: Path | None = None,
    recipe: str | None = None,
    identities: int | None = None,
    seed: int | None = None,
    first: int | None = None,
    difficulty: Literal["easy", "casia", "close", "hard", "wild"] | None = None,
    nir: int | None = None,
    vis: int | None = None,
    sessions: int | None = None,
    folds: int | None = None,
    size: int | None = None,
    truth_fold: int | None = None,
    lights: int | None = None,
    masks: bool | None = None,
    workers: str = "0",
    shard: str | None = None,
    verify: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Render a database of synthetic faces in near-infrared and visible light.

    Its layout is that of CASIA NIR-VIS 2.0, with landmarks, truth images and all parameters beside it.
    The same command resumes one that was stopped. The same recipe gives the same bytes on the same kind of
    processor.

    Args:
        out: folder to write NIR-VIS-2.0 into; with --verify, the one to check.
        face_model: FaceXModel of a clone of https://github.com/ICT-VGL/ICT-FaceKit.
        recipe: sf (the benchmark), sf-mini, sample, recogniser, wild (all kinds of near-infrared cameras),
            shifts (one thing that cameras do at a time), sf-buaa and sf-oulu (in the layouts and with the
            captures of BUAA-VisNir and Oulu-CASIA, for Tables 3 and 4); the other options change it.
        identities: how many people; needed without --recipe.
        seed: other seeds give other people; 0 without --recipe.
        first: number of the first person, 1 without --recipe; other numbers are other people of the seed.
        difficulty: how far poses, expressions, light and cameras vary; in wild, near-infrared captures are
            those of all kinds of cameras; close is casia in tighter pictures.
        nir: near-infrared captures of each person, about.
        vis: visible-light captures of each person, about.
        sessions: how many of the four there are.
        folds: of View 2; 0 writes no lists.
        size: side of the pictures in pixels.
        truth_fold: render true images only of people whom this fold tests; 0 of all people.
        lights: of sf-oulu, the strongest so many of its three; 1 is all that Table 4 looks at.
        masks: keep what each pixel of a near-infrared capture shows.
        workers: processes; 0 takes one per processor core, dask://HOST:8786 and ray://HOST:10001 those of a
            cluster.
        shard: part of the people to render, such as 3/100; without it, the same command takes all parts in.
        verify: only check the files of OUT against its SHA256SUMS.
    """
    if verify:
        return _verify(out)
    if face_model is None:
        raise UserError("give --face-model: the folder FaceXModel of a clone of ICT-FaceKit")
    options = {
        "identities": identities,
        "seed": seed,
        "first": first,
        "difficulty": difficulty,
        "nir": nir,
        "vis": vis,
        "sessions": sessions,
        "folds": folds,
        "size": size,
        "truth_fold": truth_fold,
        "lights": lights,
        "masks": masks,
    }
    chosen = _chosen(recipe, {name: value for name, value in options.items() if value is not None})
    part = Shard.of(shard) if shard else None
    _render(out, face_model, chosen, workers=usable_workers(workers), shard=part)
    return 0


def _chosen(name: str | None, options: dict[str, Any]) -> Recipe:
    """The named recipe with what the options change, or one by hand."""
    if name is None and "identities" not in options:
        raise UserError(f"say what to render: --recipe of {', '.join(RECIPES)}, or --identities")
    recipe = Recipe(**{"seed": 0, **options}) if name is None else replace(recipe_of(name), **options)
    recipe.check()
    return recipe


def _render(out: Path, face_model: Path, recipe: Recipe, *, workers: Workers, shard: Shard | None) -> None:
    """Renders with a progress bar, and says what came of it."""
    with extra("render", "rendering"):  # said here, before workers start
        import embreex  # noqa: F401, PLC0415 - an optional extra
    studio = open_studio(face_model, cache_folder(), recipe.size)
    with progress_bar("captures", None) as bar:
        if shard:
            people = render_part(studio, out, recipe, shard, workers=workers, on_progress=resumed(bar))
        else:
            rendered = render_database(studio, out, recipe, workers=workers, on_progress=resumed(bar))
    if shard:
        print(f"{people} people of this part are done; the same command without --shard takes all parts in")
        return
    print(f"{rendered.people} people, {rendered.captures} captures, folds of View 2: {recipe.folds}")
    print(f"Checksum: {rendered.checksum}")
    print(f"Written to {rendered.home}")


def _verify(out: Path) -> int:
    """Says which files are not as they were written."""
    home = out / HOME if (out / HOME).is_dir() else out
    changes = changes_since(home)
    for change in changes:
        print(change)
    if not changes:
        print(f"All files are as they were written. Checksum: {whole_sum(home)}")
    return 1 if changes else 0
