"""Aggregation over seeds and folds, cuts and paired tests, by hand."""

from dataclasses import replace

import numpy as np
import pytest
from blocks import made_results

from pcfh.evaluation.intervals import Bootstrap, Interval, mcnemar, mean_interval
from pcfh.evaluation.outcomes import Evaluation
from pcfh.evaluation.results import QualityRow, Spread
from pcfh.recipes.comparison import (
    RATIO,
    Cost,
    Figures,
    compared,
    cuts_of,
    figures_of,
    measured_row,
    over_runs,
    paired_test,
)
from pcfh.recipes.experiment import Run, row_of

PCFH, ALONE = row_of("pcfh"), row_of("light-cnn")


def run(seed, fold="1", row="pcfh"):
    return Run(row=row, seed=seed, fold=fold)


def one(value):
    return Spread(mean=value, deviation=None)


def test_over_seeds_there_is_the_mean_and_the_sample_deviation():
    found = over_runs({run(0): 0.9, run(1): 0.8, run(2): 0.7})
    assert (found.mean, found.deviation) == (pytest.approx(0.8), pytest.approx(0.1))


def test_over_folds_the_seeds_are_averaged_first():
    values = {run(0, "1"): 0.9, run(1, "1"): 0.7, run(0, "2"): 0.6, run(1, "2"): 0.6}
    found = over_runs(values)  # 0.8 and 0.6
    assert (found.mean, found.deviation) == (pytest.approx(0.7), pytest.approx(0.2 / 2**0.5))


def fused(outcomes):
    """Figures of PCFH's runs by their outcomes of the fusion."""
    runs = {r: Evaluation(results=made_results(), outcomes={"1": {"fusion": o}}) for r, o in outcomes.items()}
    return figures_of(PCFH, runs)


def test_figures_of_two_seeds_by_hand(outcome):
    found = fused({run(0): outcome([1, 1, 0], (0.8, 0.4)), run(1): outcome([1, 0, 0], (0.6, 0.2))})
    assert [c.mean for c in found.columns] == pytest.approx([0.5, 0.7, 0.3])
    assert found.rank1.deviation == pytest.approx((1 / 3) / 2**0.5)


def test_a_rate_that_one_run_lacks_is_no_number(outcome):
    found = fused({run(0): outcome([1, 1, 0], (0.8, np.nan)), run(1): outcome([1, 0, 0], (0.6, 0.2))})
    assert (found.vr1.mean, found.vr01) == (pytest.approx(0.7), None)


def test_cuts_by_hand():
    alone = Figures(rank1=one(0.9684), vr1=one(0.99), vr01=one(0.9468))
    cuts = cuts_of(Figures(rank1=one(0.9850), vr1=one(0.99), vr01=one(0.9335)), alone)
    assert cuts.rank1 == pytest.approx(1 - 1.50 / 3.16)
    assert cuts.vr01 == pytest.approx(-0.25)


def test_nothing_can_be_cut_where_there_is_no_error_or_no_rate():
    alone = Figures(rank1=one(1.0), vr1=None, vr01=None)
    cuts = cuts_of(Figures(rank1=one(0.9), vr1=None, vr01=None), alone)
    assert (cuts.rank1, cuts.vr01) == (None, None)


def test_rank_1_is_compared_by_each_probes_mean_over_seeds(outcome):
    a = {run(0): outcome([1, 1, 1]), run(1): outcome([1, 0, 1])}
    b = {run(None, row="light-cnn"): outcome([0, 1, 0])}
    found = paired_test(("pcfh", a), ("light-cnn", b)).rank1
    difference = np.array([1.0, -0.5, 1.0])
    assert found == mean_interval(difference, np.array(["a", "a", "b"]), Bootstrap(resamples=4))


def test_rates_are_compared_in_the_same_draws(outcome):
    a = {
        run(0): outcome([1, 1, 1], (0.9, 0.5), [[0.9] * 4, [0.5, 0.6, 0.7, 0.8]]),
        run(1): outcome([1, 1, 1], (0.7, 0.5), [[0.7] * 4, [0.5, 0.6, 0.7, 0.8]]),
    }
    b = {run(None, row="light-cnn"): outcome([1, 1, 1], (0.6, 0.4), [[0.6] * 4, [0.4, 0.5, 0.6, 0.7]])}
    found = paired_test(("pcfh", a), ("light-cnn", b))
    assert (found.vr1.estimate, found.vr1.low, found.vr1.high) == pytest.approx((0.2, 0.2, 0.2))
    assert (found.vr01.estimate, found.vr01.low, found.vr01.high) == pytest.approx((0.1, 0.1, 0.1))


