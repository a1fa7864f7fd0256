"""One training step of PCFH: who sees what, and which gradient goes where.

G_A runs forward once and serves every update. Each term is differentiated with respect to G_A's output
alone, a leaf called ``x`` here, while the network that the term belongs to gets its own gradient in the
same backward pass; at the end the sum of the gradients on x goes back through G_A in one pass. So
nothing is computed twice, no term can reach a network it must not change, and the size of each term's
gradient on the output is known for free.

    network      minimises                                              gets nothing from
    G_A          L_ad + L_rec + L_ID + L_Y + L_AWM + L_MIC               L_A, penalties
                 and, where asked for, the terms of ``ours``
    G_B          L_rec                                                  all others
    D_A          critic loss + penalty                                  all others
    Att          L_A                                                    L_AWM and all others
    N_E          -(I(G, V) + I(G, N)), + penalty where it needs one     all others
    F            fixed                                                  all

All updates are simultaneous: the gradients on x are those of the critics before their own update.

Axis letters: b batch, s side of the image, d features.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pcfh.devices import mixed_precision
from pcfh.methods.batch import Batch, Image, Values
from pcfh.methods.pcfh import losses, ours
from pcfh.methods.pcfh.attention import Attention
from pcfh.methods.pcfh.critic import Critic
from pcfh.methods.pcfh.generator import AuxiliaryGenerator, Generator
from pcfh.methods.pcfh.networks import PCFH
from pcfh.methods.pcfh.statistics_network import StatisticsNetwork
from pcfh.methods.pcfh.terms import ABSENT, LossWeights, Term, norm_per_image, term, term_of
from pcfh.recognisers.lightcnn.network import to_lightcnn_input


def compute_gradients(
    networks: PCFH, recognizer: nn.Module | None, batch: Batch, weights: LossWeights
) -> tuple[Values, Image]:
    """Puts the gradient of every network into its parameters' ``grad``; updates nothing.

    What G_A minimises is the sum of the paper's Eq. 5, 8 and 9, and of what is ours:

        L_G = L_ad + L_rec + L_ID + L_Y        (Eq. 5)
        L   = L_G + L_AWM + L_MIC              (Eq. 8, Eq. 9)

    Args:
        networks: their ``grad`` empty.
        recognizer: F, frozen; None leaves L_ID out.
        batch: what to see.
        weights: of the terms.

    Returns:
        Detached numbers by name (``loss/...`` are terms with their weights and their sum, ``gradient/...``
        the norms of their gradients on G_A's output) and the generated images.
    """
    generated = generate(networks.G_A, batch, weights)
    x = generated.detach().requires_grad_()

    L_ad = adversarial(networks.D_A, x, batch, weights)
    L_rec = reconstruction(networks.G_B, x, batch, weights)
    L_Y = luminance(x, batch, weights)
    L_truth = ours.truth(x, batch, weights)
    features = recognise(recognizer, x, weights)
    L_ID = identity(features, x, batch, weights)
    L_people = ours.people(features, x, batch, weights)
    L_AWM = attention_warping(networks.Att, x, batch, weights)
    L_MIC = mutual_information(networks.N_E, x, batch, weights)

    L_G = L_ad + L_rec + L_Y + L_ID
    total = L_G + L_truth + L_people + L_AWM + L_MIC

    propagate(generated, total)
    assert isinstance(total.loss, Tensor) and isinstance(total.on_x, Tensor)
    summed = {"loss/total": total.loss, "gradient/total": norm_per_image(total.on_x)}
    return total.values | summed, x.detach()


def generate(G_A: Generator, batch: Batch, weights: LossWeights) -> Image:
    """G_A(I_N), with the way back to G_A."""
    with mixed_precision(weights.bf16, batch.nir):
        generated: Tensor = G_A(batch.nir, batch.landmarks)
    return generated.float()


def propagate(generated: Image, total: Term) -> None:
    """The gradient of the sum of all terms goes back through G_A."""
    generated.backward(total.on_x)


def adversarial(D_A: Critic, x: Image, batch: Batch, weights: LossWeights) -> Term:
    """Eq. 1 for G_A, and its counterpart with the penalty for D_A."""
    mix = batch.mix[:, None, None, None]
    between = (mix * batch.vis + (1 - mix) * x.detach()).requires_grad_()
    with mixed_precision(weights.bf16, x):
        fake, real, middle = D_A(x), D_A(batch.vis), D_A(between)
    (slope,) = torch.autograd.grad(middle.sum(), between, create_graph=True)
    penalty = weights.penalty * losses.gradient_penalty(slope.float().flatten(1))
    loss = losses.critic_loss(real, fake)
    (loss + penalty).backward(inputs=[x, *D_A.parameters()])
    # The critic's loss depends on x through E D_A(x) alone, which is -L_ad: one backward pass gives
    # both gradients.
    critic = {"critic/loss": loss, "critic/penalty": penalty}
    L_ad, on_x = weights.lambda_ad * losses.adversarial_loss(fake), -weights.lambda_ad * _take_gradient(x)
    return term("ad", L_ad, on_x, critic)


def reconstruction(G_B: AuxiliaryGenerator, x: Image, batch: Batch, weights: LossWeights) -> Term:
    """Eq. 2, for G_A and G_B."""
    if not weights.lambda_rec:
        return ABSENT
    seen = ours.noisy(x, weights.rec_noise)
    with mixed_precision(weights.bf16, x):
        reconstructed = G_B(seen).float()
    loss = weights.lambda_rec * losses.reconstruction_loss(reconstructed, batch.nir)
    loss.backward(inputs=[x, *G_B.parameters()])
    return term("rec", loss, _take_gradient(x))


def recognise(F: nn.Module | None, x: Image, weights: LossWeights) -> Float[Tensor, "b d"] | None:
    """F(G_A(I_N)), where a term asks for it; F is fixed."""
    if F is None or not (weights.lambda_id or weights.lambda_people):
        return None
    return features_of(F, x, weights)


def features_of(F: nn.Module, x: Image, weights: LossWeights) -> Float[Tensor, "b d"]:
    """F of images, shaken where the settings ask for it."""
    faces = to_lightcnn_input(x)
    if weights.id_shake:
        faces = ours.augment_faces(faces)
    with mixed_precision(weights.bf16, x):
        features: Tensor = F(faces.contiguous(memory_format=torch.channels_last))
    return features.float()


def identity(features: Float[Tensor, "b d"] | None, x: Image, batch: Batch, weights: LossWeights) -> Term:
    """Eq. 3, for G_A; F(I_V) is known."""
    if features is None or not weights.lambda_id:
        return ABSENT
    assert batch.vis_features is not None
    loss = weights.lambda_id * losses.identity_loss(batch.vis_features, features)
    return term_of("id", loss, x, again=weights.lambda_people > 0)


def luminance(x: Image, batch: Batch, weights: LossWeights) -> Term:
    """Eq. 4, for G_A."""
    return term_of("y", weights.lambda_y * losses.luminance_loss(x, batch.nir), x)


def attention_warping(Att: Attention | None, x: Image, batch: Batch, weights: LossWeights) -> Term:
    """Eq. 7 for the attention network and Eq. 8 for G_A; both take images in [0, 1]."""
    if Att is None:
        return ABSENT
    assert batch.warped is not None
    generated, warped = (x + 1) / 2, (batch.warped + 1) / 2
    with mixed_precision(weights.bf16, x):
        attention = Att(batch.nir, batch.warped).float()
    masked, target = generated.detach(), warped
    if weights.symmetric_fit:
        masked, target = ours.lighter_and_darker(masked, target)
    L_A = losses.attention_loss(attention, masked, target, weights.alpha)
    L_A.backward(inputs=list(Att.parameters()))
    loss = weights.lambda_awm * losses.attention_warping_loss(attention, generated, warped)
    (on_x,) = torch.autograd.grad(loss, x)
    state = {"mean": attention.mean(), "spread": attention.flatten(1).std(1).mean()}
    return term("awm", loss, on_x, {"attention/loss": L_A} | {f"attention/{k}": v for k, v in state.items()})


def mutual_information(N_E: StatisticsNetwork | None, x: Image, batch: Batch, weights: LossWeights) -> Term:
    """Eq. 9 for G_A and Eq. 10, twice, for N_E; with a penalty where N_E is not bounded by itself."""
    if N_E is None:
        return ABSENT
    with mixed_precision(weights.bf16, x):
        phi = N_E.phi(x)
        psi_V, psi_N = N_E.psi(torch.cat([batch.vis, batch.nir])).chunk(2)
    I_GV, I_GN = N_E.estimate(phi, psi_V, weights.group), N_E.estimate(phi, psi_N, weights.group)
    loss = weights.lambda_mic * losses.mutual_information_constraint(I_GV, I_GN)
    (on_x,) = torch.autograd.grad(loss, x, retain_graph=True)
    estimates = {"dependence/I_GV": I_GV, "dependence/I_GN": I_GN}
    if N_E.bounded:
        (-I_GV - I_GN).backward(inputs=list(N_E.parameters()))
        return term("mic", loss, on_x, estimates)
    penalty = weights.penalty * losses.gradient_penalty(_slope_of_pairs(N_E, x, batch, weights))
    (penalty - I_GV - I_GN).backward(inputs=list(N_E.parameters()))
    return term("mic", loss, on_x, estimates | {"dependence/penalty": penalty})


def _slope_of_pairs(
    N_E: StatisticsNetwork, x: Image, batch: Batch, weights: LossWeights
) -> Float[Tensor, "b n"]:
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


def _take_gradient(x: Image) -> Image:
    """Empties a leaf's ``grad`` and returns what was there."""
    gradient, x.grad = x.grad, None
    assert gradient is not None
    return gradient
