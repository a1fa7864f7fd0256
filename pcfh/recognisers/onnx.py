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
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float32, UInt8

from pcfh.errors import UserError
from pcfh.extras import extra
from pcfh.files import sha256_of
from pcfh.images import grey
from pcfh.recognisers.alignment import Alignment
from pcfh.recognisers.unit import unit_rows

Channels = Literal["rgb", "bgr", "grey"]
_VERSION = "onnx-1"  # the number changes with the way features are made of the same file


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
        key: text that stands for file and settings.
    """

    def __init__(self, session: Any, settings: OnnxSettings, *, name: str, key: str) -> None:
        self._session, self._settings = session, settings
        self._input, self._output = session.get_inputs()[0].name, session.get_outputs()[0].name
        self._one_by_one = session.get_inputs()[0].shape[0] == 1
        self.alignment = Alignment(convention=settings.alignment, size=settings.size)
        self.name, self.key = name, key

    @classmethod
    def from_file(cls, path: Path, *, settings: OnnxSettings | None = None) -> "OnnxRecognizer":
        """Opens a model.

        Args:
            path: of the file.
            settings: read from the JSON file beside it where not given, the defaults if there is none.

        Raises:
            UserError: onnxruntime is not installed, the file is absent, damaged or takes something else than
                the settings say.
        """
        if not path.is_file():
            raise UserError(f"{path}: no such file; give the path of an ONNX model")
        settings = settings or read_settings(path)
        session = _session(path)
        _require_input(path, session, settings)
        _require_output(path, session)
        text = json.dumps(asdict(settings), sort_keys=True)
        return cls(session, settings, name=path.name, key=f"{_VERSION}-{sha256_of(path)}-{text}")

    def features(self, crops: UInt8[np.ndarray, "b s s 3"]) -> Float32[np.ndarray, "b d"]:
        """Unit features of crops cut as ``alignment`` says.

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
        return unit_rows(np.concatenate([self._run(part) for part in parts]), self.name)

    def _run(self, images: Float32[np.ndarray, "b c s s"]) -> Float32[np.ndarray, "b d"]:
        """The network itself."""
        try:
            output: np.ndarray = self._session.run([self._output], {self._input: images})[0]
        except Exception as error:  # onnxruntime has a dozen exceptions of no common kind
            raise UserError(f"{self.name}: the model fails on its input ({_line(error)})") from error
        if output.ndim != 2 or len(output) != len(images):
            raise UserError(
                f"{self.name}: expected one row of features per face, got {output.shape} for {len(images)} "
                "faces; use a model whose first output is the feature"
            )
        return output.astype(np.float32)


def read_settings(path: Path) -> OnnxSettings:
    """Reads the JSON file beside a model; the defaults where there is none.

    Raises:
        UserError: it is no JSON object, or holds other things than the settings.
    """
    beside = path.with_name(f"{path.name}.json")
    if not beside.is_file():
        return OnnxSettings()
    try:
        content = json.loads(beside.read_bytes())
    except ValueError as error:
        raise UserError(f"{beside}: is no JSON ({error}); mend or remove it") from error
    try:
        return OnnxSettings(**_typed(content))
    except UserError as error:
        raise UserError(f"{beside}: {error}") from error


def settings_with(path: Path, **given: str | int | float | None) -> OnnxSettings:
    """The settings beside a model, or the defaults, with some of them replaced.

    Args:
        path: of the model.
        **given: fields of ``OnnxSettings``; None leaves one as it is.

    Raises:
        UserError: a value is not of its kind, or as in ``read_settings``.
    """
    values = asdict(read_settings(path)) | {name: v for name, v in given.items() if v is not None}
    return OnnxSettings(**values)


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


def _typed(content: Any) -> dict[str, Any]:
    """The values of a JSON object as the settings want them; numbers may be whole or not."""
    kinds: Mapping[str, Any] = {field.name: field.type for field in fields(OnnxSettings)}
    if not isinstance(content, dict) or not content.keys() <= kinds.keys():
        raise UserError(f"expected an object with only {', '.join(kinds)}")
    values = {k: float(v) if kinds[k] is float and type(v) is int else v for k, v in content.items()}
    wrong = [key for key, value in values.items() if type(value) is not kinds[key]]
    if wrong:
        raise UserError(f"{wrong[0]}: expected a {kinds[wrong[0]].__name__}, got {content[wrong[0]]!r}")
    return values


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
