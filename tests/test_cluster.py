"""Work on a Dask cluster of two processes of this machine; processes import what they run by its name."""

import os
import signal
import sys
from functools import partial

import pytest

from pcfh.batches import Progress, Way, Work, run_work
from pcfh.errors import UserError
from pcfh.parallel import map_unordered

distributed = pytest.importorskip("distributed", reason="needs the extra cluster")

FUNCTIONS = """
import os
import signal
import time
from pathlib import Path

import numpy as np

from pcfh.batches import ReadFace, Written
from pcfh.errors import UserError


def start_reader(process):
    def read(tasks):
        with (Path(process) / str(os.getpid())).open("a") as file:
            file.write("".join(f"{task.key}\\n" for task in tasks))
        time.sleep(0.02)
        return [ReadFace(task=task, crop=np.zeros((2, 2, 3), np.uint8)) for task in tasks]

    return read


def start_writer():
    def write(faces):
        for face in faces:
            Path(face.task.target).write_bytes(Path(face.task.source).read_bytes())
        return [Written(face=face) for face in faces]

    return write


def refuse():
    raise UserError("no model files")


def die():
    return lambda item: os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def functions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("functions")
    (folder / "functions_of_a_cluster.py").write_text(FUNCTIONS)
    sys.path.insert(0, str(folder))
    import functions_of_a_cluster

    yield functions_of_a_cluster
    sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def cluster(functions):
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as made:
        yield made


@pytest.fixture
def address(cluster):
    return cluster.scheduler_address.replace("tcp://", "dask://")


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(120):
        (tmp_path / "photos" / f"{number:03}.jpg").write_text(f"picture {number}")
    (tmp_path / "processes").mkdir()
    return tmp_path / "photos"


def work(functions, photos):
    return Work(
        name="translation",
        settings="s",
        start_reader=partial(functions.start_reader, str(photos.parent / "processes")),
        start_writer=functions.start_writer,
        ending=".png",
        batch=2,
    )


def tree(out):
    return {path.name: path.read_bytes() for path in out.iterdir() if path.suffix in (".png", ".csv")}


class Killing(Progress):
    """Kills one of the processes that work, in the middle of it."""

    def __init__(self, processes):
        self.processes, self.through, self.killed = processes, 0, None

    def done(self, pictures):
        self.through += pictures
        if self.killed is None and self.through >= 20 and len(list(self.processes.iterdir())) == 2:
            self.killed = int(next(self.processes.iterdir()).name)
            os.kill(self.killed, signal.SIGKILL)


def test_a_batch_is_complete_and_the_same_though_a_worker_of_the_cluster_was_killed(
    functions, address, photos, tmp_path
):
    killing = Killing(tmp_path / "processes")
    summary = run_work(
        work(functions, photos), [photos], tmp_path / "out", Way(workers=address), progress=killing
    )
    assert killing.killed is not None and summary.done == 120
    assert str(os.getpid()) not in {path.name for path in killing.processes.iterdir()}
    run_work(work(functions, photos), [photos], tmp_path / "alone", Way(workers=1))
    assert tree(tmp_path / "out") == tree(tmp_path / "alone")
    assert len(tree(tmp_path / "out")) == 121


def test_a_user_error_of_a_worker_is_raised_here(functions, address):
    with pytest.raises(UserError, match="no model files"):
        list(map_unordered(functions.refuse, [1, 2, 3], address))


def test_a_cluster_that_does_not_answer_is_named_and_how_to_start_one(functions, monkeypatch):
    monkeypatch.setattr("pcfh.cluster._WAIT", 1)
    with pytest.raises(UserError, match=r"dask://127\.0\.0\.1:9: no Dask scheduler answers .*dask scheduler"):
        list(map_unordered(functions.refuse, [1], "dask://127.0.0.1:9"))


def test_an_item_that_ends_worker_after_worker_ends_the_work_with_a_line(functions, address):
    with pytest.raises(UserError, match="one item ended worker after worker"):
        list(map_unordered(functions.die, [1], address))
