"""Networks as files that run without this package: ONNX, and PyTorch's own .pt2 (``torch.export``).

A file is written only when its output has been compared with the network's own on several batches. Tensors
are float32 where nothing else is said, and b, the batch, is free:

    finder       photograph h w 3       RGB, bytes, of any size
                 certainty              that there is a face, 0 to 1; below one half there is none
                 nir        1 1 s s     its aligned crop, grey, as the generator takes it
                 landmarks  1 68 2      (x, y) in pixels of the crop, likewise
                 points     68 2        (x, y) in pixels of the photograph
    generator    nir        b 1 s s      aligned NIR crops, grey, in [-1, 1]: pixel / 127.5 - 1
                 landmarks  b 68 2       (x, y) in pixels of the crop, whole numbers at pixel centres
                 vis        b 3 s s      RGB in [-1, 1]: pixel = round((value + 1) * 127.5)
    recogniser   faces      b 1 128 128  aligned crops, grey, in [0, 1]: pixel / 255
                 features   b 256        of norm 1, so that their product is the cosine

Beside a recogniser's ONNX file lies the JSON file by which ``open_recognizer`` takes it.

Axis letters: b batch, d features, h and w height and width, s side of an image.
"""

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from pcfh import __version__
from pcfh.errors import UserError
from pcfh.extras import extra
from pcfh.files import sha256_of, write_atomically
from pcfh.geometry.align import crop_of
from pcfh.hallucinate import Hallucinator
from pcfh.images import read_image
from pcfh.landmarks.blaze_network import FaceFinder
from pcfh.landmarks.fetch import blaze_models, cache_folder
from pcfh.methods.files import load_generator
from pcfh.recognisers.alignment import LIGHTCNN, between_crops
from pcfh.recognisers.lightcnn.weights import load_recognizer
from pcfh.recognisers.onnx import OnnxSettings
from pcfh.weight_files import CHECKPOINT, GENERATOR, RECOGNIZER, format_of, refuse_other

OPSET = 18
OPSETS = range(18, 24)
TOLERANCE = 1e-4
RECOGNIZER_SETTINGS = OnnxSettings(
    alignment=LIGHTCNN.convention, size=LIGHTCNN.size, channels="grey", mean=0.0, std=255.0
)

FINDER_TOLERANCE = 0.05  # of points in pixels; a region is sampled where both programs round alike or not
FACES = Path(__file__).parent / "web" / "page" / "samples"  # rendered photographs, to compare on

Inputs = tuple[Tensor, ...]
Run = Callable[[Inputs], Inputs]


@dataclass(frozen=True, kw_only=True)
class Network:
    """What is exported.

    Attributes:
        module: takes the inputs by position.
        inputs: their names and what they are.
        outputs: likewise.
        facts: what the file says about itself.
        batches: inputs of several sizes, to trace with (the first) and to compare on.
        beside: settings that go into a JSON file beside an ONNX file, if any.
        free: names of the axes of the inputs, from the first on, whose length is free.
        tolerance: of the output's difference.
    """

    module: nn.Module
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    facts: Mapping[str, str]
    batches: tuple[Inputs, ...]
    beside: OnnxSettings | None = None
    free: tuple[str, ...] = ("batch",)
    tolerance: float = TOLERANCE


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written.

    Attributes:
        path: of the file.
        facts: what it says about itself.
        difference: the largest one from PyTorch's output.
        batches: lengths of the free axes of what was compared.
    """

    path: Path
    facts: Mapping[str, str]
    difference: float
    batches: tuple[str, ...]


class GreyInput(nn.Module):
    """A generator that takes one channel of NIR in place of three equal ones."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(
        self, nir: Float[Tensor, "b 1 s s"], landmarks: Float[Tensor, "b 68 2"]
    ) -> Float[Tensor, "b 3 s s"]:
        """Generates VIS faces."""
        vis: Tensor = self.generator(nir.expand(-1, 3, -1, -1), landmarks)
        return vis


class AsGenerator(nn.Module):
    """A finder whose crop is as the generator takes it."""

    def __init__(self, finder: nn.Module) -> None:
        super().__init__()
        self.finder = finder

    def forward(self, photograph: UInt8[Tensor, "h w 3"]) -> Inputs:
        """How sure there is a face, the crop in [-1, 1], landmarks in the crop and in the photograph."""
        certainty, crop, landmarks, points = self.finder(photograph)
        return certainty, crop / 127.5 - 1, landmarks, points


