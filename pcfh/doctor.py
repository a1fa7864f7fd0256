"""What is installed, what works, and what mends the rest.

Nothing is taken for working because it is there: each thing is tried, in a small way, and whatever it raises
is the finding. Nothing is downloaded.
"""

import os
import platform
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module, metadata
from pathlib import Path
from statistics import median
from typing import Literal

import numpy as np
import torch
from jaxtyping import UInt8
from packaging.requirements import Requirement
from torch import nn

from pcfh import __version__
from pcfh.demo import SAMPLE
from pcfh.devices import mixes, usable_device
from pcfh.errors import UserError
from pcfh.export import Network, converted
from pcfh.hallucinate import Hallucinator
from pcfh.images import read_image
from pcfh.landmarks import cache_folder, open_backend
from pcfh.landmarks.fan import WEIGHTS as FAN_WEIGHTS
from pcfh.recognisers.lightcnn.recogniser import LightCNNRecognizer
from pcfh.shipped import shipped
from pcfh_render.facemodel import SOURCE as FACE_MODEL_SOURCE
from pcfh_render.trace import Scene

SAMPLE_FACE = SAMPLE / "s2" / "NIR" / "00185" / "001.jpg"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "firefox")
_ENOUGH_GB = 1.0
_REINSTALL = "git checkout -- pcfh/weights, or install the program again"

