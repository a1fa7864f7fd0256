"""The command that makes a prepared folder of a pack."""

from functools import partial
from pathlib import Path

from pcfh.cli.app import progress_bar, show_stage
from pcfh.preparation.pack import unpack as run_unpack


def unpack(file: Path, prepared: Path) -> int:
    """Make a folder that pcfh train takes of a file that pcfh pack wrote.

    What is trained there says whom it has learnt from, so that pcfh evaluate refuses to test it on them.

    Args:
        file: the pack.
        prepared: folder to make.
    """
    with progress_bar("crops", 1, delay=1.0) as bar:
        packed = run_unpack(file, prepared, partial(show_stage, bar, "unpack"))
    print(f"{packed.people} people, protocol {packed.protocol}, {packed.origin.coding}")
    print(f"Written to {prepared}; train on it with: pcfh train {prepared} RUN --protocol {packed.protocol}")
    return 0
