"""The command that writes a gallery to a file."""

from pathlib import Path

from pcfh.cli.gallery_options import open_gallery
from pcfh.gallery.exchange import export_gallery


def gallery_export(gallery: str, out: Path, *, collection: str = "faces") -> int:
    """Write a gallery as a Parquet file, which pcfh gallery enrol takes into another store.

    Args:
        gallery: path of an embedded gallery, or address of a Milvus server.
        out: file to write, which ends in .parquet.
        collection: name of the gallery in its store.
    """
    with open_gallery(gallery, collection) as opened:
        print(f"{export_gallery(opened, out):,} faces written to {out}")
    return 0
