"""The face model's folder: what is read, and what is said of a bad one."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from mannequin import NAMES

from pcfh.errors import UserError
from pcfh_render import facemodel
from pcfh_render.facemodel import COMPONENTS, LANDMARKS, PARTS, load_face_model


@pytest.fixture
def folder(tmp_path):
    """All files of the model, all empty but the index."""
    for name in ("generic_neutral_mesh", *(f"identity{number:03d}" for number in range(COMPONENTS)), *NAMES):
        (tmp_path / f"{name}.obj").touch()
    (tmp_path / "vertex_indices.json").write_text(json.dumps({"expressions": NAMES}))
    return tmp_path


def test_an_absent_folder_says_where_the_model_is_had(tmp_path):
    with pytest.raises(UserError, match=r"clone https://github\.com/ICT-VGL/ICT-FaceKit"):
        load_face_model(tmp_path / "nothing")


def test_a_missing_file_is_named(folder):
    (folder / "identity042.obj").unlink()
    with pytest.raises(UserError, match=r"lacks identity042\.obj \(1 files in all\)"):
        load_face_model(folder)


def test_an_empty_file_is_named_with_what_was_expected(folder):
    with pytest.raises(UserError, match=r"generic_neutral_mesh\.obj: expected 26719 vertices, found 0"):
        load_face_model(folder)


def test_a_damaged_index_is_named(folder):
    (folder / "vertex_indices.json").write_text("{")
    with pytest.raises(UserError, match=r"vertex_indices\.json: damaged"):
        load_face_model(folder)


def test_text_in_place_of_numbers_is_refused(folder):
    (folder / "generic_neutral_mesh.obj").write_text("v one two three\n")
    with pytest.raises(UserError, match=r"generic_neutral_mesh\.obj: damaged"):
        load_face_model(folder)


def test_expressions_add_up(face_model):
    head = face_model.mean
    both = face_model.expressed(head, {"jawOpen": 0.5, "browInnerUp_L": 1.0})
    jaw = face_model.expressed(head, {"jawOpen": 0.5}) - head
    brow = face_model.expressed(head, {"browInnerUp_L": 1.0}) - head
    assert np.allclose(both, head + jaw + brow, atol=1e-5)


def test_an_unknown_expression_is_refused(face_model):
    with pytest.raises(UserError, match="no expression 'earWiggle'"):
        face_model.expressed(face_model.mean, {"earWiggle": 1.0})


def test_a_packed_copy_is_the_model_that_was_read_and_is_made_again_if_damaged(
    folder, face_model, tmp_path, monkeypatch
):
    shapes = np.concatenate([face_model.identity, list(face_model.expressions.values())])
    arrays = {
        "mean": face_model.mean,
        "shapes": shapes,
        "triangles": face_model.triangles,
        "uv": face_model.uv,
    }
    read = []
    monkeypatch.setattr(facemodel, "_read_all", lambda *paths: read.append(paths) or arrays)
    first, again = (load_face_model(folder, tmp_path / "cache") for _ in range(2))
    assert (len(read), again.fingerprint) == (1, first.fingerprint)
    assert (again.identity == face_model.identity).all()
    assert again.expressions.keys() == face_model.expressions.keys()
    (packed,) = (tmp_path / "cache").iterdir()
    packed.write_bytes(packed.read_bytes()[:1000])
    assert (load_face_model(folder, tmp_path / "cache").fingerprint, len(read)) == (first.fingerprint, 2)


@pytest.mark.slow
@pytest.mark.skipif("PCFH_FACE_MODEL" not in os.environ, reason="PCFH_FACE_MODEL names no folder FaceXModel")
def test_the_model_of_ict_facekit_is_read():
    model = load_face_model(Path(os.environ["PCFH_FACE_MODEL"]))
    assert len(model.mean) == PARTS["right_lashes"] + 1
    assert set(model.expressions) == set(NAMES)
    assert (model.mean[LANDMARKS[30], 2] > model.mean[LANDMARKS[[36, 45]], 2]).all()
