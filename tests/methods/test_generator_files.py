"""Files of generators: what is kept, what is refused, and what is taken for what it is."""

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from pcfh import __version__
from pcfh.errors import UserError
from pcfh.files import sha256_of
from pcfh.methods.adfl.adfl_trainer import TwoPathGenerator
from pcfh.methods.base import built_in, kind_of
from pcfh.methods.csh.csh_trainer import YCbCrGenerator
from pcfh.methods.cyclegan.cyclegan_trainer import ResidualGenerator
from pcfh.methods.files import load_generator, save_generator
from pcfh.methods.pcfh.generator import Generator
from pcfh.methods.pix2pix.pix2pix_trainer import UNetGenerator
from pcfh.recognisers.lightcnn.network import build_lightcnn
from pcfh.recognisers.lightcnn.weights import load_recognizer, save_recognizer

ABOUT = {"step": 7, "protocol": "1"}


@pytest.fixture
def generator():
    torch.manual_seed(0)
    return Generator(size=64, width=4, blocks=1, local_blocks=1)


@pytest.fixture
def generator_file(generator, tmp_path):
    save_generator(tmp_path / "generator.safetensors", generator, ABOUT)
    return tmp_path / "generator.safetensors"


def test_a_loaded_generator_is_for_use_not_for_training(generator_file):
    loaded, _ = load_generator(generator_file)
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_a_generator_says_where_it_comes_from(generator_file):
    assert load_generator(generator_file)[1] == {**ABOUT, "version": __version__}


def test_a_loaded_generator_outlives_its_file(generator, generator_file):
    loaded, _ = load_generator(generator_file)
    with generator_file.open("r+b") as file:
        file.write(bytes(generator_file.stat().st_size))
    assert all(torch.equal(x, loaded.state_dict()[key]) for key, x in generator.state_dict().items())


def test_an_absent_generator_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.safetensors: no such file; expected the generator"):
        load_generator(tmp_path / "none.safetensors")


@pytest.mark.parametrize("keep", [0, 4, 200, -1])
def test_a_cut_off_generator_is_refused(generator_file, keep):
    generator_file.write_bytes(generator_file.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"generator\.safetensors: not a readable safetensors file"):
        load_generator(generator_file)


def test_weights_of_something_else_are_refused(tmp_path):
    save_file({"conv.weight": torch.zeros(3)}, tmp_path / "recognizer.safetensors")
    with pytest.raises(UserError, match=r"expected a generator .*, got no format mark; use the generator"):
        load_generator(tmp_path / "recognizer.safetensors")


def rewritten(path, weights: dict[str, torch.Tensor] | None = None, **metadata: str) -> None:
    with safe_open(path, framework="pt") as file:
        old = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
        marks = {**file.metadata(), **metadata}
    save_file(old if weights is None else weights, path, marks)


@pytest.mark.parametrize(
    "arguments",
    [
        '{"size": 64, "width": 8, "blocks": 1, "local_blocks": 1}',
        '{"size": 64, "width": 100000, "blocks": 1, "local_blocks": 1}',
        '{"size": 77, "width": 4, "blocks": 1, "local_blocks": 1}',
        '{"size": 64, "width": 4, "blocks": 10000000, "local_blocks": 1}',
        '{"size": 64}',
        "[]",
        "{",
    ],
)
def test_a_description_that_the_weights_do_not_fit_is_refused(generator_file, arguments):
    rewritten(generator_file, arguments=arguments)
    with pytest.raises(UserError, match="its weights do not fit its own description"):
        load_generator(generator_file)


SMALL = {
    "pcfh": Generator(size=64, width=4, blocks=1, local_blocks=1),
    "adfl": TwoPathGenerator(size=64, width=4, blocks=1),
    "csh": YCbCrGenerator(size=64, channels=4),
    "pix2pix": UNetGenerator(size=64, width=4),
    "cyclegan": ResidualGenerator(size=64, width=4, blocks=1),
}


