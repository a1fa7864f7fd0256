"""The command that writes a trained network in a format for other programs."""

import sys
from pathlib import Path

from pcfh.export import OPSET
from pcfh.export import export as run_export
from pcfh.shipped import shipped


def export(out: Path, *, model: Path | None = None, opset: int = OPSET) -> int:
    """Write a generator or a recogniser as ONNX or as torch.export file; its output is compared first.

    The batch is free. What goes in and comes out stands in the file and in docs/export.md. Beside a
    recogniser's ONNX file its settings are written as OUT.json, so that the other commands take it.

    Args:
        out: file to write, .onnx or .pt2.
        model: generator.safetensors, recognizer.safetensors or Light CNN checkpoint; the shipped generator
            if not given.
        opset: version of ONNX's operators, 18 to 23.
    """
    print("Converting and comparing; this takes a minute or so.", file=sys.stderr)
    written = run_export(model or shipped("generator"), out, opset=opset)
    sizes = ", ".join(map(str, written.batches))
    print(f"Written: {written.path} ({written.facts['pcfh.kind']}, {written.facts['pcfh.size']} pixels)")
    print(f"Largest difference from PyTorch: {written.difference:.1e}, on batches of {sizes}")
    return 0
