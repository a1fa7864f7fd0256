"""One training step of PCFH: who sees what, and which gradient goes where.

G_A runs forward once and serves every update. Each term is differentiated with respect to G_A's output
alone, a leaf called ``x`` here, while the network that the term belongs to gets its own gradient in the
same backward pass; at the end the sum of the gradients on x goes back through G_A in one pass. So
nothing is computed twice, no term can reach a network it must not change, and the size of each term's
gradient on the output is known for free.

    network      minimises                                              gets nothing from
    G_A          L_ad + L_rec + L_ID + L_Y + L_AWM + lambda_5 L_MIC      L_A, penalties
                 and, where asked for, the terms of ``people_loss`` and ``truth_loss``
    G_B          L_rec                                                  all others
    D_A          critic loss + penalty                                  all others
    Att          L_A                                                    L_AWM and all others
    N_E          -(I(G, V) + I(G, N)) + penalty                         all others
    F            fixed                                                  all

All updates are simultaneous: the gradients on x are those of the critics before their own update.

Axis letters: b batch, s side of the image, d features.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pcfh.devices import mixed_precision
from pcfh.methods.batch import Batch, Image, Values
from pcfh.methods.pcfh import losses as objective
from pcfh.methods.pcfh.attention import Attention
from pcfh.methods.pcfh.critic import Critic
from pcfh.methods.pcfh.dependence import Dependence
from pcfh.methods.pcfh.generator import Reconstruction
from pcfh.methods.pcfh.networks import PCFH
from pcfh.methods.pcfh.shake import shaken
from pcfh.recognisers.lightcnn.network import to_lightcnn_input


@dataclass(frozen=True, kw_only=True)
class Weights:
    """The paper's weights at the size of the images, and what its text leaves open."""

    lambda_rec: float
    lambda_id: float
    lambda_people: float = 0.0
    people_margin: float = 0.0
    lambda_truth: float = 0.0
    lambda_y: float
    lambda_awm: float
    lambda_mic: float
    alpha: tuple[float, float, float]
    penalty: float
    group: int
    rec_noise: float = 0.0
    id_shake: bool = False
    symmetric_fit: bool = False
    bf16: bool = False


def backward(
    model: PCFH,
    recognizer: nn.Module | None,
    batch: Batch,
    weights: Weights,
    *,
    on_part: Callable[[str], None] = lambda part: None,
) -> tuple[Values, Image]:
    """Puts the gradient of every network into its parameters' ``grad``; updates nothing.

    Args:
        model: the networks, their ``grad`` empty.
        recognizer: F, frozen; None leaves L_ID out.
        batch: what to see.
        weights: of the terms.
        on_part: called with the name of each part of the step when it is over, e.g. to measure it.

    Returns:
        Detached numbers by name (``loss/...`` are terms with their weights, ``gradient/...`` the norms
        of their gradients on G_A's output) and the generated images.
    """
    with mixed_precision(weights.bf16, batch.nir):
        generated: Tensor = model.G_A(batch.nir, batch.landmarks)
    on_part("G_A forward")
    generated = generated.float()
    x = generated.detach().requires_grad_()
    values: Values = {}
    on_x: Values = {}
    _critic(model.D_A, batch, x, weights, values, on_x)
    on_part("critic")
    if weights.lambda_rec:
        _reconstruction(model.G_B, batch, x, weights, values, on_x)
        on_part("reconstruction")
    _luminance(batch, x, weights, values, on_x)
    on_part("luminance")
    if weights.lambda_truth:
        _truth(batch, x, weights, values, on_x)
        on_part("truth")
    if recognizer is not None:
        _identity(recognizer, batch, x, weights, values, on_x)
        on_part("identity")
    if model.Att is not None:
        _attention_warping(model.Att, batch, x, weights, values, on_x)
        on_part("attention warping")
    if model.N_E is not None:
        _dependence(model.N_E, batch, x, weights, values, on_x)
        on_part("dependence")
    values |= {f"gradient/{name}": _norm_per_image(gradient) for name, gradient in on_x.items()}
    generated.backward(torch.stack(list(on_x.values())).sum(0))
    on_part("G_A backward")
    return values, x.detach()


