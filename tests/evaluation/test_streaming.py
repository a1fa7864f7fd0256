"""Figures in blocks against those of the whole score matrix."""

import tracemalloc

import numpy as np
import pytest
from clusters import clustered
from whole_scores import curve_of, matrix_of, sides_in

from pcfh.errors import UserError
from pcfh.evaluation import score_blocks, score_tails, streaming
from pcfh.evaluation.folds import measure
from pcfh.evaluation.intervals import Bootstrap
from pcfh.evaluation.score_blocks import embedding_sides, sides_of
from pcfh.evaluation.score_tails import HighestPairs, HighestScores
from pcfh.evaluation.scores import cosine_scores, figures
from pcfh.evaluation.streaming import accepted_impostors, gallery_figures, score_facts
from pcfh.rates import ScoreMatrix, equal_error_rate, pairs_of, ranks, thresholds, verification_rate

FARS = (0.3, 0.01, 1e-3)
FEATURES = clustered(60, 5)
PEOPLE = np.array([f"p{i // 5}" for i in range(300)])
PROBES = np.arange(300) % 5 < 3


def sides():
    return FEATURES[PROBES], FEATURES[~PROBES], PEOPLE[PROBES], PEOPLE[~PROBES]


def mixed_sides():
    """People in no order, some with several images, somebody whom nobody searches."""
    rng = np.random.default_rng(1)
    probes, gallery, people, enrolled = sides()
    some, kept = rng.permutation(len(probes)), rng.permutation(len(gallery))[:90]
    stranger = clustered(1, 1, seed=9)
    gallery, enrolled = np.concatenate([gallery[kept], stranger]), np.append(enrolled[kept], "stranger")
    some = some[np.isin(people[some], enrolled)]
    return embedding_sides(probes[some], gallery, people[some], enrolled)


def whole(probes, gallery, people, enrolled):
    matrix = ScoreMatrix(scores=cosine_scores(probes, gallery), probes=people, gallery=enrolled)
    return figures(matrix, FARS)


@pytest.mark.parametrize("block", [1024, 64, 7])
@pytest.mark.parametrize("waiting", [2**21, 100])
def test_figures_in_blocks_are_those_of_the_whole_matrix(monkeypatch, block, waiting):
    monkeypatch.setattr(score_blocks, "BLOCK", block)
    monkeypatch.setattr(score_tails, "_WAITING", waiting)
    found, expected = gallery_figures(*sides(), fars=FARS, threads=2), whole(*sides())
    assert (found.rank1, found.verification) == (expected.rank1, expected.verification)
    np.testing.assert_allclose(list(found.threshold.values()), list(expected.threshold.values()), atol=2e-7)


@pytest.mark.parametrize("block", [1024, 32, 12])
def test_all_facts_in_blocks_are_those_of_the_whole_matrix(monkeypatch, block):
    monkeypatch.setattr(score_blocks, "BLOCK", block)
    compared = mixed_sides()
    facts, matrix = score_facts(compared, FARS[:2], Bootstrap(resamples=5)), matrix_of(compared)
    pairs = pairs_of(matrix)
    assert np.bincount(compared.gallery).tolist() != [1] * len(compared.people)
    assert (compared.genuine, compared.impostors) == (len(pairs.genuine), len(pairs.impostor))
    np.testing.assert_array_equal(facts.probes.rank, ranks(matrix))
    np.testing.assert_allclose(np.sort(facts.genuine.scores), np.sort(pairs.genuine), atol=2e-7)
    of_pairs = matrix.scores[facts.genuine.probes, facts.genuine.images]
    np.testing.assert_allclose(facts.genuine.scores, of_pairs, atol=2e-7)
    impostors = np.where(matrix.genuine, -np.inf, matrix.scores)
    np.testing.assert_allclose(facts.probes.score, impostors.max(1), atol=2e-7)
    np.testing.assert_array_equal(facts.probes.image, impostors.argmax(1))
    assert facts.threshold == pytest.approx(thresholds(pairs, FARS[:2]), abs=2e-7)
    for far in FARS[:2]:
        assert facts.verification_rate(far) == verification_rate(pairs, far)
        accepted = accepted_impostors(compared, facts.threshold[far])
        np.testing.assert_array_equal(accepted, (impostors >= facts.threshold[far]).sum(1))


