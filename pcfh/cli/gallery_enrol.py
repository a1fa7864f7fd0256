"""The command that enrols people."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from pcfh.cli.app import progress_bar
from pcfh.cli.gallery_options import Networks, open_gallery
from pcfh.errors import UserError
from pcfh.gallery.exchange import import_gallery
from pcfh.gallery.photographs import enrol_photographs, photographs

_DEFAULT = Networks()


def gallery_enrol(
    gallery: str,
    sources: Annotated[list[Path], Parameter(negative="")],
    *,
    person: str | None = None,
    networks: Networks = _DEFAULT,
    collection: str = "faces",
    index: Literal["FLAT", "HNSW", "IVF_FLAT", "IVF_SQ8", "DISKANN", "AUTOINDEX"] | None = None,
) -> int:
    """Enrol visible-light photographs; the same command again goes on where it was stopped.

    A picture is of the person after whom the folder below the source is named in which it lies; one that lies
    in a source itself, of the person after whom the file is named. A picture that cannot be enrolled is
    listed at the end, the rest goes on; the exit code is 1 then.

    Args:
        gallery: path of an embedded gallery, which ends in .db, or address of a Milvus server, as
            http://host:19530; a token for it is taken from PCFH_GALLERY_TOKEN.
        sources: pictures, folders, CSV files with the columns path and person, or .parquet files written by
            pcfh gallery export.
        person: whose all pictures are.
        networks: that compute the features.
        collection: name of the gallery in its store.
        index: of a new gallery; FLAT (exact) if embedded, HNSW on a server.
    """
    exported = [source for source in sources if source.suffix == ".parquet"]
    pictures = [source for source in sources if source.suffix != ".parquet"]
    if person is not None and exported:
        raise UserError("--person: an exported gallery says itself whose its faces are; leave it out")
    with open_gallery(gallery, collection, index=index, new=True) as opened:
        moved = sum(import_gallery(opened, path) for path in exported)
        if exported:
            print(f"{moved:,} faces enrolled from exported galleries")
        if not pictures:
            return 0
        reader = networks.reader()
        with progress_bar("pictures", 0) as bar:
            done = enrol_photographs(opened, reader, photographs(pictures, person), on_done=bar.update)
    if not (done.enrolled or done.known or done.refused):
        raise UserError(f"no pictures in {', '.join(map(str, pictures))}")
    print(f"{done.enrolled:,} photographs enrolled in {gallery}, {done.known:,} were there already")
    for bad in done.refused:
        print(f"{bad.path}: {bad.reason}", file=sys.stderr)
    if done.refused:
        print(f"{len(done.refused)} not enrolled", file=sys.stderr)
    return 1 if done.refused else 0
