import dataclasses
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file

from pcfh.errors import UserError
from pcfh.recognisers.base import trained_on
from pcfh.recognisers.lightcnn.network import ARCHITECTURES, MFMConv, MFMLinear, build_lightcnn
from pcfh.recognisers.lightcnn.weights import load_recognizer, save_recognizer
from pcfh.recognisers.registry import open_recognizer
from pcfh.recognisers.training.faces import Faces, TrainingFaces
from pcfh.recognisers.training.train_lightcnn import (
    RECOGNIZER,
    RecognizerJob,
    RecognizerRecipe,
    RecognizerTask,
    calibrate,
    class_scores,
    new_network,
    rate_factor,
    train_recognizer,
    validate,
    with_margin,
)
from pcfh.training.loop import CHECKPOINT, Callbacks, TrainingStoppedError, begin, update

CPU = torch.device("cpu")


def patterns(count, seed=0):
    """Smooth grey pictures, each unlike the others."""
    noise = torch.randn(count, 1, 12, 12, generator=torch.Generator().manual_seed(seed))
    smooth = F.interpolate(noise, size=144, mode="bicubic")[:, 0]
    grey = (128 + 60 * smooth).clamp(0, 255).byte().numpy()
    return np.repeat(grey[..., None], 3, -1)


def small_recipe(**changes):
    settings = {
        "steps": 2,
        "batch": 2,
        "warmup": 1,
        "validate_every": 2,
        "checkpoint_every": 1,
        "loss": "softmax",
    }
    return RecognizerRecipe(**(settings | changes))


def job_of(prepared, run, **changes):
    return RecognizerJob(prepared=prepared, protocol="all", run=run, recipe=small_recipe(**changes))


@pytest.fixture(scope="module", autouse=True)
def few_faces_to_calibrate_on():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pcfh.recognisers.training.train_lightcnn._CALIBRATION", 6)
        yield


@pytest.fixture(scope="module")
def finished(few_faces_to_calibrate_on, drawn_prepared, tmp_path_factory):
    """A run of two steps in one go, and the values of its steps."""
    run, seen = tmp_path_factory.mktemp("run"), []
    callbacks = Callbacks(on_step=lambda step, values: seen.append((step, dict(values))))
    train_recognizer(job_of(drawn_prepared, run), CPU, callbacks)
    return run, seen


def test_the_loss_falls_far_below_guessing_within_ten_steps():
    faces = TrainingFaces(images=patterns(6), labels=np.arange(6), seed=0)
    recipe = RecognizerRecipe(batch=6, warmup=2, margin=0.0, scale=10.0, learning_rate=3e-4)
    task = RecognizerTask(recipe, faces, None, CPU)
    state, same, losses = begin(task), faces.batch(0, 6), []
    for step in range(10):
        losses.append(task.compute_gradients(step, same)["loss/people"].item())
        update(state, task)
    assert np.mean(losses[-3:]) < 0.5 * math.log(6)


def outputs_of(model, x):
    """What the layers put out, by name."""
    outputs = {}
    for name, layer in model.named_modules():
        if isinstance(layer, MFMConv | MFMLinear) or name == "fc":
            layer.register_forward_hook(lambda _m, _i, y, name=name: outputs.__setitem__(name, y))
    with torch.no_grad():
        model(x)
    return outputs


def saved_weights(tmp_path, arch):
    path = tmp_path / "start.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(5)
        save_recognizer(path, build_lightcnn(arch), {})
    return path


def test_a_start_gives_all_layers_but_the_last_their_weights(tmp_path):
    path = saved_weights(tmp_path, "lightcnn9")
    faces = TrainingFaces(images=patterns(6), labels=np.arange(6), seed=0)
    network = new_network(RecognizerRecipe(), faces, CPU, path)
    expected = load_recognizer(path).state_dict()
    for key, value in expected.items():
        torch.testing.assert_close(network.state_dict()[key], value, rtol=0, atol=0)
    assert set(network.state_dict()) - set(expected) == {"fc2.weight", "fc2.bias"}