State = Literal["ok", "no", "FAILS"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found out about one thing.

    Attributes:
        group: of things that belong together.
        name: of the thing.
        state: "ok"; "no" where the rest works without it; "FAILS" where nothing does.
        detail: version, measurement, or what went wrong; one line.
        remedy: the command that mends it; empty where nothing is wrong.
    """

    group: str
    name: str
    state: State
    detail: str
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing to try.

    Attributes:
        group: of things that belong together.
        name: of the thing.
        attempt: tries it and says in a few words what came out; raises whatever it likes.
        remedy: the command that mends it.
        core: whether nothing works without it.
    """

    group: str
    name: str
    attempt: Callable[[], str]
    remedy: str
    core: bool = False


def examine(face_model: Path | None = None) -> list[Finding]:
    """Tries everything.

    Args:
        face_model: folder of the renderer's face model, if there is one.
    """
    checks = (*packages(), *devices(), *weights(), *backends(), *extras(face_model), *folders())
    return [tried(check) for check in checks]


def core_works(findings: list[Finding]) -> bool:
    """Whether training, translating and evaluating work."""
    return all(finding.state != "FAILS" for finding in findings)


def tried(check: Check) -> Finding:
    """Makes an attempt and turns what comes out into a finding.

    Where the error itself names a command ("run: ..."), that one is the remedy.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            return Finding(group=check.group, name=check.name, state="ok", detail=check.attempt())
    except Exception as error:  # whatever is broken here is what was asked for
        detail = (str(error).strip().splitlines() or [type(error).__name__])[0]
        state: State = "FAILS" if check.core else "no"
        remedy = detail.partition("run: ")[2] or check.remedy
        return Finding(group=check.group, name=check.name, state=state, detail=detail, remedy=remedy)


def packages() -> Iterator[Check]:
    """Python, and every package that the core needs, at least in the version that it needs."""
    yield Check(group="system", name="pcfh", attempt=_own_version, remedy="pip install --editable .")
    yield Check(group="system", name="Python", attempt=_python, remedy="")
    for requirement in core_requirements():
        yield Check(
            group="packages",
            name=requirement.name,
            attempt=partial(_installed, requirement),
            remedy=f"pip install '{requirement.name}{requirement.specifier}'",
            core=True,
        )


def core_requirements() -> list[Requirement]:
    """What pcfh was installed with, without its extras; nothing where it was not installed."""
    try:
        needed = [Requirement(line) for line in metadata.requires("pcfh") or ()]
    except metadata.PackageNotFoundError:
        return []
    return [requirement for requirement in needed if requirement.marker is None]


def devices() -> Iterator[Check]:
    """The processor and each GPU, in 32 and in 16 bits."""
    names = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    for name in names:
        yield Check(
            group="devices",
            name=name,
            attempt=partial(_convolved, name),
            remedy="pip install --force-reinstall torch",
            core=name == "cpu",
        )
    if len(names) == 1:
        remedy = "with an NVIDIA GPU: the pip command that https://pytorch.org/get-started gives for it"
        yield Check(group="devices", name="cuda", attempt=_no_gpu, remedy=remedy)


def weights() -> Iterator[Check]:
    """The shipped models: intact, and computing."""
    for name, attempt in (("generator", _translated), ("recognizer", _recognised)):
        yield Check(group="models", name=f"shipped {name}", attempt=attempt, remedy=_REINSTALL, core=True)


def backends() -> Iterator[Check]:
    """What finds landmarks."""
    yield Check(group="landmarks", name="blaze", attempt=_detected, remedy="pcfh models fetch")
    yield Check(group="landmarks", name="fan", attempt=_fan_at_hand, remedy="pip install 'pcfh[fan]'")


def extras(face_model: Path | None) -> Iterator[Check]:
    """What only some commands need."""
    onnx, export = "pip install 'pcfh[onnx]'", "pip install 'pcfh[export]'"
    yield Check(group="extras", name="ONNX recognisers", attempt=_onnx_runs, remedy=onnx)
    yield Check(group="extras", name="export to ONNX", attempt=_exported, remedy=export)
    yield Check(group="extras", name="renderer", attempt=_ray_cast, remedy="pip install 'pcfh[render]'")
    yield Check(
        group="extras",
        name="face model",
        attempt=partial(_face_model, face_model),
        remedy=f"git clone {FACE_MODEL_SOURCE}, then: pcfh doctor --face-model ICT-FaceKit/FaceXModel",
    )
    yield Check(group="extras", name="web page", attempt=_web_imported, remedy="pip install 'pcfh[web]'")
    yield Check(group="extras", name="browser", attempt=_browser, remedy="apt-get install chromium")


def folders() -> Iterator[Check]:
    """Where files go, and how much space is left there."""
    remedy = "free some space, or set PCFH_CACHE to a folder that can be written to"
    yield Check(group="disk", name="cache", attempt=partial(_space, cache_folder()), remedy=remedy)
    yield Check(group="disk", name="here", attempt=partial(_space, Path.cwd()), remedy="free some space")


def _own_version() -> str:
    metadata.version("pcfh")  # raises where it was not installed
    return f"{__version__}, {Path(__file__).parent}"


def _python() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{platform.python_version()} on {platform.system()} {platform.machine()}, {cores} processors, "
        f"{torch.get_num_threads()} threads of PyTorch"
    )


def _installed(requirement: Requirement) -> str:
    version = metadata.version(requirement.name)
    if not requirement.specifier.contains(version, prereleases=True):
        raise UserError(f"{version}, but {requirement.specifier} is needed")
    import_module({"pillow": "PIL"}.get(requirement.name, requirement.name))
    return version


def _convolved(name: str) -> str:
    """Times convolutions in 32 and 16 bits and compares what comes out."""
    device = usable_device(name)
    single, seconds = _timed_convolution(device, torch.float32)
    half, half_seconds = _timed_convolution(device, torch.bfloat16)
    error = float((half - single).abs().max() / single.abs().max())
    if not error < 0.05:
        raise UserError(f"bf16 differs from fp32 by {error:.0%}")
    model = torch.cuda.get_device_name(device) if device.type == "cuda" else f"torch {torch.__version__}"
    taken = "bf16" if mixes("auto", device) else "fp32"
    return (
        f"{model}; a convolution takes {1e3 * seconds:.2f} ms in fp32, {1e3 * half_seconds:.2f} ms in bf16 "
        f"({_compared(seconds, half_seconds)}); precision auto takes {taken}"
    )


def _compared(before: float, after: float) -> str:
    """How two times compare, in words."""
    return f"{before / after:.1f} times as fast" if after <= before else f"{after / before:.1f} times as slow"


@torch.inference_mode()
def _timed_convolution(device: torch.device, dtype: torch.dtype) -> tuple[torch.Tensor, float]:
    """A 3 x 3 convolution of 64 channels on 128 x 128 pixels: its output, and the median time.

    Of seven, or of fewer where they take long, as emulated precisions do.
    """
    draws = torch.Generator().manual_seed(0)
    image = torch.randn(1, 64, 128, 128, generator=draws).to(device, dtype)
    kernel = torch.randn(64, 64, 3, 3, generator=draws).to(device, dtype)
    times: list[float] = []
    while len(times) < 7 and sum(times) < 1:
        start = time.perf_counter()
        output = nn.functional.conv2d(image, kernel, padding=1)
        output[0, 0, 0, 0].item()  # waits for a GPU
        times.append(time.perf_counter() - start)
    return output.float().cpu(), median(times)


def _no_gpu() -> str:
    built = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
    raise UserError(f"no usable GPU; this PyTorch is built {built}")


def _translated() -> str:
    hallucinator = Hallucinator.from_file(shipped("generator"), device="cpu")
    size = hallucinator.size
    crop, points = np.full((1, size, size, 3), 128, np.uint8), np.full((1, 68, 2), size / 2)
    start = time.perf_counter()
    hallucinator.translate_batch(crop, points)
    return f"intact; a face of {size} pixels takes {time.perf_counter() - start:.2f} s on the processor"


def _recognised() -> str:
    recognizer = LightCNNRecognizer.from_file(shipped("recognizer"), device="cpu")
    size = recognizer.alignment.size
    crops = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)
    start = time.perf_counter()
    recognizer.features(crops)
    return f"intact; {recognizer.name}: a face takes {time.perf_counter() - start:.2f} s on the processor"


def _detected() -> str:
    backend = open_backend("blaze")
    if not SAMPLE_FACE.is_file():
        backend.detect(np.zeros((128, 128, 3), np.uint8))
        return "runs (there is no sample here to find a face in)"
    image: UInt8[np.ndarray, "h w 3"] = read_image(SAMPLE_FACE)
    start = time.perf_counter()
    found = len(backend.detect(image))
    if found != 1:
        raise UserError(f"finds {found} faces in {SAMPLE_FACE.name} of the sample, which shows one")
    return f"finds the face of a sample in {time.perf_counter() - start:.2f} s"


def _fan_at_hand() -> str:
    """Imports the package only: opening it might download."""
    import_module("face_alignment")
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    absent = [name for name in FAN_WEIGHTS if not (folder / name).is_file()]
    return f"downloads {' and '.join(absent)} at first use" if absent else "its weights are there"


def _onnx_runs() -> str:
    import onnxruntime  # noqa: PLC0415 - an optional extra
    from onnxruntime.datasets import get_example  # noqa: PLC0415 - the same

    session = onnxruntime.InferenceSession(get_example("sigmoid.onnx"), providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {"x": np.zeros((3, 4, 5), np.float32)})
    if not np.allclose(output, 0.5):
        raise UserError("onnxruntime computes wrongly")
    return f"onnxruntime {onnxruntime.__version__}"


def _exported() -> str:
    network = Network(
        module=nn.Conv2d(1, 1, 3).eval(),
        inputs={"x": ""},
        output=("y", ""),
        facts={},
        batches=tuple((torch.ones(b, 1, 8, 8),) for b in (2, 1)),
    )
    start = time.perf_counter()
    _, facts, difference = converted(network, ".onnx")
    return (
        f"opset {facts['pcfh.opset']}; a convolution took {time.perf_counter() - start:.0f} s, differs by "
        f"{difference:.0e}"
    )


def _ray_cast() -> str:
    corners = np.array([[-1.0, -1, 0], [1, -1, 0], [0, 1, 0]])
    hits = Scene(corners, np.array([[0, 1, 2]])).nearest(
        np.array([[0, 0, 1]], np.float32), np.array([[0, 0, -1]], np.float32)
    )
    if hits.triangle[0] != 0:
        raise UserError("Embree misses a triangle")
    return "Embree hits a triangle"


def _face_model(folder: Path | None) -> str:
    if folder is None:
        raise UserError("not named; only pcfh render needs it")
    folder = folder / "FaceXModel" if (folder / "FaceXModel").is_dir() else folder
    if not (folder / "generic_neutral_mesh.obj").is_file():
        raise UserError(f"{folder}: expected the folder FaceXModel of ICT-FaceKit")
    return f"{folder}, {len(list(folder.glob('*.obj')))} shapes"


def _web_imported() -> str:
    for name in ("starlette", "uvicorn"):
        import_module(name)
    return f"starlette {metadata.version('starlette')}, uvicorn {metadata.version('uvicorn')}"


def _browser() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise UserError("none found; only the tests of the web page need one on this machine")
    return found


def _space(folder: Path) -> str:
    """Free space where a folder is, or will be made."""
    place = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(place).free / 1e9
    if not os.access(place, os.W_OK):
        raise UserError(f"{place} cannot be written to")
    if free < _ENOUGH_GB:
        raise UserError(f"{folder}: only {free:.2f} GB are free")
    return f"{folder}, {free:.1f} GB free{'' if folder.is_dir() else ', made when needed'}"
