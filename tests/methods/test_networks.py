import csv
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch

from pcfh.geometry.align import align_face
from pcfh.geometry.parts import part_corner, parts_of
from pcfh.images import read_image
from pcfh.methods.pcfh import Objective
from pcfh.methods.pcfh.attention import Attention
from pcfh.methods.pcfh.critic import Critic
from pcfh.methods.pcfh.generator import AuxiliaryGenerator, Generator
from pcfh.methods.pcfh.networks import PCFH
from pcfh.methods.pcfh.statistics_network import ESTIMATES, StatisticsNetwork
from pcfh.ranges import from_bytes

SAMPLE = Path(__file__).parents[2] / "samples" / "NIR-VIS-2.0"


def images(size: int = 64, batch: int = 2, seed: int = 0) -> torch.Tensor:
    return torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def landmarks(size: int = 64, batch: int = 2, seed: int = 0) -> torch.Tensor:
    return torch.rand(batch, 68, 2, generator=torch.Generator().manual_seed(seed)) * size


def generator(size: int = 64) -> Generator:
    torch.manual_seed(0)
    return Generator(size=size, width=4, blocks=1, local_blocks=1).eval()


@pytest.mark.parametrize("size", [64, 128, 144, 256])
def test_every_size_of_the_convention_comes_out_as_it_went_in(size):
    out = generator(size)(images(size, 1), landmarks(size, 1))
    assert out.shape == (1, 3, size, size) and out.abs().max() <= 1


def test_g_a_has_a_global_path_and_four_paths_of_their_own():
    G = generator()
    assert list(G.local) == ["left_eye", "right_eye", "nose", "mouth"]
    weights = [path.first[0].weight for path in G.local.values()]
    assert all(not torch.equal(a, b) for i, a in enumerate(weights) for b in weights[:i])


def test_each_local_path_is_trained():
    G = generator()
    G(images(), landmarks()).sum().backward()
    assert all(
        p.grad is not None and p.grad.abs().sum() > 0 for path in G.local.values() for p in path.parameters()
    )


def test_a_local_path_changes_the_output_only_near_its_part():
    G, x, points = generator(), images(batch=1), torch.full((1, 68, 2), 50.0)
    points[:, 48:] = 20.0  # the mouth lies elsewhere
    before = G(x, points)
    with torch.no_grad():
        for p in G.local["mouth"].parameters():
            p.add_(0.5)
    mouth = parts_of(64)[3]
    left, top = part_corner(points, mouth, 64)[0].tolist()
    change = (G(x, points) - before).abs().sum(1)[0]
    box = change[top : top + mouth.height, left : left + mouth.width]
    # Not exactly zero elsewhere: the normalisation after the fusion sees the whole map.
    outside = (change.sum() - box.sum()) / (change.numel() - box.numel())
    assert box.mean() > 3 * outside


def test_one_face_does_not_change_another_in_its_batch():
    G, x, points = generator(), images(batch=3), landmarks(batch=3)
    torch.testing.assert_close(G(x, points)[1:2], G(x[1:2], points[1:2]), atol=1e-5, rtol=1e-4)


def test_the_arguments_rebuild_the_same_network():
    G = generator()
    again = Generator(**G.arguments)
    again.load_state_dict(G.state_dict())
    torch.testing.assert_close(again.eval()(images(), landmarks()), G(images(), landmarks()))


def test_width_is_an_argument_and_costs_its_square():
    def count(width: int) -> int:
        G = Generator(size=64, width=width, blocks=1, local_blocks=1)
        return sum(p.numel() for p in G.parameters())

    assert 3.7 < count(16) / count(8) < 4.1


def test_g_b_keeps_shape_and_range():
    out = AuxiliaryGenerator(width=4, blocks=1)(images())
    assert out.shape == (2, 3, 64, 64) and out.abs().max() <= 1


def test_the_critic_scores_each_image_alone():
    D, x = Critic(width=4), images(batch=3)
    torch.testing.assert_close(D(x)[1:2], D(x[1:2]))


def test_the_critics_score_is_kept_in_full_precision_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        scores = Critic(width=4)(images())
    assert scores.dtype == torch.float32


def test_the_attention_map_has_one_channel_full_size_and_lies_between_zero_and_one():
    Att = Attention(width=8)(images(), images(seed=1))
    assert Att.shape == (2, 1, 64, 64) and Att.min() > 0 and Att.max() < 1


def test_attention_depends_on_both_images():
    A = Attention(width=8)
    first = A(images(), images(seed=1))
    assert not torch.equal(first, A(images(), images(seed=2)))
    assert not torch.equal(first, A(images(seed=2), images(seed=1)))