def _critic(D_A: Critic, batch: Batch, x: Image, weights: Weights, values: Values, on_x: Values) -> None:
    """Eq. 1 for G_A, and its counterpart with the penalty for D_A."""
    mix = batch.mix[:, None, None, None]
    between = (mix * batch.vis + (1 - mix) * x.detach()).requires_grad_()
    with mixed_precision(weights.bf16, x):
        fake, real, middle = D_A(x), D_A(batch.vis), D_A(between)
    (slope,) = torch.autograd.grad(middle.sum(), between, create_graph=True)
    penalty = weights.penalty * objective.gradient_penalty(slope.float().flatten(1))
    loss = objective.critic_loss(real, fake)
    (loss + penalty).backward(inputs=[x, *D_A.parameters()])
    # The critic's loss depends on x through E D_A(x) alone, which is -L_ad: one backward pass gives
    # both gradients.
    on_x["ad"] = -_take_gradient(x)
    values["loss/ad"] = objective.adversarial_loss(fake).detach()
    values["critic/loss"], values["critic/penalty"] = loss.detach(), penalty.detach()


def _reconstruction(
    G_B: Reconstruction, batch: Batch, x: Image, weights: Weights, values: Values, on_x: Values
) -> None:
    """Eq. 2, for G_A and G_B."""
    seen = x + weights.rec_noise * torch.randn_like(x) if weights.rec_noise else x
    with mixed_precision(weights.bf16, x):
        reconstructed = G_B(seen).float()
    loss = weights.lambda_rec * objective.reconstruction_loss(reconstructed, batch.nir)
    loss.backward(inputs=[x, *G_B.parameters()])
    on_x["rec"] = _take_gradient(x)
    values["loss/rec"] = loss.detach()


def _luminance(batch: Batch, x: Image, weights: Weights, values: Values, on_x: Values) -> None:
    """Eq. 4, for G_A."""
    loss = weights.lambda_y * objective.luminance_loss(x, batch.nir)
    (on_x["y"],) = torch.autograd.grad(loss, x)
    values["loss/y"] = loss.detach()


def _truth(batch: Batch, x: Image, weights: Weights, values: Values, on_x: Values) -> None:
    """The distance to the true image, for G_A."""
    assert batch.truth is not None
    loss = weights.lambda_truth * objective.truth_loss(x, batch.truth)
    (on_x["truth"],) = torch.autograd.grad(loss, x)
    values["loss/truth"] = loss.detach()


def _identity(F: nn.Module, batch: Batch, x: Image, weights: Weights, values: Values, on_x: Values) -> None:
    """Eq. 3 and the term against all people, for G_A; F is fixed and its features of I_V are known."""
    faces = to_lightcnn_input(x)
    if weights.id_shake:
        faces = shaken(faces)
    with mixed_precision(weights.bf16, x):
        features = F(faces.contiguous(memory_format=torch.channels_last)).float()
    losses = {}
    if weights.lambda_id:
        assert batch.vis_features is not None
        losses["id"] = weights.lambda_id * objective.identity_loss(batch.vis_features, features)
    if weights.lambda_people:
        assert batch.people is not None and batch.person is not None
        losses["people"] = weights.lambda_people * objective.people_loss(
            features, batch.people, batch.person, weights.people_margin
        )
    (on_x["id"],) = torch.autograd.grad(torch.stack(list(losses.values())).sum(), x)
    values |= {f"loss/{name}": loss.detach() for name, loss in losses.items()}


