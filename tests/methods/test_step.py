"""Which gradient reaches whom: the step against plain autograd of the whole losses."""

import math
from dataclasses import replace

import pytest
import torch
from small_step import WEIGHTS, Recognizer, batch, model
from smooth import gradients

from pcfh.methods.pcfh import losses, ours
from pcfh.methods.pcfh.step import compute_gradients
from pcfh.methods.pcfh.terms import LossWeights
from pcfh.recognisers.lightcnn.network import to_lightcnn_input


def test_g_a_gets_the_gradient_of_the_sum_of_its_six_terms_eq_5_8_and_9():
    net, F, b, w = model(), Recognizer(), batch(), WEIGHTS
    values, _ = compute_gradients(net, F, b, w)
    found = gradients(net.G_A)
    net.zero_grad()
    G = net.G_A(b.nir, b.landmarks)
    phi = net.N_E.phi(G)
    I_GV = losses.mutual_information(net.N_E.pair_scores(phi, net.N_E.psi(b.vis), 2))
    I_GN = losses.mutual_information(net.N_E.pair_scores(phi, net.N_E.psi(b.nir), 2))
    Att = net.Att(b.nir, b.warped)
    total = losses.adversarial_loss(net.D_A(G))
    total = total + w.lambda_rec * losses.reconstruction_loss(net.G_B(G), b.nir)
    total = total + w.lambda_id * losses.identity_loss(b.vis_features, F(to_lightcnn_input(G)))
    total = total + w.lambda_y * losses.luminance_loss(G, b.nir)
    total = total + w.lambda_awm * losses.attention_warping_loss(Att, (G + 1) / 2, (b.warped + 1) / 2)
    total = total + w.lambda_mic * losses.mutual_information_constraint(I_GV, I_GN)
    assert values["loss/total"].item() == pytest.approx(total.item(), rel=1e-5)
    total.backward()
    for name, expected in gradients(net.G_A).items():
        torch.testing.assert_close(found[name], expected, atol=1e-6, rtol=1e-3)


def test_every_network_gets_the_gradient_of_its_own_loss_and_of_no_other():
    net, b, w = model(), batch(), WEIGHTS
    compute_gradients(net, Recognizer(), b, w)
    found = gradients(net)
    assert set(found) == {name for name, _ in net.named_parameters()}
    net.zero_grad()
    G = net.G_A(b.nir, b.landmarks).detach()
    (w.lambda_rec * losses.reconstruction_loss(net.G_B(G), b.nir)).backward()
    mix = b.mix[:, None, None, None]
    between = (mix * b.vis + (1 - mix) * G).requires_grad_()
    (slope,) = torch.autograd.grad(net.D_A(between).sum(), between, create_graph=True)
    penalty = losses.gradient_penalty(slope.flatten(1))
    (losses.critic_loss(net.D_A(b.vis), net.D_A(G)) + w.penalty * penalty).backward()
    Att = net.Att(b.nir, b.warped)
    losses.attention_loss(Att, (G + 1) / 2, (b.warped + 1) / 2, w.alpha).backward()
    for name, expected in gradients(net).items():
        assert not name.startswith(("G_A", "N_E"))
        torch.testing.assert_close(found[name], expected, atol=1e-6, rtol=1e-3)


def test_n_e_climbs_both_estimates():
    net, b = model(), batch()
    no_penalty = LossWeights(**{**vars(WEIGHTS), "penalty": 0.0})
    compute_gradients(net, None, b, no_penalty)
    found = gradients(net.N_E)
    net.zero_grad()
    phi = net.N_E.phi(net.G_A(b.nir, b.landmarks).detach())
    scores = [net.N_E.pair_scores(phi, net.N_E.psi(other), 2) for other in (b.vis, b.nir)]
    (-losses.mutual_information(scores[0]) - losses.mutual_information(scores[1])).backward()
    for name, expected in gradients(net.N_E).items():
        torch.testing.assert_close(found[name], expected, atol=1e-7, rtol=1e-3)


