"""Each equation against an independent float64 NumPy version, and what a closed form says."""

import math

import numpy as np
import pytest
import torch

from pcfh.methods.pcfh import losses as O

RNG = np.random.default_rng(0)
A = RNG.uniform(-1, 1, (3, 3, 6, 5))
B = RNG.uniform(-1, 1, (3, 3, 6, 5))
ATT = RNG.uniform(0, 1, (3, 1, 6, 5))


def t(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array)


def test_eq_1_is_minus_the_mean_score():
    scores = RNG.normal(size=7)
    assert O.adversarial_loss(t(scores)).item() == pytest.approx(-sum(scores) / 7)


def test_the_critic_gains_by_telling_real_from_fake():
    real, fake = RNG.normal(size=5), RNG.normal(size=5)
    assert O.critic_loss(t(real), t(fake)).item() == pytest.approx(np.mean(fake) - np.mean(real))


def test_eq_2_sums_over_channels_and_pixels_and_means_over_the_batch():
    expected = sum(abs(a - b) for a, b in zip(A.ravel(), B.ravel(), strict=True)) / 3
    assert O.reconstruction_loss(t(A), t(B)).item() == pytest.approx(expected)


def test_eq_2_with_the_papers_weight_is_1_56_times_a_mean_at_144():
    a, b = torch.zeros(2, 3, 144, 144), torch.ones(2, 3, 144, 144)
    assert 2.5e-5 * O.reconstruction_loss(a, b).item() == pytest.approx(1.5552, rel=1e-5)


def test_eq_3_sums_over_features_and_means_over_the_batch():
    f, g = RNG.normal(size=(4, 256)), RNG.normal(size=(4, 256))
    expected = np.mean([np.sum(np.abs(f[i] - g[i])) for i in range(4)])
    assert O.identity_loss(t(f), t(g)).item() == pytest.approx(expected)


def test_eq_4_is_the_mean_difference_of_luma():
    def luma(x: np.ndarray) -> np.ndarray:
        return 0.299 * x[:, 0] + 0.587 * x[:, 1] + 0.114 * x[:, 2]

    assert O.luminance_loss(t(A), t(B)).item() == pytest.approx(np.mean(np.abs(luma(A) - luma(B))))


def test_the_luma_of_grey_is_grey():
    grey = torch.rand(2, 1, 4, 4).expand(-1, 3, -1, -1)
    torch.testing.assert_close(O.luminance(grey), grey[:, 0])


def test_eq_7_is_fit_plus_nuclear_norm_plus_sum():
    generated, warped = (A + 1) / 2, (B + 1) / 2
    fit = np.mean(np.abs(ATT * generated - warped))
    nuclear = np.mean([np.trace(scipy_sqrtm(m[0].T @ m[0])) for m in ATT])
    sparse = np.mean([np.sum(m) for m in ATT])
    loss = O.attention_loss(t(ATT), t(generated), t(warped), (3.0, 0.003, 1e-6))
    assert loss.item() == pytest.approx(3 * fit + 0.003 * nuclear + 1e-6 * sparse)


def scipy_sqrtm(m: np.ndarray) -> np.ndarray:
    """The nuclear norm is the trace of sqrt(M'M): another way than by singular values."""
    values, vectors = np.linalg.eigh(m)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


def test_the_nuclear_norm_of_a_rank_one_map_is_its_frobenius_norm():
    u, v = torch.rand(6, dtype=torch.float64), torch.rand(5, dtype=torch.float64)
    Att = torch.outer(u, v)[None, None]
    zero = torch.zeros(1, 3, 6, 5, dtype=torch.float64)
    assert O.attention_loss(Att, zero, zero, (0.0, 1.0, 0.0)).item() == pytest.approx(Att.norm().item())


