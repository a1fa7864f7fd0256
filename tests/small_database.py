"""A small database for tests: a few people of the rendered sample, made smaller and numbered from 1.

s1/NIR/<id>/<n>.png, s1/VIS/<id>/<n>.png     three captures of each person in each light
truth/s1/NIR/<id>/<n>.png                    the VIS image of the moment of each NIR capture
landmarks68.csv, protocols/                  one protocol, "1": the first half trains, the others test
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pcfh.databases.records import LANDMARKS_FILE
from pcfh.files import write_atomically
from pcfh.images import write_png
from pcfh.landmarks.given import read_landmarks, write_landmarks

SAMPLE = Path(__file__).parents[1] / "samples" / "NIR-VIS-2.0"
CAPTURES = (1, 2, 3)


def write_small_database(root: Path, *, people: int = 6, size: int = 96) -> None:
    """Writes square pictures of ``size`` pixels of up to twelve people; ``read_casia`` reads them."""
    known, landmarks = read_landmarks(SAMPLE / LANDMARKS_FILE), {}
    sources = [folder.name for folder in sorted((SAMPLE / "s1/NIR").iterdir())[:people]]
    names = [f"{number:05d}" for number in range(1, people + 1)]
    for person, source in zip(names, sources, strict=True):
        for n in CAPTURES:
            nir = f"s1/NIR/{source}/{n:03d}"
            # The sample has two VIS captures of a person: the true image of a NIR capture is the third.
            vis, vis_points = (f"s1/VIS/{source}/{n:03d}",) * 2 if n < 3 else (f"truth/{nir}", nir)
            for modality, picture, points in (("NIR", nir, nir), ("VIS", vis, vis_points)):
                path = f"s1/{modality}/{person}/{n:03d}.png"
                scale = _write_smaller(root / path, SAMPLE / f"{picture}.jpg", size)
                landmarks[path] = (known[points.lower()] + 0.5) * scale - 0.5
            _write_smaller(root / f"truth/s1/NIR/{person}/{n:03d}.png", SAMPLE / f"truth/{nir}.jpg", size)
    _write_lists(root / "protocols", names[: people // 2], names[people // 2 :])
    write_landmarks(root / LANDMARKS_FILE, landmarks)


def _write_smaller(path: Path, source: Path, size: int) -> float:
    """Writes a picture smaller; returns by how much."""
    with Image.open(source) as image:
        small = np.asarray(image.resize((size, size), Image.Resampling.BOX))
        write_png(path, small.reshape(size, size, -1), {})
        return size / image.width


def _write_lists(folder: Path, train: Sequence[str], test: Sequence[str]) -> None:
    """The four lists, with the backslashes and line ends of the original."""
    lists = {
        "vis_train_1.txt": [rf"s1\VIS\{person}\{n:03d}.png" for person in train for n in CAPTURES],
        "nir_train_1.txt": [rf"s1\NIR\{person}\{n:03d}.png" for person in train for n in CAPTURES],
        "vis_gallery_1.txt": [rf"s1\VIS\{person}\001.png" for person in test],
        "nir_probe_1.txt": [rf"s1\NIR\{person}\{n:03d}.png" for person in test for n in CAPTURES],
    }
    for name, lines in lists.items():
        write_atomically(folder / name, "".join(f"{line}\r\n" for line in lines).encode())
