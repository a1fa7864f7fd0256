import numpy as np
import pytest

from pcfh.evaluation.keys import HIGHEST, LOWEST, Bracket, KeyCounts, keys_of, score_of


def scores(count=1000):
    rng = np.random.default_rng(0)
    return (rng.normal(size=count) * 10.0 ** rng.integers(-40, 30, count)).astype(np.float32)


class TestKeys:
    def test_rise_with_the_scores(self):
        ordered = np.unique(scores())
        assert (np.diff(keys_of(ordered)) > 0).all()

    def test_of_neighbours_are_neighbours_on_both_sides_of_zero(self):
        for score in np.float32([0.3, -0.3]):
            pair = np.array([score, np.nextafter(score, np.float32(np.inf))])
            assert np.diff(keys_of(pair)) == 1

    def test_go_back_to_the_scores(self):
        assert np.array_equal([score_of(int(key)) for key in keys_of(scores())], scores())

    def test_of_the_largest_finite_scores_are_the_bounds(self):
        largest = np.finfo(np.float32).max
        assert keys_of(np.array([-largest, largest])).tolist() == [LOWEST, HIGHEST]


class TestKeyCounts:
    def test_find_each_rank_by_hand(self):
        counts = KeyCounts()
        counts.add_keys(np.array([5, 3, 5, 9]))
        found = [counts.bin_of(rank) for rank in range(4)]
        assert [bracket.low for bracket in found] == [9, 5, 5, 3]

    @pytest.mark.parametrize("rank", [-1, 4])
    def test_find_nothing_beyond_the_ends(self, rank):
        counts = KeyCounts()
        counts.add_keys(np.array([5, 3, 5, 9]))
        assert counts.bin_of(rank) is None

    def test_of_none_find_nothing(self):
        assert KeyCounts().bin_of(0) is None

    def test_of_many_different_keys_stay_few_bins_that_hold_the_rank(self):
        keys = np.random.default_rng(0).integers(-(10**6), 10**6, 5000)
        counts = KeyCounts(most=100)
        for part in np.split(keys, 10):
            counts.add_keys(part)
        bracket = counts.bin_of(700)
        assert len(counts.counts()[0]) <= 100
        assert bracket.low <= np.sort(keys)[::-1][700] <= bracket.high

    def test_stay_exact_for_any_number_of_equal_keys(self):
        counts = KeyCounts(most=10)
        for _ in range(50):
            counts.add_keys(np.array([4, 7, 7]))
        assert counts.bin_of(100) == Bracket(low=4, high=4)

    def test_with_bins_of_different_width_add_up(self):
        fine, coarse = KeyCounts(), KeyCounts(most=2)
        fine.add_keys(np.array([1, 2, 6]))
        coarse.add_keys(np.array([0, 1, 4, 5, 6, 7]))
        fine.add(coarse)
        assert [column.sum() for column in fine.counts()][1] == 9
        assert fine.shift > 0
