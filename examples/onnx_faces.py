"""A near-infrared photograph to a visible-light face and a score, by onnxruntime, numpy and pillow alone.

    pcfh export product/
    python onnx_faces.py product/ probe.png face.png --reference anna.jpg

face.png is the generated face; the scores say how alike the probe is to the person on the reference, a
photograph in visible light: higher is more alike, and fused is that of the mean of both features.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

LONGEST = 1024  # pixels of a photograph's longer side; larger ones are shrunk


def opened(folder: Path, name: str) -> onnxruntime.InferenceSession:
    """A network of the folder."""
    path = folder / f"{name}.onnx"
    if not path.is_file():
        sys.exit(f"{path}: no such file; make it by: pcfh export {folder}")
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def found(finder: onnxruntime.InferenceSession, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The aligned crop of the surest face of a photograph, as the generator takes it, and its landmarks."""
    try:
        photograph = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    except OSError as error:
        sys.exit(f"{path}: not a picture that can be read ({error})")
    photograph.thumbnail((LONGEST, LONGEST))
    certainty, crop, landmarks, _ = finder.run(None, {"photograph": np.asarray(photograph)})
    if certainty < 0.5:
        sys.exit(f"{path}: no face was found; take a picture with a larger face")
    return crop, landmarks


def picture(values: np.ndarray) -> Image.Image:
    """Values in [-1, 1], channels first, as a picture."""
    pixels = ((values.transpose(1, 2, 0) + 1) * 127.5).round().clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def main() -> None:
    """Reads the arguments, writes the face, prints the scores."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", type=Path, help="folder that pcfh export wrote")
    parser.add_argument("probe", type=Path, help="near-infrared photograph")
    parser.add_argument("face", type=Path, help="PNG file to write")
    parser.add_argument("--reference", type=Path, help="visible-light photograph to compare with")
    options = parser.parse_args()
    finder, generator, recognizer = (
        opened(options.networks, n) for n in ("finder", "generator", "recognizer")
    )
    matrix = [
        float(text) for text in finder.get_modelmeta().custom_metadata_map["pcfh.to_recognizer"].split()
    ]

    def feature(face: Image.Image) -> np.ndarray:
        cut = face.convert("L").transform(
            (128, 128), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC
        )
        return recognizer.run(None, {"faces": np.asarray(cut, np.float32)[None, None] / 255})[0][0]

    nir, landmarks = found(finder, options.probe)
    (vis,) = generator.run(None, {"nir": nir, "landmarks": landmarks})
    marks = PngInfo()  # the file says that the face is synthetic, and so must the picture
    for key, text in generator.get_modelmeta().custom_metadata_map.items():
        marks.add_text(key, text)
    picture(vis[0]).save(options.face, "PNG", pnginfo=marks)
    if options.reference:
        reference = feature(picture(found(finder, options.reference)[0][0]))
        both = [feature(picture(x[0])) for x in (nir, vis)]
        fused = (both[0] + both[1]) / np.linalg.norm(both[0] + both[1])
        original, generated, score = (float(x @ reference) for x in (*both, fused))
        print(f"original {original:.4f}  generated {generated:.4f}  fused {score:.4f}")


if __name__ == "__main__":
    main()