def test_a_recogniser_remembers_what_the_weights_it_began_with_had_learnt_from(tmp_path):
    data = {"manifest": "a", "protocol": "1"}
    start, out = tmp_path / "start.safetensors", tmp_path / "out.safetensors"
    save_recognizer(start, build_lightcnn("lightcnn9"), {"data": data})
    faces = TrainingFaces(images=patterns(6), labels=np.arange(6), seed=0)
    task = RecognizerTask(RecognizerRecipe(), faces, None, CPU, start=start)
    task.identity = {"data": {"manifest": "b", "protocol": "all"}}
    task.save(out, task.result, 1)
    assert trained_on(open_recognizer(out, device="cpu")) == [("a", "1"), ("b", "all")]


def test_a_start_of_another_architecture_is_refused(tmp_path):
    path = saved_weights(tmp_path, "lightcnn29")
    faces = TrainingFaces(images=patterns(6), labels=np.arange(6), seed=0)
    with pytest.raises(UserError, match="not the weights of lightcnn9"):
        new_network(RecognizerRecipe(), faces, CPU, path)


def test_a_run_with_another_start_does_not_go_on(finished, drawn_prepared, tmp_path):
    job = dataclasses.replace(job_of(drawn_prepared, finished[0]), start=saved_weights(tmp_path, "lightcnn9"))
    with pytest.raises(UserError, match="start was None"):
        train_recognizer(job, CPU)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_calibrated_channels_have_mean_0_and_spread_1(arch):
    x = torch.from_numpy(patterns(6)[:, None, 8:136, 8:136, 0]).float() / 255
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_lightcnn(arch)
    calibrate(model, x)
    for name, y in outputs_of(model, x).items():
        spread = 0.1 if name.endswith("conv2") else 1.0
        others = [axis for axis in range(y.ndim) if axis != 1]
        assert y.mean(others).abs().max() < 1e-3, name
        torch.testing.assert_close(y.std(others), torch.full(y.shape[1:2], spread), rtol=2e-3, atol=0)


def test_the_margin_comes_off_the_own_persons_score():
    recipe = RecognizerRecipe(scale=10.0, margin=0.3, warmup=10)
    scores = with_margin(torch.zeros(2, 3), torch.tensor([2, 0]), recipe, 10)
    assert scores.tolist() == [[0, 0, -3], [-3, 0, 0]]


def test_half_way_through_the_warm_up_the_margin_is_half():
    recipe = RecognizerRecipe(scale=10.0, margin=0.4, warmup=10)
    assert with_margin(torch.zeros(1, 2), torch.tensor([0]), recipe, 5).tolist() == [[-2, 0]]


def test_cosface_scores_are_scaled_cosines():
    model, recipe = build_lightcnn("lightcnn9", 2), RecognizerRecipe(scale=30.0)
    features = torch.zeros(1, 256)
    features[0, :2] = torch.tensor([3.0, 4.0])
    with torch.no_grad():
        model.fc2.weight.zero_()
        model.fc2.weight[0, 0], model.fc2.weight[1, 1] = 7.0, 0.1
        scores = class_scores(model, features, recipe)
    torch.testing.assert_close(scores, torch.tensor([[18.0, 24.0]]))


def test_the_rate_rises_to_one_and_falls_to_zero():
    recipe = RecognizerRecipe(steps=100, warmup=20)
    factors = [rate_factor(recipe, step) for step in range(101)]
    assert factors[20] == 1.0
    assert factors[60] == pytest.approx(0.5)
    assert factors[100] == pytest.approx(0)
    assert np.all(np.diff(factors[:21]) > 0)


def test_faces_that_are_copies_of_the_enrolled_ones_are_all_found():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_lightcnn("lightcnn9").eval()
    faces = Faces(
        images=np.tile(patterns(4), (2, 1, 1, 1)), people=np.tile(np.arange(4), 2), nir=np.zeros(8, bool)
    )
    assert validate(network, faces, "fp32")["validation/rank1"] == 1.0


