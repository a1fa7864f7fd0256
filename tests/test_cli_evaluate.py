"""``pcfh evaluate`` from the files on."""

import sys
from pathlib import Path

import numpy as np
import pytest
from blocks import hallucinator

from pcfh.evaluation.outcomes import read_outcomes
from pcfh.evaluation.results import read_results
from pcfh.files import sha256_of
from pcfh.methods.files import save_generator
from pcfh.recognisers.lightcnn.network import build_lightcnn
from pcfh.recognisers.lightcnn.weights import save_recognizer
from pcfh.shipped import shipped

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory):
    """A Light CNN-9 of random weights."""
    import torch

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("recognizer") / "recognizer.safetensors"
    save_recognizer(path, build_lightcnn("lightcnn9", 2), {})
    return path


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "1" / "generator.safetensors"
    save_generator(path, hallucinator()._generator, {"protocol": "1"})
    return path


def test_a_report_is_written_and_the_table_printed(
    run, drawn_prepared, drawn_database, recognizer, generator, tmp_path
):
    code, out, err = run(
        *("evaluate", drawn_prepared, tmp_path / "out", "--recognizer", recognizer, "--device", "cpu"),
        *("--generator", generator.parents[1] / "{protocol}" / generator.name, "--protocol", "all"),
        *("--database", drawn_database, "--resamples", "20"),
    )
    assert (code, "Traceback" in err) == (0, False)
    assert out.startswith("lightcnn9 (recognizer.safetensors) on casia, protocol 1, in percent.")
    assert "| NIR + generated VIS (fusion) |" in out
    assert "the prepared ones have at most 64; they were enlarged" in err
    results = read_results(tmp_path / "out" / "results.json")
    assert results.methods == ("original", "generated", "fusion", "truth")
    assert (tmp_path / "out" / "report.html").stat().st_size > 50_000
    assert read_outcomes(tmp_path / "out" / "outcomes.npz")["1"].keys() == set(results.methods)


def test_a_fusion_that_is_no_average_is_computed_and_said(
    run, drawn_prepared, recognizer, generator, tmp_path
):
    rank1 = {}
    for weight in ("0", "0.7", "1"):
        code, out, _ = run(
            *("evaluate", drawn_prepared, tmp_path, "--recognizer", recognizer, "--device", "cpu"),
            *("--generator", generator, "--resamples", "20", "--no-pictures", "--fusion-weight", weight),
        )
        assert code == 0
        assert f"In the fusion the generated face weighs {weight}." in out
        results = read_results(tmp_path / "results.json")
        assert results.fusion_weight == float(weight)
        rank1[weight] = {figures.method: figures.cmc for figures in results.folds[0].methods}
    assert rank1["0"]["fusion"] == rank1["0"]["original"]
    assert rank1["1"]["fusion"] == rank1["1"]["generated"]


