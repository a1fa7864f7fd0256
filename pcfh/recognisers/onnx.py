"""Recognisers in ONNX files: ArcFace, AdaFace and whatever else takes a picture and gives a feature.

What such a file does not say lies in a small JSON file beside it, ``<model>.onnx.json``, or is given (by the
options --onnx-size and so on of pcfh evaluate):

    {"alignment": "arcface", "size": 112, "channels": "bgr", "mean": 127.5, "std": 127.5}

A pixel of 0 to 255 enters the network as (pixel - mean) / std. The network takes float32 of the shape batch,
channels, side, side.

Axis letters: b batch, c channels, d features, s side of a crop.
"""

import json
import math
import os
import re
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
import numpy as np
from jaxtyping import Float32, UInt8

from pcfh.databases.records import Modality
from pcfh.errors import UserError
from pcfh.extras import extra
from pcfh.files import sha256_of
from pcfh.images import grey
from pcfh.recognisers.alignment import Alignment
from pcfh.recognisers.base import l2_normalize
from pcfh.typed_json import from_json_text

Channels = Literal["rgb", "bgr", "grey"]
_LOCATION = re.compile(rb"\x0a\x08location\x12([\x01-\x7f])(.{1,127})", re.DOTALL)
_VERSION = "onnx-1"  # the number changes with the way features are made of the same file


_SECONDS_PER_FACE = 60.0  # thousands of times what a recogniser takes


@dataclass(frozen=True, kw_only=True)
class OnnxSettings:
    """How a model wants its faces; the defaults are those of InsightFace's ArcFace models.

    Attributes:
        alignment: "arcface" or "lightcnn"; the wrong one ruins the accuracy.
        size: side of the crop in pixels.
        channels: "rgb", "bgr" or "grey" (luma, one channel).
        mean: subtracted from pixels of 0 to 255.
        std: divides the difference.

    Raises:
        UserError: a value is not of its kind.
    """

    alignment: str = "arcface"
    size: int = 112
    channels: str = "rgb"
    mean: float = 127.5
    std: float = 127.5

    def __post_init__(self) -> None:
        """Refuses values that no model can have."""
        if self.channels not in get_args(Channels):
            known = ", ".join(get_args(Channels))
            raise UserError(f"no channels {self.channels!r} of an ONNX model; known: {known}")
        if not 16 <= self.size <= 1024:
            raise UserError(f"expected a size of 16 to 1024 pixels for an ONNX model, got {self.size}")
        if not (math.isfinite(self.mean) and math.isfinite(self.std) and self.std > 0):
            raise UserError(f"expected a finite mean and a positive std, got {self.mean} and {self.std}")
        Alignment(convention=self.alignment, size=self.size)

    @property
    def planes(self) -> int:
        """Channels that the network takes."""
        return 1 if self.channels == "grey" else 3