@pytest.mark.parametrize("estimator", ["cosine", "bilinear"])
def test_all_pair_scores_are_the_scores_of_the_pairs(estimator):
    N_E = StatisticsNetwork(width=4, estimator=estimator)
    a, b = images(batch=4), images(batch=4, seed=1)
    scores = N_E.pair_scores(N_E.phi(a), N_E.psi(b), 2)
    for group in range(2):
        for i in range(2):
            for j in range(2):
                expected = N_E(a[2 * group + i][None], b[2 * group + j][None])
                torch.testing.assert_close(scores[group, i, j], expected[0])


def test_a_cosine_is_bounded_and_blind_to_contrast():
    N_E, a, b = StatisticsNetwork(width=4), images(batch=4), images(batch=4, seed=1)
    phi, psi = N_E.phi(a), N_E.psi(b)
    scores = N_E.pair_scores(phi, psi, 4)
    assert scores.abs().max() <= 1
    torch.testing.assert_close(N_E.pair_scores(3 * phi, 0.1 * psi, 4), scores)


@pytest.mark.parametrize("estimator", ESTIMATES)
def test_n_e_can_learn_that_two_images_belong_together(estimator):
    """Pairs that share their brightness: the estimate must rise above that of pairs that share nothing."""
    torch.manual_seed(0)
    N_E = StatisticsNetwork(width=4, estimator=estimator)
    optimizer = torch.optim.Adam(N_E.parameters(), 2e-3)
    for _ in range(40):
        a = (torch.rand(8, 1, 1, 1) * 2 - 1).expand(-1, 3, 64, 64)
        optimizer.zero_grad()
        (-N_E.estimate(N_E.phi(a), N_E.psi(a.flip(-1)), 4)).backward()
        optimizer.step()
    a = (torch.rand(64, 1, 1, 1) * 2 - 1).expand(-1, 3, 64, 64)
    together = N_E.estimate(N_E.phi(a), N_E.psi(a), 4)
    apart = N_E.estimate(N_E.phi(a), N_E.psi(a.roll(5, 0)), 4)
    assert together > 0.01 and together > apart + 0.01


def test_the_settings_name_every_estimate():
    assert set(get_args(get_type_hints(Objective)["mi_estimator"])) == set(ESTIMATES)


@pytest.mark.slow
def test_n_e_learns_on_some_people_what_belongs_together_of_others():
    """NIR and VIS captures of the sample: after 120 steps the estimate is alive for 12 other people."""
    crops = sample_crops(64)
    people = sorted(crops["NIR"])
    train, held = [p for i, p in enumerate(people) if i % 4 < 3], people[3::4]
    rng = np.random.default_rng(0)

    def pairs(names) -> list[torch.Tensor]:
        of = [[crops[m][name] for name in names] for m in ("NIR", "VIS")]
        return [from_bytes(torch.stack([c[rng.integers(len(c))] for c in captures])) for captures in of]

    torch.manual_seed(0)
    N_E = StatisticsNetwork(width=8)
    optimizer = torch.optim.Adam(N_E.parameters(), 1e-3)
    for _ in range(120):
        nir, vis = pairs(rng.permutation(train)[:18])
        optimizer.zero_grad()
        (-N_E.estimate(N_E.phi(nir), N_E.psi(vis), 18)).backward()
        optimizer.step()
    with torch.no_grad():
        found = [N_E.estimate(N_E.phi(nir), N_E.psi(vis), 12) for nir, vis in (pairs(held) for _ in range(6))]
        wrong = [
            N_E.estimate(N_E.phi(nir), N_E.psi(vis.roll(1, 0)), 12)
            for nir, vis in (pairs(held) for _ in range(6))
        ]
    assert np.mean(found) > 0.2 > np.mean(wrong)


def sample_crops(size: int) -> dict[str, dict[str, list[torch.Tensor]]]:
    """Aligned crops of the sample, by spectrum and person."""
    crops: dict[str, dict[str, list[torch.Tensor]]] = {"NIR": {}, "VIS": {}}
    with (SAMPLE / "landmarks68.csv").open() as file:
        for path, *numbers in list(csv.reader(file))[1:]:
            _, modality, person, _ = path.split("/")
            landmarks = np.array(numbers, float).reshape(68, 2)
            crop, _ = align_face(read_image(SAMPLE / path), landmarks, size)
            crops[modality].setdefault(person, []).append(torch.from_numpy(crop.copy()).permute(2, 0, 1))
    return crops


@pytest.mark.parametrize(("off", "name"), [("attention_width", "Att"), ("dependence_width", "N_E")])
def test_the_ablations_have_no_network_for_what_is_off(off, name):
    sizes = {"generator_width": 4, "generator_blocks": 1, "local_blocks": 1, "critic_width": 4}
    model = PCFH(size=64, **sizes, **{"attention_width": 4, "dependence_width": 4, off: 0})
    assert getattr(model, name) is None
    assert not any(key.startswith(name) for key in model.state_dict())
