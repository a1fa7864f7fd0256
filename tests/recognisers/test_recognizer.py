import numpy as np
import pytest
import safetensors.torch
import torch

from pcfh.errors import UserError
from pcfh.recognisers.alignment import LIGHTCNN
from pcfh.recognisers.base import Recognizer, l2_normalize
from pcfh.recognisers.lightcnn.network import build_lightcnn
from pcfh.recognisers.registry import open_recognizer


def write_weights(path, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        safetensors.torch.save_file(build_lightcnn("lightcnn9").state_dict(), path)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_weights(tmp_path_factory.mktemp("weights") / "own.safetensors", 0)


@pytest.fixture(scope="module")
def recognizer(weights):
    return open_recognizer(weights, device="cpu")


@pytest.fixture(scope="module")
def crops():
    return np.random.default_rng(0).integers(0, 256, (5, 128, 128, 3), np.uint8)


def test_features_do_not_depend_on_the_batch(recognizer, crops):
    singly = np.concatenate([recognizer.features(crop[None]) for crop in crops])
    np.testing.assert_allclose(recognizer.features(crops), singly, atol=1e-5)


def test_a_light_cnn_is_a_recognizer_of_crops_of_128_pixels(recognizer):
    assert isinstance(recognizer, Recognizer)
    assert recognizer.alignment == LIGHTCNN


def test_features_are_those_of_the_network_divided_by_their_norm(recognizer, weights, crops):
    network = build_lightcnn("lightcnn9").eval()
    network.load_state_dict(safetensors.torch.load_file(weights))
    luma = crops @ np.array([0.299, 0.587, 0.114]) / 255
    with torch.no_grad():
        features = network(torch.from_numpy(luma).float()[:, None]).numpy()
    expected = features / np.linalg.norm(features, axis=1, keepdims=True)
    np.testing.assert_allclose(recognizer.features(crops), expected, atol=1e-5)


def test_a_crop_of_144_pixels_is_recognised_by_its_middle(recognizer, crops):
    framed = np.pad(crops, ((0, 0), (8, 8), (8, 8), (0, 0)))
    np.testing.assert_allclose(recognizer.features(framed), recognizer.features(crops), atol=1e-5)


def test_other_weights_have_another_key(recognizer, tmp_path):
    other = write_weights(tmp_path / "own.safetensors", 1)
    assert open_recognizer(other, device="cpu").key != recognizer.key


def test_the_name_says_network_and_file(recognizer):
    assert recognizer.name == "lightcnn9 (own.safetensors)"


def test_settings_of_an_onnx_model_are_refused_for_a_light_cnn(weights):
    with pytest.raises(UserError, match="for a file that is none"):
        open_recognizer(weights, settings={"size": 16})


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_rows_that_are_zero_or_not_finite_are_refused(value):
    features = np.array([[3.0, 4.0], [value, 0.0]], np.float32)
    with pytest.raises(UserError, match="net: the features of 1 of 2 faces are zero or not finite"):
        l2_normalize(features, "net")


def test_rows_are_divided_by_their_norm():
    rows = l2_normalize(np.array([[3.0, 4.0], [0.0, 2e-30]], np.float32), "net")
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0.0, 1.0]], rtol=1e-6)
