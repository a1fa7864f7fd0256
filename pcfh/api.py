"""The package as a notebook uses it: paths may be text, what is not given is what comes with the program.

``import pcfh`` offers these names and a few of other modules. Images are 8-bit RGB arrays (row, column,
channel); landmarks are the 68 points (x, y) in pixels, whole numbers at pixel centres.

Axis letters: d features, h and w pixels of an image, n faces.
"""

from collections.abc import Sequence
from functools import cache as remembered
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, UInt8

from pcfh.databases.layouts import AUTO, open_database
from pcfh.databases.records import Database
from pcfh.errors import UserError
from pcfh.evaluation.evaluate import evaluate as run_evaluation
from pcfh.evaluation.evaluation_data import EvaluationJob
from pcfh.evaluation.results import Results
from pcfh.geometry.align import align_face
from pcfh.hallucinate import AlignedFace, Hallucinator
from pcfh.images import read_image
from pcfh.landmarks import Face, LandmarkBackend, open_backend
from pcfh.landmarks.given import landmark_key
from pcfh.preparation.align_capture import PrepareOptions
from pcfh.preparation.align_database import prepare as run_preparation
from pcfh.preparation.preparation_report import PrepareReport
from pcfh.recognisers.alignment import realign
from pcfh.recognisers.base import Recognizer
from pcfh.recognisers.registry import open_recognizer
from pcfh.shipped import shipped


def load_image(path: str | Path) -> UInt8[np.ndarray, "h w 3"]:
    """Reads a picture upright, grey ones as three equal channels.

    Raises:
        UserError: it is absent, damaged, or of a kind that would have to be guessed at.
    """
    return read_image(Path(path))


def load_hallucinator(path: str | Path | None = None, *, device: str = "auto") -> Hallucinator:
    """Opens a generator with all that it needs to translate a photograph.

    Args:
        path: generator.safetensors of a training run; the shipped one if not given.
        device: auto, cpu, cuda or cuda:1.

    Raises:
        UserError: the file is absent, damaged or something else, or the device is not usable.
    """
    return Hallucinator.from_file(shipped("generator") if path is None else path, device=device)


def load_recognizer(path: str | Path | None = None, *, device: str = "auto") -> Recognizer:
    """Opens a recogniser.

    Args:
        path: Light CNN checkpoint, recognizer.safetensors or ONNX model; the shipped one if not given.
        device: where a Light CNN computes.

    Raises:
        UserError: the file is absent, damaged or something else, or the device is not usable.
    """
    return open_recognizer(shipped("recognizer") if path is None else Path(path), device=device)


def load_database(root: str | Path, layout: str = AUTO, **options: Any) -> Database:
    """Reads the records and protocols of a database.

    Args:
        root: folder that it was unpacked to.
        layout: its name, e.g. casia, or yours as my_module:LAYOUT; auto tells it by what lies on disk.
        options: of the layout, e.g. ``seed=3`` where a protocol is drawn.

    Raises:
        UserError: the layout is unknown, not the one on disk, or has no such option.
    """
    return open_database(Path(root), layout, **options)


def find_faces(image: UInt8[np.ndarray, "h w 3"]) -> list[Face]:
    """Finds faces and their landmarks with the default detector, best first.

    Raises:
        UserError: the detector or its files are not installed.
    """
    return _detector().detect(image)


def landmarks_of(database: Database, path: str) -> Float[np.ndarray, "68 2"]:
    """The landmarks that a database brings for one of its pictures.

    Args:
        database: see ``load_database``.
        path: of the picture, relative to the database's root; case and extension do not count.

    Raises:
        UserError: it has no such picture, or no landmarks of it.
    """
    for record in database.records:
        if record.landmarks is not None and landmark_key(record.path) == landmark_key(path):
            return np.array(record.landmarks)
    raise UserError(f"{database.root} brings no landmarks for {path!r}; find them with find_faces")


def align(
    image: UInt8[np.ndarray, "h w 3"], landmarks: Float[np.ndarray, "68 2"], size: int = 128
) -> AlignedFace:
    """Cuts a face out so that eyes and mouth lie where generators and recognisers expect them.

    Args:
        image: of any size, colours are kept.
        landmarks: in pixels of ``image``.
        size: side of the crop: 64, 128, 144 or 256.

    Raises:
        UserError: there is no such crop, or the landmarks are not a face's, or not of this picture.
    """
    crop, points = align_face(image, landmarks, size)
    return AlignedFace(crop=crop, landmarks=points)


def features(recognizer: Recognizer, faces: Sequence[AlignedFace]) -> Float32[np.ndarray, "n d"]:
    """Unit features of aligned faces of one size; the product of two is their similarity, 1 at most.

    Args:
        recognizer: see ``load_recognizer``.
        faces: crops of 64, 128, 144 or 256 pixels.

    Raises:
        UserError: there are no faces, or their crops are of several sizes or of another one.
    """
    sizes = {face.crop.shape[0] for face in faces}
    if len(sizes) != 1:
        found = ", ".join(map(str, sorted(sizes))) or "no faces"
        raise UserError(f"expected faces of one size, got {found}; give all the size of one crop")
    crops, points = np.stack([face.crop for face in faces]), np.stack([face.landmarks for face in faces])
    return recognizer.features(realign(crops, points, recognizer.alignment))


def prepare(
    database: Database, out: str | Path, *, sizes: Sequence[int] = (128,), workers: int = 1
) -> PrepareReport:
    """Aligns all pictures of a database, for training and evaluation; called again, it does what is left.

    Landmarks that the database brings are taken; where it brings none, they are detected.

    Args:
        database: see ``load_database``.
        out: folder to write to.
        sizes: sides of the crops: 64, 128, 144, 256.
        workers: processes.

    Raises:
        UserError: see ``pcfh.preparation.align_database.prepare``.
    """
    backend = "given" if all(record.landmarks for record in database.records) else "blaze"
    options = PrepareOptions(sizes=tuple(sizes), backend=backend, workers=workers)
    return run_preparation(database, Path(out), options)


def evaluate(
    prepared: str | Path,
    *,
    recognizer: Recognizer | None = None,
    hallucinator: Hallucinator | None = None,
    protocol: str = "1",
    cache: str | Path | None = None,
    resamples: int = 1000,
) -> Results:
    """Measures recognition on a prepared database, of NIR probes as they are and with generated faces.

    Args:
        prepared: folder that ``prepare`` wrote.
        recognizer: the shipped one if not given.
        hallucinator: from a file; without it the NIR probes alone are measured.
        protocol: fold to evaluate.
        cache: folder that keeps features and generated faces for the next time.
        resamples: draws of people of each interval.

    Raises:
        UserError: data, protocol, recogniser or generator do not fit.
    """
    generators = {} if hallucinator is None else {protocol: hallucinator}
    with TemporaryDirectory() as scratch:
        job = EvaluationJob(
            prepared=Path(prepared),
            protocols=(protocol,),
            cache=Path(scratch if cache is None else cache),
            resamples=resamples,
        )
        return run_evaluation(job, load_recognizer() if recognizer is None else recognizer, generators)


@remembered
def _detector() -> LandmarkBackend:
    return open_backend("blaze")
