"""The names of ``import pcfh``, and the examples of the documents."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pcfh
from pcfh.errors import UserError
from pcfh.geometry.align import CROPS
from pcfh.shipped import shipped

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "samples" / "NIR-VIS-2.0"
DOCUMENTS = ("README.md", "docs/index.md", "docs/api.md")


def python(code, *, cwd=ROOT):
    """What a program prints in a process of its own."""
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def blocks(document):
    return re.findall(r"^```python\n(.*?)^```", (ROOT / document).read_text(), re.MULTILINE | re.DOTALL)


def test_import_lists_all_names_without_torch_or_numpy():
    code = (
        "import sys, pcfh\n"
        "print(set(pcfh.__all__) <= set(dir(pcfh)), 'torch' in sys.modules, 'numpy' in sys.modules)"
    )
    assert python(code).split() == ["True", "False", "False"]


def test_every_name_is_there():
    assert all(getattr(pcfh, name) is not None for name in pcfh.__all__)


def test_type_checkers_see_the_same_names_from_the_same_modules():
    tree = ast.parse((ROOT / "pcfh" / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert seen == {name: pcfh._ELSEWHERE.get(name, "pcfh.api_faces") for name in pcfh.__all__}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'hallucinate_all'"):
        pcfh.hallucinate_all  # noqa: B018 - the access is what is tested


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_python_of_a_document_runs(document, tmp_path, blaze):
    """In an empty folder that holds the sample, a photograph and a trained generator."""
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    Image.open(SAMPLE / "s2/NIR/00185/001.jpg").save(tmp_path / "nir.png")
    (tmp_path / "runs" / "a").mkdir(parents=True)
    shutil.copy(shipped("generator"), tmp_path / "runs" / "a")
    python("\n".join(blocks(document)), cwd=tmp_path)


def test_the_api_document_has_an_example_of_each_name():
    code = "\n".join(blocks("docs/api.md"))
    kinds = {"Hallucinator", "Recognizer"}  # of what the functions give
    assert {name for name in pcfh.__all__ if f"pcfh.{name}" not in code} == kinds


@pytest.fixture(scope="module")
def database():
    return pcfh.load_database(str(SAMPLE))


@pytest.fixture(scope="module")
def face(database):
    """A VIS capture of the sample and its landmarks."""
    path = "s2/VIS/00185/001.jpg"
    return pcfh.load_image(str(SAMPLE / path)), pcfh.landmarks_of(database, path)


def test_landmarks_are_found_whatever_the_case_and_extension(database):
    found = pcfh.landmarks_of(database, "S2/NIR/00185/001.PNG")
    np.testing.assert_allclose(found[0], (64.922, 121.783))


def test_landmarks_of_another_picture_are_refused(database):
    with pytest.raises(UserError, match=r"no landmarks for 's9/x\.jpg'"):
        pcfh.landmarks_of(database, "s9/x.jpg")


@pytest.mark.parametrize("size", CROPS)
def test_an_aligned_face_has_its_eyes_and_mouth_where_the_crop_says(face, size):
    aligned = pcfh.align(*face, size)
    points, crop = aligned.landmarks, CROPS[size]
    eyes = (points[36:42].mean(0) + points[42:48].mean(0)) / 2
    assert aligned.crop.shape == (size, size, 3)
    np.testing.assert_allclose(eyes, (size / 2 - 0.5, crop.eyes_y - 0.5), atol=1e-6)
    np.testing.assert_allclose(points[[48, 54]].mean(0)[1] - eyes[1], crop.eyes_to_mouth, atol=1e-6)


def test_an_aligned_face_keeps_its_colours(face):
    crop = pcfh.align(*face).crop.astype(int)
    assert np.abs(crop[..., 0] - crop[..., 2]).mean() > 1


def test_landmarks_outside_of_the_picture_are_refused(face):
    image, points = face
    with pytest.raises(UserError, match="do not lie inside the picture"):
        pcfh.align(image, points + 1000)


def test_features_have_norm_one_and_a_face_is_most_like_itself(face):
    aligned = pcfh.align(*face)
    first, second = pcfh.features(pcfh.load_recognizer(device="cpu"), [aligned, aligned])
    assert first @ second == pytest.approx(1, abs=1e-5)


def test_faces_of_two_sizes_are_refused(face):
    with pytest.raises(UserError, match="one size, got 64, 128"):
        pcfh.features(pcfh.load_recognizer(device="cpu"), [pcfh.align(*face), pcfh.align(*face, 64)])


def test_no_faces_are_refused():
    with pytest.raises(UserError, match="got no faces"):
        pcfh.features(pcfh.load_recognizer(device="cpu"), [])
