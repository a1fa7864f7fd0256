"""The table as LaTeX and Markdown, and the command line."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import pytest

from pcfh.evaluation.intervals import Interval
from pcfh.evaluation.results import Spread
from pcfh.recipes.comparison import (
    Cost,
    CurveRow,
    Cuts,
    Figures,
    ImageFigure,
    MeasuredRow,
    OutsideView,
    PairedTest,
    ReproducedTable,
    to_json,
)
from pcfh.recipes.table_report import hours, latex, markdown, page


def spread(mean, deviation=None):
    return Spread(mean=mean, deviation=deviation)


@pytest.fixture
def table():
    """Table 1 with two rows by hand."""
    alone = Figures(rank1=spread(0.9), vr1=spread(0.95), vr01=spread(0.8))
    best = Figures(rank1=spread(0.96, 0.01), vr1=spread(0.99, 0.002), vr01=None)
    rows = (
        MeasuredRow(
            key="light-cnn",
            seeds=(),
            figures=alone,
            generated=None,
            truth=best,
            cuts=None,
            images=(),
            cost=Cost(),
        ),
        MeasuredRow(
            key="pcfh",
            seeds=(0, 1, 2),
            figures=best,
            generated=alone,
            truth=None,
            cuts=Cuts(rank1=0.6, vr01=None),
            images=(ImageFigure(name="MAE", figure=spread(0.05, 0.001)),),
            cost=Cost(processor_seconds=7200.0, wall_seconds=3600.0),
        ),
    )
    versus = PairedTest(
        row="pcfh",
        other="light-cnn",
        rank1=Interval(estimate=0.06, low=0.02, high=0.1),
        vr1=None,
        vr01=None,
        mcnemar_p=0.01234,
        folds_won=None,
    )
    return ReproducedTable(
        version="0",
        table="table1",
        folds=("1",),
        recognizer="lightcnn9",
        recognizer_key="k",
        preset="cpu",
        settings=(),
        images=4320,
        size=128,
        rendered=True,
        probes=72,
        gallery=24,
        resamples=1000,
        rows=rows,
        comparisons=(versus,),
        notes=("a note with <angles>",),
    )


def cells(text, ends=""):
    """The cells of each line of a table in Markdown, or in LaTeX."""
    mark = "&" if ends else "|"
    lines = (line.removesuffix(ends).strip("|").split(mark) for line in text.splitlines() if mark in line)
    return [tuple(cell.strip() for cell in line) for line in lines]


def test_latex_is_a_booktabs_table_with_a_line_for_each_row_and_both_numbers(table):
    text = latex(table)
    assert text.startswith("% Table 1: CASIA NIR-VIS 2.0, one fold.")
    assert [mark in text for mark in (r"\toprule", r"\midrule", r"\bottomrule")] == [True] * 3
    rows = cells(text, r"\\")
    assert ("PCFH", "98.50", "96.00±1.00", "99.58", "99.00±0.20", "97.32", "n/a") in rows
    assert ("CycleGAN", "87.23", "not run", "93.92", "not run", "79.41", "not run") in rows


@pytest.mark.parametrize(
    "line",
    [
        "| PCFH | 98.50 | 96.00±1.00 | 99.58 | 99.00±0.20 | 97.32 | n/a | 0, 1, 2 |",
        "| Light CNN | 96.84 | 90.00 | 99.10 | 95.00 | 94.68 | 80.00 | – |",
        "| PCFH | 52.5 % | 60.0 % | 49.6 % | n/a |",
        "| PCFH less Light CNN | +6.00 [+2.00, +10.00] | – | – | 0.012 | – |",
        "| true VIS (perfect generator) | 96.00±1.00 | 99.00±0.20 | n/a |",
        "| PCFH | 0.05±0.001 |",
        "| all | 3 | 2.0 h | 1.0 h |",
    ],
)
def test_markdown_holds_every_part(table, line):
    assert cells(line)[0] in cells(markdown(table))


def test_the_json_has_our_figures_beside_the_papers(table):
    content = json.loads(to_json(table))
    assert content["results"]["rows"][0]["figures"]["rank1"]["mean"] == 0.9
    assert content["paper"]["rows"][-1]["figures"] == ["98.50", "99.58", "97.32"]


def test_a_method_that_the_paper_lacks_stands_below_it(table):
    own = replace(table.rows[1], key="my_module:MyMethod")
    found = cells(markdown(replace(table, rows=(*table.rows, own))))
    assert ("my_module:MyMethod", "–", "96.00±1.00", "–", "99.00±0.20", "–", "n/a", "0, 1, 2") in found


def test_the_page_holds_every_part_and_escapes_what_it_quotes(table):
    text = page(table)
    assert text.count("<section>") == 7
    assert "a note with &lt;angles&gt;" in text


@pytest.mark.parametrize(("seconds", "said"), [(12.4, "12 s"), (90.0, "1.5 min"), (9000.0, "2.5 h")])
def test_times_are_in_the_unit_that_suits_them(seconds, said):
    assert hours(seconds) == said


# The result files of the documents


@pytest.fixture
def record():
    """The program that makes them."""
    path = Path(__file__).parents[2] / "docs" / "results" / "record.py"
    spec = importlib.util.spec_from_file_location("record", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_result_files_hold_what_the_table_says(table, record, tmp_path):
    pcfh = table.rows[1]
    better = replace(pcfh.figures, rank1=spread(0.91, 0.02))
    view = OutsideView(
        recognizer="mobile-net.onnx",
        key="m",
        rows=(table.rows[0], replace(pcfh, figures=better)),
        comparisons=table.comparisons,
    )
    point = CurveRow(row="pcfh", images=100, probes=7, fusion=(0.5, 0.4), alone=(0.3, 0.2), error=0.12345)
    (tmp_path / "results.json").write_text(to_json(replace(table, outside=(view,), curve=(point,))))
    options = ("--data", "d", "--machine", "m", "--command", "pcfh a", "--command", "pcfh b")
    record.main([str(tmp_path / "results.json"), "x", *options, "--into", str(tmp_path)])
    whole = json.loads((tmp_path / "x.json").read_text())
    assert {k: whole["source"][k] for k in ("commands", "seeds", "status")} == {
        "commands": ["pcfh a", "pcfh b"],
        "seeds": [0, 1, 2],
        "status": "measured",
    }
    records = {one["method"]: one for one in whole["records"]}
    assert records["PCFH"]["rank1"] == {"mean": 96.0, "sd": 1.0}
    assert records["PCFH"]["mobile_net_rank1"] == {"mean": 91.0, "sd": 2.0}
    assert [records["PCFH"][key] for key in ("rank1_paper", "rank1_cut", "alone_rank1", "minutes")] == [
        *(98.5, 60.0, 90.0, 20.0)
    ]
    assert "vr01" not in records["PCFH"]
    assert records["true VIS images"]["mobile_net_rank1"] == {"mean": 96.0, "sd": 1.0}
    (test,) = json.loads((tmp_path / "x-differences.json").read_text())["records"]
    assert (test["method"], test["rank1"], test["p"]) == (
        "PCFH − Light CNN",
        {"value": 6.0, "low": 2.0, "high": 10.0},
        0.0123,
    )
    (along,) = json.loads((tmp_path / "x-curve.json").read_text())["records"]
    assert (along["images"], along["mobile_net_rank1"], along["mae"]) == (100, 40.0, 0.1235)


# The command


def test_the_command_makes_a_table(run, databases, recognizer, ready, tmp_path):
    import shutil

    work = shutil.copytree(ready, tmp_path / "work")
    code, out, err = run(
        *("reproduce", "table1", tmp_path / "out", "--casia", databases["casia"], "--work", work),
        *("--preset", "tiny", "--steps", 2, "--set", "training.checkpoint_every=1", "--landmarks", "given"),
        *("--no-pose", "--rows", "light-cnn,pcfh-no-mic", "--seeds", 7, "--recognizer", recognizer),
        *("--device", "cpu", "--resamples", 50),
    )
    assert (code, "Traceback" in err) == (0, False)
    assert "Training pcfh-no-mic, seed 7, fold 1" in err
    assert "Evaluating light-cnn" not in err  # done before
    assert "PCFH w/o MIC" in out and "97.66" in out
    assert "of processor time in all" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("table1",), "Table 1 needs --casia DIR: the folder of CASIA NIR-VIS 2.0"),
        (("table1",), "Chinese Academy of Sciences; a rendered database in the same layout works too"),
        (("table3", "--casia", "."), "Table 3 needs --buaa DIR: the folder of BUAA-VisNir"),
        (("table4", "--casia", "."), "Table 4 needs --oulu DIR: the folder of Oulu-CASIA NIR-VIS"),
        (("table1", "--casia", ".", "--rows", "pcfh,pch"), "no row 'pch' to measure in Table 1"),
        (("table1", "--casia", ".", "--preset", "gpu"), "no preset 'gpu'"),
        (("table1", "--casia", ".", "--steps", "0"), "training.steps=0: expected a positive whole number"),
        (("table1", "--casia", ".", "--set", "training.seed=1"), "--set training.seed=1: give --seeds"),
        (("table1", "--casia", ".", "--seeds", "-1"), "--seeds: expected no negative number, got -1"),
        (
            ("table1", "--casia", ".", "--steps", "2", "--images", "9"),
            "--steps and --images both say how much",
        ),
        (("table1", "--casia", ".", "--images", "0"), "--images: expected at least 1, got 0"),
        (("table1", "--casia", ".", "--batch", "0"), "--batch: expected at least 1, got 0"),
        (("table1", "--casia", ".", "--recognizer", "absent.onnx"), "absent.onnx: no such file"),
        (("table1", "--casia", "absent"), "absent: no such folder"),
    ],
)
def test_mistakes_are_said_in_one_line(run, recognizer, tmp_path, arguments, said):
    name, *options = arguments
    usual = () if "--recognizer" in options else ("--recognizer", recognizer)
    code, _, err = run("reproduce", name, tmp_path / "out", *usual, *options)
    assert (code, "Traceback" in err) == (2, False)
    assert said in err.replace("\n", " ")


def test_a_table_of_one_fold_takes_no_more(run, databases, recognizer, ready, tmp_path):
    code, _, err = run(
        *("reproduce", "table1", tmp_path, "--casia", databases["casia"], "--work", ready),
        *("--preset", "tiny"),
        *("--steps", 2, "--set", "training.checkpoint_every=1", "--landmarks", "given"),
        *("--recognizer", recognizer, "--protocol", "all"),
    )
    assert (code, "Table 1 is of one fold, got 1, 2; name one by --protocol" in err) == (2, True)
