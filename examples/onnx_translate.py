"""Translates an aligned NIR crop with an exported generator; needs onnxruntime, numpy and pillow alone.

    pcfh export generator.onnx
    python onnx_translate.py generator.onnx crop.png landmarks.txt vis.png

crop.png has the generator's size; landmarks.txt holds 68 lines "x y" in pixels of the crop.
"""

import sys

import numpy as np
import onnxruntime
from PIL import Image
from PIL.PngImagePlugin import PngInfo


def main(model: str, crop: str, landmarks: str, out: str) -> None:
    """Reads, translates and writes one face."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    nir = np.asarray(Image.open(crop).convert("L"), np.float32) / 127.5 - 1
    points = np.loadtxt(landmarks, np.float32)
    (vis,) = session.run(None, {"nir": nir[None, None], "landmarks": points[None]})
    pixels = ((vis[0].transpose(1, 2, 0) + 1) * 127.5).round().clip(0, 255).astype(np.uint8)
    marks = PngInfo()  # the file says that the face is synthetic, and so must the picture
    for key, text in session.get_modelmeta().custom_metadata_map.items():
        marks.add_text(key, text)
    Image.fromarray(pixels).save(out, pnginfo=marks)


if __name__ == "__main__":
    main(*sys.argv[1:])
