import numpy as np
import torch

from pcfh.geometry import warp
from pcfh.geometry.warp import inverse_distance_field, inverse_distance_warp, sample

SIZE = (40, 48)


def points(seed: int, count: int = 68, batch: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, count, 2, generator=generator) * torch.tensor([47.0, 39.0])


def moved(p: torch.Tensor, seed: int, by: float = 3.0) -> torch.Tensor:
    return p + by * torch.randn(p.shape, generator=torch.Generator().manual_seed(seed))


def reference_field(p: np.ndarray, q: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Ruprecht and Müller's formula, one pixel at a time, in float64."""
    field = np.zeros((*size, 2))
    for y in range(size[0]):
        for x in range(size[1]):
            at = np.array([x, y], dtype=float)
            weights = 1 / (((at - p) ** 2).sum(1) + 1e-8)
            field[y, x] = weights @ (q + at - p) / weights.sum()
    return field


def test_field_equals_the_formula_in_float64():
    p, q = points(0, batch=1), moved(points(0, batch=1), 1)
    field = inverse_distance_field(p, q, SIZE)[0].numpy()
    expected = reference_field(p[0].double().numpy(), q[0].double().numpy(), SIZE)
    np.testing.assert_allclose(field, expected, atol=1e-4)


def test_control_points_are_met_exactly():
    p = points(2).round()
    p = torch.stack([torch.unique(face, dim=0)[:40] for face in p])
    q = moved(p, 3)
    field = inverse_distance_field(p, q, SIZE)
    at = torch.stack([f[c[:, 1].long(), c[:, 0].long()] for f, c in zip(field, p, strict=True)])
    torch.testing.assert_close(at, q, atol=1e-4, rtol=0)


def test_equal_points_leave_every_pixel_in_place():
    p = points(4)
    x, y = torch.meshgrid(torch.arange(48.0), torch.arange(40.0), indexing="xy")
    field = inverse_distance_field(p, p, SIZE)
    torch.testing.assert_close(field, torch.stack([x, y], -1).expand(2, -1, -1, -1))


def test_equal_points_leave_the_image_as_it_is():
    image, p = torch.rand(2, 3, *SIZE), points(4)
    torch.testing.assert_close(inverse_distance_warp(image, p, p), image, atol=1e-4, rtol=0)


def test_a_common_shift_of_all_points_shifts_the_image():
    image = torch.rand(1, 1, *SIZE)
    p = points(5, batch=1)
    warped = inverse_distance_warp(image, p, p + torch.tensor([3.0, 2.0]))
    torch.testing.assert_close(warped[..., 2:, 3:], image[..., :-2, :-3], atol=1e-4, rtol=0)


def test_a_batch_is_its_images_one_by_one():
    image, p, q = torch.rand(3, 2, *SIZE), points(8, batch=3), points(9, batch=3)
    together = inverse_distance_warp(image, p, q)
    alone = [inverse_distance_warp(image[i : i + 1], p[i : i + 1], q[i : i + 1])[0] for i in range(3)]
    torch.testing.assert_close(together, torch.stack(alone), atol=1e-5, rtol=1e-5)


def test_strips_of_any_height_give_the_same_field(monkeypatch):
    p, q = points(10), moved(points(10), 11)
    whole = inverse_distance_field(p, q, SIZE)
    monkeypatch.setattr("pcfh.geometry.warp._STRIP_ELEMENTS", 68 * 48 * 7)
    torch.testing.assert_close(inverse_distance_field(p, q, SIZE), whole)


def test_gradients_are_those_of_finite_differences():
    p = points(12, count=6, batch=1).double().requires_grad_()
    q = moved(points(12, count=6, batch=1), 13).double().requires_grad_()
    image = torch.rand(1, 1, 7, 8, dtype=torch.float64, requires_grad=True)
    p_small, q_small = (p * 0.15).detach().requires_grad_(), (q * 0.15).detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: inverse_distance_field(a, b, (7, 8)), (p_small, q_small))
    assert torch.autograd.gradcheck(
        lambda i: inverse_distance_warp(i, q_small.detach(), p_small.detach()), (image,)
    )


def test_a_control_point_on_a_pixel_has_a_finite_gradient():
    p = torch.tensor([[[3.0, 4.0], [6.0, 2.0], [1.0, 1.0]]], requires_grad=True)
    inverse_distance_field(p, p.detach() + 1, (8, 8)).sum().backward()
    assert p.grad is not None and p.grad.isfinite().all()


def test_sampling_reads_whole_pixels_exactly_and_halves_in_between():
    image = torch.arange(12.0).view(1, 1, 3, 4)
    field = torch.tensor([[[[2.0, 1.0], [0.5, 0.0], [1.0, 1.5]]]])
    torch.testing.assert_close(sample(image, field).flatten(), torch.tensor([6.0, 0.5, 7.0]))


def test_beyond_the_border_the_edge_goes_on():
    image = torch.arange(12.0).view(1, 1, 3, 4)
    field = torch.tensor([[[[-5.0, 0.0], [9.0, 9.0]]]])
    torch.testing.assert_close(sample(image, field).flatten(), torch.tensor([0.0, 11.0]))


def test_all_images_at_once_have_the_fields_of_strips(monkeypatch):
    p, q = points(4), moved(points(4), 5)
    strips = warp.inverse_distance_field(p, q, SIZE)
    monkeypatch.setattr(warp, "_strips", warp._all_at_once)
    assert torch.allclose(warp.inverse_distance_field(p, q, SIZE), strips, atol=1e-4)
