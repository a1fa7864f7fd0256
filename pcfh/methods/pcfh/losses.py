"""The paper's equations 1 to 4 and 7 to 10, one function each.

Eq. 5 is the sum in ``pcfh.methods.pcfh.step.compute_gradients``, Eq. 6 is
``pcfh.geometry.warp.inverse_distance_warp``; what is not the paper's stands in ``pcfh.methods.pcfh.ours``.

Every function returns the bare term; its weight lambda or alpha is applied in ``pcfh.methods.pcfh.step``.
A weight means nothing without the reduction of its term, so each docstring states it. Symbols: I_N NIR
image, I_V VIS image of the same person, G_A(I_N) the generated VIS image, Att the attention map.

Images are in [-1, 1], except in Eq. 7 and 8, which take [0, 1]: there a zero must mean black, because
masking by Att moves values towards zero. With [-1, 1] the map collapses to zero within 150 steps.

Axis letters: b batch, c channels, h and w pixels, d features, g images of one re-pairing group.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pcfh.ranges import luma_weights

SHARPNESS = 10.0  # of cosines, where an estimate takes them for logits


def adversarial_loss(fake_scores: Float[Tensor, " b"]) -> Float[Tensor, ""]:
    """The generator's adversarial term (paper Eq. 1), mean over the batch.

        L_ad = -E D_A(G_A(I_N))

    Args:
        fake_scores: D_A of generated images.
    """
    return -fake_scores.mean()


def critic_loss(real_scores: Float[Tensor, " b"], fake_scores: Float[Tensor, " b"]) -> Float[Tensor, ""]:
    """What D_A minimises: the Wasserstein critic's loss that belongs to Eq. 1, mean over the batch.

        L_D = E D_A(G_A(I_N)) - E D_A(I_V)

    Reference: Arjovsky, Chintala, Bottou, "Wasserstein GAN", ICML 2017.
    """
    return fake_scores.mean() - real_scores.mean()


def gradient_penalty(gradient: Float[Tensor, "b n"]) -> Float[Tensor, ""]:
    """Keeps a critic 1-Lipschitz in the RMS norm of its input, mean over the batch.

        E max(0, sqrt(n) |grad D(x)|_2 - 1)^2

    The usual penalty takes the Euclidean norm and lets the critic's slope per pixel be sqrt(n) times
    larger: the adversarial term then drowns all others, whose weights were chosen for errors per pixel.
    One-sided, because Lipschitz means at most 1: N_E can reach slope 1 by terms of one image alone, which
    measure nothing, and a two-sided penalty asks for just that.

    Args:
        gradient: of the critic's score with respect to its input, flattened; n numbers per sample.

    Reference: Gulrajani et al., "Improved training of Wasserstein GANs", NeurIPS 2017 (Euclidean,
    two-sided); Petzka et al., "On the regularization of Wasserstein GANs", ICLR 2018 (one-sided).
    """
    squared = gradient.square().sum(1) * gradient.shape[1]
    return ((squared + 1e-12).sqrt() - 1).clamp(min=0).square().mean()


def reconstruction_loss(
    reconstructed: Float[Tensor, "b c h w"], I_N: Float[Tensor, "b c h w"]
) -> Float[Tensor, ""]:
    """The cycle term (paper Eq. 2 without lambda_1): SUM over channels and pixels, mean over the batch.

    |G_B(G_A(I_N)) - I_N|_1
    """
    return (reconstructed - I_N).abs().sum((1, 2, 3)).mean()


def identity_loss(features_V: Float[Tensor, "b d"], features_G: Float[Tensor, "b d"]) -> Float[Tensor, ""]:
    """The identity-preserving term (paper Eq. 3 without lambda_2): SUM over features, mean over the batch.

    |F(I_V) - F(G_A(I_N))|_1
    """
    return (features_V - features_G).abs().sum(1).mean()


def luminance(images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b h w"]:
    """Y of YCbCr, in the range of the images."""
    return torch.einsum("bchw,c->bhw", images, luma_weights(images))


def luminance_loss(generated: Float[Tensor, "b 3 h w"], I_N: Float[Tensor, "b 3 h w"]) -> Float[Tensor, ""]:
    """The luminance term (paper Eq. 4 without lambda_3): MEAN over pixels and batch.

    |Y(G_A(I_N)) - Y(I_N)|_1
    """
    return (luminance(generated) - luminance(I_N)).abs().mean()


def attention_loss(
    attention: Float[Tensor, "b 1 h w"],
    generated: Float[Tensor, "b c h w"],
    warped: Float[Tensor, "b c h w"],
    alpha: tuple[float, float, float],
) -> Float[Tensor, ""]:
    """What the attention network minimises (paper Eq. 7); images in [0, 1].

        L_A = alpha_1 |Att * G_A(I_N) - I_Warp|_1 + alpha_2 rank(Att) + alpha_3 |Att|_1

    The first term is a MEAN over channels, pixels and batch. rank(Att) is not differentiable; its
    convex envelope, the nuclear norm (SUM of the singular values of the map), stands for it, mean over
    the batch. |Att|_1 is a SUM over pixels, mean over the batch. I_Warp is not masked: that is what
    pushes Att towards 1 where the generator agrees with the warped image.

    Args:
        attention: the map Att, in [0, 1].
        generated: G_A(I_N) in [0, 1].
        warped: I_Warp in [0, 1].
        alpha: the weights alpha_1, alpha_2, alpha_3.
    """
    alpha_1, alpha_2, alpha_3 = alpha
    fit = (attention * generated - warped).abs().mean()
    nuclear = nuclear_norm(attention[:, 0]).mean()
    return alpha_1 * fit + alpha_2 * nuclear + alpha_3 * attention.abs().sum((1, 2, 3)).mean()


def nuclear_norm(maps: Float[Tensor, "b h w"]) -> Float[Tensor, " b"]:
    """Sum of the singular values of each map, for rank(Att) of Eq. 7.

    A processor takes them apart; everywhere else Newton-Schulz rounds find the sum and its gradient by
    matrix products alone, without waiting for the host, 40 times faster on a GPU. A processor would take
    1.2 times as long with them at 128 pixels and 1.5 times at 256 (``python -m bench captured``).
    """
    if maps.device.type == "cpu":
        return torch.linalg.svdvals(maps).sum(-1)
    return newton_schulz_norm(maps)


def newton_schulz_norm(maps: Float[Tensor, "b h w"]) -> Float[Tensor, " b"]:
    """The nuclear norm as <U, A>, where U is the orthogonal factor of A = U P, which also is its gradient.

    Nine rounds of a steep odd polynomial bring all singular values of A / |A|_F above 1e-5 near 1, five
    rounds of a flat one bring them to 1. Smaller ones stay below 1 and count for less than they are worth, by
    less than 1e-5 of the norm together with their gradient's share.

    Reference: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024 (polynomial).
    """
    norm: Tensor = _NewtonSchulzNorm.apply(maps)  # type: ignore[no-untyped-call]
    return norm


class _NewtonSchulzNorm(torch.autograd.Function):
    """Value <U, A> with the gradient U; not to be differentiated twice."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        """The norms; keeps U."""
        with torch.autocast(maps.device.type, enabled=False):
            size = maps.flatten(1).norm(dim=1).clamp(min=torch.finfo(maps.dtype).tiny)
            U = maps / size[:, None, None]
            for a, b, c in (*[(3.4445, -4.7750, 2.0315)] * 9, *[(1.5, -0.5, 0.0)] * 5):
                square = U @ U.mT
                U = a * U + (b * square + c * (square @ square) if c else b * square) @ U
        ctx.save_for_backward(U)
        return (U * maps).sum((1, 2))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """U, times each map's own gradient."""
        (U,) = ctx.saved_tensors
        return gradient[:, None, None] * U


