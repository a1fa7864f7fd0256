import numpy as np
import pytest

from pcfh.errors import UserError
from pcfh.evaluation.scores import cosine_scores, figures, fused_vectors, require_unit
from pcfh.rates import ScoreMatrix, pairs_of, ranks, verification_rate


def features(count, seed=0, length=16):
    vectors = np.random.default_rng(seed).normal(size=(count, length)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class TestCosineScores:
    def test_of_equal_features_is_one(self):
        assert np.allclose(np.diag(cosine_scores(features(5), features(5))), 1, atol=1e-6)

    def test_by_hand_has_probes_in_rows(self):
        probes, gallery = np.eye(2), np.array([[0.6, 0.8], [1, 0], [0, -1]])
        assert np.allclose(cosine_scores(probes, gallery), [[0.6, 1, 0], [0.8, 0, -1]])

    def test_does_not_change_when_both_sides_are_turned(self):
        turn = np.linalg.qr(np.random.default_rng(2).normal(size=(16, 16)))[0].astype(np.float32)
        a, b = features(5), features(7, seed=1)
        assert np.allclose(cosine_scores(a @ turn, b @ turn), cosine_scores(a, b), atol=1e-6)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0])
    def test_of_features_that_are_not_of_norm_one_is_refused(self, bad):
        probes = features(5)
        probes[3] = bad
        with pytest.raises(UserError, match=r"probe features of norm 1, got .* in row 3"):
            cosine_scores(probes, features(7))

    def test_names_the_side_that_is_wrong(self):
        with pytest.raises(UserError, match=r"gallery features of norm 1, got 2 in row 0 \(7 such rows\)"):
            cosine_scores(features(5), 2 * features(7))


class TestFusedVectors:
    nir, generated, gallery = features(5), features(5, seed=1), features(7, seed=2)

    def test_of_the_average_give_the_average_of_both_scores(self):
        scores = fused_vectors(self.nir, self.generated) @ self.gallery.T
        both = cosine_scores(self.nir, self.gallery), cosine_scores(self.generated, self.gallery)
        assert np.allclose(scores, (both[0] + both[1]) / 2, atol=1e-6)

    @pytest.mark.parametrize("fusion", ["average", "template"])
    def test_are_each_alone_at_the_ends_of_the_weight(self, fusion):
        assert np.allclose(fused_vectors(self.nir, self.generated, 0.0, fusion), self.nir)
        assert np.allclose(fused_vectors(self.nir, self.generated, 1.0, fusion), self.generated)

    def test_weigh_the_generated_by_the_weight(self):
        nir, generated = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
        assert np.allclose(fused_vectors(nir, generated, 0.75), [[0.25, 0.75]])

    def test_of_the_template_are_of_norm_one_whatever_the_weight(self):
        for weight in (0.3, 0.5):
            require_unit(fused_vectors(self.nir, self.generated, weight, "template"), "fused")

    def test_of_the_template_undo_what_the_average_takes_from_probes_whose_features_disagree(self):
        average = fused_vectors(self.nir, self.generated) @ self.gallery.T
        template = fused_vectors(self.nir, self.generated, fusion="template") @ self.gallery.T
        agreement = (self.nir * self.generated).sum(1, keepdims=True)
        assert np.allclose(average, template * np.sqrt((1 + agreement) / 2), atol=1e-6)

    def test_of_the_template_equal_a_feature_that_both_agree_on(self):
        assert np.allclose(fused_vectors(self.nir, self.nir, fusion="template"), self.nir)


class TestFigures:
    def matrix(self):
        rng = np.random.default_rng(0)
        people = rng.integers(20, size=200)
        scores = rng.normal(size=(200, 40)) + 2 * (people[:, None] == np.arange(40) % 20)
        return ScoreMatrix(scores=scores, probes=people, gallery=np.arange(40) % 20)

    def test_are_those_of_the_metrics(self):
        matrix, fars = self.matrix(), (0.01, 0.001)
        result = figures(matrix, fars)
        assert result.rank1 == (ranks(matrix) == 1).mean()
        assert result.verification == {far: verification_rate(pairs_of(matrix), far) for far in fars}

    def test_rank_takes_the_best_image_of_a_person_and_verification_all_pairs(self):
        scores = np.array([[0.9, 0.0, 0.5, 0.4]])
        matrix = ScoreMatrix(scores=scores, probes=np.array([0]), gallery=np.array([0, 0, 1, 1]))
        result = figures(matrix, [0.5])
        assert (result.rank1, result.verification[0.5]) == (1, 0.5)

    def test_do_not_depend_on_how_people_are_named(self):
        matrix = self.matrix()
        named = ScoreMatrix(
            scores=matrix.scores,
            probes=np.array([f"{99 - person:03d}" for person in matrix.probes]),
            gallery=np.array([f"{99 - person:03d}" for person in matrix.gallery]),
        )
        assert figures(named, [0.01]) == figures(matrix, [0.01])
