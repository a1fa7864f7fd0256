"""What a GPU's step is made of, put together on a processor: the losses stay, and the weights can be kept."""

import copy

import pytest
import torch
from runs import CPU
from smooth import batch

from pcfh.methods import train
from pcfh.methods.find import overridden, preset
from pcfh.methods.train import MethodLearner
from pcfh.training.filled_conv import FilledConv2d
from pcfh.training.fused_norm import Choice, FusedNorm, lean
from pcfh.training.loop import begin, update

SMALL = {
    "pcfh": (),
    "pix2pix": ("training.method=pix2pix", "baseline.width=4"),
    "cyclegan": ("training.method=cyclegan", "baseline.width=4", "baseline.blocks=1"),
}


def two_steps(learner: MethodLearner) -> list[dict[str, float]]:
    state, seen = begin(learner), []
    for step in range(2):
        torch.manual_seed(step)
        values = learner.trainer.compute_gradients(batch())
        update(state, learner)
        seen.append({name: float(value) for name, value in values.items() if name.startswith("loss/")})
    return seen


@pytest.mark.parametrize("method", SMALL)
def test_a_quick_step_has_the_plain_steps_losses_within_16_bits(method, monkeypatch):
    settings = ("training.precision=bf16", "training.group=2", *SMALL[method])
    config = overridden(preset("tiny"), settings)
    plain, quick = (MethodLearner(config, CPU) for _ in range(2))
    names = list(quick.networks.state_dict())
    monkeypatch.setattr(train, "worth_it", lambda device: True)
    choice = Choice(kernel=lean, channels_last=True, why="")
    assert "filled" in train._applied(choice, quick.trainer, CPU.device)[0]
    kinds = {type(module) for module in quick.networks.modules()}
    assert {FusedNorm, FilledConv2d} <= kinds
    assert list(quick.networks.state_dict()) == names
    copy.deepcopy(quick.result).load_state_dict(plain.result.state_dict())
    for found, expected in zip(two_steps(quick), two_steps(plain), strict=True):
        assert found == pytest.approx(expected, rel=0.05, abs=0.01)
