import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pcfh.errors import UserError
from pcfh.geometry.align import CROPS, align_image, similarity
from pcfh.recognisers.lightcnn.network import (
    ARCHITECTURES,
    Group,
    LightCNN9,
    LightCNN29,
    LightCNN29v2,
    MFMConv,
    Residual,
    build_lightcnn,
    max_feature_map,
    to_lightcnn_input,
)

# Layer, channels in, filters, kernel: the layers of the published checkpoints, each with weight and bias.
CONVS_9 = """
features.0.filter 1 96 5
features.2.conv_a.filter 48 96 1
features.2.conv.filter 48 192 3
features.4.conv_a.filter 96 192 1
features.4.conv.filter 96 384 3
features.6.conv_a.filter 192 384 1
features.6.conv.filter 192 256 3
features.7.conv_a.filter 128 256 1
features.7.conv.filter 128 256 3
"""
CONVS_29 = """
conv1.filter 1 96 5
block1.0.conv1.filter 48 96 3
block1.0.conv2.filter 48 96 3
group1.conv_a.filter 48 96 1
group1.conv.filter 48 192 3
block2.0.conv1.filter 96 192 3
block2.0.conv2.filter 96 192 3
block2.1.conv1.filter 96 192 3
block2.1.conv2.filter 96 192 3
group2.conv_a.filter 96 192 1
group2.conv.filter 96 384 3
block3.0.conv1.filter 192 384 3
block3.0.conv2.filter 192 384 3
block3.1.conv1.filter 192 384 3
block3.1.conv2.filter 192 384 3
block3.2.conv1.filter 192 384 3
block3.2.conv2.filter 192 384 3
group3.conv_a.filter 192 384 1
group3.conv.filter 192 256 3
block4.0.conv1.filter 128 256 3
block4.0.conv2.filter 128 256 3
block4.1.conv1.filter 128 256 3
block4.1.conv2.filter 128 256 3
block4.2.conv1.filter 128 256 3
block4.2.conv2.filter 128 256 3
block4.3.conv1.filter 128 256 3
block4.3.conv2.filter 128 256 3
group4.conv_a.filter 128 256 1
group4.conv.filter 128 256 3
"""
TABLES = {
    "lightcnn9": (
        CONVS_9,
        {
            "fc1.filter.weight": (512, 8192),
            "fc1.filter.bias": (512,),
            "fc2.weight": (79077, 256),
            "fc2.bias": (79077,),
        },
    ),
    "lightcnn29": (
        CONVS_29,
        {
            "fc.filter.weight": (512, 8192),
            "fc.filter.bias": (512,),
            "fc2.weight": (79077, 256),
            "fc2.bias": (79077,),
        },
    ),
    "lightcnn29v2": (
        CONVS_29,
        {"fc.weight": (256, 8192), "fc.bias": (256,), "fc2.weight": (80013, 256)},
    ),
}
MILLIONS = {"lightcnn9": (25.804, 5.481), "lightcnn29": (32.896, 12.573), "lightcnn29v2": (30.959, 10.476)}
EACH = pytest.mark.parametrize("arch", ARCHITECTURES)


def published_shapes(arch):
    convs, dense = TABLES[arch]
    shapes = dict(dense)
    for name, *numbers in map(str.split, convs.strip().splitlines()):
        c1, filters, kernel = map(int, numbers)
        shapes |= {f"{name}.weight": (filters, c1, kernel, kernel), f"{name}.bias": (filters,)}
    return shapes


def on_meta(arch, classes):
    with torch.device("meta"):
        return build_lightcnn(arch, classes)


def smooth_images(count, seed=0):
    noise = torch.randn(count, 1, 16, 16, generator=torch.Generator().manual_seed(seed))
    return (0.5 + 0.25 * F.interpolate(noise, size=128, mode="bicubic")).clamp(0, 1)


def built(arch, classes=None, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build_lightcnn(arch, classes)


@EACH
def test_keys_and_shapes_are_those_of_the_published_checkpoint(arch):
    model = on_meta(arch, published_shapes(arch)["fc2.weight"][0])
    assert {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()} == published_shapes(arch)


@EACH
def test_parameter_count_with_head_is_the_published_one(arch):
    model = on_meta(arch, published_shapes(arch)["fc2.weight"][0])
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 3) == MILLIONS[arch][0]


@EACH
def test_parameter_count_without_head_is_the_published_one(arch):
    model = on_meta(arch, None)
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 3) == MILLIONS[arch][1]


