"""Miniature databases: drawn pictures, faces by formula, and all the dirt of the real ones."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SHARED = Path(__file__).parents[3] / "shared"


def face_points(centre=(40.0, 40.0), scale=1.0, turn=0.0):
    """68 points of a schematic frontal face; scale 1 is 30 pixels from eye to eye."""
    angle = np.linspace(0, np.pi, 17)
    jaw = np.stack([-34 * np.cos(angle), 5 + 40 * np.sin(angle)], 1)
    brows = [(s * x, -20) for s in (-1, 1) for x in ((25, 20, 15, 10, 5) if s < 0 else (5, 10, 15, 20, 25))]
    nose = [(0, -8), (0, -3), (0, 2), (0, 6), (-6, 10), (-3, 11), (0, 12), (3, 11), (6, 10)]
    hexagon = [(-5, 0), (-2, -2), (2, -2), (5, 0), (2, 2), (-2, 2)]
    eyes = [(x + s * 15, y - 10) for s in (-1, 1) for x, y in hexagon]
    outer = [(-12 * np.cos(a), 22 - 5 * np.sin(a)) for a in np.arange(12) * np.pi / 6]
    inner = [(-8 * np.cos(a), 22 - 2 * np.sin(a)) for a in np.arange(8) * np.pi / 4]
    points = np.concatenate([jaw, brows, nose, eyes, outer, inner])
    cos, sin = np.cos(turn), np.sin(turn)
    return points * scale @ np.array([[cos, sin], [-sin, cos]]) + centre


def draw(path, *, seed=0, grey=False, size=(90, 80)):
    """A smooth random picture of its own for each seed."""
    width, height = size
    small = np.random.default_rng(seed).integers(30, 220, (6, 6, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    path.parent.mkdir(parents=True, exist_ok=True)
    (image.convert("L") if grey else image).save(path)


def write_list(path, lines, newline="\r\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{line}{newline}" for line in lines).encode())


@pytest.fixture
def face():
    return face_points


@pytest.fixture
def drawn():
    return draw


@pytest.fixture
def listed():
    return write_list


@pytest.fixture
def casia(tmp_path):
    """Two training people (one in two sessions), two test people; lists as the original's: backslashes, CRLF,
    and NIR listed as .bmp while the files are .jpg."""
    home = tmp_path / "NIR-VIS-2.0"
    seed = 0
    for person, session in (
        ("00001", "s1"),
        ("00001", "s2"),
        ("00002", "s1"),
        ("00003", "s1"),
        ("00004", "s3"),
    ):
        for n in (1, 2):
            draw(home / session / "VIS" / person / f"00{n}.jpg", seed=seed)
            draw(home / session / "NIR" / person / f"00{n}.jpg", seed=seed + 1, grey=True)
            seed += 2
    train = [(s, p, n) for s, p in (("s1", "00001"), ("s2", "00001"), ("s1", "00002")) for n in (1, 2)]
    test = [(s, p, n) for s, p in (("s1", "00003"), ("s3", "00004")) for n in (1, 2)]
    for fold in ("1", "2", "10", "dev"):
        lists = home / "protocols"
        write_list(lists / f"nir_train_{fold}.txt", [rf"{s}\NIR\{p}\00{n}.bmp" for s, p, n in train])
        write_list(lists / f"vis_train_{fold}.txt", [rf"{s}\VIS\{p}\00{n}.jpg" for s, p, n in train])
        write_list(lists / f"vis_gallery_{fold}.txt", [rf"{s}\VIS\{p}\001.jpg" for s, p, n in test if n == 1])
        write_list(lists / f"nir_probe_{fold}.txt", [rf"{s}\NIR\{p}\00{n}.bmp" for s, p, n in test])
    return home


@pytest.fixture(scope="session")
def sketch60():
    folder = SHARED / "databases" / "sketch60"
    if not folder.is_dir():
        pytest.skip("the rendered sample of 60 people is not here")
    return folder