def attention_warping_loss(
    attention: Float[Tensor, "b 1 h w"],
    generated: Float[Tensor, "b c h w"],
    warped: Float[Tensor, "b c h w"],
) -> Float[Tensor, ""]:
    """Supervision of the generator by the warped image (paper Eq. 8 without lambda_4); images in [0, 1].

        |Att * G_A(I_N) - Att * I_Warp|_1

    SUM over channels and pixels, mean over the batch. Att = 0 would be a trivial zero, so no gradient
    reaches the attention network.
    """
    return (attention.detach() * (generated - warped)).abs().sum((1, 2, 3)).mean()


def mutual_information(pair_scores: Float[Tensor, "groups g g"]) -> Float[Tensor, ""]:
    """The estimate that N_E maximises (paper Eq. 10).

        I(a, b) ~ E_(z ~ p) N_E(z) - E_(z ~ q) N_E(z)

    p is the joint distribution of pairs that belong together, q the product of the marginals: pairs
    (a_i, b_j), i != j, made anew inside a group. A Wasserstein form: N_E must be bounded, as a cosine is, or
    Lipschitz (``gradient_penalty``). Mean over pairs.

    Args:
        pair_scores: N_E(a_i, b_j) of all pairs of each group, g >= 2; the diagonal is the joint
            distribution.
    """
    groups, g, _ = pair_scores.shape
    joint = pair_scores.diagonal(dim1=1, dim2=2).sum()
    return joint / (groups * g) - (pair_scores.sum() - joint) / (groups * g * (g - 1))