def test_unknown_architecture_lists_the_known_ones():
    with pytest.raises(UserError, match="'lightcnn30'; known: lightcnn9, lightcnn29, lightcnn29v2"):
        build_lightcnn("lightcnn30")


def test_max_feature_map_keeps_the_larger_of_the_two_halves():
    x = torch.tensor([[1.0, -2.0, 5.0, 0.0, -1.0, 7.0]])
    assert max_feature_map(x).tolist() == [[1.0, -1.0, 7.0]]


def second_opinion(model, x):
    """The network by its state dict alone, in float64, with NumPy's maximum and slices for the pools."""
    state = {key: tensor.double() for key, tensor in model.state_dict().items()}

    def mfm(x, name):
        weight, bias = state[f"{name}.filter.weight"], state[f"{name}.filter.bias"]
        y = (
            x @ weight.T + bias
            if weight.ndim == 2
            else F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)
        )
        half = y.shape[1] // 2
        return torch.from_numpy(np.maximum(y[:, :half].numpy(), y[:, half:].numpy()))

    def pool(x):
        quarters = torch.stack([x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)])
        plus = quarters.mean(0) if isinstance(model, LightCNN29v2) else 0
        return quarters.amax(0) + plus

    def group(x, name):
        return mfm(mfm(x, f"{name}.conv_a"), f"{name}.conv")

    def block(x, name, count):
        for i in range(count):
            x = x + mfm(mfm(x, f"{name}.{i}.conv1"), f"{name}.{i}.conv2")
        return x

    x = x.double()
    if isinstance(model, LightCNN9):
        x = pool(mfm(x, "features.0"))
        x = pool(group(x, "features.2"))
        x = pool(group(x, "features.4"))
        x = pool(group(group(x, "features.6"), "features.7"))
        return mfm(x.flatten(1), "fc1")
    x = pool(mfm(x, "conv1"))
    x = pool(group(block(x, "block1", 1), "group1"))
    x = pool(group(block(x, "block2", 2), "group2"))
    x = group(block(x, "block3", 3), "group3")
    x = pool(group(block(x, "block4", 4), "group4")).flatten(1)
    return x @ state["fc.weight"].T + state["fc.bias"] if "fc.weight" in state else mfm(x, "fc")