def test_mcnemar_is_given_at_its_worst(outcome):
    people = [f"{i}" for i in range(12)]
    good, middling, bad = ([1] * n + [0] * (12 - n) for n in (12, 7, 6))
    a = {run(0): outcome(good, people=people), run(1): outcome(middling, people=people)}
    b = {run(None, row="light-cnn"): outcome(bad, people=people)}
    worst = mcnemar(np.array(middling, bool), np.array(bad, bool)).p_value
    assert paired_test(("pcfh", a), ("light-cnn", b)).mcnemar_p == worst


def test_trained_rows_are_paired_by_their_seed(outcome):
    people = [f"{i}" for i in range(8)]
    good, bad = [1] * 8, [0] * 8
    a = {run(0): outcome(good, people=people), run(1): outcome(bad, people=people)}
    b = {
        run(0, row="cyclegan"): outcome(good, people=people),
        run(1, row="cyclegan"): outcome(bad, people=people),
    }
    assert paired_test(("pcfh", a), ("cyclegan", b)).mcnemar_p == 1.0


def test_over_folds_rates_have_no_interval_but_the_folds_won(outcome):
    a = {run(0, "1"): outcome([1, 1, 1], (0.9, 0.5)), run(0, "2"): outcome([1, 1, 1], (0.9, 0.3))}
    b = {
        run(None, "1", "light-cnn"): outcome([1, 1, 0], (0.9, 0.4)),
        run(None, "2", "light-cnn"): outcome([1, 1, 0], (0.9, 0.4)),
    }
    found = paired_test(("pcfh", a), ("light-cnn", b))
    assert (found.vr1, found.vr01, found.folds_won) == (None, None, 1)
    assert found.rank1.estimate == pytest.approx(1 / 3)


def test_each_row_meets_light_cnn_and_pcfh_each_other_row(outcome):
    of_row = {"original": outcome([1, 0, 1]), "fusion": outcome([1, 1, 1])}
    rows = {
        row_of(key): {run(0, row=key): Evaluation(results=made_results(), outcomes={"1": of_row})}
        for key in ("cyclegan", "light-cnn", "pcfh")
    }
    pairs = [(found.row, found.other) for found in compared(rows)]
    assert pairs == [("cyclegan", "light-cnn"), ("pcfh", "light-cnn"), ("pcfh", "cyclegan")]


def with_quality(outcome, *rows):
    """An evaluation with some figures of image quality: measure, images, value."""
    quality = tuple(
        QualityRow(
            measure=measure, images=images, probes=3, interval=Interval(estimate=value, low=value, high=value)
        )
        for measure, images, value in rows
    )
    of_row = {"original": outcome([1, 0, 1]), "fusion": outcome([1, 1, 1]), "generated": outcome([0, 0, 1])}
    return Evaluation(results=replace(made_results(), quality=quality), outcomes={"1": of_row})


DISTANCE = "landmark distance, of the eyes' distance"


def test_landmark_distances_are_set_against_the_detectors_noise(outcome):
    runs = {
        run(0): with_quality(outcome, (DISTANCE, "NIR, generated", 0.03), (DISTANCE, "NIR, truth", 0.02)),
        run(1): with_quality(outcome, (DISTANCE, "NIR, generated", 0.02), (DISTANCE, "NIR, truth", 0.02)),
    }
    found = {item.name: item.figure.mean for item in measured_row(PCFH, runs, None, Cost()).images}
    assert found == {
        "landmark distance, NIR to generated": pytest.approx(0.025),
        RATIO: pytest.approx(1.25),
    }


def test_light_cnns_row_tells_of_the_nir_images_and_the_noise(outcome):
    alone = {
        run(None, row="light-cnn"): with_quality(
            outcome,
            ("SSIM", "NIR, truth", 0.7),
            ("SSIM", "generated, truth", 0.9),
            (DISTANCE, "NIR, truth", 0.02),
        )
    }
    found = {i.name: i.figure.mean for i in measured_row(ALONE, alone, None, Cost()).images}
    assert found == {"SSIM": 0.7, "landmark distance, NIR to generated": 0.02}


def test_what_one_run_did_not_measure_is_left_out(outcome):
    runs = {run(0): with_quality(outcome, ("SSIM", "generated, truth", 0.9)), run(1): with_quality(outcome)}
    assert measured_row(PCFH, runs, None, Cost()).images == ()


def test_a_row_has_the_score_of_the_paper_and_the_generated_one(outcome):
    row = measured_row(PCFH, {run(0): with_quality(outcome)}, None, Cost(processor_seconds=3.0))
    assert (row.figures.rank1.mean, row.generated.rank1.mean) == (1.0, pytest.approx(1 / 3))
    assert (row.seeds, row.cuts, row.cost.processor_seconds) == ((0,), None, 3.0)