class UnitFeatures(nn.Module):
    """A recogniser whose features have norm 1."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, faces: Float[Tensor, "b 1 s s"]) -> Float[Tensor, "b d"]:
        """Unit features of aligned faces."""
        return F.normalize(self.network(faces))


def export(model: Path, out: Path, *, opset: int = OPSET) -> Exported:
    """Writes a trained network in another format, if its output stays the same to 1e-4.

    Args:
        model: generator.safetensors, recognizer.safetensors or a Light CNN checkpoint; which one shows in it.
        out: to write; its ending, .onnx or .pt2, says which format.
        opset: version of ONNX's operators.

    Raises:
        UserError: the ending or the opset is none of these, the model cannot be read, a package is missing,
            or the output differs by more.
    """
    if out.suffix not in (".onnx", ".pt2"):
        raise UserError(f"{out}: expected a name that ends in .onnx or .pt2, which says the format")
    if opset not in OPSETS:
        raise UserError(f"no export with opset {opset}; expected {OPSETS.start} to {OPSETS.stop - 1}")
    return write_network(open_network(model), out, opset=opset)


def export_product(
    out: Path, *, generator: Path, recognizer: Path, opset: int = OPSET
) -> tuple[Exported, ...]:
    """Writes what leads from a photograph to a face and a score, as ONNX: finder, generator, recogniser.

    Args:
        out: folder to write to: finder.onnx, generator.onnx, recognizer.onnx.
        generator: file of its weights.
        recognizer: likewise, of a Light CNN.
        opset: version of ONNX's operators.

    Raises:
        UserError: see ``export``; or the landmark detector's files are not installed.
    """
    networks = {"generator": generator_network(generator), "recognizer": recognizer_network(recognizer)}
    networks["finder"] = finder_network(int(networks["generator"].facts["pcfh.size"]))
    return tuple(
        write_network(networks[name], out / f"{name}.onnx", opset=opset) for name in sorted(networks)
    )


def write_network(network: Network, out: Path, *, opset: int = OPSET) -> Exported:
    """Writes one network, if its output stays the same; see ``export``."""
    data, facts, difference = converted(network, out.suffix, opset)
    if not difference < network.tolerance:
        raise UserError(
            f"{out}: not written, because its output differs from PyTorch's by {difference:.1e} (allowed: "
            f"{network.tolerance:.0e}); try another opset, or the other of the formats .onnx and .pt2"
        )
    write_atomically(out, data)
    if out.suffix == ".onnx" and network.beside is not None:
        settings = json.dumps(asdict(network.beside), indent=2)
        write_atomically(out.with_name(f"{out.name}.json"), settings.encode())
    axes = len(network.free)
    sizes = tuple(" x ".join(map(str, batch[0].shape[:axes])) for batch in network.batches)
    return Exported(path=out, facts=facts, difference=difference, batches=sizes)


def converted(network: Network, suffix: str, opset: int = OPSET) -> tuple[bytes, Mapping[str, str], float]:
    """The file's content, what it says about itself, and the largest difference from PyTorch's output."""
    if suffix == ".onnx":
        facts = {**network.facts, "pcfh.opset": str(opset)}
        data = onnx_bytes(network, opset, facts)
        run = onnx_runner(data, tuple(network.inputs))
    else:
        facts = {**network.facts, "pcfh.torch": torch.__version__}
        data = pt2_bytes(network, facts)
        run = _pt2_runner(data)
    return data, facts, largest_difference(network, run)


def open_network(model: Path) -> Network:
    """Opens a file of weights, of a generator or of a recogniser, for export.

    Raises:
        UserError: the file is absent, damaged or something else.
    """
    if not model.is_file():
        raise UserError(f"{model}: no such file; give generator.safetensors or recognizer.safetensors")
    found = format_of(model)
    if found == CHECKPOINT:
        refuse_other(model, RECOGNIZER if model.with_name("recognizer.safetensors").is_file() else GENERATOR)
    is_recognizer = found == RECOGNIZER or model.suffix != ".safetensors"  # published ones are no safetensors
    return recognizer_network(model) if is_recognizer else generator_network(model)


def generator_network(model: Path) -> Network:
    """Opens a generator of any method; see ``open_network``."""
    generator, about = load_generator(model)
    size = generator.size
    crop = crop_of(size)
    provenance = Hallucinator(generator, about={**about, "model": sha256_of(model)}).provenance()
    facts = {
        "pcfh.kind": "generator",
        "pcfh.size": str(size),
        "pcfh.crop": (
            f"{size} x {size} pixels, eye line horizontal; from the left and top edges, the middle between "
            f"the eyes lies at ({size / 2:g}, {crop.eyes_y:g}), that of the mouth's corners "
            f"{crop.eyes_to_mouth:g} below it"
        ),
    }
    return Network(
        module=GreyInput(generator).eval(),
        inputs={
            "nir": "aligned NIR crops, grey, pixel / 127.5 - 1, in [-1, 1]",
            "landmarks": "68 points (x, y) in pixels of the crop, whole numbers at pixel centres",
        },
        outputs={"vis": "RGB in [-1, 1], pixel = round((value + 1) * 127.5)"},
        facts={**provenance, "pcfh.version": __version__, **facts},
        batches=generator_batches(size),
    )


def recognizer_network(model: Path) -> Network:
    """Opens a Light CNN; see ``open_network``."""
    facts = {
        "Software": f"pcfh {__version__}",
        "Model": sha256_of(model),
        "pcfh.version": __version__,
        "pcfh.kind": "recognizer",
        "pcfh.size": str(LIGHTCNN.size),
    }
    draws = torch.Generator().manual_seed(0)
    return Network(
        module=UnitFeatures(load_recognizer(model)).eval(),
        inputs={"faces": "aligned crops, grey, pixel / 255, in [0, 1]"},
        outputs={"features": "of norm 1; their product is the cosine"},
        facts=facts,
        batches=tuple((torch.rand(b, 1, LIGHTCNN.size, LIGHTCNN.size, generator=draws),) for b in (2, 1, 3)),
        beside=RECOGNIZER_SETTINGS,
    )


def finder_network(size: int) -> Network:
    """The way from a photograph to the crop of a generator; see ``pcfh.landmarks.blaze_network``.

    Args:
        size: of the generator's images.

    Raises:
        UserError: the files of the landmark detector are not there.
    """
    detector, mesh = blaze_models(cache_folder())
    affine = np.linalg.inv(np.vstack([between_crops(size, LIGHTCNN.size), [0, 0, 1]]))[:2]
    shift = affine[:, 2] + 0.5 - affine[:, :2] @ (0.5, 0.5)  # Pillow counts from pixel edges
    facts = {
        "Software": f"pcfh {__version__}",
        "Model": f"{sha256_of(detector)} {sha256_of(mesh)}",
        "pcfh.version": __version__,
        "pcfh.kind": "finder",
        "pcfh.size": str(size),
        "pcfh.to_recognizer": " ".join(
            f"{value:.6f}" for row, last in zip(affine, shift, strict=True) for value in (*row[:2], last)
        ),
    }
    return Network(
        module=AsGenerator(FaceFinder(detector, mesh, crop_of(size))).eval(),
        inputs={"photograph": "RGB, bytes, height x width x 3"},
        outputs={
            "certainty": "that there is a face, 0 to 1; below one half there is none",
            "nir": "aligned crop, grey, pixel / 127.5 - 1, in [-1, 1]",
            "landmarks": "68 points (x, y) in pixels of the crop, whole numbers at pixel centres",
            "points": "68 points (x, y) in pixels of the photograph",
        },
        facts=facts,
        batches=tuple((torch.from_numpy(picture),) for picture in finder_pictures()),
        free=("height", "width"),
        tolerance=FINDER_TOLERANCE,
    )


def finder_pictures() -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Rendered photographs, as they are, in a larger picture, and turned by a right angle."""
    nir, vis, other = (read_image(FACES / f"{name}.jpg") for name in ("nir-00185", "vis-00176", "nir-00169"))
    yield nir
    yield np.pad(vis, ((120, 30), (40, 260), (0, 0)), mode="edge")
    yield np.ascontiguousarray(np.rot90(other)[20:])