@pytest.mark.parametrize("estimator", ["cosine", "jsd", "infonce"])
def test_a_bounded_n_e_climbs_without_a_penalty_and_g_a_gets_eq_9(estimator):
    net, b = model(estimator=estimator), batch()
    values, G = compute_gradients(net, None, b, WEIGHTS)
    found = gradients(net.N_E)
    net.zero_grad()
    x = G.requires_grad_()
    I_GV, I_GN = (net.N_E.estimate(net.N_E.phi(x), net.N_E.psi(other), 2) for other in (b.vis, b.nir))
    (on_x,) = torch.autograd.grad(0.1 * (I_GN - I_GV), x, retain_graph=True)
    assert values["gradient/mic"].item() == pytest.approx(
        on_x.flatten(1).norm(dim=1).mean().item() * len(x), rel=1e-4
    )
    assert "dependence/penalty" not in values
    (-I_GV - I_GN).backward()
    for name, expected in gradients(net.N_E).items():
        torch.testing.assert_close(found[name], expected, atol=1e-6, rtol=1e-3)


def test_the_voice_of_the_critic_scales_its_term_and_not_its_own_learning():
    net, b = model(), batch()
    quiet, _ = compute_gradients(net, None, b, WEIGHTS)
    before = gradients(net.D_A)
    net.zero_grad()
    loud, _ = compute_gradients(net, None, b, LossWeights(**{**vars(WEIGHTS), "lambda_ad": 3.0}))
    for name in ("loss/ad", "gradient/ad"):
        assert loud[name].item() == pytest.approx(3 * quiet[name].item(), rel=1e-5)
    assert all(torch.equal(gradient, before[name]) for name, gradient in gradients(net.D_A).items())


def test_the_recogniser_may_see_shaken_faces():
    net, b, F = model(), batch(), Recognizer()
    values = {}
    for shake in (False, True):
        torch.manual_seed(3)
        values[shake], _ = compute_gradients(net, F, b, LossWeights(**{**vars(WEIGHTS), "id_shake": shake}))
        net.zero_grad()
    assert values[True]["loss/id"] != values[False]["loss/id"]
    assert values[True]["loss/rec"] == values[False]["loss/rec"]


def test_the_term_against_all_people_stands_beside_the_identity_loss_and_goes_without_it():
    net, b, F = model(), batch(), Recognizer()
    values, on_x = {}, {}
    for name, lambda_id, lambda_people in (("id", 0.002, 0.0), ("people", 0.0, 0.5), ("both", 0.002, 0.5)):
        terms = {"lambda_id": lambda_id, "lambda_people": lambda_people, "people_margin": 0.2}
        values[name], G = compute_gradients(net, F, b, LossWeights(**{**vars(WEIGHTS), **terms}))
        net.zero_grad()
    x = G.requires_grad_()
    features = F(to_lightcnn_input(x))
    losses_of = {
        "id": 0.002 * losses.identity_loss(b.vis_features, features),
        "people": 0.5 * ours.people_loss(features, b.people, b.person, 0.2),
    }
    for name, loss in losses_of.items():
        on_x[name] = torch.autograd.grad(loss, x, retain_graph=True)[0].flatten(1).norm(dim=1).mean() * len(x)
        for run in (name, "both"):
            assert values[run][f"loss/{name}"].item() == pytest.approx(loss.item(), rel=1e-5)
            assert values[run][f"gradient/{name}"].item() == pytest.approx(on_x[name].item(), rel=1e-4)
    assert "loss/people" not in values["id"] and "loss/id" not in values["people"]


def test_the_gradient_of_the_distance_to_the_truth_has_a_closed_form():
    """Each value's gradient is lambda / values, whatever the batch."""
    b = batch()
    b = replace(b, truth=torch.full_like(b.vis, 2.0))  # above all that a tanh can reach
    values, G = compute_gradients(model(), None, b, LossWeights(**{**vars(WEIGHTS), "lambda_truth": 30.0}))
    assert values["gradient/truth"].item() == pytest.approx(30 / math.sqrt(3 * 64 * 64), rel=1e-4)
    assert values["loss/truth"].item() == pytest.approx(30 * (2 - G).mean().item(), rel=1e-5)


def test_without_its_weight_the_cycle_is_not_computed():
    net = model()
    values, _ = compute_gradients(
        net, Recognizer(), batch(), LossWeights(**{**vars(WEIGHTS), "lambda_rec": 0.0})
    )
    assert "loss/rec" not in values
    assert not gradients(net.G_B) and gradients(net.G_A)


def test_the_recogniser_gets_no_gradient():
    F = Recognizer().requires_grad_(True)
    compute_gradients(model(), F, batch(), WEIGHTS)
    assert all(p.grad is None for p in F.parameters())


def test_g_a_runs_forward_once(monkeypatch):
    net, calls = model(), []
    net.G_A.register_forward_hook(lambda *_: calls.append(1))
    compute_gradients(net, Recognizer(), batch(), WEIGHTS)
    assert len(calls) == 1


