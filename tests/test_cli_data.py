"""``pcfh inspect``, and ``pcfh prepare --database``."""

import numpy as np
import pytest
from PIL import Image

from pcfh.landmarks.given import read_landmarks, write_landmarks
from pcfh.preparation.manifest import open_prepared, read_manifest

EXPRESSIONS = ("Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise")


@pytest.fixture(scope="module")
def oulu(tmp_path_factory):
    """All 80 people in strong light, eight empty frames each; read only."""
    root = tmp_path_factory.mktemp("Oulu_CASIA_NIR_VIS")
    for camera in ("NI", "VL"):
        for person in range(1, 81):
            for expression in EXPRESSIONS:
                folder = root / camera / "Strong" / f"P{person:03}" / expression
                folder.mkdir(parents=True)
                for n in range(8):
                    (folder / f"{n:03}.jpeg").touch()
    return root


@pytest.fixture
def buaa(tmp_path, drawn_database):
    """Six people in the layout of BUAA-VisNir, one shot each, with their landmarks."""
    given = read_landmarks(drawn_database / "landmarks68.csv")
    points = {}
    for person in range(1, 7):
        for number, kind in ((1, "VIS"), (2, "NIR")):
            (tmp_path / "buaa" / f"{person}").mkdir(parents=True, exist_ok=True)
            with Image.open(drawn_database / f"s1/{kind}/0000{person}/001.png") as image:
                image.save(tmp_path / "buaa" / f"{person}" / f"{number}.bmp")
            points[f"{person}/{number}.bmp"] = given[f"s1/{kind.lower()}/0000{person}/001"]
    write_landmarks(tmp_path / "buaa" / "landmarks68.csv", points)
    return tmp_path / "buaa"


def test_inspect_sets_found_beside_expected_and_exits_with_0_where_they_agree(run, oulu):
    code, out, err = run("inspect", oulu)
    assert (code, err) == (0, "")
    table = [line.split() for line in out.splitlines()[2:7]]
    assert table == [
        ["protocol", "part", "people", "NIR", "VIS", "captures"],
        ["all", "all", "80", "/", "80", "3,840", "3,840", "7,680"],
        ["1", "train", "20", "/", "20", "960", "/", "960", "960", "/", "960", "1,920"],
        ["1", "gallery", "20", "/", "20", "0", "960", "/", "960", "960"],
        ["1", "probe", "20", "/", "20", "960", "/", "960", "0", "960"],
    ]
    assert out.startswith(f"Oulu-CASIA NIR-VIS in {oulu}\n")
    assert "there is no official list" in out


def test_inspect_exits_with_1_where_counts_differ_and_says_what_is_missing(run, drawn_database):
    code, out, err = run("inspect", drawn_database)
    assert (code, err) == (1, "")
    assert "protocol 1, probe: expected 6,208 NIR captures, found 9 (6,199 missing)" in out
    assert "lists of protocols are absent: 2, 3, 4, 5, 6, 7, 8, 9, 10, dev" in out


def test_inspect_prints_the_notes_of_the_reader(run, oulu, tmp_path):
    (tmp_path / "g.txt").write_text("VL/Strong/P001/Anger/000.jpeg\nVL/Strong/P001/Anger/999.jpeg\n")
    _, out, _ = run("inspect", oulu, "--gallery-list", tmp_path / "g.txt")
    assert "g.txt: 1 of 2 listed files are not on disk and left out: VL/Strong/P001/Anger/999.jpeg" in out


def test_own_lists_are_compared_with_nothing(run, oulu, tmp_path):
    (tmp_path / "g.txt").write_text("VL/Strong/P001/Anger/000.jpeg\n")
    (tmp_path / "p.csv").write_text("NI/Strong/P001/Anger/000.jpeg,P001\nNI/Strong/P002/Fear/000.jpeg,P002\n")
    code, out, _ = run(
        "inspect", oulu, "--gallery-list", tmp_path / "g.txt", "--probe-list", tmp_path / "p.csv"
    )
    assert code == 0
    assert ["own", "probe", "1", "1", "0", "1"] in [line.split() for line in out.splitlines()]
    assert "protocol own: 1 probes of 1 people who are not enrolled are left out (P002)" in out


def test_the_layout_may_be_named_and_is_checked(run, oulu):
    code, out, err = run("inspect", oulu, "--layout", "buaa")
    assert (code, out) == (2, "")
    assert "expected pictures such as 1/2.bmp, found e.g. NI/Strong/P001" in err


def test_the_seed_and_the_light_reach_the_reader(run, oulu):
    code, out, err = run("inspect", oulu, "--seed", "9", "--illumination", "Weak")
    assert (code, out) == (2, "")
    assert err == "pcfh: no frames of illumination 'Weak'; the database has: Strong\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [("gone", "no such folder"), ("empty", "the folder is empty"), ("odd", "of no known layout")],
)
def test_a_folder_that_is_no_database_is_one_line(run, tmp_path, name, text):
    (tmp_path / "empty").mkdir()
    (tmp_path / "odd" / "holiday").mkdir(parents=True)
    code, out, err = run("inspect", tmp_path / name)
    assert (code, out) == (2, "")
    assert text in err and err.count("\n") == 1


def test_prepare_takes_a_database_of_any_layout_with_its_landmarks(run, buaa, tmp_path):
    code, out, _ = run(
        *("prepare", tmp_path / "out", "--database", buaa, "--backend", "given", "--sizes", "64"),
        *("--workers", "1"),
    )
    assert code == 0, out
    protocol = open_prepared(tmp_path / "out", 64).protocol("1")
    assert [len(part) for part in (protocol.train, protocol.gallery, protocol.probe)] == [4, 4, 4]
    assert read_manifest(tmp_path / "out").layout == "buaa"


def test_prepare_leaves_out_what_no_protocol_uses(run, buaa, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (20, 20, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buaa / "1" / "3.bmp")
    code, out, _ = run(
        *("prepare", tmp_path / "out", "--database", buaa, "--backend", "given", "--sizes", "64"),
        *("--workers", "1"),
    )
    assert (code, out.partition("\n")[0]) == (0, "12 captures kept, 0 dropped")


def test_prepare_takes_own_lists_with_a_database(run, buaa, tmp_path):
    (tmp_path / "t.txt").write_text("1/1.bmp\n1/2.bmp\n")
    code, _, _ = run(
        *(
            "prepare",
            tmp_path / "out",
            "--database",
            buaa,
            "--layout",
            "buaa",
            "--train-list",
            tmp_path / "t.txt",
        ),
        *("--backend", "given", "--sizes", "64", "--workers", "1"),
    )
    assert code == 0
    assert len(open_prepared(tmp_path / "out", 64).protocol("own").train) == 2


def test_prepare_wants_one_database(run, buaa, tmp_path):
    code, _, err = run("prepare", tmp_path / "out", "--database", buaa, "--casia", buaa)
    assert code == 2
    assert err.startswith("pcfh: name one database: ") and "--database DIR [--layout NAME]" in err
