"""What tests share: a small database, and commands run in this process; one thread for all."""

import pytest
import torch
from small_database import write_small_database

from pcfh.cli import main
from pcfh.databases.casia import read_casia
from pcfh.errors import UserError
from pcfh.landmarks.blaze import Blaze
from pcfh.landmarks.fetch import cache_folder, fetch_blaze
from pcfh.methods import base as methods
from pcfh.preparation.align_capture import PrepareOptions
from pcfh.preparation.align_database import prepare

pytest_plugins = ["miniatures"]


def pytest_configure():
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_methods_of_other_tests(monkeypatch):
    """Methods from outside that a test names are forgotten when it ends."""
    monkeypatch.setattr(methods, "_outside", {})


@pytest.fixture(scope="session")
def drawn_database(tmp_path_factory):
    """Six people of 96 x 96 pixels, three of them in training; read only."""
    root = tmp_path_factory.mktemp("drawn")
    write_small_database(root, people=6)
    return root


@pytest.fixture(scope="session")
def drawn_prepared(drawn_database, tmp_path_factory):
    """Their crops of 64 x 64 pixels; read only."""
    out = tmp_path_factory.mktemp("prepared")
    prepare(read_casia(drawn_database), out, PrepareOptions(sizes=(64,), backend="given", layout="casia"))
    return out


@pytest.fixture(scope="session")
def blaze():
    """The default landmark backend, where its extra and its files are at hand."""
    try:
        fetch_blaze(cache_folder())
        return Blaze()
    except UserError as error:
        pytest.skip(f"the blaze backend needs its extra and its two model files: {error}")


@pytest.fixture
def run(capsys):
    """Runs a command in this process; gives exit code, standard output and standard error."""

    def call(*arguments) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        return (int(caught.value.code or 0), *capsys.readouterr())

    return call
