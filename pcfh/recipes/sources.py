"""The first stage: databases are prepared, once for all tables."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from pcfh.databases.layouts import in_protocols, open_database
from pcfh.databases.records import Database
from pcfh.databases.rendered import TRUTH
from pcfh.preparation.align_database import PrepareOptions, prepare
from pcfh.preparation.manifest import MANIFEST, read_manifest
from pcfh.recipes.order import Order, Watch
from pcfh.recipes.stages import Stage, fingerprint, is_done, mark_done
from pcfh.recognisers.alignment import Alignment

_RECOGNISED = 144  # pixels; what a recogniser is served best by, where generated faces are larger or smaller


def prepared_folder(work: Path, name: str) -> Path:
    """Where a prepared database lies."""
    return work / "prepared" / name


def crop_sizes(size: int, alignment: Alignment) -> tuple[int, ...]:
    """Sides of the crops: the generator's, and 144 pixels where the recogniser has a use for them."""
    needed = size > _RECOGNISED or (alignment.convention != "lightcnn" and size < _RECOGNISED)
    return (_RECOGNISED, size) if needed else (size,)


def prepare_database(order: Order, name: str, sizes: tuple[int, ...], watch: Watch) -> Path:
    """Prepares a database, unless that is done and no file of it has changed since.

    Args:
        order: what the user wants.
        name: casia, oulu or buaa.
        sizes: sides of the crops.
        watch: what to tell.

    Returns:
        The prepared folder.

    Raises:
        UserError: the database cannot be read or prepared, or the folder holds another one.
    """
    root, out = order.databases[name], prepared_folder(order.work, name)
    choice = {} if name == "casia" else {"seed": order.draw_seed}
    inputs = {"files": fingerprint(root), "sizes": sizes, "landmarks": order.landmarks, **choice}
    stage = Stage(record=out / "prepared.json", inputs=inputs, outputs=(out / MANIFEST,))
    if is_done(stage):
        return out
    watch.say(f"Preparing {root}")
    database = in_protocols(_opened(root, name, order.draw_seed))
    options = PrepareOptions(
        sizes=sizes, backend=order.landmarks, workers=order.workers, layout=name, device=_device(order)
    )
    report = prepare(database, out, options, on_progress=partial(watch.progress("prepare "), name))
    if report.dropped:
        watch.say(f"{len(report.dropped)} captures could not be prepared, see {out / 'report.txt'}")
    mark_done(stage)
    return out


def rendered_root(prepared: Path) -> Path | None:
    """Root of the database that was prepared, where it is a rendered one with true images."""
    root = read_manifest(prepared).source.root
    return root if (root / TRUTH).is_dir() else None


def _opened(root: Path, name: str, seed: int) -> Database:
    """The database; of those that are only tested on, without the people for training."""
    if name == "casia":
        return open_database(root, name)
    database = open_database(root, name, seed=seed)
    protocols = {key: replace(protocol, train=()) for key, protocol in database.protocols.items()}
    return replace(database, protocols=protocols)


def _device(order: Order) -> str:
    return "cpu" if order.device == "auto" else order.device
