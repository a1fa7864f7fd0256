"""A gallery as a Parquet file: to move it to another store, or to read its features in another program.

A row for each face: id, person, source, quality, enrolled (milliseconds since 1970, UTC) and feature (a list
of float32 of norm one). The file's metadata name the recogniser. Rows are streamed, so the
size does not matter.

Axis letters: d features.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pcfh.batches import stretches
from pcfh.errors import UserError
from pcfh.extras import extra
from pcfh.files import atomic_path
from pcfh.gallery.entries import NewFace
from pcfh.gallery.store import Gallery

_FORMAT = b"pcfh-gallery-export-1"
_ROWS = 1000  # of one group; so many are held at a time
_TEXTS = ("id", "person", "source")
_LONGEST = 16_384  # numbers of a feature


def export_gallery(gallery: Gallery, out: Path) -> int:
    """Writes all faces of a gallery; gives how many.

    Raises:
        UserError: the name does not end in .parquet, or nobody is enrolled.
    """
    if out.suffix != ".parquet":
        raise UserError(f"{out}: expected a name that ends in .parquet")
    pa, parquet = _arrow()
    if gallery.key is None or gallery.recognizer is None:
        raise UserError("nobody is enrolled; there is nothing to export")
    about = {b"format": _FORMAT, b"key": gallery.key.encode(), b"recognizer": gallery.recognizer.encode()}
    schema = pa.schema(
        [
            *((name, pa.string()) for name in _TEXTS),
            ("quality", pa.float32()),
            ("enrolled", pa.timestamp("ms", "UTC")),
            ("feature", pa.list_(pa.float32())),
        ],
        metadata=about,
    )
    count = 0
    with atomic_path(out) as temporary, parquet.ParquetWriter(temporary, schema) as file:
        for some in stretches(gallery.features(), _ROWS):
            columns = {name: [getattr(entry, name) for entry, _ in some] for name in schema.names[:-1]}
            columns["feature"] = [feature for _, feature in some]
            file.write_table(pa.table(columns, schema=schema))
            count += len(some)
    return count


def import_gallery(gallery: Gallery, path: Path) -> int:
    """Enrols all faces of an exported gallery; gives how many.

    Raises:
        UserError: the file is absent, damaged or something else, or of another recogniser.
    """
    _, parquet = _arrow()
    if not path.is_file():
        raise UserError(f"{path}: no such file; give one that pcfh gallery export wrote")
    try:
        file = parquet.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a Parquet file ({error}); export the gallery again") from error
    with file:
        about = file.schema_arrow.metadata or {}
        if about.get(b"format") != _FORMAT:
            raise UserError(f"{path}: not an exported gallery; give a file that pcfh gallery export wrote")
        return gallery.enrol(_faces(path, file), about[b"key"].decode(), about[b"recognizer"].decode())


def _faces(path: Path, file: Any) -> Iterator[NewFace]:
    """The rows of a file, few held at a time."""
    for group in range(file.num_row_groups):
        if file.metadata.row_group(group).num_rows > 100 * _ROWS:
            raise UserError(f"{path}: row group {group} is too large to be ours; export the gallery again")
        for row in file.read_row_group(group).to_pylist():
            feature = np.array(row["feature"], np.float32)
            if feature.ndim != 1 or not 0 < len(feature) <= _LONGEST:
                raise UserError(f"{path}: a feature of {feature.shape} numbers; export the gallery again")
            texts = {name: row[name] for name in _TEXTS}
            yield NewFace(**texts, quality=float(row["quality"]), feature=feature)


def _arrow() -> tuple[Any, Any]:
    with extra("gallery", "a Parquet file"):
        import pyarrow  # noqa: PLC0415 - an optional extra
        from pyarrow import parquet  # noqa: PLC0415 - an optional extra
    return pyarrow, parquet
