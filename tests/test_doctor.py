"""What the doctor finds on machines where something is missing or damaged."""

import json
import shutil
import sys
from importlib import metadata
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement

from pcfh import doctor as doctor_module
from pcfh import shipped as shipped_module
from pcfh.cli import doctor as command
from pcfh.devices import mixes
from pcfh.doctor import Check, Finding, core_requirements, core_works, tried
from pcfh.errors import UserError
from pcfh_render import trace


def found(checks, name):
    """The finding about one thing."""
    return tried(next(check for check in checks if check.name == name))


def failing(error, **changes):
    def attempt():
        raise error

    return Check(**{"group": "g", "name": "n", "attempt": attempt, "remedy": "mend it", **changes})


def test_what_works_has_no_remedy():
    finding = tried(Check(group="g", name="n", attempt=lambda: "1.2", remedy="mend it"))
    assert finding == Finding(group="g", name="n", state="ok", detail="1.2", remedy="")


def test_any_error_becomes_one_line_with_the_remedy():
    finding = tried(failing(ZeroDivisionError("first line\nsecond line")))
    assert (finding.state, finding.detail, finding.remedy) == ("no", "first line", "mend it")


def test_an_error_without_text_is_called_by_its_kind():
    assert tried(failing(MemoryError())).detail == "MemoryError"


def test_a_command_that_the_error_names_is_the_remedy():
    assert tried(failing(UserError("it is absent; run: pcfh models fetch"))).remedy == "pcfh models fetch"


def test_only_the_core_stops_the_core():
    assert core_works([tried(failing(OSError("x")))])
    assert not core_works([tried(failing(OSError("x"), core=True))])


def test_the_core_needs_what_pyproject_names_and_no_extras():
    names = {requirement.name for requirement in core_requirements()}
    assert {"torch", "numpy", "pillow"} <= names
    assert not names & {"ai-edge-litert", "onnxruntime", "pytest"}


def test_a_package_that_is_too_old_fails_with_the_command_that_mends_it(monkeypatch):
    monkeypatch.setattr(doctor_module, "core_requirements", lambda: [Requirement("numpy>=99")])
    finding = found(doctor_module.packages(), "numpy")
    assert (finding.state, finding.remedy) == ("FAILS", "pip install 'numpy>=99'")
    assert ">=99 is needed" in finding.detail


def test_a_package_that_is_absent_fails(monkeypatch):
    monkeypatch.setattr(doctor_module, "core_requirements", lambda: [Requirement("pcfh-absent>=1")])
    assert found(doctor_module.packages(), "pcfh-absent").state == "FAILS"


