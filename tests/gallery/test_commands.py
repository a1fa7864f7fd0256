"""The commands of ``pcfh gallery``, with a reader of faces without trained weights."""

import numpy as np
import pytest
from PIL import Image

from pcfh.cli import gallery_options
from pcfh.gallery.entries import SCORES


@pytest.fixture
def photos(tmp_path):
    """Two photographs of each of 12 people."""
    for i in range(24):
        path = tmp_path / "photos" / f"P{i // 2}" / f"{i % 2}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i // 2).integers(0, 256, (96, 96, 3))
        noise = np.random.default_rng(100 + i).integers(-30, 30, (96, 96, 3))
        Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8)).save(path)
    return tmp_path / "photos"


@pytest.fixture(autouse=True)
def networks(monkeypatch, reader):
    monkeypatch.setattr(gallery_options.Networks, "reader", lambda options: reader)


def test_people_are_enrolled_searched_compared_and_removed(run, uri, photos, tmp_path):
    (photos / "bad.png").write_text("text")
    code, out, err = run("gallery", "enrol", uri, photos)
    assert (code, out) == (1, f"24 photographs enrolled in {uri}, 0 were there already\n")
    assert f"{photos / 'bad.png'}: not a whole image" in err

    assert run("gallery", "list", uri)[1].splitlines()[2].split()[:2] == ["P0", "2"]
    code, out, _ = run("gallery", "calibrate", uri, "--far", "0.05")
    assert "from all 24 faces: 264 pairs of 12 people" in out
    code, _, err = run("gallery", "calibrate", uri, "--far", "0.001")
    assert (code, "needs at least 1000 impostor pairs, got 264" in err) == (2, True)

    probe = photos / "P3" / "0.png"
    code, out, _ = run("gallery", "search", uri, probe, "--visible", "--top", 12, "--far", "0.05")
    lines = out.splitlines()
    first, last = lines[2].split(), lines[13].split()
    assert (first[0], first[1], first[2]) == ("above", "1.0000", "P3")
    assert last[0] == "below"
    assert "Of 24 faces of other people about 1.2 are expected above it by chance." in out
    assert "identif" not in out.lower()

    code, out, _ = run("gallery", "verify", probe, "P3", "--gallery", uri, "--far", "0.05", "--visible")
    assert out.splitlines()[0].split() == ["original", "1.0000", "above"]
    assert "below" in run("gallery", "verify", probe, "P4", "--gallery", uri, "--far", "0.05", "--visible")[1]

    code, out, _ = run("gallery", "remove", uri, "P3", "--by", "the clerk")
    assert (code, out) == (0, "P3: removed, 2 photographs\n")
    removed = run("gallery", "list", uri, "--removed")[1].splitlines()[2].split()
    assert (removed[:2], removed[-2:]) == (["P3", "2"], ["the", "clerk"])

    assert run("gallery", "export", uri, tmp_path / "a.parquet")[1].startswith("22 faces written")
    moved = run("gallery", "enrol", str(tmp_path / "b.db"), tmp_path / "a.parquet")[1]
    assert moved == "22 faces enrolled from exported galleries\n"


def test_a_near_infrared_probe_is_compared_by_all_scores(run, photos):
    code, out, _ = run("gallery", "verify", photos / "P1" / "0.png", photos / "P1" / "1.png")
    assert code == 0
    scores = {line.split()[0]: float(line.split()[1]) for line in out.splitlines()}
    assert scores.keys() == set(SCORES)
    assert scores["fused"] > (scores["original"] + scores["generated"]) / 2  # the mean is of features


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "none.db", "a.png"], "no such gallery; make it by pcfh gallery enrol"),
        (["enrol", "none", "photos"], "ends in .db, or the address of a server"),
        (["verify", "a.png", "Anna"], "if it is a person enrolled, give --gallery, too"),
        (["verify", "a.png", "b.png", "--far", "0.1"], "--far: the threshold comes from a gallery"),
        (["enrol", "none.db", "a.parquet", "--person", "Anna"], "--person: an exported gallery says itself"),
    ],
)
def test_a_mistake_is_said_in_one_line_and_nothing_is_made(run, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, _, err = run("gallery", *arguments)
    assert (code, message in err, len(err.splitlines())) == (2, True, 1)
    assert list(tmp_path.iterdir()) == []


def test_probes_of_people_enrolled_are_measured_and_strangers_listed(run, uri, photos):
    assert run("gallery", "enrol", uri, photos)[0] == 0
    stranger = photos / "P99" / "0.png"
    stranger.parent.mkdir()
    (photos / "P0" / "0.png").rename(stranger)
    code, out, err = run("gallery", "evaluate", uri, photos, "--visible", "--far", "0.05")
    assert (code, err.splitlines()[-1]) == (1, f"{stranger}: 'P99' is not enrolled")
    score, rank1, vr, threshold = out.splitlines()[2].split()
    assert (score, float(rank1), float(vr)) == ("original", 1.0, 1.0)
    assert 0 < float(threshold) < 1
    assert "23 probes" in out
