import tracemalloc

import numpy as np
import pytest
import torch

from pcfh.errors import UserError
from pcfh.evaluation.scores import cosine_scores, figures
from pcfh.evaluation.streaming import gallery_figures, score_of, sortable_bits
from pcfh.rates import ScoreMatrix


def exact_features(count, seed):
    """Eight numbers, four of them +-1/2: their products are multiples of 1/4, exact in any order."""
    rng = np.random.default_rng(seed)
    signs = rng.choice(np.float32([-0.5, 0.5]), (count, 8))
    places = rng.permuted(np.tile(np.arange(8) < 4, (count, 1)), axis=1)
    return np.where(places, signs, np.float32(0))


def features(count, seed, length=32):
    vectors = np.random.default_rng(seed).normal(size=(count, length)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def people(seed=2, probes=300, gallery=170, count=90):
    return np.random.default_rng(seed).integers(count, size=probes), np.arange(gallery) % count


def near(gallery, own, enrolled, seed=3):
    """Probes close to the first gallery image of their person."""
    noise = 0.9 * features(len(own), seed, gallery.shape[1])
    vectors = gallery[[np.flatnonzero(enrolled == person)[0] for person in own]] + noise
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def in_one_block(probes, gallery):
    """The scores by the product that the stream makes when everything is one block."""
    return torch.mm(torch.from_numpy(probes), torch.from_numpy(gallery).T).numpy()


FARS = (0.5, 0.1, 0.01, 0.001)


class TestStreamFigures:
    @pytest.mark.parametrize("block", [7, 64, 1024])
    def test_equal_those_of_the_matrix_where_nearly_all_scores_tie(self, block):
        (own, enrolled), a, b = people(), exact_features(300, 0), exact_features(170, 1)
        dense = figures(ScoreMatrix(scores=cosine_scores(a, b), probes=own, gallery=enrolled), FARS)
        found = gallery_figures(a, b, own, enrolled, fars=FARS, block=block)
        assert found == dense

    @pytest.mark.parametrize("seed", range(3))
    def test_equal_those_of_the_matrix_bit_by_bit(self, seed):
        (own, enrolled), b = people(seed), features(170, seed)
        a = near(b, own, enrolled)
        dense = figures(ScoreMatrix(scores=in_one_block(a, b), probes=own, gallery=enrolled), FARS)
        assert gallery_figures(a, b, own, enrolled, fars=FARS) == dense

    def test_do_not_depend_on_the_threads(self):
        (own, enrolled), b = people(), features(170, 1)
        a = near(b, own, enrolled)
        one, three = (
            gallery_figures(a, b, own, enrolled, fars=FARS, threads=threads, block=32) for threads in (1, 3)
        )
        assert one == three

    def test_accept_at_the_threshold_the_impostors_allowed_and_no_more(self):
        (own, enrolled), a, b = people(), features(300, 0), features(170, 1)
        threshold = gallery_figures(a, b, own, enrolled, fars=[0.01]).threshold[0.01]
        impostor = in_one_block(a, b)[own[:, None] != enrolled]
        assert (impostor >= threshold).sum() == int(0.01 * len(impostor))

    def test_at_a_far_of_a_single_impostor_stop_below_the_second_best(self):
        (own, enrolled), a, b = people(), features(300, 0), features(170, 1)
        impostor = np.sort(in_one_block(a, b)[own[:, None] != enrolled])
        threshold = gallery_figures(a, b, own, enrolled, fars=[1 / len(impostor)]).threshold
        assert impostor[-2] < next(iter(threshold.values())) <= impostor[-1]

    def test_are_exact_where_the_first_block_is_no_fair_sample(self):
        (own, enrolled), b = people(), features(170, 1)
        a = near(b, own, enrolled)
        order = np.argsort((a @ b.T).max(1))[::-1]  # the probes with high scores come first
        a, own = a[order], own[order]
        dense = figures(ScoreMatrix(scores=cosine_scores(a, b), probes=own, gallery=enrolled), FARS)
        found = gallery_figures(a, b, own, enrolled, fars=FARS, block=8)
        assert found.verification == dense.verification

    def test_take_features_that_cannot_be_written_to(self):
        (own, enrolled), a, b = people(), features(300, 0), features(170, 1)
        a.flags.writeable = False
        assert gallery_figures(a, b, own, enrolled, fars=[0.1]).rank1 < 1

    def test_leave_torch_its_threads(self):
        before = torch.get_num_threads()
        (own, enrolled), a, b = people(), features(300, 0), features(170, 1)
        gallery_figures(a, b, own, enrolled, fars=[0.1], threads=2)
        assert torch.get_num_threads() == before

    def test_need_far_less_memory_than_the_scores(self):
        own, enrolled = people(probes=4000, gallery=4000, count=4000)
        a, b = features(4000, 0), features(4000, 1)
        tracemalloc.start()
        gallery_figures(a, b, own, enrolled, fars=[0.001], block=256)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4000 * 4000 * 4 / 2

    def test_of_features_with_nan_are_refused(self):
        bad = features(3, 0)
        bad[1, 5] = np.nan
        with pytest.raises(UserError, match="gallery features of norm 1, got nan in row 1"):
            gallery_figures(features(3, 0), bad, np.arange(3), np.arange(3), fars=[0.5])

    def test_of_a_probe_who_is_not_enrolled_are_refused(self):
        with pytest.raises(UserError, match=r"1 who are not \(7\)"):
            gallery_figures(features(2, 0), features(3, 0), np.array([0, 7]), np.arange(3), fars=[0.5])

    def test_of_too_few_impostors_are_refused(self):
        with pytest.raises(UserError, match="at least 1000 impostor pairs, got 6"):
            gallery_figures(features(3, 0), features(3, 0), np.arange(3), np.arange(3), fars=[0.001])


def test_sortable_bits_rise_with_the_scores_and_go_back():
    rng = np.random.default_rng(0)
    scores = np.unique((rng.normal(size=1000) * 10.0 ** rng.integers(-40, 30, 1000)).astype(np.float32))
    bits = sortable_bits(scores)
    assert (np.diff(bits.astype(np.int64)) > 0).all()
    assert np.array_equal([score_of(int(number)) for number in bits], scores)


def test_without_a_far_there_is_rank_one():
    gallery = np.eye(4, dtype=np.float32)
    assert gallery_figures(gallery, gallery, [*"abcd"], [*"abcd"], fars=[]).rank1 == 1


def test_more_people_than_features_are_refused():
    gallery = np.eye(4, dtype=np.float32)
    with pytest.raises(UserError, match="one person for each probe feature, got 5 for 4"):
        gallery_figures(gallery, gallery, [*"abcde"], [*"abcd"], fars=[0.1])