def test_draws_of_people_do_not_depend_on_the_blocks(monkeypatch):
    compared, bootstrap = mixed_sides(), Bootstrap(resamples=30)
    expected = score_facts(compared, FARS[:2], bootstrap).draws
    monkeypatch.setattr(score_blocks, "BLOCK", 16)
    monkeypatch.setattr(score_tails, "_WAITING", 100)
    found = score_facts(compared, FARS[:2], bootstrap).draws
    for far in FARS[:2]:
        assert found[far] == pytest.approx(expected[far])


def test_the_equal_error_rate_is_off_by_no_more_than_what_is_in_one_level(monkeypatch):
    compared = mixed_sides()
    matrix = matrix_of(compared)
    exact = equal_error_rate(curve_of(matrix))
    for levels, most in ((2**17, 1e-4), (64, 0.02)):
        monkeypatch.setattr(streaming, "LEVELS", levels)
        curve = score_facts(compared, [], Bootstrap()).curve
        at = int(np.argmax(curve.far >= 1 - curve.vr))
        step = max(curve.far[at] - curve.far[at - 1], curve.vr[at] - curve.vr[at - 1])
        assert abs(equal_error_rate(curve) - exact) <= step
        assert abs(equal_error_rate(curve) - exact) < most
    assert step > 1e-3


def test_above_the_highest_far_asked_for_vr_is_that_of_a_stricter_threshold_of_one_level_at_most(monkeypatch):
    monkeypatch.setattr(streaming, "LEVELS", 64)
    compared = mixed_sides()
    facts, pairs = score_facts(compared, [0.01], Bootstrap()), pairs_of(matrix_of(compared))
    for far in (0.02, 0.1, 0.5):
        lower = thresholds(pairs, [far])[far] + 2 / 64
        assert (
            (pairs.genuine >= lower).mean() <= facts.verification_rate(far) <= verification_rate(pairs, far)
        )


class Counted:
    """A score function that counts the scores and knows the largest block.

    Scores are noise in steps of 2^-12: they repeat as those of single precision do where there are more.
    """

    def __init__(self, probes, gallery):
        self.probes, self.gallery = probes, gallery
        self.scores, self.largest = 0, 0

    def __call__(self, rows, columns):
        noise = np.sin(1e4 * np.outer(self.probes[rows], self.gallery[columns]))
        block = np.round(4096 * noise).astype(np.float32) / 4096
        self.scores, self.largest = self.scores + block.size, max(self.largest, block.size)
        return block


def test_memory_does_not_grow_with_the_number_of_scores(monkeypatch):
    monkeypatch.setattr(score_blocks, "BLOCK", 128)
    monkeypatch.setattr(score_tails, "MOST_PAIRS", 2000)
    monkeypatch.setattr(score_tails, "_WAITING", 20_000)
    monkeypatch.setattr(streaming, "LEVELS", 1024)
    peaks = []
    for count in (400, 1600):
        rng = np.random.default_rng(0)
        score = Counted(rng.random(count), rng.random(count))
        compared = sides_of(np.arange(count), np.arange(count), score)
        tracemalloc.start()
        measure("original", compared, Bootstrap(resamples=3))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert score.largest <= 128**2
        assert score.scores == count**2 + 128**2  # each once, and a first block as a sample
    assert peaks[1] < 2.5 * peaks[0]  # sixteen times as many scores
    assert peaks[1] < 4 * count**2 / 3  # a third of the scores themselves