def test_eq_7_pushes_the_map_up_where_the_generated_image_fits():
    image = torch.full((1, 3, 4, 4), 0.6)
    Att = torch.full((1, 1, 4, 4), 0.5, requires_grad=True)
    O.attention_loss(Att, image, image, (3.0, 0.0, 0.0)).backward()
    assert Att.grad is not None and (Att.grad < 0).all()


def test_eq_8_masks_both_images_and_sums():
    generated, warped = (A + 1) / 2, (B + 1) / 2
    expected = np.mean([np.sum(np.abs(ATT[i] * generated[i] - ATT[i] * warped[i])) for i in range(3)])
    assert O.attention_warping_loss(t(ATT), t(generated), t(warped)).item() == pytest.approx(expected)


def test_eq_8_gives_the_attention_network_nothing():
    Att = torch.rand(1, 1, 4, 4, requires_grad=True)
    generated = torch.rand(1, 3, 4, 4, requires_grad=True)
    O.attention_warping_loss(Att, generated, torch.rand(1, 3, 4, 4)).backward()
    assert Att.grad is None and generated.grad is not None


def test_eq_9_falls_when_the_generated_image_tells_more_of_vis_and_less_of_nir():
    assert O.mutual_information_constraint(torch.tensor(0.3), torch.tensor(0.1)).item() == pytest.approx(-0.2)


def test_eq_10_is_the_joint_mean_minus_the_mean_of_all_re_pairings():
    scores = RNG.normal(size=(2, 4, 4))
    joint = [scores[g, i, i] for g in range(2) for i in range(4)]
    product = [scores[g, i, j] for g in range(2) for i in range(4) for j in range(4) if i != j]
    assert O.mutual_information(t(scores)).item() == pytest.approx(np.mean(joint) - np.mean(product))


def test_eq_10_is_zero_for_scores_that_depend_on_one_image_alone():
    a, b = torch.randn(3, 4, 1, dtype=torch.float64), torch.randn(3, 1, 4, dtype=torch.float64)
    assert O.mutual_information(a + b).item() == pytest.approx(0, abs=1e-12)


def test_the_other_estimates_of_a_shared_coin_are_the_closed_forms():
    """Both images show the same fair coin: I = log 2; the best score is log p / q, 2 or nothing."""
    coin = torch.arange(400) % 2
    ratio = torch.where(coin[:, None] == coin, math.log(2), -1e3).double() / O.SHARPNESS
    nats = 2 * math.log(2) + math.log(2 / 3) + math.log(1 / 3) / 2  # twice the divergence of p and q
    assert O.contrastive_information(ratio[None]).item() == pytest.approx(math.log(2), abs=1e-9)
    assert O.jensen_shannon_information(ratio[None]).item() == pytest.approx(nats, abs=5e-3)


@pytest.mark.parametrize(
    ("estimate", "most"),
    [(O.jensen_shannon_information, 2 * math.log(2)), (O.contrastive_information, math.log(4))],
)
def test_the_other_estimates_are_zero_for_equal_scores_and_at_most_their_bound(estimate, most):
    assert estimate(torch.full((3, 4, 4), 0.7)).item() <= 1e-6
    assert estimate(torch.zeros(3, 4, 4)).item() == pytest.approx(0, abs=1e-6)
    assert estimate(100 * (2 * torch.eye(4)[None] - 1)).item() == pytest.approx(most, abs=1e-6)


def test_the_penalty_is_zero_up_to_slope_one_in_the_rms_norm():
    n = 48
    slope_one = torch.full((2, n), 1 / n)  # the gradient of the mean of n pixels
    assert O.gradient_penalty(slope_one).item() == pytest.approx(0, abs=1e-6)
    assert O.gradient_penalty(slope_one / 2).item() == 0
    assert O.gradient_penalty(3 * slope_one).item() == pytest.approx(4, rel=1e-5)


def test_the_penalty_has_a_finite_gradient_at_zero_slope():
    gradient = torch.zeros(2, 5, requires_grad=True)
    O.gradient_penalty(gradient).backward()
    assert gradient.grad is not None and gradient.grad.isfinite().all()