def test_a_package_that_is_broken_fails(monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    assert found(doctor_module.packages(), "safetensors").state == "FAILS"


def test_a_checkout_that_was_not_installed_is_told(monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", absent)
    monkeypatch.setattr(metadata, "version", absent)
    assert core_requirements() == []
    assert found(doctor_module.packages(), "pcfh").remedy == "pip install --editable ."


def test_the_processor_is_measured_in_both_precisions():
    detail = found(doctor_module.devices(), "cpu").detail
    assert "ms in bf16" in detail
    assert detail.endswith(f"precision auto takes {'bf16' if mixes('auto', torch.device('cpu')) else 'fp32'}")


def test_times_are_compared_in_words():
    assert doctor_module._compared(3.0, 1.5) == "2.0 times as fast"
    assert doctor_module._compared(1.5, 30.0) == "20.0 times as slow"


@pytest.mark.parametrize(
    ("module", "name", "extra"),
    [
        ("onnxruntime", "ONNX recognisers", "onnx"),
        ("onnxscript", "export to ONNX", "export"),
        ("starlette", "web page", "web"),
    ],
)
def test_a_missing_extra_is_named_and_the_rest_works(monkeypatch, module, name, extra):
    monkeypatch.setitem(sys.modules, module, None)
    finding = found(doctor_module.extras(None), name)
    assert (finding.state, finding.remedy) == ("no", f"pip install 'pcfh[{extra}]'")
    assert module in finding.detail


def test_a_missing_embree_is_named(monkeypatch):
    monkeypatch.setattr(trace, "EmbreeScene", None)
    finding = found(doctor_module.extras(None), "renderer")
    assert (finding.state, finding.remedy) == ("no", "pip install 'pcfh[render]'")


def test_embree_is_tried():
    pytest.importorskip("embreex")
    assert found(doctor_module.extras(None), "renderer").state == "ok"


def test_a_folder_without_the_face_model_is_refused(tmp_path):
    finding = found(doctor_module.extras(tmp_path), "face model")
    assert finding.state == "no"
    assert finding.remedy.startswith("git clone https://github.com/ICT-VGL/ICT-FaceKit")


def test_a_clone_of_the_face_model_is_found(tmp_path):
    (tmp_path / "FaceXModel").mkdir()
    (tmp_path / "FaceXModel" / "generic_neutral_mesh.obj").touch()
    assert found(doctor_module.extras(tmp_path), "face model").state == "ok"


def test_absent_detector_files_are_fetched_by_a_command(monkeypatch, tmp_path):
    monkeypatch.setenv("PCFH_CACHE", str(tmp_path / "cache"))
    finding = found(doctor_module.backends(), "blaze")
    assert (finding.state, finding.remedy) == ("no", "pcfh models fetch")


def test_an_absent_detector_package_is_installed_by_another(monkeypatch, blaze):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    assert found(doctor_module.backends(), "blaze").remedy == "pip install 'pcfh[landmarks]'"


def test_the_detector_is_tried_on_a_face(blaze):
    assert "finds the face of a sample" in found(doctor_module.backends(), "blaze").detail


@pytest.fixture
def damaged_weights(tmp_path, monkeypatch):
    """A copy of the shipped weights with one byte changed."""
    folder = shutil.copytree(shipped_module.WEIGHTS, tmp_path / "weights")
    content = bytearray((folder / "generator.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "generator.safetensors").write_bytes(content)
    monkeypatch.setattr(shipped_module, "WEIGHTS", folder)
    return folder


def test_damaged_weights_stop_the_core(damaged_weights):
    finding = found(doctor_module.weights(), "shipped generator")
    assert finding.state == "FAILS"
    assert "expected SHA-256" in finding.detail


def test_absent_weights_stop_the_core(damaged_weights):
    (damaged_weights / "recognizer.safetensors").unlink()
    assert found(doctor_module.weights(), "shipped recognizer").state == "FAILS"


@pytest.mark.parametrize("name", ["shipped generator", "shipped recognizer"])
def test_shipped_weights_compute(name):
    assert found(doctor_module.weights(), name).detail.startswith("intact")


def test_a_cache_that_is_not_there_yet_is_no_fault(monkeypatch, tmp_path):
    monkeypatch.setenv("PCFH_CACHE", str(tmp_path / "a" / "b"))
    finding = found(doctor_module.folders(), "cache")
    assert finding.state == "ok"
    assert finding.detail.endswith("made when needed")


def test_a_full_disk_is_told(monkeypatch):
    usage = shutil.disk_usage(Path.cwd())._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    assert found(doctor_module.folders(), "here").detail.endswith("only 0.00 GB are free")


def findings(state):
    remedy = "" if state == "ok" else "pip install it"
    return [Finding(group="packages", name="numpy", state=state, detail="2.4", remedy=remedy)]


@pytest.mark.parametrize(("state", "code"), [("ok", 0), ("no", 0), ("FAILS", 1)])
def test_the_exit_code_says_whether_the_core_works(run, monkeypatch, state, code):
    monkeypatch.setattr(command, "examine", lambda face_model: findings(state))
    assert run("doctor")[0] == code


def test_the_table_ends_with_the_commands_that_mend(run, monkeypatch):
    monkeypatch.setattr(command, "examine", lambda face_model: findings("FAILS"))
    _, out, _ = run("doctor")
    assert out == (
        "packages\n  numpy  FAILS  2.4\n\nTo mend\n  numpy  pip install it\n\nThe core does not work.\n"
    )


def test_json_holds_every_finding(run, monkeypatch):
    monkeypatch.setattr(command, "examine", lambda face_model: findings("no"))
    _, out, _ = run("doctor", "--json")
    report = json.loads(out)
    assert report["works"] is True
    assert report["findings"] == [
        {"group": "packages", "name": "numpy", "state": "no", "detail": "2.4", "remedy": "pip install it"}
    ]
