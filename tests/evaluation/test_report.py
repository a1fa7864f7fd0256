import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from blocks import Blocks, evaluate, made_results

from pcfh.errors import UserError
from pcfh.evaluation import report
from pcfh.evaluation.evaluation_data import EvaluationJob
from pcfh.evaluation.report import write_report
from pcfh.evaluation.results import Spread, from_json, read_results, spread, summaries, to_json
from pcfh.evaluation.sheets import FaceSheets
from pcfh.evaluation.text_tables import TextTable, label, latex, main_table, markdown, percent

VOID = {"meta", "img", "source", "br", "hr", "link", "input"}
SHEETS = FaceSheets(random=b"r", worst=b"w", rows=("NIR",))


class Checker(HTMLParser):
    """Follows the tags of a page; keeps what is open, and all tags with their attributes."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def results():
    return made_results()


@pytest.fixture(scope="module")
def written(results, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    write_report(results, out, SHEETS)
    return out


@pytest.fixture(scope="module")
def html(written):
    return (written / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def checked(html):
    checker = Checker()
    checker.feed(html)
    checker.close()
    return checker


# Tables


def test_a_spread_is_mean_and_sample_deviation():
    found = spread([0.1, 0.3])
    assert (found.mean, found.deviation) == pytest.approx((0.2, 0.1 * 2**0.5))


def test_one_fold_has_no_deviation():
    assert percent(spread([0.98765])) == "98.77"


def test_folds_are_written_as_in_the_paper():
    assert percent(Spread(mean=0.988, deviation=0.0026)) == "98.80±0.26"


def test_the_table_has_the_papers_rows_and_columns(results):
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in markdown(results).splitlines()]
    assert lines[2] == ["Method", "Rank-1", "VR@FAR=1%", "VR@FAR=0.1%"]
    assert [line[0] for line in lines[4:7]] == [
        "NIR as it is",
        "generated VIS alone",
        "NIR + generated VIS (fusion)",
    ]
    assert lines[6][1] == percent(spread([fold.methods[2].cmc[0] for fold in results.folds]))


def test_numbers_in_a_table_keep_all_their_digits():
    text = TextTable("", ("x", "y"), [("a", "1.00"), ("b", "1e-3")]).markdown()
    assert "1.00 |" in text and "1e-3 |" in text


def test_columns_in_which_nothing_is_measured_are_left_out():
    table = TextTable("", ("x", "y", "z"), [("a", "n/a", "1"), ("b", "n/a", "n/a")]).measured()
    assert (table.head, table.rows) == (("x", "z"), [("a", "1"), ("b", "n/a")])


def test_a_tuned_recogniser_is_called_by_its_own_name():
    assert label("my-recogniser") == "my-recogniser"


def test_a_figure_that_one_fold_lacks_has_no_mean(results):
    assert [row.verification[2] for row in summaries(results)] == [None] * 3


def test_a_figure_that_cannot_be_measured_is_marked_and_explained(job):
    text = markdown(evaluate(job, Blocks()))
    assert text.count("n/a |") == 2
    assert "too few impostor pairs for a FAR of 1 % and 0.1 %" in text


def test_latex_has_the_same_cells(results):
    rows = [
        tuple(cell.strip() for cell in line.removesuffix(r"\\").split("&"))
        for line in latex(results).splitlines()
        if "&" in line
    ]
    assert rows[0] == ("Method", "Rank-1", r"VR@FAR=1\%", r"VR@FAR=0.1\%")
    assert rows[1:] == list(main_table(results).rows)


# JSON


def test_json_reads_back_without_loss(results):
    assert from_json(to_json(results)) == results


def test_json_holds_the_rows_of_the_table(results):
    content = json.loads(to_json(results))
    assert content["summary"][0]["method"] == "original"
    assert content["summary"][0]["ranks"][0]["mean"] == summaries(results)[0].ranks[0].mean


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"format": "other", "format_version": 1}',
        '{"format": "pcfh-evaluation-2", "results": {"version": 1}}',
    ],
)
def test_other_json_is_refused(text):
    with pytest.raises(UserError, match="expected results of pcfh evaluate"):
        from_json(text)


def test_absent_results_are_named(tmp_path):
    with pytest.raises(UserError, match=r"results\.json: no such file"):
        read_results(tmp_path / "results.json")


# The page


def test_every_tag_is_closed_in_order(checked):
    assert checked.open == []


def test_the_page_loads_nothing(html, checked):
    without_pictures = re.sub(r"data:image/\w+;base64,[\w+/=]+", "", html)
    assert not re.search(r"https?:|//|@import|url\(", without_pictures)
    assert not checked.of("script") and not checked.of("link")
    sources = [a["src"] for a in checked.of("img")] + [a["srcset"] for a in checked.of("source")]
    assert sources and all(source.startswith("data:image/") for source in sources)


def test_language_title_and_both_colour_schemes_are_there(html, checked):
    assert checked.of("html") == [{"lang": "en"}]
    assert "<title>Recognition via generation</title>" in html
    assert "color-scheme:light dark" in html


def test_tables_have_captions_and_headed_rows_and_columns(checked):
    assert len(checked.of("table")) == len(checked.of("caption")) > 6
    assert {a.get("scope") for a in checked.of("th")} == {"row", "col"}


def test_every_picture_says_what_it_shows(checked):
    assert all(attributes["alt"] for attributes in checked.of("img"))


def test_names_from_outside_are_escaped(html):
    assert "&lt;thick &amp; dark&gt;" in html
    assert "<thick" not in html and "<were>" not in html


def test_the_page_says_what_it_must_not_be_used_for(checked):
    text = "".join(checked.text)
    assert "sole ground for any decision about a person" in text
    assert "synthetic" in text


def test_captures_of_a_real_database_come_with_a_warning(html, tmp_path):
    assert "do not publish it" in html
    write_report(made_results(), tmp_path)
    assert "do not publish it" not in (tmp_path / "report.html").read_text()


def test_the_worst_faces_are_named_beside_their_sheet(checked):
    text = [part.strip() for part in checked.text]
    start = text.index("003")
    assert [part for part in text[start:] if part][:5] == ["003", "004", "1", "0.250", "0.500"]


# Files


def test_equal_results_give_equal_files(results, written, tmp_path):
    write_report(results, tmp_path, SHEETS)
    names = sorted(path.name for path in written.iterdir())
    assert names == [
        *("cmc.png", "random.jpg", "report.html", "results.json"),
        *("roc.png", "table.md", "table.tex", "worst.jpg"),
    ]
    assert [(tmp_path / n).read_bytes() for n in names] == [(written / n).read_bytes() for n in names]


def test_a_report_that_fails_leaves_the_former_one(results, tmp_path, monkeypatch):
    write_report(results, tmp_path)
    before = (tmp_path / "results.json").read_bytes()
    write = report.write_atomically

    def full_disk(path: Path, data: bytes) -> None:
        if path.name == "results.json":
            raise OSError("no space")
        write(path, data)

    monkeypatch.setattr(report, "write_atomically", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_report(made_results(seed=1), tmp_path)
    assert (tmp_path / "results.json").read_bytes() == before


@pytest.fixture
def job(drawn_prepared, tmp_path):
    return EvaluationJob(prepared=drawn_prepared, protocols=("1",), cache=tmp_path / "cache", resamples=20)
