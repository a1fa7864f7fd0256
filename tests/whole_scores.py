"""Whole score matrices, which tests compare figures in blocks with."""

import numpy as np

from pcfh.evaluation.score_blocks import sides_of
from pcfh.rates import ScoreMatrix, roc


def sides_in(matrix):
    """The scores of a matrix in blocks."""
    scores = matrix.scores.astype(np.float32)
    return sides_of(matrix.probes, matrix.gallery, lambda rows, columns: scores[np.ix_(rows, columns)])


def matrix_of(sides):
    """All scores at once."""
    rows, columns = (np.arange(len(side)) for side in (sides.probes, sides.gallery))
    return ScoreMatrix(
        scores=sides.score(rows, columns),
        probes=sides.people[sides.probes],
        gallery=sides.people[sides.gallery],
    )


def curve_of(matrix):
    """The ROC with every score there is as a level of its own."""
    scores, level = np.unique(matrix.scores, return_inverse=True)
    level = level.reshape(matrix.scores.shape)
    return roc(
        *(np.bincount(level[kind], minlength=len(scores)) for kind in (matrix.genuine, ~matrix.genuine))
    )
