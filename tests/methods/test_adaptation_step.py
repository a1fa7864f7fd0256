"""The step that adapts a generator: its two terms, and which gradient reaches whom."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from small_step import WEIGHTS, Recognizer, batch, model
from smooth import gradients

from pcfh.methods.pcfh import losses
from pcfh.methods.pcfh.adaptation import (
    Adaptation,
    adaptation_gradients,
    keep_loss,
    own_identity_loss,
)
from pcfh.recognisers.lightcnn.network import to_lightcnn_input

OWN = Adaptation(lambda_own=0.7, lambda_keep=3.0)


def seen(familiar=(1.0, 0.5, 0.0, 1.0)):
    b = batch()
    return replace(b, familiar=torch.tensor(familiar), familiar_nir=b.nir / 2)


def changed_copy(network):
    """A G_0 that is not G_A any more."""
    before = deepcopy(network).requires_grad_(False)
    with torch.no_grad():
        for parameter in before.parameters():
            parameter.mul_(1.1)
    return before


def test_the_own_term_is_0_for_any_multiple_2_for_the_opposite_and_1_for_a_right_angle():
    a = torch.tensor([[3.0, 4.0]])
    values = [own_identity_loss(a, b * a) for b in (1.0, 7.0, -2.0)]
    values.append(own_identity_loss(a, torch.tensor([[-4.0, 3.0]])))
    torch.testing.assert_close(torch.stack(values), torch.tensor([0.0, 0.0, 2.0, 1.0]))


def test_the_keep_term_is_the_mean_distance_weighed_by_how_familiar_each_image_is():
    before = torch.zeros(3, 3, 4, 4)
    made = torch.stack([torch.full((3, 4, 4), value) for value in (0.3, -0.6, 0.9)])
    found = keep_loss(made, before, torch.tensor([1.0, 0.5, 0.0]))
    assert found.item() == pytest.approx((0.3 + 0.5 * 0.6) / 3)


def test_g_a_gets_the_gradient_of_the_sum_of_the_unpaired_terms():
    net, F, b, w = model(False, False), Recognizer(), seen(), WEIGHTS
    G_0 = changed_copy(net.G_A)
    values = adaptation_gradients(net, (G_0, F), b, w, OWN, settling=False)
    found = gradients(net.G_A)
    net.zero_grad()
    G = net.G_A(b.nir, b.landmarks)
    own = own_identity_loss(F(to_lightcnn_input(G)), F(to_lightcnn_input(b.nir)))
    total = losses.adversarial_loss(net.D_A(G))
    total = total + w.lambda_rec * losses.reconstruction_loss(net.G_B(G), b.nir)
    total = total + w.lambda_y * losses.luminance_loss(G, b.nir)
    total = total + OWN.lambda_own * own
    total = total + OWN.lambda_keep * keep_loss(G, G_0(b.familiar_nir, b.landmarks), b.familiar)
    assert values["loss/total"].item() == pytest.approx(total.item(), rel=1e-5)
    total.backward()
    for name, expected in gradients(net.G_A).items():
        torch.testing.assert_close(found[name], expected, atol=1e-6, rtol=1e-3)


def test_while_it_settles_g_b_and_d_a_get_their_gradients_and_g_a_none():
    net, b = model(False, False), seen()
    fixed = (changed_copy(net.G_A), Recognizer())
    adaptation_gradients(net, fixed, b, WEIGHTS, OWN, settling=False)
    moving = gradients(net)
    net.zero_grad()
    adaptation_gradients(net, fixed, b, WEIGHTS, OWN, settling=True)
    found = gradients(net)
    assert {name.partition(".")[0] for name in found} == {"G_B", "D_A"}
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, moving[name])


def test_the_fixed_networks_get_nothing():
    net, b = model(False, False), seen()
    G_0, F = changed_copy(net.G_A), Recognizer()
    adaptation_gradients(net, (G_0, F), b, WEIGHTS, OWN, settling=False)
    assert gradients(G_0) == {} and gradients(F) == {}
