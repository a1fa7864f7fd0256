"""CycleGAN: its layers, its losses against plain formulas, whom they teach, and the pool of old fakes."""

import numpy as np
import pytest
import torch
from runs import CPU
from smooth import assert_close, batch, gradients
from torch import nn

from pcfh.methods.cyclegan.cyclegan_trainer import (
    CycleGANTrainer,
    DevicePool,
    Pool,
    Residual,
    ResidualGenerator,
    least_squares,
)
from pcfh.methods.find import overridden, preset

SMALL = (
    *("training.size=64", "training.precision=fp32", "baseline.width=4", "baseline.blocks=1"),
    "baseline.pool=0",
)


def method(*settings) -> CycleGANTrainer:
    torch.manual_seed(0)
    return CycleGANTrainer(overridden(preset("cyclegan-cpu"), (*SMALL, *settings)), CPU)


def test_the_layers_at_256_are_the_published_ones():
    with torch.device("meta"):
        layers = ResidualGenerator(size=256).layers
    outside = [m for m in layers if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert [m.out_channels for m in outside] == [64, 128, 256, 128, 64, 3]
    assert [m.kernel_size[0] for m in outside] == [7, 3, 3, 3, 3, 7]
    blocks = [m for m in layers if isinstance(m, Residual)]
    inside = [conv for block in blocks for conv in block.body if isinstance(conv, nn.Conv2d)]
    assert len(blocks) == 9
    assert {(conv.in_channels, conv.out_channels, conv.kernel_size) for conv in inside} == {
        (256, 256, (3, 3))
    }


def test_at_the_published_width_it_has_the_published_number_of_weights():
    """11.378 million for nine blocks, a number that the authors' program prints."""
    with torch.device("meta"):
        network = ResidualGenerator(size=256)
    assert sum(p.numel() for p in network.parameters()) == 11_378_179


@pytest.mark.parametrize("size", [64, 128, 256])
def test_an_image_becomes_an_image_of_its_size_within_the_range(size):
    network = ResidualGenerator(size=size, width=2, blocks=1)
    image = network(torch.rand(2, 3, size, size), torch.rand(2, 68, 2))
    assert image.shape == (2, 3, size, size)
    assert image.abs().max() <= 1 and image.std() > 0


def test_landmarks_change_nothing():
    network, b = ResidualGenerator(size=64, width=4, blocks=1), batch()
    assert torch.equal(network(b.nir, b.landmarks), network(b.nir))


def test_a_residual_block_without_weights_changes_nothing():
    block, x = Residual(4), torch.randn(2, 4, 8, 8)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.zero_()
        assert torch.equal(block(x), x)


def test_least_squares_is_the_mean_square_over_patches():
    scores = torch.tensor([[1.0, 2.0], [0.0, -1.0]]).reshape(1, 1, 2, 2)
    assert least_squares(scores, 1.0).item() == (0 + 1 + 1 + 4) / 4
    assert least_squares(scores, 0.0).item() == (1 + 4 + 0 + 1) / 4


def expected_terms(m: CycleGANTrainer, b) -> dict[str, torch.Tensor]:
    """The paper's terms in plain code, without a pool."""
    n = m.networks
    vis, nir = n.to_vis(b.nir), n.to_nir(b.vis)
    return {
        "loss/gan_vis": (n.is_vis(vis) - 1).pow(2).mean(),
        "loss/gan_nir": (n.is_nir(nir) - 1).pow(2).mean(),
        "loss/cycle_vis": 10 * (n.to_vis(nir) - b.vis).abs().mean(),
        "loss/cycle_nir": 10 * (n.to_nir(vis) - b.nir).abs().mean(),
        "loss/identity_vis": 5 * (n.to_vis(b.vis) - b.vis).abs().mean(),
        "loss/identity_nir": 5 * (n.to_nir(b.nir) - b.nir).abs().mean(),
        "critic/vis": ((n.is_vis(b.vis) - 1).pow(2) + n.is_vis(vis.detach()).pow(2)).mean() / 2,
        "critic/nir": ((n.is_nir(b.nir) - 1).pow(2) + n.is_nir(nir.detach()).pow(2)).mean() / 2,
    }


def test_the_values_are_the_papers_terms():
    m, b = method("baseline.lambda_identity=5"), batch()
    values = m.compute_gradients(b)
    with torch.no_grad():
        expected = {name: term.item() for name, term in expected_terms(m, b).items()}
    assert {name: value.item() for name, value in values.items()} == pytest.approx(expected, rel=1e-4)


def test_the_identity_terms_are_off_unless_asked_for():
    assert not any("identity" in name for name in method().compute_gradients(batch()))


def test_each_network_gets_the_gradient_of_its_own_losses_and_of_no_other():
    m, b = method("baseline.lambda_identity=5"), batch()
    m.compute_gradients(b)
    ours = gradients(m.networks)
    m.networks.zero_grad()
    n = m.networks
    critics = nn.ModuleList([n.is_vis, n.is_nir]).requires_grad_(False)
    sum(term for name, term in expected_terms(m, b).items() if name.startswith("loss/")).backward()
    critics.requires_grad_(True)
    sum(term for name, term in expected_terms(m, b).items() if name.startswith("critic/")).backward()
    assert_close(ours, gradients(n))
    assert len(ours) == len(list(n.parameters()))


def test_the_generators_learn_to_undo_each_other_when_they_alone_move():
    m, b = method(), batch(1)
    generators = nn.ModuleList([m.networks.to_vis, m.networks.to_nir])
    optimizer = torch.optim.Adam(generators.parameters(), 5e-3)
    losses = []
    for _ in range(25):
        values = m.compute_gradients(b)
        losses.append((values["loss/cycle_vis"] + values["loss/cycle_nir"]).item())
        optimizer.step()
        m.networks.zero_grad()
    assert losses[-1] < 0.6 * losses[0]


def test_the_discriminators_learn_to_tell_when_they_alone_move():
    m, b = method(), batch()
    critics = nn.ModuleList(m.critics)
    optimizer = torch.optim.Adam(critics.parameters(), 2e-3)
    losses = []
    for _ in range(12):
        values = m.compute_gradients(b)
        losses.append((values["critic/vis"] + values["critic/nir"]).item())
        optimizer.step()
        m.networks.zero_grad()
    assert losses[-1] < 0.7 * losses[0]


def test_mixed_precision_stays_close_to_full_precision():
    exact, mixed = (
        method().compute_gradients(batch()),
        method("training.precision=bf16").compute_gradients(batch()),
    )
    for name, value in exact.items():
        assert mixed[name].item() == pytest.approx(value.item(), rel=0.03), name


def test_what_is_shown_besides_is_the_way_back():
    m, b = method(), batch()
    shown = m.pictures(b, b.vis)
    assert list(shown) == ["back to NIR"]
    assert torch.equal(shown["back to NIR"], m.networks.to_nir(b.vis))


def numbered(first: int, count: int) -> torch.Tensor:
    """Fakes of one pixel whose value is their number."""
    return torch.arange(first, first + count).float()[:, None, None, None].expand(-1, 3, 1, 1)


def exchanged(pool: Pool, count: int, first: int = 0) -> list[int]:
    return [int(pool.exchange(numbered(first + i, 1))[0, 0, 0, 0]) for i in range(count)]


def test_a_pool_first_fills_itself_and_gives_back_what_it_gets():
    pool = Pool(50, 1, (0,))
    assert exchanged(pool, 50) == list(range(50))
    assert pool.images[:, 0, 0, 0].tolist() == list(range(50))


def test_then_half_of_what_it_gives_is_old():
    given = np.array(exchanged(Pool(50, 1, (0,)), 2050)[50:])
    old = given != np.arange(50, 2050)
    assert abs(old.mean() - 0.5) < 0.04


def test_what_a_pool_gives_away_it_no_longer_has_and_the_new_one_takes_its_place():
    """No fake is given twice, and all that were not given are still there."""
    pool = Pool(50, 1, (0,))
    given = exchanged(pool, 500)[50:]
    assert len(set(given)) == len(given)
    assert set(pool.images[:, 0, 0, 0].int().tolist()) == set(range(500)) - set(given)


def test_the_age_of_old_fakes_is_spread_over_all_places():
    pool = Pool(4, 1, (0,))
    exchanged(pool, 200)
    assert len(set(pool.images[:, 0, 0, 0].tolist())) == 4
    assert pool.images.min() > 150


def test_one_by_one_or_in_batches_a_pool_chooses_the_same():
    batched = Pool(5, 1, (0,)).exchange(numbered(0, 60))[:, 0, 0, 0]
    assert batched.int().tolist() == exchanged(Pool(5, 1, (0,)), 60)


def test_another_seed_chooses_otherwise():
    assert exchanged(Pool(5, 1, (0,)), 60) != exchanged(Pool(5, 1, (1,)), 60)


def test_a_pool_goes_on_from_its_saved_state():
    pool, other = Pool(5, 1, (0,)), Pool(5, 1, (0,))
    exchanged(pool, 30)
    other.load_state_dict(pool.state_dict())
    assert exchanged(other, 30, 30) == exchanged(pool, 30, 30)


def test_without_places_new_fakes_come_back():
    assert exchanged(Pool(0, 1, (0,)), 20) == list(range(20))


def test_what_is_given_back_is_no_view_of_the_pool():
    pool = Pool(3, 1, (0,))
    for i in range(1, 30):
        given = pool.exchange(numbered(i, 1))
        kept = pool.images.clone()
        given.zero_()
        assert torch.equal(pool.images, kept)


def test_the_discriminators_are_shown_old_fakes():
    m, b = method("baseline.pool=2"), batch(1)
    m.compute_gradients(b)
    m.compute_gradients(b)
    with torch.no_grad():
        m.networks.old_vis.images.fill_(0.5)
    shown = []
    m.networks.is_vis.register_forward_hook(lambda _, inputs, __: shown.append(inputs[0].detach().clone()))
    for _ in range(6):
        m.compute_gradients(b)
    assert any((images == 0.5).all() for images in shown)


def test_a_pool_that_draws_on_the_device_first_fills_and_then_gives_back_half():
    torch.manual_seed(0)
    pool = DevicePool(8, 1, (0,))
    for first in (0, 4):
        assert torch.equal(pool.exchange(numbered(first, 4)), numbered(first, 4))
    assert sorted(pool.images[:, 0, 0, 0].tolist()) == list(range(8))
    new = given = 0
    for first in range(8, 2008, 4):
        before = set(pool.images[:, 0, 0, 0].tolist())
        out = pool.exchange(numbered(first, 4))[:, 0, 0, 0].tolist()
        fresh = set(range(first, first + 4))
        assert len(set(out)) == 4 and set(out) <= before | fresh
        # What is given back is no longer there, and what is kept is there once.
        assert set(pool.images[:, 0, 0, 0].tolist()) == (before | fresh) - set(out)
        new, given = new + len(set(out) & fresh), given + 4
    assert 0.45 < new / given < 0.55
    assert int(pool.seen) == 2008


def test_a_pool_that_draws_on_the_device_takes_more_fakes_than_it_has_places():
    torch.manual_seed(0)
    pool = DevicePool(3, 1, (0,))
    assert pool.exchange(numbered(0, 8)).shape == (8, 3, 1, 1)
    assert int(pool.seen) == 8