def test_near_infrared_faces_are_searched_for_among_the_visible_ones():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_lightcnn("lightcnn9").eval()
    images, people = patterns(4), np.arange(4)
    faces = Faces(
        images=np.concatenate([images, images, images[[0, 2, 1]]]),
        people=np.concatenate([people, people, people[:3]]),
        nir=np.repeat([False, True], [8, 3]),
    )
    values = validate(network, faces, "fp32")
    assert values["validation/rank1"] == 1.0
    assert values["validation/nir_rank1"] == pytest.approx(1 / 3)


def test_a_run_on_both_spectra_tries_both(drawn_prepared, tmp_path):
    seen = {}
    callbacks = Callbacks(on_step=lambda _, values: seen.update(values))
    train_recognizer(job_of(drawn_prepared, tmp_path, nir_share=0.5), CPU, callbacks)
    assert {"validation/rank1", "validation/nir_rank1"} <= set(seen)


def test_a_run_that_was_stopped_ends_with_the_same_bits(finished, drawn_prepared, tmp_path):
    job = job_of(drawn_prepared, tmp_path)
    torch.manual_seed(99)
    assert train_recognizer(job, CPU, Callbacks(should_stop=lambda: True)).step == 1
    torch.manual_seed(77)
    assert train_recognizer(job, CPU).step == 2
    kept = [torch.load(run / CHECKPOINT, weights_only=True) for run in (finished[0], tmp_path)]
    for part in ("networks", "average", "optimizer"):
        torch.testing.assert_close(kept[0][part], kept[1][part], rtol=0, atol=0)


def test_a_finished_run_is_left_as_it_is(finished, drawn_prepared):
    run, _ = finished
    before = (run / RECOGNIZER).read_bytes()
    assert train_recognizer(job_of(drawn_prepared, run), CPU).step == 2
    assert (run / RECOGNIZER).read_bytes() == before


def test_validation_comes_with_the_steps_where_it_is_due(finished):
    _, seen = finished
    assert [(step, "validation/rank1" in values) for step, values in seen] == [(1, False), (2, True)]


def test_the_weights_of_a_run_are_a_recogniser(finished):
    recognizer = open_recognizer(finished[0] / RECOGNIZER, device="cpu")
    features = recognizer.features(patterns(2))
    assert features.shape == (2, 256)


def test_the_weights_say_where_they_come_from(finished):
    with safe_open(finished[0] / RECOGNIZER, "pt") as file:
        metadata = file.metadata()
    assert metadata["format"] == "pcfh-recognizer-1"
    assert '"protocol": "all"' in metadata["about"]


def test_weights_are_written_in_16_bits_and_without_the_head(tmp_path):
    save_recognizer(tmp_path / "r.safetensors", build_lightcnn("lightcnn9", 3), {})
    tensors = load_file(tmp_path / "r.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert not [key for key in tensors if key.startswith("fc2")]


def test_another_recipe_does_not_go_on_with_a_run(finished, drawn_prepared):
    with pytest.raises(UserError, match=r"recipe\.learning_rate was 0\.001 and is 0\.002"):
        train_recognizer(job_of(drawn_prepared, finished[0], learning_rate=0.002), CPU)


def test_a_damaged_checkpoint_is_refused(drawn_prepared, tmp_path):
    (tmp_path / CHECKPOINT).write_bytes(b"no checkpoint")
    with pytest.raises(UserError, match=r"checkpoint\.pt: not a readable checkpoint"):
        train_recognizer(job_of(drawn_prepared, tmp_path), CPU)


def test_a_loss_that_is_no_number_stops_the_run(drawn_prepared, tmp_path):
    with pytest.raises(TrainingStoppedError, match="not finite at step"):
        train_recognizer(job_of(drawn_prepared, tmp_path, learning_rate=1e30, warmup=0, steps=4), CPU)


@pytest.mark.parametrize(
    ("field", "value"), [("steps", 0), ("learning_rate", -1.0), ("ema", 1.0), ("scale", math.nan)]
)
def test_numbers_out_of_range_are_refused(field, value, drawn_prepared, tmp_path):
    with pytest.raises(UserError, match=f"{field}={value}: expected"):
        train_recognizer(job_of(drawn_prepared, tmp_path, **{field: value}), CPU)