def _attention_warping(
    Att: Attention, batch: Batch, x: Image, weights: Weights, values: Values, on_x: Values
) -> None:
    """Eq. 7 for the attention network and Eq. 8 for G_A; both take images in [0, 1]."""
    assert batch.warped is not None
    generated, warped = (x + 1) / 2, (batch.warped + 1) / 2
    with mixed_precision(weights.bf16, x):
        attention = Att(batch.nir, batch.warped).float()
    masked, target = generated.detach(), warped
    if weights.symmetric_fit:
        # A mask can only darken. Over the lighter of both it dims wherever they differ; over the
        # generated one it dims where the light of the VIS capture is weaker, and no other distortion.
        masked, target = torch.maximum(masked, target), torch.minimum(masked, target)
    L_A = objective.attention_loss(attention, masked, target, weights.alpha)
    L_A.backward(inputs=list(Att.parameters()))
    loss = weights.lambda_awm * objective.attention_warping_loss(attention, generated, warped)
    (on_x["awm"],) = torch.autograd.grad(loss, x)
    values["loss/awm"], values["attention/loss"] = loss.detach(), L_A.detach()
    values["attention/mean"] = attention.detach().mean()
    values["attention/spread"] = attention.detach().flatten(1).std(1).mean()


def _dependence(
    N_E: Dependence, batch: Batch, x: Image, weights: Weights, values: Values, on_x: Values
) -> None:
    """Eq. 9 for G_A and Eq. 10, twice and with the penalty, for N_E."""
    group = weights.group
    with mixed_precision(weights.bf16, x):
        phi = N_E.phi(x)
        psi_V, psi_N = N_E.psi(torch.cat([batch.vis, batch.nir])).chunk(2)
    I_GV = objective.mutual_information(N_E.pair_scores(phi, psi_V, group))
    I_GN = objective.mutual_information(N_E.pair_scores(phi, psi_N, group))
    L_MIC = weights.lambda_mic * objective.mutual_information_constraint(I_GV, I_GN)
    (on_x["mic"],) = torch.autograd.grad(L_MIC, x, retain_graph=True)
    penalty = weights.penalty * objective.gradient_penalty(_dependence_slope(N_E, batch, x, weights))
    (penalty - I_GV - I_GN).backward(inputs=list(N_E.parameters()))
    values["loss/mic"], values["dependence/penalty"] = L_MIC.detach(), penalty.detach()
    values["dependence/I_GV"], values["dependence/I_GN"] = I_GV.detach(), I_GN.detach()


def _dependence_slope(N_E: Dependence, batch: Batch, x: Image, weights: Weights) -> Float[Tensor, "b n"]:
    """Slope of N_E(a, b) between a pair of the joint and one of the product of the marginals.

    The pairs share a, so b alone moves, from b_i to its neighbour in the group. Every other b is an NIR
    image.
    """
    first = torch.arange(len(x), device=x.device) % 2 == 0
    b = torch.where(first[:, None, None, None], batch.vis, batch.nir)
    # Groups start at even places, so shifting by two keeps VIS with VIS; groups of two can only shift
    # by one.
    shift = 2 if weights.group > 2 else 1
    other = b.unflatten(0, (-1, weights.group)).roll(shift, 1).flatten(0, 1)
    mix = batch.mix[:, None, None, None]
    a, between = x.detach().requires_grad_(), (mix * b + (1 - mix) * other).requires_grad_()
    with mixed_precision(weights.bf16, x):
        scores = N_E(a, between)
    slopes = torch.autograd.grad(scores.sum(), (a, between), create_graph=True)
    return torch.cat([slope.float().flatten(1) for slope in slopes], 1)


def _norm_per_image(gradient: Image) -> Float[Tensor, ""]:
    """Mean norm of the gradient of one image's own loss; the losses are means over the batch."""
    return gradient.flatten(1).norm(dim=1).mean() * len(gradient)


def _take_gradient(x: Image) -> Image:
    """Empties a leaf's ``grad`` and returns what was there."""
    gradient, x.grad = x.grad, None
    assert gradient is not None
    return gradient