def generator_batches(size: int) -> tuple[Inputs, ...]:
    """Noise with landmarks at arbitrary places, in the middle, and at and beyond the image's corners.

    In the last two batches all landmarks of a face are one whole pixel, so every part's corner is a tie of
    rounding.
    """
    draws = torch.Generator().manual_seed(0)
    anywhere = size * torch.rand(2, 68, 2, generator=draws)
    middle = torch.full((1, 68, 2), float(size // 2))
    corners = torch.tensor([(0, 0), (size - 1, 0), (size - 1, size - 1), (-size, 2 * size)]).float()
    points = (anywhere, middle, corners[:, None].repeat(1, 68, 1))
    return tuple((2 * torch.rand(len(p), 1, size, size, generator=draws) - 1, p) for p in points)


def onnx_bytes(network: Network, opset: int, facts: Mapping[str, str]) -> bytes:
    """The network as an ONNX file that says what it takes and gives."""
    with extra("export", "export to ONNX"):
        import onnxscript  # noqa: F401, PLC0415 - an optional extra that torch.onnx needs
    with _quiet():
        program = torch.onnx.export(
            _traced(network),
            network.batches[0],
            dynamo=True,
            verbose=False,
            opset_version=opset,
            input_names=list(network.inputs),
            output_names=list(network.outputs),
            dynamic_shapes={name: dict(enumerate(network.free)) for name in network.inputs},
        )
        assert program is not None
        model = program.model_proto
    written = next(entry.version for entry in model.opset_import if not entry.domain)
    if written != opset:
        raise UserError(f"PyTorch {torch.__version__} writes opset {written} here; leave --opset {opset} out")
    told = (*network.inputs.items(), *network.outputs.items())
    for value, (_, meaning) in zip((*model.graph.input, *model.graph.output), told, strict=True):
        value.doc_string = meaning
    for key, text in facts.items():
        model.metadata_props.add(key=key, value=text)
    data: bytes = model.SerializeToString()
    return data


def pt2_bytes(network: Network, facts: Mapping[str, str]) -> bytes:
    """The network as a file for ``torch.export.load``, with what it says about itself in ``pcfh.json``."""
    told = {**facts, "inputs": dict(network.inputs), "output": dict(network.outputs)}
    buffer = BytesIO()
    with _quiet():
        torch.export.save(_traced(network), buffer, extra_files={"pcfh.json": json.dumps(told)})
    return buffer.getvalue()


def onnx_runner(data: bytes, names: tuple[str, ...]) -> Run:
    """What runs an ONNX file on the processor, with as many threads as PyTorch."""
    with extra("export", "export to ONNX"):
        import onnxruntime  # noqa: PLC0415 - an optional extra
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])

    def run(inputs: Inputs) -> Inputs:
        feed = {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)}
        return tuple(torch.from_numpy(np.asarray(output)) for output in session.run(None, feed))

    return run


