"""Photographs as strangers bring them, by the command and by the page: each gives a face or a clear line."""

import base64
import csv
import io
import zipfile
from contextlib import redirect_stderr, redirect_stdout
from urllib.parse import quote

import numpy as np
import pytest
import skimage.data
from PIL import Image
from starlette.testclient import TestClient

from pcfh.cli import main
from pcfh.hallucinate import Hallucinator
from pcfh.recognisers.registry import open_recognizer
from pcfh.shipped import shipped
from pcfh.web.app import create_app
from pcfh.web.engine import Engine
from pcfh.web.limits import Limits

EXIF_ORIENTATION, TURN_RIGHT = 0x0112, 6
LARGE = (4000, 3000)  # 12 megapixels
FACES = ("alpha.png", "grey.png", "portrait.png", "turned.jpg", "upright.jpg")
NO_FACE_COMMAND = "no face was found; give its landmarks in a file, or a picture with a larger face"
NO_FACE_PAGE = "no face was found; choose a picture with a larger, upright face that looks into the camera"
SEVERAL_FRAMES = "holds several frames; save the one you mean as a file of its own"
NO_PICTURE = (
    "not a whole image (of no known format); replace it by an intact JPEG, PNG, BMP, TIFF, WebP or PGM file"
)
BY_COMMAND = {
    "animated.gif": SEVERAL_FRAMES,
    "coffee.png": NO_FACE_COMMAND,
    "phone.heic": NO_PICTURE,
    "text.jpg": NO_PICTURE,
}
BY_PAGE = {**BY_COMMAND, "coffee.png": NO_FACE_PAGE}


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
    """The folder of photographs; read only."""
    folder = tmp_path_factory.mktemp("strangers")
    portrait = Image.fromarray(skimage.data.astronaut())
    portrait.save(folder / "portrait.png")
    portrait.convert("L").save(folder / "grey.png")
    with_alpha = portrait.copy()
    with_alpha.putalpha(Image.radial_gradient("L").resize(portrait.size).point(lambda value: 255 - value))
    with_alpha.save(folder / "alpha.png")
    Image.fromarray(skimage.data.coffee()).save(folder / "coffee.png")
    large = portrait.crop((0, 0, 512, 384)).resize(LARGE, Image.Resampling.BICUBIC)
    large.save(folder / "upright.jpg", quality=95)
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = TURN_RIGHT
    large.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.jpg", quality=95, exif=exif)
    frames = [portrait.resize((side, side)).resize((256, 256)).convert("P") for side in (256, 128, 64)]
    frames[0].save(folder / "animated.gif", save_all=True, append_images=frames[1:], duration=100)
    (folder / "text.jpg").write_text("a letter to my aunt")
    (folder / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    return folder


@pytest.fixture(scope="module")
def translated(strangers, blaze, tmp_path_factory):
    """What ``pcfh translate`` makes of them: exit code, standard output, lines on standard error, folder."""
    out = tmp_path_factory.mktemp("translated") / "vis"
    said, complained = io.StringIO(), io.StringIO()
    with redirect_stdout(said), redirect_stderr(complained), pytest.raises(SystemExit) as ended:
        main(["translate", str(strangers), "--out", str(out), "--device", "cpu"])
    return ended.value.code, said.getvalue(), complained.getvalue().splitlines(), out


@pytest.fixture(scope="module")
def page(blaze):
    """The web page over the shipped networks."""
    translator = Hallucinator.from_file(shipped("cameras"), device="cpu", backend=blaze)
    engine = Engine(translator, open_recognizer(shipped("recognizer"), device="cpu"))
    address = "http://127.0.0.1:8765"
    with TestClient(create_app(engine, Limits(), {"127.0.0.1"}), base_url=address) as client:
        yield client


def upload(page, path, to="faces"):
    return page.post(f"/api/{to}", content=path.read_bytes(), headers={"X-File-Name": quote(path.name)})


def face(translated, name):
    """The face that the command made of a photograph, as numbers."""
    with Image.open(translated[3] / name) as image:
        return np.asarray(image).astype(float)


def test_the_command_says_how_many_became_faces_and_exits_with_1(translated):
    code, said, complained, out = translated
    assert (code, said.splitlines()[0]) == (1, f"5 of 9 pictures translated to {out}")
    assert complained[-1] == "4 pictures failed"


def test_the_command_writes_the_faces_and_a_table_of_them(translated):
    written = [path.name for path in sorted(translated[3].rglob("[!.]*"))]
    assert written == ["alpha.png", "grey.png", "manifest.csv", "portrait.png", "turned.png", "upright.png"]


@pytest.mark.parametrize("name", BY_COMMAND)
def test_the_command_gives_one_line_for(name, translated, strangers):
    lines = [line for line in translated[2] if name in line]
    assert lines == [f"{strangers / name}: {BY_COMMAND[name]}"]


@pytest.mark.parametrize("name", ["alpha.png", "grey.png", "portrait.png", "turned.png", "upright.png"])
def test_the_command_marks_as_synthetic(name, translated):
    with Image.open(translated[3] / name) as image:
        assert (image.mode, image.size, image.text["Synthetic"]) == ("RGB", (256, 256), "true")


def test_transparency_is_dropped(translated):
    np.testing.assert_array_equal(face(translated, "alpha.png"), face(translated, "portrait.png"))


def test_a_grey_photograph_gives_nearly_the_face_of_the_colour_one(translated):
    difference = np.abs(face(translated, "grey.png") - face(translated, "portrait.png"))
    assert difference.mean() < 6  # its landmarks lie a little elsewhere


def test_a_large_photograph_on_its_side_gives_the_face_of_the_upright_one(translated):
    difference = np.abs(face(translated, "turned.png") - face(translated, "upright.png"))
    assert difference.mean() < 1


def test_a_large_photograph_gives_the_face_of_the_small_one(translated):
    difference = np.abs(face(translated, "upright.png") - face(translated, "portrait.png"))
    assert difference.mean() < 6


@pytest.mark.parametrize("name", FACES)
def test_the_page_gives_the_commands_face_for(name, page, strangers, translated):
    answer = upload(page, strangers / name)
    assert answer.status_code == 200
    data = base64.b64decode(answer.json()["generated"].split(",", 1)[1])
    with Image.open(io.BytesIO(data)) as image:
        assert image.text["Synthetic"] == "true"
        made = np.asarray(image).astype(float)
    assert np.abs(made - face(translated, name.replace(".jpg", ".png"))).max() <= 1


@pytest.mark.parametrize("name", BY_PAGE)
def test_the_page_gives_one_line_for(name, page, strangers):
    answer = upload(page, strangers / name)
    assert (answer.status_code, answer.json()) == (422, {"error": BY_PAGE[name]})


def test_a_batch_of_the_page_goes_on_and_lists_what_failed(page, strangers):
    for name in sorted([*FACES, *BY_PAGE]):
        upload(page, strangers / name, to="batch")
    archive = zipfile.ZipFile(io.BytesIO(page.get("/api/batch.zip").content))
    rows = list(csv.DictReader(io.StringIO(archive.read("faces.csv").decode())))
    assert {row["source"]: row["error"] for row in rows if row["error"]} == BY_PAGE
    faces = {name for name in archive.namelist() if name.startswith("faces/")}
    assert faces == {f"faces/{name.split('.')[0]}-synthetic.png" for name in FACES}
