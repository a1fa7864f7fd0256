import numpy as np
import pytest
from scipy.stats import binomtest
from whole_scores import sides_in

from pcfh.errors import UserError
from pcfh.evaluation import score_tails
from pcfh.evaluation.intervals import (
    Bootstrap,
    Tail,
    mcnemar,
    mean_interval,
    percentile_interval,
    ratio_interval,
    verification_rate_draws,
)
from pcfh.evaluation.score_blocks import scan
from pcfh.evaluation.streaming import score_facts
from pcfh.rates import ScoreMatrix, most_allowed, pairs_of, verification_rate


def clustered(rng, people=60, each=8):
    """Hits of captures; each person has a chance of their own, 0.7 on average."""
    chance = rng.beta(3.5, 1.5, people)
    return (rng.random((people, each)) < chance[:, None]).astype(float).ravel(), np.repeat(
        np.arange(people), each
    )


def matrix(seed=0, people=30, each=4, shift=2.0, decimals=None, distractors=0):
    rng = np.random.default_rng(seed)
    probes, gallery = np.repeat(np.arange(people), each), np.arange(people + distractors)
    quality = rng.normal(size=people + distractors)[probes]
    scores = rng.normal(size=(len(probes), len(gallery)))
    scores += (shift + 0.5 * quality)[:, None] * (probes[:, None] == gallery)
    return ScoreMatrix(
        scores=scores if decimals is None else scores.round(decimals), probes=probes, gallery=gallery
    )


def draws_of(m, far, bootstrap):
    """VR at a FAR in draws of people."""
    return score_facts(sides_in(m), [far], bootstrap).draws[far]


def draw_by_draw(m, far, weights):
    """VR in one draw of people, pair by pair."""
    w = weights[m.probes][:, None] * weights[m.gallery]
    impostor, weight = m.scores[~m.genuine], w[~m.genuine]
    own = weights[m.probes[np.nonzero(m.genuine)[0]]]
    allowed = most_allowed(far, np.array([weight.sum()]))[0]
    accepted = [weight[impostor >= score].sum() <= allowed for score in m.scores[m.genuine]]
    return (own * accepted).sum() / own.sum()


class TestMeanInterval:
    def test_covers_the_truth_in_a_simulation(self):
        rng, covered = np.random.default_rng(0), 0
        for seed in range(400):
            interval = mean_interval(*clustered(rng), Bootstrap(resamples=400, seed=seed))
            covered += interval.low <= 0.7 <= interval.high
        assert 0.91 <= covered / 400 <= 0.98

    def test_over_captures_instead_of_people_would_not_cover(self):
        rng, covered = np.random.default_rng(0), 0
        for seed in range(100):
            hits, _ = clustered(rng, each=20)
            interval = mean_interval(hits, np.arange(len(hits)), Bootstrap(resamples=200, seed=seed))
            covered += interval.low <= 0.7 <= interval.high
        assert covered / 100 < 0.8

    def test_of_equal_values_is_a_point(self):
        interval = mean_interval(np.full(6, 0.25), np.arange(6), Bootstrap())
        assert (interval.low, interval.estimate, interval.high) == (0.25, 0.25, 0.25)

    def test_is_as_wide_as_the_central_limit_says(self):
        values = np.random.default_rng(0).normal(size=2000)
        interval = mean_interval(values, np.arange(2000), Bootstrap(resamples=4000))
        assert interval.high - interval.low == pytest.approx(2 * 1.96 / np.sqrt(2000), rel=0.06)

    def test_does_not_depend_on_the_names_of_people(self):
        values, people = clustered(np.random.default_rng(0))
        named = np.array([f"person {number:03d}" for number in people])
        assert mean_interval(values, named, Bootstrap()) == mean_interval(values, people, Bootstrap())

    def test_of_one_person_is_none(self):
        assert mean_interval(np.ones(5), np.zeros(5), Bootstrap()) is None