@torch.inference_mode()
def largest_difference(network: Network, run: Run) -> float:
    """The largest absolute difference from PyTorch's outputs, over all batches; NaN stays NaN."""
    differences = [
        (found - expected).abs().max()
        for batch in network.batches
        for found, expected in zip(run(batch), _several(network.module(*batch)), strict=True)
    ]
    return float(torch.stack(differences).max())


def _several(output: Tensor | Inputs) -> Inputs:
    return (output,) if isinstance(output, Tensor) else output


def _traced(network: Network) -> torch.export.ExportedProgram:
    longest = 4096 if network.free == ("batch",) else 16_384
    dims = dict(enumerate(torch.export.Dim(name, min=1, max=longest) for name in network.free))
    shapes = tuple(dims for _ in network.inputs)
    # Tensors that are made once and kept must not be made while tracing, when they are stand-ins.
    with torch.inference_mode():
        network.module(*network.batches[0])
    return torch.export.export(network.module, network.batches[0], dynamic_shapes=shapes)


def _pt2_runner(data: bytes) -> Run:
    """Runs a file of ``torch.export``."""
    with _quiet():
        module = torch.export.load(BytesIO(data)).module()
    return lambda inputs: _several(module(*inputs))


@contextmanager
def _quiet() -> Iterator[Any]:
    """Silences what the exporters log and warn about: packages they do without, and their own old code."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(before)
