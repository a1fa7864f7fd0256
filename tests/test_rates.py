import numpy as np
import pytest
from sklearn.metrics import roc_curve
from whole_scores import curve_of

from pcfh.errors import UserError
from pcfh.rates import (
    ScoreMatrix,
    allowed_impostors,
    cmc,
    equal_error_rate,
    pairs_of,
    ranks,
    roc,
    thresholds,
    verification_rate,
)


def matrix(scores, probes, gallery):
    return ScoreMatrix(
        scores=np.array(scores, dtype=np.float32), probes=np.array(probes), gallery=np.array(gallery)
    )


def by_hand():
    """Six probes of the people a, b, c against four images, two of them of a; 8 genuine pairs of 24."""
    return matrix(
        [
            [0.9, 0.2, 0.1, 0.3],  # a, found by its first image
            [0.1, 0.8, 0.7, 0.8],  # a, its second image ties with c
            [0.5, 0.2, 0.5, 0.1],  # b, ties with the first of a
            [0.6, 0.6, 0.4, 0.6],  # b, behind a (once, though both images are better) and c
            [0.1, 0.1, 0.2, 0.7],  # c, found
            [0.3, 0.3, 0.3, 0.3],  # c, ties with everyone
        ],
        ["a", "a", "b", "b", "c", "c"],
        ["a", "a", "b", "c"],
    )


def random_matrix(seed=0, decimals=None, people=12):
    """Forty probes against twenty images, scores of float32, with many ties if rounded."""
    rng = np.random.default_rng(seed)
    probes, gallery = rng.integers(people, size=40), np.arange(20) % people
    scores = rng.normal(size=(40, 20)) + 1.5 * (probes[:, None] == gallery)
    return matrix(scores if decimals is None else scores.round(decimals), probes, gallery)


class TestRanks:
    def test_by_hand_lose_every_tie(self):
        assert ranks(by_hand()).tolist() == [1, 2, 2, 3, 1, 3]

    @pytest.mark.parametrize("decimals", [None, 1, 0])
    def test_equal_a_count_probe_by_probe(self, decimals):
        m = random_matrix(decimals=decimals)
        expected = []
        for row, person in zip(m.scores, m.probes, strict=True):
            best = {other: max(row[m.gallery == other]) for other in set(m.gallery.tolist())}
            expected.append(1 + sum(best[other] >= best[person] for other in best if other != person))
        assert ranks(m).tolist() == expected

    def test_do_not_depend_on_the_order_of_the_gallery(self):
        m, order = random_matrix(), np.random.default_rng(1).permutation(20)
        assert np.array_equal(ranks(matrix(m.scores[:, order], m.probes, m.gallery[order])), ranks(m))

    def test_count_people_in_the_gallery_whom_nobody_searches(self):
        assert ranks(matrix([[0.1, 0.2, 0.3]], ["a"], ["a", "b", "c"])).tolist() == [3]

    def test_of_a_probe_who_is_not_enrolled_are_refused(self):
        m = matrix([[0.1, 0.2]] * 2, ["a", "z"], ["a", "b"])
        with pytest.raises(UserError, match=r"1 who are not \(z\)"):
            ranks(m)


class TestCmc:
    def test_by_hand(self):
        assert cmc(ranks(by_hand()), 3).tolist() == pytest.approx([2 / 6, 4 / 6, 1])

    def test_leaves_out_ranks_beyond_its_depth(self):
        assert cmc(np.array([1, 5, 9, 2]), 2).tolist() == [0.25, 0.5]

    def test_goes_on_flat_beyond_the_gallery(self):
        assert cmc(np.array([1, 2]), 5).tolist() == [0.5, 1, 1, 1, 1]


class TestPairs:
    def test_by_hand_are_all_pairs_of_all_images(self):
        pairs = pairs_of(by_hand())
        genuine = [0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.8, 0.9]
        assert np.allclose(np.sort(pairs.genuine), genuine)

    def test_are_genuine_or_impostor(self):
        pairs = pairs_of(by_hand())
        assert len(pairs.genuine) + len(pairs.impostor) == 24

    def test_without_a_genuine_one_are_refused(self):
        m = matrix([[0.1, 0.2]], ["z"], ["a", "b"])
        with pytest.raises(UserError, match="at least one genuine pair"):
            pairs_of(m)

    def test_without_an_impostor_are_refused(self):
        m = matrix([[0.1, 0.2]], ["a"], ["a", "a"])
        with pytest.raises(UserError, match="at least one impostor pair"):
            pairs_of(m)


