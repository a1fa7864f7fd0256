"""Several recognisers as one."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pcfh.errors import UserError
from pcfh.methods.find import configured
from pcfh.methods.job import TrainingJob, check
from pcfh.recognisers.dlib_network import CHIP, DlibNetwork
from pcfh.recognisers.lightcnn.network import LightCNN
from pcfh.recognisers.teachers import DlibTeacher, Teachers, key_of_teacher, load_teacher
from pcfh.shipped import shipped


class Means(nn.Module):
    """Brightness of stripes, all very much alike."""

    def __init__(self, count):
        super().__init__()
        self.count = count

    def forward(self, faces):
        return 1 + F.adaptive_avg_pool2d(faces, (self.count, 1)).flatten(1)


@pytest.fixture
def faces():
    return torch.rand(6, 1, 128, 128, generator=torch.Generator().manual_seed(0))


def test_the_cosine_is_the_mean_of_both_own_ones_about_the_mean_capture(faces):
    networks = [Means(4), Means(16)]
    teachers = Teachers(networks)
    teachers.centre_on(faces.split(4))
    found = F.normalize(teachers(faces))
    expected = torch.zeros(6, 6)
    for network in networks:
        own = F.normalize(network(faces))
        own = F.normalize(own - own.mean(0))
        expected += own @ own.T / 2
    torch.testing.assert_close(found @ found.T, expected, atol=1e-4, rtol=0)


def test_gradients_reach_the_faces_and_no_weights(faces):
    network = nn.Sequential(nn.Flatten(), nn.Linear(128 * 128, 3)).requires_grad_(False)
    seen = faces.requires_grad_()
    Teachers([network, Means(2)])(seen)[:, 0].sum().backward()
    assert seen.grad.abs().sum() > 0
    assert all(p.grad is None for p in network.parameters())


def test_one_light_cnn_stays_as_it_is():
    assert isinstance(load_teacher([shipped("recognizer")]), LightCNN)


def test_dlib_sees_the_same_place_as_its_recogniser(monkeypatch):
    """A ramp over the crop of 128 pixels is, where dlib looks, eight pixels further in the one of 144."""
    from pcfh.recognisers import dlib, teachers

    monkeypatch.setattr(teachers, "open_network", DlibNetwork)
    teacher = DlibTeacher()
    seen = []
    monkeypatch.setattr(teacher.network, "forward", lambda chips: seen.append(chips) or chips[:, 0, 0])
    ramp = torch.arange(128.0).expand(1, 1, 128, 128)
    teacher(ramp)
    at = torch.arange(CHIP) * dlib.SCALE + dlib.LEFT - 8
    torch.testing.assert_close(seen[0][0, 1, 70], at.clamp(0, 127), atol=1e-3, rtol=0)
    assert key_of_teacher(Path("dlib")) == "dlib"


def test_beside_nobody_is_refused(tmp_path):
    job = TrainingJob(
        prepared=tmp_path,
        protocol="1",
        run=tmp_path / "run",
        config=configured("tiny"),
        beside=(Path("dlib"),),
    )
    with pytest.raises(UserError, match="--beside names recognisers beside that of --recognizer"):
        check(job)