def test_the_values_are_the_terms_with_their_weights():
    net, F, b, w = model(), Recognizer(), batch(), WEIGHTS
    values, G = compute_gradients(net, F, b, w)
    assert values["loss/rec"].item() == pytest.approx(
        2.5e-5 * (net.G_B(G) - b.nir).abs().sum((1, 2, 3)).mean().item(), rel=1e-5
    )
    assert values["loss/ad"].item() == pytest.approx(-net.D_A(G).mean().item(), rel=1e-4, abs=1e-7)
    Att = net.Att(b.nir, b.warped)
    assert values["attention/mean"].item() == pytest.approx(Att.mean().item(), rel=1e-5)
    assert values["attention/spread"].item() == pytest.approx(Att.flatten(1).std(1).mean().item(), rel=1e-4)
    assert all(not value.requires_grad for value in values.values())


def test_the_gradient_norm_of_the_luminance_term_has_a_closed_form():
    """Each pixel's gradient is lambda_3 / pixels times the luma weights, whatever the batch."""
    values, _ = compute_gradients(model(), None, batch(), WEIGHTS)
    expected = 0.1 / (64 * 64) * math.sqrt(64 * 64 * (0.299**2 + 0.587**2 + 0.114**2))
    assert values["gradient/y"].item() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("off", "silent"), [("awm", ("loss/awm", "attention/")), ("mic", ("loss/mic", "dependence/"))]
)
def test_an_ablation_leaves_its_terms_out_and_trains_the_rest(off, silent):
    net = model(**{off: False})
    values, _ = compute_gradients(net, None, batch(), WEIGHTS)
    assert not any(name.startswith(silent) for name in values)
    assert all(p.grad is not None for p in net.parameters())


def test_mixed_precision_stays_close_to_full_precision():
    b = batch()
    exact, _ = compute_gradients(model(), None, b, WEIGHTS)
    mixed, _ = compute_gradients(model(), None, b, LossWeights(**{**vars(WEIGHTS), "bf16": True}))
    for name in ("loss/rec", "loss/y", "loss/awm", "attention/mean"):
        assert mixed[name].item() == pytest.approx(exact[name].item(), rel=0.02)


def test_the_critic_loss_falls_when_only_the_critic_moves():
    net, b = model(), batch()
    optimizer = torch.optim.Adam(net.D_A.parameters(), 1e-3)
    losses = []
    for _ in range(30):
        values, _ = compute_gradients(net, None, b, WEIGHTS)
        optimizer.step()
        net.zero_grad()
        losses.append(values["critic/loss"].item())
    assert losses[-1] < losses[0] - 0.01


def test_a_symmetric_fit_masks_the_lighter_of_both_images():
    net, b = model(), batch()
    compute_gradients(net, None, b, LossWeights(**{**vars(WEIGHTS), "symmetric_fit": True}))
    found = gradients(net.Att)
    net.zero_grad()
    G, W = (net.G_A(b.nir, b.landmarks).detach() + 1) / 2, (b.warped + 1) / 2
    lighter, darker = torch.where(G > W, G, W), torch.where(G > W, W, G)
    losses.attention_loss(net.Att(b.nir, b.warped), lighter, darker, WEIGHTS.alpha).backward()
    for name, expected in gradients(net.Att).items():
        torch.testing.assert_close(found[name], expected, atol=1e-6, rtol=1e-3)


def test_noise_is_put_on_what_g_b_sees_and_nowhere_else():
    net, b, noisy = model(), batch(), LossWeights(**{**vars(WEIGHTS), "rec_noise": 0.2})
    torch.manual_seed(7)
    values, x = compute_gradients(net, None, b, noisy)
    found = gradients(net.G_B)
    net.zero_grad()
    torch.manual_seed(7)
    seen = x + 0.2 * torch.randn_like(x)
    loss = WEIGHTS.lambda_rec * losses.reconstruction_loss(net.G_B(seen), b.nir)
    loss.backward()
    for name, expected in gradients(net.G_B).items():
        torch.testing.assert_close(found[name], expected, atol=1e-6, rtol=1e-3)
    net.zero_grad()
    plain, _ = compute_gradients(net, None, b, WEIGHTS)
    assert values["loss/rec"] != plain["loss/rec"]
    assert all(values[name] == plain[name] for name in ("loss/ad", "loss/y", "loss/awm", "critic/loss"))