def test_the_generator_of_every_method_is_tried():
    assert SMALL.keys() == built_in().keys()


@pytest.mark.parametrize("kind", SMALL)
def test_a_file_names_its_kind_and_comes_back_as_that(kind, tmp_path):
    network = SMALL[kind]
    save_generator(tmp_path / "g.safetensors", network, ABOUT)
    with safe_open(tmp_path / "g.safetensors", framework="pt") as file:
        assert file.metadata()["kind"] == kind == kind_of(network)
    loaded, _ = load_generator(tmp_path / "g.safetensors")
    assert (type(loaded), loaded.arguments) == (type(network), network.arguments)
    assert all(torch.equal(x, loaded.state_dict()[key]) for key, x in network.state_dict().items())


def test_a_file_of_an_earlier_version_names_no_kind_and_is_pcfhs(generator, generator_file):
    with safe_open(generator_file, framework="pt") as file:
        marks = {key: value for key, value in file.metadata().items() if key != "kind"}
    save_file(generator.state_dict(), generator_file, marks)
    loaded, _ = load_generator(generator_file)
    assert all(torch.equal(x, loaded.state_dict()[key]) for key, x in generator.state_dict().items())


def test_an_unknown_kind_is_refused_and_named(generator_file):
    rewritten(generator_file, kind="stargan")
    with pytest.raises(UserError, match=r"methods pcfh, adfl, csh, cyclegan, pix2pix, got 'stargan'"):
        load_generator(generator_file)


def test_a_false_kind_is_refused(generator_file):
    rewritten(generator_file, kind="cyclegan")
    with pytest.raises(UserError, match="its weights do not fit its own description"):
        load_generator(generator_file)


def test_a_generator_without_some_of_its_weights_is_refused(generator_file):
    rewritten(generator_file, {"whole.first.0.weight": torch.zeros(4, 3, 5, 5)})
    with pytest.raises(UserError, match="its weights do not fit its own description"):
        load_generator(generator_file)


def test_half_precision_weights_are_widened(generator, generator_file):
    rewritten(generator_file, {key: value.half() for key, value in generator.state_dict().items()})
    loaded, _ = load_generator(generator_file)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}


def test_equal_generators_have_equal_files(generator, tmp_path):
    for name in "ab":
        save_generator(tmp_path / name, generator, ABOUT)
    assert sha256_of(tmp_path / "a") == sha256_of(tmp_path / "b")


@pytest.fixture
def folder(generator_file):
    """A run's folder with a generator and a checkpoint, and a recogniser."""
    home = generator_file.parent
    save_recognizer(home / "recognizer.safetensors", build_lightcnn("lightcnn9"), {})
    torch.save({"format": "pcfh-checkpoint-2", "networks": {}}, home / "checkpoint.pt")
    return home


@pytest.mark.parametrize(
    ("load", "name", "said"),
    [
        (load_generator, "checkpoint.pt", r"is the checkpoint of a training.*give .*/generator\.safetensors"),
        (
            load_recognizer,
            "checkpoint.pt",
            r"is the checkpoint of a training.*give .*/recognizer\.safetensors",
        ),
        (load_generator, "recognizer.safetensors", r"is a recogniser; expected a generator.*generator\.saf"),
        (
            load_recognizer,
            "generator.safetensors",
            r"is a generator, .*; expected a recogniser: give .*/recognizer\.safetensors",
        ),
    ],
)
def test_one_file_in_the_place_of_another_is_known_for_what_it_is(folder, load, name, said):
    with pytest.raises(UserError, match=said):
        load(folder / name)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(generator_file, value):
    with safe_open(generator_file, framework="pt") as file:
        weights = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
    next(iter(weights.values())).view(-1)[0] = value
    rewritten(generator_file, weights)
    with pytest.raises(UserError, match="holds weights that are not finite"):
        load_generator(generator_file)
