"""Tuning of a recogniser: rescaling, sampler, losses, the loop, and files."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pcfh.errors import UserError
from pcfh.recognisers.lbp import lbp_features
from pcfh.recognisers.lightcnn.network import build_lightcnn
from pcfh.recognisers.projections import gaussian
from pcfh.recognisers.registry import open_recognizer
from pcfh.recognisers.rivals.adfl import RIVALS as ADFL
from pcfh.recognisers.rivals.adfl import FeatureSpace, discriminator, taken_for
from pcfh.recognisers.rivals.csh import Embedding, LowRank, nuclear, objective
from pcfh.recognisers.rivals.idr import Subspaces, main_directions
from pcfh.recognisers.rivals.kdsr import couplings, loss, responses, solve
from pcfh.recognisers.tuned import Tuned, load_tuned, save_tuned
from pcfh.recognisers.tuning.base import find_rival, known_rivals
from pcfh.recognisers.tuning.captures import Captures, Trunk, split
from pcfh.recognisers.tuning.head import Embedded
from pcfh.recognisers.tuning.losses import (
    contrastive,
    cosine_softmax,
    kept,
    overlap,
    person_means,
    spread_difference,
    triplet_count,
    triplets,
)
from pcfh.recognisers.tuning.rescale import rescaled
from pcfh.recognisers.tuning.sampler import IdentitySampler
from pcfh.recognisers.tuning.tune import Look, embeddings, in_order, plain_features, tune


def unit(*shape, seed=0):
    return F.normalize(torch.from_numpy(np.random.default_rng(seed).standard_normal(shape)), dim=-1)


def labels(people, nir, vis):
    """Of so many people with so many NIR and VIS captures each: people, and which are NIR."""
    return (
        torch.arange(people).repeat_interleave(nir + vis),
        torch.tensor(([True] * nir + [False] * vis) * people),
    )


@pytest.fixture(scope="module")
def trunk():
    torch.manual_seed(0)
    return Trunk(network=rescaled(build_lightcnn("lightcnn9")).requires_grad_(False).eval(), key="seed 0")


@pytest.fixture(scope="module")
def captures(trunk, tmp_path_factory):
    """Six people with three NIR and two VIS crops, drawn so that people differ."""
    people = np.repeat(np.arange(6), 5)
    nir = np.tile([True, True, True, False, False], 6)
    rng = np.random.default_rng(0)
    tone = rng.integers(40, 200, (6, 12, 12, 1)).repeat(12, 1).repeat(12, 2)
    noise = rng.integers(-20, 21, (30, 144, 144, 1))
    crops = (tone[people] + noise + 30 * nir[:, None, None, None]).clip(0, 255).astype(np.uint8).repeat(3, 3)
    found = Captures(
        subjects=np.array([f"p{i}" for i in people]),
        nir=nir,
        read=lambda place: crops[place],
        trunk=trunk,
        cache=tmp_path_factory.mktemp("maps"),
        key="drawn",
        seed=0,
        places=np.arange(30),
        whole=30,
    )
    assert found.maps(0).shape == found.maps(1).shape == (30, 8192)  # of all, before some are taken
    return found


# The trunk


@pytest.mark.parametrize("arch", ["lightcnn9", "lightcnn29v2"])
def test_rescaling_keeps_unit_features_and_shortens_the_others(arch):
    torch.manual_seed(1)
    network = build_lightcnn(arch).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(3)
    faces = torch.rand(2, 1, 128, 128)
    with torch.inference_mode():
        long, short = network(faces), rescaled(network)(faces)
    assert torch.allclose(F.normalize(long), F.normalize(short), atol=1e-6)
    assert long.norm() > 3 * short.norm()


def test_last_layer_of_last_map_is_the_network(trunk):
    faces = torch.rand(1, 1, 128, 128)
    network = trunk.network
    assert torch.equal(network(faces), network.last_layer(network.last_map(faces)))


# The sampler


def test_a_batch_has_so_many_captures_of_each_modality_of_different_people():
    people, nir = np.repeat(np.arange(5), 4), np.tile([True, True, True, False], 5)
    sampler = IdentitySampler(people=people, nir=nir, seed=3, people_of_batch=4, captures=2)
    for step in range(6):
        batch = sampler.batch(step)
        assert len(set(people[batch])) == 4
        for person in set(people[batch]):
            own = batch[people[batch] == person]
            assert nir[own].sum() == (~nir[own]).sum() == 2
            assert len(set(own[nir[own]])) == 2  # three to choose from: no capture twice


def test_everyone_comes_once_in_a_round_and_the_seed_decides():
    people, nir = np.repeat(np.arange(8), 2), np.tile([True, False], 8)
    one, same, other = (
        IdentitySampler(people=people, nir=nir, seed=s, people_of_batch=4, captures=1) for s in (0, 0, 1)
    )
    assert set(people[one.batch(0)]) | set(people[one.batch(1)]) == set(range(8))
    assert np.array_equal(one.batch(5), same.batch(5))
    assert not np.array_equal(one.batch(5), other.batch(5))


def test_people_of_one_modality_are_left_out():
    sampler = IdentitySampler(
        people=np.array([0, 0, 1, 2, 2]), nir=np.array([True, False, True, True, False]), seed=0
    )
    assert set(sampler.people[sampler.batch(0)]) == {0, 2}


# Losses


def test_triplets_of_a_batch_are_counted():
    people, nir = labels(16, 2, 2)
    assert triplet_count(people, nir) == 16 * 2 * 2 * 15 * 2


def test_equal_embeddings_leave_the_margin_of_both_kinds_of_triplets():
    people, nir = labels(3, 2, 2)
    assert float(triplets(unit(1, 8).expand(12, 8), people, nir, 0.4)) == pytest.approx(0.8)


def test_separated_people_cost_no_triplet_up_to_a_margin_of_two():
    people, nir = labels(4, 2, 2)
    z = torch.eye(4, dtype=torch.float64)[people]
    assert float(triplets(z, people, nir, 2.0)) == 0
    assert float(triplets(z, people, nir, 2.5)) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "loss", [lambda *a: triplets(*a, 0.4), lambda *a: contrastive(*a, 0.07), spread_difference]
)
def test_losses_do_not_know_which_modality_is_which(loss):
    people, nir = labels(4, 3, 2)
    z = unit(20, 16)
    assert torch.allclose(loss(z, people, nir), loss(z, people, ~nir))


def test_a_batch_of_one_person_teaches_nothing_by_triplets():
    people, nir = labels(1, 2, 2)
    z = unit(4, 8).requires_grad_()
    triplets(z, people, nir, 0.4).backward()
    assert torch.equal(z.grad, torch.zeros(4, 8, dtype=torch.float64))


def test_contrast_of_equal_embeddings_is_that_of_guessing():
    people, nir = labels(4, 3, 2)
    expected = (math.log(8 / 2) + math.log(12 / 3)) / 2  # ln(all of the other modality / own ones)
    assert float(contrastive(unit(1, 8).expand(20, 8), people, nir, 0.07)) == pytest.approx(expected)


def test_contrast_of_separated_people_vanishes_with_the_temperature():
    people, nir = labels(4, 2, 2)
    assert float(contrastive(torch.eye(4)[people], people, nir, 0.01)) < 1e-6


def test_nothing_is_lost_while_embeddings_stay():
    z = unit(5, 8)
    assert float(kept(z, z)) == pytest.approx(0, abs=1e-12)
    assert float(kept(z, -z)) == pytest.approx(2)


def test_spread_ignores_a_shift_and_knows_a_stretch():
    people, nir = labels(3, 4, 4)
    z = torch.from_numpy(np.random.default_rng(0).standard_normal((24, 5)))
    z[~nir] = z[nir]
    shifted, stretched = z.clone(), z.clone()
    shifted[nir] += 3
    stretched[nir] *= 2
    sigma = torch.stack([z[nir & (people == p)].std(0, unbiased=False) for p in range(3)])
    assert float(spread_difference(z, people, nir)) == 0
    assert float(spread_difference(shifted, people, nir)) < 1e-20
    assert float(spread_difference(stretched, people, nir)) == pytest.approx(
        float(sigma.square().sum(1).mean()), rel=1e-4
    )


def test_one_capture_per_modality_has_no_spread_and_a_finite_gradient():
    people, nir = labels(2, 1, 1)
    z = unit(4, 5).requires_grad_()
    value = spread_difference(z, people, nir)
    value.backward()
    assert float(value.detach()) == 0
    assert z.grad.isfinite().all()


def test_overlap_has_the_gradient_of_its_formula():
    rng = np.random.default_rng(0)
    w, p = (torch.from_numpy(rng.standard_normal((3, 7))).requires_grad_() for _ in range(2))
    overlap(w, p).backward()
    assert torch.allclose(w.grad, 2 * w @ p.T @ p)
    assert torch.allclose(p.grad, 2 * p @ w.T @ w)


# IDR


def subspaces(trunk, captures, **settings):
    return Subspaces(find_rival("after-idr-128", [f"{k}={v}" for k, v in settings.items()]), captures, 0)


def test_subspaces_stay_orthogonal_and_full_after_learning(captures, trunk):
    learner = subspaces(trunk, captures, variants=1)
    for step in range(3):
        terms = learner.step(step)
        assert math.isfinite(terms["people"])
    w = learner.heads["shared"].detach()
    for name in ("nir", "vis"):
        assert float((w @ learner.heads[name].detach().T).abs().max()) < 1e-5
    assert torch.linalg.matrix_rank(w) == 128


def test_main_directions_are_orthonormal_and_completed():
    axes = main_directions(np.random.default_rng(0).standard_normal((10, 256)), 256, 0)
    assert np.allclose(axes @ axes.T, np.eye(256), atol=1e-5)


def test_exchanging_modalities_with_their_subspaces_leaves_the_loss(captures, trunk):
    learner = subspaces(trunk, captures, variants=0)
    with torch.no_grad():
        learner.heads["nir"].mul_(0.5)
    x, (people, nir) = unit(12, 256).float(), labels(3, 2, 2)
    before = learner.terms(x, people, nir)["people"]
    h = learner.heads
    h["nir"], h["vis"] = h["vis"], h["nir"]
    assert torch.allclose(before, learner.terms(x, people, ~nir)["people"])
    assert not torch.allclose(before, learner.terms(x, people, nir)["people"])


def test_without_own_subspaces_only_the_shared_one_is_judged(captures, trunk):
    learner = subspaces(trunk, captures, variants=0)
    x, (people, nir) = unit(12, 256).float(), labels(3, 2, 2)
    with torch.no_grad():
        learner.heads["nir"].zero_()
        learner.heads["vis"].zero_()
        learner.heads["people"][:, 128:] = 0
        alone = F.normalize(x @ learner.heads["shared"].T)
        expected = cosine_softmax(alone, people, learner.heads["people"][:, :128], 30.0)
        assert torch.allclose(learner.terms(x, people, nir)["people"], expected, atol=1e-5)


# KDSR


@pytest.fixture
def kernels():
    rng = np.random.default_rng(0)
    of = np.repeat(np.arange(5), 4), np.repeat(np.arange(5), 3)
    points = [rng.standard_normal((len(people), 6)) + people[:, None] for people in of]
    return tuple(gaussian(x, x, 2.0) for x in points), of


def kdsr(**settings):
    return find_rival("after-kdsr", [f"{name}={value}" for name, value in settings.items()])


def test_responses_are_orthogonal_constant_in_people_and_of_mean_zero():
    people = np.array([0, 2, 2, 1, 0, 1, 1])
    y = responses(people)
    assert np.allclose(y.T @ y, len(people) * np.eye(2))
    assert np.allclose(y.sum(0), 0)
    assert all(np.ptp(y[people == p], axis=0).max() < 1e-12 for p in range(3))


def test_without_coupling_each_modality_is_a_kernel_ridge_regression(kernels):
    (k_n, k_v), (of_n, of_v) = kernels
    a, b = solve(*kernels, kdsr(coupling=0))
    y = responses(np.concatenate([of_n, of_v]))
    for k, expansion, target in ((k_n, a, y[:20]), (k_v, b, y[20:])):
        assert np.allclose(expansion, np.linalg.solve(k + len(k) * 1e-3 * np.eye(len(k)), target))


def test_the_solution_is_where_no_direction_changes_the_loss(kernels):
    rival = kdsr(coupling=0.3, repulsion=0.5)
    a, b = solve(*kernels, rival)
    rng = np.random.default_rng(1)
    for _ in range(3):
        da, db = rng.standard_normal(a.shape), rng.standard_normal(b.shape)
        up, down = (loss((a + h * da, b + h * db), *kernels, rival) for h in (1e-4, -1e-4))
        least = loss((a, b), *kernels, rival)
        assert abs(up - down) < 1e-9 * max(up, 1)
        assert up > least


def test_exchanging_modalities_exchanges_the_maps(kernels):
    (k_n, k_v), (of_n, of_v) = kernels
    rival = kdsr(coupling=0.3)
    a, b = solve((k_n, k_v), (of_n, of_v), rival)
    other_b, other_a = solve((k_v, k_n), (of_v, of_n), rival)
    assert np.allclose(a @ b.T, other_a @ other_b.T)  # responses are unique up to a rotation


def test_couplings_attract_own_and_repel_others():
    r = couplings(np.array([0, 1]), np.array([0, 1, 1]), 0.5)
    assert r[r > 0].sum() == pytest.approx(1)
    assert r[r < 0].sum() == pytest.approx(-0.5)


def test_repulsion_without_a_minimum_is_refused(captures):
    with pytest.raises(UserError, match="less than 1"):
        kdsr(repulsion=1.0).start(captures, 0)


def test_lbp_of_a_brighter_face_are_the_same_and_of_unit_length():
    face = np.random.default_rng(0).integers(0, 120, (1, 128, 128)).astype(np.uint8)
    features = lbp_features(face)
    assert features.shape == (1, 15104)
    assert np.linalg.norm(features) == pytest.approx(1)
    assert np.array_equal(features, lbp_features(face * 2))


# CSH, second stage


def test_orthogonal_people_cost_nothing_and_equal_ones_most():
    people = np.repeat(np.arange(4), 6)
    apart, equal = np.eye(4)[people], np.eye(4)[np.zeros(24, int)]
    assert objective(np.eye(4), apart, people)[0] == pytest.approx(0)
    assert objective(np.eye(4), equal, people)[0] == pytest.approx(4 * math.sqrt(6) - math.sqrt(24))


def test_nuclear_norm_of_two_people_at_an_angle():
    axes = np.array([[1, 0], [math.cos(math.pi / 3), math.sin(math.pi / 3)]])
    rows = axes.repeat(6, 0)
    assert nuclear(rows)[0] == pytest.approx(4.7321, abs=1e-4)
    assert objective(np.eye(2), rows, np.repeat([0, 1], 6))[0] == pytest.approx(0.1669, abs=1e-4)


def test_the_subgradient_is_the_derivative():
    rng = np.random.default_rng(0)
    features, people = rng.standard_normal((12, 5)), np.repeat(np.arange(3), 4)
    t, direction = rng.standard_normal((5, 5)), rng.standard_normal((5, 5))
    _, gradient = objective(t, features, people)
    up, down = (objective(t + h * direction, features, people)[0] for h in (1e-6, -1e-6))
    assert (up - down) / 2e-6 == pytest.approx((gradient * direction).sum(), rel=1e-5)


def test_a_step_is_as_long_for_four_times_the_captures_and_goes_down(captures, trunk):
    few, many = (Embedding(LowRank(key="low-rank", label=""), captures) for _ in range(2))
    many._features, many._people = np.repeat(few._features, 4, 0), np.repeat(few._people, 4)
    before = objective(few.matrix, few._features, few._people)[0]
    for embedding in (few, many):
        embedding.step(0)
    assert np.allclose(few.matrix, many.matrix)
    assert 0 < np.linalg.norm(few.matrix - np.eye(256), 2) < 0.05  # of 0.01, then |T| is 1 again
    assert objective(few.matrix, few._features, few._people)[0] < before


def test_a_rotation_of_the_embedding_leaves_the_objective():
    rng = np.random.default_rng(0)
    rotation, _ = np.linalg.qr(rng.standard_normal((5, 5)))
    features, people = rng.standard_normal((12, 5)), np.repeat(np.arange(3), 4)
    assert objective(rotation, features, people)[0] == pytest.approx(
        objective(np.eye(5), features, people)[0]
    )


# ADFL, second stage


def test_the_discriminator_at_chance_costs_ln_2():
    assert float(taken_for(torch.zeros(3, 1), 1.0)) == pytest.approx(math.log(2))
    assert sum(p.numel() for p in discriminator(0).parameters()) == 41_217


def test_the_adversarial_term_waits_and_the_critic_teaches_only_itself():
    people, nir = labels(3, 3, 3)
    space = FeatureSpace(ADFL[0], person_means(unit(18, 256).float(), people, 3), 0)
    z = unit(18, 256).float().requires_grad_()
    batch = Embedded(z=z, start=z.detach(), people=people, nir=nir)
    assert "adversarial" not in space.terms(batch, 49)
    before = [p.clone() for p in space.critic.parameters()]
    space.terms(batch, 50)["adversarial"].backward(inputs=[z])
    assert z.grad[~nir].abs().max() == 0  # only generated images are to be taken for VIS ones
    assert z.grad[nir].abs().max() > 0
    z.grad = None
    space.after(batch)
    assert z.grad is None
    assert any(not torch.equal(a, b) for a, b in zip(before, space.critic.parameters(), strict=True))


# The loop and the files


@pytest.mark.parametrize("key", ["tuned", "contrastive", "after-trivet-softmax", "after-adfl"])
def test_at_step_0_the_recogniser_is_the_untuned_one(key, captures, trunk):
    rival = find_rival(key, ["variants=0"])
    tuned = rival.start(captures, 0).tuned()
    for nir in (True, False):
        plain = plain_features(trunk.network, captures.part(captures.nir == nir))
        assert np.array_equal(embeddings(tuned, captures, nir), plain)


def test_tuning_changes_the_last_layer_alone_and_not_the_trunk(captures, trunk):
    before = {k: v.clone() for k, v in trunk.network.state_dict().items()}
    learner = find_rival("tuned", ["variants=0", "people=4"]).start(captures, 0)
    learner.step(0)
    changed = {k for k, v in learner.tuned().network.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {"fc1.filter.weight", "fc1.filter.bias"}
    assert all(torch.equal(v, before[k]) for k, v in trunk.network.state_dict().items())


def test_every_rival_tunes_saves_and_opens_alike(captures, tmp_path):
    crop = np.random.default_rng(0).integers(0, 256, (1, 128, 128, 3)).astype(np.uint8)
    small = ["steps=2", "every=1", "held_out=0.4"]
    of_each_kind = {type(rival): rival for rival in known_rivals().values()}
    of_each_kind |= {"lbp": find_rival("after-kdsr-lbp")}
    for rival in of_each_kind.values():
        key = rival.key
        own = [*small, "variants=0"] if "variants" in rival.settings else small
        if "dimensions" in rival.settings:
            own.append("dimensions=16")
        tuning = tune(find_rival(key, own), captures, seed=0)
        assert [one.step for one in tuning.looks] == ([0, 1, 2] if rival.step_by_step else [])
        path = tmp_path / f"{key}.safetensors"
        save_tuned(path, tuning.tuned, {"rival": rival.label})
        opened = open_recognizer(path, device="cpu")
        assert rival.label in opened.name
        grey = torch.from_numpy(crop @ np.array([0.299, 0.587, 0.114], np.float32) / 255)[:, None].float()
        for modality in ("NIR", "VIS"):
            with torch.inference_mode():
                expected = tuning.tuned.features(grey, modality, key)
            assert np.allclose(opened.features(crop, modality), expected, atol=2e-3), key


def test_a_tuning_is_the_same_again_and_another_seed_gives_another(captures):
    rival = find_rival("contrastive", ["steps=2", "variants=1", "people=4"])

    def weights(seed):
        learner = rival.start(captures, seed)
        learner.step(0)
        return learner.tuned().network.state_dict()["fc1.filter.weight"]

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def test_maps_are_made_once_and_a_damaged_file_again(captures, tmp_path):
    def fresh():
        given = {**vars(captures), "places": np.arange(3), "whole": 3, "cache": tmp_path}
        given |= {"subjects": captures.subjects[:3], "nir": captures.nir[:3]}
        return Captures(**{k: v for k, v in given.items() if k != "_kept"})

    first = fresh().maps(0)
    (path,) = tmp_path.rglob("0.safetensors")
    stamp = path.stat().st_mtime_ns
    assert np.array_equal(fresh().maps(0), first)
    assert path.stat().st_mtime_ns == stamp
    content = path.read_bytes()
    path.write_bytes(content[:-100] + bytes(100))
    assert np.array_equal(fresh().maps(0), first)
    assert path.read_bytes() == content


def test_scores_in_order_are_counted_by_hand():
    genuine, impostor = (np.array(x, np.float32) for x in ([0.9, 0.5], [0.5, 0.1, 0.7]))
    assert in_order(genuine, impostor) == pytest.approx((3 + 1.5) / 6)
    assert (
        Look(step=0, rank1=0.8, vr1=None, order=0.9).worth
        < Look(step=5, rank1=0.8, vr1=None, order=0.95).worth
    )


def test_people_kept_out_are_others_than_those_who_teach(captures):
    learning, kept_out = split(captures, 0.3, 0)
    assert not set(learning.subjects) & set(kept_out.subjects)
    assert len(learning.places) + len(kept_out.places) == 30


def test_a_wrong_setting_is_named_and_the_rivals_are_listed():
    with pytest.raises(UserError, match="no setting 'margn'"):
        find_rival("after-trivet", ["margn=1"])
    with pytest.raises(UserError, match="expected a value like"):
        find_rival("after-trivet", ["margin=wide"])
    with pytest.raises(UserError, match="contrastive"):
        find_rival("after-nobody")


def test_a_cut_file_is_refused_by_name(captures, tmp_path):
    path = tmp_path / "tuned.safetensors"
    save_tuned(path, Tuned(network=captures.trunk.network), {})
    assert load_tuned(path)[0].front == "lightcnn"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UserError, match="no whole tuned recogniser"):
        load_tuned(path)