class TestScoreMatrix:
    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_with_a_score_that_is_not_finite_is_refused(self, bad):
        with pytest.raises(UserError, match="probe 1 against gallery image 0"):
            matrix([[0.1, 0.2], [bad, 0.1]], ["a", "b"], ["a", "b"])

    def test_of_an_empty_gallery_is_refused(self):
        with pytest.raises(UserError, match="at least one gallery image"):
            matrix(np.zeros((2, 0)), ["a", "b"], [])

    def test_without_probes_is_refused(self):
        with pytest.raises(UserError, match="at least one probe image"):
            matrix(np.zeros((0, 2)), [], ["a", "b"])


class TestVerificationRate:
    """Impostors by hand, falling: .8 .7 .6 .6 .6 .5 .3 .3 .3 .3 .2 ... of 16."""

    @pytest.mark.parametrize(
        ("far", "expected"),
        [
            (1 / 16, 2 / 8),  # one may be accepted: down to just above .7, so .8 and .9
            (2 / 16, 3 / 8),  # two: just above the three of .6, so .7 too
            (3 / 16, 3 / 8),  # three or four: a part of a tie is not accepted
            (4 / 16, 3 / 8),
            (5 / 16, 3 / 8),  # all of .6, but .5 itself ties with the sixth
            (6 / 16, 5 / 8),  # .5 and .4
        ],
    )
    def test_by_hand(self, far, expected):
        assert verification_rate(pairs_of(by_hand()), far) == pytest.approx(expected)

    def test_refuses_a_genuine_score_that_ties_with_the_only_impostor_too_many(self):
        m = matrix([[0.5, 0.5, 0.4, 0.3]], ["a"], ["a", "b", "c", "d"])
        assert verification_rate(pairs_of(m), 1 / 3) == 1
        m = matrix([[0.4, 0.5, 0.4, 0.3]], ["a"], ["a", "b", "c", "d"])
        assert verification_rate(pairs_of(m), 1 / 3) == 0

    @pytest.mark.parametrize("decimals", [None, 1, 0])
    @pytest.mark.parametrize("far", [0.01, 0.05, 0.1, 0.29, 0.5, 0.99])
    def test_is_the_best_point_of_scikit_learn_s_roc_that_keeps_the_far(self, decimals, far):
        m = random_matrix(decimals=decimals)
        fpr, tpr, _ = roc_curve(m.genuine.ravel(), m.scores.ravel(), drop_intermediate=False)
        assert verification_rate(pairs_of(m), far) == pytest.approx(tpr[fpr <= far].max(), abs=1e-12)

    @pytest.mark.parametrize("far", [0.01, 0.1, 0.5])
    def test_threshold_accepts_no_more_impostors_than_allowed(self, far):
        pairs = pairs_of(random_matrix(decimals=1))
        assert (pairs.impostor >= thresholds(pairs, [far])[far]).mean() <= far

    def test_threshold_cannot_be_lower(self):
        pairs = pairs_of(random_matrix(decimals=1))
        lower = np.nextafter(np.float32(thresholds(pairs, [0.1])[0.1]), np.float32(-np.inf))
        assert (pairs.impostor >= lower).mean() > 0.1

    def test_thresholds_of_several_fars_are_those_of_each(self):
        pairs, fars = pairs_of(random_matrix()), [0.5, 0.01, 0.1]
        assert thresholds(pairs, fars) == {far: thresholds(pairs, [far])[far] for far in fars}

    def test_of_too_few_impostors_is_refused(self):
        pairs = pairs_of(by_hand())
        with pytest.raises(UserError, match="at least 100 impostor pairs, got 16"):
            verification_rate(pairs, 0.01)


