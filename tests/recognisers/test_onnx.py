import json
import sys
from functools import partial

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from pcfh.errors import UserError  # noqa: E402
from pcfh.recognisers import onnx as onnx_recogniser  # noqa: E402
from pcfh.recognisers.base import Recognizer  # noqa: E402
from pcfh.recognisers.onnx import OnnxSettings, network_input, read_settings  # noqa: E402
from pcfh.recognisers.registry import open_recognizer  # noqa: E402

SMALL = {"size": 16}


def write_model(path, *, batch="b", channels=3, side=16, features=4, kind=TensorProto.FLOAT):
    """A network that multiplies the pixels by fixed random numbers."""
    weights = np.random.default_rng(0).standard_normal((channels * side * side, features)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["f"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
    ]
    return write_graph(
        path, nodes, (batch, channels, side, side), {"w": weights}, ("y", (batch, features)), kind
    )


def write_graph(path, nodes, shape, weights, output, kind=TensorProto.FLOAT):
    graph = helper.make_graph(
        nodes,
        "recogniser",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info(output[0], TensorProto.FLOAT, output[1])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path


@pytest.fixture
def crops():
    return np.random.default_rng(1).integers(0, 256, (3, 16, 16, 3), np.uint8)


def test_features_are_the_networks_output_divided_by_its_norm(tmp_path, crops):
    path = write_model(tmp_path / "net.onnx")
    weights = numpy_helper.to_array(onnx.load(path).graph.initializer[0])
    flat = ((crops - 127.5) / 127.5).transpose(0, 3, 1, 2).reshape(3, -1) @ weights
    expected = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    features = open_recognizer(path, settings=SMALL).features(crops)
    np.testing.assert_allclose(features, expected, atol=1e-5)


def test_a_network_of_one_face_at_a_time_gives_the_same(tmp_path, crops):
    free = open_recognizer(write_model(tmp_path / "free.onnx"), settings=SMALL)
    one = open_recognizer(write_model(tmp_path / "one.onnx", batch=1), settings=SMALL)
    np.testing.assert_allclose(one.features(crops), free.features(crops), atol=1e-6)


def test_it_is_a_recognizer_with_the_alignment_of_its_settings(tmp_path):
    recognizer = open_recognizer(write_model(tmp_path / "net.onnx"), settings=SMALL)
    assert isinstance(recognizer, Recognizer)
    assert (recognizer.alignment.convention, recognizer.alignment.size) == ("arcface", 16)


def test_settings_beside_the_file_are_read(tmp_path):
    settings = {"size": 16, "channels": "grey", "alignment": "arcface", "mean": 0, "std": 255}
    (tmp_path / "net.onnx.json").write_text(json.dumps(settings))
    recognizer = open_recognizer(write_model(tmp_path / "net.onnx", channels=1))
    assert recognizer.features(np.full((1, 16, 16, 3), 9, np.uint8)).shape == (1, 4)


def test_other_settings_give_another_key(tmp_path):
    path = write_model(tmp_path / "net.onnx")
    keys = {open_recognizer(path, settings={"size": 16, "channels": c}).key for c in ("rgb", "bgr")}
    assert len(keys) == 2


def test_bgr_turns_the_channels_round():
    pixel = np.broadcast_to(np.array([10, 20, 30], np.uint8), (1, 16, 16, 3))
    settings = OnnxSettings(size=16, channels="bgr", mean=0.0, std=10.0)
    assert network_input(pixel, settings)[0, :, 0, 0].tolist() == [3.0, 2.0, 1.0]


def test_grey_is_the_luma():
    pixel = np.broadcast_to(np.array([255, 0, 0], np.uint8), (1, 16, 16, 3))
    settings = OnnxSettings(size=16, channels="grey", mean=0.0, std=1.0)
    assert network_input(pixel, settings)[0, :, 0, 0].tolist() == [76.0]


def test_arcface_maps_black_and_white_to_minus_one_and_one():
    pixels = np.stack([np.zeros((16, 16, 3), np.uint8), np.full((16, 16, 3), 255, np.uint8)])
    assert network_input(pixels, OnnxSettings(size=16))[:, 0, 0, 0].tolist() == [-1.0, 1.0]


def test_a_network_that_puts_out_maps_is_refused(tmp_path):
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    shape = ("b", 3, 16, 16)
    path = write_graph(tmp_path / "net.onnx", nodes, shape, {}, ("y", shape))
    with pytest.raises(UserError, match="first output of batch x features"):
        open_recognizer(path, settings=SMALL)


def test_features_that_are_no_numbers_are_refused(tmp_path, crops):
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"], axis=1),
        helper.make_node("Sqrt", ["flat"], ["y"]),
    ]
    path = write_graph(tmp_path / "net.onnx", nodes, ("b", 3, 16, 16), {}, ("y", ("b", 768)))
    recognizer = open_recognizer(path, settings=SMALL)
    with pytest.raises(UserError, match=r"net\.onnx: the features of 3 of 3 faces .* \(NaN\)"):
        recognizer.features(crops)


def test_crops_of_another_size_are_refused(tmp_path):
    recognizer = open_recognizer(write_model(tmp_path / "net.onnx"), settings=SMALL)
    with pytest.raises(UserError, match="expected crops of 16 pixels, got 20"):
        recognizer.features(np.zeros((1, 20, 20, 3), np.uint8))


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"no model")
    with pytest.raises(UserError, match=r"net\.onnx: damaged, or not an ONNX model"):
        open_recognizer(tmp_path / "net.onnx")


