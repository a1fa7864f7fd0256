from pathlib import Path

import pytest

from pcfh.databases.counts import Row, absent_protocols, compare, count
from pcfh.databases.layouts import Count, layouts
from pcfh.databases.records import Database, Protocol, Record


def record(subject, modality="NIR", n=0):
    return Record(subject=subject, modality=modality, path=f"{subject}/{modality}/{n}.png")


def database(**protocols):
    used = [r for p in protocols.values() for r in (*p.train, *p.gallery, *p.probe)]
    return Database(root=Path("x"), records=tuple(used), protocols=protocols)


def full(people, gallery=1, probe=1):
    """A protocol of some people who train, are enrolled and searched for."""
    return Protocol(
        name="1",
        train=tuple(record(f"t{p}", m) for p in range(people) for m in ("NIR", "VIS")),
        gallery=tuple(record(f"{p}", "VIS", n) for p in range(people) for n in range(gallery)),
        probe=tuple(record(f"{p}", "NIR", n) for p in range(people) for n in range(probe)),
    )


def test_people_and_captures_are_counted():
    records = [record("a"), record("a", "VIS"), record("b"), record("b", n=1)]
    assert count(records) == Count(people=2, nir=3, vis=1, captures=4)


def test_rows_are_the_whole_and_the_parts_of_each_protocol():
    rows = compare(database(**{"1": full(2), "own": full(2)}), layouts()["oulu"])
    assert [(row.protocol, row.part) for row in rows] == [
        ("", "all"),
        *((name, part) for name in ("1", "own") for part in ("train", "gallery", "probe")),
    ]


def test_parts_of_the_published_size_do_not_differ():
    rows = compare(database(**{"1": full(20, gallery=48, probe=48)}), layouts()["oulu"])
    assert {row.part: row.differences for row in rows if row.part in ("gallery", "probe")} == {
        "gallery": (),
        "probe": (),
    }


def test_what_is_missing_is_said():
    row = Row(protocol="3", part="probe", found=Count(nir=6200), expected=Count(nir=6210))
    assert row.differences == ("protocol 3, probe: expected 6,210 NIR captures, found 6,200 (10 missing)",)


def test_what_is_too_much_is_said():
    row = Row(protocol="", part="all", found=Count(people=151), expected=Count(people=150))
    assert row.differences == ("whole database: expected 150 people, found 151 (1 too many)",)


def test_what_nobody_has_published_is_not_compared():
    row = Row(protocol="own", part="probe", found=Count(people=3, nir=9), expected=Count())
    assert row.differences == ()


def test_the_lists_of_casia_that_are_not_there_are_named():
    found = database(**{"1": full(1), "dev": full(1)})
    assert absent_protocols(found, layouts()["casia"]) == (*"23456789", "10")


def test_no_list_is_missed_where_none_is_official():
    assert absent_protocols(database(own=full(1)), layouts()["oulu"]) == ()


@pytest.mark.parametrize("layout", [layout for layout in layouts().values() if layout.rank != 1])
def test_every_database_has_its_numbers_their_source_and_its_terms(layout):
    assert layout.whole != Count() and layout.protocols and layout.source and layout.terms


def test_the_probes_of_the_ten_folds_of_casia_add_up_to_what_the_lists_hold():
    folds = [layouts()["casia"].protocols[str(fold)] for fold in range(1, 11)]
    assert sum(fold["probe"].nir for fold in folds) == 61_976
    assert {fold["train"].people + fold["gallery"].people for fold in folds} == {715}