def jensen_shannon_information(pair_scores: Float[Tensor, "groups g g"]) -> Float[Tensor, ""]:
    """Another estimate in the place of Eq. 10: twice the Jensen-Shannon divergence of p and q, in nats.

        2 log 2 + E_(z ~ p) log sigma(s N_E(z)) + E_(z ~ q) log (1 - sigma(s N_E(z))),   s = 10

    A discriminator's cross-entropy, as the source of Eq. 10 has it. Mean over pairs.

    Args:
        pair_scores: as in ``mutual_information``.

    Reference: Brakel and Bengio, "Learning Independent Features with Adversarial Nets for Non-linear ICA",
    2017, https://arxiv.org/abs/1710.05050
    """
    groups, g, _ = pair_scores.shape
    logits = SHARPNESS * pair_scores
    joint = F.logsigmoid(logits.diagonal(dim1=1, dim2=2)).sum()
    product = F.logsigmoid(-logits).sum() - F.logsigmoid(-logits.diagonal(dim1=1, dim2=2)).sum()
    return 2 * math.log(2) + joint / (groups * g) + product / (groups * g * (g - 1))


def contrastive_information(pair_scores: Float[Tensor, "groups g g"]) -> Float[Tensor, ""]:
    """Another estimate in the place of Eq. 10: the InfoNCE lower bound on I(a, b) in nats, at most log g.

        I(a, b) >= log g + E_i log softmax_j(s N_E(a_i, b_j)) at j = i,   s = 10

    Mean over pairs.

    Args:
        pair_scores: as in ``mutual_information``.

    Reference: van den Oord, Li and Vinyals, "Representation Learning with Contrastive Predictive Coding",
    2018, https://arxiv.org/abs/1807.03748
    """
    g = pair_scores.shape[1]
    return math.log(g) + (SHARPNESS * pair_scores).log_softmax(2).diagonal(dim1=1, dim2=2).mean()


def mutual_information_constraint(I_GV: Float[Tensor, ""], I_GN: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """The generator's mutual information constraint (paper Eq. 9 without lambda_5), to be minimised.

        L_MIC = I(G_A(I_N), I_N) - I(G_A(I_N), I_V)

    The printed equation has the signs the other way round while its text maximises I(G, V) and
    minimises I(G, N).
    """
    return I_GN - I_GV
