"""A seeded part of ``python -m bench fuzz``."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import pytest

from bench import fuzz
from pcfh.errors import UserError

ENOUGH = 60


def test_no_damaged_picture_ends_anything_and_no_intact_one_is_refused():
    # In a process of its own: the peak of memory that it notes would be that of other tests here.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as own:
        report = own.submit(fuzz.run, ENOUGH, 1, lot=30).result()
    assert report.peak > 0
    assert report.faults == []
    assert (report.pictures, report.read + report.refused) == (ENOUGH, ENOUGH)
    assert min(report.intact, report.refused) > ENOUGH // 8


@pytest.mark.parametrize("error", [ValueError("of the decoder"), UserError("no file is named")])
def test_what_a_reader_must_not_do_is_found(tmp_path, monkeypatch, error):
    def broken(path):
        raise error

    monkeypatch.setattr(fuzz, "read_image", broken)
    report = fuzz.Report()
    fuzz.check_reader(fuzz.case_of(0, 0), tmp_path / "a.png", report)
    assert report.faults


def test_an_intact_picture_with_other_pixels_is_found(tmp_path):
    report = fuzz.Report()
    case = next(case for n in range(99) if (case := fuzz.case_of(0, n)).pixels is not None)
    fuzz.check_reader(replace(case, pixels=255 - case.pixels), tmp_path / "a.png", report)
    assert report.faults == [f"{case.how}: other pixels than the picture has"]
