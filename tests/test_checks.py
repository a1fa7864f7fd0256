"""What is given to ``import pcfh`` by mistake gets one line: what was expected, what came, what to do."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import pcfh
from pcfh.api_faces import align, features, inverse_distance_warp
from pcfh.checks import require_crops, require_kind, require_landmarks, require_path, require_picture
from pcfh.errors import UserError

PICTURE = np.zeros((80, 80, 3), np.uint8)
POINTS = np.arange(136.0).reshape(68, 2)
TENSOR = torch.rand(1, 3, 8, 8)
PAIRS = torch.rand(1, 4, 2)


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (PICTURE[..., 0], "a grey one of 80 x 80; repeat its channel"),
        (PICTURE[..., :1], "a grey one of 80 x 80 x 1; repeat its channel"),
        (np.zeros((8, 8, 4), np.uint8), r"got 8 x 8 x 4; take alpha away by image\[\.\.\., :3\]"),
        (PICTURE.transpose(2, 0, 1), r"got 3 x 80 x 80; .* put channels last"),
        (PICTURE / 255, "got float64; scale it, round it"),
        (PICTURE.astype(np.uint16), "got uint16; scale it"),
        (PICTURE > 0, "got bool; scale it"),
        (PICTURE[:0], "at least one pixel, got 0 x 80 x 3"),
        (torch.from_numpy(PICTURE), "as an array of uint8, got a Tensor; pcfh.load_image"),
        (Image.fromarray(PICTURE), "got a Image; pcfh.load_image"),
        ("nir.png", "got the text 'nir.png'; pcfh.load_image"),
        (None, "got a NoneType"),
    ],
)
def test_what_is_no_picture_is_refused(image, said):
    with pytest.raises(UserError, match=said):
        require_picture(image)


@pytest.mark.parametrize("image", [PICTURE[:, ::-1], np.asfortranarray(PICTURE), PICTURE[:1, :1]])
def test_a_picture_may_lie_in_memory_in_any_way(image):
    assert require_picture(image) is image


@pytest.mark.parametrize(
    ("points", "said"),
    [
        (POINTS[:5], r"expected 68 x 2 landmarks \(x, y\), got 5 x 2; pcfh.find_faces"),
        (POINTS[None], "got 1 x 68 x 2"),
        (np.c_[POINTS, POINTS], "got 68 x 4"),
        (POINTS * np.nan, "some that are not finite"),
        ("nose", "got the text 'nose'"),
        ([[1.0, 2.0], [3.0]], "got a list"),
        (None, "got a NoneType|got one number"),
    ],
)
def test_what_are_no_landmarks_is_refused(points, said):
    with pytest.raises(UserError, match=said):
        require_landmarks(points)


@pytest.mark.parametrize("points", [POINTS.tolist(), POINTS.astype(int), torch.from_numpy(POINTS)])
def test_landmarks_may_be_of_any_kind_of_numbers(points):
    np.testing.assert_array_equal(require_landmarks(points), POINTS)


@pytest.mark.parametrize(
    ("crops", "landmarks"),
    [
        (PICTURE, POINTS[None]),
        (PICTURE[None, :64], POINTS[None]),
        (PICTURE[None] / 255, POINTS[None]),
        (PICTURE[None], np.stack([POINTS, POINTS])),
        (PICTURE[None], POINTS[None].astype(int)),
        ([PICTURE], [POINTS]),
    ],
)
def test_crops_that_do_not_fit_are_refused(crops, landmarks):
    with pytest.raises(UserError, match=r"expected crops of n x 80 x 80 x 3 of uint8 .*np\.stack"):
        require_crops(crops, landmarks, 80)


@pytest.mark.parametrize("path", [5, None, b"a.png", ["a.png"]])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(UserError, match="expected a path, got a "):
        require_path(path)


@pytest.mark.parametrize(("value", "kind"), [("2", int), (True, int), (64, list), ("x", dict)])
def test_a_value_of_another_kind_is_refused(value, kind):
    with pytest.raises(UserError, match=f"expected {kind.__name__}, got .*; do so"):
        require_kind(value, kind, "do so")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: align(PICTURE[..., 0], POINTS), "grey"),
        (lambda: align(PICTURE, None), "landmarks"),
        (lambda: pcfh.find_faces(PICTURE / 255), "8 bits"),
        (lambda: features("x", []), "expected a recogniser, got str"),
        (lambda: features(SimpleNamespace(features=0, alignment=0), [PICTURE]), "a list of faces"),
        (lambda: inverse_distance_warp(TENSOR.numpy(), PAIRS, PAIRS), "expected tensors of floats"),
        (lambda: inverse_distance_warp(TENSOR[0], PAIRS[0], PAIRS[0]), "add the batch by"),
        (lambda: inverse_distance_warp(TENSOR, PAIRS, PAIRS[:, :2]), "expected tensors of floats"),
        (lambda: inverse_distance_warp(TENSOR.byte(), PAIRS, PAIRS), "expected tensors of floats"),
        (lambda: pcfh.psnr([1], PICTURE, PICTURE), "expected three arrays, got list"),
        (lambda: pcfh.ssim(TENSOR, TENSOR, TENSOR), "got Tensor, Tensor, Tensor"),
        (lambda: pcfh.figures(np.eye(2), [0.5]), "expected a pcfh.ScoreMatrix, got ndarray"),
        (lambda: pcfh.figures(matrix(np.eye(2)), 0.5), r"several FARs, got 0\.5"),
        (lambda: matrix("x"), "scores as an array of numbers, got str"),
        (lambda: matrix([[1.0], [1.0, 2.0]]), "scores as an array of numbers, got list"),
        (lambda: matrix(np.eye(2), gallery=["1", "2"]), "got text and numbers"),
        (lambda: matrix(np.eye(2), gallery=["a", None]), "perhaps None; name everybody"),
    ],
)
def test_every_entrance_refuses_the_wrong_thing(call, said):
    with pytest.raises(UserError, match=said):
        call()


def matrix(scores, gallery=(1, 2)):
    return pcfh.ScoreMatrix(scores=scores, probes=[1, 2], gallery=gallery)


@pytest.mark.parametrize(
    "scores", [[[9, 2], [3, 8]], np.array([[9, 2], [3, 8]]), torch.tensor([[9, 2], [3, 8]])]
)
def test_scores_may_be_of_any_kind_of_numbers(scores):
    assert pcfh.figures(matrix(scores), [0.5]).rank1 == 1
