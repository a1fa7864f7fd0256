import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest

from pcfh.errors import UserError
from pcfh.landmarks import fetch
from pcfh.landmarks.fetch import WHEEL, ModelFile, blaze_models, cache_folder, fetch_blaze

CONTENT = {"parts/eye.tflite": b"an eye", "parts/face.tflite": b"a face"}


class Pip:
    """Stands in for pip: writes a wheel of the given content, or fails."""

    def __init__(self, content, stderr=""):
        self.content, self.stderr, self.commands = content, stderr, []

    def __call__(self, command, **_):
        self.commands.append(command)
        if self.stderr:
            return subprocess.CompletedProcess(command, 1, "", self.stderr)
        with zipfile.ZipFile(Path(command[command.index("--dest") + 1]) / WHEEL, "w") as wheel:
            for name, data in self.content.items():
                wheel.writestr(name, data)
        return subprocess.CompletedProcess(command, 0, "", "")


@pytest.fixture
def pip(monkeypatch):
    """A stand-in pip whose wheel holds both files, which are expected to be as in it."""
    eye, face = (ModelFile(member=k, sha256=hashlib.sha256(v).hexdigest()) for k, v in CONTENT.items())
    monkeypatch.setattr(fetch, "DETECTOR", eye)
    monkeypatch.setattr(fetch, "MESH", face)
    stand_in = Pip({**CONTENT, "other.tflite": b"not wanted"})
    monkeypatch.setattr(fetch.subprocess, "run", stand_in)
    return stand_in


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_exactly_the_two_files_are_put_into_the_folder(pip, tmp_path):
    fetch_blaze(tmp_path / "new" / "folder")
    assert contents(tmp_path / "new" / "folder") == {"eye.tflite": b"an eye", "face.tflite": b"a face"}


def test_the_paths_come_back_detector_first(pip, tmp_path):
    assert fetch_blaze(tmp_path) == [tmp_path / "eye.tflite", tmp_path / "face.tflite"]


def test_intact_files_are_not_fetched_again(pip, tmp_path):
    fetch_blaze(tmp_path)
    fetch_blaze(tmp_path)
    assert len(pip.commands) == 1


def test_a_damaged_file_is_replaced(pip, tmp_path):
    fetch_blaze(tmp_path)
    (tmp_path / "face.tflite").write_bytes(b"a fac")
    fetch_blaze(tmp_path)
    assert (tmp_path / "face.tflite").read_bytes() == b"a face"


def test_the_wheel_asked_for_does_not_depend_on_this_machine(pip, tmp_path):
    fetch_blaze(tmp_path)
    assert {"manylinux_2_28_x86_64", "3.11", "mediapipe==0.10.21", "--no-deps"} <= set(pip.commands[0])


def test_when_pip_fails_its_last_words_are_passed_on(pip, tmp_path):
    pip.stderr = "looking\nERROR: no route to host\n"
    with pytest.raises(UserError, match=r"\(ERROR: no route to host\)"):
        fetch_blaze(tmp_path)


def test_when_pip_fails_the_files_to_place_by_hand_are_named_with_their_digests(pip, tmp_path):
    pip.stderr = "ERROR"
    digest = hashlib.sha256(b"a face").hexdigest()
    with pytest.raises(UserError, match=rf"parts/face.tflite \(SHA-256 {digest}\) into {tmp_path}"):
        fetch_blaze(tmp_path)


def test_another_content_is_refused(pip, tmp_path):
    pip.content["parts/eye.tflite"] = b"another eye"
    with pytest.raises(UserError, match=rf"got {hashlib.sha256(b'another eye').hexdigest()}"):
        fetch_blaze(tmp_path)


def test_a_refused_file_leaves_nothing_behind(pip, tmp_path):
    pip.content["parts/eye.tflite"] = b"another eye"
    try:
        fetch_blaze(tmp_path)
    except UserError:
        assert contents(tmp_path) == {}


def test_a_wheel_without_the_file_is_refused(pip, tmp_path):
    del pip.content["parts/eye.tflite"]
    with pytest.raises(UserError, match=r"holds no parts/eye.tflite"):
        fetch_blaze(tmp_path)


def test_a_folder_that_cannot_be_made_names_the_variable(pip, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="set PCFH_CACHE to another folder"):
        fetch_blaze(tmp_path / "file")


def test_models_are_found_once_fetched(pip, tmp_path):
    fetch_blaze(tmp_path)
    assert blaze_models(tmp_path) == (tmp_path / "eye.tflite", tmp_path / "face.tflite")


def test_an_absent_model_names_the_command(pip, tmp_path):
    with pytest.raises(UserError, match=r"eye.tflite is absent; run: pcfh models fetch"):
        blaze_models(tmp_path)


def test_a_damaged_model_is_not_used(pip, tmp_path):
    fetch_blaze(tmp_path)
    (tmp_path / "face.tflite").write_bytes(b"")
    with pytest.raises(UserError, match=r"face.tflite is damaged; run: pcfh models fetch"):
        blaze_models(tmp_path)


def test_the_cache_is_where_our_variable_says(monkeypatch):
    monkeypatch.setenv("PCFH_CACHE", "/somewhere/own")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere/shared")
    assert cache_folder() == Path("/somewhere/own")


def test_without_our_variable_the_desktops_cache_is_used(monkeypatch):
    monkeypatch.delenv("PCFH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere/shared")
    assert cache_folder() == Path("/somewhere/shared/pcfh")


def test_without_any_variable_the_cache_is_in_the_home_folder(monkeypatch):
    monkeypatch.delenv("PCFH_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == Path.home() / ".cache" / "pcfh"
