"""A recogniser without weights, results made by hand, and generators of random weights, for tests."""

import numpy as np
import torch
from whole_scores import sides_in

from pcfh.evaluation.evaluate import evaluate as run_evaluation
from pcfh.evaluation.evaluation_data import EvaluationData
from pcfh.evaluation.folds import fold_figures, measure
from pcfh.evaluation.intervals import Bootstrap
from pcfh.evaluation.results import GroupRow, Model, QualityRow, Results, ShownFace
from pcfh.hallucinate import Hallucinator
from pcfh.methods.pcfh.generator import Generator
from pcfh.rates import ScoreMatrix
from pcfh.recognisers.alignment import Alignment
from pcfh.recognisers.base import l2_normalize


class Blocks:
    """Features are the contrasts of 8 x 8 blocks; it counts the crops it has seen."""

    name, key = "blocks", "blocks-1"
    alignment = Alignment(convention="lightcnn", size=64)

    def __init__(self):
        self.seen = 0

    def features(self, crops, modality="VIS"):
        self.seen += len(crops)
        means = crops.mean(3).reshape(len(crops), 8, 8, 8, 8).mean((2, 4)).reshape(len(crops), -1)
        return l2_normalize((means - means.mean(1, keepdims=True)).astype(np.float32), self.name)


def hallucinator(model="a" * 64, size=64, **about):
    torch.manual_seed(0)
    network = Generator(size=size, width=4, blocks=1, local_blocks=1).eval().requires_grad_(False)
    return Hallucinator(network, about={"model": model, **about})


def evaluate(job, recognizer, generators=None, **more):
    """The results of an evaluation of a recogniser, or of one for each protocol."""
    one = next(iter(recognizer.values())) if isinstance(recognizer, dict) else recognizer
    return run_evaluation(EvaluationData(job, generators or {}, one.alignment), recognizer, **more).results


def random_matrix(seed, *, signal, people=20, shots=3):
    rng = np.random.default_rng(seed)
    gallery = np.array([f"{i:03}" for i in range(people)])
    probes = np.repeat(gallery, shots)
    scores = rng.normal(0, 0.1, (len(probes), people))
    scores[probes[:, None] == gallery] += signal
    return ScoreMatrix(scores=scores, probes=probes, gallery=gallery)


def measured_fold(name, matrices, bootstrap=Bootstrap(resamples=50, seed=0)):  # noqa: B008 - frozen
    return fold_figures(
        name, {method: measure(method, sides_in(m), bootstrap) for method, m in matrices.items()}
    )


def made_results(**changes):
    """Two folds of 20 people with 1,140 impostor pairs each, so that a FAR of 0.01 % cannot be measured."""
    folds = [
        measured_fold(
            name,
            {
                "original": random_matrix(seed, signal=0.2),
                "generated": random_matrix(seed + 10, signal=0.25),
                "fusion": random_matrix(seed + 20, signal=0.3),
            },
        )
        for seed, name in enumerate("12")
    ]
    interval = folds[0].methods[0].rank1_interval
    row = GroupRow(
        column="glasses",
        value="<thick & dark>",
        method="fusion",
        probes=7,
        people=3,
        rank1_error=0.25,
        interval=None,
        frr=0.5,
        far=None,
    )
    mistake = ShownFace(
        protocol="1",
        subject="003",
        probe="NIR/a.png",
        right="VIS/b.png",
        wrong="VIS/c.png",
        wrong_subject="004",
        right_score=0.25,
        wrong_score=0.5,
    )
    values = {
        "version": "0",
        "database": "casia",
        "manifest": "0" * 64,
        "recognizer": "blocks",
        "models": tuple(
            Model(role=role, protocol=protocol, name=role, key=key * 64)
            for protocol, key in ("1a", "2b")
            for role in ("recogniser", "generator")
        ),
        "size": 64,
        "rendered": False,
        "resamples": 50,
        "seed": 0,
        "folds": tuple(folds),
        "group_far": 0.001,
        "groups": (row,),
        "quality": (QualityRow(measure="SSIM", images="NIR, truth", probes=9, interval=interval),),
        "worst": (mistake,),
        "notes": ("2 captures <were> dropped.",),
    }
    return Results(**{**values, **changes})
