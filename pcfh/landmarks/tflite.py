"""A TensorFlow Lite file as a PyTorch module, for export to other formats.

It knows the operations of BlazeFace and of the face mesh, no others. Inside, images are batch x channels x
height x width; what goes in and out is as in the file, channels last.

Axis letters: b batch, h and w height and width, c channels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pcfh.errors import UserError
from pcfh.extras import extra

_RELU = 1  # fused activations: 0 none, 1 ReLU


@dataclass(frozen=True)
class _Step:
    """One operation: what it computes from which tensors, and which one it gives."""

    compute: Callable[..., Tensor]
    inputs: tuple[int, ...]
    output: int


class TfliteNetwork(nn.Module):
    """The network of one file; see the module.

    Args:
        path: of the file.

    Raises:
        UserError: it has an operation that is not known here.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        with extra("landmarks", "reading a TensorFlow Lite file"):
            from ai_edge_litert import schema_py_generated as schema  # noqa: PLC0415 - an optional extra
        model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
        graph = model.subgraphs[0]
        names = {value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()}
        codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
        self._input, self._outputs = int(graph.inputs[0]), [int(i) for i in graph.outputs]
        constants = {
            i: array
            for i, tensor in enumerate(graph.tensors)
            if (array := _constant(tensor, model.buffers[tensor.buffer].data)) is not None
        }
        self._steps: list[_Step] = []
        for operator in graph.operators:
            name, inputs = names[codes[operator.opcodeIndex]], [int(i) for i in operator.inputs]
            output = int(operator.outputs[0])
            if name == "DEQUANTIZE":  # weights in half precision
                constants[output] = constants[inputs[0]].astype(np.float32)
                continue
            if name not in _OPERATIONS:
                raise UserError(f"{path}: the operation {name} is not known; use the file that came with it")
            arrays = [constants[i] for i in inputs if i in constants]
            compute = _OPERATIONS[name](operator.builtinOptions, arrays, self._keep)
            free = tuple(i for i in inputs if i not in constants)
            self._steps.append(_Step(compute, free, output))

    def forward(self, images: Float[Tensor, "b h w c"]) -> list[Tensor]:
        """The outputs in the file's order."""
        values = {self._input: images.permute(0, 3, 1, 2)}
        for step in self._steps:
            values[step.output] = step.compute(*(values[i] for i in step.inputs))
        outputs = (values[i] for i in self._outputs)
        return [value.permute(0, 2, 3, 1) if value.ndim == 4 else value for value in outputs]

    def _keep(self, array: np.ndarray) -> Callable[[], Tensor]:
        """Makes a constant part of the module; gives what looks it up."""
        name = f"constant_{len(self._buffers)}"
        self.register_buffer(name, torch.from_numpy(np.array(array, np.float32)))
        return lambda: getattr(self, name)


Keep = Callable[[np.ndarray], Callable[[], Tensor]]


def _constant(tensor: Any, data: Any) -> np.ndarray | None:
    """The value of a tensor that the file holds."""
    if data is None or not len(data):
        return None
    kinds = {0: np.float32, 1: np.float16, 2: np.int32}
    return np.frombuffer(bytes(data), kinds[tensor.type]).reshape(tensor.shape)


def _padded(x: Tensor, options: Any, kernel: tuple[int, int], value: float = 0.0) -> Tensor:
    """Borders as TensorFlow's SAME: the odd pixel comes last."""
    if options.padding != 0:  # VALID
        return x
    sides = []
    for length, k, stride in zip(
        x.shape[:1:-1], kernel[::-1], (options.strideW, options.strideH), strict=True
    ):
        total = max((-(-length // stride) - 1) * stride + k - length, 0)
        sides += [total // 2, total - total // 2]
    return F.pad(x, sides, value=value)


def _activated(x: Tensor, options: Any) -> Tensor:
    if options.fusedActivationFunction not in (0, _RELU):
        raise UserError("an activation other than ReLU is not known here")
    return F.relu(x) if options.fusedActivationFunction == _RELU else x


def _convolution(options: Any, arrays: list[np.ndarray], keep: Keep) -> Callable[..., Tensor]:
    weight, bias = keep(arrays[0].transpose(0, 3, 1, 2)), keep(arrays[1])
    kernel, stride = arrays[0].shape[1:3], (options.strideH, options.strideW)
    return lambda x: _activated(F.conv2d(_padded(x, options, kernel), weight(), bias(), stride), options)


def _depthwise(options: Any, arrays: list[np.ndarray], keep: Keep) -> Callable[..., Tensor]:
    weight, bias = keep(arrays[0].transpose(3, 0, 1, 2)), keep(arrays[1])
    kernel, stride, groups = arrays[0].shape[1:3], (options.strideH, options.strideW), arrays[0].shape[3]
    return lambda x: _activated(
        F.conv2d(_padded(x, options, kernel), weight(), bias(), stride, groups=groups), options
    )


def _prelu(options: Any, arrays: list[np.ndarray], keep: Keep) -> Callable[..., Tensor]:
    slope = keep(arrays[0].reshape(-1))
    return lambda x: F.prelu(x, slope())


def _relu(options: Any, arrays: list[np.ndarray], keep: Keep) -> Callable[..., Tensor]:
    return F.relu


def _add(options: Any, arrays: list[np.ndarray], keep: Keep) -> Callable[..., Tensor]:
    return lambda x, y: _activated(x + y, options)


def _pad(options: Any, arrays: list[np.ndarray], keep: Keep) -> Callable[..., Tensor]:
    rows = arrays[0].tolist()
    sides = [side for axis in (2, 1, 3, 0) for side in rows[axis]]  # last axis first: w, h, c, b
    return lambda x: F.pad(x, sides)


def _max_pool(options: Any, arrays: list[np.ndarray], keep: Keep) -> Callable[..., Tensor]:
    kernel = (options.filterHeight, options.filterWidth)
    return lambda x: F.max_pool2d(
        _padded(x, options, kernel, -torch.inf), kernel, (options.strideH, options.strideW)
    )


def _reshape(options: Any, arrays: list[np.ndarray], keep: Keep) -> Callable[..., Tensor]:
    shape = [int(n) for n in options.newShape][1:]  # the batch stays
    return lambda x: x.permute(0, 2, 3, 1).reshape(x.shape[0], *shape)


def _concatenation(options: Any, arrays: list[np.ndarray], keep: Keep) -> Callable[..., Tensor]:
    return lambda *parts: torch.cat(parts, options.axis)


_OPERATIONS: dict[str, Callable[[Any, list[np.ndarray], Keep], Callable[..., Tensor]]] = {
    "ADD": _add,
    "CONCATENATION": _concatenation,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "MAX_POOL_2D": _max_pool,
    "PAD": _pad,
    "PRELU": _prelu,
    "RELU": _relu,
    "RESHAPE": _reshape,
}