def test_another_kind_of_fusion_is_computed_and_said(run, drawn_prepared, recognizer, generator, tmp_path):
    code, out, _ = run(
        *("evaluate", drawn_prepared, tmp_path, "--recognizer", recognizer, "--device", "cpu"),
        *("--generator", generator, "--resamples", "20", "--no-pictures", "--fusion", "template"),
    )
    assert (code, "The fused score is the cosine with the mean feature." in out) == (0, True)
    assert read_results(tmp_path / "results.json").fusion == "template"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--fusion-weight", "1.5"), "--fusion-weight 1.5: expected 0 to 1"),
        (("--batch", "0"), "--batch 0: expected at least 1"),
        (("--protocol", "9"), "no protocol '9'"),
        (("--generator", "absent.safetensors"), "absent.safetensors: no such file"),
        (("--groups", "absent.csv"), "absent.csv: no such file"),
        (("--database", "absent"), "absent: expected a rendered database"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(run, drawn_prepared, recognizer, tmp_path, options, said):
    code, _, err = run("evaluate", drawn_prepared, tmp_path, "--recognizer", recognizer, *options)
    assert (code, "Traceback" in err) == (2, False)
    assert said in err.strip().splitlines()[-1]


def test_an_absent_recogniser_is_named(run, drawn_prepared, tmp_path):
    code, _, err = run("evaluate", drawn_prepared, tmp_path, "--recognizer", tmp_path / "absent.onnx")
    assert (code, "absent.onnx: no such file" in err) == (2, True)


def test_a_folder_that_was_not_prepared_is_refused(run, recognizer, tmp_path):
    code, _, err = run("evaluate", tmp_path, tmp_path / "out", "--recognizer", recognizer)
    assert (code, "run pcfh prepare first" in err) == (2, True)


def test_a_recogniser_from_outside_is_evaluated_and_compared(run, drawn_prepared, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    for protocol in "1":
        np.savez(tmp_path / f"{protocol}.npz", weights=np.linspace(0, 1, 256, dtype=np.float32))
    code, out, _ = run(
        *("evaluate", drawn_prepared, tmp_path / "out", "--resamples", "9", "--no-pictures"),
        *("--recognizer", "my_recogniser:MyRecognizer"),
        *("--tuned", f"mine=my_recogniser:MyRecognizer@{tmp_path}/{{protocol}}.npz"),
    )
    assert (code, "coarse contrasts on casia" in out) == (0, True)
    results = read_results(tmp_path / "out" / "results.json")
    assert [*results.methods, *(model.role for model in results.models)] == [
        "original",
        "mine",
        "recogniser",
        "mine",
    ]


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("no_such_module:Recognizer", "no module 'no_such_module' in the working folder or on Python's path"),
        ("my_recogniser:Absent", "has no attribute 'Absent'"),
        ("fractions:Fraction", "expected a recogniser with name, key, alignment"),
    ],
)
def test_a_class_that_is_no_recogniser_is_refused(run, drawn_prepared, tmp_path, monkeypatch, place, said):
    monkeypatch.chdir(EXAMPLES)
    monkeypatch.setattr(sys, "path", [*sys.path])
    code, _, err = run("evaluate", drawn_prepared, tmp_path, "--recognizer", place)
    assert (code, said in err) == (2, True)


def test_a_generator_in_the_place_of_a_recogniser_is_called_so(run, drawn_prepared, generator, tmp_path):
    code, _, err = run("evaluate", drawn_prepared, tmp_path, "--recognizer", generator)
    assert (code, "expected a recogniser: give" in err) == (2, True)


def test_two_tuned_recognisers_of_one_name_are_refused(run, drawn_prepared, tmp_path):
    code, _, err = run("evaluate", drawn_prepared, tmp_path, "--tuned", "a.safetensors", "b.safetensors")
    assert (code, "two recognisers are named 'tuned'" in err) == (2, True)


def test_the_shipped_recogniser_is_taken_where_none_is_named(run, drawn_prepared, tmp_path):
    code, out, _ = run(
        *("evaluate", drawn_prepared, tmp_path, "--device", "cpu", "--resamples", "9", "--no-pictures")
    )
    assert code == 0
    assert read_results(tmp_path / "results.json").models[0].key.endswith(sha256_of(shipped("recognizer")))
    assert f"are kept in {tmp_path / 'cache'}" in out


def test_settings_of_an_onnx_model_are_options(run, drawn_prepared, tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    given, taken = (
        onnx.helper.make_tensor_value_info(n, 1, s) for n, s in (("x", ["b", 1, 64, 64]), ("y", None))
    )
    flatten = onnx.helper.make_node("Flatten", ["x"], ["y"])
    graph = onnx.helper.make_graph([flatten], "pixels", [given], [taken])
    path = tmp_path / "pixels.onnx"
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8), path
    )
    code, _, _ = run(
        *("evaluate", drawn_prepared, tmp_path / "out", "--recognizer", path, "--resamples", "9"),
        *(
            "--onnx-size",
            "64",
            "--onnx-channels",
            "grey",
            "--onnx-alignment",
            "lightcnn",
            "--onnx-mean",
            "99",
        ),
    )
    assert code == 0
    key = read_results(tmp_path / "out" / "results.json").models[0].key
    assert '"channels": "grey", "mean": 99.0, "size": 64, "std": 127.5' in key


def test_settings_of_an_onnx_model_do_not_fit_a_light_cnn(run, drawn_prepared, recognizer, tmp_path):
    code, _, err = run("evaluate", drawn_prepared, tmp_path, "--recognizer", recognizer, "--onnx-size", "64")
    assert (code, "given for a file that is none (.onnx)" in err) == (2, True)
