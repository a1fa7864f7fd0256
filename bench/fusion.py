"""Ways to fuse two scores: ``python -m bench fusion MEASURED [RECOGNISER ...]``.

MEASURED is a folder that ``pcfh shifts`` wrote with the shipped generator; its crops, generated faces and
features are used again. The probes of all shifts are taken together. What is compared:

    average, template    see ``pcfh.evaluation.scores.fused_vectors``
    by agreement         the average, the generated face's weight rising from 0 to 1/2 while the agreement of
                         a probe's two features, c = cos(F(x), F(G(x))), rises from the mean of the scores
                         between people of the gallery to four of their deviations above it
    by distance          the average, that weight falling from 1/2 to 0 while the distance from the training
                         range rises from 0 to 2

For each: Rank-1, VR at a FAR of 1 % by the probes' own scores, and FAR and VR at the threshold that the
scores between people of the gallery give for 1 %, which is what ``pcfh gallery calibrate`` finds. In percent,
with 95 % confidence intervals over people. Then how well c and the distance tell which of the two features is
the better one: correlations with the margin of the generated face's scores less that of the NIR image's.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped
from tabulate import tabulate

from pcfh.databases.records import Record
from pcfh.evaluation.evaluation_data import ALL, EvaluationData, EvaluationJob
from pcfh.evaluation.intervals import Bootstrap, mean_interval, ratio_interval
from pcfh.evaluation.results import GENERATED, ORIGINAL
from pcfh.evaluation.score_methods import CosineScores, score_methods
from pcfh.evaluation.scores import fused_vectors
from pcfh.evaluation.text_tables import interval_text
from pcfh.hallucinate import Hallucinator
from pcfh.images import read_image
from pcfh.preparation.manifest import crops_folder
from pcfh.preparation.training_range import face_measures, shipped_range, unlikeness
from pcfh.rates import ScoreMatrix, pairs_of, ranks, thresholds
from pcfh.recognisers.base import Recognizer
from pcfh.recognisers.registry import open_recognizer
from pcfh.shipped import shipped

_FAR = 0.01
_MOST_DEVIATIONS, _MOST_DISTANCE = 4, 2
Vectors = Float[np.ndarray, "n d"]


def main(arguments: Sequence[str]) -> int:
    """Measures and prints; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench fusion", description=__doc__.split("\n")[0])
    parser.add_argument("measured", type=Path)
    parser.add_argument("recognizer", nargs="*", default=[str(shipped("recognizer"))])
    options = parser.parse_args(arguments)
    job = EvaluationJob(
        prepared=options.measured / "prepared", protocols=(ALL,), cache=options.measured / "cache"
    )
    generator = Hallucinator.from_file(shipped("generator"), device="cpu")
    for place in options.recognizer:
        recognizer = open_recognizer(place, device="cpu")
        first = EvaluationData(job, {}, recognizer.alignment)
        data = EvaluationData(job, {fold.name: generator for fold in first.folds}, recognizer.alignment)
        print(f"{recognizer.name}\n\n{table(data, recognizer)}\n")
    return 0


def table(data: EvaluationData, recognizer: Recognizer) -> str:
    """What is made of the two features of each probe, and what tells which is the better one."""
    found = score_methods(data, {fold.name: recognizer for fold in data.folds})
    methods = {one.name: one for one in found if isinstance(one, CosineScores)}
    nir, generated = (pooled(methods[name], data) for name in (ORIGINAL, GENERATED))
    enrolled = data.folds[0].gallery
    gallery = np.stack([methods[ORIGINAL].gallery[data.folds[0].name][record.path] for record in enrolled])
    names = np.array([record.subject for record in enrolled])
    probes = [record for fold in data.folds for record in fold.probe]
    people = np.array([record.subject for record in probes])
    between = (gallery @ gallery.T)[names[:, None] != names]
    agreement = (nir * generated).sum(1)
    distance = np.array([distance_of(data, record) for record in probes])
    sure = (agreement - between.mean()) / (_MOST_DEVIATIONS * between.std())
    ways = {
        "NIR": nir,
        "generated": generated,
        "average": fused_vectors(nir, generated),
        "template": fused_vectors(nir, generated, fusion="template"),
        "by agreement": weighted(nir, generated, sure),
        "by distance": weighted(nir, generated, 1 - distance / _MOST_DISTANCE),
    }
    matrices = {
        name: ScoreMatrix(scores=vectors @ gallery.T, probes=people, gallery=names)
        for name, vectors in ways.items()
    }
    threshold = np.sort(between)[-int(_FAR * len(between))]
    rows = [(name, *figures_of(matrix, threshold)) for name, matrix in matrices.items()]
    head = ("score", "Rank-1", "VR@FAR=1%", "FAR at the gallery's threshold", "VR there")
    better = margins(matrices["generated"]) - margins(matrices["NIR"])
    told = {"agreement": agreement, "distance": distance}
    notes = [f"{name}: {np.corrcoef(values, better)[0, 1]:+.2f}" for name, values in told.items()]
    return f"{tabulate(rows, head, tablefmt='pipe')}\n\nCorrelation with what is better, {', '.join(notes)}"


def pooled(method: CosineScores, data: EvaluationData) -> Vectors:
    """The features of the probes of all folds."""
    return np.concatenate([method.vectors(fold) for fold in data.folds])


def distance_of(data: EvaluationData, probe: Record) -> float:
    """How far a probe lies from the training range."""
    crop = read_image(crops_folder(data.job.prepared, data.generated_size) / probe.path)
    landmarks = np.array(data.manifest.sources[probe.path].landmarks)
    return unlikeness(face_measures(crop, landmarks), shipped_range()).distance


def weighted(nir: Vectors, generated: Vectors, sure: Float[np.ndarray, " n"]) -> Vectors:
    """The average, the generated face's weight being half of how sure one is, from 0 to 1."""
    weight = sure.clip(0, 1)[:, None] / 2
    return (1 - weight) * nir + weight * generated


def margins(matrix: ScoreMatrix) -> Float[np.ndarray, " n"]:
    """By how much the best score of each probe's person is above that of anybody else."""
    own, other = (np.where(kind, matrix.scores, -np.inf).max(1) for kind in (matrix.genuine, ~matrix.genuine))
    return np.asarray(own - other)


def figures_of(matrix: ScoreMatrix, threshold: float) -> tuple[str, ...]:
    """Rank-1, VR by the probes' own threshold, and both rates at the gallery's."""
    own = thresholds(pairs_of(matrix), [_FAR])[_FAR]
    rank1 = mean_interval(ranks(matrix) == 1, matrix.probes, Bootstrap())
    rates = (
        share(matrix, own, matrix.genuine),
        share(matrix, threshold, ~matrix.genuine),
        share(matrix, threshold, matrix.genuine),
    )
    return (interval_text(rank1), *rates)


def share(matrix: ScoreMatrix, threshold: float, kind: Shaped[np.ndarray, "n g"]) -> str:
    """The share of the pairs of a kind that reach a threshold; the threshold is not drawn again."""
    reached = (matrix.scores >= threshold) & kind
    return interval_text(ratio_interval(reached.sum(1), kind.sum(1), matrix.probes, Bootstrap()))