def maps(ranks: tuple[int, ...], side: int = 48) -> torch.Tensor:
    """Maps of some ranks, their singular values falling by 10,000 in the full ones."""
    torch.manual_seed(0)
    left, right = (
        torch.linalg.qr(torch.randn(len(ranks), side, side, dtype=torch.float64))[0] for _ in range(2)
    )
    place = torch.arange(side, dtype=torch.float64)
    values = torch.stack([10 ** (-4 * place / side) * (place < rank) for rank in ranks])
    return left @ torch.diag_embed(values) @ right


def test_newton_schulz_gives_the_sum_of_the_singular_values_for_any_rank():
    A = maps((48, 30, 3, 1))
    torch.testing.assert_close(O.newton_schulz_norm(A), torch.linalg.svdvals(A).sum(1), rtol=1e-6, atol=0)
    single = O.newton_schulz_norm(A.float()).double()
    torch.testing.assert_close(single, torch.linalg.svdvals(A).sum(1), rtol=1e-5, atol=0)


def test_newton_schulz_gives_the_gradient_of_the_nuclear_norm():
    A = maps((48, 30, 1)).requires_grad_()
    weights = torch.tensor([1.0, 2.0, -1.0], dtype=torch.float64)
    (found,) = torch.autograd.grad((weights * O.newton_schulz_norm(A)).sum(), A)
    U, values, Vh = torch.linalg.svd(A.detach())
    expected = weights[:, None, None] * (U * (values > 1e-9)[:, None]) @ Vh
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_the_nuclear_norm_of_nothing_is_zero_with_a_finite_gradient():
    A = torch.zeros(2, 8, 8, requires_grad=True)
    norm = O.newton_schulz_norm(A)
    norm.sum().backward()
    assert norm.tolist() == [0, 0] and A.grad is not None and A.grad.isfinite().all()


def test_infonce_of_equal_scores_is_zero_and_of_a_sure_match_log_g():
    assert O.contrastive_information(torch.full((2, 4, 4), 0.3)).item() == pytest.approx(0, abs=1e-6)
    assert O.contrastive_information(9 * torch.eye(4)[None]).item() == pytest.approx(np.log(4), abs=1e-6)


def test_infonce_is_the_mean_of_log_softmax_plus_log_g():
    scores = RNG.normal(size=(2, 3, 3))
    shares = np.exp(10 * scores) / np.exp(10 * scores).sum(2, keepdims=True)
    expected = np.log(3) + np.mean([np.log(shares[g, i, i]) for g in range(2) for i in range(3)])
    assert O.contrastive_information(t(scores)).item() == pytest.approx(expected)


def test_the_jensen_shannon_form_is_zero_where_nothing_is_told_and_2_log_2_where_all_is():
    assert O.jensen_shannon_information(torch.zeros(2, 4, 4)).item() == pytest.approx(0, abs=1e-6)
    told = O.jensen_shannon_information(9 * (2 * torch.eye(4)[None] - 1))
    assert told.item() == pytest.approx(2 * np.log(2), abs=1e-6)


def test_the_best_discriminator_reaches_the_jensen_shannon_divergence():
    """Of two Bernoulli variables that are equal with probability 0.9: T = log p / q."""
    p, q = np.array([0.45, 0.05, 0.05, 0.45]), np.full(4, 0.25)
    m = (p + q) / 2
    divergence = (p * np.log(p / m) + q * np.log(q / m)).sum()
    logits = np.log(p / q) / O.SHARPNESS
    joint, product = (
        np.repeat(logits, [9, 1, 1, 9]),
        np.repeat(logits, 95),
    )  # 20 and 20 x 19 pairs as p and q want
    scores = np.empty((1, 20, 20))
    scores[0][np.eye(20, dtype=bool)], scores[0][~np.eye(20, dtype=bool)] = joint, product
    assert O.jensen_shannon_information(t(scores)).item() == pytest.approx(divergence)
