"""Figures in blocks against those of the whole score matrix."""

import numpy as np
import pytest
from clusters import clustered

from pcfh.errors import UserError
from pcfh.evaluation import streaming
from pcfh.evaluation.scores import cosine_scores, figures
from pcfh.evaluation.streaming import HighestScores, gallery_figures
from pcfh.rates import ScoreMatrix

FARS = (0.3, 0.01, 1e-3)
FEATURES = clustered(60, 5)
PEOPLE = np.array([f"p{i // 5}" for i in range(300)])
PROBES = np.arange(300) % 5 < 3


def sides():
    return FEATURES[PROBES], FEATURES[~PROBES], PEOPLE[PROBES], PEOPLE[~PROBES]


def whole(probes, gallery, people, enrolled):
    matrix = ScoreMatrix(scores=cosine_scores(probes, gallery), probes=people, gallery=enrolled)
    return figures(matrix, FARS)


@pytest.mark.parametrize("block", [1024, 64, 7])
@pytest.mark.parametrize("waiting", [2**21, 100])
def test_figures_in_blocks_are_those_of_the_whole_matrix(monkeypatch, block, waiting):
    monkeypatch.setattr(streaming, "BLOCK", block)
    monkeypatch.setattr(streaming, "_WAITING", waiting)
    found, expected = gallery_figures(*sides(), fars=FARS, threads=2), whole(*sides())
    assert (found.rank1, found.verification) == (expected.rank1, expected.verification)
    np.testing.assert_allclose(list(found.threshold.values()), list(expected.threshold.values()), atol=2e-7)


def test_ties_are_lost_and_counted_as_everywhere():
    rng = np.random.default_rng(0)
    axes = np.eye(4, dtype=np.float32)
    probes, gallery = axes[rng.integers(0, 4, 200)], axes[rng.integers(0, 4, 80)]
    people, enrolled = rng.integers(0, 9, 200), np.arange(80) % 9
    found = gallery_figures(probes, gallery, people, enrolled, fars=FARS)
    assert found == whole(probes, gallery, people, enrolled)


def test_a_first_block_that_is_no_fair_sample_changes_nothing(monkeypatch):
    monkeypatch.setattr(streaming, "BLOCK", 16)
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
    assert [highest.rank(k) for k in (0, 10, 49)] == np.sort(scores)[::-1][[0, 10, 49]].tolist()


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