class OnnxRecognizer:
    """An ONNX model on the CPU.

    Args:
        session: of onnxruntime, whose inputs and outputs are as ``from_file`` requires.
        settings: how it wants its faces.
        name: what reports call it.
        key: text that stands for files and settings.
    """

    def __init__(self, session: Any, settings: OnnxSettings, *, name: str, key: str) -> None:
        self._session, self._settings = session, settings
        self._input, self._output = session.get_inputs()[0].name, session.get_outputs()[0].name
        self._one_by_one = session.get_inputs()[0].shape[0] == 1
        self.alignment = Alignment(convention=settings.alignment, size=settings.size)
        self.name, self.key = name, key

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Whether it is an ONNX model, by its name."""
        return path.suffix.lower() == ".onnx"

    @classmethod
    def from_file(
        cls, path: Path, *, device: str = "cpu", settings: Mapping[str, Any] | None = None
    ) -> "OnnxRecognizer":
        """Opens a model.

        Args:
            path: of the file.
            device: of no effect, it computes on the CPU.
            settings: fields of ``OnnxSettings``; what is absent is as the JSON file beside it says.

        Raises:
            UserError: onnxruntime is not installed, the file is absent, damaged or takes something else than
                the settings say.
        """
        if not path.is_file():
            raise UserError(f"{path}: no such file; give the path of an ONNX model")
        chosen = read_settings(path, settings or {})
        session = _session(path)
        _require_input(path, session, chosen)
        _require_output(path, session)
        text = json.dumps(asdict(chosen), sort_keys=True)
        digests = "-".join(map(sha256_of, (path, *external_files(path))))
        return cls(session, chosen, name=path.name, key=f"{_VERSION}-{digests}-{text}")

    def features(
        self, crops: UInt8[np.ndarray, "b s s 3"], modality: Modality = "VIS"
    ) -> Float32[np.ndarray, "b d"]:
        """Embeddings of crops cut as ``alignment`` says, NIR like VIS.

        Raises:
            UserError: the crops have another size, the network fails, or features are zero or not finite.
        """
        if crops.shape[1] != self._settings.size:
            raise UserError(
                f"{self.name}: expected crops of {self._settings.size} pixels, got {crops.shape[1]}; realign "
                "them to the recogniser's crop"
            )
        images = network_input(crops, self._settings)
        parts = np.split(images, len(images)) if self._one_by_one else [images]
        return l2_normalize(np.concatenate([self._run(part) for part in parts]), self.name)

    def _run(self, images: Float32[np.ndarray, "b c s s"]) -> Float32[np.ndarray, "b d"]:
        """The network itself."""
        options, late = _run_options(), threading.Event()

        def end() -> None:
            late.set()
            options.terminate = True

        timer = threading.Timer(_SECONDS_PER_FACE * len(images), end)
        timer.daemon = True
        timer.start()
        try:
            output: np.ndarray = self._session.run([self._output], {self._input: images}, options)[0]
        except Exception as error:  # onnxruntime has a dozen exceptions of no common kind
            if late.is_set():
                raise UserError(
                    f"{self.name}: the model has not ended after {_SECONDS_PER_FACE:g} seconds for each "
                    "face; it may hold a loop without end: take another one"
                ) from error
            raise UserError(f"{self.name}: the model fails on its input ({_line(error)})") from error
        finally:
            timer.cancel()
        if output.ndim != 2 or len(output) != len(images):
            raise UserError(
                f"{self.name}: expected one row of features per face, got {output.shape} for {len(images)} "
                "faces; use a model whose first output is the feature"
            )
        return output.astype(np.float32)


def read_settings(path: Path, given: Mapping[str, Any] | None = None) -> OnnxSettings:
    """Reads the JSON file beside a model; the defaults where there is none.

    Args:
        path: of the model.
        given: goes before what the file says.

    Raises:
        UserError: the file is no JSON object, or holds other things than the settings.
    """
    beside = path.with_name(f"{path.name}.json")
    if not beside.is_file():
        return OnnxSettings(**(given or {}))
    try:
        content = from_json_text(beside.read_bytes(), dict, "the settings of an ONNX model")
        unknown = content.keys() - {field.name for field in fields(OnnxSettings)}
        if unknown:
            raise UserError(f"no setting {min(unknown)!r}; known: {', '.join(asdict(OnnxSettings()))}")
        return msgspec.convert({**content, **(given or {})}, OnnxSettings)
    except (UserError, msgspec.ValidationError) as error:
        raise UserError(f"{beside}: {error}; mend or remove it") from error


def external_files(path: Path) -> list[Path]:
    """The files beside a model that hold weights of it, e.g. ``model.onnx.data``, in order.

    The model names them in entries of key "location"; they are found by the bytes of such an entry.
    """
    names = {found.group(2)[: found.group(1)[0]] for found in _LOCATION.finditer(path.read_bytes())}
    beside = (path.parent / os.fsdecode(name) for name in sorted(names))
    return [file for file in beside if file.is_file()]


def network_input(
    crops: UInt8[np.ndarray, "b s s 3"], settings: OnnxSettings
) -> Float32[np.ndarray, "b c s s"]:
    """Pixels as the network takes them."""
    match settings.channels:
        case "grey":
            pixels = np.stack([grey(crop) for crop in crops])
        case "bgr":
            pixels = crops[..., ::-1]
        case _:
            pixels = crops
    values = (pixels.astype(np.float32) - np.float32(settings.mean)) / np.float32(settings.std)
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))


def _run_options() -> Any:
    """Through which a run can be ended."""
    import onnxruntime  # noqa: PLC0415 - an optional extra

    return onnxruntime.RunOptions()


def _session(path: Path) -> Any:
    """Opens a model with onnxruntime."""
    with extra("onnx", f"the ONNX model {path}"):
        import onnxruntime  # noqa: PLC0415 - an optional extra
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what fails is raised; its log lines would come on top
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a dozen exceptions of no common kind
        raise UserError(f"{path}: damaged, or not an ONNX model ({_line(error)}); fetch it again") from error


def _require_input(path: Path, session: Any, settings: OnnxSettings) -> None:
    """Refuses a model that takes something else than the settings say."""
    inputs = session.get_inputs()
    shape = inputs[0].shape
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(shape) != 4:
        raise UserError(
            f"{path}: expected one float32 input of batch x channels x side x side, got "
            f"{', '.join(f'{i.type} {i.shape}' for i in inputs)}; export the recogniser so"
        )
    wanted = (None, settings.planes, settings.size, settings.size)
    fixed = [(have, want) for have, want in zip(shape, wanted, strict=True) if isinstance(have, int)]
    if any(want is not None and have != want for have, want in fixed):
        raise UserError(
            f"{path}: takes {shape[1]} x {shape[2]} x {shape[3]} (channels, height, width), but the settings "
            f"say {settings.channels} of size {settings.size}; correct --onnx-size and --onnx-channels, or "
            f"{path.name}.json"
        )
    if isinstance(shape[0], int) and shape[0] != 1:
        raise UserError(
            f"{path}: takes exactly {shape[0]} faces at once; export it with a free batch, or one"
        )


def _require_output(path: Path, session: Any) -> None:
    """Refuses a model whose first output is no row of numbers per face."""
    output = session.get_outputs()[0]
    if output.type != "tensor(float)" or (output.shape and len(output.shape) != 2):
        raise UserError(
            f"{path}: expected a first output of batch x features in float32, got {output.type} "
            f"{output.shape}; export the model without what comes after the feature"
        )


def _line(error: Exception) -> str:
    """The first line of an error's text, shortened."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


RECOGNISER = OnnxRecognizer
