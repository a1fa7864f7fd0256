"""The paper's numbers, against the paper's text where it lies beside the repository."""

import re
from pathlib import Path

import pytest

from pcfh.recipes.comparison import error_cut
from pcfh.recipes.paper_numbers import TABLES

PAPER = Path(__file__).parents[3] / "shared" / "paper" / "pcfh.md"


def figures(table, label):
    return next(row.figures for row in TABLES[table].rows if row.label == label)


@pytest.mark.parametrize(
    ("table", "label", "printed"),
    [
        ("table1", "Pix2Pix", ("22.13", "39.22", "14.45")),
        ("table1", "Light CNN", ("96.84", "99.10", "94.68")),
        ("table1", "PCFH", ("98.50", "99.58", "97.32")),
        ("table2", "TRIVET", ("95.7±0.52", "98.1±0.31", "91.0±1.26")),
        ("table2", "PCFH", ("98.80±0.26", "99.57±0.08", "97.68±0.26")),
        ("table3", "KDSR", ("83", "86.8", "69.5")),
        ("table3", "PCFH", ("98.4", "97.9", "92.4")),
        ("table4", "Light CNN", ("96.9", "93.7", "79.4")),
        ("table4", "PCFH w/o MIC", ("100.0", "97.63", "85.99")),
    ],
)
def test_figures_are_as_the_paper_prints_them(table, label, printed):
    assert figures(table, label) == printed


@pytest.mark.parametrize("name", TABLES)
def test_every_row_is_that_of_the_papers_text(name):
    if not PAPER.is_file():
        pytest.skip("the paper's text is not here")
    before, _, _ = PAPER.read_text().partition(f"\nTable {TABLES[name].number}: ")
    lines = before[before.rindex("Method\tRank-1") :].strip().splitlines()[1:]
    printed = [re.sub(r"</?b>", "", line).split("\t") for line in lines]
    ours = [[row.label.replace("Pix2Pix", "Pixel2Pixel"), *row.figures] for row in TABLES[name].rows]
    assert ours == printed


@pytest.mark.parametrize("name", TABLES)
def test_each_table_ends_with_pcfh_and_its_best_rate(name):
    rows = TABLES[name].rows
    assert rows[-1].key == "pcfh"
    assert max(row.means[2] for row in rows) == rows[-1].means[2]


def test_the_rows_of_table_1_are_in_the_order_that_the_paper_claims():
    rates = [row.means[2] for row in TABLES["table1"].rows]
    assert rates == sorted(rates)


def test_the_papers_cuts_of_table_1_by_hand():
    assert error_cut(98.50, 96.84, 100.0) == pytest.approx(1 - 1.50 / 3.16)
    assert error_cut(97.32, 94.68, 100.0) == pytest.approx(1 - 2.68 / 5.32)
