"""The mean of generators, and what a generator is known to have learnt from."""

import pytest
import torch

from pcfh.errors import UserError
from pcfh.files import sha256_of
from pcfh.methods.average import mean_generator
from pcfh.methods.files import load_generator, save_generator, training_history
from pcfh.methods.pcfh.generator import Generator


def generator(seed, width=4):
    torch.manual_seed(seed)
    return Generator(size=64, width=width, blocks=1, local_blocks=1)


@pytest.fixture
def files(tmp_path):
    """Three generators; the second and third come from trainings on data "b"."""
    abouts = ({}, {"training_data": "b", "protocol": "1"}, {"training_data": "b", "protocol": "2"})
    paths = [tmp_path / f"{seed}.safetensors" for seed in range(3)]
    for seed, (path, about) in enumerate(zip(paths, abouts, strict=True)):
        save_generator(path, generator(seed), about)
    return paths


def test_every_weight_is_the_mean_and_a_file_named_twice_counts_twice(files):
    mean, about = mean_generator([files[0], files[0], files[1]])
    first, second = (load_generator(path)[0].state_dict() for path in files[:2])
    for name, weight in mean.state_dict().items():
        torch.testing.assert_close(weight, (2 * first[name] + second[name]) / 3)
    assert about["mean_of"] == [sha256_of(files[0]), sha256_of(files[0]), sha256_of(files[1])]


def test_the_mean_of_a_file_with_itself_is_that_file(files):
    mean, _ = mean_generator([files[0]] * 3)
    kept = load_generator(files[0])[0].state_dict()
    assert all(torch.equal(weight, kept[name]) for name, weight in mean.state_dict().items())


def test_a_mean_has_learnt_from_what_any_of_its_parts_has(files, tmp_path):
    mean, about = mean_generator(files)
    save_generator(tmp_path / "mean.safetensors", mean, about)
    _, about = load_generator(tmp_path / "mean.safetensors")
    assert training_history(about) == [
        {"training_data": "b", "protocol": protocol} for protocol in ("1", "2")
    ]
    again = mean_generator([tmp_path / "mean.safetensors", files[1]])[1]
    assert training_history(again) == training_history(about)


@pytest.mark.parametrize("before", [7, [7], [{"protocol": "1"}], "1"])
def test_a_file_whose_list_of_training_history_is_none_is_damaged(tmp_path, before):
    save_generator(tmp_path / "bad.safetensors", generator(0), {"before": before})
    with pytest.raises(UserError, match=r"bad\.safetensors: .*damaged"):
        load_generator(tmp_path / "bad.safetensors")


def test_one_file_or_files_of_different_networks_have_no_mean(files, tmp_path):
    with pytest.raises(UserError, match="expected two or more files"):
        mean_generator(files[:1])
    save_generator(tmp_path / "wide.safetensors", generator(0, width=8), {})
    with pytest.raises(UserError, match=r"wide\.safetensors: holds .*'width': 8.*'width': 4.*one network"):
        mean_generator([files[0], tmp_path / "wide.safetensors"])
    with pytest.raises(UserError, match=r"gone\.safetensors: no such file"):
        mean_generator([files[0], tmp_path / "gone.safetensors"])


def test_the_command_writes_what_translates_and_replaces_nothing(run, files, tmp_path):
    out = tmp_path / "new" / "mean.safetensors"
    code, said, _ = run("models", "average", out, *files)
    assert (code, said) == (0, f"{out}\n")
    mean, _ = mean_generator(files)
    written, _ = load_generator(out)
    assert all(torch.equal(weight, mean.state_dict()[name]) for name, weight in written.state_dict().items())
    before = out.read_bytes()
    code, _, error = run("models", "average", out, *files)
    assert code and "exists; name another file" in error and out.read_bytes() == before
