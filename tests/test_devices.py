import pytest
import torch

from pcfh.devices import mixes

CPU = torch.device("cpu")


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
def test_a_named_precision_is_taken_whatever_the_device(device):
    assert mixes("bf16", torch.device(device))
    assert not mixes("fp32", torch.device(device))


@pytest.mark.parametrize("has", [True, False])
def test_auto_mixes_where_the_processor_has_instructions_for_it(monkeypatch, has):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": has}, raising=False)
    assert mixes("auto", CPU) is has


def test_auto_takes_32_bits_where_pytorch_cannot_tell(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not mixes("auto", CPU)


@pytest.mark.parametrize("has", [True, False])
def test_auto_asks_a_gpu(monkeypatch, has):
    asked = {}

    def supported(including_emulation: bool = True) -> bool:
        asked["emulation"] = including_emulation
        return has

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert mixes("auto", torch.device("cuda:0")) is has
    assert asked == {"emulation": False}
