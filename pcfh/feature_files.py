"""Embeddings of the faces in files and folders, in one file with where each came from.

    OUT/features.npz        "features" (n x d), "paths", "sources" (texts), "recognizer" and "modality" (text)
    OUT/features.parquet    a row of each face: path, source, feature; the other two in the file's metadata

Until all pictures are through, embeddings are kept with the rows of the ledger; the file is written last. It
holds the faces of the same recogniser and modality alone, in the order of the paths. Neither kind of file
runs code when it is opened (``numpy.load`` with its default, no pickles).

Axis letters: d features, n faces.
"""

import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pcfh.batches import ReadFace, Work, Writer, Written, stretches
from pcfh.databases.records import Modality
from pcfh.errors import UserError
from pcfh.extras import extra
from pcfh.files import atomic_path
from pcfh.geometry.align import CROPS
from pcfh.ledger import Ledger
from pcfh.preparation.face_reader import ReaderOptions, start_reader
from pcfh.recognisers.alignment import Alignment, realign
from pcfh.recognisers.base import Recognizer
from pcfh.runtime import keep_freed_memory

Format = Literal["npz", "parquet"]
_LARGE = 144  # side of the crops that others are cut from; see pcfh.recognisers.alignment
_PART = 10_000  # faces that are held while the file is written


def crop_size(alignment: Alignment) -> int:
    """Side of the aligned crop that a recogniser's is taken from: its own, where that is possible."""
    own = alignment.convention == "lightcnn" and alignment.size in CROPS
    return alignment.size if own else _LARGE


def embedding(
    recognizer: Recognizer,
    open_it: Callable[[], Recognizer],
    reading: ReaderOptions,
    *,
    modality: Modality,
    here: bool,
    batch: int,
) -> Work:
    """The work that makes an embedding of each picture.

    Args:
        recognizer: opened.
        open_it: opens it in another process; can be pickled.
        reading: how faces are read.
        modality: of the pictures.
        here: whether embeddings are computed in this process alone, as on a GPU.
        batch: faces computed at once.
    """
    return Work(
        name="extraction",
        settings=f"features 1 {recognizer.key} {modality} {reading.settings()}",
        start_reader=partial(start_reader, reading),
        start_writer=partial(_start_writer, open_it, modality),
        here=here,
        batch=batch,
    )


def _start_writer(open_it: Callable[[], Recognizer], modality: Modality) -> Writer:
    """Opens the recogniser."""
    keep_freed_memory()
    return partial(embed_faces, open_it(), modality)


def embed_faces(recognizer: Recognizer, modality: Modality, faces: Sequence[ReadFace]) -> list[Written]:
    """Computes the embeddings of some crops."""
    cut = [_cut(face, recognizer.alignment) for face in faces]
    features = recognizer.features(np.stack(cut), modality)
    rows = np.ascontiguousarray(features, "<f4")
    return [Written(face=face, vector=row.tobytes()) for face, row in zip(faces, rows, strict=True)]


def _cut(face: ReadFace, alignment: Alignment) -> np.ndarray:
    """The recogniser's crop; one of the alignment "lightcnn" needs no landmarks."""
    assert face.crop is not None
    points = np.zeros((68, 2)) if face.landmarks is None else face.landmarks
    return realign(face.crop[None], points[None], alignment)[0]


def write_features(file: Path, kind: Format, about: dict[str, str], settings: str, ledger: Ledger) -> None:
    """Writes the file of all embeddings whole or not at all.

    Args:
        file: to write.
        kind: of it.
        about: texts that go with the embeddings.
        settings: only embeddings that were made so are taken.
        ledger: that holds them.

    Raises:
        UserError: there are none, or the extra is missing.
    """
    count, longest = ledger.measure_vectors(settings)
    if not count:
        raise UserError(f"{ledger.table}: no picture gave a face; nothing to write to {file}")
    with atomic_path(file) as temporary:
        if kind == "npz":
            _write_npz(temporary, about, partial(ledger.vectors, settings), count, longest)
        else:
            _write_parquet(temporary, about, partial(ledger.vectors, settings))


Vectors = Callable[[], Iterator[tuple[str, str, bytes]]]


def _write_npz(file: Path, about: dict[str, str], vectors: Vectors, count: int, longest: int) -> None:
    """Array after array, each a part at a time."""
    size = len(next(vectors())[2]) // 4
    text = f"<U{longest}"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        rows = (np.frombuffer(vector, "<f4") for *_, vector in vectors())
        _write_array(archive, "features", "<f4", (count, size), rows)
        _write_array(archive, "paths", text, (count,), (path for path, *_ in vectors()))
        _write_array(archive, "sources", text, (count,), (source for _, source, _ in vectors()))
        for name, value in about.items():
            _write_array(archive, name, f"<U{len(value)}", (), iter([value]))


def _write_array(
    archive: zipfile.ZipFile, name: str, kind: str, shape: tuple[int, ...], rows: Iterator[Any]
) -> None:
    """One array of an archive, as ``numpy.savez`` would write it."""
    entry = zipfile.ZipInfo(f"{name}.npy")  # the time of 1980: equal content, equal bytes
    entry.compress_type = zipfile.ZIP_STORED if kind == "<f4" else zipfile.ZIP_DEFLATED
    with archive.open(entry, "w", force_zip64=True) as file:
        header = {"descr": kind, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_2_0(file, header)
        for some in stretches(rows, _PART):
            file.write(np.array(some, kind).tobytes())


def _write_parquet(file: Path, about: dict[str, str], vectors: Vectors) -> None:
    """Row group after row group."""
    with extra("parquet", "a Parquet file"):
        import pyarrow as pa  # noqa: PLC0415 - an optional extra
        import pyarrow.parquet as pq  # noqa: PLC0415
    size = len(next(vectors())[2]) // 4
    kinds = [("path", pa.string()), ("source", pa.string()), ("feature", pa.list_(pa.float32(), size))]
    schema = pa.schema(kinds, metadata=about)
    with pq.ParquetWriter(file, schema) as table:
        for some in stretches(vectors(), _PART):
            paths, sources, rows = zip(*some, strict=True)
            flat = pa.array(np.frombuffer(b"".join(rows), "<f4"))
            columns = [pa.array(paths), pa.array(sources), pa.FixedSizeListArray.from_arrays(flat, size)]
            table.write_table(pa.table(columns, schema=schema))