@EACH
@torch.no_grad()
def test_features_equal_a_second_implementation(arch):
    model, x = built(arch), smooth_images(1)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.uniform_(-0.1, 0.1, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(model(x).double(), second_opinion(model, x), rtol=1e-4, atol=1e-4)


@EACH
@torch.no_grad()
def test_channels_last_gives_the_same_features(arch):
    model, x = built(arch), smooth_images(2)
    expected = model(x)
    model.to(memory_format=torch.channels_last)
    torch.testing.assert_close(model(x.to(memory_format=torch.channels_last)), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_bf16_features_point_where_fp32_features_point():
    model, x = built("lightcnn29"), smooth_images(2)
    with torch.autocast("cpu", torch.bfloat16):
        features = model(x)
    assert F.cosine_similarity(features.float(), model(x)).min() > 0.999


def test_features_are_the_same_in_training_and_evaluation():
    model, x = built("lightcnn9"), smooth_images(1)
    with torch.no_grad():
        torch.testing.assert_close(model.train()(x), model.eval()(x), rtol=0, atol=0)


@EACH
def test_logits_in_evaluation_are_the_heads_linear_map(arch):
    model = built(arch, 5).eval()
    features = torch.randn(2, 256, generator=torch.Generator().manual_seed(0))
    bias = 0 if model.fc2.bias is None else model.fc2.bias
    torch.testing.assert_close(model.logits(features), features @ model.fc2.weight.T + bias)


def test_logits_in_training_see_half_of_the_features_doubled():
    model = built("lightcnn29v2", 256).train()
    with torch.no_grad():
        model.fc2.weight.copy_(torch.eye(256))
        values = model.logits(torch.ones(8, 256))
    assert set(values.unique().tolist()) == {0.0, 2.0}
    assert 0.4 < (values == 0).float().mean() < 0.6


def strengths(model, x):
    """Variances over images, channels and pixels of what the stages put out, and of the features last."""
    stages = [m for m in model.modules() if isinstance(m, Group | Residual | nn.MaxPool2d)]
    variances = []
    for stage in [next(m for m in model.modules() if isinstance(m, MFMConv)), *stages]:
        stage.register_forward_hook(lambda _module, _inputs, y: variances.append(y.var().item()))
    with torch.no_grad():
        features = model(x)
    return [*variances, features.var().item()]


@EACH
@pytest.mark.parametrize("seed", [0, 1])
def test_signals_keep_their_strength_through_the_depth(arch, seed):
    variances = strengths(built(arch, seed=seed), smooth_images(4))
    assert max(variances) < 15 * min(variances)  # four of it the second version's pools


@EACH
def test_features_of_a_new_network_are_of_order_one(arch):
    assert 0.3 < strengths(built(arch), smooth_images(4))[-1] < 6


def test_training_from_scratch_starts_within_eight_steps():
    model, x, y = built("lightcnn9", 4).eval(), smooth_images(4), torch.arange(4)
    optimizer = torch.optim.SGD(model.parameters(), 3e-3, momentum=0.9)
    for _ in range(8):
        optimizer.zero_grad()
        loss = F.cross_entropy(model.logits(model(x)), y)
        loss.backward()
        optimizer.step()
    assert loss < 1.0


def test_mid_grey_leaves_the_first_layer_silent():
    model = built("lightcnn29")
    with torch.no_grad():
        inner = model.conv1(torch.full((1, 1, 128, 128), 0.5))[..., 2:-2, 2:-2]
    torch.testing.assert_close(inner, torch.zeros_like(inner), rtol=0, atol=1e-5)


def test_equal_seeds_give_equal_weights():
    torch.testing.assert_close(
        built("lightcnn9").state_dict(), built("lightcnn9").state_dict(), rtol=0, atol=0
    )


def smooth_picture():
    y, x = np.mgrid[:500, :500] / 500
    waves = [np.sin(9 * x + 5 * y), np.cos(7 * x - 8 * y), np.sin(6 * x * y + 3 * x)]
    return np.round(127.5 + 110 * np.stack(waves, -1)).astype(np.uint8)


def face_landmarks():
    points = np.full((68, 2), 250.0)
    points[36:42], points[42:48] = (190, 200), (310, 215)
    points[48], points[54] = (205, 330), (285, 340)
    return points


def crop(size):
    cut = align_image(smooth_picture(), similarity(face_landmarks(), CROPS[size]), size)
    return torch.from_numpy(cut).permute(2, 0, 1)[None].float() / 127.5 - 1


@pytest.mark.parametrize(("size", "levels"), [(144, 1.5), (256, 1.5), (64, 4)])
def test_every_crop_becomes_the_aligned_crop_of_128_pixels(size, levels):
    difference = to_lightcnn_input(crop(size)) - to_lightcnn_input(crop(128))
    assert 255 * difference.abs().max() < levels


def test_a_crop_cut_one_pixel_off_would_differ_by_more_than_that():
    grey = to_lightcnn_input(crop(128))
    assert 255 * (grey[..., 1:] - grey[..., :-1]).abs().max() > 4


def test_pure_colours_become_the_luma_weights():
    colours = 2 * torch.eye(3)[:, :, None, None].expand(3, 3, 128, 128) - 1
    grey = to_lightcnn_input(colours)
    torch.testing.assert_close(grey[:, 0, 0, 0], torch.tensor([0.299, 0.587, 0.114]))


def test_black_and_white_become_zero_and_one():
    images = torch.ones(2, 3, 144, 144) * torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1)
    assert [round(v, 6) for v in to_lightcnn_input(images)[:, 0, 5, 5].tolist()] == [0.0, 1.0]


@pytest.mark.parametrize("size", [64, 128, 144, 256])
def test_the_images_receive_a_gradient_from_the_recognisers_input(size):
    images = torch.zeros(1, 3, size, size, requires_grad=True)
    to_lightcnn_input(images).sum().backward()
    green = 0.587 / 2 * 128**2
    assert images.grad[:, 1].sum().item() == pytest.approx(green, rel=1e-4)


def test_another_size_is_refused_with_the_sizes_there_are():
    with pytest.raises(UserError, match=r"64, 128, 144 or 256 pixels, got 96"):
        to_lightcnn_input(torch.zeros(1, 3, 96, 96))


def test_v2_is_a_29_with_another_pool():
    x = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]]]])
    with torch.device("meta"):
        plain, other = LightCNN29(), LightCNN29v2()
    assert (plain.pool(x).item(), other.pool(x).item()) == (6.0, 9.0)


def test_the_gradient_of_the_max_feature_map_goes_to_the_larger_half():
    x = torch.randn(2, 6, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(max_feature_map, x)
    (ours,) = torch.autograd.grad(max_feature_map(x).sum(), x)
    (plain,) = torch.autograd.grad(torch.maximum(*x.chunk(2, 1)).sum(), x)
    assert torch.equal(ours, plain)
