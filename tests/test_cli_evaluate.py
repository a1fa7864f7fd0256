"""``pcfh evaluate`` from the files on."""

import pytest
from blocks import hallucinator

from pcfh.models.lightcnn import build_lightcnn
from pcfh.recognition.checkpoint import save_recognizer
from pcfh.recognition.results import read_results
from pcfh.training.checkpoint import save_generator


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


@pytest.mark.parametrize(
    ("options", "said"),
    [
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
