"""The command that writes a trained network in a format for other programs."""

import sys
from collections.abc import Sequence
from pathlib import Path

from pcfh.errors import UserError
from pcfh.export import OPSET, Exported, export_product
from pcfh.export import export as run_export
from pcfh.shipped import generator_at, shipped


def export(
    out: Path, *, model: Path | None = None, recognizer: Path | None = None, opset: int = OPSET
) -> int:
    """Write networks as ONNX or as torch.export file; their output is compared first.

    Into a folder go the three that lead from a photograph to a face and a score: finder.onnx (detector,
    landmarks and alignment), generator.onnx and recognizer.onnx; examples/onnx_faces.py runs them without
    PyTorch. What goes in and comes out stands in the files and in docs/export.md. Beside a recogniser's ONNX
    file its settings are written as OUT.json, so that the other commands take it.

    Args:
        out: file to write, .onnx or .pt2, for one network; else a folder for all three.
        model: generator.safetensors, recognizer.safetensors or Light CNN checkpoint; the shipped generator
            for photographs if not given, the word generator for the first one. For a folder, the generator.
        recognizer: for a folder, the Light CNN; the shipped one if not given.
        opset: version of ONNX's operators, 18 to 23.
    """
    one = out.suffix in (".onnx", ".pt2")
    if one and recognizer is not None:
        raise UserError("--recognizer: goes with a folder; give a recogniser alone as --model")
    if out.suffix and not one:
        raise UserError(f"{out}: expected a name that ends in .onnx or .pt2, or that of a folder")
    print("Converting and comparing; this takes a minute or so.", file=sys.stderr)
    if one:
        return _say([run_export(generator_at(model), out, opset=opset)])
    chosen = {"generator": generator_at(model), "recognizer": recognizer or shipped("recognizer")}
    return _say(export_product(out, **chosen, opset=opset))


def _say(written: Sequence[Exported]) -> int:
    for one in written:
        print(f"Written: {one.path} ({one.facts['pcfh.kind']}, {one.facts['pcfh.size']} pixels)")
        print(
            f"Largest difference from PyTorch: {one.difference:.1e}, on batches of {', '.join(one.batches)}"
        )
    return 0