def test_ties_are_lost_and_counted_as_everywhere():
    rng = np.random.default_rng(0)
    axes = np.eye(4, dtype=np.float32)
    probes, gallery = axes[rng.integers(0, 4, 200)], axes[rng.integers(0, 4, 80)]
    people, enrolled = rng.integers(0, 9, 200), np.arange(80) % 9
    found = gallery_figures(probes, gallery, people, enrolled, fars=FARS)
    assert found == whole(probes, gallery, people, enrolled)


def test_a_first_block_that_is_no_fair_sample_changes_nothing(monkeypatch):
    monkeypatch.setattr(score_blocks, "BLOCK", 16)
    probes, gallery, people, enrolled = sides()
    order = np.argsort(gallery[:, 0])[::-1]
    alike = gallery[order[:1]] + 0.01 * clustered(16, 1)
    gallery = np.concatenate([alike / np.linalg.norm(alike, axis=1, keepdims=True), gallery])
    enrolled = np.concatenate([[f"x{i}" for i in range(16)], enrolled])
    near = np.argsort(-(probes @ gallery[0]))
    probes, people = probes[near], people[near]
    found, expected = (
        gallery_figures(probes, gallery, people, enrolled, fars=FARS),
        whole(probes, gallery, people, enrolled),
    )
    assert (found.rank1, found.verification) == (expected.rank1, expected.verification)


def test_of_many_scores_no_more_values_are_kept_than_are_wanted():
    scores = np.random.default_rng(0).standard_normal(100_000).astype(np.float32)
    highest = HighestScores(50, -np.inf)
    for some in np.split(scores, 100):
        highest.add(some[some > highest.floor])
    assert highest.finish()
    assert len(highest.values) <= 50
    expected = np.nextafter(np.sort(scores)[::-1][[0, 10, 49]], np.float32(np.inf))
    assert [highest.above(k) for k in (0, 10, 49)] == expected.tolist()


def test_of_many_pairs_the_highest_are_kept_with_what_they_are_of():
    scores = np.random.default_rng(0).standard_normal(300_000).astype(np.float32)
    pairs = np.stack([np.arange(300_000), -np.arange(300_000)])
    highest = HighestPairs(40)
    for part in np.split(np.arange(300_000), 10):
        highest.add(scores[part], pairs[:, part])
    assert highest.floor > -np.inf
    assert highest.finish()
    found, of = highest.falling()
    order = np.argsort(-scores)[:40]
    assert (found.tolist(), of.tolist()) == (scores[order].tolist(), pairs[:, order].tolist())


def test_one_pair_in_four_is_a_fair_part():
    highest = HighestPairs(10**6, every=4)
    rows, columns = np.divmod(np.arange(40_000), 200)
    highest.add(np.linspace(1, 0, 40_000, dtype=np.float32), np.stack([rows, columns]))
    highest.finish()
    scores, _ = highest.falling()
    for low in (0.75, 0.5, 0.0):
        assert (scores >= low).sum() == pytest.approx((1 - low) * 10_000, rel=0.06)


def test_without_impostor_pairs_nothing_is_measured():
    one = sides_in(ScoreMatrix(scores=np.ones((2, 1)), probes=["a", "a"], gallery=["a"]))
    with pytest.raises(UserError, match="at least one impostor pair"):
        score_facts(one, [], Bootstrap())


def test_what_cannot_be_measured_is_refused():
    probes, gallery, people, enrolled = sides()
    for given, message in (
        ((probes, gallery[:0], people, enrolled[:0]), "at least one gallery image"),
        ((probes, gallery, people[1:], enrolled), "one person for each probe feature"),
        ((probes, 2 * gallery, people, enrolled), "norm 1"),
        ((probes * np.float32(np.nan), gallery, people, enrolled), "finite probe features"),
        ((probes, gallery, np.char.add(people, "x"), enrolled), "every probe's person in the gallery"),
    ):
        with pytest.raises(UserError, match=message):
            gallery_figures(*given, fars=FARS)
    with pytest.raises(UserError, match="needs at least 1000000 impostor pairs"):
        gallery_figures(*sides(), fars=[1e-6])
