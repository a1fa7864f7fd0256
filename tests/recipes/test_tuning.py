"""Tuning on a prepared database: the file, what it says of itself, and who may be tested with it."""

import pytest
from small_database import write_small_database

from pcfh.databases.casia import read_casia
from pcfh.errors import UserError
from pcfh.evaluation.evaluation_data import EvaluationData, EvaluationJob, require_fair
from pcfh.preparation.align_capture import PrepareOptions
from pcfh.preparation.align_database import prepare
from pcfh.preparation.manifest import read_manifest
from pcfh.recipes.tuning import TuningJob, carry_out, done
from pcfh.recognisers.registry import open_recognizer
from pcfh.recognisers.tuned import load_tuned, save_tuned
from pcfh.recognisers.tuning.base import find_rival
from pcfh.shipped import shipped


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    root, out = tmp_path_factory.mktemp("database"), tmp_path_factory.mktemp("prepared")
    write_small_database(root, people=9)
    prepare(read_casia(root), out, PrepareOptions(sizes=(64,), backend="given", layout="casia"))
    return out


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def job(prepared, cache, out, rival, *settings, **more):
    return TuningJob(
        prepared=prepared,
        protocol=more.pop("protocol", "1"),
        out=out / "tuned.safetensors",
        rival=find_rival(rival, settings),
        recognizer=more.pop("recognizer", shipped("recognizer")),
        cache=cache,
        device="cpu",
        **more,
    )


def test_a_tuned_file_is_known_again_and_refused_on_its_own_people(prepared, cache, tmp_path):
    own = job(prepared, cache, tmp_path, "minus-mean")
    assert not done(own)
    carry_out(own)
    assert done(job(prepared, cache, tmp_path, "minus-mean"))
    assert not done(job(prepared, cache, tmp_path, "minus-mean", seed=1))
    require_fair(*evaluation(prepared, cache, own.out))
    tuned, about = load_tuned(own.out)
    manifest = read_manifest(prepared)
    tested = manifest.source.protocol("1").probe[0].subject
    other = tmp_path / "other.safetensors"
    save_tuned(other, tuned, {**about, "identities": [manifest.people[tested]]})
    with pytest.raises(UserError, match="results would be too good"):
        require_fair(*evaluation(prepared, cache, other))


def evaluation(prepared, cache, path):
    """The data of the fold, and one tuned recogniser."""
    recognizer = open_recognizer(path, device="cpu")
    job = EvaluationJob(prepared=prepared, protocols=("1",), cache=cache)
    return EvaluationData(job, {}, recognizer.alignment), {"rival": {"1": recognizer}}


def test_the_command_tunes_and_says_what_the_people_kept_out_say(prepared, cache, tmp_path, run):
    code, out, _ = run(
        *("tune", prepared, tmp_path, "--rival", "contrastive", "--cache", cache, "--device", "cpu"),
        *("--set", "variants=0", "steps=2", "every=1", "held_out=0.4"),
    )
    assert code == 0
    assert "step    2: Rank-1" in out
    assert (tmp_path / "tuned.safetensors").is_file()


def test_generators_and_rivals_have_to_fit(prepared, cache, tmp_path):
    with pytest.raises(UserError, match="give --generator"):
        carry_out(job(prepared, cache, tmp_path, "after-adfl"))
    with pytest.raises(UserError, match="leave --generator out"):
        carry_out(job(prepared, cache, tmp_path, "minus-mean", generator=shipped("generator")))
    onnx = tmp_path / "a.onnx"
    onnx.write_bytes(b"")
    with pytest.raises(UserError, match="give a Light CNN's weights"):
        carry_out(job(prepared, cache, tmp_path, "minus-mean", recognizer=onnx))
    assert not (tmp_path / "tuned.safetensors").exists()