class TestAllowedImpostors:
    @pytest.mark.parametrize(
        ("far", "impostors", "allowed"),
        [
            (0.001, 1000, 1),
            (0.001, 1999, 1),
            (0.29, 100, 29),
            (0.07, 100, 7),
            (0.001, 10**10, 10**7),
            (float(np.nextafter(0.9, 0)), 10, 8),
        ],
    )
    def test_is_the_whole_number_whatever_the_rounding(self, far, impostors, allowed):
        assert allowed_impostors(far, impostors) == allowed

    @pytest.mark.parametrize("far", [0.0, 1.0, -0.1, float("nan")])
    def test_of_a_far_that_is_none_is_refused(self, far):
        with pytest.raises(UserError, match="between 0 and 1"):
            allowed_impostors(far, 1000)

    def test_of_one_impostor_too_few_is_refused(self):
        with pytest.raises(UserError, match="at least 1000 impostor pairs, got 999"):
            allowed_impostors(0.001, 999)


class TestRoc:
    @pytest.mark.parametrize("decimals", [None, 1, 0])
    def test_equals_scikit_learn_s_at_every_threshold(self, decimals):
        m = random_matrix(decimals=decimals)
        fpr, tpr, _ = roc_curve(m.genuine.ravel(), m.scores.ravel(), drop_intermediate=False)
        curve = curve_of(m)
        assert np.allclose(curve.far, fpr, rtol=0, atol=1e-12)
        assert np.allclose(curve.vr, tpr, rtol=0, atol=1e-12)

    def test_by_hand_at_a_tie_of_both_kinds(self):
        curve = curve_of(by_hand())
        at = np.unique(by_hand().scores)[::-1].tolist().index(0.5) + 1
        assert (curve.far[at], curve.vr[at]) == (6 / 16, 4 / 8)

    def test_levels_without_any_score_change_nothing(self):
        genuine, impostor = np.array([1, 0, 3, 0]), np.array([5, 0, 1, 0])
        curve = roc(genuine, impostor)
        assert (curve.far.tolist(), curve.vr.tolist()) == ([0, 1 / 6, 1], [0, 3 / 4, 1])


class TestEqualErrorRate:
    def test_of_separated_scores_is_zero(self):
        assert equal_error_rate(curve_of(matrix([[0.9, 0.1]], ["a"], ["a", "b"]))) == 0

    def test_of_reversed_scores_is_one(self):
        assert equal_error_rate(curve_of(matrix([[0.1, 0.9]], ["a"], ["a", "b"]))) == 1

    def test_where_all_scores_tie_is_a_half(self):
        assert equal_error_rate(curve_of(matrix([[0.5, 0.5]], ["a"], ["a", "b"]))) == 0.5

    def test_by_hand(self):
        # FAR 6/16 and FRR 4/8 at .5, 6/16 and 3/8 at .4
        assert equal_error_rate(curve_of(by_hand())) == pytest.approx(6 / 16)

    def test_between_two_thresholds_lies_on_the_straight_line(self):
        # (FAR, FRR) goes from (0, 1) to (1/3, 0) at .5: both are 1/4 on the way
        m = matrix([[0.5, 0.5, 0.4, 0.3]], ["a"], ["a", "b", "c", "d"])
        assert equal_error_rate(curve_of(m)) == pytest.approx(1 / 4)

    def test_of_two_normal_distributions_is_the_tail_beyond_half_their_distance(self):
        rng = np.random.default_rng(0)
        scores = rng.normal(size=(600, 600)) + 2 * np.eye(600)
        people = np.arange(600)
        rate = equal_error_rate(curve_of(matrix(scores, people, people)))
        assert rate == pytest.approx(0.1587, abs=0.035)


def test_people_may_be_lists():
    scores = np.array([[0.1, 0.9], [0.8, 0.2]])
    assert ranks(ScoreMatrix(scores=scores, probes=["a", "a"], gallery=["a", "b"])).tolist() == [2, 1]


def test_more_people_than_rows_are_refused():
    with pytest.raises(UserError, match="expected scores of 3 probes x 2 gallery images, got 2 x 2"):
        ScoreMatrix(scores=np.eye(2), probes=["a", "b", "c"], gallery=["a", "b"])
