import pytest
import torch

from pcfh.errors import UserError
from pcfh.geometry.parts import PARTS, cut, max_out, part_corner, parts_of, paste, ramp_window


def faces(size: int, seed: int = 0, batch: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, 68, 2, generator=generator) * size


@pytest.mark.parametrize(
    ("size", "expected"),
    [(144, [(32, 32), (32, 32), (40, 32), (28, 52)]), (256, [(52, 52), (52, 52), (60, 52), (36, 72)])],
)
def test_patches_have_the_papers_sizes(size, expected):
    assert [(part.height, part.width) for part in parts_of(size)] == expected


@pytest.mark.parametrize("size", PARTS)
def test_patch_sides_can_be_halved_twice(size):
    assert all(part.height % 4 == part.width % 4 == 0 for part in parts_of(size))


def test_cutting_takes_each_faces_own_box():
    images, landmarks = torch.rand(3, 2, 64, 64), faces(64)
    for part in parts_of(64):
        corner = part_corner(landmarks, part, 64)
        expected = [
            image[:, y : y + part.height, x : x + part.width]
            for image, (x, y) in zip(images, corner.tolist(), strict=True)
        ]
        torch.testing.assert_close(cut(images, corner, part), torch.stack(expected))


def test_pasting_what_was_cut_changes_nothing():
    images, part = torch.rand(3, 2, 64, 64), parts_of(64)[3]
    corner = part_corner(faces(64), part, 64)
    torch.testing.assert_close(paste(images, cut(images, corner, part), corner, part), images)


def test_pasting_changes_the_box_and_nothing_else():
    images, part = torch.zeros(3, 2, 64, 64), parts_of(64)[2]
    corner = part_corner(faces(64), part, 64)
    pasted = paste(images, torch.ones(3, 2, part.height, part.width), corner, part)
    assert pasted.sum() == 3 * 2 * part.height * part.width
    assert images.sum() == 0
    torch.testing.assert_close(cut(pasted, corner, part), torch.ones(3, 2, part.height, part.width))


def test_the_middle_of_the_landmarks_is_the_middle_of_the_box():
    landmarks = torch.full((1, 68, 2), 31.5)
    part = parts_of(64)[0]
    assert part_corner(landmarks, part, 64).tolist() == [[24, 24]]


def test_the_box_follows_the_face():
    landmarks, part = torch.full((1, 68, 2), 30.0), parts_of(64)[1]
    moved = landmarks + torch.tensor([5.0, -3.0])
    shift = part_corner(moved, part, 64) - part_corner(landmarks, part, 64)
    assert shift.tolist() == [[5, -3]]


@pytest.mark.parametrize("outside", [-50.0, 150.0])
def test_a_part_outside_the_image_is_cut_at_its_border(outside):
    part = parts_of(64)[3]
    x, y = part_corner(torch.full((1, 68, 2), outside), part, 64)[0].tolist()
    assert (x, y) == ((0, 0) if outside < 0 else (64 - part.width, 64 - part.height))


def test_fusion_is_the_maximum_inside_the_box_and_the_whole_face_outside():
    features, part = torch.randn(3, 4, 64, 64), parts_of(64)[2]
    corner = part_corner(faces(64), part, 64)
    patch = torch.randn(3, 4, part.height, part.width)
    fused = max_out(features, patch, corner, part)
    torch.testing.assert_close(cut(fused, corner, part), torch.maximum(cut(features, corner, part), patch))
    torch.testing.assert_close(paste(fused, cut(features, corner, part), corner, part), features)


def test_gradients_reach_whichever_is_larger():
    part = parts_of(64)[0]
    features = torch.zeros(1, 1, 64, 64, requires_grad=True)
    patch = torch.full((1, 1, part.height, part.width), -1.0)
    patch[..., 0, 0] = 1.0
    patch.requires_grad_()
    max_out(features, patch, torch.tensor([[3, 5]]), part).sum().backward()
    assert patch.grad is not None and patch.grad.sum() == 1 and patch.grad[0, 0, 0, 0] == 1
    assert features.grad is not None and features.grad.sum() == 64 * 64 - 1 and features.grad[0, 0, 5, 3] == 0


def test_an_unknown_size_lists_the_known_ones():
    with pytest.raises(UserError, match="64, 128, 144, 256"):
        parts_of(100)


def test_a_ramp_leaves_no_step_at_the_borders_of_a_box():
    part = parts_of(64)[0]
    features, patch = torch.zeros(1, 1, 64, 64), torch.ones(1, 1, part.height, part.width)
    fused = max_out(features, patch, torch.tensor([[10, 12]]), part, ramp=4)[0, 0]
    middle = fused[12 + part.height // 2, 10 : 10 + part.width]
    torch.testing.assert_close(middle[:5], torch.tensor([0.125, 0.375, 0.625, 0.875, 1.0]))
    torch.testing.assert_close(middle, middle.flip(0))
    assert fused.diff(dim=0).abs().max() <= 0.25 and fused.diff(dim=1).abs().max() <= 0.25


def test_the_window_of_a_ramp_is_one_inside():
    part = parts_of(128)[0]
    window = ramp_window(part, 3)
    assert (window[3:-3, 3:-3] == 1).all() and window.min() > 0