class TestRatioInterval:
    def test_of_a_fixed_multiple_is_a_point(self):
        under = np.random.default_rng(0).random(20)
        found = ratio_interval(3 * under, under, np.arange(20) // 2, Bootstrap(resamples=50))
        assert (found.estimate, found.low, found.high) == pytest.approx((3, 3, 3))

    def test_is_of_sums_and_not_the_mean_of_ratios(self):
        over, under = np.array([1.0, 30.0]), np.array([1.0, 10.0])
        assert ratio_interval(over, under, np.arange(2), Bootstrap(resamples=50)).estimate == 31 / 11

    def test_equals_drawing_people_one_by_one(self):
        rng = np.random.default_rng(1)
        over, under, people = rng.random(30), rng.random(30), np.repeat(np.arange(10), 3)
        found = ratio_interval(over, under, people, Bootstrap(resamples=20_000))
        drawn = rng.integers(0, 10, (20_000, 10))
        top, bottom = over.reshape(10, 3).sum(1), under.reshape(10, 3).sum(1)
        low, high = np.quantile(top[drawn].sum(1) / bottom[drawn].sum(1), (0.025, 0.975))
        assert (found.low, found.high) == pytest.approx((low, high), abs=0.01)

    def test_of_one_person_is_none(self):
        assert ratio_interval(np.ones(3), np.ones(3), np.zeros(3), Bootstrap(resamples=5)) is None


class TestVerificationRateDraws:
    @pytest.mark.parametrize("decimals", [None, 0])
    @pytest.mark.parametrize("distractors", [0, 9])
    def test_equal_a_count_pair_by_pair(self, decimals, distractors):
        m, far = matrix(decimals=decimals, distractors=distractors), 0.01
        rng = np.random.default_rng(7)
        weights = np.ones((20, 30 + distractors), np.int64)
        weights[:, :30] = rng.multinomial(30, np.full(30, 1 / 30), 20)
        expected = [draw_by_draw(m, far, row) for row in weights]
        assert draws_of(m, far, Bootstrap(resamples=20, seed=7)) == pytest.approx(expected)

    def test_look_further_down_when_the_tail_is_too_short(self):
        # all high impostor scores are of one person's probes: a draw without that person has none of them
        rng = np.random.default_rng(0)
        probes, gallery = np.repeat(np.arange(40), [40] + 39 * [5]), np.arange(40)
        scores = rng.normal(size=(235, 40)) + (probes[:, None] == gallery) + 8 * (probes[:, None] == 0)
        m = ScoreMatrix(scores=scores, probes=probes, gallery=gallery)
        weights = np.random.default_rng(3).multinomial(40, np.full(40, 1 / 40), 30)
        expected = [draw_by_draw(m, 0.01, row) for row in weights]
        assert (weights[:, 0] == 0).any()
        assert draws_of(m, 0.01, Bootstrap(resamples=30, seed=3)) == pytest.approx(expected)

    def test_of_a_part_of_the_highest_pairs_are_nearly_those_of_all(self, monkeypatch):
        m, bootstrap = matrix(people=120, each=6), Bootstrap(resamples=100)
        exact = draws_of(m, 0.02, bootstrap)
        monkeypatch.setattr(score_tails, "MOST_PAIRS", 1000)  # of the 4,427 that are wanted
        part = draws_of(m, 0.02, bootstrap)
        assert 0 < np.abs(part - exact).max() < 0.06
        assert part.mean() == pytest.approx(exact.mean(), abs=0.01)

    def test_where_only_one_person_was_drawn_accept_everybody(self):
        scores = np.full((2, 20), 0.5)  # nobody is told from anybody, yet there is nobody else in such a draw
        scores[:, 2:] = 0.1
        people = np.repeat(np.arange(2), 10)
        m = ScoreMatrix(scores=scores[people], probes=people, gallery=np.repeat(np.arange(2), 10))
        weights = np.random.default_rng(0).multinomial(2, [0.5, 0.5], 30)
        alone = (weights == 2).any(1)
        assert alone.any() and not alone.all()
        found = draws_of(m, 0.01, Bootstrap(resamples=30, seed=0))
        assert (found[alone] == 1).all() and (found[~alone] < 1).all()

    def test_of_one_person_are_refused(self):
        m = ScoreMatrix(scores=np.zeros((1, 20)), probes=np.array([0]), gallery=np.arange(20))
        sides = sides_in(m)
        genuine = scan(sides, [])
        tail = Tail(scores=np.zeros(19, np.float32), people=np.stack([np.zeros(19, int), np.arange(1, 20)]))
        with pytest.raises(UserError, match="at least two people with genuine pairs, got 1"):
            verification_rate_draws(
                genuine.scores, sides.probes[genuine.probes], tail, sides.images, 0.1, Bootstrap()
            )
        assert score_facts(sides, [0.1], Bootstrap()).draws == {}

    def test_of_too_few_impostors_are_refused(self):
        with pytest.raises(UserError, match="at least 10000 impostor pairs"):
            draws_of(matrix(), 0.0001, Bootstrap())

    def test_of_several_fars_are_of_the_same_people(self):
        bootstrap = Bootstrap(resamples=20)
        both = score_facts(sides_in(matrix()), [0.1, 0.01], bootstrap).draws
        for far in (0.1, 0.01):
            np.testing.assert_array_equal(both[far], draws_of(matrix(), far, bootstrap))

    def test_give_an_interval_that_covers_the_truth_in_a_simulation(self):
        truth = np.mean([verification_rate(pairs_of(matrix(seed)), 0.05) for seed in range(300)])
        covered = 0
        for seed in range(300, 420):
            draws = draws_of(matrix(seed), 0.05, Bootstrap(resamples=200))
            interval = percentile_interval(verification_rate(pairs_of(matrix(seed)), 0.05), draws)
            covered += interval.low <= truth <= interval.high
        assert covered / 120 > 0.88

    def test_of_separated_scores_are_one(self):
        assert (draws_of(matrix(shift=50.0), 0.01, Bootstrap(resamples=50)) == 1).all()

    def test_of_two_methods_differ_less_on_the_same_people_than_on_others(self):
        a, b = matrix(), matrix(shift=2.2)
        draws = [draws_of(m, 0.05, Bootstrap(seed=s)) for s, m in ((0, a), (0, b), (1, b))]
        assert np.std(draws[1] - draws[0]) < np.std(draws[2] - draws[0])


class TestMcNemar:
    def test_by_hand_counts_where_one_is_right(self):
        a, b = np.array([1, 1, 1, 0, 0, 1], dtype=bool), np.array([1, 0, 0, 0, 1, 0], dtype=bool)
        result = mcnemar(a, b)
        assert (result.only_a, result.only_b, result.p_value) == (3, 1, 2 * (1 + 4) / 16)

    @pytest.mark.parametrize(
        ("only_a", "only_b"), [(0, 1), (0, 10), (3, 17), (40, 41), (25, 25), (900, 1100)]
    )
    def test_equals_the_binomial_test(self, only_a, only_b):
        a = np.concatenate([np.ones(only_a, bool), np.zeros(only_b, bool)])
        expected = binomtest(only_a, only_a + only_b).pvalue
        assert mcnemar(a, ~a).p_value == pytest.approx(expected)

    def test_of_equal_methods_is_one(self):
        hits = np.array([True, False, True])
        assert mcnemar(hits, hits).p_value == 1

    def test_does_not_see_probes_on_which_both_agree(self):
        a, b = np.array([True, True, False, True]), np.array([False, False, True, False])
        more = np.ones(100, dtype=bool)
        assert mcnemar(np.append(a, more), np.append(b, more)) == mcnemar(a, b)
