"""What a GPU computes is what the processor computes; skipped where there is none."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from runs import CPU, SETTINGS, job, stop_after

from pcfh.hallucinate import Hallucinator
from pcfh.images import read_image
from pcfh.methods.files import load_generator
from pcfh.methods.find import overridden, preset
from pcfh.methods.pcfh.losses import attention_loss
from pcfh.methods.train import GENERATOR, BatchMaker, MethodLearner, open_pairs, train
from pcfh.recognisers.lightcnn.network import build_lightcnn
from pcfh.recognisers.registry import open_recognizer
from pcfh.runtime import Runtime, start_runtime
from pcfh.shipped import shipped
from pcfh.training.loop import Callbacks

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that PyTorch can use")
METHODS = {
    "pcfh": ("objective.lambda_id=1e-4",),
    "pix2pix": ("training.method=pix2pix", "baseline.width=8"),
    "cyclegan": ("training.method=cyclegan", "baseline.width=8", "baseline.blocks=1"),
}


@pytest.fixture(scope="module")
def gpu():
    with start_runtime("cuda") as runtime:
        yield runtime


@pytest.fixture(autouse=True)
def _full_precision(monkeypatch):
    """Convolutions in 32 bits, not in TF32."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def first_step(work, runtime: Runtime, recognizer=None) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
    """Values and gradients of the first step."""
    network = None if recognizer is None else recognizer.to(runtime.device)
    trainer = MethodLearner(work.config, runtime, network).trainer
    maker = BatchMaker(open_pairs(work)[0], work.config, runtime, network, warp=work.needs.warped)
    torch.manual_seed(0)
    values = trainer.compute_gradients(maker.batch(*maker.fetch(0)))
    gradients = {n: p.grad.cpu() for n, p in trainer.networks.named_parameters() if p.grad is not None}
    return {name: float(value) for name, value in values.items()}, gradients


@pytest.mark.parametrize("method", METHODS)
def test_the_first_step_has_the_processors_losses_and_gradients(method, drawn_prepared, tmp_path, gpu):
    # Pix2Pix draws its dropout on the device, so its numbers differ; that all of them are there is seen.
    work = job(drawn_prepared, tmp_path, *METHODS[method])
    torch.manual_seed(1)
    F = build_lightcnn("lightcnn9").eval().requires_grad_(False) if method == "pcfh" else None
    here, slopes = first_step(work, CPU, F)
    there, others = first_step(work, gpu, F)
    assert here.keys() == there.keys() and slopes.keys() == others.keys()
    assert all(np.isfinite(list(there.values())))
    if method == "pix2pix":
        return
    assert there == pytest.approx(here, rel=2e-3, abs=1e-5)
    # Biases before a normalisation have no slope but rounding's.
    largest = max(torch.linalg.norm(slope) for slope in slopes.values())
    for name, slope in slopes.items():
        error = torch.linalg.norm(others[name] - slope)
        assert error <= 0.02 * torch.linalg.norm(slope) + 1e-4 * largest, name


@pytest.mark.parametrize("method", METHODS)
def test_a_run_goes_on_where_it_was_stopped_on_either_device(method, drawn_prepared, tmp_path, gpu):
    work = job(drawn_prepared, tmp_path, *METHODS[method][method == "pcfh" :])
    assert train(work, gpu, Callbacks(should_stop=stop_after(2))).step == 2
    assert train(work, CPU, Callbacks(should_stop=stop_after(1))).step == 3
    assert train(work, gpu).step == 6
    generator, about = load_generator(tmp_path / GENERATOR)
    assert about["step"] == 6
    assert all(torch.isfinite(p).all() for p in generator.parameters())


@pytest.mark.parametrize("name", ["cpu", "best", "rendered"])
def test_mixed_precision_takes_steps_of_the_presets(name, drawn_prepared, tmp_path, gpu):
    settings = ("training.size=64", "training.precision=bf16", "objective.lambda_truth=0", *SETTINGS)
    config = overridden(preset(name), settings)
    work = replace(job(drawn_prepared, tmp_path), config=config, recognizer=shipped("recognizer"))
    assert train(work, gpu).step == 6


