"""What the doctor finds on machines where something is missing or damaged."""

import json
import shutil
import sys
from importlib import metadata
from pathlib import Path

import pytest

from pcfh import shipped as shipped_module
from pcfh.cli import doctor as command
from pcfh.doctor import CORE, Finding, checks, tried
from pcfh.errors import UserError


def found(name, face_model=None):
    """The finding about one thing."""
    return next(tried(*check) for check in checks(face_model) if check[1] == name)


def failing(error, group="extras"):
    def attempt():
        raise error

    return tried(group, "thing", attempt, "mend it")


def test_what_works_has_no_remedy():
    assert tried("g", "thing", lambda: "1.2", "mend it") == Finding("g", "thing", "ok", "1.2", "")


def test_any_error_becomes_one_line_with_the_remedy():
    finding = failing(ZeroDivisionError("first line\nsecond line"))
    assert (finding.state, finding.detail, finding.remedy) == ("no", "first line", "mend it")


def test_an_error_without_text_is_called_by_its_kind():
    assert failing(MemoryError()).detail == "MemoryError"


def test_a_command_that_the_error_names_is_the_remedy():
    assert failing(UserError("it is absent; run: pcfh models fetch")).remedy == "pcfh models fetch"


def test_only_the_core_stops_the_core():
    assert (failing(OSError("x")).state, failing(OSError("x"), CORE).state) == ("no", "FAILS")


@pytest.mark.parametrize(
    ("line", "name", "state", "remedy"),
    [
        ("numpy>=1", "numpy", "ok", ""),
        ("numpy>=99", "numpy", "FAILS", "pip install 'numpy>=99'"),
        ("pcfh-absent>=1", "pcfh-absent", "FAILS", "pip install 'pcfh-absent>=1'"),
        ('pcfh-absent>=1; extra == "web"', "pcfh-absent (web)", "no", "pip install 'pcfh[web]'"),
    ],
)
def test_packages_are_compared_with_what_pcfh_needs(monkeypatch, line, name, state, remedy):
    monkeypatch.setattr(metadata, "requires", lambda package: [line])
    finding = found(name)
    assert (finding.state, finding.remedy) == (state, remedy)


def test_a_package_that_is_broken_fails(monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    assert found("safetensors").state == "FAILS"


def test_packages_of_developers_are_not_asked_for():
    assert not {"pytest", "ruff", "pytest (dev)"} & {name for _, name, _, _ in checks()}


def test_a_checkout_that_was_not_installed_is_told(monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", absent)
    monkeypatch.setattr(metadata, "version", absent)
    assert found("pcfh").remedy == "pip install ."


def test_a_folder_without_the_face_model_is_refused(tmp_path):
    finding = found("face model", tmp_path)
    assert finding.state == "no"
    assert finding.remedy.startswith("git clone https://github.com/ICT-VGL/ICT-FaceKit")


def test_a_clone_of_the_face_model_is_found(tmp_path):
    (tmp_path / "FaceXModel").mkdir()
    (tmp_path / "FaceXModel" / "generic_neutral_mesh.obj").touch()
    assert found("face model", tmp_path).state == found("face model", tmp_path / "FaceXModel").state == "ok"


def test_absent_detector_files_are_fetched_by_a_command(monkeypatch, tmp_path):
    monkeypatch.setenv("PCFH_CACHE", str(tmp_path / "cache"))
    assert found("blaze").remedy == "pcfh models fetch"


def test_an_absent_detector_package_is_installed_by_another(monkeypatch, blaze):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    assert found("blaze").remedy == "pip install 'pcfh[landmarks]'"


def test_the_detector_is_tried_on_a_face(monkeypatch, blaze):
    assert found("blaze").state == "ok"
    monkeypatch.setattr(type(blaze), "detect", lambda self, image: [])
    assert "does not find the one face" in found("blaze").detail


def test_damaged_weights_stop_the_core(tmp_path, monkeypatch):
    folder = shutil.copytree(shipped_module.WEIGHTS, tmp_path / "weights")
    (folder / "generator.safetensors").write_bytes(b"damaged")
    monkeypatch.setattr(shipped_module, "WEIGHTS", folder)
    finding = found("shipped generator")
    assert finding.state == "FAILS"
    assert "expected SHA-256" in finding.detail


@pytest.mark.parametrize("name", ["cpu", "shipped generator", "shipped recognizer"])
def test_the_core_computes(name):
    assert found(name).state == "ok"


def test_a_cache_that_is_not_there_yet_is_no_fault(monkeypatch, tmp_path):
    monkeypatch.setenv("PCFH_CACHE", str(tmp_path / "a" / "b"))
    assert found("cache").state == "ok"


def test_a_full_disk_is_told(monkeypatch):
    usage = shutil.disk_usage(Path.cwd())._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    assert found("here").detail.endswith("only 0.00 GB are free")


@pytest.fixture
def finding(request, monkeypatch):
    """What the command finds, in place of everything."""
    only = [("packages", "numpy", lambda: "2.4", "")]
    monkeypatch.setattr(command, "checks", lambda face_model: only)
    made = Finding(
        "packages", "numpy", request.param, "2.4", "" if request.param == "ok" else "pip install it"
    )
    monkeypatch.setattr(command, "tried", lambda *check: made)
    return made


@pytest.mark.parametrize(("finding", "code"), [("ok", 0), ("no", 0), ("FAILS", 1)], indirect=["finding"])
def test_the_exit_code_says_whether_the_core_works(run, finding, code):
    assert run("doctor")[0] == code


@pytest.mark.parametrize("finding", ["FAILS"], indirect=True)
def test_the_table_ends_with_the_commands_that_mend(run, finding):
    lines = [line.split() for line in run("doctor")[1].splitlines()]
    assert lines == [
        ["packages", "numpy", "FAILS", "2.4"],
        [],
        ["To", "mend"],
        ["numpy", "pip", "install", "it"],
        [],
        ["The", "core", "does", "not", "work."],
    ]


@pytest.mark.parametrize("finding", ["no"], indirect=True)
def test_json_holds_every_finding(run, finding):
    report = json.loads(run("doctor", "--json")[1])
    assert report["works"] is True
    assert report["findings"] == [finding._asdict()]
