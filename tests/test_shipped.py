from pathlib import Path

import pytest

from pcfh import shipped as module
from pcfh.errors import UserError
from pcfh.shipped import WEIGHTS, generator_at, shipped


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A folder of weights that a test may damage."""
    for path in WEIGHTS.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(module, "WEIGHTS", tmp_path)
    return tmp_path


def test_the_weights_stay_below_30_megabytes():
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) < 30e6


def test_a_changed_byte_is_found(copy):
    path = copy / "generator.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        UserError, match=r"generator\.safetensors: expected SHA-256 [0-9a-f]{64}, got [0-9a-f]{64}"
    ):
        shipped("generator")


def test_an_absent_file_is_named(copy):
    (copy / "recognizer.safetensors").unlink()
    with pytest.raises(
        UserError, match=r"recognizer\.safetensors: no such file, but it is part of the program"
    ):
        shipped("recognizer")


def test_a_file_without_a_sum_is_refused(copy):
    (copy / "SHA256SUMS").write_text("")
    with pytest.raises(UserError, match="expected SHA-256 None"):
        shipped("generator")


def test_without_a_name_photographs_go_to_the_generator_of_all_cameras(tmp_path, monkeypatch):
    assert generator_at(None) == shipped("cameras")
    monkeypatch.chdir(tmp_path)
    assert generator_at("generator") == generator_at(Path("generator")) == shipped("generator")
    Path("generator").touch()
    assert generator_at("generator") == Path("generator")
    assert generator_at("run/generator.safetensors") == Path("run/generator.safetensors")