@pytest.mark.parametrize("method", METHODS)
def test_a_captured_step_gives_the_eager_steps_losses_and_weights(method, drawn_prepared, tmp_path, gpu):
    settings = METHODS[method][method == "pcfh" :]
    seen = {}
    for capture in ("on", "off"):
        values: list[dict[str, float]] = []
        work = job(drawn_prepared, tmp_path / capture, f"training.capture={capture}", *settings)
        on_step = Callbacks(on_step=lambda step, v, values=values: values.append(dict(v)))
        train(work, gpu, on_step)
        seen[capture] = values
    assert len(seen["on"]) == len(seen["off"]) == 6
    for one, other in zip(seen["on"], seen["off"], strict=True):
        assert one == pytest.approx(other, rel=1e-2, abs=1e-4)


_ERRORS = """
import torch
from pcfh.training.fused_norm import largest_error
from pcfh.training.norm_kernels import instance_norm
print([largest_error(instance_norm, torch.device("cuda"), t) for t in (torch.bfloat16, torch.float32)])
"""


def test_our_normalisation_has_pytorchs_values_and_gradients(gpu):
    # In a process of its own: here the functions' types are checked, and Triton cannot read such functions.
    pytest.importorskip("triton")
    ran = subprocess.run([sys.executable, "-c", _ERRORS], capture_output=True, text=True, check=True)
    mixed, full = json.loads(ran.stdout)
    assert mixed < 0.01
    assert full < 1e-5


def test_pairs_made_on_the_gpu_are_the_processors(drawn_prepared, tmp_path, gpu):
    pairs = open_pairs(job(drawn_prepared, tmp_path))[0]
    plan = pairs.plan(0, 8)
    here, there = pairs.images(plan), pairs.on(gpu.device).images(plan)
    assert torch.equal(there.nir.cpu(), here.nir) and torch.equal(there.vis.cpu(), here.vis)
    assert torch.equal(there.landmarks.cpu(), here.landmarks)
    assert (there.warped.cpu().int() - here.warped.int()).abs().max() <= 1


def test_the_nuclear_norm_and_its_slope_are_the_processors(gpu):
    torch.manual_seed(0)
    attention, (generated, warped) = torch.rand(2, 1, 64, 64), torch.rand(2, 2, 3, 64, 64)

    def slope(device) -> tuple[float, torch.Tensor]:
        leaf = attention.detach().clone().to(device).requires_grad_()
        loss = attention_loss(leaf, generated.to(device), warped.to(device), (3.0, 0.003, 1e-6))
        loss.backward()
        return float(loss.detach()), leaf.grad.cpu()

    (here, expected), (there, found) = slope("cpu"), slope(gpu.device)
    assert there == pytest.approx(here, rel=1e-5)
    assert torch.allclose(found, expected, atol=1e-6)


def test_the_shipped_generator_paints_the_processors_grey_levels(gpu):
    noise = np.random.default_rng(0)
    crops = noise.integers(0, 256, (3, 128, 128, 3), dtype=np.uint8)
    crops[:] = crops[..., :1]
    points = noise.uniform(30, 98, (3, 68, 2))
    here, there = (
        Hallucinator.from_file(shipped("generator"), device=d).translate_batch(crops, points).astype(int)
        for d in ("cpu", str(gpu.device))
    )
    assert np.abs(here - there).max() <= 1


def test_the_shipped_recogniser_has_the_processors_features(drawn_prepared, gpu):
    crops = np.stack([read_image(path) for path in sorted(drawn_prepared.glob("crops/64/VIS/*/*.png"))[:4]])
    faces = np.kron(crops, np.ones((1, 2, 2, 1), dtype=np.uint8))
    here, there = (
        open_recognizer(shipped("recognizer"), device=d).features(faces) for d in ("cpu", str(gpu.device))
    )
    cosines = (here * there).sum(1) / np.linalg.norm(here, axis=1) / np.linalg.norm(there, axis=1)
    assert cosines.min() > 0.99999