def test_without_onnxruntime_the_command_that_installs_it_is_given(tmp_path, monkeypatch):
    path = write_model(tmp_path / "net.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"pip install 'pcfh\[onnx\]'"):
        open_recognizer(path, settings=SMALL)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("{", "expected the settings of an ONNX model; got something else"),
        ("[1]", "Expected `object`, got `array`"),
        ('{"sise": 112}', "no setting 'sise'; known: alignment, size"),
        ('{"size": "112"}', r"Expected `int`, got `str` - at `.\.size`"),
        ('{"size": true}', r"Expected `int`, got `bool` - at `.\.size`"),
        ('{"channels": "cmyk"}', "no channels 'cmyk'"),
        ('{"std": 0}', "a positive std"),
        ('{"alignment": "dlib"}', "no alignment 'dlib'"),
    ],
)
def test_settings_beside_the_file_that_mean_nothing_are_refused(tmp_path, content, text):
    (tmp_path / "net.onnx.json").write_text(content)
    with pytest.raises(UserError, match=text) as caught:
        read_settings(tmp_path / "net.onnx")
    assert "net.onnx.json" in str(caught.value)


def test_what_is_given_goes_before_what_lies_beside_the_file(tmp_path):
    (tmp_path / "net.onnx.json").write_text('{"size": 16, "channels": "bgr", "mean": 0}')
    found = read_settings(tmp_path / "net.onnx", {"size": 32})
    assert found == OnnxSettings(size=32, channels="bgr", mean=0.0)


def test_weights_in_a_file_beside_the_model_are_part_of_the_key(tmp_path):
    keys = set()
    for features in (4, 5):
        model = onnx.load(write_model(tmp_path / "net.onnx", features=features))
        (tmp_path / "net.onnx.data").unlink(missing_ok=True)
        beside = {"save_as_external_data": True, "location": "net.onnx.data", "size_threshold": 0}
        onnx.save(model, tmp_path / "net.onnx", **beside)
        keys.add(open_recognizer(tmp_path / "net.onnx", settings=SMALL).key)
        data = bytearray((tmp_path / "net.onnx.data").read_bytes())
        data[3] ^= 1
        (tmp_path / "net.onnx.data").write_bytes(data)
        keys.add(open_recognizer(tmp_path / "net.onnx", settings=SMALL).key)
    assert len(keys) == 4


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({"side": 32}, r"takes 3 x 32 x 32 .* but the settings say rgb of size 16.*correct --onnx-size and"),
        ({"channels": 1}, "takes 1 x 16 x 16"),
        ({"batch": 8}, "takes exactly 8 faces"),
        ({"kind": TensorProto.UINT8}, "expected one float32 input"),
    ],
)
def test_a_network_of_another_input_is_refused(tmp_path, odd, said):
    path = write_model(tmp_path / "net.onnx", **odd)
    with pytest.raises(UserError, match=said):
        open_recognizer(path, settings=SMALL)


def test_a_model_with_a_loop_without_end_is_ended(tmp_path, crops, monkeypatch):
    """Its result is that of the usual one, after a million millions of rounds that do nothing."""
    number = partial(helper.make_tensor_value_info, shape=[])
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["on2"]), helper.make_node("Identity", ["z"], ["z2"])],
        "round",
        [number("i", TensorProto.INT64), number("on", TensorProto.BOOL), number("z", TensorProto.FLOAT)],
        [number("on2", TensorProto.BOOL), number("z2", TensorProto.FLOAT)],
    )
    nodes = [
        helper.make_node("Loop", ["rounds", "", "zero"], ["last"], body=body),
        helper.make_node("Flatten", ["x"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "w"], ["product"]),
        helper.make_node("Add", ["product", "last"], ["y"]),
    ]
    weights = {
        "rounds": np.array(10**12),
        "zero": np.float32(0).reshape(()),
        "w": np.ones((768, 4), np.float32),
    }
    path = write_graph(tmp_path / "net.onnx", nodes, ("b", 3, 16, 16), weights, ("y", ("b", 4)))
    recogniser = open_recognizer(path, settings=SMALL)
    monkeypatch.setattr(onnx_recogniser, "_SECONDS_PER_FACE", 0.1)
    with pytest.raises(UserError, match=r"has not ended after 0\.1 seconds for each face"):
        recogniser.features(crops)
