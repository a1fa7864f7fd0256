"""Miniature databases: drawn pictures, faces by formula, and all the dirt of the real ones."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SHARED = Path(__file__).parents[2] / "shared"


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


OULU_EXPRESSIONS = ("Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise")


def build_oulu(root, *, people=(1, 2, 51, 52, 53, 54), frames=10, name="{c}/{l}/P{p:03}/{e}/{n:03}.jpeg"):
    """Empty files: the reader of this layout opens none. Frames begin at 0, other lights have one."""
    for c in ("NI", "VL"):
        for light, count in (("Strong", frames), ("Weak", 1), ("Dark", 1)):
            for p in people:
                for e in OULU_EXPRESSIONS:
                    for n in range(count):
                        path = root / name.format(c=c, l=light, p=p, e=e, n=n)
                        path.parent.mkdir(parents=True, exist_ok=True)
                        path.touch()
    return root


def build_buaa(root, *, people=6, shots=3, extra=1, nir_is_even=True, nir_channels=1):
    """Shots of numbers 2k - 1 and 2k, then more VIS pictures; one seed a picture."""
    for person in range(1, people + 1):
        for number in range(1, 2 * shots + extra + 1):
            nir = number <= 2 * shots and (number % 2 == 0) == nir_is_even
            path = root / f"{person}" / f"{number}.bmp"
            draw(path, seed=100 * person + number, grey=nir, size=(24, 24))
            if nir and nir_channels == 3:
                Image.open(path).convert("RGB").save(path)
    return root


def build_lamphq(home, *, lists="Protocols", header=True, folders=True):
    """People 11 and 12 train, 21 and 22 are tested; two folds; lists with backslashes, CRLF and .bmp."""
    for person in (11, 12, 21, 22):
        for n in range(3):
            for modality in ("NIR", "VIS"):
                path = home / modality / f"{person:04}" / f"{n}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
    for fold, (train, test) in {1: ((11, 12), (21, 22)), 2: ((21, 22), (11, 12))}.items():
        for role, people, numbers in (
            ("train_nir", train, (0, 1, 2)),
            ("train_vis", train, (0, 1, 2)),
            ("gallery_vis", test, (0,)),
            ("probe_nir", test, (0, 1, 2)),
        ):
            modality = role[-3:].upper()
            lines = [rf"{modality}\{p:04}\{n}.bmp {p}" for p in people for n in numbers]
            part = ("train" if role.startswith("train") else "test") if folders else "."
            place = home / lists / part / f"{role}{fold}.txt"
            write_list(place, [*(["path label"] if header else []), *lines])
    return home


def build_tufts(root, *, people=range(1, 8), infrared=("NIR_A",), sets=False):
    """Photographs E 1 and 2, A 1_0, and three infrared pictures of each series; empty files."""
    for p in people:
        where = f"_Set{p % 2 + 1}" if sets else ""
        names = [f"TD_RGB_E{where}/{p}/TD_RGB_E_{n}.jpg" for n in (2, 1)]
        names += [f"TD_RGB_A{where}/{p}/TD_RGB_A_1_0.jpg"]
        names += [f"TD_{kind}{where}/{p}/TD_{kind}_{n}.jpg" for kind in infrared for n in (1, 2, 3)]
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).touch()
    return root


@pytest.fixture
def oulu(tmp_path):
    return build_oulu(tmp_path / "Oulu_CASIA_NIR_VIS")


@pytest.fixture
def buaa(tmp_path):
    return build_buaa(tmp_path / "BUAA")


@pytest.fixture
def lamphq(tmp_path):
    return build_lamphq(tmp_path / "LAMP_HQ")


@pytest.fixture
def captures(tmp_path):
    """Captures in the layout of CASIA NIR-VIS 2.0, without its lists; empty files."""
    for name in ("NIR/00001/001.bmp", "VIS/00001/001.jpg", "VIS/00007/002.JPG", "VIS/00007/notes.txt"):
        path = tmp_path / "faces" / "NIR-VIS-2.0" / "s1" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "faces" / "NIR-VIS-2.0"


@pytest.fixture
def tufts(tmp_path):
    return build_tufts(tmp_path / "Tufts")


@pytest.fixture
def builders():
    """The builders of miniature databases by layout."""
    return {"oulu": build_oulu, "buaa": build_buaa, "lamp-hq": build_lamphq, "tufts": build_tufts}


@pytest.fixture(scope="session")
def sketch60():
    folder = SHARED / "databases" / "sketch60"
    if not folder.is_dir():
        pytest.skip("the rendered sample of 60 people is not here")
    return folder
